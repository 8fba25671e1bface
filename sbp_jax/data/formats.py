"""File formats: which table a file holds, told by its columns, and tracking rows under common names.

A new tracking format is one more `Layout` in `LAYOUTS`.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import polars as pl
import polars.selectors as cs

from sbp_jax.errors import InputError

SUFFIXES = (".csv", ".tsv", ".txt", ".parquet")
NULLS = ["", "NA", "None", "null"]
PIECE_ROWS = 4_000_000  # larger files are read a few games at a time, which bounds the memory


@dataclass(frozen=True)
class Layout:
    """A tracking format: the file's column names behind the common ones.

    Args:
        name: the format's name in reports.
        mark: a column that no other layout has, or the one that decides between two.
        clock: "frame" where a frame number is shared by all players, "time" where only the time stamp is.
        required, optional: common name -> the file's column.
    """

    name: str
    mark: str
    clock: Literal["frame", "time"]
    required: Mapping[str, str]
    optional: Mapping[str, str] = field(default_factory=dict)

    def missing(self, columns: Sequence[str]) -> list[str]:
        """Return the required columns that `columns` lacks."""
        return [name for name in self.required.values() if name not in columns]

    def present(self, columns: Sequence[str]) -> dict[str, str]:
        """Return common name -> file column for all that `columns` has."""
        return {name: column for name, column in {**self.required, **self.optional}.items() if column in columns}


_ROW = {"game_id": "gameId", "play_id": "playId", "player_id": "nflId", "name": "displayName", "x": "x", "y": "y"}
_ROW |= {"event": "event"}
_MOTION = {"s": "s", "dir": "dir", "o": "o", "direction": "playDirection", "position": "position"}

BIG_DATA_BOWL_2019 = Layout(
    "Big Data Bowl 2019", "frame.id", "frame", {**_ROW, "frame": "frame.id", "side": "team"}, _MOTION
)
BIG_DATA_BOWL_2021 = Layout(
    "Big Data Bowl 2021", "frameId", "frame", {**_ROW, "frame": "frameId", "side": "team"}, _MOTION
)
NGS_HIGHLIGHTS = Layout(
    "NGS highlights",
    "possessionFlag",
    "time",
    {**_ROW, "time": "time", "possession": "possessionFlag"},
    {
        **_MOTION,
        "at_home": "homeTeamFlag",
        "side": "teamAbbr",
        "season": "season",
        "week": "week",
        "quarter": "quarter",
        "game_clock": "gameClock",
        "down": "down",
        "distance": "yardsToGo",
        "absolute_yardline": "absoluteYardlineNumber",
        "home_score": "preSnapHomeScore",
        "visitor_score": "preSnapVisitorScore",
        "description": "playDescription",
        "copy": "srcFile",
    },
)
LAYOUTS = (BIG_DATA_BOWL_2019, BIG_DATA_BOWL_2021, NGS_HIGHLIGHTS)

_FLOATS = {"x", "y", "s", "dir", "o"}
_INTEGERS = {"game_id", "play_id", "player_id", "frame", "possession", "at_home", "season", "week", "quarter", "down"}
_INTEGERS |= {"distance", "absolute_yardline", "home_score", "visitor_score"}
PLAYER_NAMES, POSITION_NAMES = {"nflId", "nfl_id"}, {"position", "PositionAbbr", "positionAbbr"}
RESULT_NAMES = {"passResult", "PassResult", "pass_result", "offensePlayResult", "yards_gained"}
_TRACKING_SIGNS = {"x", "y", "s", "dis", "dir", "o", "frame.id", "frameId", "possessionFlag"}


@dataclass(frozen=True)
class Table:
    """A source file and the table it holds."""

    path: Path
    role: Literal["tracking", "plays", "players", "games", "unknown"]
    columns: tuple[str, ...]
    layout: Layout | None = None


def find_tables(sources: str | Path | Sequence[str | Path]) -> list[Table]:
    """Return the tables among `sources`, told by their columns; a folder stands for the files directly in it.

    Args:
        sources: a folder, a file, or several of either. CSV, TSV or parquet.

    Raises:
        InputError: a path does not exist; a file is empty or unreadable; a file looks like tracking or like a list of
            plays but lacks a needed column; a file given by name holds no known table; no tracking file is found.
    """
    given = [Path(p) for p in ([sources] if isinstance(sources, str | Path) else sources)]
    tables = []
    for path in given:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
        inside = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
        tables += [_recognize(p, given=not path.is_dir()) for p in inside if p.is_file()]
    if not any(table.role == "tracking" for table in tables):
        names = ", ".join(str(p) for p in given)
        raise InputError(f"{names}: no tracking file found (CSV, TSV or parquet with the columns x, y, gameId, playId)")
    return tables


def read_table(table: Table) -> pl.DataFrame:
    """Return a small table (plays, players, games) with the file's own column names; InputError where unreadable."""
    return _collect(_scan(table.path, {}, infer_rows=None), table.path)


