"""What is trained and scored is the density of the predicted distribution, in any unit and for any kind of outcome."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbp_jax import InputError, Mixture, Quantized, Shifted, SplicedBinnedPareto
from sbp_jax.estimator.program import Rows, SplicedBuilder, Values, in_outcome_unit, peak
from sbp_jax.estimator.target import Target, make_target
from tests.estimator.fits import ROWS, features, losses, outcomes, small
from tests.slow import marked

pytestmark = pytest.mark.unoptimized

X = features()
CODES = np.where(np.arange(ROWS) % 5 == 0, 1, np.where(np.arange(ROWS) % 7 == 0, -1, 0))
KINDS = ("real", "integer", "atoms", "shifted", "censored", "censored integer", "censored atoms")
CASES = [(kind, head) for head in ("normal", "sbp") for kind in KINDS]
FAST = [("real", "sbp"), ("shifted", "sbp"), ("integer", "normal"), ("censored atoms", "normal")]
THOROUGH = {"learning_rate": 0.02, "max_epochs": 20}  # the features matter
TOLERANCE = 2e-5  # float32, next to log-densities of about 1


def case(kind, head, **changes):
    """A fitted estimator, its outcomes and their censoring."""
    y = outcomes(kind.removeprefix("censored ")) + (5.4e6 if kind == "shifted" else 0)
    codes = CODES if kind.startswith("censored") else None
    # a density with a jump at the thresholds in some cases, a continuous one in others
    tails = "bounded" if kind in ("real", "shifted") else "continuous"
    model = small(head=head, parameterization=tails, **THOROUGH, **changes)
    return model.fit(X, y, censoring=codes), y, codes


@pytest.mark.parametrize("pair", marked(CASES, [each for each in CASES if each not in FAST]))
def test_scores_and_losses_are_those_of_the_distribution(pair):
    kind, head = pair
    model, y, codes = case(kind, head)
    dist = model.predict_distribution(X)
    assert isinstance(dist, Quantized) == ("integer" in kind)
    assert isinstance(dist, Mixture) == ("atoms" in kind)
    assert isinstance(dist, Shifted) == (kind == "shifted")
    assert isinstance(dist, SplicedBinnedPareto) == (head == "sbp" and kind in ("real", "censored"))
    expected = np.asarray(dist.log_prob(y), np.float64)
    score = model.log_score(X, y)
    assert score.shape == (ROWS,)
    np.testing.assert_allclose(score, expected, rtol=TOLERANCE, atol=TOLERANCE)
    assert model.score(X, y) == pytest.approx(np.mean(score), rel=1e-12)
    weight = np.arange(ROWS) % 3
    assert model.score(X, y, weight) == pytest.approx(np.average(score, weights=weight), rel=1e-6)
    # training has the scale as its unit: only densities have a Jacobian
    mass = np.isin(y, model.target_.atoms) | bool(model.target_.step)
    likelihood = expected + np.where(mass, 0, np.log(model.target_.scale))
    if codes is not None:
        at_most, at_least = np.asarray(dist.log_cdf(y)), np.asarray(dist.log_survival_left(y))
        likelihood = np.where(codes < 0, at_most, np.where(codes > 0, at_least, likelihood))
    same = np.ones(ROWS, bool)
    if not model._trainable.program.builder.continuous and not model.target_.step:
        # in a bin with a threshold, the loss has the mean of the density
        raw = jnp.asarray(model._outputs(X, None, None, None)[:, 0, -12:])
        dist = model._trainable.program.builder(raw, Values.of(model.target_))
        standard = jnp.asarray(model.target_.standardized(y), jnp.float32)
        cell = np.asarray(dist.cell_log_density(standard))
        same = np.abs(cell - np.asarray(dist.log_prob(standard))) < 1e-6
        np.testing.assert_allclose(losses(model, X, y), -cell, rtol=TOLERANCE, atol=TOLERANCE)
        assert np.mean(same) > 0.6
    loss = losses(model, X, y, codes)
    np.testing.assert_allclose(-loss[same], likelihood[same], rtol=5 * TOLERANCE, atol=5 * TOLERANCE)


BUILDER = SplicedBuilder(8, "proportional", (0.0, 0.95))


def test_a_peak_moves_and_narrows_the_distribution():
    values = Values.of(make_target(outcomes(), np.ones(ROWS, bool), 8))
    raw = np.zeros((7, BUILDER.num_outputs), np.float32)
    raw[:, 8] = [-1, 0, 1, 0, 0, 0, 0]  # location, in arcsinh of units of the scale
    raw[:, 9] = [2, 2, 2, 0, 1, 2, 50]  # narrowing
    dist = BUILDER(BUILDER.outputs(jnp.asarray(raw), values), values)
    np.testing.assert_allclose(jax.nn.logsumexp(dist.logits, axis=-1), 0, atol=1e-6)
    medians = np.asarray(dist.median())
    assert medians[0] < medians[1] < medians[2]
    spread = np.asarray(dist.icdf(0.8) - dist.icdf(0.2))
    assert spread[3] > spread[4] > spread[5] > spread[6] > 0
    slope = jax.grad(lambda raw: jnp.sum(BUILDER(BUILDER.outputs(raw, values), values).log_prob(0.3)))(jnp.asarray(raw))
    assert np.all(np.isfinite(slope))


@pytest.mark.parametrize("name", ["proportional", "bounded", "continuous"])
def test_before_training_the_distribution_is_the_marginal(name):
    y = outcomes(rows=400)
    target = make_target(y, np.ones(400, bool), 20)
    builder, values = SplicedBuilder(target.bins, name, (0.0, 0.95)), Values.of(target)
    standard = target.standardized(y)
    raw = jnp.asarray(builder.init_from_data(standard, values))
    dist = builder(builder.outputs(raw, values), values)
    levels = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
    assert np.abs(np.asarray(dist.cdf(np.quantile(standard, levels).astype(np.float32))) - levels).max() < 0.03
    for tail, excess in ((dist.upper, standard - float(dist.thresholds()[1])),):
        assert float(tail.scale / (1 - tail.shape)) == pytest.approx(excess[excess > 0].mean(), rel=0.02)


def test_the_peak_is_wide_at_zero_outputs():
    edges = jnp.linspace(-4.0, 4.0, 9)
    values = np.asarray(peak(jnp.zeros(2), edges))
    assert np.ptp(values) < 2
    np.testing.assert_allclose(values, values[::-1], atol=1e-6)


ENSEMBLES = [("atoms", "normal"), ("real", "normal"), ("integer", "sbp")]


@pytest.mark.parametrize("pair", marked(ENSEMBLES, ENSEMBLES[1:]))
def test_an_ensemble_is_the_mean_of_its_members(pair):
    kind, head = pair
    model, y, _ = case(kind, head, ensemble=2)
    raw = jnp.asarray(model._outputs(X, None, None, None))
    assert raw.shape[:2] == (ROWS, 2)
    members = [in_outcome_unit(model._trainable.program, raw[:, i], model.target_, False) for i in range(2)]
    dist = model.predict_distribution(X)
    for value in (*np.quantile(y, [0, 0.1, 0.5, 0.9, 1]), 0.0):
        each = [np.asarray(member.cdf(value), np.float64) for member in members]
        np.testing.assert_allclose(dist.cdf(value), np.mean(each, axis=0), rtol=1e-6, atol=1e-6)
        each = [np.exp(np.asarray(member.log_prob(value), np.float64)) for member in members]
        np.testing.assert_allclose(np.exp(dist.log_prob(value)), np.mean(each, axis=0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(model.log_score(X, y), dist.log_prob(y), rtol=TOLERANCE, atol=TOLERANCE)
    quantiles = [np.asarray(member.icdf(0.9)) for member in members]
    assert np.max(np.abs(quantiles[0] - quantiles[1])) > 1e-3 * model.target_.scale
    assert len(model.history_) == 2


@pytest.fixture(scope="module")
def unit():
    return small(head="sbp", **THOROUGH).fit(X, outcomes())


@pytest.mark.parametrize(("factor", "shift"), [(1e-9, 0), (1e12, 0), (2.0**-20, 0), (1, 5.4e6)])
def test_the_unit_of_the_outcome_changes_nothing_else(unit, factor, shift):
    y = outcomes()
    model = small(head="sbp", **THOROUGH).fit(X, y * factor + shift)
    np.testing.assert_allclose(model.target_.scale, unit.target_.scale * factor, rtol=1e-9)
    for one, other in zip(jax.tree.leaves(model.params_), jax.tree.leaves(unit.params_), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    scores = model.log_score(X, y * factor + shift)
    np.testing.assert_allclose(scores + np.log(factor), unit.log_score(X, y), rtol=0, atol=1e-4)
    for which in (0.001, "median", 0.999, "mean"):
        expected = unit.predict(X, which) * factor + shift
        np.testing.assert_allclose(model.predict(X, which), expected, rtol=0, atol=1e-4 * factor * unit.target_.scale)
    levels = np.asarray(model.predict_distribution(X).icdf(0.9), np.float64)
    np.testing.assert_allclose(levels, model.predict(X, 0.9), rtol=0, atol=2e-5 * model.target_.scale)


def test_points_are_those_of_the_distribution(unit):
    dist = unit.predict_distribution(X)
    scale = TOLERANCE * unit.target_.scale
    np.testing.assert_allclose(unit.predict(X), dist.median(), rtol=0, atol=scale)
    np.testing.assert_allclose(unit.predict(X, "mean"), dist.mean(), rtol=0, atol=scale)
    np.testing.assert_allclose(unit.predict(X, 0.25), dist.icdf(0.25), rtol=0, atol=scale)
    assert unit.predict(X).dtype == np.float64


def test_the_prediction_of_a_row_does_not_depend_on_the_others(unit):
    order = np.random.default_rng(0).permutation(ROWS)
    np.testing.assert_array_equal(unit.predict(X[order]), unit.predict(X)[order])
    np.testing.assert_array_equal(unit.predict(X[7:8], 0.99), unit.predict(X, 0.99)[7:8])
    many = np.tile(X, (200, 1))
    scores = np.tile(unit.log_score(X, outcomes()), 200)
    # more rows are another program, which rounds in another way
    np.testing.assert_allclose(unit.predict(many), np.tile(unit.predict(X), 200), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(unit.log_score(many, np.tile(outcomes(), 200)), scores, rtol=1e-5, atol=1e-5)


def test_rows_of_weight_zero_are_left_out_exactly():
    keep = np.arange(ROWS) % 6 != 0
    y = np.where(keep, outcomes(), 1e6)
    weighted = small().fit(X, y, sample_weight=keep * 0.3)
    without = small().fit(X[keep], y[keep])
    assert weighted.target_ == without.target_
    assert weighted.features_ == without.features_
    for one, other in zip(jax.tree.leaves(weighted.params_), jax.tree.leaves(without.params_), strict=True):
        np.testing.assert_array_equal(one, other)
    tiny = small().fit(X, outcomes(), sample_weight=np.full(ROWS, 1e-30))
    np.testing.assert_array_equal(tiny.predict(X), small().fit(X, outcomes()).predict(X))


def test_weights_act_like_repetition():
    """Half of the outcomes are near 0, half near 5, for equal features; nine times the weight moves the mean to 4.5."""
    y = np.arange(ROWS) % 2 * 5 + 0.1 * outcomes()
    thorough = {"max_epochs": 150, "learning_rate": 0.02, "dropout": 0.0}
    for weight, low, high in ((None, 2.2, 2.8), (1 + 8 * (np.arange(ROWS) % 2), 4.2, 4.8)):
        model = small(**thorough).fit(np.zeros((ROWS, 3)), y, sample_weight=weight)
        assert low < model.predict(np.zeros((1, 3)), "mean")[0] < high


@pytest.mark.slow
@pytest.mark.parametrize("head", ["normal", "sbp"])
def test_censored_outcomes_recover_the_distribution(head):
    """Of y ~ N(x, 1), outcomes above a row's upper limit, or below its lower one, are known to be beyond it."""
    random = np.random.default_rng(5)
    X = random.normal(size=(1500, 1))
    true = X[:, 0] + random.normal(size=len(X))
    low, high = np.sort(random.normal([-1.5, 1], [1.0, 1.0], (len(X), 2)), axis=1).T
    y = np.clip(true, low, high)
    codes = np.where(true > high, 1, np.where(true < low, -1, 0))
    settings = {"max_epochs": 60, "batch_size": 64, "hidden": (16,), "validation_fraction": 0.15, "atoms": ()}
    settings |= {"bins": "auto", "learning_rate": 5e-3}
    censored = small(head=head, **settings).fit(X, y, censoring=codes)
    exact = small(head=head, **settings).fit(X, y)
    test = np.linspace(-1, 1, 50)[:, None]
    totals = np.zeros(2)
    for level, z in ((0.05, -1.6448536), (0.25, -0.6744898), (0.5, 0), (0.75, 0.6744898), (0.95, 1.6448536)):
        errors = [np.mean(np.abs(each.predict(test, level) - (test[:, 0] + z))) for each in (censored, exact)]
        assert errors[0] < errors[1]
        totals += errors
    assert totals[0] < 0.7 * totals[1]


