"""Tails and bins recovered by NumPyro's inference: a distribution as likelihood and as prior, by NUTS and by SVI."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as numpyro_dists
import pytest
from numpyro.infer import MCMC, NUTS, SVI, Predictive, Trace_ELBO
from numpyro.infer.autoguide import AutoNormal

from sbp_jax.distributions import GeneralizedPareto, SplicedBinnedPareto
from sbp_jax.numpyro import Continuous, Rounded

pytestmark = [pytest.mark.unoptimized, pytest.mark.slow]  # minutes of sampling


def test_nuts_recovers_the_tail_and_keeps_to_a_moving_support(loose):
    truth = {"shape": 0.25, "scale": 2.0}
    y = GeneralizedPareto(**truth).sample(jax.random.key(11), (1000,))

    def model(y):
        shape = numpyro.sample("shape", numpyro_dists.Normal(0.0, 1.0))
        scale = numpyro.sample("scale", numpyro_dists.LogNormal(0.0, 1.0))
        # a prior whose support [0, 2 scale] moves with another site: uniform, and independent of the outcomes
        numpyro.sample("within", Continuous(GeneralizedPareto(-1.0, 2 * scale)))
        numpyro.sample("y", Continuous(GeneralizedPareto(shape, scale), validate_args=False), obs=y)

    mcmc = MCMC(NUTS(model), num_warmup=200, num_samples=400, progress_bar=False)
    mcmc.run(jax.random.key(1), y)
    draws = mcmc.get_samples()

    def loss(p):
        return -jnp.sum(GeneralizedPareto(p[0], jnp.exp(p[1])).log_prob(y))

    p = jnp.array([0.0, 0.5])
    for _ in range(20):
        p = p - jnp.linalg.solve(jax.hessian(loss)(p), jax.grad(loss)(p))
    assert float(jnp.linalg.norm(jax.grad(loss)(p))) < 0.1
    for name, mle in (("shape", float(p[0])), ("scale", float(jnp.exp(p[1])))):
        mean, sd = float(draws[name].mean()), float(draws[name].std())
        assert abs(mean - truth[name]) < 3 * sd, name
        assert abs(mean - mle) < 0.5 * sd, name
    fraction = np.asarray(draws["within"] / (2 * draws["scale"]))
    assert fraction.min() > 0
    assert fraction.max() < 1
    assert abs(fraction.mean() - 0.5) < 0.06
    assert abs(fraction.std() - 12**-0.5) < 0.03
    assert not bool(jnp.any(mcmc.get_extra_fields()["diverging"]))


def test_svi_recovers_bins_and_tails_from_rounded_outcomes(loose):
    edges = np.linspace(-4.0, 4.0, 9)
    p = np.array([0.04, 0.08, 0.15, 0.25, 0.2, 0.14, 0.09, 0.05])
    truth = {"lower": (0.1, 0.9), "upper": (0.3, 1.6)}
    count = 3000

    def dist(logits, lower, upper):
        return SplicedBinnedPareto(logits, edges, GeneralizedPareto(*lower), GeneralizedPareto(*upper), (0.1, 0.1))

    y = Rounded(dist(jnp.log(p), **truth), 0.1).sample(jax.random.key(21), (count,))

    def model(y=None):
        logits = numpyro.sample("logits", numpyro_dists.Normal(0.0, 2.0).expand((8,)).to_event(1))
        shape = numpyro.sample("shape", numpyro_dists.Normal(0.0, 0.5).expand((2,)).to_event(1))
        scale = numpyro.sample("scale", numpyro_dists.LogNormal(0.0, 1.0).expand((2,)).to_event(1))
        with numpyro.plate("outcomes", count):
            numpyro.sample("y", Rounded(dist(logits, (shape[0], scale[0]), (shape[1], scale[1])), 0.1), obs=y)

    guide = AutoNormal(model)
    svi = SVI(model, guide, numpyro.optim.Adam(0.02), Trace_ELBO())
    result = svi.run(jax.random.key(2), 900, y, progress_bar=False)
    assert bool(jnp.all(jnp.isfinite(result.losses)))
    posterior = guide.sample_posterior(jax.random.key(3), result.params, sample_shape=(1000,))
    bins = jax.nn.softmax(posterior["logits"], axis=-1)
    # the bins inside the thresholds, whose probabilities the outcomes' counts determine
    for k in range(2, 6):
        sd = (p[k] * (1 - p[k]) / count) ** 0.5
        assert abs(float(bins[:, k].mean()) - p[k]) < 4 * sd, k
    for i, side in enumerate(("lower", "upper")):
        for name, want in zip(("shape", "scale"), truth[side], strict=True):
            draws = posterior[name][:, i]
            assert abs(float(draws.mean()) - want) < 3.5 * max(
                float(draws.std()), (1 + truth[side][0]) / (0.1 * count) ** 0.5
            ), name
    ahead = Predictive(model, guide=guide, params=result.params, num_samples=5)(jax.random.key(4))["y"]
    assert ahead.shape == (5, count)
    assert abs(float(jnp.mean(ahead > 2.0)) - float(jnp.mean(y > 2.0))) < 0.02
