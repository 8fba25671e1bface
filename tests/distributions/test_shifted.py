"""Distributions far from zero: float64 outcomes and locations around a float32 distribution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from sbp_jax.distributions import Affine, Censored, Mixture, Normal, Quantized, Shifted
from sbp_jax.distributions.base import Distribution
from sbp_jax.errors import InputError

pytestmark = pytest.mark.unoptimized

SHIFT, SCALE = np.array([5_400_000.03, -2e9, 1e15]), np.array([0.01, 3.0, 25.0])
Z = np.array([-1.5, 0.3, 2.0])


def far():
    return Shifted(Normal(jnp.zeros(3), jnp.asarray(SCALE, jnp.float32)), SHIFT)


def test_the_shift_is_exact():
    np.testing.assert_array_equal(far().shift, SHIFT)
    np.testing.assert_array_equal(jax.tree.map(lambda leaf: leaf, far()).shift, SHIFT)


def test_probabilities_of_float64_outcomes():
    y = SHIFT + SCALE * Z
    z = (y - SHIFT) / SCALE  # of the outcome that float64 holds
    dist = far()
    np.testing.assert_allclose(dist.log_prob(y), norm.logpdf(z) - np.log(SCALE), rtol=2e-6)
    np.testing.assert_allclose(dist.cdf(y), norm.cdf(z), rtol=2e-6)
    np.testing.assert_allclose(dist.log_survival_function(y), norm.logsf(z), rtol=2e-6)
    np.testing.assert_allclose(dist.prob(y, y + SCALE), norm.cdf(z + 1) - norm.cdf(z), rtol=1e-5)
    np.testing.assert_allclose(dist.crps(y), Normal(0.0, 1.0).crps(z) * SCALE, rtol=1e-5)
    np.testing.assert_allclose(dist.twcrps(y, -np.inf), dist.crps(y), rtol=1e-6)
    low, high = dist.pit_bounds(np.stack([y, y]))
    assert low.shape == high.shape == (2, 3)


def test_locations_are_float64():
    dist = far()
    for value, z in (
        (dist.mean(), 0.0),
        (dist.median(), 0.0),
        (dist.mode(), 0.0),
        (dist.icdf(0.9), norm.ppf(0.9)),
        (dist.isf(0.9), norm.isf(0.9)),
    ):
        assert value.dtype == np.float64
        # rounding of z in float32, and of the sum in float64
        assert np.all(np.abs(value - (SHIFT + SCALE * z)) <= 1e-6 * SCALE + 4e-16 * np.abs(SHIFT))
    np.testing.assert_allclose(dist.std(), SCALE, rtol=1e-6)
    draws = dist.sample(jax.random.key(0), (2000,))
    np.testing.assert_allclose(((draws - SHIFT) / SCALE).std(axis=0), 1.0, atol=0.06)


# arguments of every public method, the outcomes among them relative to the shift
CALLS = {
    **dict.fromkeys(("mean", "variance", "std", "median", "mode", "entropy"), ((), ())),
    **dict.fromkeys(("icdf", "isf"), ((), (0.3,))),
    **dict.fromkeys(("log_prob", "cdf", "log_cdf", "survival_function", "log_survival_function"), ((0.5,), ())),
    **dict.fromkeys(("cdf_left", "log_cdf_left", "log_survival_left", "pit_bounds", "crps"), ((-2.0,), ())),
    **dict.fromkeys(("prob", "interval_log_prob"), ((-1.0, 2.0), ())),
    "twcrps": ((1.0, -2.0, 3.0), ()),
    "sample": ((), ((4,),)),  # after the key
}
LOCATIONS = {"mean", "median", "mode", "icdf", "isf", "sample"}
PUBLIC = [name for name in dir(Distribution) if not name.startswith("_") and callable(getattr(Distribution, name))]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_method_is_that_of_the_base_at_the_shift(name):
    outcomes, others = CALLS[name]
    others = (jax.random.key(0), *others) if name == "sample" else others
    base, shift = Normal(jnp.array([0.3, -0.2]), 2.0), np.array([1e12, 3.0])
    dist = Shifted(base, shift)
    plain = getattr(base, name)(*outcomes, *others)
    far = getattr(dist, name)(*(shift + y for y in outcomes), *others)
    moved = shift if name in LOCATIONS else 0.0
    assert np.shape(far) == np.shape(plain)
    np.testing.assert_allclose(np.asarray(far) - moved, plain, rtol=2e-6, atol=2e-4 if name in LOCATIONS else 0)


def test_parts_of_the_batch():
    dist = far()
    for index in (1, slice(0, 2), [2, 0]):
        np.testing.assert_array_equal(dist[index].shift, SHIFT[index])
    assert dist[0].batch_shape == ()
    assert repr(dist).startswith("Shifted(")
    assert Shifted(Normal(0.0, 1.0), SHIFT).batch_shape == (3,)


def test_counts_keep_their_grid():
    dist = Shifted(Quantized(Normal(0.25, 2.0)), 2e9)
    k = np.arange(-20, 21)
    np.testing.assert_allclose(np.exp(dist.log_prob(2_000_000_000 + k)).sum(), 1.0, rtol=1e-5)
    assert float(dist.median()) == 2e9


@pytest.mark.parametrize(
    "call",
    [
        lambda d: jax.jit(lambda y: d.log_prob(y))(1.0),
        lambda d: jax.jit(lambda d, y: d.log_prob(y))(d, np.zeros(3)),
        lambda d: jax.grad(lambda y: d[0].cdf(y))(1.0),
        lambda d: jax.jit(lambda shift: Shifted(Normal(0.0, 1.0), shift).mean())(1.0),
        lambda d: Quantized(d).log_prob(1.0),
        lambda d: Affine(d, 0.0, 1.0).cdf(1.0),
        lambda d: Censored(d, high=7.0).cdf(1.0),
        lambda d: Mixture([1.0], [d]).median(),
    ],
)
def test_inside_jit_it_is_refused_in_one_line(call):
    with pytest.raises(InputError, match=r"Shifted|traced") as caught:
        call(far())
    assert "\n" not in str(caught.value)
