"""The outcomes of several leads: their units, the program of one network for all of them, and their distributions.

The network has one block of raw outputs per lead, so that a window is encoded once for all leads. An outcome is
predicted in units of its window and lead,

    y = anchor + window scale * (loc + scale * u)

where the anchor is the window's median, or the last observation if training outcomes vary less around it. In units of
u, the grid of integers and the bounds differ from window to window: in the likelihood, integers are intervals of u, and
outcomes at a bound are censored there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float64

from sbp_jax.distributions import Affine, Censored, Mixture, Quantized, Shifted
from sbp_jax.distributions.base import Distribution
from sbp_jax.errors import InputError
from sbp_jax.estimator.histories import Origins
from sbp_jax.estimator.program import Program, Rows, Values
from sbp_jax.estimator.target import Bounds, Target, make_target

_ROUNDING, _TOLERANCE = 2.0**-24, 1e-4  # rounding of float32; its maximum, relative to the scale of a distribution
_MAX_INTEGER = 2.0**23  # below it, float32 has half-integers, the ends of the cells of an integer


@dataclass(frozen=True)
class Leads:
    """The leads, and the unit of the outcomes of each, relative to the scale of a window.

    Attributes:
        steps: steps from the last observation to the outcome, increasing.
        from_last: whether outcomes are relative to the last observation; else to the median of the window.
        loc, scale: location and scale of these differences, in units of the window's scale.
    """

    steps: tuple[int, ...]
    from_last: tuple[bool, ...]
    loc: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def of(cls, steps: tuple[int, ...], origins: Origins, known: Bool[np.ndarray, "rows leads"]) -> "Leads":
        """Return the units of each lead, estimated from the `known` outcomes of training windows.

        Raises:
            InputError: a lead has fewer than two outcomes, or they all differ by the same amount from the window's
                median or from the last observation.
        """
        units, from_last = [], []
        for i, step in enumerate(steps):
            rows = known[:, i]
            if np.sum(rows) < 2:
                raise InputError(f"lead: expected at least two training outcomes at lead {step}, got {np.sum(rows)}")
            differences = [
                (origins.outcome[rows, i] - anchor[rows]) / origins.scale[rows]
                for anchor in (origins.location, origins.last)
            ]
            spreads = [float(np.mean(np.abs(each - np.median(each)))) for each in differences]
            from_last.append(spreads[1] < spreads[0])
            try:
                unit = make_target(
                    differences[from_last[-1]], np.ones(int(rows.sum()), bool), 8, (0.05, 0.05), (None, None), False, ()
                )
            except InputError:
                name = "last observation" if from_last[-1] else "median of the window"
                raise InputError(
                    f"value: expected a series that varies, but all outcomes {step} steps ahead differ from the {name} "
                    f"by the same amount"
                ) from None
            units.append((unit.loc, unit.scale))
        loc, scale = zip(*units, strict=True)
        return cls(steps, tuple(from_last), tuple(loc), tuple(scale))

    def unit(self, origins: Origins) -> tuple[Float64[np.ndarray, "rows leads"], Float64[np.ndarray, "rows leads"]]:
        """Return location and scale of each outcome, in the unit of the series."""
        anchor = np.where(np.array(self.from_last)[None, :], origins.last[:, None], origins.location[:, None])
        scale = origins.scale[:, None]
        return anchor + scale * np.array(self.loc)[None, :], scale * np.array(self.scale)[None, :]

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "Leads":
        """Return the leads that `to_json` described."""
        return cls(**{name: tuple(saved[name]) for name in cls.__annotations__})


@dataclass(frozen=True)
class LeadsProgram(Program):
    """The program of one network whose raw outputs are those of all leads, one block after another.

    Attributes:
        leads: number of leads.
    """

    leads: int = 1

    @property
    def num_outputs(self) -> int:
        """Number of raw outputs of all leads."""
        return self.leads * self.builder.num_outputs

    def losses(self, outputs: Float[Array, "batch outputs"], rows: Rows, values: Values) -> Float[Array, " batch"]:
        """Return the mean over the leads of the negative log-likelihood, [B]; `rows` has outcomes [B, L].

        Unknown outcomes, whose interval is (-inf, inf), contribute 0.
        """
        count = len(outputs)
        flat = Rows(
            *(each.reshape(count * self.leads, *each.shape[2:]) if each.ndim > 1 else each for each in rows),
        )
        losses = Program.losses(self, outputs.reshape(count * self.leads, -1), flat, values)
        known = (flat.low > -jnp.inf) | (flat.high < jnp.inf)
        return jnp.mean(jnp.where(known, losses, 0.0).reshape(count, self.leads), axis=1)

    def outputs(self, raw: Float[Array, "*batch raw"], values: Values) -> Float[Array, "*batch outputs"]:
        """Return the outputs that determine the distributions, one block per lead."""
        blocks = self.builder.outputs(raw.reshape(*raw.shape[:-1], self.leads, -1), values)
        return blocks.reshape(*raw.shape[:-1], -1)

    def blocks(self, outputs: Float[Array, "rows members outputs"]) -> Float[Array, "rows leads members block"]:
        """Return the outputs of each lead and member."""
        return jnp.moveaxis(outputs.reshape(*outputs.shape[:2], self.leads, -1), 1, 2)


def leads_rows(
    target: Target,
    y: Float64[np.ndarray, "rows leads"],
    unit: tuple[np.ndarray, np.ndarray],
    known: Bool[np.ndarray, "rows leads"],
    integer: bool,
    bounds: Bounds,
) -> Rows:
    """Return training outcomes in units of the scale of `target`, [N, L].

    The interval of an unknown outcome is (-inf, inf).

    Args:
        target: bins for outcomes in units of the lead.
        y: outcomes in the unit of the series.
        unit: location and scale of each outcome, see `Leads.unit`.
        known: outcomes that are used.
        integer: whether outcomes are integers.
        bounds: (low, high); outcomes at a bound are censored there.
    """
    loc, scale = unit
    y = np.where(known, y, loc)
    half = 0.5 if integer else 0.0
    low, high = y - half, y + half
    interval = ~known | integer
    for bound, side in zip(bounds, (low, high), strict=True):
        if bound is not None:
            at = known & (y <= bound if side is low else y >= bound)
            interval = interval | at
            side[at] = -np.inf if side is low else np.inf
    low, high = np.where(known, low, -np.inf), np.where(known, high, np.inf)
    u, low, high = (target.standardized((each - loc) / scale).astype(np.float32) for each in (y, low, high))
    no_atoms = np.zeros((*y.shape, 0), bool)
    return Rows(u, low, high, interval, no_atoms, np.ones(len(y), np.float32))


def in_series_unit(
    program: LeadsProgram,
    outputs: Float[Any, "rows members outputs"],
    target: Target,
    unit: tuple[np.ndarray, np.ndarray],
    integer: bool,
    bounds: Bounds,
) -> Distribution:
    """Return the distributions of the outcomes, batch shape [N, L]; `Shifted` where float32 needs it."""
    loc, scale = unit
    loc, scale = loc + scale * target.loc, scale * target.scale
    blocks = program.blocks(jnp.asarray(outputs))
    # distributions are in units of the target's scale from its location
    values = Values.of(target)
    members = blocks.shape[2] > 1
    dist: Distribution = program.builder(blocks if members else blocks[:, :, 0], values)
    if members:
        dist = Mixture(None, dist)
    shift = _shift(loc, scale, integer)
    dist = Affine(dist, (loc - shift).astype(np.float32), scale.astype(np.float32))
    if integer:
        dist = Quantized(dist, 1.0)
    low, high = (None if bound is None else bound - shift if np.any(shift) else bound for bound in bounds)
    if low is not None or high is not None:
        dist = Censored(dist, low, high)
    return Shifted(dist, shift) if np.any(shift) else dist


def _shift(loc: np.ndarray, scale: np.ndarray, integer: bool) -> np.ndarray:
    """The shift of each distribution that float32 needs to resolve its outcomes; 0 if it resolves all of them."""
    largest = np.max(np.abs(loc) + 10 * scale, initial=0.0)
    if largest * _ROUNDING <= _TOLERANCE * np.min(scale, initial=np.inf) and not (integer and largest >= _MAX_INTEGER):
        return np.zeros_like(loc)
    return np.round(loc) if integer else loc  # a shift by an integer keeps the grid


def marginal_offset(
    program: LeadsProgram, target: Target, standardized: Sequence[np.ndarray], values: Values
) -> np.ndarray:
    """Return raw outputs of the marginal distribution of each lead, [L * outputs of a block].

    Args:
        program: the program.
        target: bins.
        standardized: training outcomes of each lead, in units of the lead.
        values: bins and tail masses as arrays.
    """
    blocks = [program.builder.init_from_data(target.standardized(each), values) for each in standardized]
    return np.concatenate(blocks)
