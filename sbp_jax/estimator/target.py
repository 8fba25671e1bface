"""The outcome of an estimator: its unit, grid, bounds, atoms and bins, chosen from the training outcomes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from sbp_jax.errors import InputError

Bounds = tuple[float | None, float | None]

MAX_ABSOLUTE = 1e30  # of an outcome: squares of its distances to the median stay finite in float32
MAX_STEPS = 1e4  # integers whose scale is more steps than this are treated as real: the grid no longer matters
MIN_ATOM_SHARE = 0.03  # of the outcomes, for a value of a real outcome to be an atom
MIN_ATOM_COUNT = 5  # of equal outcomes: fewer may be a coincidence in a small sample
MAX_ATOMS = 10
MIN_BINS, MAX_BINS = 8, 80
NORMAL_IQR = 1.3489795003921634  # interquartile range of a standard normal distribution
_EQUAL = 1e-6  # of the range of the central 90 %: outcomes that are closer are nearly equal
_MAX_RATIO = 1e12  # of the range of outcomes to their scale
_MIN_WIDTH = 1e-5  # of a bin, in units of the scale: narrower ones hold rounding, not shape


@dataclass(frozen=True)
class Target:
    """What the estimator knows about the outcome, in the outcome's own unit.

    Attributes:
        loc: median of the training outcomes, a grid point for integers.
        scale: their interquartile range, divided by that of a standard normal distribution; the median distance to
            the median of all other outcomes if the former is 0 or nearly so.
        step: width of the grid; 0 for real outcomes.
        bounds: (low, high), None for no bound; a distribution has no tail on the side of a bound.
        atoms: values with a probability of their own.
        edges: edges of the bins, finer where outcomes are dense.
        tail_mass: probability of the lower and the upper tail.
        shares: fraction of the training outcomes at each atom.
    """

    loc: float
    scale: float
    step: float
    bounds: Bounds
    atoms: tuple[float, ...]
    edges: tuple[float, ...]
    tail_mass: tuple[float, float]
    shares: tuple[float, ...] = field(repr=False, default=())

    @property
    def bins(self) -> int:
        """Number of bins."""
        return len(self.edges) - 1

    def standardized(self, y: np.ndarray) -> np.ndarray:
        """Return (y - loc) / scale, computed in float64."""
        return (np.asarray(y, np.float64) - self.loc) / self.scale

    def check(self, y: np.ndarray) -> None:
        """Raise an InputError unless outcomes lie within the bounds, and on the grid."""
        low, high = self.bounds
        outside = np.zeros(len(y), bool) if low is None else y < low
        outside |= False if high is None else y > high
        if np.any(outside):
            raise InputError(f"y: expected outcomes within the bounds {self.bounds}, got {y[outside][0]:g}")
        if self.step and not np.all(np.round(y / self.step) * self.step == y):
            raise InputError("y: expected integers, as in training; integer=False treats them as real numbers")


def make_target(
    y: Float[np.ndarray, " rows"],
    exact: Bool[np.ndarray, " rows"],
    bins: int | Literal["auto"] | Sequence[float] | np.ndarray = "auto",
    tail_mass: tuple[float, float] = (0.05, 0.05),
    bounds: Bounds | Literal["auto"] = "auto",
    integer: bool | Literal["auto"] = "auto",
    atoms: Sequence[float] | np.ndarray | Literal["auto"] = "auto",
) -> Target:
    """Choose unit, grid, bounds, atoms and bins from training outcomes.

    Args:
        y: outcomes, float64, finite.
        exact: whether an outcome is exact; censored ones are neither atoms nor bounds.
        bins: number of bins, or their edges in the outcome's unit; "auto": 3 N^(1/3), between 8 and 80.
        tail_mass: probability of the lower and the upper tail; a side with a bound has none.
        bounds: (low, high), None for no bound. "auto": an atom that is the smallest or largest outcome; for integers, 0
            if none is negative, and the largest outcome if at least 3 % equal it, more than twice as many as the next.
        integer: whether the outcome is an integer. "auto": all are, and their scale is at most 10,000.
        atoms: values with a probability of their own. "auto": none for integers, otherwise the values with at least 3 %
            of the outcomes, and at least 5 of them; at most 10.

    Raises:
        InputError: all outcomes are equal, one is too large, or an argument does not fit the outcomes.
    """
    if np.max(np.abs(y)) > MAX_ABSOLUTE:
        raise InputError(f"y: expected outcomes of magnitude at most {MAX_ABSOLUTE:g}, got {np.max(np.abs(y)):g}")
    values, counts = np.unique(y[exact], return_counts=True)
    if len(values) < 2:
        only = f"all {len(y)} are {values[0]:g}" if len(values) else f"all {len(y)} are censored"
        raise InputError(f"y: expected outcomes that vary, but {only}")
    step = _step(y, integer)
    shares = counts / np.sum(exact)
    if isinstance(atoms, str):
        chosen = np.array([], int) if step else _repeated(counts, shares)
    else:
        chosen = np.searchsorted(values, np.sort(np.asarray(atoms, np.float64)))
        if (step and len(chosen)) or not all(i < len(values) and values[i] in np.asarray(atoms) for i in chosen):
            raise InputError(f"atoms: expected values of real outcomes that y has, got {list(atoms)}")
    rest = y[~np.isin(y, values[chosen])] if len(chosen) else y
    if len(np.unique(rest)) < 2:
        raise InputError(
            f"y: expected more distinct outcomes, but it has only {len(values)} values; atoms=() treats them as real "
            f"numbers"
        )
    bounds = _bounds(y, values, shares, chosen, bounds, step)
    _check_bounds(y, bounds)
    loc, scale = _unit(rest, step)
    masses = tuple(0.0 if bound is not None else float(mass) for bound, mass in zip(bounds, tail_mass, strict=True))
    return Target(
        loc=loc,
        scale=scale,
        step=step,
        bounds=bounds,
        atoms=tuple(values[chosen].tolist()),
        edges=tuple(_edges(rest, bins, step, bounds, scale, masses).tolist()),
        tail_mass=(masses[0], masses[1]),
        shares=tuple(shares[chosen].tolist()),
    )


def _step(y: np.ndarray, integer: bool | str) -> float:
    if not isinstance(integer, str):
        if integer and not np.all(np.round(y) == y):
            raise InputError(f"y: expected integers, as integer=True requires, got {y[np.round(y) != y][0]:g}")
        return float(integer)
    return float(np.all(np.round(y) == y) and _unit(y, 1.0)[1] <= MAX_STEPS)


def _repeated(counts: np.ndarray, shares: np.ndarray) -> Int[np.ndarray, " atoms"]:
    """Indices of the values that repeat, in increasing order."""
    most = np.argsort(-shares, kind="stable")[:MAX_ATOMS]
    return np.sort(most[(shares[most] >= MIN_ATOM_SHARE) & (counts[most] >= MIN_ATOM_COUNT)])


def _bounds(
    y: np.ndarray, values: np.ndarray, shares: np.ndarray, atoms: np.ndarray, bounds: Any, step: float
) -> Bounds:
    if not isinstance(bounds, str):
        low, high = (None if bound is None or np.isinf(bound) else float(bound) for bound in bounds)
        return low, high
    if step:
        # more outcomes at the largest value than below it: something stops them there
        stopped = len(values) > 2 and shares[-1] >= MIN_ATOM_SHARE and shares[-1] > 2 * shares[-2]
        low, high = (0.0 if values[0] >= 0 else None), (float(values[-1]) if stopped else None)
    else:
        low, high = (float(values[end]) if end in atoms else None for end in (0, len(values) - 1))
    # a censored outcome beyond an end shows that nothing stops there
    return (
        None if low is not None and np.min(y) < low else low,
        None if high is not None and np.max(y) > high else high,
    )


def _check_bounds(y: np.ndarray, bounds: Bounds) -> None:
    low, high = bounds
    if (low is not None and np.min(y) < low) or (high is not None and np.max(y) > high):
        raise InputError(f"bounds: expected an interval that contains all outcomes, got ({low}, {high})")


def _unit(y: np.ndarray, step: float) -> tuple[float, float]:
    """Median and scale; if half of the outcomes are nearly equal, the scale is that of the others."""
    low, loc, high = np.quantile(y, (0.25, 0.5, 0.75), method="nearest" if step else "linear")
    scale = (high - low) / NORMAL_IQR
    # a single outlier must not decide what is nearly equal, but float32 needs its square in units of the scale
    bulk = np.ptp(np.quantile(y, (0.05, 0.95)))
    smallest = max(_EQUAL * bulk, np.ptp(y) / _MAX_RATIO)
    if not scale > smallest:
        distance = np.abs(y - loc)
        scale = np.median(distance[distance > smallest])
    if not scale > 1e-30:
        raise InputError(f"y: expected outcomes with a scale above 1e-30, got {scale:g}")
    return float(loc), float(scale)


def _edges(
    y: np.ndarray, bins: Any, step: float, bounds: Bounds, scale: float, tail_mass: tuple[float, ...]
) -> np.ndarray:
    if not isinstance(bins, int | str | np.integer):
        edges = np.asarray(bins, np.float64)
        if edges.ndim != 1 or len(edges) < 3 or not np.all(np.diff(edges) > 0) or not np.all(np.isfinite(edges)):
            raise InputError(f"bins: expected at least three finite, increasing edges, got {edges.tolist()}")
        _check_ends(edges, y, step, bounds, tail_mass)
        return edges
    count = int(np.clip(round(3 * len(y) ** (1 / 3)), MIN_BINS, MAX_BINS)) if bins == "auto" else int(bins)
    low, high = float(np.min(y)), float(np.max(y))
    if step:
        points = np.round((high - low) / step) + 1
        inner = np.arange(low, high, step) if points <= count else _quantiles(y, count)
        values, counts = np.unique(y, return_counts=True)
        frequent = values[counts * count >= len(y)]  # more than the average bin holds: each has a bin of its own
        inner = np.concatenate([inner, frequent - step, frequent])
        inner = (np.floor(inner / step) + 0.5) * step  # between two grid points
        ends = low - 0.5 * step, high + 0.5 * step
        ends = (
            ends[0] if bounds[0] is None else bounds[0] - 0.5 * step,
            ends[1] if bounds[1] is None else bounds[1] + 0.5 * step,
        )
    else:
        inner = _quantiles(y, count)
        # beyond a side without tail nothing is possible, so the outermost edge is the bound or leaves some room
        room = 0.5 * scale
        ends = (low - room if bounds[0] is None else bounds[0]), (high + room if bounds[1] is None else bounds[1])
    inner = np.unique(inner)
    inner = inner[(inner > ends[0]) & (inner < ends[1])]
    edges = np.concatenate([ends[:1], inner, ends[1:]])
    wide = [0]
    for i in range(1, len(edges) - 1):
        if edges[i] - edges[wide[-1]] > _MIN_WIDTH * scale and edges[-1] - edges[i] > _MIN_WIDTH * scale:
            wide.append(i)
    edges = edges[[*wide, len(edges) - 1]]
    # two bins at least: with one, no threshold could move
    return edges if len(edges) > 2 else np.array([edges[0], 0.5 * (edges[0] + edges[1]), edges[1]])


def check_censored(y: np.ndarray, censoring: np.ndarray, target: Target) -> None:
    """Raise an InputError if a real outcome is censored at a bound without an atom: nothing is possible there."""
    for sign, end, word in zip((-1, 1), target.bounds, ("lower", "upper"), strict=True):
        bad = np.flatnonzero((censoring == sign) & (y == end)) if end is not None else np.array([], int)
        if len(bad) and not target.step and end not in target.atoms:
            raise InputError(
                f"censoring: row {bad[0]} is censored at the {word} bound, {end:g}, beyond which no outcome "
                f"is possible; expected 0 there, or no {word} bound"
            )


def _check_ends(edges: np.ndarray, y: np.ndarray, step: float, bounds: Bounds, tail_mass: tuple[float, ...]) -> None:
    """Raise an InputError if given bins pass a bound, or end before an outcome where nothing lies beyond them."""
    ends = float(edges[0]), float(edges[-1])
    extremes = float(np.min(y)), float(np.max(y))
    for sign, end, extreme, bound, mass in zip((-1, 1), ends, extremes, bounds, tail_mass, strict=True):
        if bound is not None and sign * end > sign * bound + 0.5 * step:
            raise InputError(f"bins: expected edges within the bounds {bounds}, got {end:g}")
        if not mass and sign * end < sign * extreme + 0.5 * step:
            raise InputError(
                f"bins: expected edges that contain all outcomes on a side without a tail, but they end at {end:g} and "
                f"an outcome is {extreme:g}"
            )


def _quantiles(y: np.ndarray, count: int) -> np.ndarray:
    """Inner edges: equal steps of the mean of a probability and its rescaled logit, so that tails have bins too."""
    end = np.log(2 * len(y))
    logits = np.linspace(-end, end, 2001)
    levels = 1 / (1 + np.exp(-logits))
    position = 0.5 * levels + 0.25 * (1 + logits / end)
    steps = np.linspace(position[0], position[-1], count + 1)[1:-1]
    return np.quantile(y, np.interp(steps, position, levels))
