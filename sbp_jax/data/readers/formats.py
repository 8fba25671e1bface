"""Source files: which table each holds, told by its columns, and its content. CSV, TSV or parquet, also gzipped."""

import gzip
import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import polars as pl
import polars.selectors as cs

from sbp_jax.data.readers.layouts import Layout, find_layout, is_flight
from sbp_jax.errors import InputError

SUFFIXES = (".csv", ".tsv", ".txt", ".parquet")
PACKED = (".zip", ".xlsx", ".xls", ".7z", ".tar", ".bz2", ".xz", ".zst", ".feather", ".arrow")  # tables, but not read
SEPARATORS = ",\t;"
LARGEST_WHOLE = 2**53  # beyond it whole numbers read as Float64 are no longer told apart
NULLS = ["", "NA", "None", "null"]
GAME_NAMES, PLAY_NAMES = {"gameId", "game_id", "old_game_id"}, {"playId", "play_id"}
PLAYER_NAMES = {"nflId", "nfl_id"}
POSITION_NAMES = {"position", "PositionAbbr", "positionAbbr", "officialPosition"}
PRESSURE_NAMES = {"causedPressure", "caused_pressure"}
RESULT_NAMES = {"passResult", "PassResult", "pass_result", "offensePlayResult", "yards_gained"}

_TWICE = "_duplicated_"  # how the reader of text names the second of two columns

Role = Literal["tracking", "plays", "players", "games", "pressures", "frames after the throw", "unknown"]


@dataclass(frozen=True)
class Table:
    """A source file and the table it holds."""

    path: Path
    role: Role
    columns: tuple[str, ...]
    layout: Layout | None = None


def find_tables(sources: str | Path | Sequence[str | Path], tracking: bool = True) -> list[Table]:
    """Return the tables among `sources`, told by their columns.

    A folder stands for the files directly in it and for those in each of its folders that has tracking.

    Args:
        sources: a folder, a file, or several of either. CSV, TSV or parquet, each also gzipped (`.csv.gz`).
        tracking: what is sought is tracking, and what lies beside it; else lists of plays, and tracking is passed over.

    Raises:
        InputError: a path does not exist; a file is empty or unreadable; a file looks like tracking or like a list of
            plays but lacks a needed column; a file given by name holds no known table; what is sought is not found.
    """
    given = [Path(p) for p in ([sources] if isinstance(sources, str | Path) else sources)]
    tables: dict[Path, Table] = {}
    for path in given:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
        for table in _inside(path) if path.is_dir() else [_recognize(path, given=True)]:
            tables.setdefault(table.path.resolve(), table)  # a file named twice is one file
    sought = "tracking" if tracking else "plays"
    if not any(table.role == sought for table in tables.values()):
        names = ", ".join(str(p) for p in given)
        wanted = (
            "no tracking file found (CSV, TSV or parquet with the columns x, y, gameId, playId)"
            if tracking
            else "no list of plays found (CSV, TSV or parquet with the columns gameId, playId, passResult and yards)"
        )
        raise InputError(f"{names}: {wanted}")
    return [table for table in tables.values() if tracking or table.role not in ("tracking", "frames after the throw")]


def read_table(table: Table) -> pl.DataFrame:
    """Return a small table (plays, players, games) with the file's own column names; InputError where unreadable."""
    return collect(scan(table.path, {}, infer_rows=None), table.path)


def cast_columns(
    frame: pl.DataFrame,
    path: Path,
    whole: Mapping[str, str],
    real: Mapping[str, str] = MappingProxyType({}),
    text: Sequence[str] = (),
) -> pl.DataFrame:
    """Return `frame` with columns as Int64 (`whole`), Float64 (`real`) or String.

    Args:
        frame: of the file at `path`.
        path: for messages.
        whole, real: the columns' names -> the file's names for them.
        text: names of columns; what stands for a missing value is null.

    Raises:
        InputError: a value does not read as a number, or one of `whole` is not a whole number or too large a one.
    """
    columns = [numbers(frame[name], path, column).alias(name) for name, column in {**whole, **real}.items()]
    words = (pl.col(name).cast(pl.String) for name in text)
    frame = frame.with_columns(columns).with_columns(pl.when(~each.is_in(NULLS)).then(each) for each in words)
    for name, column in whole.items():
        value = frame[name].fill_nan(None)
        broken = value.filter(value % 1 != 0)
        if len(broken):
            raise InputError(f"{path}: column {column!r}: expected whole numbers, got {broken[0]}")
        if (value.abs() > LARGEST_WHOLE).any():
            raise InputError(f"{path}: column {column!r}: expected whole numbers of at most 15 digits")
        frame = frame.with_columns(value.cast(pl.Int64))
    return frame


def numbers(column: pl.Series, path: Path, name: str) -> pl.Series:
    """Return the column as Float64, null where it is missing; InputError names the first value that is no number."""
    if column.dtype.is_numeric() or column.dtype == pl.Null:
        return column.cast(pl.Float64)
    value = None
    if column.dtype == pl.String:
        # parquet may hold as text what in a text file is recognized as missing
        column = column.set(column.str.strip_chars().is_in(NULLS), None)
        value = column.str.strip_chars().cast(pl.Float64, strict=False)
    bad = column.filter(column.is_not_null() & (value.is_null() if value is not None else True))
    if len(bad):
        raise InputError(f"{path}: column {name!r}: expected numbers, got {str(bad[0])[:40]!r}")
    return column.cast(pl.Float64) if value is None else value


