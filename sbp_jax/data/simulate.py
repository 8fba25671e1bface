"""Passing plays whose conditional law of yards is known, written in the file layout of the Big Data Bowl 2021.

A play is simulated in four steps: the situation (down, distance, field position, score), the intentions of both teams
(formation, concept, routes, coverage, rush), the motion of 22 players at 10 Hz up to the release, and the outcome. The
outcome is drawn from a law that is an explicit function of what the frame of the release shows, the situation, and the
quarterback's skill: formulas in `sbp_jax.data.simulation.law`. `TrueLaw` evaluates it, so the calibration of a network
and the quarterbacks' scores can be judged against the truth.

Files: games.csv, plays.csv, players.csv, tracking_week_NN.parquet (or .csv; tracking_SEASON_week_NN with several
seasons), truth/plays.parquet (law and latent facts of every play), truth/quarterbacks.parquet (skills) and
truth/simulation.json (the configuration). Teams and players are invented.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from sbp_jax.data.simulation.aftermath import finish
from sbp_jax.data.simulation.calls import call_plays
from sbp_jax.data.simulation.formation import QUARTERBACK, line_up
from sbp_jax.data.simulation.law import ReleaseView, law_of, view_release
from sbp_jax.data.simulation.league import GAMES_A_SEASON, PLAYS_A_GAME, TEAMS, Game, League, found_league, schedule
from sbp_jax.data.simulation.measurement import Measured, draw_noise, measure, one_frame
from sbp_jax.data.simulation.motion import SNAP_FRAME, Steering, run_to_release
from sbp_jax.data.simulation.outcome import draw_outcomes
from sbp_jax.data.simulation.situation import Situation, draw_situations
from sbp_jax.data.simulation.streams import GameBlock, GameStreams, Purpose
from sbp_jax.data.simulation.tables import plays_table, tracking_table, truth_table
from sbp_jax.data.simulation.truth import TrueLaw
from sbp_jax.errors import InputError

__all__ = ["RECIPE", "SimulationConfig", "TrueLaw", "simulate"]

RECIPE = 1  # raise it when the same configuration gives other plays or another law
_PLAYS_A_BLOCK = 530  # simulated at once; bounds memory


@dataclass(frozen=True)
class SimulationConfig:
    """What to simulate.

    `plays` in all, spread evenly over `seasons` from `first_season` on, each filled game by game with 66 passes a game
    (more when a season's 272 games would not hold them); `seed` of everything, `outcome_seed` of what follows the
    release alone (None: `seed`); `tracking_format` "parquet" or "csv".
    """

    plays: int = 8000
    seed: int = 0
    seasons: int = 1
    first_season: int = 2018
    tracking_format: Literal["parquet", "csv"] = "parquet"
    outcome_seed: int | None = None

    def __post_init__(self):
        for name, lowest in (("plays", 1), ("seed", 0), ("seasons", 1), ("first_season", 1920)):
            if getattr(self, name) < lowest:
                raise InputError(f"{name}: expected a whole number of at least {lowest}, got {getattr(self, name)}")
        if self.seasons > self.plays:
            raise InputError(f"seasons: expected at most one a play, got {self.seasons} for {self.plays} plays")
        if self.outcome_seed is not None and self.outcome_seed < 0:
            raise InputError(f"outcome_seed: expected a whole number of at least 0, got {self.outcome_seed}")
        if self.tracking_format not in ("parquet", "csv"):
            raise InputError(f"tracking_format: expected 'parquet' or 'csv', got {self.tracking_format!r}")


@dataclass(frozen=True)
class _Block:
    """Tables of some games of one week."""

    tracking: pl.DataFrame
    plays: pl.DataFrame
    truth: pl.DataFrame
    games: pl.DataFrame


def simulate(
    out: str | Path, config: SimulationConfig | None = None, progress: Callable[[int], None] | None = None
) -> Path:
    """Simulate plays and write them to the folder `out`; returns its path.

    The folder appears complete or not at all, and its files are the same to the bit for the same configuration. A play
    does not depend on how many others are simulated, as long as games hold 66 passes. `progress` is called with the
    number of plays done so far. Raises InputError when `out` exists, is not empty and was not written by this function.
    """
    config = config or SimulationConfig()
    out = Path(out)
    _refuse_foreign(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        _write(partial, config, progress or (lambda done: None))
        partial.chmod(0o755)
        _refuse_foreign(out)
        if out.exists():
            shutil.rmtree(out)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return out


def _refuse_foreign(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; expected a folder to write to")
    if out.is_dir() and any(out.iterdir()) and not (out / "truth" / "simulation.json").is_file():
        raise InputError(f"{out}: holds files that the simulator did not write; name a new or empty folder")


def _write(folder: Path, config: SimulationConfig, progress: Callable[[int], None]) -> None:
    (folder / "truth").mkdir()
    league = found_league(config.seed)
    plays, truth, games, done = [], [], [], 0
    for (season, week), blocks in groupby(_blocks(config, league), key=lambda pair: pair[0]):
        tracking = []
        for _, block in blocks:
            tracking.append(block.tracking)
            plays.append(block.plays)
            truth.append(block.truth)
            games.append(block.games)
            done += block.plays.height
            progress(done)
        name = f"tracking_{season}_week_{week:02d}" if config.seasons > 1 else f"tracking_week_{week:02d}"
        _write_tracking(pl.concat(tracking), folder / f"{name}.{config.tracking_format}")
    pl.concat(plays).write_csv(folder / "plays.csv")
    pl.concat(games).write_csv(folder / "games.csv")
    people = ("nflId", "height", "weight", "birthDate", "collegeName", "position", "displayName")
    league.players.select(people).write_csv(folder / "players.csv")
    pl.concat(truth).write_parquet(folder / "truth" / "plays.parquet")
    league.quarterbacks().write_parquet(folder / "truth" / "quarterbacks.parquet")
    (folder / "truth" / "simulation.json").write_text(json.dumps(asdict(config), indent=2) + "\n")


def _write_tracking(table: pl.DataFrame, path: Path) -> None:
    if path.suffix == ".parquet":
        table.write_parquet(path, compression="zstd", compression_level=1, statistics=False)
    else:
        whole = table.with_columns(pl.col("frameId", "gameId", "playId").cast(pl.Int64))
        whole.write_csv(path, datetime_format="%Y-%m-%dT%H:%M:%S%.3fZ")


def _blocks(config: SimulationConfig, league: League) -> Iterator[tuple[tuple[int, int], _Block]]:
    """Blocks of games in order of time, each with its season and week."""
    for index in range(config.seasons):
        wanted = config.plays // config.seasons + (index < config.plays % config.seasons)
        a_game = max(PLAYS_A_GAME, -(-wanted // GAMES_A_SEASON))
        season = config.first_season + index
        games = schedule(config.seed, season, index)[: -(-wanted // a_game)]
        kept = [a_game] * (len(games) - 1) + [wanted - a_game * (len(games) - 1)]
        together = max(1, _PLAYS_A_BLOCK // a_game)
        for week, group in groupby(zip(games, kept, strict=True), key=lambda pair: pair[0].week):
            members = list(group)
            for start in range(0, len(members), together):
                part = members[start : start + together]
                yield (
                    (season, week),
                    _simulate_games([g for g, _ in part], a_game, [k for _, k in part], config, league),
                )


def _simulate_games(
    games: list[Game], drawn: int, kept: Sequence[int], config: SimulationConfig, league: League
) -> _Block:
    block = GameBlock([game.index for game in games], [drawn] * len(games), kept)
    situation = draw_situations(games, config.seed, block)
    home, away, home_passer, away_passer = (
        np.array([getattr(game, name) for game in games])[situation.game]
        for name in ("home", "away", "home_quarterback", "away_quarterback")
    )
    offence, defence = np.where(situation.home_offence, home, away), np.where(situation.home_offence, away, home)
    passer = np.where(situation.home_offence, home_passer, away_passer)
    skill = league.skill[offence, passer]

    calls = GameStreams(config.seed, Purpose.CALL, block)
    formation = line_up(situation, (offence, defence), passer, calls)
    call = call_plays(situation, formation, calls)
    steering = Steering(formation, call, situation.to_goal, GameStreams(config.seed, Purpose.MOTION, block))
    before = run_to_release(steering)
    noise = draw_noise(GameStreams(config.seed, Purpose.MEASUREMENT, block))
    release = one_frame(before, noise, SNAP_FRAME + call.release)
    view = _view(measure(release[0], None, release[1]), situation)
    law = law_of(view, situation)

    outcome_seed = config.seed if config.outcome_seed is None else config.outcome_seed
    chance = GameStreams(outcome_seed, Purpose.OUTCOME, block)
    outcomes = draw_outcomes(law, skill, chance)
    play = finish(steering, before, call, formation, view.target, outcomes)
    measured = measure(play.motion, play.ball, noise)
    names = league.players["displayName"].gather(pl.Series(formation.player[:, QUARTERBACK])).to_list()
    return _Block(
        tracking=tracking_table(situation, games, formation, call, play, measured, league),
        plays=plays_table(situation, games, formation, outcomes, names),
        truth=truth_table(situation, games, formation, call, view, law, outcomes, skill, league),
        games=_games_table(games, situation, league, chance),
    )


def _view(release: Measured, situation: Situation) -> ReleaseView:
    """The law's view of the release: reported values, not true ones, so that it can be recomputed from the files."""
    position = np.stack([release.x[:, 0], release.y[:, 0]], axis=-1)
    direction = np.deg2rad(release.direction[:, 0])
    velocity = release.speed[:, 0, :, None] * np.stack([np.cos(direction), np.sin(direction)], axis=-1)
    return view_release(position, velocity, np.deg2rad(release.orientation[:, 0, QUARTERBACK]), situation.to_goal)


def _games_table(games: list[Game], situation: Situation, league: League, chance: GameStreams) -> pl.DataFrame:
    """games.csv; the final score adds closing drives, more of them for the better quarterback, to the last score."""
    last = np.searchsorted(situation.game, np.arange(len(games)), side="right") - 1
    drive = chance.uniform(0, 1, 2)[last]
    quarterbacks = [(league.skill[g.home, g.home_quarterback], league.skill[g.away, g.away_quarterback]) for g in games]
    edge = np.array([[home - away, away - home] for home, away in quarterbacks])
    closing = 7 * np.floor(2.6 * drive * np.exp(0.35 * edge)).astype(int)
    return pl.DataFrame(
        {
            "gameId": [game.game_id for game in games],
            "season": [game.season for game in games],
            "week": [game.week for game in games],
            "gameDate": [f"{game.day:%m/%d/%Y}" for game in games],
            "gameTimeEastern": "13:00:00",
            "homeTeamAbbr": [TEAMS[game.home] for game in games],
            "visitorTeamAbbr": [TEAMS[game.away] for game in games],
            "homeFinalScore": situation.home_score[last] + closing[:, 0],
            "visitorFinalScore": situation.away_score[last] + closing[:, 1],
        }
    )
