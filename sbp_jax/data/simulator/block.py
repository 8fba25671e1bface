"""Some games of one week simulated together: from the situation before each snap to the tables of the files."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from sbp_jax.data.simulator.aftermath import finish
from sbp_jax.data.simulator.calls import call_plays
from sbp_jax.data.simulator.formation import QUARTERBACK, line_up
from sbp_jax.data.simulator.law import ReleaseView, law_of, view_release
from sbp_jax.data.simulator.league import Game, League
from sbp_jax.data.simulator.measurement import Measured, draw_noise, measure, one_frame
from sbp_jax.data.simulator.motion import SNAP_FRAME, Steering, run_to_release
from sbp_jax.data.simulator.outcome import draw_outcomes
from sbp_jax.data.simulator.situation import Situation, draw_situations
from sbp_jax.data.simulator.streams import GameBlock, GameStreams, Purpose
from sbp_jax.data.simulator.tables import plays_table, tracking_table, truth_table


@dataclass(frozen=True)
class Seeds:
    """Seed of everything, and of what follows the release alone."""

    play: int
    outcome: int


@dataclass(frozen=True)
class Block:
    """Tables of some games, and the points of the home and the away team, [games, 2], where plays alone decide them."""

    tracking: pl.DataFrame
    plays: pl.DataFrame
    truth: pl.DataFrame
    points: np.ndarray


def simulate_games(games: Sequence[Game], block: GameBlock, seeds: Seeds, league: League) -> Block:
    """The block's plays of `games`, which must hold at least one play each, thrown by the quarterbacks of `league`."""
    situation = draw_situations(games, seeds.play, block)
    home, away, home_passer, away_passer = (
        np.array([getattr(game, name) for game in games])[situation.game]
        for name in ("home", "away", "home_quarterback", "away_quarterback")
    )
    offence, defence = np.where(situation.home_offence, home, away), np.where(situation.home_offence, away, home)
    slot = np.where(situation.home_offence, home_passer, away_passer)
    skill = league.skill[offence, slot]

    calls = GameStreams(seeds.play, Purpose.CALL, block)
    formation = line_up(situation, (offence, defence), league.passer[offence, slot], calls)
    call = call_plays(situation, formation, calls)
    steering = Steering(formation, call, situation.to_goal, GameStreams(seeds.play, Purpose.MOTION, block))
    before = run_to_release(steering)
    noise = draw_noise(GameStreams(seeds.play, Purpose.MEASUREMENT, block))
    release = one_frame(before, noise, SNAP_FRAME + call.release)
    view = _view(measure(release[0], None, release[1]), situation)
    law = law_of(view, situation)

    chance = GameStreams(seeds.outcome, Purpose.OUTCOME, block)
    outcomes = draw_outcomes(law, skill, chance)
    play = finish(steering, before, call, formation, view.target, outcomes)
    measured = measure(play.motion, play.ball, noise)
    names = league.players["displayName"].gather(pl.Series(formation.player[:, QUARTERBACK])).to_list()
    return Block(
        tracking=tracking_table(situation, games, formation, call, play, measured, league),
        plays=plays_table(situation, games, formation, outcomes, names),
        truth=truth_table(situation, games, formation, call, view, law, outcomes, skill, league),
        points=_points(games, situation, league, chance),
    )


def _view(release: Measured, situation: Situation) -> ReleaseView:
    """The law's view of the release: reported values, not true ones, so that it can be recomputed from the files."""
    position = np.stack([release.x[:, 0], release.y[:, 0]], axis=-1)
    direction = np.deg2rad(release.direction[:, 0])
    velocity = release.speed[:, 0, :, None] * np.stack([np.cos(direction), np.sin(direction)], axis=-1)
    return view_release(position, velocity, np.deg2rad(release.orientation[:, 0, QUARTERBACK]), situation.to_goal)


def _points(games: Sequence[Game], situation: Situation, league: League, chance: GameStreams) -> np.ndarray:
    """The last score plus closing drives, more of them for the better quarterback; [games, 2]."""
    last = np.searchsorted(situation.game, np.arange(len(games)), side="right") - 1
    drive = chance.uniform(0, 1, 2)[last]
    quarterbacks = [(league.skill[g.home, g.home_quarterback], league.skill[g.away, g.away_quarterback]) for g in games]
    edge = np.array([[home - away, away - home] for home, away in quarterbacks])
    closing = 7 * np.floor(2.6 * drive * np.exp(0.35 * edge)).astype(int)
    return np.stack([situation.home_score[last], situation.away_score[last]], axis=1) + closing
