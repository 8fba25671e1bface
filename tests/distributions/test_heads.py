"""Heads: domains, bounds, initial values, objectives, and errors that name what was expected."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbp_jax.distributions import HybridPareto, Normal, SplicedBinnedPareto, TwoTailedHybridPareto
from sbp_jax.distributions.heads import (
    MIN_SCALE,
    OBJECTIVES,
    PARAMETERIZATIONS,
    BinnedHead,
    BlendedParetoHead,
    CenteredHead,
    HybridParetoHead,
    NormalHead,
    SplicedBinnedParetoHead,
    StudentTHead,
    TwoTailedHybridParetoHead,
    objective,
)
from sbp_jax.errors import InputError
from tests.slow import marked

pytestmark = [pytest.mark.unoptimized, pytest.mark.long]

EDGES = tuple(np.linspace(-10.0, 30.0, 21).tolist())
SUPPORT = (-110.0, 110.0)


def make(name, edges=EDGES, **options):
    """A head of that parameterization, with a support where it needs one."""
    support = {"support": SUPPORT} if PARAMETERIZATIONS[name].needs_end else {}
    return SplicedBinnedParetoHead(edges, parameterization=name, **(support | options))


@pytest.mark.slow
@pytest.mark.parametrize("name", PARAMETERIZATIONS)
def test_outputs_are_in_the_domain_for_any_raw_values(name):
    head = make(name)
    assert head.num_outputs == 24
    raw = jnp.asarray(np.random.default_rng(0).normal(size=(6, 24)) * np.array([[0.1], [1], [10], [1e2], [1e3], [1e4]]))

    def loss(raw, y):
        return head(raw).interval_log_prob(y - 0.5, y + 0.5)

    dist = head(raw)
    assert dist.batch_shape == (6,)
    for tail in (dist.lower, dist.upper):
        assert jnp.all(tail.scale >= MIN_SCALE / 2)
        if name != "positive":
            assert jnp.all((tail.shape >= -0.5) & (tail.shape <= np.float32(0.95)))
        else:
            assert jnp.all(tail.shape >= 0)
    value, slope = jax.jit(jax.vmap(jax.value_and_grad(loss)))(raw, jnp.full(6, 3.0))
    assert not jnp.any(jnp.isnan(value))
    assert jnp.all(jnp.isfinite(slope))


# outputs that a parameterization does not ignore
USED = dict.fromkeys(("positive", "bounded", "orthogonal", "proportional"), 24)
USED |= dict.fromkeys(("continuous", "exponential", "endpoint"), 22)


@pytest.mark.slow
def test_every_output_receives_a_gradient():
    assert set(USED) == set(PARAMETERIZATIONS)
    y = jnp.array([-8.0, -5.0, 3.0, 12.0, 17.0])
    for name, used in USED.items():
        head = make(name)
        raw = jnp.asarray(head.init_from_data(np.random.default_rng(1).normal(5, 6, 500)), jnp.float32)
        slope = jax.jit(jax.grad(lambda r, head=head: -jnp.mean(head(r).log_prob(y))))(raw)
        assert int(jnp.sum(slope != 0)) == used


def test_the_published_map_and_the_bounds():
    raw = jnp.zeros(24).at[20:].set(jnp.array([0.0, 1.0, -2.0, 3.0]))
    dist = SplicedBinnedParetoHead(EDGES, parameterization="positive")(raw)
    softplus = np.log1p(np.exp([0.0, 1.0, -2.0, 3.0]))
    got = [dist.lower.shape, dist.lower.scale, dist.upper.shape, dist.upper.scale]
    np.testing.assert_allclose(got, softplus, rtol=1e-6)
    dist = SplicedBinnedParetoHead(EDGES, shape_bounds=(-0.2, 0.4))(raw)
    assert float(dist.lower.shape) == pytest.approx(0.1, rel=1e-6)
    dist = SplicedBinnedParetoHead(EDGES, parameterization="orthogonal")(raw)
    assert float(dist.lower.scale * (1 + dist.lower.shape)) == pytest.approx(softplus[1], rel=1e-6)
    assert SplicedBinnedParetoHead(EDGES, parameterization="exponential")(raw).upper.shape == 0


@pytest.mark.sample(1)
@pytest.mark.parametrize("name", PARAMETERIZATIONS)
def test_initial_estimates_the_marginal(name):
    rng = np.random.default_rng(2)
    y = np.concatenate([rng.normal(5, 4, 4000), 12 + rng.pareto(4, 300) * 12])
    head = make(name, np.linspace(-10.0, 30.0, 81))
    dist = head(jnp.asarray(head.init_from_data(y), jnp.float32))
    for q in (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99):
        assert np.mean(y <= float(dist.icdf(q))) == pytest.approx(q, abs=0.006)
    marginal = -float(jnp.mean(dist.log_prob(y)))
    gaussian = NormalHead()
    assert (
        marginal < -float(jnp.mean(gaussian(jnp.asarray(gaussian.init_from_data(y), jnp.float32)).log_prob(y))) - 0.05
    )


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    "y", [np.zeros(50), np.full(3, 7.3), np.full(20, 1e5), np.full(20, -1e5), np.array([1.0]), np.array([-1e6, 1e6])]
)
@pytest.mark.parametrize("name", PARAMETERIZATIONS)
def test_initial_is_finite_for_any_data(name, y):
    head = make(name)
    raw = head.init_from_data(y)
    assert raw.shape == (24,)
    assert np.all(np.isfinite(raw))
    dist, inside = head(jnp.asarray(raw, jnp.float32)), (y > SUPPORT[0]) & (y < SUPPORT[1]) | (name != "endpoint")
    assert jnp.all(jnp.isfinite(dist.log_prob(y.astype(np.float32))) | ~inside)
    gaussian = NormalHead(center=5.0, unit=10.0)
    assert np.all(np.isfinite(gaussian.init_from_data(y)))


def test_normal_head():
    head = NormalHead(center=5.0, unit=10.0)
    y = np.random.default_rng(0).normal(8, 3, 1000)
    dist = head(jnp.asarray(head.init_from_data(y), jnp.float32))
    assert float(dist.mean()) == pytest.approx(y.mean(), rel=1e-5)
    assert float(dist.variance()) == pytest.approx(y.var(), rel=1e-5)
    assert head.num_outputs == 2
    raw = jnp.array([[0.0, -1e4], [0.0, 1e4]])
    assert jnp.all(jnp.isfinite(head(raw).log_prob(5.0)))


def test_heads_are_hashable_and_compare_by_value():
    assert SplicedBinnedParetoHead(np.asarray(EDGES)) == SplicedBinnedParetoHead(EDGES)
    assert hash(SplicedBinnedParetoHead(list(EDGES))) == hash(SplicedBinnedParetoHead(EDGES))
    assert SplicedBinnedParetoHead(EDGES) != SplicedBinnedParetoHead(EDGES, (0.1, 0.1))


def test_continuous_has_no_jump_at_the_thresholds():
    rng = np.random.default_rng(4)
    for head in (make("continuous"), make("continuous", tail_mass=(0.02, 0.2)), make("continuous", support=SUPPORT)):
        dist = head(jnp.asarray(rng.normal(size=(50, 24)), jnp.float32))
        for t, out in zip(dist.thresholds(), (-np.inf, np.inf), strict=True):
            outside = jnp.asarray(np.nextafter(np.asarray(t), np.float32(out)))
            np.testing.assert_allclose(dist.log_prob(outside), dist.log_prob(t), atol=2e-5)


def test_proportional_scale_is_that_of_an_exponential_body():
    edges = np.arange(0.0, 30.0, 0.25)
    logits = np.log(np.exp(-edges[:-1] / 3) - np.exp(-edges[1:] / 3))
    raw = jnp.asarray(
        np.concatenate([logits, np.full(4, np.log(np.expm1(1.0)))]), jnp.float32
    )  # softplus of these is 1
    head = SplicedBinnedParetoHead(edges, (0.0, 0.05), "proportional")
    assert float(head(raw).upper.scale) == pytest.approx(3, rel=2e-3)
    shifted = SplicedBinnedParetoHead(tuple(edges + 1e4), (0.0, 0.05), "proportional")
    assert float(shifted(raw).upper.scale) == pytest.approx(3, rel=2e-3)


def test_only_the_continuous_scale_jumps_where_a_threshold_passes_an_edge():
    """The two bins of the upper threshold differ in density by a factor of 10."""

    def scale(name, at):
        beyond = 0.05 + at
        raw = np.concatenate([np.log([0.9, 0.1 - beyond, beyond]), np.zeros(4)])
        return float(SplicedBinnedParetoHead((0.0, 1.0, 1.2, 12.0), (0.0, 0.05), name)(jnp.asarray(raw)).upper.scale)

    with jax.enable_x64(True):
        for name in PARAMETERIZATIONS:
            if not PARAMETERIZATIONS[name].needs_end:
                ratio = scale(name, -1e-6) / scale(name, 1e-6)
                assert (abs(np.log(ratio)) > 1) == (name == "continuous"), name


def test_endpoint_ends_at_the_support():
    raw = jnp.asarray(np.random.default_rng(5).normal(size=(50, 24)) * 3, jnp.float32)
    dist = make("endpoint")(raw)
    np.testing.assert_allclose(dist.icdf(0.0), SUPPORT[0], rtol=1e-5)
    np.testing.assert_allclose(dist.icdf(1.0), SUPPORT[1], rtol=1e-5)
    assert jnp.all(dist.log_prob(jnp.full(50, 110.1)) == -jnp.inf)
    assert jnp.all(jnp.isfinite(dist.log_prob(jnp.full(50, 109.0))))


@pytest.mark.parametrize("name", [name for name in PARAMETERIZATIONS if name != "endpoint"])
def test_no_outcome_inside_the_support_is_impossible(name):
    raw = jnp.asarray(np.random.default_rng(6).normal(size=(200, 24)) * 10, jnp.float32)
    dist = make(name, support=SUPPORT)(raw)
    for y in (SUPPORT[0] + 0.01, SUPPORT[1] - 0.01):
        assert jnp.all(jnp.isfinite(dist.log_prob(y)))


HEADS = {
    "normal": NormalHead(2.0, 5.0),
    "student": StudentTHead(2.0, 5.0),
    "hybrid": HybridParetoHead(2.0, 5.0),
    "two-tailed hybrid": TwoTailedHybridParetoHead(2.0, 5.0),
    "binned": BinnedHead(EDGES),
    "blended": BlendedParetoHead(EDGES),
    **{name: make(name) for name in PARAMETERIZATIONS},
}


@pytest.mark.sample(1)
@pytest.mark.parametrize("name", HEADS)
def test_zero_outputs_predict_the_marginal_that_was_given(name):
    y = np.random.default_rng(7).normal(6, 4, 4000)
    if "hybrid" in name:  # most of its mass is in its tails: it can be no Gaussian
        dist = TwoTailedHybridPareto(6.0, 1.5, 0.1, 0.1) if "two" in name else HybridPareto(3.0, 3.0, 0.1)
        y = np.asarray(dist.sample(jax.random.key(0), (4000,)))
    y = np.clip(y, -9.0, 29.0)
    head = CenteredHead.on(HEADS[name], y)
    dist = head(jnp.zeros((3, head.num_outputs)))
    assert dist.batch_shape == (3,)
    for q in (0.05, 0.25, 0.5, 0.75, 0.95):
        assert np.mean(y <= float(dist.icdf(q)[0])) == pytest.approx(q, abs=0.03)
    np.testing.assert_allclose(head.init_from_data(y), 0, atol=1e-12)
    assert hash(head) == hash(CenteredHead.on(HEADS[name], y))


@pytest.mark.sample(1)
@pytest.mark.parametrize("name", marked(HEADS, ["blended", "two-tailed hybrid"]))
def test_any_raw_outputs_give_finite_gradients(name):
    head = HEADS[name]
    scales = jnp.array([[0.1], [1], [10], [100], [1e4]])
    raw = scales * jnp.asarray(np.random.default_rng(8).normal(size=(5, head.num_outputs)), jnp.float32)
    value, slope = jax.jit(jax.vmap(jax.value_and_grad(lambda r: head(r).interval_log_prob(2.5, 3.5))))(raw)
    assert not jnp.any(jnp.isnan(value))
    assert jnp.all(jnp.isfinite(slope))


def test_objectives():
    head = SplicedBinnedParetoHead(EDGES)
    dist = head(jnp.zeros((2, 24)))
    y = jnp.array([3.0, 28.0])
    assert OBJECTIVES == ("exact", "composite", "interval", "censored", "pointwise")
    np.testing.assert_array_equal(objective("pointwise")(dist, y), -dist.log_prob(y))
    np.testing.assert_array_equal(objective("exact")(dist, y), -dist.cell_log_density(y))
    np.testing.assert_array_equal(objective("exact", continuous=True)(dist, y), -dist.log_prob(y))
    np.testing.assert_array_equal(objective("exact")(dist.upper, y), -dist.upper.log_prob(y))
    np.testing.assert_array_equal(objective("composite")(dist, y), -dist.composite_log_prob(y))
    np.testing.assert_array_equal(objective("interval")(dist, y), -dist.interval_log_prob(y - 0.5, y + 0.5))
    np.testing.assert_array_equal(objective("interval", 2.0)(dist, y), -dist.interval_log_prob(y - 1, y + 1))
    for name in ("exact", "composite", "interval", "pointwise"):  # they ignore what is censored
        np.testing.assert_array_equal(objective(name)(dist, y, y > 0), objective(name)(dist, y))
    assert isinstance(dist, SplicedBinnedPareto)
    with pytest.raises(InputError, match="needs a SplicedBinnedPareto, got Normal"):
        objective("composite")(Normal(0.0, 1.0), y)
    with pytest.raises(InputError, match="unknown objective 'nll'; known: exact, composite, interval, censored"):
        objective("nll")
    with pytest.raises(InputError, match="width must be positive"):
        objective("interval", 0.0)


@pytest.mark.slow
def test_censored_outcomes_count_what_lies_beyond():
    dist = SplicedBinnedParetoHead(EDGES)(jnp.zeros((3, 24)))
    y, censored = jnp.array([3.0, 28.0, 1e5]), jnp.array([False, True, True])
    value = objective("censored")(dist, y, censored)
    np.testing.assert_allclose(value[0], -dist.interval_log_prob(2.5, 3.5)[0], rtol=1e-6)
    np.testing.assert_allclose(value[1:], -dist.log_survival_function(y - 0.5)[1:], rtol=1e-6)
    slope = jax.jit(jax.grad(lambda r: jnp.sum(objective("censored")(SplicedBinnedParetoHead(EDGES)(r), y, censored))))
    assert jnp.all(jnp.isfinite(slope(jnp.zeros((3, 24)))))
    # an outcome that one branch could not hold leaves no NaN in the other
    bounded = make("endpoint")
    slope = jax.jit(jax.grad(lambda r: objective("censored")(bounded(r), jnp.asarray(500.0), jnp.asarray(False))))
    assert jnp.all(jnp.isfinite(slope(jnp.zeros(24))))
    with pytest.raises(TypeError):
        objective("censored")(dist, y)


def test_user_errors_name_the_argument():
    with pytest.raises(InputError, match="unknown parameterization 'free'; known: positive, bounded"):
        SplicedBinnedParetoHead(EDGES, parameterization="free")
    with pytest.raises(InputError, match="shape_bounds must be increasing"):
        SplicedBinnedParetoHead(EDGES, shape_bounds=(0.5, 0.1))
    with pytest.raises(InputError, match="edges must be finite and increasing"):
        SplicedBinnedParetoHead((0.0, 2.0, 1.0))
    with pytest.raises(InputError, match="tail_mass"):
        SplicedBinnedParetoHead(EDGES, (0.6, 0.1))
    with pytest.raises(InputError, match=r"raw outputs must have shape \[..., 24\], got \[3, 23\]"):
        SplicedBinnedParetoHead(EDGES)(jnp.zeros((3, 23)))
    with pytest.raises(InputError, match="y must hold finite outcomes"):
        SplicedBinnedParetoHead(EDGES).init_from_data(np.array([1.0, np.nan]))
    with pytest.raises(InputError, match="unit must be positive"):
        NormalHead(unit=0.0)
    with pytest.raises(InputError, match=r"support must be finite and reach beyond the edges from -10\.0 to 30\.0"):
        SplicedBinnedParetoHead(EDGES, parameterization="endpoint")
    with pytest.raises(InputError, match="lowest_df must not be negative"):
        StudentTHead(lowest_df=-1.0)
    with pytest.raises(InputError, match="edges must be finite and increasing"):
        BinnedHead((0.0, 2.0, 1.0))
    with pytest.raises(InputError, match="shape_bounds must be increasing"):
        BlendedParetoHead(EDGES, shape_bounds=(0.5, 0.1))
