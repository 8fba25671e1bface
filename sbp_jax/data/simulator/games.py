"""Simulate games and write them as files: blocks of games, the tables of the 2021 layout, weeks, processes.

Each week is written as a tracking file, optionally by several processes; the result does not depend on their number.
The tables of the truth complement those of the Big Data Bowl 2021 layout.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path

import numpy as np
import polars as pl

from sbp_jax.data.simulator.config import Distribution
from sbp_jax.data.simulator.course import (
    Coefficients,
    CourseParameters,
    CourseView,
    course_parameters,
    view_course,
)
from sbp_jax.data.simulator.league import TEAMS, Game, League
from sbp_jax.data.simulator.measurement import SNAP_FRAME, Measured, draw_noise, measure, one_frame
from sbp_jax.data.simulator.motion import (
    EVENTS,
    MAX_FRAMES,
    Play,
    Steering,
    draw_course,
    finish,
    run_to_release,
)
from sbp_jax.data.simulator.play import (
    DEFENSE,
    ELIGIBLE,
    HALF_WIDTH_YARDS,
    QUARTERBACK,
    ROUTES,
    Call,
    Concept,
    Formation,
    Situation,
    call_plays,
    draw_situations,
    line_up,
)
from sbp_jax.data.simulator.release import ReleaseParameters, ReleaseView, release_parameters, view_release
from sbp_jax.data.simulator.season import Week
from sbp_jax.data.simulator.streams import GameBlock, GameStreams, Purpose
from sbp_jax.data.simulator.throw import COMPLETE, INTERCEPTED, Outcomes
from sbp_jax.errors import InputError

FIELD_LENGTH_YARDS, FIELD_WIDTH_YARDS = 120.0, 2 * HALF_WIDTH_YARDS
_NANOSECONDS = 1_000_000_000
_KICKOFF_HOUR_UTC = 17


def tracking_table(
    situation: Situation,
    games: Sequence[Game],
    formation: Formation,
    call: Call,
    play: Play,
    measured: Measured,
    league: League,
) -> pl.DataFrame:
    """Return one row per body and frame, as in the 2021 files; frames in order, the ball last in each."""
    bodies = 23
    live = np.arange(play.motion.position.shape[1]) < play.frames[:, None]
    which, frame = np.nonzero(live)
    ids = league.players["nflId"].to_numpy()[formation.player]
    order = np.concatenate([np.argsort(ids, axis=1), np.full((len(ids), 1), bodies - 1)], axis=1)[which]
    rows = (which[:, None], frame[:, None], order)
    row_play, is_ball = np.repeat(which, bodies), order.ravel() == bodies - 1
    leftward = ~situation.rightward[row_play]

    x, y = _field_position(situation, measured)
    columns: dict[str, np.ndarray] = {}
    coordinates = {"x": (FIELD_LENGTH_YARDS, x[rows].ravel()), "y": (FIELD_WIDTH_YARDS, y[rows].ravel())}
    for name, (size, value) in coordinates.items():
        columns[name] = np.round(np.where(leftward, size - value, value), 2)
    distance = np.hypot(*(np.diff(value, axis=1, prepend=value[:, :1]) for value in (x, y)))
    distance[:, 0, :22] = 0.1 * measured.speed[:, 0]
    columns["dis"] = np.round(distance[rows].ravel(), 2)
    ball_speed = 10 * distance[..., 22:]
    earlier = np.concatenate([np.repeat(ball_speed[:, :1], 5, axis=1), ball_speed[:, :-5]], axis=1)
    ball_acceleration = np.abs(ball_speed - earlier) / 0.5  # over half a second, as smooth as the real files
    for name, player, ball in (("s", measured.speed, ball_speed), ("a", measured.acceleration, ball_acceleration)):
        columns[name] = np.round(np.concatenate([player, ball], axis=2)[rows].ravel(), 2)
    no_angle = np.full((*measured.speed.shape[:2], 1), np.nan)
    for name, angle in (("o", measured.orientation), ("dir", measured.direction)):
        clockwise = 90.0 - np.concatenate([angle, no_angle], axis=2)[rows].ravel() + np.where(leftward, 180.0, 0.0)
        columns[name] = np.round(clockwise % 360.0, 2) % 360.0

    roster = np.concatenate([formation.player, np.full((len(ids), 1), league.players.height)], axis=1)
    person = pl.Series(roster[which[:, None], order].ravel())
    away_body = np.concatenate([np.zeros((1, 11)), np.ones((1, 11)), [[2]]], axis=1).astype(int)
    side = np.where(away_body < 2, away_body ^ ~situation.home_offense[:, None], 2)
    route = np.full((len(ids), bodies), ROUTES.index(""))
    route[:, ELIGIBLE] = call.route
    people = _people(league)
    table = pl.DataFrame({name: columns[name] for name in ("x", "y", "s", "a", "dis", "o", "dir")})
    return table.select(
        _times(situation, games, which, frame, bodies),
        pl.col("x", "y", "s", "a", "dis"),
        pl.when(pl.Series(~is_ball)).then(pl.col("o", "dir")),
        _lookup("event", EVENTS, np.repeat(play.event[live], bodies)),
        people["nflId"].gather(person),
        people["displayName"].gather(person),
        people["jerseyNumber"].gather(person),
        people["position"].gather(person),
        pl.Series("frameId", np.repeat(frame + 1.0, bodies)),
        _lookup("team", ("home", "away", "football"), side[which[:, None], order].ravel()),
        pl.Series("gameId", np.array([game.game_id for game in games], float)[situation.game][row_play]),
        pl.Series("playId", situation.play_id[row_play].astype(float)),
        _lookup("playDirection", ("right", "left"), leftward.astype(int)),
        _lookup("route", (*ROUTES[:-1], None), route[which[:, None], order].ravel()),
    )


def plays_table(
    situation: Situation,
    games: Sequence[Game],
    formation: Formation,
    outcomes: Outcomes,
    quarterback_name: list[str],
) -> pl.DataFrame:
    """Return one row per play, in the columns of plays.csv."""
    home, away = (np.array([TEAMS[getattr(game, side)] for game in games])[situation.game] for side in ("home", "away"))
    offense, defense = np.where(situation.home_offense, home, away), np.where(situation.home_offense, away, home)
    own_half = situation.to_goal > 50
    side = pl.Series(np.where(own_half, offense, defense))
    standing = formation.start[:, DEFENSE]
    in_box = (standing[..., 0] < 8.0) & (np.abs(standing[..., 1] - formation.ball_y[:, None]) < 6.0)
    minutes = [f"{seconds // 60:02d}:{seconds % 60:02d}" for seconds in situation.clock_s.tolist()]
    description = [
        f"({clock}) {name} pass "
        + {COMPLETE: f"complete for {yards} yards", INTERCEPTED: "INTERCEPTED"}.get(result, "incomplete")
        for clock, name, result, yards in zip(
            minutes, quarterback_name, outcomes.result, outcomes.yards.tolist(), strict=True
        )
    ]
    return pl.DataFrame(
        {
            "gameId": np.array([game.game_id for game in games])[situation.game],
            "playId": situation.play_id,
            "playDescription": description,
            "quarter": situation.quarter,
            "down": situation.down,
            "yardsToGo": situation.to_go,
            "possessionTeam": offense,
            "playType": "play_type_pass",
            "yardlineSide": pl.select(pl.when(pl.Series(situation.to_goal != 50)).then(side)).to_series(),
            "yardlineNumber": np.where(own_half, 100 - situation.to_goal, situation.to_goal),
            "offenseFormation": np.where(formation.shotgun, "SHOTGUN", "SINGLEBACK"),
            "defendersInTheBox": in_box.sum(axis=1),
            "numberOfPassRushers": formation.rushers,
            "typeDropback": "TRADITIONAL",
            "preSnapVisitorScore": situation.away_score,
            "preSnapHomeScore": situation.home_score,
            "gameClock": [f"{clock}:00" for clock in minutes],
            "absoluteYardlineNumber": np.where(situation.rightward, 110 - situation.to_goal, 10 + situation.to_goal),
            "passResult": outcomes.result,
            "offensePlayResult": outcomes.yards,
            "playResult": outcomes.net_yards,
            "isDefensivePI": False,
        },
    )


def games_table(games: Sequence[Game]) -> pl.DataFrame:
    """Return one row per game, in the columns of games.csv."""
    return pl.DataFrame(
        {
            "gameId": [game.game_id for game in games],
            "season": [game.season for game in games],
            "week": [game.week for game in games],
            "gameDate": [f"{game.day:%m/%d/%Y}" for game in games],
            "gameTimeEastern": "13:00:00",
            "homeTeamAbbr": [TEAMS[game.home] for game in games],
            "visitorTeamAbbr": [TEAMS[game.away] for game in games],
        }
    )


def truth_table(
    situation: Situation,
    games: Sequence[Game],
    formation: Formation,
    call: Call,
    target: np.ndarray,
    view: ReleaseView | CourseView,
    parameters: ReleaseParameters | CourseParameters,
    outcomes: Outcomes,
    skill: np.ndarray,
    league: League,
) -> pl.DataFrame:
    """Return one row per play: the distribution's parameters, the passer's skill, and latent variables for
    diagnosis."""
    rows = np.arange(len(skill))
    ids = league.players["nflId"].to_numpy()[formation.player]
    facts = {
        "gameId": np.array([game.game_id for game in games])[situation.game],
        "playId": situation.play_id,
        "passer_nflId": ids[:, QUARTERBACK],
        "target_nflId": ids[rows, ELIGIBLE.start + target],
        "skill": skill,
        "concept": np.array([concept.name.lower() for concept in Concept])[call.concept],
        "man_coverage": call.man,
        "tightness": formation.tightness,
        "release_frames": call.release + 1,
        **_of_view(view, target),
        "result": outcomes.result,
        "catch_yards": outcomes.catch_yards,
        "yards": outcomes.yards,
        "net_yards": outcomes.net_yards,
    }
    return pl.DataFrame(facts | {name: getattr(parameters, name) for name in parameters.names()})


def _of_view(view: ReleaseView | CourseView, target: np.ndarray) -> dict[str, np.ndarray]:
    """What was measured, for diagnosis, of the receiver to whom the pass was thrown."""
    if isinstance(view, ReleaseView):
        gap = view.pressure_gap
        return {"separation_yards": view.separation, "room_yards": view.room, "pressure_gap_yards": gap}
    rows = np.arange(len(target))
    values = {field.name: getattr(view, field.name) for field in fields(view)}
    return {f"seen_{name}": value if value.ndim == 1 else value[rows, target] for name, value in values.items()}


def _field_position(situation: Situation, measured: Measured) -> tuple[np.ndarray, np.ndarray]:
    """Positions on the field of an offense that moves right (yards), [plays, frames, 23] each."""
    line = (FIELD_LENGTH_YARDS - 10.0 - situation.to_goal)[:, None, None]
    return measured.x + line, measured.y + HALF_WIDTH_YARDS


def _people(league: League) -> pl.DataFrame:
    """Columns of the tracking rows that describe a player, with the ball as the last row."""
    players = league.players.select(
        pl.col("nflId").cast(pl.Float64), "displayName", pl.col("jerseyNumber").cast(pl.Float64), "position"
    )
    return pl.concat([players, pl.DataFrame({"displayName": ["Football"]})], how="diagonal")


def _lookup(name: str, values: tuple[str | None, ...], codes: np.ndarray) -> pl.Series:
    return pl.Series(name, values, dtype=pl.String).gather(pl.Series(codes))


def _times(situation: Situation, games: Sequence[Game], which: np.ndarray, frame: np.ndarray, bodies: int) -> pl.Series:
    """Wall-clock time of the rows: the game's seconds stretched to three hours, then ten frames per second."""
    kickoff = np.array(
        [
            int(datetime(game.day.year, game.day.month, game.day.day, _KICKOFF_HOUR_UTC, tzinfo=UTC).timestamp())
            for game in games
        ]
    )
    elapsed = situation.quarter * 900 - situation.clock_s
    order = situation.play_id % 60  # plays with the same game clock still start at different times
    start = (kickoff[situation.game] + 3 * elapsed + order).astype(np.int64) * _NANOSECONDS
    nanoseconds = start[which] + frame.astype(np.int64) * (_NANOSECONDS // 10)
    return pl.Series("time", np.repeat(nanoseconds, bodies)).cast(pl.Datetime("ns"))


_PLAYS_PER_BLOCK = 530  # simulated at once; bounds memory


@dataclass(frozen=True)
class Recipe:
    """How plays are simulated.

    Attributes:
        seed: of everything before the outcome.
        outcome_seed: of the outcome.
        distribution: "course" or "release".
        perturb: see `Coefficients.perturbed`.
    """

    seed: int
    outcome_seed: int
    distribution: Distribution = "course"
    perturb: int | None = None


@dataclass(frozen=True)
class Block:
    """Tables of some games, and the points of home and away team, [games, 2], if plays alone determine them."""

    tracking: pl.DataFrame
    plays: pl.DataFrame
    truth: pl.DataFrame
    points: np.ndarray


def simulate_games(games: Sequence[Game], block: GameBlock, recipe: Recipe, league: League) -> Block:
    """Simulate the block's plays of `games`, at least one play each, thrown by the quarterbacks of `league`."""
    situation = draw_situations(games, recipe.seed, block)
    home, away, home_passer, away_passer = (
        np.array([getattr(game, name) for game in games])[situation.game]
        for name in ("home", "away", "home_quarterback", "away_quarterback")
    )
    offense, defense = np.where(situation.home_offense, home, away), np.where(situation.home_offense, away, home)
    slot = np.where(situation.home_offense, home_passer, away_passer)
    skill = league.skill[offense, slot]

    calls = GameStreams(recipe.seed, Purpose.CALL, block)
    formation = line_up(situation, (offense, defense), league.passer[offense, slot], calls)
    call, course = call_plays(situation, formation, calls), None
    if recipe.distribution == "course":
        course = draw_course(call, situation.down, GameStreams(recipe.seed, Purpose.COURSE, block))
        call = replace(call, release=call.release + course.delay)
    steering = Steering(formation, call, situation.to_goal, GameStreams(recipe.seed, Purpose.MOTION, block), course)
    before = run_to_release(steering)
    noise = draw_noise(GameStreams(recipe.seed, Purpose.MEASUREMENT, block), MAX_FRAMES)
    chance = GameStreams(recipe.outcome_seed, Purpose.OUTCOME, block)
    # from reported instead of true values, so that the files determine the distribution
    if recipe.distribution == "course":
        view = view_course(measure(before, None, noise), SNAP_FRAME + call.release, situation.to_goal)
        parameters = course_parameters(view, situation, Coefficients.perturbed(recipe.perturb))
        throw = parameters.drawn(chance)
        target = throw.target
    else:
        release = one_frame(before, noise, SNAP_FRAME + call.release)
        view = _view(measure(release[0], None, release[1]), situation)
        throw = parameters = release_parameters(view, situation)
        target = view.target

    outcomes = throw.draw(skill, chance)
    play = finish(steering, before, call, formation, target, outcomes)
    measured = measure(play.motion, play.ball, noise)
    names = league.players["displayName"].gather(pl.Series(formation.player[:, QUARTERBACK])).to_list()
    return Block(
        tracking=tracking_table(situation, games, formation, call, play, measured, league),
        plays=plays_table(situation, games, formation, outcomes, names),
        truth=truth_table(situation, games, formation, call, target, view, parameters, outcomes, skill, league),
        points=_points(games, situation, league, chance),
    )


def _view(release: Measured, situation: Situation) -> ReleaseView:
    """The view of the release that determines the distribution."""
    position = np.stack([release.x[:, 0], release.y[:, 0]], axis=-1)
    direction = np.deg2rad(release.direction[:, 0])
    velocity = release.speed[:, 0, :, None] * np.stack([np.cos(direction), np.sin(direction)], axis=-1)
    return view_release(position, velocity, np.deg2rad(release.orientation[:, 0, QUARTERBACK]), situation.to_goal)


def _points(games: Sequence[Game], situation: Situation, league: League, chance: GameStreams) -> np.ndarray:
    """Last score plus closing drives, more of them for the better quarterback; [games, 2]."""
    last = np.searchsorted(situation.game, np.arange(len(games)), side="right") - 1
    drive = chance.uniform(0, 1, 2)[last]
    quarterbacks = [(league.skill[g.home, g.home_quarterback], league.skill[g.away, g.away_quarterback]) for g in games]
    edge = np.array([[home - away, away - home] for home, away in quarterbacks])
    closing = 7 * np.floor(2.6 * drive * np.exp(0.35 * edge)).astype(int)
    return np.stack([situation.home_score[last], situation.away_score[last]], axis=1) + closing


@dataclass(frozen=True)
class WeekTables:
    """Tables of a week except its tracking: plays, truth, and `points` [games, 2] if plays determine them."""

    plays: pl.DataFrame
    truth: pl.DataFrame
    points: np.ndarray


def write_week(week: Week, recipe: Recipe, path: Path, report: Callable[[int], None] | None = None) -> WeekTables:
    """Simulate a week and write its tracking to `path` (.parquet or .csv); `report` gets the plays of each block."""
    block_games = max(1, _PLAYS_PER_BLOCK // week.drawn)
    blocks = []
    for start in range(0, len(week.games), block_games):
        games = week.games[start : start + block_games]
        rows = week.kept[start : start + block_games]
        block = GameBlock([game.index for game in games], [week.drawn] * len(games), rows)
        blocks.append(simulate_games(games, block, recipe, week.league))
        if report is not None:
            report(block.plays)
    _write_tracking(pl.concat([block.tracking for block in blocks]), path)
    return WeekTables(
        plays=pl.concat([block.plays for block in blocks]),
        truth=pl.concat([block.truth for block in blocks]),
        points=np.concatenate([block.points for block in blocks]),
    )


def _write_tracking(table: pl.DataFrame, path: Path) -> None:
    if path.suffix == ".parquet":
        table.write_parquet(path, compression="zstd", compression_level=1, statistics=False)
    else:
        integers = table.with_columns(pl.col("frameId", "gameId", "playId").cast(pl.Int64))
        integers.write_csv(path, datetime_format="%Y-%m-%dT%H:%M:%S%.3fZ")


def write_weeks(
    weeks: Sequence[Week],
    paths: Sequence[Path],
    recipe: Recipe,
    processes: int,
    progress: Callable[[int], None],
) -> list[WeekTables]:
    """Write each week to its path and return their tables in order; `progress` gets the number of plays done.

    One process does everything in the current process. Several are spawned, so a script that calls this needs the guard
    `if __name__ == "__main__"`. A failure in one of them is raised here, and the other weeks are abandoned. Raises
    InputError if a process is killed from outside.
    """
    total = 0

    def count(plays: int) -> None:
        nonlocal total
        total += plays
        progress(total)

    if min(processes, len(weeks)) == 1:
        return [write_week(week, recipe, path, count) for week, path in zip(weeks, paths, strict=True)]
    tables: dict[int, WeekTables] = {}
    others = active_children()
    with (
        _one_thread_each(),
        ProcessPoolExecutor(min(processes, len(weeks)), get_context("spawn"), _begin) as pool,
    ):
        jobs = {
            pool.submit(write_week, week, recipe, path): number
            for number, (week, path) in enumerate(zip(weeks, paths, strict=True))
        }
        try:
            for job in as_completed(jobs):
                tables[jobs[job]] = job.result()
                count(sum(map(len, weeks[jobs[job]].kept)))
        except BrokenProcessPool as error:
            raise InputError("processes: one of them ended early, perhaps for lack of memory; try fewer") from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in active_children():
                if child not in others:
                    child.terminate()  # nobody needs the weeks in progress, and each takes seconds
            raise
    return [tables[number] for number in range(len(weeks))]


def _begin() -> None:
    """Ignore keyboard interrupts, which reach all processes: only the main one reports them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Exit when the parent does: a killed parent cannot stop its children, which would wait for work forever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Limit spawned processes to one thread for tables: the weeks already use all cores."""
    name = "POLARS_MAX_THREADS"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
