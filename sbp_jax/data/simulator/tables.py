"""Simulated plays as the tables of the Big Data Bowl 2021 layout, and the truth beside them."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import numpy as np
import polars as pl

from sbp_jax.data.simulator.aftermath import EVENTS, Play
from sbp_jax.data.simulator.calls import ROUTES, Call, Concept
from sbp_jax.data.simulator.formation import DEFENCE, ELIGIBLE, HALF_WIDTH_YARDS, QUARTERBACK, Formation
from sbp_jax.data.simulator.law import LawParameters, ReleaseView
from sbp_jax.data.simulator.league import TEAMS, Game, League
from sbp_jax.data.simulator.measurement import Measured
from sbp_jax.data.simulator.outcome import COMPLETE, INTERCEPTED, Outcomes
from sbp_jax.data.simulator.situation import Situation

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
    """One row a body and frame, in the columns and types of the 2021 files; frames in order, the ball last in each."""
    bodies = 23
    live = np.arange(play.motion.position.shape[1]) < play.frames[:, None]
    which, frame = np.nonzero(live)
    ids = league.players["nflId"].to_numpy()[formation.player]
    order = np.concatenate([np.argsort(ids, axis=1), np.full((len(ids), 1), bodies - 1)], axis=1)[which]
    rows = (which[:, None], frame[:, None], order)
    row_play, is_ball = np.repeat(which, bodies), order.ravel() == bodies - 1
    left = ~situation.rightward[row_play]

    x, y = _field_position(situation, measured)
    columns: dict[str, np.ndarray] = {}
    turned = {"x": (FIELD_LENGTH_YARDS, x[rows].ravel()), "y": (FIELD_WIDTH_YARDS, y[rows].ravel())}
    for name, (size, value) in turned.items():
        columns[name] = np.round(np.where(left, size - value, value), 2)
    moved = np.hypot(*(np.diff(value, axis=1, prepend=value[:, :1]) for value in (x, y)))
    moved[:, 0, :22] = 0.1 * measured.speed[:, 0]
    columns["dis"] = np.round(moved[rows].ravel(), 2)
    ball_speed = 10 * moved[..., 22:]
    earlier = np.concatenate([np.repeat(ball_speed[:, :1], 5, axis=1), ball_speed[:, :-5]], axis=1)
    ball_acceleration = np.abs(ball_speed - earlier) / 0.5  # over half a second, as smooth as the real files
    for name, player, ball in (("s", measured.speed, ball_speed), ("a", measured.acceleration, ball_acceleration)):
        columns[name] = np.round(np.concatenate([player, ball], axis=2)[rows].ravel(), 2)
    no_angle = np.full((*measured.speed.shape[:2], 1), np.nan)
    for name, angle in (("o", measured.orientation), ("dir", measured.direction)):
        clockwise = 90.0 - np.concatenate([angle, no_angle], axis=2)[rows].ravel() + np.where(left, 180.0, 0.0)
        columns[name] = np.round(clockwise % 360.0, 2) % 360.0

    roster = np.concatenate([formation.player, np.full((len(ids), 1), league.players.height)], axis=1)
    person = pl.Series(roster[which[:, None], order].ravel())
    away_body = np.concatenate([np.zeros((1, 11)), np.ones((1, 11)), [[2]]], axis=1).astype(int)
    side = np.where(away_body < 2, away_body ^ ~situation.home_offence[:, None], 2)
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
        _lookup("playDirection", ("right", "left"), left.astype(int)),
        _lookup("route", (*ROUTES[:-1], None), route[which[:, None], order].ravel()),
    )


def plays_table(
    situation: Situation,
    games: Sequence[Game],
    formation: Formation,
    outcomes: Outcomes,
    quarterback_name: list[str],
) -> pl.DataFrame:
    """One row a play, in the columns of plays.csv."""
    home, away = (np.array([TEAMS[getattr(game, side)] for game in games])[situation.game] for side in ("home", "away"))
    offence, defence = np.where(situation.home_offence, home, away), np.where(situation.home_offence, away, home)
    own_half = situation.to_goal > 50
    side = pl.Series(np.where(own_half, offence, defence))
    standing = formation.start[:, DEFENCE]
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
            "possessionTeam": offence,
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
    """One row a game, in the columns of games.csv."""
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
    view: ReleaseView,
    law: LawParameters,
    outcomes: Outcomes,
    skill: np.ndarray,
    league: League,
) -> pl.DataFrame:
    """One row a play: the law's parameters, the passer's skill, and the facts behind the play for diagnosis."""
    rows = np.arange(len(skill))
    ids = league.players["nflId"].to_numpy()[formation.player]
    facts = {
        "gameId": np.array([game.game_id for game in games])[situation.game],
        "playId": situation.play_id,
        "passer_nflId": ids[:, QUARTERBACK],
        "target_nflId": ids[rows, ELIGIBLE.start + view.target],
        "skill": skill,
        "concept": np.array([concept.name.lower() for concept in Concept])[call.concept],
        "man_coverage": call.man,
        "tightness": formation.tightness,
        "release_frames": call.release + 1,
        "separation_yards": view.separation,
        "room_yards": view.room,
        "pressure_gap_yards": view.pressure_gap,
        "result": outcomes.result,
        "catch_yards": outcomes.catch_yards,
        "yards": outcomes.yards,
        "net_yards": outcomes.net_yards,
    }
    return pl.DataFrame(facts | asdict(law))


def _field_position(situation: Situation, measured: Measured) -> tuple[np.ndarray, np.ndarray]:
    """Positions on the field of an offence that moves right (yards), [plays, frames, 23] each."""
    line = (FIELD_LENGTH_YARDS - 10.0 - situation.to_goal)[:, None, None]
    return measured.x + line, measured.y + HALF_WIDTH_YARDS


def _people(league: League) -> pl.DataFrame:
    """What the tracking rows say of each player, with the ball as the last row."""
    players = league.players.select(
        pl.col("nflId").cast(pl.Float64), "displayName", pl.col("jerseyNumber").cast(pl.Float64), "position"
    )
    return pl.concat([players, pl.DataFrame({"displayName": ["Football"]})], how="diagonal")


def _lookup(name: str, values: tuple[str | None, ...], codes: np.ndarray) -> pl.Series:
    return pl.Series(name, values, dtype=pl.String).gather(pl.Series(codes))


def _times(situation: Situation, games: Sequence[Game], which: np.ndarray, frame: np.ndarray, bodies: int) -> pl.Series:
    """Wall-clock time of the rows: the game's seconds stretched to three hours, then ten frames a second."""
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
