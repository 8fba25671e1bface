"""Training objectives by name."""

import functools
from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from sbp_jax.distributions.affine import Affine
from sbp_jax.distributions.base import Distribution
from sbp_jax.distributions.pytrees import at_least_float32
from sbp_jax.distributions.spliced import SplicedBinnedPareto
from sbp_jax.errors import InputError

Loss = Callable[..., Float[Array, "..."]]
OBJECTIVES = ("exact", "composite", "interval", "censored", "pointwise")


def objective(name: str, width: float = 1.0, threshold_gradient: bool | None = None, continuous: bool = False) -> Loss:
    """Return the training loss of that name, a function (distribution, y, censored) -> loss per outcome.

    | name | loss |
    | --- | --- |
    | `exact` | -log f(y); for a `SplicedBinnedPareto`, -`cell_log_density`, averaged over an eighth of a bin |
    | `composite` | the published surrogate, -`composite_log_prob`; InputError for a distribution without one |
    | `interval` | -log P(y - width/2 < Y <= y + width/2), for outcomes rounded to multiples of `width` |
    | `censored` | -log P(Y > y - width/2), without an upper end, where the outcome is censored; else as `interval` |
    | `pointwise` | -log f(y) for every distribution: a metric, not a loss, if the density jumps at a threshold |

    Where the density jumps at a threshold t, log f(y) jumps as t passes y. Automatic differentiation misses the jump:
    the mean gradient of `pointwise` is not the gradient of the mean, which has a kink at the truth, and training with
    it drifts away from the truth. The mean gradient of the other four is zero at the truth (`sbp gradients` measures
    it); that of `pointwise` is zero only if the density is continuous.

    Args:
        name: name of the loss.
        width: width of the grid to which outcomes were rounded, for `interval` and `censored`.
        threshold_gradient: False stops gradients through the thresholds of a `SplicedBinnedPareto`; True lets them
            flow. None means False for `composite` and True for the others. The value of the loss does not depend on it.
            False raises an InputError for a distribution without thresholds.
        continuous: True if the density of every distribution is continuous at its thresholds, as with the
            parameterization "continuous": `exact` is then -log f(y) for a `SplicedBinnedPareto` too.

    Returns:
        The loss. Equal arguments return the same function, so that its compiled programs are reused. The argument
        `censored` is boolean and broadcasts against y: it marks right-censored outcomes, known only to be at least y.
        Losses other than `censored` ignore it, and it may be omitted. For an `Affine`, a loss uses the base's
        thresholds and cells, and counts the Jacobian of the scale once.

    Raises:
        InputError: unknown name, or width not positive.

    Example:
        >>> loss = objective("interval")
        >>> loss(Normal(0.0, 1.0), 2.0)  # doctest: +SKIP
    """
    return _objective(name, width, threshold_gradient, continuous)


@functools.cache  # distinguishes positional arguments, keywords and defaults, so `objective` passes all by position
def _objective(name: str, width: float, threshold_gradient: bool | None, continuous: bool) -> Loss:
    losses: dict[str, Loss] = {
        "exact": _pointwise if continuous else _exact,
        "composite": _composite,
        "interval": _interval,
        "censored": _censored,
        "pointwise": _pointwise,
    }
    if name not in losses:
        raise InputError(f"unknown objective {name!r}; known: {', '.join(losses)}")
    if not width > 0:
        raise InputError(f"width must be positive, got {width}")
    loss = losses[name]
    if name in ("interval", "censored"):
        loss = functools.partial(loss, half=0.5 * width)
    if threshold_gradient is False or (threshold_gradient is None and name == "composite"):
        return lambda distribution, *outcomes: loss(_without_threshold_gradient(distribution, name), *outcomes)
    return loss


def _without_threshold_gradient(distribution: Distribution, name: str) -> Distribution:
    if isinstance(distribution, Affine):
        return Affine(_without_threshold_gradient(distribution.base, name), distribution.loc, distribution.scale)
    if not isinstance(distribution, SplicedBinnedPareto):
        kind = type(distribution).__name__
        condition = "needs" if name == "composite" else "without threshold gradients needs"
        raise InputError(f"objective {name!r} {condition} a SplicedBinnedPareto, got {kind}")
    return distribution.stop_threshold_gradient()


def _pointwise(distribution: Distribution, y: Float[Array, "..."], censored: object = None) -> Float[Array, "..."]:
    del censored
    return -distribution.log_prob(y)


def _exact(distribution: Distribution, y: Float[Array, "..."], censored: object = None) -> Float[Array, "..."]:
    if isinstance(distribution, Affine):
        return _exact(distribution.base, distribution.standardized(y)) + jnp.log(distribution.scale)
    if isinstance(distribution, SplicedBinnedPareto):
        return -distribution.cell_log_density(y)
    return _pointwise(distribution, y, censored)


def _composite(distribution: Distribution, y: Float[Array, "..."], censored: object = None) -> Float[Array, "..."]:
    del censored
    if isinstance(distribution, Affine):
        return _composite(distribution.base, distribution.standardized(y)) + jnp.log(distribution.scale)
    if not isinstance(distribution, SplicedBinnedPareto):
        raise InputError(f"objective 'composite' needs a SplicedBinnedPareto, got {type(distribution).__name__}")
    return -distribution.coupled_composite_log_prob(y)


def _interval(
    distribution: Distribution, y: Float[Array, "..."], censored: object = None, *, half: float
) -> Float[Array, "..."]:
    del censored
    y = at_least_float32(y)
    return -distribution.interval_log_prob(y - half, y + half)


def _censored(
    distribution: Distribution, y: Float[Array, "..."], censored: Bool[Array, "..."], *, half: float
) -> Float[Array, "..."]:
    y = at_least_float32(y)
    high = jnp.where(censored, jnp.inf, y + half)  # known only to be at least y
    return -distribution.interval_log_prob(y - half, high)
