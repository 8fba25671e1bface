"""Rows of a tracking file of any layout under common names, with inferred values for what the layout leaves out."""

from collections.abc import Iterator

import polars as pl

from sbp_jax.data.plays import PLAY
from sbp_jax.data.readers.clocks import read_clock
from sbp_jax.data.readers.encodings import may_round_ids
from sbp_jax.data.readers.files import Place
from sbp_jax.data.readers.formats import Table
from sbp_jax.data.readers.kinematics import BALL_BEHIND_LINE_YARDS, FIELD_WIDTH_YARDS
from sbp_jax.data.readers.layouts import SNAP_EVENTS, Layout
from sbp_jax.data.readers.tables import NULLS, cast_columns, collect, scan
from sbp_jax.errors import InputError

PIECE_ROWS = 4_000_000  # larger files are read a few games at a time, which bounds the memory

_FLOATS = {"x", "y", "s", "dir", "o"}
_INTEGERS = {"game_id", "play_id", "player_id", "frame", "possession", "at_home", "season", "week", "quarter", "down"}
_INTEGERS |= {"distance", "absolute_yardline", "home_score", "visitor_score"}
_IDS = {"game_id", "play_id", "player_id"}  # read as text if they may be rounded, which shows in their digits
_WORDS = {"name", "position", "direction", "side", "event", "role", "frame_type", "game_clock", "description", "copy"}
_ZONE = r" ?(?:Z|UTC|GMT|[+-]\d\d:?\d\d)$"  # irrelevant to differences of times
_OPTIONAL = {"s": pl.Float64, "dir": pl.Float64, "o": pl.Float64}
_OPTIONAL |= dict.fromkeys(("name", "position", "direction", "side", "event"), pl.String)


def read_rows(table: Table) -> Iterator[pl.DataFrame]:
    """Yield a tracking file's rows under common names, complete games at a time, in bounded memory.

    The columns are those of the layout, with ids as Int64 and coordinates as Float64, and `clock` (Int64, tenths of a
    second within the play, or the frame number), `stamp_ms` (Int64, if the file has times in addition to frame
    numbers), `event` (null if there is none), `is_ball`, `clock_s` (Int64) if the file has the game clock, and, if the
    file has roles, `thrower` and `targeted`. `game_clock` has only the values that do not parse, and
    `game_clock_column` the name of their column in the file. A layout without ball and events gets events at the snap
    and the throw, and the ball at the snap: `BALL_BEHIND_LINE_YARDS` behind the line of scrimmage, at the passer's y.

    Raises:
        InputError: a value does not parse, or the file has no rows; the message names file and column.
    """
    layout = table.layout
    if layout is None:
        raise InputError(f"{table.path}: not a tracking file")
    names = layout.present(table.columns)
    text = _IDS if may_round_ids(table.path) else set()
    types = {column: pl.Float64 for name, column in names.items() if name in _FLOATS | _INTEGERS - text}
    rows = scan(table.path, types).select(pl.col(column).alias(name) for name, column in names.items())
    games = collect(rows.group_by("game_id").len().sort("game_id"), table.path)
    if games.is_empty():
        raise InputError(f"{table.path}: has no rows")
    piece = games["len"].cum_sum() // PIECE_ROWS
    for part in games.with_columns(piece=piece).partition_by("piece", maintain_order=True):
        selection = rows.filter(pl.col("game_id").is_in(part["game_id"].implode())) if piece.n_unique() > 1 else rows
        common = _common(collect(selection, table.path), layout, table)
        yield _with_ball_and_events(common) if layout.whole_play else common


def play_ids(table: Table) -> set[tuple[int, int]]:
    """Return `(game_id, play_id)` of every play in a tracking file; InputError if they do not parse."""
    if table.layout is None:
        raise InputError(f"{table.path}: not a tracking file")
    present = table.layout.present(table.columns)
    names = {name: present[name] for name in PLAY}
    ids = scan(table.path, {} if may_round_ids(table.path) else dict.fromkeys(names.values(), pl.Float64))
    ids = collect(ids.select(pl.col(column).alias(name) for name, column in names.items()).unique(), table.path)
    return set(cast_columns(ids, table.path, names).drop_nulls().iter_rows())


def _common(rows: pl.DataFrame, layout: Layout, table: Table) -> pl.DataFrame:
    path, names = table.path, layout.present(table.columns)
    rows = rows.with_columns(
        pl.lit(None, kind).alias(name) for name, kind in _OPTIONAL.items() if name not in rows.columns
    )
    if "game_clock" in rows.columns:
        seconds, unread = read_clock(rows["game_clock"])
        source = pl.when(unread.is_not_null()).then(pl.lit(names["game_clock"]))
        rows = rows.with_columns(
            seconds.alias("clock_s"), unread.alias("game_clock"), source.alias("game_clock_column")
        )
    integers, real = (
        {name: names.get(name, name) for name in rows.columns if name in kind} for kind in (_INTEGERS, _FLOATS)
    )
    rows = cast_columns(rows, path, integers, real, [name for name in rows.columns if name in _WORDS])
    for column in ("game_id", "play_id", *(("frame",) if layout.clock == "frame" else ())):
        if rows[column].null_count():
            raise InputError(f"{path}: {rows[column].null_count()} rows have no {names[column]}")
    return _with_identity(_with_clock(_with_labels(rows), layout, path), layout, path)


