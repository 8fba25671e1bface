"""Tracking files of any known format, read into one canonical form, file by file and in bounded memory.

The canonical frames have one row a player and frame, from the snap to the release of the pass:

| column | type | unit and meaning |
| --- | --- | --- |
| game_id, play_id | Int64 | as the league numbers them |
| frame | Int32 | tenths of a second since the snap; the last one is the release |
| player_id | Int64 | the league's id; negative, from the name, where a file has none |
| name, position | String | null where neither the tracking nor a list of players tells |
| offense | Boolean | |
| x, y | Float64 | yards from the offense's own end line and its right side line; the offense moves toward +x |
| vx, vy | Float64 | yards a second |
| ax, ay | Float64 | yards a second squared, from this frame and the few before (`kinematics`) |
| orientation | Float64 | radians counter-clockwise from +x, where the shoulders face; null where not told |

The canonical plays have one row per play: `game_id, play_id, season, week, quarter, clock_s` (left in the quarter),
`down, distance` (yards), `yards_to_goal, score_difference` (offense minus defense before the snap), `home` (offense
plays at home), `team` (abbreviation, "" where unknown), `passer_id, passer, result, yards` (as the league counts),
`touchdown, outcome` (what the rules ask for, see `rules.Rules`), `time_to_throw_s` (seconds, as listed), `pressure`
(whether any defender's pressure is listed), `target_id` (to whom the ball was thrown, read where the extras ask for it,
see `targets`), `frames, ball_x, ball_y` (at the snap), `format`. What no file tells of a situation, the time to throw,
the pressure or the target, and what no situation can be, is null.

The offense's way is the file's where it tells one, and is held against where the teams stand at the snap: medians of x
that differ the other way by `passers.CLEAR_LEAD_YARDS` or more win, and are counted. The release and the frames
before it are all that is read: 2026's frames after the throw and the spot where the ball lands are not.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from sbp_jax.data.plays import PLAY
from sbp_jax.data.readers.formats import Table, find_tables
from sbp_jax.data.readers.kinematics import add_motion, smoothed_games, toward_positive_x
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
from sbp_jax.data.readers.windows import check, check_facing, cut, drop_copies
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
    """Plays of one file (or of some games of a large one) in canonical form.

    Args:
        frames: one row a player and frame.
        plays: one row per play; the columns that the rules ask for beside the situation come last.
        report: the account of the reading.
        extras: features of the players that the rules ask for.
        situation: the columns of `plays` beside the canonical ones.
    """

    frames: pl.DataFrame
    plays: pl.DataFrame
    report: ReadReport
    extras: tuple[str, ...] = ()
    situation: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sources:
    """Tracking files, and what the files beside them tell, before any tracking is read.

    Args:
        tables: the tracking files, in the order of their reading; without tracking the first list of plays, for all.
        listing: outcomes, situations, players and games.
        rules: which plays are kept.
        report: the account so far: files of other kinds.
        targets: what `targets.read_targets` returned, None where the extras do not ask for it.
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
            seen: `(game_id, play_id)` met in earlier tables, whose second copies are left out; this table's are added.
        """
        table, rules = self.tables[number], self.rules
        if not rules.tracking:
            screen = Screen(table.path, rules, ReadReport())
            plays = settle_targets(
                listed_plays(self.listing.plays, self.listing.games, screen), _NO_FRAMES, None, screen.report
            )
            screen.report.kept = len(plays)
            plays = plays.select(*PLAY_COLUMNS, *rules.situation)
            yield TrackingChunk(_NO_FRAMES, plays, screen.report, rules.extras, rules.situation)
            return
        formats = {table.layout.name: 1} if table.layout else {}
        for rows in read_rows(table):
            screen = Screen(table.path, rules, ReadReport(formats=formats))
            frames, plays = _canonical(rows, table, self.listing, seen, screen, self.targets)
            screen.report.kept, formats = len(plays), {}
            yield TrackingChunk(frames, plays, screen.report, rules.extras, rules.situation)

    def ids(self, number: int) -> set[tuple[int, int]]:
        """`(game_id, play_id)` of the plays in table `number`, where other tables may have copies of them."""
        return play_ids(self.tables[number]) if self.rules.tracking else set()

    def check_kept(self, total: ReadReport) -> None:
        """Raise InputError, with the counts by reason, if no play was kept of `total`, what all tables came to."""
        if not total.kept:
            names = ", ".join(str(table.path) for table in self.tables)
            raise InputError(f"{names[:200]}: none of {total.read} plays kept ({total.reasons()})")


def open_sources(sources: str | Path | Sequence[str | Path], rules: Rules | None = None) -> Sources:
    """Find the tracking files and read those beside them; arguments and errors as `read_tracking`."""
    rules = rules or Rules()
    tables = find_tables(sources, rules.tracking)
    for name in rules.situation:
        if name in PLAY_COLUMNS or name.endswith("_missing"):
            raise InputError(f"situation: {name} is, or is told beside, what every play has; leave it out")
        if name == rules.outcome or name in OUTCOMES:
            raise InputError(f"situation: {name} tells the outcome; leave it out")
    listing, ignored = read_listing(tables, rules.outcome, rules.situation)
    role = "tracking" if rules.tracking else "plays"
    tracking = tuple(table for table in tables if table.role == role)[: None if rules.tracking else 1]
    told = any("description" in table.layout.present(table.columns) for table in tracking if table.layout)
    if rules.tracking and listing.plays.is_empty() and not told:
        names = ", ".join(str(table.path) for table in tracking)
        raise InputError(f"{names[:200]}: no list of plays beside it; expected gameId, playId, passResult and yards")
    targets, telling = read_targets(tables) if TARGET_DEFENDERS in rules.extras else (None, [])
    report = ReadReport(ignored=[str(table.path) for table in ignored if table not in telling])
    report.repair("players listed as quarterback and as something else: position unknown", listing.doubtful)
    for table in tables:
        role = "targets" if table in telling and table in ignored else table.role
        if role not in ("tracking", "unknown"):
            report.formats[role] = report.formats.get(role, 0) + 1
    return Sources(tracking, listing, rules, report, targets)


def read_tracking(sources: str | Path | Sequence[str | Path], rules: Rules | None = None) -> Iterator[TrackingChunk]:
    """Yield the passes among `sources` chunk by chunk, sorted by game, play, player and frame within each.

    Args:
        sources: a folder, a file, or several of either; CSV, TSV or parquet, told by their columns.
        rules: which plays are kept, and whether malformed ones stop the reading.

    Raises:
        InputError: a missing path; an empty or unreadable file; a needed column missing; no tracking file; a malformed
            play where the rules say stop; after the last chunk, if no play was kept, with the counts by reason.
    """
    opened = open_sources(sources, rules)
    start = total = opened.report
    seen: set[tuple[int, int]] = set()
    for number in range(len(opened.tables)):
        for chunk in opened.read(number, seen):
            chunk, start = replace(chunk, report=start + chunk.report), ReadReport()
            total = total + chunk.report
            yield chunk
    opened.check_kept(total)


def _canonical(
    rows: pl.DataFrame,
    table: Table,
    listing: Listing,
    seen: set[tuple[int, int]],
    screen: Screen,
    targets: pl.DataFrame | None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    by_time = table.layout is not None and table.layout.clock == "time"
    rows = align_clocks(check_rate(drop_copies(rows, seen, screen), by_time, screen), screen.report)
    rows = fill_holes(settle_motion(cut(rows, screen), screen), screen.report)
    rows, plays = join_outcomes(rows, listing.plays, screen)
    rows = check(rows, screen)
    if len(listing.players):
        rows = rows.join(listing.players, on="player_id", how="left", suffix="_listed").with_columns(
            position=pl.coalesce("position", "position_listed"), name=pl.coalesce("name", "listed_name")
        )
    rows = _with_possession(rows, plays)
    found = find_offense(rows.filter(pl.col("frame") >= 0))
    rows = screen.reject(rows, rows.join(found, on=PLAY, how="anti"), "no passer")
    rows = rows.join(found.rename({"side": "offense_side", "direction": "seen_direction"}), on=PLAY).with_columns(
        offense=~pl.col("is_ball") & (pl.col("side") == pl.col("offense_side")).fill_null(value=False),
    )
    rows = settle_direction(rows, screen)
    rows = check_facing(settle_quarterbacks(rows, plays, screen), screen)
    rows = check_places(rows, screen)
    rows = turn_orientation(rows, screen)
    if table.layout and table.layout.whole_play:
        screen.report.repair("ball at the snap placed by the line of scrimmage", rows.select(PLAY).n_unique())
    plays = situations(rows, plays, listing.games, screen).with_columns(
        format=pl.lit(table.layout and table.layout.name)
    )
    rows = toward_positive_x(rows.filter(~pl.col("is_ball"))).sort(*PLAY, "player_id", "frame")
    rows = _drop_smoothed_speeds(rows, screen)
    plays = plays.join(rows, on=PLAY, how="semi")
    frames = add_motion(rows).filter(pl.col("frame") >= 0).with_columns(pl.col("frame").cast(pl.Int32))
    plays = settle_targets(plays, frames, targets, screen.report)
    return frames.select(FRAME_COLUMNS), plays.sort(PLAY).select(*PLAY_COLUMNS, *screen.rules.situation)


def _with_possession(rows: pl.DataFrame, plays: pl.DataFrame) -> pl.DataFrame:
    """Rows with the flag of possession where the list of plays names the offense as the tracking names the sides."""
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
