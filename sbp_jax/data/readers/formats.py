"""Source files: which table each holds, told by its columns, and its content. CSV, TSV or parquet, also gzipped."""

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
POSITION_NAMES = {"position", "PositionAbbr", "positionAbbr", "officialPosition"}
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
    return sorted(p for p in folder.iterdir() if p.is_file() and kind(p) in SUFFIXES)


def _recognize(path: Path, given: bool) -> Table:
    table = _told_by_columns(path, column_names(path), given)
    if table.role == "unknown":
        _refuse_misspelt(table)
    else:
        refuse_twice(path, table.columns)
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
