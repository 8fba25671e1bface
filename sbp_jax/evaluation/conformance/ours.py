"""This package behind the interface of the measurements."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbp_jax.distributions import Binned, GeneralizedPareto, Normal, SplicedBinnedPareto, objective
from sbp_jax.errors import InputError
from sbp_jax.evaluation.conformance.case import Case
from sbp_jax.evaluation.conformance.implementation import Implementation, Shape


class Ours(Implementation):
    """sbp_jax."""

    name = "sbp_jax"

    def accepts(self, xi: float) -> bool:
        try:
            GeneralizedPareto(xi, 1.5)
        except InputError:
            return False
        return True

    def log_prob(self, case: Case, y: np.ndarray) -> np.ndarray:
        return _evaluate(case, y, lambda dist, at: dist.log_prob(at))

    def density(self, case: Case, y: np.ndarray) -> np.ndarray:
        return _evaluate(case, y, lambda dist, at: jnp.exp(dist.log_prob(at)))

    def cdf(self, case: Case, y: np.ndarray) -> np.ndarray:
        return _evaluate(case, y, lambda dist, at: dist.cdf(at))

    def icdf(self, case: Case, q: np.ndarray) -> np.ndarray:
        return _evaluate(case, q, lambda dist, at: dist.icdf(at))

    def log_survival(self, case: Case, y: np.ndarray) -> np.ndarray:
        return _evaluate(case, y, lambda dist, at: dist.log_survival_function(at))

    def cdf_slope(self, case: Case, y: np.ndarray) -> np.ndarray:
        return _evaluate(case, y, lambda dist, at: jax.vmap(jax.grad(dist.cdf))(at))

    def gradient(self, case: Case, y: np.ndarray) -> np.ndarray:
        def log_prob(parameters, at):
            return _dist(case, parameters).log_prob(at)

        return _evaluate(case, y, lambda _, at: jax.jacobian(log_prob)(_parameters(case), at))

    def mean_training_gradient(self, case: Case, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
        def total(logits, at):
            return jnp.sum(jnp.asarray(weight, case.dtype) * -objective("exact")(_dist(case, logits=logits), at))

        return _evaluate(case, y, lambda dist, at: jax.grad(total)(dist.logits, at))

    def mean(self, case: Case) -> float:
        return float(_evaluate(case, (), lambda dist, _: dist.mean()))

    def variance(self, case: Case) -> float:
        return float(_evaluate(case, (), lambda dist, _: dist.variance()))

    def sample(self, case: Case, batch: Shape, sample_shape: Shape, seed: int) -> np.ndarray:
        return np.asarray(_dist(case, batch=batch).sample(jax.random.key(seed), sample_shape), np.float64)

    def log_prob_shape(self, case: Case, batch: Shape, outcomes: Shape) -> Shape:
        return _dist(case, batch=batch).log_prob(np.zeros(outcomes, np.float32)).shape

    def pareto(self, xi: np.ndarray, beta: float, z: float) -> tuple[np.ndarray, np.ndarray]:
        def log_prob(shape):
            return GeneralizedPareto(shape, np.float32(beta)).log_prob(np.float32(z))

        value, slope = jax.vmap(jax.value_and_grad(log_prob))(jnp.asarray(xi, jnp.float32))
        return np.asarray(value, np.float64), np.asarray(slope, np.float64)

    def pareto_quantile(self, xi: float, beta: float, q: float) -> float:
        return float(GeneralizedPareto(np.float32(xi), np.float32(beta)).icdf(q))

    def binned(self, case: Case, y: np.ndarray) -> np.ndarray:
        dist = Binned(jnp.asarray(case.logits, jnp.float32), case.edges)
        return np.asarray(dist.log_prob(y), np.float64)

    def normal(self, loc: float, scale: float, y: float) -> np.ndarray:
        value, slopes = jax.value_and_grad(lambda a, b: Normal(a, b).log_prob(y), argnums=(0, 1))(loc, scale)
        return np.asarray([value, *slopes], np.float64)


def _parameters(case: Case) -> jax.Array:
    return jnp.asarray([*case.shapes, *case.scales], case.dtype)


def _dist(
    case: Case, parameters: jax.Array | None = None, batch: Shape = (), logits: jax.Array | None = None
) -> SplicedBinnedPareto:
    xi_l, xi_u, beta_l, beta_u = _parameters(case) if parameters is None else parameters
    if logits is None:
        logits = jnp.broadcast_to(jnp.asarray(case.logits, case.dtype), (*batch, len(case.logits)))
    lower, upper = GeneralizedPareto(xi_l, beta_l), GeneralizedPareto(xi_u, beta_u)
    return SplicedBinnedPareto(logits, case.edges, lower, upper, (case.tail, case.tail))


def _evaluate(case: Case, at: Any, function: Callable[[SplicedBinnedPareto, jax.Array], Any]) -> np.ndarray:
    with jax.enable_x64(case.double):
        return np.asarray(function(_dist(case), jnp.asarray(at, case.dtype)), np.float64)
