"""Attributes of plays apart from their frames, as a table for subgroups: their own columns and those of the lists.

`facts_of` uses plays in memory; `listed_facts` reads the lists of plays again, with every column of the publisher.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from sbp_jax.data.plays import MISSING, PLAY, SITUATION_FEATURES, Sequences, static_names
from sbp_jax.data.readers.files import Frame, Source
from sbp_jax.data.readers.formats import Table, find_tables, read_table, recognize
from sbp_jax.data.readers.names import plain
from sbp_jax.data.readers.play_lists import NAMES, read_play_list
from sbp_jax.data.readers.rules import LEAGUE_YARDS
from sbp_jax.data.readers.tables import cast_columns
from sbp_jax.errors import InputError

GAIN = "gain"  # yards as the league counts them, whatever the outcome
_INTEGERS = {"down", "quarter", "week", "home", "score_difference"}
_REALS = {"time_to_throw": "time_to_throw_s"}


def facts_of(plays: Sequences, situation: Sequence[str] = ()) -> pl.DataFrame:
    """Return the situation and the other attributes of each play, null if unknown; one row per play, in order.

    Args:
        plays: the result of `features.plays_from_chunk`.
        situation: names of the additional columns of `static`.

    Returns:
        `SITUATION_FEATURES` and `situation` (yards, seconds left in the quarter, points), `team`, `season`, `result`
        (C, I, IN, S sack, R run), `touchdown`, `time_to_throw` [seconds] and `pressure`, as far as the plays have them.
    """
    columns: dict[str, pl.Series] = {}
    names = static_names(situation)
    if plays.static.shape[1] == len(names):
        half = len(names) // 2
        for at, name in enumerate((*SITUATION_FEATURES, *situation)):
            value = pl.Series(name, plays.static[:, at].astype(np.float64))
            observed = pl.Series(plays.static[:, half + at] == 0)
            columns[name] = pl.select(pl.when(observed).then(value).alias(name))[name]
    info = plays.info
    for name in ("team", "result"):
        if name in info:
            text = pl.Series(name, info[name].astype(str))
            columns[name] = pl.select(pl.when(text != "").then(text).alias(name))[name]
    for name in ("season", "pressure", "touchdown"):
        if name in info:
            number = pl.Series(name, info[name])
            fact = number if name == "touchdown" else pl.select(pl.when(number != MISSING).then(number)).to_series()
            columns[name] = fact.cast(pl.Boolean) if name != "season" else fact
    for name, source in _REALS.items():
        if source in info:
            columns[name] = pl.Series(info[source].astype(np.float64)).fill_nan(None)
    table = pl.DataFrame([series.alias(name) for name, series in columns.items()])
    return table.with_columns(pl.col(name).cast(pl.Int64) for name in table.columns if name in _INTEGERS)


def listed_facts(sources: Sequence[Source]) -> pl.DataFrame:
    """Return every column of the lists of plays in the sources, under its own name, one row per play.

    The table also has `game_id`, `play_id` and `gain`, yards as the league counts them (an incompletion or an
    interception gains 0). If a play is listed twice, the first value of each column counts.

    Raises:
        InputError: there is no list of plays, or one cannot be read.
    """
    parts = []
    for table in find_tables(sources, tracking=False):
        play_list = read_play_list(table, LEAGUE_YARDS, ()) if table.role == "plays" else None
        if play_list is None:
            continue
        plays = play_list.select(*PLAY, pl.col("yards").cast(pl.Float64).alias(GAIN))
        rows = read_table(table)
        ids = {plain(column) for name in PLAY for column in NAMES[name]}
        own = rows.drop(name for name in rows.columns if plain(name) in ids or name == GAIN)
        parts.append(_one_row_each(plays, rows, own, table) if table.merged else plays.hstack(own))
    if not parts:
        raise InputError(f"{', '.join(map(str, sources))}: no list of plays found")
    both = pl.concat(parts, how="diagonal_relaxed")
    return both.group_by(PLAY, maintain_order=True).agg(pl.all().drop_nulls().first())


def _one_row_each(plays: pl.DataFrame, rows: pl.DataFrame, own: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Plays of a merged table, with the first value of each of its other columns; numeric text becomes numbers."""
    first = _ids(rows, table).hstack(own.drop(name for name in own.columns if name in PLAY))
    first = first.group_by(PLAY, maintain_order=True).agg(pl.all().drop_nulls().first())
    text = [name for name in first.columns if first.schema[name] == pl.String]
    number = first.select(pl.col(text).cast(pl.Float64, strict=False))
    numeric = [name for name in text if number[name].null_count() == first[name].null_count()]
    first = first.with_columns(number.select(numeric))
    return plays.unique(PLAY, keep="first", maintain_order=True).join(first, on=PLAY, how="left", maintain_order="left")


def _ids(rows: pl.DataFrame, table: Table) -> pl.DataFrame:
    """`game_id` and `play_id` of each row of a table."""
    names = {name: str(table.column(*NAMES[name])) for name in PLAY}
    return cast_columns(rows.select(pl.col(column).alias(name) for name, column in names.items()), table.path, names)


def listed_ids(frame: Frame) -> pl.DataFrame:
    """Return `game_id` and `play_id` of each row of a frame, in order; InputError if it is no list of plays."""
    table = next((table for table in recognize(frame) if table.role == "plays"), None)
    if table is None:
        raise InputError(f"{frame}: no list of plays found")
    return _ids(frame.rows, table)


def with_listed(table: pl.DataFrame, listed: pl.DataFrame) -> pl.DataFrame:
    """Return a table of plays with the lists' additional columns, null for unlisted plays; its own are unchanged."""
    further = [name for name in listed.columns if name not in table.columns]
    return table.join(listed.select(*PLAY, *further), on=PLAY, how="left", maintain_order="left")
