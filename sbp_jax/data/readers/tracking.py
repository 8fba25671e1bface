"""Read tracking files of any known layout into one canonical form, file by file and in bounded memory.

The page `docs/explanation/tracking-data.md` describes the canonical frames and plays and the rules of the reading.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import polars as pl

from sbp_jax.data.plays import PLAY
from sbp_jax.data.readers.files import Frame, Source
from sbp_jax.data.readers.formats import WITHOUT_TRACKING, Table, describe_tables, find_tables
from sbp_jax.data.readers.identity import number_players
from sbp_jax.data.readers.kinematics import add_motion, smoothed_games, toward_positive_x
from sbp_jax.data.readers.names import plain
from sbp_jax.data.readers.passers import find_offense, settle_direction, settle_quarterbacks, turn_orientation
from sbp_jax.data.readers.play_lists import OUTCOMES, Listing, read_listing
from sbp_jax.data.readers.repairs import align_clocks, fill_holes
from sbp_jax.data.readers.report import ReadReport
from sbp_jax.data.readers.rows import play_ids, read_rows
from sbp_jax.data.readers.rules import TARGET_DEFENDERS, Rules
from sbp_jax.data.readers.screen import Screen
from sbp_jax.data.readers.situations import join_outcomes, listed_plays, situations
from sbp_jax.data.readers.targets import read_targets, settle_targets
from sbp_jax.data.readers.units import check_places, check_rate, settle_motion, settle_pace
from sbp_jax.data.readers.unknowns import count_unknown, reasons_unknown
from sbp_jax.data.readers.windows import check, check_facing, check_line, cut, drop_copies
from sbp_jax.errors import InputError

FRAME_COLUMNS = (*PLAY, "frame", "player_id", "name", "position", "offense", "x", "y", "vx", "vy", "ax", "ay")
FRAME_COLUMNS += ("orientation",)
SITUATION = ("season", "week", "quarter", "clock_s", "down", "distance", "yards_to_goal", "score_difference", "home")
PLAY_COLUMNS = (*PLAY, *SITUATION, "team", "passer_id", "passer", "result", "yards", "touchdown", "outcome")
PLAY_COLUMNS += ("time_to_throw_s", "pressure", "target_id", "frames", "ball_x", "ball_y", "format")
_KINDS = {"name": pl.String, "position": pl.String, "offense": pl.Boolean, "frame": pl.Int32}
_KINDS |= dict.fromkeys((*PLAY, "player_id"), pl.Int64)
_NO_FRAMES = pl.DataFrame(schema={name: _KINDS.get(name, pl.Float64) for name in FRAME_COLUMNS})


@dataclass(frozen=True)
class TrackingChunk:
    """Plays of one file, or of some games of a large file, in canonical form.

    Args:
        frames: one row per player and frame.
        plays: one row per play; columns that the rules add to the situation come last.
        report: counts of this reading.
        extras: features of the players that the rules ask for.
        situation: columns of `plays` in addition to the canonical ones.
    """

    frames: pl.DataFrame
    plays: pl.DataFrame
    report: ReadReport
    extras: tuple[str, ...] = ()
    situation: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sources:
    """Tracking files and the contents of the other files, before any tracking is read.

    Args:
        tables: the tracking files in reading order; without tracking, the first list of plays stands for all lists.
        listing: outcomes, situations, players and games.
        rules: selection of plays.
        report: counts so far, of files of other kinds.
        targets: the result of `targets.read_targets`, or None if the extras do not need it.
    """

    tables: tuple[Table, ...]
    listing: Listing
    rules: Rules
    report: ReadReport
    targets: pl.DataFrame | None = None

    def read(self, number: int, seen: set[tuple[int, int]]) -> Iterator[TrackingChunk]:
        """Yield the passes of table `number`, as `read_tracking` does.

        Args:
            number: index into `tables`.
            seen: `(game_id, play_id)` of earlier tables, whose second copies are dropped; this table's are added.
        """
        table, rules = self.tables[number], self.rules
        if not rules.tracking:
            screen = Screen(table.path, rules, ReadReport())
            lists = self.listing
            plays = listed_plays(lists.plays, lists.games, lists.players, screen)
            plays = settle_targets(plays, _NO_FRAMES, None, screen.report)
            screen.report.kept = len(plays)
            count_unknown(plays, (*SITUATION, "team"), screen.report)
            plays = plays.select(*PLAY_COLUMNS, *rules.situation)
            yield TrackingChunk(_NO_FRAMES, plays, screen.report, rules.extras, rules.situation)
            return
        formats = {table.layout.name: 1} if table.layout else {}
        for rows in read_rows(table):
            screen = Screen(table.path, rules, ReadReport(formats=formats))
            frames, plays = _canonical(rows, table, self.listing, seen, screen, self.targets)
            screen.report.kept, formats = len(plays), {}
            count_unknown(plays, (*SITUATION, "team"), screen.report)
            yield TrackingChunk(frames, plays, screen.report, rules.extras, rules.situation)

    def ids(self, number: int) -> set[tuple[int, int]]:
        """Return `(game_id, play_id)` of the plays in table `number`, of which other tables may have copies."""
        return play_ids(self.tables[number]) if self.rules.tracking else set()

    def check_kept(self, total: ReadReport) -> None:
        """Raise InputError, with the counts by reason, if `total`, the report of all tables, has no accepted play."""
        if not total.kept:
            names = ", ".join(str(table.path) for table in self.tables)
            message = f"{names[:200]}: none of {total.read} plays kept ({total.reasons()})"
            raise InputError("; ".join((message, *self._advice(total))))

    def _advice(self, total: ReadReport) -> list[str]:
        """What explains that no play is kept, and what to do."""
        notes = list(dict.fromkeys(table.layout.note for table in self.tables if table.layout and table.layout.note))
        if notes and total.rejected.keys() & {"no snap", "no release"}:
            of_frames = any(isinstance(table.path, Frame) for table in self.tables)
            return [*notes, "leave tracking out to use the list of plays alone" if of_frames else WITHOUT_TRACKING]
        if total.read and total.rejected.get("no outcome listed") == total.read:
            return ["no list of plays has the gameId and playId of this tracking; put the list of its own games here"]
        return []


def open_sources(sources: Source | Sequence[Source], rules: Rules | None = None) -> Sources:
    """Find the tracking files and read all other tables; arguments and errors as in `read_tracking`."""
    rules = rules or Rules()
    tables = find_tables(sources, rules.tracking)
    for name in rules.situation:
        if name in PLAY_COLUMNS or name.endswith("_missing"):
            raise InputError(f"situation: {name} is reserved for a column of every play; leave it out")
        if plain(name) in {plain(column) for column in (rules.outcome, *OUTCOMES)}:
            raise InputError(f"situation: {name} reveals the outcome; leave it out")
    listing, others = read_listing(tables, rules.outcome, rules.situation)
    if not rules.tracking and not any(table.role == "plays" and table not in others for table in tables):
        names = ", ".join(str(table.path) for table in others)
        expected = "expected gameId, playId, passResult and yards"
        raise InputError(f"{names[:200]}: no list of plays with outcomes; {expected}, found {describe_tables(tables)}")
    role = "tracking" if rules.tracking else "plays"
    tracking = tuple(table for table in tables if table.role == role)[: None if rules.tracking else 1]
    has_descriptions = any("description" in table.layout.present(table.columns) for table in tracking if table.layout)
    if rules.tracking and listing.plays.is_empty() and not has_descriptions:
        names = ", ".join(str(table.path) for table in tracking)
        problem = next((table for table in others if "list of plays" in table.problem), None)
        if problem:
            raise InputError(f"{problem.path}: {problem.problem}")
        notes = "".join(f"; {table.layout.note}" for table in tracking[:1] if table.layout and table.layout.note)
        raise InputError(
            f"{names[:200]}: no list of plays next to it; expected gameId, playId, passResult and yards, found "
            f"{describe_tables(tables)}; put the publisher's plays file of these games next to it{notes}"
        )
    targets, sources_of_targets = read_targets(tables) if TARGET_DEFENDERS in rules.extras else (None, [])
    ignored = [table for table in others if table not in sources_of_targets]
    report = ReadReport(ignored=[_mention(table) for table in ignored])
    report.reasons_unknown = reasons_unknown(listing.plays, listing.games)
    report.repair("players listed as quarterback and as something else: position unknown", listing.doubtful)
    for note in (note for table in {table.path: table for table in tables}.values() for note in table.notes()):
        report.repair(note, 1)
    skipped = {(table.path, table.role) for table in ignored}
    for table in tables:
        role = "targets" if table in sources_of_targets and table in others else table.role
        if role not in ("tracking", "unknown") and (table.path, table.role) not in skipped:
            report.formats[role] = report.formats.get(role, 0) + 1
    return Sources(tracking, listing, rules, report, targets)


def read_tracking(sources: Source | Sequence[Source], rules: Rules | None = None) -> Iterator[TrackingChunk]:
    """Yield the passes in `sources` chunk by chunk, each sorted by game, play, player and frame.

    Args:
        sources: a folder, a file, a frame, or several of them; CSV, TSV or parquet, recognized by their columns.
        rules: selection of plays, and whether a malformed play stops the reading.

    Raises:
        InputError: a path is missing; a file is empty or unreadable; a needed column is missing; there is no tracking
            file; a play is malformed and the rules say "raise"; after the last chunk, no play was accepted (the message
            has the counts by reason).
    """
    source = open_sources(sources, rules)
    start = total = source.report
    keys: set[tuple[int, int]] = set()
    for number in range(len(source.tables)):
        for chunk in source.read(number, keys):
            chunk, start = replace(chunk, report=start + chunk.report), ReadReport()
            total = total + chunk.report
            yield chunk
    source.check_kept(total)


def _mention(table: Table) -> str:
    return f"{table.path}: {table.problem}" if table.problem else str(table.path)


def _canonical(
    rows: pl.DataFrame,
    table: Table,
    listing: Listing,
    keys: set[tuple[int, int]],
    screen: Screen,
    targets: pl.DataFrame | None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    rows = number_players(rows, listing.games, screen.report)
    by_time = table.layout is not None and table.layout.clock == "time"
    rows = align_clocks(check_rate(drop_copies(rows, keys, screen), by_time, screen), screen.report)
    rows = fill_holes(settle_motion(cut(rows, screen), screen), screen.report)
    rows, plays = join_outcomes(rows, listing.plays, screen)
    rows = check(rows, screen)
    if len(listing.players):
        rows = rows.join(listing.players, on="player_id", how="left", suffix="_listed").with_columns(
            position=pl.coalesce("position", "position_listed"), name=pl.coalesce("name", "listed_name")
        )
        unlisted = rows.filter(~pl.col("is_ball"), pl.col("position").is_null()).select("player_id").unique()
        unlisted = len(unlisted.join(listing.players, on="player_id", how="anti"))
        screen.report.repair("players who are not in the list of players: position unknown", unlisted)
    rows = _with_possession(rows, plays)
    passers = find_offense(rows.filter(pl.col("frame") >= 0))
    rows = screen.reject(rows, rows.join(passers, on=PLAY, how="anti"), "no passer")
    rows = rows.join(passers.rename({"side": "offense_side", "direction": "seen_direction"}), on=PLAY).with_columns(
        offense=~pl.col("is_ball") & (pl.col("side") == pl.col("offense_side")).fill_null(value=False),
    )
    rows = settle_direction(rows, screen)
    rows = check_facing(settle_quarterbacks(rows, plays, screen), screen)
    rows = check_places(check_line(rows, screen), screen)
    rows = turn_orientation(rows, screen)
    if table.layout and table.layout.whole_play:
        screen.report.repair("ball at the snap placed by the line of scrimmage", rows.select(PLAY).n_unique())
    plays = situations(rows, plays, listing.games, screen).with_columns(
        format=pl.lit(table.layout and table.layout.name)
    )
    rows = rows.join(plays, on=PLAY, how="semi")
    rows = toward_positive_x(rows.filter(~pl.col("is_ball"))).sort(*PLAY, "player_id", "frame")
    rows = _drop_smoothed_speeds(rows, screen)
    plays = plays.join(rows, on=PLAY, how="semi")
    frames = add_motion(rows).filter(pl.col("frame") >= 0).with_columns(pl.col("frame").cast(pl.Int32))
    plays = settle_targets(plays, frames, targets, screen.report)
    return frames.select(FRAME_COLUMNS), plays.sort(PLAY).select(*PLAY_COLUMNS, *screen.rules.situation)


def _with_possession(rows: pl.DataFrame, plays: pl.DataFrame) -> pl.DataFrame:
    """Rows with a possession flag, if the list of plays names the offense as the tracking names the sides."""
    if "possession" in rows.columns:
        return rows
    rows = rows.join(plays.select(*PLAY, "possession_team"), on=PLAY, how="left", maintain_order="left")
    return rows.with_columns(possession=(pl.col("side") == pl.col("possession_team")).cast(pl.Int64)).drop(
        "possession_team"
    )


def _drop_smoothed_speeds(rows: pl.DataFrame, screen: Screen) -> pl.DataFrame:
    games = smoothed_games(rows)
    rows = settle_pace(rows, games, screen)
    smoothed = pl.col("game_id").is_in(games)
    plays = rows.filter(smoothed).select(PLAY).n_unique()
    screen.report.repair("plays with speeds smoothed over the future: derived from the positions", plays)
    return rows.with_columns(s=pl.when(~smoothed).then("s")) if plays else rows