def test_an_atom_below_a_lower_limit_is_excluded_where_float32_does_not_tell_them_apart():
    target = Target(1e9, 100.0, 0.0, (None, None), (1e9,), (1e9 - 200, 1e9, 1e9 + 200), (0.05, 0.05))
    y, codes = np.array([1e9 + 10, 1e9, 1e9 - 10]), np.ones(3, np.int8)
    assert Rows.of(target, y, codes, np.ones(3)).covered.tolist() == [[False], [True], [True]]


def target_of(y):
    """The target of exact outcomes."""
    return make_target(y, np.ones(len(y), bool))


def test_one_huge_outcome_changes_neither_the_unit_nor_the_grid_of_the_others():
    counts = outcomes("integer")
    usual, with_outlier = target_of(counts), target_of(np.append(counts, 1e9))
    assert (with_outlier.step, with_outlier.loc, with_outlier.scale) == (1, usual.loc, usual.scale)
    # float32 does not resolve its cell, whose likelihood is that of a wider one
    row = Rows.of(with_outlier, np.array([1e9]), np.zeros(1, np.int8), np.ones(1))
    assert row.low[0] < row.y[0] < row.high[0]
    assert (row.high - row.low)[0] == pytest.approx(2.0**-17 * row.y[0], rel=0.02)


