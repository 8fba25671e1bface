"""Map raw network outputs to the distribution in 50 digits, typed from the documented formulas of the heads."""

from collections.abc import Callable, Sequence
from typing import Any

from sbp_jax.distributions.heads import SplicedBinnedParetoHead
from sbp_jax.evaluation.exact import Pareto, Spliced, exact, mp

Tail = Callable[[Any, Any, Any, Any, Any, Any], tuple[Any, Any]]


def softplus(x: Any) -> Any:
    """Return log(1 + exp(x))."""
    return mp.log1p(mp.exp(-abs(x))) + max(x, mp.mpf(0))


def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + exp(-x))."""
    return 1 / (1 + mp.exp(-x))


def _between(x: Any, low: Any, high: Any) -> Any:
    return low * sigmoid(-x) + high * sigmoid(x)


def _continuous(a: Any, _: Any, bounds: Any, distance: Any, matching: Any, __: Any) -> tuple[Any, Any]:
    low = bounds[0] if distance is None or bounds[0] >= 0 else max(bounds[0], -matching / distance)
    return _between(a, low, bounds[1]), matching


# (raw shape, raw scale, bounds, distance or None, scale of a continuous density, that of an exponential body) -> shape,
# scale before any widening
TAILS: dict[str, Tail] = {
    "positive": lambda a, b, bounds, *_: (softplus(a), softplus(b)),
    "bounded": lambda a, b, bounds, *_: (_between(a, *bounds), softplus(b)),
    "orthogonal": lambda a, b, bounds, *_: (
        _between(a, *bounds),
        softplus(b) / (1 + _between(a, *bounds)),
    ),
    "continuous": _continuous,
    "proportional": lambda a, b, bounds, distance, matching, decay: (_between(a, *bounds), softplus(b) * decay),
    "exponential": lambda a, b, bounds, *_: (mp.mpf(0), softplus(b)),
    "endpoint": lambda a, b, bounds, distance, *_: (
        -sigmoid(-a) / 2,
        sigmoid(-a) / 2 * distance,
    ),
}
WIDENED = ("positive", "bounded", "orthogonal", "proportional", "exponential")


def dist_of(
    head: SplicedBinnedParetoHead, raw: Sequence[Any], tail_mass: Sequence[Any], factors: Sequence[Any] = (1, 1, 1, 1)
) -> Spliced:
    """Return the distribution of raw outputs in 50 digits.

    Args:
        head: provides edges, bounds, support and parameterization.
        raw: outputs [K + 4] as mpmath numbers.
        tail_mass: (tau_l, tau_u), rounded to the float type of the check.
        factors: rounding factors of lower shape and scale and upper shape and scale.
    """
    edges = [exact(e) for e in head.edges]
    bins = len(edges) - 1
    none = Pareto(mp.mpf(0), mp.mpf(1))
    body = Spliced(list(raw[:bins]), edges, none, none, *tail_mass)
    bounds = tuple(exact(b) for b in head.shape_bounds)
    tails = []
    for upper, threshold in enumerate((body.t_l, body.t_u)):
        distance = None if head.support is None else abs(exact(head.support[upper]) - threshold)
        # a threshold at an edge belongs to the bin that the sum from its side has not passed
        nudge = mp.mpf(10) ** -40 * (1 if not upper else -1)
        matching = tail_mass[upper] / mp.exp(body.body_log_prob(threshold + nudge))
        a, b = raw[bins + 2 * upper], raw[bins + 2 * upper + 1]
        decay = mp.mpf(1)
        if tail_mass[upper] > 0:
            half = Spliced(list(raw[:bins]), edges, none, none, mp.mpf(1) / 2, mp.mpf(1) / 2)
            decay = abs((half.t_l, half.t_u)[upper] - threshold) / mp.log(1 / (2 * tail_mass[upper]))
        xi, beta = TAILS[head.parameterization](a, b, bounds, distance, matching, decay)
        if distance is not None and head.parameterization in WIDENED:
            beta += distance * max(-xi, mp.mpf(0))
        tails.append(Pareto(xi * factors[2 * upper], beta * factors[2 * upper + 1]))
    return Spliced(list(raw[:bins]), edges, *tails, *tail_mass)
