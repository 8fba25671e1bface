"""Source files and the tables in them, recognized by their columns in any spelling.

CSV, TSV or parquet, also gzipped or in a zip archive. A merged file counts as each of its tables. A table that looks
like a known one but is incomplete is skipped if the other files suffice.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import polars as pl

from sbp_jax.data.readers.encodings import notes_of
from sbp_jax.data.readers.files import SUFFIXES, Frame, Place, Source, is_hidden, kind, members, on_disk, places
from sbp_jax.data.readers.layouts import Layout, find_layout, is_flight
from sbp_jax.data.readers.names import find_column, has_column
from sbp_jax.data.readers.tables import collect, column_names, refuse_twice, scan
from sbp_jax.errors import InputError

UNSUPPORTED = (".xlsx", ".xls", ".7z", ".tar", ".bz2", ".xz", ".zst", ".feather", ".arrow", ".rar")
MAX_DEPTH = 3  # folders below a source: archives unpack into one, often next to others
# alternatives, best first; `find_column` covers their other spellings, so a second one only changes the order
GAME_NAMES, PLAY_NAMES = ("gameId", "old_game_id", "game_id"), ("playId",)
PLAYER_NAMES = ("nflId",)
POSITION_NAMES = ("position", "PositionAbbr", "officialPosition")
PRESSURE_NAMES = ("causedPressure",)
CODE_NAMES = ("passResult",)
FLAG_NAMES = ("complete_pass", "incomplete_pass", "interception")
RESULT_NAMES = (*CODE_NAMES, "offensePlayResult", "yards_gained")
# before the penalty if a publisher has both: playResult, yardsGained and, from 2026, yards_gained include it
GAIN_NAMES = ("prePenaltyYardsGained", "prePenaltyPlayResult", "yards_gained", "offensePlayResult", "yards")
GAIN_NAMES += ("yardsGained", "playResult")
_IDS: dict[str, tuple[str, ...]] = dict.fromkeys(("plays", "pressures", "unknown"), (*GAME_NAMES, *PLAY_NAMES))
_IDS |= {"players": PLAYER_NAMES, "games": GAME_NAMES}
WITHOUT_TRACKING = "to use the lists of plays without tracking: --no-tracking"

Role = Literal["tracking", "plays", "players", "games", "pressures", "frames after the throw", "unknown"]
_SAVE_AS_CSV = "a workbook or an archive that is not read; save its tables as CSV"
# names of files that may be required, even if they are unreadable
_REQUIRED = re.compile(r"track|week|play|game|input|coord|suppl|pbp|data", re.IGNORECASE)
_SHOWN = 8  # number of tables in a message
_DAMAGED = "unreadable: "  # prefix of a problem that stops the reading of the folder
_WORDS: dict[str, str] = {"plays": "list of plays", "players": "list of players", "games": "list of games"}
_WORDS |= {"pressures": "list of pressures", "unknown": "no known table"}


@dataclass(frozen=True)
class Table:
    """A source, a file or a frame, and the table it holds.

    Attributes:
        path: the file, its place in a zip archive, or the frame.
        role: what the table is.
        columns: the file's columns, or those of them that belong to this role.
        layout: the layout of tracking.
        merged: whether the file repeats each row of this table, once per frame or player.
        problem: why the table is skipped, if it looks like a known one.
        explicit: whether the file was named, rather than found in a folder; frames always are.
    """

    path: Place
    role: Role
    columns: tuple[str, ...]
    layout: Layout | None = None
    merged: bool = False
    problem: str = ""
    explicit: bool = False

    @property
    def file(self) -> Place:
        """The table's file on disk, its archive, or its frame."""
        return self.path if isinstance(self.path, Frame) else on_disk(self.path)

    @property
    def has_outcomes(self) -> bool:
        """Whether the table has a column of results."""
        return has_column(self.columns, {*CODE_NAMES, *FLAG_NAMES, "result", "outcome"})

    def column(self, *names: str) -> str | None:
        """Return the file's column for the first of `names`, or None; InputError if two fit equally well."""
        try:
            return find_column(self.columns, *names)
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from error

    def notes(self) -> Sequence[str]:
        """Return what the report has to mention of the file's text; InputError if it is damaged."""
        return () if self.role == "unknown" else notes_of(self.path)

    def __str__(self) -> str:
        words = self.layout.name if self.layout else _WORDS.get(self.role, self.role)
        if self.role == "plays" and not self.has_outcomes:
            words = "plays without an outcome"
        if self.role == "unknown" and self.columns:
            words = f"no known table, with the columns {', '.join(map(repr, self.columns[:4]))}"
        if self.layout and find_column(self.columns, *CODE_NAMES) and not find_column(self.columns, *GAIN_NAMES):
            words += ", merged with results but without yards"
        return f"{self.path.name} ({self.problem or words})"


