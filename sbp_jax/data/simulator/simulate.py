"""Simulate passing plays with a known conditional distribution of yards, in the file layout of the Big Data Bowl 2021.

The page `docs/explanation/simulator.md` describes the simulation, the distribution and the files. `TrueDistribution`
evaluates the distribution.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from sbp_jax.atomic import building
from sbp_jax.data.simulator.config import Distribution, LeagueConfig
from sbp_jax.data.simulator.games import Recipe, games_table, write_weeks
from sbp_jax.data.simulator.league import GAMES_A_SEASON, PLAYS_A_GAME, found_league
from sbp_jax.data.simulator.season import fill_rounds, play_seasons, season_tables, show_plays
from sbp_jax.data.simulator.truth import TrueDistribution
from sbp_jax.errors import InputError

__all__ = ["RECIPE", "LeagueConfig", "SimulationConfig", "TrueDistribution", "simulate"]

RECIPE = 1  # increment when the same configuration gives different plays or another distribution


@dataclass(frozen=True)
class SimulationConfig:
    """Configuration of a simulation.

    Attributes:
        plays: total number, spread evenly over the seasons. Each season is filled game by game with 66 passes per game,
            or more if its 272 games would not suffice.
        seed: seed of everything.
        seasons: number of seasons.
        first_season: the first of them.
        tracking_format: "parquet" or "csv".
        outcome_seed: seed of what follows the release alone; None uses `seed`.
        league: full seasons with 18 weeks and 272 games, whose results follow true strength; the plays are spread
            evenly over all games, at most 66 per game.
        distribution: "release": what happens depends on the frame of the release alone, and the receiver is known;
            "course": it depends on the course of the play.
        perturb: seed of factors between 0.7 and 1.3 by which the sizes of the effects of "course" are multiplied; None
            for none.
    """

    plays: int = 8000
    seed: int = 0
    seasons: int = 1
    first_season: int = 2018
    tracking_format: Literal["parquet", "csv"] = "parquet"
    outcome_seed: int | None = None
    league: LeagueConfig | None = None
    distribution: Distribution = "release"
    perturb: int | None = None

    def __post_init__(self):
        for name, lowest in (("plays", 1), ("seed", 0), ("seasons", 1), ("first_season", 1920)):
            if getattr(self, name) < lowest:
                raise InputError(f"{name}: expected an integer of at least {lowest}, got {getattr(self, name)}")
        if self.seasons > self.plays:
            raise InputError(f"seasons: expected at most one per play, got {self.seasons} for {self.plays} plays")
        if self.outcome_seed is not None and self.outcome_seed < 0:
            raise InputError(f"outcome_seed: expected an integer of at least 0, got {self.outcome_seed}")
        capacity = self.seasons * GAMES_A_SEASON * PLAYS_A_GAME
        if self.league and self.plays > capacity:
            raise InputError(f"plays: expected at most {capacity} in {self.seasons} full season(s), got {self.plays}")
        if self.distribution not in ("course", "release"):
            raise InputError(f"distribution: expected 'course' or 'release', got {self.distribution!r}")
        if self.perturb is not None and (self.distribution != "course" or self.perturb < 0):
            raise InputError(f"perturb: expected a seed of at least 0, with distribution 'course', got {self.perturb}")
        if self.tracking_format not in ("parquet", "csv"):
            raise InputError(f"tracking_format: expected 'parquet' or 'csv', got {self.tracking_format!r}")


def simulate(
    out: str | Path,
    config: SimulationConfig | None = None,
    progress: Callable[[int], None] | None = None,
    processes: int = 1,
) -> Path:
    """Simulate plays, write them to the folder `out` and return its path.

    The folder appears complete or not at all, and its files are identical to the bit for the same configuration. A play
    does not depend on how many others are simulated, as long as games have 66 passes.

    Args:
        out: the folder.
        config: what to simulate.
        progress: called with the number of plays done so far.
        processes: number of processes that share the weeks; with several, a script needs the guard
            `if __name__ == "__main__"`.

    Raises:
        InputError: `out` exists, is not empty and was not written by this function.
    """
    config = config or SimulationConfig()
    if processes < 1:
        raise InputError(f"processes: expected an integer of at least 1, got {processes}")
    out = Path(out)
    _refuse_foreign(out)
    with building(out, replace=True) as place:
        _write(place, config, progress or (lambda done: None), processes)
        _refuse_foreign(out)
    return out


def _refuse_foreign(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; expected a folder to write to")
    if out.is_dir() and any(out.iterdir()) and not (out / "truth" / "simulation.json").is_file():
        raise InputError(f"{out}: holds files that the simulator did not write; choose a new or empty folder")


def _write(folder: Path, config: SimulationConfig, progress: Callable[[int], None], processes: int) -> None:
    (folder / "truth").mkdir()
    league = found_league(config.seed)
    numbers = range(config.first_season, config.first_season + config.seasons)
    seasons = play_seasons(config.league, config.seed, numbers, league) if config.league else []
    weeks = (
        show_plays(seasons, config.plays, config.seed)
        if seasons
        else fill_rounds(config.plays, config.seed, numbers, league)
    )
    outcome_seed = config.seed if config.outcome_seed is None else config.outcome_seed
    recipe = Recipe(config.seed, outcome_seed, config.distribution, config.perturb)
    paths = []
    for week in weeks:
        name = f"{week.season}_week_{week.number:02d}" if config.seasons > 1 else f"week_{week.number:02d}"
        paths.append(folder / f"tracking_{name}.{config.tracking_format}")
    tables = write_weeks(weeks, paths, recipe, processes, progress)

    pl.concat([table.plays for table in tables]).write_csv(folder / "plays.csv")
    people = ("nflId", "height", "weight", "birthDate", "collegeName", "position", "displayName")
    league.players.select(people).write_csv(folder / "players.csv")
    pl.concat([table.truth for table in tables]).write_parquet(folder / "truth" / "plays.parquet")
    if config.league:
        games_table([game for season in seasons for game in season.games]).write_csv(folder / "games.csv")
        (folder / "results").mkdir()
        for name, table in season_tables(config.league, seasons).items():
            path = folder / name
            table.write_csv(path) if path.suffix == ".csv" else table.write_parquet(path)
    else:
        points = np.concatenate([table.points for table in tables])
        games = games_table([game for week in weeks for game in week.games])
        games = games.with_columns(homeFinalScore=points[:, 0], visitorFinalScore=points[:, 1])
        games.write_csv(folder / "games.csv")
        league.quarterbacks().write_parquet(folder / "truth" / "quarterbacks.parquet")
    (folder / "truth" / "simulation.json").write_text(json.dumps(asdict(config), indent=2) + "\n", encoding="utf-8")