def test_the_unit_of_outcomes_that_are_mostly_equal_is_that_of_the_others():
    y = np.concatenate([np.zeros(80), np.arange(1.0, 21), [1e9]])
    assert target_of(y).scale == pytest.approx(11, abs=1)
    noise = 1e-12 * np.arange(80.0)
    assert target_of(np.concatenate([noise, np.arange(1.0, 21)])).scale == pytest.approx(10.5, abs=1)


def test_a_frequent_integer_has_a_bin_of_its_own():
    random = np.random.default_rng(0)
    y = np.concatenate([np.full(300, 50.0), np.full(100, 100.0), np.floor(random.exponential(400, 1600))])
    edges = set(target_of(y).edges)
    assert {49.5, 50.5, 99.5, 100.5} <= edges
    assert len(edges) < 80


@pytest.mark.parametrize("sizes", [(1,) * 60, (6,) * 10, (50, 5, 5), (7, 53), (30, 30)])
def test_validation_parts_consist_of_entire_groups(sizes):
    group = np.repeat(np.arange(len(sizes)), sizes)
    training, validation = small(validation_fraction=0.15)._split(group, 8, np.random.default_rng(0))
    assert validation is not None
    for trains, validates in zip(training, validation, strict=True):
        assert not np.intersect1d(group[trains], group[validates]).size
        assert len(trains) + len(validates) == len(group) == len(np.union1d(trains, validates))
        # as many rows as asked for, or else the smallest group
        assert 5 <= len(validates) <= max(9, min(sizes))
    if max(sizes) <= 9:
        assert len(np.unique(np.concatenate(validation))) > 0.5 * len(group)


def test_groups_with_fewer_than_five_validation_rows_are_all_trained_on():
    group = np.repeat([0, 1], [3, 57])
    training, validation = small(validation_fraction=0.15)._split(group, 2, np.random.default_rng(0))
    assert validation is None
    assert [len(trains) for trains in training] == [60, 60]


def test_one_group_cannot_be_divided():
    with pytest.raises(InputError, match=r"^groups: expected at least two groups, one of them for valid"):
        small(validation_fraction=0.15).fit(X, outcomes(), groups=["same"] * ROWS)
