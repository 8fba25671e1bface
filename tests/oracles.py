"""Oracles in 50 digits: the distribution itself, which the gradient check also uses, and helpers for tests."""

import mpmath as mp

from sbp_jax.evaluation.exact import INF, Pareto, Spliced, derivative, exact, expm1_ratio, log1p_ratio

__all__ = [
    "INF",
    "Pareto",
    "Spliced",
    "derivative",
    "exact",
    "expm1_ratio",
    "log1p_ratio",
    "mp",
    "normal_log_interval",
]


def normal_log_interval(loc, scale, low, high):
    a, b = (low - loc) / scale, (high - loc) / scale
    if a > 0:
        a, b = -b, -a
    return mp.log(mp.ncdf(b) - mp.ncdf(a))
