"""Consistency of objectives: mean gradient at the truth, and drift of training that starts there."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from sbp_jax.distributions.heads import OBJECTIVES, PARAMETERIZATIONS, Head, Loss, SplicedBinnedParetoHead, objective

POINTS, STEPS, LEARNING_RATE = 50_000, 300, 0.01
GRADIENT_BOUND, DRIFT_BOUND = 1e-4, 1e-4
FARTHEST = 5000.0  # integer outcomes; the probability beyond is below 1e-8
ROUNDED = ("interval", "censored")
CENSORED_AT = 1.0  # outcomes from here on are censored, in the unit of the outcome
# Three bins whose outer bins contain the thresholds, and eight that differ in width and probability.
STARTS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "three bins": ((-1.0, 0.0, 1.0, 2.0), (0.05, 0.9, 0.05)),
    "eight bins": (
        (-4.0, -2.5, -1.0, -0.5, 0.0, 0.75, 1.5, 3.0, 5.0),
        (0.3, -0.8, 1.1, 0.2, 1.7, 0.4, -0.3, 0.8),
    ),
}
RAW_TAILS = (-0.5, 1.2, -1.0, 0.5)  # shape and scale of the lower tail, then of the upper
SUPPORT = (-40.0, 60.0)
TRUTH = (
    f"Outcomes follow the distribution itself: {POINTS:,} of its quantiles, or the integers with their probabilities. "
    "For a consistent loss the mean gradient in the raw outputs is zero there, and training stays: the bounds are "
    f"{GRADIENT_BOUND:g} on its largest component, and {DRIFT_BOUND:g} nats on the NLL added by {STEPS} steps of Adam. "
    "`pointwise` misses the jump of log f(y) as a threshold passes y: it stays only where the density is continuous."
)


@dataclass(frozen=True)
class Case:
    """One objective at one truth.

    Attributes:
        start: name of the truth's bins, a key of `STARTS`.
        parameterization, objective: by name.
        head: raw outputs to distributions.
        raw: raw outputs of the truth, [R].
        consistent: whether the mean gradient at the truth is zero.
    """

    start: str
    parameterization: str
    objective: str
    head: SplicedBinnedParetoHead
    raw: np.ndarray
    consistent: bool

    @property
    def loss(self) -> Loss:
        """The training loss."""
        continuous = PARAMETERIZATIONS[self.parameterization].continuous
        return objective(self.objective, continuous=self.objective == "exact" and continuous)


def cases() -> Iterator[Case]:
    """Yield every objective with every parameterization for three bins, and with two of them for eight bins."""
    for start, (edges, logits) in STARTS.items():
        for name, parameterization in PARAMETERIZATIONS.items():
            if start == "eight bins" and name not in ("bounded", "continuous"):
                continue
            head = SplicedBinnedParetoHead(edges, (0.05, 0.1), name, support=SUPPORT)
            for loss in OBJECTIVES:
                # the composite's bins learn from all outcomes: they agree with a tail that lies within one bin
                consistent = parameterization.continuous if loss == "pointwise" else True
                yield Case(start, name, loss, head, np.asarray([*logits, *RAW_TAILS]), consistent)


def outcomes(case: Case, count: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return outcomes of the truth, their censoring mask, and weights that sum to one.

    Outcomes of `ROUNDED` objectives are integers with their exact probabilities; others are `count` quantiles at the
    midpoints of equal steps of probability.
    """
    truth = case.head(jnp.asarray(case.raw))
    if case.objective not in ROUNDED:
        # each half from its own side: probabilities near 1 have few digits
        half = (jnp.arange(count // 2, dtype=float) + 0.5) / count
        y = jnp.concatenate([truth.icdf(half), truth.isf(half)])
        return y, jnp.zeros(len(y), bool), jnp.full(len(y), 1 / len(y))
    high = CENSORED_AT if case.objective == "censored" else FARTHEST
    y = jnp.arange(-FARTHEST, high + 1)
    censored = (y >= high) & (case.objective == "censored")
    mass = jnp.where(censored, truth.survival_function(y - 0.5), jnp.exp(truth.interval_log_prob(y - 0.5, y + 0.5)))
    return y, censored, mass


def measure(case: Case) -> dict[str, Any]:
    """Measure the mean gradient at the truth and the drift of the NLL under training from it.

    Args:
        case: the case, in float64 (JAX's x64 mode).

    Returns:
        A row: the case's names, `gradient` (largest component of the mean gradient in the raw outputs, nats), `drift`
        (nats by which `STEPS` steps of Adam worsen the NLL), `shape` (the largest shape after them), `consistent`, and
        `ratio`, the larger of gradient and drift relative to their bounds.
    """
    points = outcomes(case, POINTS)
    slopes = jax.jit(jax.grad(partial(_mean, case.head, case.loss)))
    start = raw = jnp.asarray(case.raw)
    rule = optax.adam(LEARNING_RATE)
    state, update = rule.init(raw), jax.jit(rule.update)
    gradient = None
    for _ in range(STEPS):  # a loop on the host: one function to compile for gradient and training
        slope = slopes(raw, *points)
        gradient = slope if gradient is None else gradient
        change, state = update(slope, state)
        raw = raw + change
    nll = objective(case.objective) if case.objective in ROUNDED else objective("pointwise")
    mean = jax.jit(partial(_mean, case.head, nll))
    drift = float(mean(raw, *points)) - float(mean(start, *points))
    dist = case.head(raw)
    largest = float(np.max(np.abs(np.asarray(gradient))))
    return {
        "start": case.start,
        "parameterization": case.parameterization,
        "objective": case.objective,
        "gradient": largest,
        "drift": drift,
        "shape": max(float(dist.lower.shape), float(dist.upper.shape)),
        "consistent": case.consistent,
        "ratio": max(largest / GRADIENT_BOUND, drift / DRIFT_BOUND),
    }


def profile(name: str, offsets: np.ndarray, index: int = 0) -> tuple[np.ndarray, float]:
    """Return the expected log-likelihood along one raw output around the truth, and its mean gradient there.

    Args:
        name: name of the objective, `pointwise` or `exact`.
        offsets: offsets added to that raw output, [n].
        index: index of the raw output; 0 is the first logit.

    Returns:
        Expected log-likelihood, nats [n], and its slope at the truth by automatic differentiation.
    """
    with jax.enable_x64(True):
        case = next(c for c in cases() if (c.parameterization, c.objective) == ("bounded", name))
        points = outcomes(case, POINTS)
        raws = [jnp.asarray(case.raw).at[index].add(offset) for offset in offsets]
        mean = jax.jit(partial(_mean, case.head, case.loss))
        values = [-float(mean(raw, *points)) for raw in raws]
        slope = jax.jit(jax.grad(partial(_mean, case.head, case.loss)))(jnp.asarray(case.raw), *points)
    return np.asarray(values), -float(slope[index])


def _mean(head: Head, loss: Loss, raw: jax.Array, y: jax.Array, censored: jax.Array, weight: jax.Array) -> jax.Array:
    losses = loss(head(raw), y, censored)
    possible = weight > 0  # an integer without mass may have an infinite loss
    return jnp.sum(jnp.where(possible, weight * jnp.where(possible, losses, 0.0), 0.0))