def find_tables(sources: Source | Sequence[Source], tracking: bool = True) -> list[Table]:
    """Return the tables in `sources`, recognized by their columns.

    A folder counts as the files directly in it and in its subfolders with tracking. Without tracking, if these have
    no list of plays, the subfolders with lists of plays count instead. Hidden files and those of an operating system
    are skipped.

    Args:
        sources: a folder, a file, a frame, or several of them. Files are CSV, TSV or parquet, each also gzipped
            (`.csv.gz`) or in a zip archive.
        tracking: whether to require tracking and return it with all other tables; if False, require lists of plays
            and skip tracking.

    Raises:
        InputError: a path does not exist; a file is empty or unreadable; a file given by name has no known table; no
            required table exists (the message lists the tables); two columns could both be a known one.
    """
    paths = places(sources)
    tables: dict[tuple[Place, Role], Table] = {}
    for path in paths:
        for table in recognize(path, tracking):
            place = table.path if isinstance(table.path, Frame) else table.path.resolve()
            key = place, table.role  # a file named twice is one file
            tables[key] = table if key not in tables or table.explicit else tables[key]
    role = "tracking" if tracking else "plays"
    if not any(table.role == role for table in tables.values()):
        raise InputError(_no_required(", ".join(map(str, paths)), list(tables.values()), tracking))
    return [table for table in tables.values() if tracking or table.role not in ("tracking", "frames after the throw")]


def recognize(source: Place, tracking: bool = True) -> list[Table]:
    """Return the tables in one folder, file or frame, as `find_tables` does, whichever they are."""
    if isinstance(source, Frame):
        return _checked(replace(table, explicit=True) for table in _recognize(source, explicit=True))
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    return _in_folder(source, tracking) if source.is_dir() else _named(source)


def read_table(table: Table, columns: Iterable[str] | None = None) -> pl.DataFrame:
    """Return a small table (plays, players, games) with the file's own column names; InputError if unreadable.

    Args:
        table: the table; of a merged one, each row is read once.
        columns: the columns to read; all if None.
    """
    names = list(dict.fromkeys(columns)) if columns is not None else list(table.columns)
    keys = [column for column in names if find_column([column], *_IDS[table.role])]
    # ids as text keep their digits until they are checked
    types = dict.fromkeys(keys, pl.String) if kind(table.path) != ".parquet" else {}
    rows = scan(table.path, types, infer_rows=0 if table.merged else None)
    if not table.merged:
        return collect(rows.select(names) if columns is not None else rows, table.path)
    return collect(rows.select(names).unique(maintain_order=True).drop_nulls(keys), table.path)


def describe_tables(tables: Sequence[Table]) -> str:
    """Return one line with the tables' file names and roles."""
    tables = list({table.path: table for table in reversed(tables)}.values())[::-1]  # one per file
    rest = f" and {len(tables) - _SHOWN} more" if len(tables) > _SHOWN else ""
    return (", ".join(map(str, tables[:_SHOWN])) + rest) if tables else "no CSV, TSV or parquet file at all"


def _no_required(names: str, tables: Sequence[Table], tracking: bool) -> str:
    """Message that the required table is missing: which tables there are instead, and what to do."""
    phrase = "looks like tracking" if tracking else "list of plays"
    problem = next((table for table in tables if phrase in table.problem), None)
    if problem:
        return f"{problem.path}: {problem.problem}"
    roles = {table.role for table in tables}
    if not tracking:
        missing = "no list of plays found (CSV, TSV or parquet with the columns gameId, playId, passResult and yards)"
        return f"{names}: {missing}, found {describe_tables(tables)}; put the publisher's plays file next to it"
    missing = "no tracking file found (CSV, TSV or parquet with the columns x, y, gameId, playId)"
    todo = "put the publisher's tracking files next to it"
    if "frames after the throw" in roles:
        todo = "the output files hold frames after the throw only; put the input files, with the frames before it, here"
    elif any(table.role == "plays" and table.has_outcomes for table in tables):
        todo += f", or, {WITHOUT_TRACKING}"
    return f"{names}: {missing}, found {describe_tables(tables)}; {todo}"


def _named(path: Path) -> list[Table]:
    if path.suffix.lower() == ".zip":
        inside = members(path)
        if not inside:
            raise InputError(f"{path}: the archive has no CSV, TSV or parquet file")
        return [table for member in inside for table in _checked(_recognize(member))]
    return _checked(replace(table, explicit=True) for table in _recognize(path, explicit=True))


def _checked(tables: Iterable[Table]) -> list[Table]:
    """The tables, if none of their files is unreadable; InputError otherwise."""
    tables = list(tables)
    for table in tables:
        if table.problem.startswith(_DAMAGED):
            raise InputError(table.problem.removeprefix(_DAMAGED))
        if table.explicit and table.problem:
            raise InputError(f"{table.path}: {table.problem}")
    return tables


def _in_folder(folder: Path, tracking: bool) -> list[Table]:
    tables = _inside(folder, "tracking", set())
    if not tracking and not any(table.role == "plays" for table in tables):
        tables = _inside(folder, "plays", set())
    return _checked(tables)