def _with_labels(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with `is_ball`, and with normalized event, direction and role."""
    label = pl.coalesce("side", pl.lit("")).str.to_lowercase()
    ball = label.is_in(["ball", "football"]) | pl.col("name").str.to_lowercase().is_in(["ball", "football"])
    way = pl.col("direction").str.to_lowercase()
    rows = rows.with_columns(
        is_ball=ball.fill_null(False),
        event=pl.when(~pl.col("event").is_in(NULLS)).then(pl.col("event").str.strip_chars()),
        # any other word carries no information: the direction then follows from the positions
        direction=pl.when(way.is_in(["left", "right"])).then(way),
    )
    if "frame_type" in rows.columns:
        by_hand = pl.col("event").is_in(SNAP_EVENTS).fill_null(value=False)
        marked = ~by_hand & (pl.col("frame_type").str.to_uppercase() == "SNAP")
        # equivalent to an automatic event: used only if nobody set one manually
        rows = rows.with_columns(event=pl.when(marked).then(pl.lit("autoevent_ballsnap")).otherwise("event"))
    if "role" in rows.columns:
        rows = rows.with_columns(
            thrower=(pl.col("role").str.to_lowercase() == "passer").fill_null(value=False),
            targeted=(pl.col("role").str.to_lowercase() == "targeted receiver").fill_null(value=False),
            possession=(label == "offense").cast(pl.Int64),
        ).drop("role")
    return rows


def _with_clock(rows: pl.DataFrame, layout: Layout, path: Place) -> pl.DataFrame:
    if layout.clock == "time":
        return rows.with_columns(clock=_tenths(rows, path))
    if "time" not in rows.columns:
        return rows.with_columns(clock="frame")
    return rows.with_columns(clock="frame", stamp_ms=_stamps(rows).dt.epoch("ms")).drop("time")


def _with_identity(rows: pl.DataFrame, layout: Layout, path: Place) -> pl.DataFrame:
    """Rows with the id 0 for the ball; every player has an id or at least a name."""
    nobody = pl.col("player_id").is_null() & pl.col("name").is_null() & pl.col("x").is_not_null()
    nameless = rows.filter(nobody, ~pl.col("is_ball"))
    if len(nameless):
        raise InputError(f"{path}: {len(nameless)} rows of players have no {layout.required['player_id']}")
    return rows.with_columns(player_id=pl.when("is_ball").then(pl.lit(0, pl.Int64)).otherwise("player_id"))


def _with_ball_and_events(rows: pl.DataFrame) -> pl.DataFrame:
    clock = pl.col("clock")
    first, last = clock == clock.min().over(PLAY), clock == clock.max().over(PLAY)
    rows = rows.with_columns(
        event=pl.when(first).then(pl.lit("ball_snap")).when(last).then(pl.lit("pass_forward")).otherwise("event")
    )
    snap = rows.filter(first, ~pl.col("is_ball"))
    line = pl.col("absolute_yardline").drop_nulls().first()
    offense_x = pl.col("x").filter(pl.col("possession") == 1).median()
    behind = pl.when(offense_x <= line).then(-BALL_BEHIND_LINE_YARDS).otherwise(BALL_BEHIND_LINE_YARDS)
    sideways = pl.coalesce(pl.col("y").filter("thrower").first(), pl.lit(FIELD_WIDTH_YARDS / 2))
    ball = snap.group_by(PLAY, maintain_order=True).agg(
        clock.first(),
        x=line + behind,
        y=sideways,
        player_id=pl.lit(0, pl.Int64).first(),
        is_ball=pl.lit(True).first(),
        thrower=pl.lit(False).first(),
    )
    return pl.concat([rows, ball.drop_nulls("x")], how="diagonal")


def _stamps(rows: pl.DataFrame) -> pl.Expr:
    """Times as datetimes in milliseconds, null if they do not parse."""
    if rows["time"].dtype == pl.String:
        text = pl.col("time").str.replace("T", " ").str.replace(_ZONE, "")
        return text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False, time_unit="ms")
    temporal = rows["time"].dtype.is_temporal()
    return pl.col("time").cast(pl.Datetime("ms"), strict=False) if temporal else pl.lit(None, pl.Datetime("ms"))


def _tenths(rows: pl.DataFrame, path: Place) -> pl.Expr:
    stamp = _stamps(rows)
    invalid = rows.filter(pl.col("time").is_not_null() & stamp.is_null())
    if len(invalid):
        raise InputError(f"{path}: column 'time': expected YYYY-MM-DD HH:MM:SS.mmm, got {invalid['time'][0]!r}")
    milliseconds = stamp.dt.epoch("ms")
    return ((milliseconds - milliseconds.min().over("game_id", "play_id")) / 100).round().cast(pl.Int64)