def read_rows(table: Table) -> Iterator[pl.DataFrame]:
    """Yield a tracking file's rows under common names, whole games at a time, in bounded memory.

    Columns: those of the layout, with ids as Int64, coordinates as Float64, `clock` (Int64, tenths of a second within
    the play or the frame number), `event` null where there is none, and `is_ball`.

    Raises:
        InputError: a value does not parse, or the file has no rows; the line names file and column.
    """
    layout = table.layout
    if layout is None:
        raise InputError(f"{table.path}: not a tracking file")
    names = layout.present(table.columns)
    types = {column: pl.Float64 for name, column in names.items() if name in _FLOATS | _INTEGERS}
    scan = _scan(table.path, types).select(pl.col(column).alias(name) for name, column in names.items())
    games = _collect(scan.group_by("game_id").len().sort("game_id"), table.path)
    if games.is_empty():
        raise InputError(f"{table.path}: has no rows")
    piece = games["len"].cum_sum() // PIECE_ROWS
    for part in games.with_columns(piece=piece).partition_by("piece", maintain_order=True):
        chosen = scan.filter(pl.col("game_id").is_in(part["game_id"].implode())) if piece.n_unique() > 1 else scan
        yield _common(_collect(chosen, table.path), layout, table)


def cast_columns(
    frame: pl.DataFrame, path: Path, whole: Mapping[str, str], real: Sequence[str] = (), text: Sequence[str] = ()
) -> pl.DataFrame:
    """Return `frame` with columns as Int64 (`whole`: name -> the file's name for it), Float64 or String.

    Raises:
        InputError: a value does not read as a number, or one of `whole` is not a whole number.
    """
    casts = [pl.col(name).cast(pl.Float64) for name in (*whole, *real)]
    try:
        frame = frame.with_columns(*casts, pl.col(*text).cast(pl.String) if text else [])
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{path}: {_first_line(error)}") from error
    for name, column in whole.items():
        broken = frame[name].filter(frame[name] % 1 != 0)
        if len(broken):
            raise InputError(f"{path}: column {column!r}: expected whole numbers, got {broken[0]}")
    return frame.with_columns(pl.col(name).cast(pl.Int64) for name in whole)


def _common(rows: pl.DataFrame, layout: Layout, table: Table) -> pl.DataFrame:
    path, names = table.path, layout.present(table.columns)
    for missing, kind in (("position", pl.String), ("direction", pl.String), ("side", pl.String)):
        if missing not in rows.columns:
            rows = rows.with_columns(pl.lit(None, kind).alias(missing))
    for missing in {"s", "dir", "o"} - set(rows.columns):
        rows = rows.with_columns(pl.lit(None, pl.Float64).alias(missing))
    whole = [name for name in rows.columns if name in _INTEGERS]
    rows = cast_columns(rows, path, {name: names[name] for name in whole}, [c for c in rows.columns if c in _FLOATS])
    for column in ("game_id", "play_id", *(("frame",) if layout.clock == "frame" else ())):
        if rows[column].null_count():
            raise InputError(f"{path}: {rows[column].null_count()} rows have no {layout.required[column]}")
    label = pl.coalesce("side", pl.lit("")).str.to_lowercase()
    ball = label.is_in(["ball", "football"]) | pl.col("name").str.to_lowercase().is_in(["ball", "football"])
    rows = rows.with_columns(
        is_ball=ball.fill_null(False),
        event=pl.when(~pl.col("event").is_in(NULLS)).then("event"),
        # any other word tells nothing: the direction is then seen from where the teams stand
        direction=pl.when(pl.col("direction").str.to_lowercase().is_in(["left", "right"])).then(
            pl.col("direction").str.to_lowercase()
        ),
        clock=_tenths(rows, path) if layout.clock == "time" else pl.col("frame"),
    )
    return rows.with_columns(
        player_id=pl.when("is_ball")
        .then(pl.lit(0, pl.Int64))
        # a player without an id keeps one derived from his name: it only has to be his own
        .otherwise(pl.coalesce("player_id", pl.col("name").replace_strict(_numbers(rows), default=None)))
    )


