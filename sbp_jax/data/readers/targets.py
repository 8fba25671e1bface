"""To whom the ball was thrown, where a file tells it.

| file | column |
| --- | --- |
| 2021's targetedReceiver.csv, any other list with games and plays | `targetNflId` |
| 2025's player_play.csv | `wasTargettedReceiver`, spelled so or correctly: true or 1 on the player |
| 2026's tracking | `player_role` "Targeted Receiver" |

The files of 2019, 2022 to 2024 and the highlights tell no target.
"""

from collections.abc import Sequence

import polars as pl

from sbp_jax.data.plays import PLAY
from sbp_jax.data.readers.formats import GAME_NAMES, PLAY_NAMES, PLAYER_NAMES, Table, read_table
from sbp_jax.data.readers.report import ReadReport
from sbp_jax.data.readers.tables import cast_columns
from sbp_jax.errors import InputError

TARGET_NAMES = {"targetNflId", "target_nfl_id"}
TARGETED_NAMES = {"wasTargettedReceiver", "wasTargetedReceiver", "was_targetted_receiver", "was_targeted_receiver"}
_TRUE, _FALSE = ("true", "t", "yes", "y", "1", "1.0"), ("false", "f", "no", "n", "0", "0.0")
_SCHEMA = {"game_id": pl.Int64, "play_id": pl.Int64, "target_id": pl.Int64}


def read_targets(tables: Sequence[Table]) -> tuple[pl.DataFrame, list[Table]]:
    """Return what the files beside the tracking tell of targets, and those that tell something.

    Args:
        tables: all tables; those of tracking are passed over (`settle_targets` reads them).

    Returns:
        `game_id, play_id, target_id`, each triple once: a play of which files tell two targets has two rows.

    Raises:
        InputError: an id or a flag does not read; the line names file and column.
    """
    told, parts = [], [pl.DataFrame(schema=_SCHEMA)]
    for table in (each for each in tables if each.layout is None):
        columns = [_first(table, names) for names in (GAME_NAMES, PLAY_NAMES)]
        target, player, targeted = (_first(table, names) for names in (TARGET_NAMES, PLAYER_NAMES, TARGETED_NAMES))
        if not all(columns) or not (target or (player and targeted)):
            continue
        rows = read_table(table)
        if not target and targeted:
            rows = rows.filter(_is_true(rows[targeted], table))
        named = dict(zip(_SCHEMA, (*columns, target or player), strict=True))
        rows = rows.select(pl.col(str(column)).alias(name) for name, column in named.items())
        parts.append(cast_columns(rows, table.path, integers={name: str(column) for name, column in named.items()}))
        told.append(table)
    return pl.concat(parts).drop_nulls().unique(maintain_order=True), told


def settle_targets(
    plays: pl.DataFrame, rows: pl.DataFrame, listed: pl.DataFrame | None, report: ReadReport
) -> pl.DataFrame:
    """Return `plays` with `target_id`, null where no target can be marked; how many plays that are is counted.

    Args:
        plays: one row per play.
        rows: the plays' rows: `game_id, play_id, player_id, offense`, and `targeted` where the tracking tells roles.
        listed: what `read_targets` returned; None where targets were not asked for: then all are null, uncounted.
        report: where plays are counted of which no file tells the target, of which files tell two, or whose target
            is not among the offense's tracked players.
    """
    if listed is None:
        return plays.with_columns(target_id=pl.lit(None, pl.Int64))
    people = rows.filter("offense").select(*PLAY, target_id="player_id").unique()
    role = pl.DataFrame(schema=_SCHEMA)
    if "targeted" in rows.columns:
        role = rows.filter(pl.col("targeted").fill_null(value=False)).select(*PLAY, target_id="player_id")
    told = pl.concat([role, listed]).unique().join(plays.select(PLAY), on=PLAY, how="semi")
    one = told.group_by(PLAY).agg(pl.col("target_id").first(), several=pl.len() > 1)
    single = one.filter(~pl.col("several")).drop("several")
    marked = single.join(people, on=[*PLAY, "target_id"], how="semi")
    report.repair("plays whose target no file tells: nobody is marked", len(plays) - len(one))
    report.repair("plays with two different targets told: nobody is marked", len(one) - len(single))
    report.repair("plays whose target is not tracked with the offense: nobody is marked", len(single) - len(marked))
    return plays.join(marked, on=PLAY, how="left", maintain_order="left")


def _first(table: Table, names: set[str]) -> str | None:
    return next((column for column in table.columns if column in names), None)


def _is_true(column: pl.Series, table: Table) -> pl.Series:
    words = column.cast(pl.String).str.strip_chars().str.to_lowercase()
    unread = column.filter(~words.is_in([*_TRUE, *_FALSE]).fill_null(value=True))
    if len(unread):
        raise InputError(f"{table.path}: column {column.name!r}: expected true or false, got {str(unread[0])!r}")
    return words.is_in(_TRUE).fill_null(value=False)
