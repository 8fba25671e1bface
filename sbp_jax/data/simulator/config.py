"""Settings for the results of simulated seasons, without heavy imports, because a command line reads them."""

from dataclasses import dataclass
from typing import Literal

from sbp_jax.errors import InputError

Distribution = Literal["course", "release"]


@dataclass(frozen=True)
class LeagueConfig:
    """Full seasons whose results depend on true strength; the formula is in `docs/explanation/simulator.md`.

    Attributes:
        quarterback_points: q, effect of one standard deviation of quarterback skill on the margin, in points.
        team_points: s, standard deviation of the effect of the rest of the team, in points.
        home_points: h, home advantage in points.
        team_kept: correlation of the effect of the rest of a team from one season to the next.
        skill_kept: correlation of a quarterback's skill from one season to the next.
        moves: fraction of the quarterbacks who exchange places between two seasons.
    """

    quarterback_points: float = 5.0
    team_points: float = 4.0
    home_points: float = 2.0
    team_kept: float = 0.6
    skill_kept: float = 0.97
    moves: float = 0.2

    def __post_init__(self):
        for name in ("quarterback_points", "team_points", "home_points"):
            if not 0 <= getattr(self, name) <= 30:
                raise InputError(f"{name}: expected points from 0 to 30, got {getattr(self, name)}")
        for name in ("team_kept", "skill_kept", "moves"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name}: expected a number from 0 to 1, got {getattr(self, name)}")