def _numbers(rows: pl.DataFrame) -> dict[str, int]:
    """A negative number for every name, the same on every machine."""
    names = rows.filter(pl.col("player_id").is_null() & ~pl.col("is_ball"))["name"].drop_nulls().unique()
    digests = {name: hashlib.blake2b(name.encode(), digest_size=7).digest() for name in names}
    return {name: -1 - int.from_bytes(digest, "big") for name, digest in digests.items()} or {"": -1}


def _tenths(rows: pl.DataFrame, path: Path) -> pl.Expr:
    stamp = pl.col("time")
    if rows["time"].dtype == pl.String:
        stamp = stamp.str.replace("T", " ").str.strip_suffix("Z").str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False)
        broken = rows.filter(pl.col("time").is_not_null() & stamp.is_null())
        if len(broken):
            raise InputError(f"{path}: column 'time': expected YYYY-MM-DD HH:MM:SS.mmm, got {broken['time'][0]!r}")
    milliseconds = stamp.dt.epoch("ms")
    return ((milliseconds - milliseconds.min().over("game_id", "play_id")) / 100).round().cast(pl.Int64)


def _recognize(path: Path, given: bool) -> Table:
    columns = _columns(path)
    has = set(columns)
    if len(has & _TRACKING_SIGNS) >= 2:
        fitting = [layout for layout in LAYOUTS if not layout.missing(columns)]
        layout = next((each for each in fitting if each.mark in has), None)
        if layout is None:
            fewest = min((each.mark not in has, len(each.missing(columns))) for each in LAYOUTS)
            nearest = [e for e in LAYOUTS if (e.mark not in has, len(e.missing(columns))) == fewest]
            lacking = " or ".join(f"{', '.join(each.missing(columns))} ({each.name})" for each in nearest)
            raise InputError(f"{path}: looks like tracking but lacks the column(s) {lacking}")
        return Table(path, "tracking", columns, layout)
    if has & RESULT_NAMES and not (has & {"gameId", "game_id"} and has & {"playId", "play_id"}):
        lacking = [a for a, b in (("gameId", "game_id"), ("playId", "play_id")) if not has & {a, b}]
        raise InputError(f"{path}: looks like a list of plays but lacks the column(s) {', '.join(lacking)}")
    player = has & PLAYER_NAMES
    if has & {"gameId", "game_id"} and has & {"playId", "play_id"}:
        if not player:
            return Table(path, "plays", columns)
    elif player and has & POSITION_NAMES:
        return Table(path, "players", columns)
    elif "gameId" in has and has & {"homeTeamAbbr", "week", "season"}:
        return Table(path, "games", columns)
    if given:
        raise InputError(
            f"{path}: neither tracking, plays, players nor games by its columns ({', '.join(columns[:8])})"
        )
    return Table(path, "unknown", columns)


def _columns(path: Path) -> tuple[str, ...]:
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty")
    try:
        return tuple(_scan(path, {}).collect_schema().names())
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path}: not a readable table ({_first_line(error)})") from error


def _scan(path: Path, types: Mapping[str, Any], infer_rows: int | None = 0) -> pl.LazyFrame:
    """Open a file; of a text file, columns not in `types` are text unless `infer_rows` (None: all) tell otherwise."""
    if path.suffix.lower() == ".parquet":
        return pl.scan_parquet(path)
    with path.open(encoding="utf-8", errors="replace") as file:
        separator = "\t" if "\t" in file.readline() else ","
    return pl.scan_csv(
        path, separator=separator, null_values=NULLS, schema_overrides=dict(types), infer_schema_length=infer_rows
    )


def _collect(frame: pl.LazyFrame, path: Path) -> pl.DataFrame:
    try:
        return frame.with_columns(cs.by_dtype(pl.Categorical, pl.Enum).cast(pl.String)).collect()
    # A damaged parquet file panics in the reader, which is no Exception.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise InputError(f"{path}: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0]
