"""Source files and the tables in them, recognized by their columns. CSV, TSV or parquet, also gzipped."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from sbp_jax.data.readers.layouts import Layout, find_layout, is_flight
from sbp_jax.data.readers.tables import SUFFIXES, collect, column_names, kind, refuse_twice, scan
from sbp_jax.errors import InputError

PACKED = (".zip", ".xlsx", ".xls", ".7z", ".tar", ".bz2", ".xz", ".zst", ".feather", ".arrow")  # tables, but not read
GAME_NAMES, PLAY_NAMES = {"gameId", "game_id", "old_game_id"}, {"playId", "play_id"}
PLAYER_NAMES = {"nflId", "nfl_id"}
POSITION_NAMES = {"position", "Position", "POSITION", "PositionAbbr", "positionAbbr", "officialPosition"}
PRESSURE_NAMES = {"causedPressure", "caused_pressure"}
RESULT_NAMES = {"passResult", "PassResult", "pass_result", "offensePlayResult", "yards_gained"}


Role = Literal["tracking", "plays", "players", "games", "pressures", "frames after the throw", "unknown"]


@dataclass(frozen=True)
class Table:
    """A source file and the table it holds."""

    path: Path
    role: Role
    columns: tuple[str, ...]
    layout: Layout | None = None


def find_tables(sources: str | Path | Sequence[str | Path], tracking: bool = True) -> list[Table]:
    """Return the tables in `sources`, recognized by their columns.

    A folder stands for the files directly in it and for those in each of its subfolders that has tracking.

    Args:
        sources: a folder, a file, or several of either. CSV, TSV or parquet, each also gzipped (`.csv.gz`).
        tracking: whether to require tracking and return it with all other tables; if False, require lists of plays
            and skip tracking.

    Raises:
        InputError: a path does not exist; a file is empty or unreadable; a file looks like tracking or like a list of
            plays but is missing a needed column; a file given by name has no known table; no required table exists.
    """
    paths = [Path(p) for p in ([sources] if isinstance(sources, str | Path) else sources)]
    tables: dict[Path, Table] = {}
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
        for table in _inside(path) if path.is_dir() else [_recognize(path, explicit=True)]:
            tables.setdefault(table.path.resolve(), table)  # a file named twice is one file
    role = "tracking" if tracking else "plays"
    if not any(table.role == role for table in tables.values()):
        names = ", ".join(str(p) for p in paths)
        message = (
            "no tracking file found (CSV, TSV or parquet with the columns x, y, gameId, playId)"
            if tracking
            else "no list of plays found (CSV, TSV or parquet with the columns gameId, playId, passResult and yards)"
        )
        raise InputError(f"{names}: {message}")
    return [table for table in tables.values() if tracking or table.role not in ("tracking", "frames after the throw")]


def read_table(table: Table) -> pl.DataFrame:
    """Return a small table (plays, players, games) with the file's own column names; InputError if unreadable."""
    return collect(scan(table.path, {}, infer_rows=None), table.path)


def _inside(folder: Path) -> list[Table]:
    tables = [_recognize(path, explicit=False) for path in _files(folder)]
    closed = [p for p in sorted(folder.iterdir()) if p.is_file() and p.suffix.lower() in PACKED]
    tables += [Table(path, "unknown", ()) for path in closed]
    # only folders with tracking: other folders (results, a simulation's truth) are not input
    for deeper in sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")):
        inner = [_recognize(path, explicit=False) for path in _files(deeper)]
        tables += inner if any(table.role == "tracking" for table in inner) else []
    return tables


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_file() and kind(p) in SUFFIXES)


def _recognize(path: Path, explicit: bool) -> Table:
    table = _classify(path, column_names(path), explicit)
    if table.role == "unknown":
        _refuse_misspelt(table)
    else:
        refuse_twice(path, table.columns)
    return table


def _refuse_misspelt(table: Table) -> None:
    """Raise InputError for tracking or plays with column names that differ from known ones in spaces or case alone."""
    canonical = {name.lower(): name for name in sorted({*GAME_NAMES, *PLAY_NAMES, *RESULT_NAMES, "x", "y"})}
    spellings = {column: canonical.get(column.strip().lower()) for column in table.columns}
    matches = set(spellings.values())
    if matches & GAME_NAMES and matches & PLAY_NAMES and (matches & RESULT_NAMES or {"x", "y"} <= matches):
        wrong = next(((column, name) for column, name in spellings.items() if name not in (None, column)), None)
        if wrong:
            raise InputError(f"{table.path}: column {wrong[0]!r}: expected exactly {wrong[1]!r}")


def _classify(path: Path, columns: tuple[str, ...], explicit: bool) -> Table:
    present = set(columns)
    if is_flight(columns):
        return Table(path, "frames after the throw", columns)
    try:
        layout = find_layout(columns)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if layout:
        return Table(path, "tracking", columns, layout)
    ids = (GAME_NAMES, PLAY_NAMES)
    if present & RESULT_NAMES and not all(present & names for names in ids):
        missing = [sorted(names)[0] for names in ids if not present & names]
        raise InputError(f"{path}: looks like a list of plays but is missing the column(s) {', '.join(missing)}")
    player = present & PLAYER_NAMES
    if all(present & names for names in ids):
        if not player:
            return Table(path, "plays", columns)
        if present & PRESSURE_NAMES:
            return Table(path, "pressures", columns)
    elif player and present & POSITION_NAMES:
        return Table(path, "players", columns)
    elif "gameId" in present and present & {"homeTeamAbbr", "week", "season"}:
        return Table(path, "games", columns)
    if explicit and not player:
        raise InputError(
            f"{path}: neither tracking, plays, players nor games by its columns ({', '.join(columns[:8])})"
        )
    return Table(path, "unknown", columns)