def _inside(folder: Path, role: Role, seen: set[Path], depth: int = 0) -> list[Table]:
    """The tables of a folder, and of those subfolders that have a table of `role`; others may have results."""
    seen.add(folder.resolve())
    try:
        visible = sorted(p for p in folder.iterdir() if not is_hidden(p))
    except PermissionError:
        if depth == 0:
            raise InputError(f"{folder}: the folder cannot be read (permission denied)") from None
        return [Table(folder, "unknown", (), problem="a folder that cannot be read (permission denied)")]
    files = [path for path in visible if path.is_file()]
    tables = [table for path in files if kind(path) in SUFFIXES for table in _recognize(path)]
    for archive in (path for path in files if path.suffix.lower() == ".zip"):
        try:
            inside = _only_packed(archive)
        except InputError as error:
            tables.append(Table(archive, "unknown", (), problem=str(error).removeprefix(f"{archive}: ")))
        else:
            tables += [table for path in inside for table in _recognize(path)]
    unread = [path for path in files if path.suffix.lower() in UNSUPPORTED]
    tables += [Table(path, "unknown", (), problem=_SAVE_AS_CSV) for path in unread]
    for deeper in visible:
        if depth < MAX_DEPTH and deeper.is_dir() and deeper.resolve() not in seen:
            inner = _inside(deeper, role, seen, depth + 1)
            tables += inner if any(table.role == role for table in inner) else []
    return tables


def _only_packed(archive: Path) -> list[Path]:
    """The tables in an archive, without those that are also unpacked next to it or in a subfolder."""
    levels = ("/".join("*" * depth) for depth in range(1, MAX_DEPTH + 2))
    copies = {(p.name, p.stat().st_size) for level in levels for p in archive.parent.glob(level) if p.is_file()}
    return [path for path, size in members(archive).items() if (path.name, size) not in copies]


def _recognize(path: Place, explicit: bool = False) -> list[Table]:
    """The tables in a file: one, or several if they are merged; an error becomes the table's `problem`."""
    try:
        columns = column_names(path)
    except InputError as error:
        if explicit or _REQUIRED.search(path.name):
            return [Table(path, "unknown", (), problem=f"{_DAMAGED}{error}")]
        return [Table(path, "unknown", (), problem=str(error).removeprefix(f"{path}: "))]
    try:
        table = _classify(path, columns, explicit)
        tables = [table, *_merged(table)]
    except InputError as error:
        return [Table(path, "unknown", columns, problem=str(error).removeprefix(f"{path}: "))]
    if table.role == "unknown":
        return tables
    try:
        refuse_twice(path, columns)
    except InputError as error:
        return [Table(path, "unknown", columns, problem=f"{_DAMAGED}{error}")]
    return tables


def _merged(table: Table) -> list[Table]:
    """The lists that a tracking table repeats in its rows: plays, games and players."""
    if table.layout is None:
        return []
    names = table.layout.present(table.columns)
    keys = (names["game_id"], names["play_id"])
    rest = tuple(column for column in table.columns if column in keys or column not in names.values())
    parts = []
    has_result = find_column(rest, *CODE_NAMES) or all(find_column(rest, name) for name in FLAG_NAMES)
    if has_result and find_column(rest, *GAIN_NAMES):
        parts.append(Table(table.path, "plays", rest, merged=True))
    if any(find_column(rest, name) for name in ("homeTeamAbbr", "week", "season")):
        parts.append(Table(table.path, "games", tuple(c for c in rest if c != keys[1]), merged=True))
    position = find_column(rest, *POSITION_NAMES)
    if "position" not in names and position:
        parts.append(Table(table.path, "players", (names["player_id"], position), merged=True))
    return parts


def _classify(path: Place, columns: tuple[str, ...], explicit: bool) -> Table:
    if is_flight(columns):
        return Table(path, "frames after the throw", columns)
    layout = find_layout(columns)
    if layout:
        layout.present(columns)  # InputError if two columns could both be one of the layout's
        return Table(path, "tracking", columns, layout)
    ids = [find_column(columns, *names) for names in (GAME_NAMES, PLAY_NAMES)]
    if find_column(columns, *RESULT_NAMES) and not all(ids):
        names = (GAME_NAMES[0], PLAY_NAMES[0])
        missing = ", ".join(name for name, column in zip(names, ids, strict=True) if not column)
        raise InputError(f"looks like a list of plays but is missing the column(s) {missing}")
    player = find_column(columns, *PLAYER_NAMES)
    if all(ids):
        if not player:
            return Table(path, "plays", columns)
        if find_column(columns, *PRESSURE_NAMES):
            return Table(path, "pressures", columns)
        if find_column(columns, *CODE_NAMES) and find_column(columns, *GAIN_NAMES):
            return Table(path, "plays", tuple(column for column in columns if column != player), merged=True)
    elif player and find_column(columns, *POSITION_NAMES):
        return Table(path, "players", columns)
    elif ids[0] and (
        has_column(columns, {"homeTeamAbbr"}) or ("gameId" in columns and {"week", "season"} & {*columns})
    ):
        return Table(path, "games", columns)
    if explicit and not player:
        raise InputError(f"neither tracking, plays, players nor games by its columns ({', '.join(columns[:8])})")
    return Table(path, "unknown", columns)