def scan(path: Path, types: Mapping[str, Any], infer_rows: int | None = 0) -> pl.LazyFrame:
    """Open a file; of a text file, columns not in `types` are text unless `infer_rows` (None: all) tell otherwise.

    Raises:
        InputError: a gzipped file is damaged.
    """
    packed = path.suffix.lower() == ".gz"
    try:
        if _kind(path) == ".parquet":
            return pl.scan_parquet(io.BytesIO(gzip.decompress(path.read_bytes())) if packed else path, glob=False)
        with gzip.open(path, "rt", encoding="utf-8", errors="replace") if packed else _open(path) as file:
            header = file.readline()
            separator = max(SEPARATORS, key=header.count)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: not a readable table ({_first_line(error)})") from error
    return pl.scan_csv(
        path,
        separator=separator,
        null_values=NULLS,
        schema_overrides=dict(types),
        infer_schema_length=infer_rows,
        glob=False,  # brackets and stars in a name are part of it
    )


def collect(frame: pl.LazyFrame, path: Path) -> pl.DataFrame:
    """Return the rows of a scan of `path`, categories as text; InputError where they do not read."""
    try:
        return frame.with_columns(cs.by_dtype(pl.Categorical, pl.Enum).cast(pl.String)).collect()
    # A damaged parquet file panics in the reader, which is no Exception.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise InputError(f"{path}: {_first_line(error)}") from error


def _inside(folder: Path) -> list[Table]:
    tables = [_recognize(path, given=False) for path in _files(folder)]
    closed = [p for p in sorted(folder.iterdir()) if p.is_file() and p.suffix.lower() in PACKED]
    tables += [Table(path, "unknown", ()) for path in closed]
    # only with tracking: what else lies deeper (results, a simulation's truth) is not meant
    for deeper in sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")):
        found = [_recognize(path, given=False) for path in _files(deeper)]
        tables += found if any(table.role == "tracking" for table in found) else []
    return tables


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_file() and _kind(p) in SUFFIXES)


def _kind(path: Path) -> str:
    """The suffix that tells the kind of file, without that of gzip."""
    return Path(path.stem).suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()


def _recognize(path: Path, given: bool) -> Table:
    table = _told_by_columns(path, _columns(path), given)
    if table.role == "unknown":
        _refuse_misspelt(table)
    else:
        twice = [c for c in table.columns if _TWICE in c and c.split(_TWICE)[0] in table.columns]
        if twice:
            raise InputError(f"{path}: two columns are named {twice[0].split(_TWICE)[0]!r}")
    return table


def _refuse_misspelt(table: Table) -> None:
    """Stop at tracking or plays whose column names differ from the known ones by spaces or capitals alone."""
    known = {name.lower(): name for name in sorted({*GAME_NAMES, *PLAY_NAMES, *RESULT_NAMES, "x", "y"})}
    seen = {column: known.get(column.strip().lower()) for column in table.columns}
    found = set(seen.values())
    if found & GAME_NAMES and found & PLAY_NAMES and (found & RESULT_NAMES or {"x", "y"} <= found):
        wrong = next(((column, name) for column, name in seen.items() if name not in (None, column)), None)
        if wrong:
            raise InputError(f"{table.path}: column {wrong[0]!r}: expected {wrong[1]!r}, by letter")


def _told_by_columns(path: Path, columns: tuple[str, ...], given: bool) -> Table:
    has = set(columns)
    if is_flight(columns):
        return Table(path, "frames after the throw", columns)
    try:
        layout = find_layout(columns)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if layout:
        return Table(path, "tracking", columns, layout)
    ids = (GAME_NAMES, PLAY_NAMES)
    if has & RESULT_NAMES and not all(has & names for names in ids):
        lacking = [sorted(names)[0] for names in ids if not has & names]
        raise InputError(f"{path}: looks like a list of plays but lacks the column(s) {', '.join(lacking)}")
    player = has & PLAYER_NAMES
    if all(has & names for names in ids):
        if not player:
            return Table(path, "plays", columns)
        if has & PRESSURE_NAMES:
            return Table(path, "pressures", columns)
    elif player and has & POSITION_NAMES:
        return Table(path, "players", columns)
    elif "gameId" in has and has & {"homeTeamAbbr", "week", "season"}:
        return Table(path, "games", columns)
    if given and not player:
        raise InputError(
            f"{path}: neither tracking, plays, players nor games by its columns ({', '.join(columns[:8])})"
        )
    return Table(path, "unknown", columns)


def _columns(path: Path) -> tuple[str, ...]:
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty")
    with path.open("rb") as file:
        begin = file.read(4)
    if begin.startswith(b"PK") or (begin == b"PAR1" and _kind(path) != ".parquet"):
        what = "parquet; name it .parquet" if begin == b"PAR1" else "a zip archive or a workbook; unpack it to CSV"
        raise InputError(f"{path}: is {what}")
    try:
        return tuple(scan(path, {}).collect_schema().names())
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path}: not a readable table ({_first_line(error)})") from error


def _open(path: Path) -> io.TextIOWrapper:
    return path.open(encoding="utf-8", errors="replace")


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0]
