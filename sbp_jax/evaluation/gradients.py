"""The gradient check: the distribution's value and derivatives in its head's raw outputs, against 50 digits.

Errors are relative to max(1, |value|). Where rounding the inputs alone (raw outputs, outcome, and the distribution's
shapes and scales) moves the exact answer by more than the bound, as near the end of a finite support, ten times that
movement is allowed, and the row records it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbp_jax.distributions.heads import PARAMETERIZATIONS, SplicedBinnedParetoHead, objective
from sbp_jax.distributions.spliced import CELLS_PER_BIN
from sbp_jax.errors import InputError
from sbp_jax.evaluation.exact import INF, Spliced, derivative, exact, mp
from sbp_jax.evaluation.exact_heads import dist_of

VALUE_BOUND = {"float32": 5e-6, "float64": 1e-12}
DERIVATIVE_BOUND = {"float32": 1e-4, "float64": 1e-9}
EDGES = (-4.0, -2.5, -1.0, -0.5, 0.0, 0.75, 1.5, 3.0, 5.0)  # exact in both precisions
SUPPORT = (-40.0, 60.0)
LOGITS = {
    "ordinary": (0.3, -0.8, 1.1, 0.2, 1.7, 0.4, -0.3, -1.2),
    "peaked": (0.0, 1.0, 0.0, 10.0, 0.0, 0.0, 1.0, 0.0),
}
# raw outputs of the shape: nearly zero for `positive`, negative, near the zero of `bounded`, and positive
RAW_SHAPES = (-14.0, -4.0, -0.641854, -0.6418538861723947, 0.5, 3.0)
RAW_SCALES = (-5.0, 0.5, 6.0)
REGIMES = ("body", "inside threshold", "outside threshold", "lower tail", "upper tail", "far tail", "near the end")
LOSSES = ("pointwise", "exact", "interval", "censored")
NEAR_ZERO = "shape near zero"  # the upper tail where |xi| < 1e-3
Row = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """One point of the check.

    A head, its raw outputs and an outcome, both rounded to the float type of the check, and whether the outcome is
    right-censored (only the loss "censored" uses it).
    """

    parameterization: str
    regime: str
    head: SplicedBinnedParetoHead
    raw: np.ndarray
    y: float
    censored: bool = False


def outcome(dist: Spliced, regime: str) -> Any:
    """Return the outcome of a regime, or None if it does not exist, as near the end of an infinite support."""
    spacing = mp.mpf(10) ** -4
    points: dict[str, Callable[[], Any]] = {
        "body": lambda: dist.body_quantile(mp.mpf("0.43")),
        "inside threshold": lambda: dist.t_u - spacing * abs(dist.t_u),
        "outside threshold": lambda: dist.t_u + spacing * dist.upper.beta,
        "lower tail": lambda: dist.t_l - dist.lower.isf(mp.mpf("0.2")),
        "upper tail": lambda: dist.t_u + dist.upper.isf(mp.mpf("0.2")),
        "far tail": lambda: dist.t_u + dist.upper.isf(mp.mpf(10) ** -9),
        "near the end": lambda: dist.t_u + dist.upper.end() * mp.mpf("0.999") if dist.upper.xi < 0 else None,
    }
    return points[regime]()


def heads() -> Iterator[SplicedBinnedParetoHead]:
    """Yield a head of each parameterization, without and with a support where the support is optional."""
    for name, parameterization in PARAMETERIZATIONS.items():
        if not parameterization.needs_end:
            yield SplicedBinnedParetoHead(EDGES, (0.05, 0.1), name)
        yield SplicedBinnedParetoHead(EDGES, (0.05, 0.1), name, support=SUPPORT)


def cells(dtype: Any) -> Iterator[Cell]:
    """Yield the cells of every parameterization, regime, body, shape and scale."""
    for head in heads():
        for logits in LOGITS.values():
            # shapes and scales vary together: their product would add little at fifteen times the cost
            for k, shape in enumerate(RAW_SHAPES):
                scale = RAW_SCALES[k % len(RAW_SCALES)]
                raw = np.asarray([*logits, shape, scale, shape, scale], dtype)
                dist = dist_of(head, [exact(r) for r in raw], _masses(head, dtype))
                for regime in REGIMES:
                    y = outcome(dist, regime)
                    if y is not None and mp.isfinite(y) and abs(y) < mp.mpf(10) ** 30:
                        near_zero = regime == "upper tail" and abs(dist.upper.xi) < mp.mpf("1e-3")
                        label = NEAR_ZERO if near_zero else regime
                        yield Cell(head.parameterization, label, head, raw, float(np.asarray(float(y), dtype)))


def check(
    points: Sequence[Cell], dtype: Any, loss: str = "pointwise", tick: Callable[[], object] = lambda: None
) -> list[Row]:
    """Return one row for each cell and quantity (the loss, and its derivative in every raw output and in the outcome).

    Args:
        points: cells of one float type.
        dtype: that type; float64 needs JAX's x64 mode.
        loss: one of `LOSSES`, the objectives implemented in 50 digits.
        tick: called after each cell.

    Raises:
        InputError: unknown loss.
    """
    if loss not in LOSSES:
        raise InputError(f"loss: expected {', '.join(LOSSES)}, got {loss!r}")
    precision, rows = np.dtype(dtype).name, []
    for head in dict.fromkeys(cell.head for cell in points):
        mine = [cell for cell in points if cell.head == head]
        compute = objective(_loss_of(head, loss))
        function = jax.value_and_grad(lambda r, y, flag, h=head, loss=compute: loss(h(r), y, flag), (0, 1))
        raw, y = jnp.asarray(np.stack([c.raw for c in mine])), jnp.asarray([c.y for c in mine], dtype)
        flags = jnp.asarray([c.censored for c in mine])
        values, (by_raw, by_outcome) = jax.tree.map(np.asarray, jax.jit(jax.vmap(function))(raw, y, flags))
        for i, cell in enumerate(mine):
            gradient = np.append(by_raw[i], by_outcome[i])
            rows += [
                {"parameterization": cell.parameterization, "precision": precision, "regime": cell.regime} | row
                for row in _rows(cell, dtype, loss, values[i], gradient)
            ]
            tick()
    return rows


def _loss_of(head: SplicedBinnedParetoHead, loss: str) -> str:
    """The loss of an objective for a head: a density without a jump is used directly."""
    return "pointwise" if loss == "exact" and PARAMETERIZATIONS[head.parameterization].continuous else loss


def exact_log_likelihood(dist: Spliced, y: Any, loss: str, censored: bool = False) -> Any:
    """Return minus the loss of one outcome, in 50 digits."""
    half = mp.mpf("0.5")
    if loss == "censored" and censored:
        survival = dist.survival(y - half)
        return mp.log(survival) if survival > 0 else -INF
    if loss in ("interval", "censored"):
        return dist.log_interval(y - half, y + half)
    if loss == "pointwise" or not dist.edges[0] <= y <= dist.edges[-1]:
        return dist.log_prob(y)
    k = dist.bin(y)
    width = (dist.edges[k + 1] - dist.edges[k]) / CELLS_PER_BIN
    low = dist.edges[k] + min(mp.floor((y - dist.edges[k]) / width), CELLS_PER_BIN - 1) * width
    return dist.log_interval(low, low + width) - mp.log(width)


@dataclass(frozen=True)
class Quantity:
    """A computed number and the exact one."""

    quantity: str
    value: float
    exact: float
    error: float
    bound: float
    ratio: float
    allowance: bool


def _rows(cell: Cell, dtype: Any, loss: str, value: Any, gradient: np.ndarray) -> Iterator[Row]:
    # besides raw outputs and outcome, the distribution's own inputs (shapes and scales) are rounded floats
    x = [exact(r) for r in [*cell.raw, cell.y, 1, 1, 1, 1]]
    masses, eps, precision = _masses(cell.head, dtype), exact(np.finfo(dtype).eps), np.dtype(dtype).name
    loss_name = _loss_of(cell.head, loss)

    def exact_loss(x: Sequence[Any]) -> Any:
        return -exact_log_likelihood(dist_of(cell.head, x[:-5], masses, x[-4:]), x[-5], loss_name, cell.censored)

    def slope(j: int) -> Callable[[Sequence[Any]], Any]:
        return lambda x: derivative(lambda v: exact_loss([*x[:j], v, *x[j + 1 :]]), x[j])

    yield asdict(_compare("value", value, exact_loss, x, VALUE_BOUND[precision], eps))
    if not (np.isfinite(value) and mp.isfinite(exact_loss(x))):
        return
    bins = len(cell.head.edges) - 1
    tails = ("lower raw shape", "lower raw scale", "upper raw shape", "upper raw scale")
    names = [*(f"logit {k}" for k in range(bins)), *tails, "outcome"]
    for j, name in enumerate(names):
        yield asdict(_compare(f"d/d {name}", gradient[j], slope(j), x, DERIVATIVE_BOUND[precision], eps))


def _compare(name: str, actual: Any, function: Callable[[Sequence[Any]], Any], x: list[Any], bound: float, eps: Any):
    expected = function(x)
    finite = bool(np.isfinite(actual)) and mp.isfinite(expected)
    error = abs(exact(actual) - expected) if finite else mp.mpf(0) if float(actual) == float(expected) else INF
    tolerance = bound * max(1, abs(expected)) if mp.isfinite(expected) else mp.mpf(bound)
    rounding_effect = movement(function, x, eps) if error > tolerance and not np.isnan(actual) else mp.mpf(0)
    allowance = rounding_effect > tolerance
    if allowance:
        tolerance = 10 * rounding_effect
    ratio = 0.0 if error == 0 or tolerance == INF else float(error / tolerance)
    return Quantity(name, float(actual), float(expected), float(error), float(tolerance), ratio, bool(allowance))


def movement(function: Callable[[Sequence[Any]], Any], x: Sequence[Any], eps: Any) -> Any:
    """Return how far half an ulp in each input moves the result, summed; inf if it crosses the end of the support."""
    expected, total = function(x), mp.mpf(0)
    for j in range(len(x)):
        answers = [function([*x[:j], x[j] * (1 + sign * eps / 2), *x[j + 1 :]]) for sign in (-1, 1)]
        if any(mp.isfinite(a) != mp.isfinite(expected) for a in answers):
            return INF
        if mp.isfinite(expected):
            total += max(abs(a - expected) for a in answers)
    return total


def _masses(head: SplicedBinnedParetoHead, dtype: Any) -> list[Any]:
    return [exact(np.asarray(m, dtype)) for m in head.tail_mass]
