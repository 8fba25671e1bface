"""The outcome that a network predicts: its name, whether it is an integer, and the goal line that bounds a gain."""

import warnings
from dataclasses import dataclass

import numpy as np
from jax.typing import ArrayLike

from sbp_jax.config import DataConfig, SeriesConfig
from sbp_jax.data.plays import Sequences, Split
from sbp_jax.data.readers.rules import in_yards
from sbp_jax.distributions import Affine, Censored, Quantized, Shifted
from sbp_jax.distributions.base import Distribution

GOAL_LINE = "yards_to_goal"
MAX_INTEGER = 2**23  # below it, float32 has half-integers, the ends of the cells of a rounded outcome
_ROUNDING = 2.0**-24  # relative, of float32
_TOLERANCE = 1e-4  # maximum rounding of an outcome, relative to the scale of its distribution


@dataclass(frozen=True)
class Outcome:
    """The outcome of a play or a window, and its observed distribution.

    A network predicts a latent variable: a gain that is neither rounded nor bounded. Integer outcomes are that
    variable rounded (`Quantized`); a gain in yards ends at the goal line (`Censored`).

    Attributes:
        name: name of the predicted column.
        integer: whether outcomes are integers.
        in_yards: whether outcomes are gains in yards, which the goal line bounds.
    """

    name: str
    integer: bool
    in_yards: bool

    @classmethod
    def of(cls, data: DataConfig | SeriesConfig, integer: bool) -> "Outcome":
        """Return the outcome of a data configuration."""
        if isinstance(data, DataConfig):
            return cls(data.outcome, integer, in_yards(data.outcome))
        return cls(data.value or "value", integer, False)

    def upper_bound(self, plays: Sequences | Split) -> np.ndarray | None:
        """Return each play's distance to the goal line, float32 [N] in yards, inf where it is unknown.

        Return None if there is no bound: the outcome is not a gain in yards, or the plays have no column
        `yards_to_goal`; the latter issues a UserWarning.
        """
        if not self.in_yards:
            return None
        if GOAL_LINE not in plays.info:
            warnings.warn(
                f"plays: no column {GOAL_LINE} in info: predictions are not bounded by the goal line",
                UserWarning,
                stacklevel=1,  # once, although several methods of a run ask for the bound
            )
            return None
        distance = plays.info[GOAL_LINE]
        return np.where(distance >= 0, distance, np.float32(np.inf)).astype(np.float32)

    def observed(self, latent: Distribution, upper: ArrayLike | None = None) -> Distribution:
        """Return the distribution of the observed outcome.

        Args:
            latent: distribution of the latent variable.
            upper: upper bounds, broadcast against the batch shape; inf for no bound, None if no outcome is bounded.
        """
        dist = Quantized(latent) if self.integer else latent
        return dist if upper is None else Censored(dist, high=upper)

    def distribution(self, latent: Distribution, plays: Sequences | Split) -> Distribution:
        """Return the distribution of each play's outcome, with the batch shape of `latent`.

        Args:
            latent: distribution of the latent variable in units of `plays.unit`, batch shape [N], or [N, T] for
                predictions at every frame.
            plays: the plays.
        """
        upper, shift = self.upper_bound(plays), _shift(plays, self.integer)
        dist = self.observed(_in_units(latent, plays, shift), None if upper is None else _per_play(upper, latent))
        return _with_shift(dist, shift)

    def bounded(self, plays: Sequences | Split) -> np.ndarray:
        """Return the outcomes [N]; recorded gains beyond the goal line are reduced to the distance to it."""
        upper = self.upper_bound(plays)
        return plays.outcome if upper is None else np.minimum(plays.outcome, upper)


def in_own_units(dist: Distribution, plays: Sequences | Split) -> Distribution:
    """Convert a distribution in units of each play's location and scale, [N] or [N, T], to the outcome's own unit."""
    shift = _shift(plays, integer=False)
    return _with_shift(_in_units(dist, plays, shift), shift)


def _in_units(dist: Distribution, plays: Sequences | Split, shift: np.ndarray | None) -> Distribution:
    """The distribution of outcomes minus the shift, of plays with a location and scale."""
    unit = plays.unit
    if unit is None:
        return dist
    location = plays.info["location"] - (0.0 if shift is None else shift)
    return Affine(dist, *(_per_play(column, dist) for column in (location.astype(np.float32), unit[:, 1])))


def _with_shift(dist: Distribution, shift: np.ndarray | None) -> Distribution:
    return dist if shift is None else Shifted(dist, _per_play(shift, dist))


def _shift(plays: Sequences | Split, integer: bool) -> np.ndarray | None:
    """Shift of the outcomes, float64 [N], without which float32 would not hold them; None if it holds them anyway."""
    if plays.unit is None or not len(plays):
        return None
    location = np.asarray(plays.info["location"], np.float64)
    largest = max(np.max(np.abs(location)), np.max(np.abs(plays.outcome)))
    if largest * _ROUNDING <= _TOLERANCE * np.min(plays.info["scale"]) and not (integer and largest >= MAX_INTEGER):
        return None
    return np.round(location) if integer else location  # a shift by an integer keeps the grid of `Quantized`


def _per_play(values: np.ndarray, dist: Distribution) -> np.ndarray:
    """Values [N] with the rank of a distribution of each play, or of each of its frames."""
    return values.reshape(-1, *(1 for _ in dist.batch_shape[1:]))
