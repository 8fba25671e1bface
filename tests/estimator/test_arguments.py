"""Bad input: one clear line before any work, for every argument of the constructor and of the methods."""

import datetime as dt
import warnings
from decimal import Decimal

import jax.numpy as jnp
import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from sbp_jax import InputError, SBPRegressor
from sbp_jax.distributions.heads import NormalHead
from sbp_jax.estimator.arguments import check_arguments, quantile_level
from sbp_jax.estimator.observations import read_outcomes, read_weights, relative_weights
from sbp_jax.estimator.target import make_target
from tests.estimator.fits import features, outcomes, small

pytestmark = pytest.mark.unoptimized

NAN, INF = float("nan"), float("inf")
BAD = {
    "tail_mass": [
        0.05,
        (0.5, 0.1),
        (0.1, 0.5),
        (-0.1, 0.1),
        (0.1,),
        (0.1, 0.1, 0.1),
        (NAN, 0.1),
        "auto",
        None,
        (True, 0),
    ],
    "bins": [
        0,
        1,
        -3,
        8.0,
        True,
        "many",
        None,
        [0, 1],
        [0, 2, 1],
        [0, 1, NAN],
        [0, 1, INF],
        {1, 2, 3},
        "abc",
        ["a", "b", "c"],
    ],
    "head": ["gauss", 3, None, NormalHead, object()],
    "bounds": [0, (0,), (1, 0), (1, 1), (NAN, 1), (INF, None), (None, -INF), "none", ("0", "1"), None],
    "integer": [1, 0, "yes", None, 1.0],
    "atoms": [0.0, (NAN,), (INF,), (1, 1), ("0",), "0", None, {0}],
    "parameterization": ["free", None, 3],
    "shape_bounds": [0.5, (0.9, 0.1), (0.2, 0.2), (-1, 0.5), (0, INF), (NAN, 1), "auto", (0,)],
    "networks": [0, -1, 1.0, True, "2", None],
    "ensemble": [0, -1, 1.0, True, "2", None],
    "hidden": [64, (0,), (-1,), (2.5,), "64", None, (True,)],
    "channels": [0, -4, 2.0, None],
    "layers": [0, 21, 1.5, None],
    "kernel_size": [0, 3.0, None],
    "dropout": [-0.1, 1.0, NAN, "0.1", None, True],
    "learning_rate": [0, -1e-3, NAN, INF, "1e-3", None],
    "weight_decay": [-1e-3, NAN, INF, None],
    "batch_size": [0, -1, 32.0, "full", None, True],
    "max_epochs": [0, -1, 2.5, "all", None, INF],
    "patience": [0, -1, 1.5, None, INF],
    "validation_fraction": [-0.1, 1.0, NAN, 5, "0.1", None],
    "warm_start": [1, "yes", None],
    "random_state": [-1, 2**32, 1.5, "0", True, NAN],
    "progress": [1, "yes", None],
}
GOOD = {
    "tail_mass": [[0.05, 0.1], np.array([0.0, 0.49]), (0, 0)],
    "bins": ["auto", 2, np.int64(20), [0, 1, 2], np.linspace(0, 1, 5), (0.0, 0.5, 1)],
    "head": ["normal", NormalHead()],
    "bounds": ["auto", (None, None), (0, None), [-1, 1.5], (-INF, INF), np.array([0.0, 1.0])],
    "integer": ["auto", True, np.False_],
    "atoms": ["auto", (), [0.0, 1], np.array([3])],
    "shape_bounds": [(0.0, 0.95), [-0.5, 2], np.array([0.0, 1.0])],
    "hidden": [(), (8,), [8, np.int32(4)], np.array([8, 4])],
    "batch_size": ["auto", 1, np.int64(8)],
    "max_epochs": ["auto", 1],
    "random_state": [None, 0, 2**32 - 1, np.int64(3), np.random.RandomState(0), np.random.default_rng(0)],
    "dropout": [0, 0.5, np.float32(0.1)],
    "validation_fraction": [0, 0.5],
}


def one_line(error: pytest.ExceptionInfo[InputError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 400
    return text


def test_every_argument_of_the_constructor_is_checked():
    assert set(BAD) == set(SBPRegressor().get_params())


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_named_before_the_data_are_read(name):
    for value in BAD[name]:
        with pytest.raises(InputError) as error:
            SBPRegressor(**{name: value}).fit(None, None)
        assert one_line(error).startswith(f"{name}: expected "), value
        assert ", got " in str(error.value), value


@pytest.mark.parametrize("name", GOOD)
def test_good_arguments_are_accepted(name):
    for value in GOOD[name]:
        check_arguments(SBPRegressor(**{name: value}).get_params())


def test_a_family_that_needs_heavy_tails_refuses_bounds_without_them():
    with pytest.raises(InputError, match=r"^shape_bounds: expected an upper bound above 0 for head 'hybrid_pareto'"):
        SBPRegressor(head="hybrid_pareto", shape_bounds=(-0.5, 0)).fit(None, None)


X, Y = features(), outcomes()
BAD_Y = [
    (None, "requires y to be passed, but the target y is None"),
    (np.where(np.arange(48) == 5, NAN, Y), "y: expected finite outcomes, but row 5 is nan"),
    (np.where(np.arange(48) == 7, -INF, Y), "y: expected finite outcomes, but row 7 is -inf"),
    ([None, *Y[1:]], "y: expected finite outcomes, but row 0 is nan"),
    (pl.Series([None, *Y[1:]]), "y: expected finite outcomes, but row 0 is nan"),
    (np.ma.masked_array(Y, np.arange(48) == 3), "y: expected finite outcomes, but row 3 is nan"),
    (Y[:-1], "y: expected 48 outcomes, one per row of X, got 47"),
    (np.stack([Y, Y], axis=1), "y: expected one outcome per row, 1d array, got shape [48, 2]"),
    (3.0, "y: expected one outcome per row, 1d array, got shape []"),
    (Y + 1j, "y: Complex data not supported"),
    (Y.astype(str), "y: Unknown label type: expected numbers, got <U"),
    ([str(y) for y in Y], "y: Unknown label type: expected numbers, got a str"),
    (Y > 0, "y: Unknown label type: expected numbers, got bool"),
    ([10**400, *Y[1:]], "y: Unknown label type: expected numbers that float64 can hold, got a larger integer"),
    ([True] * 48, "y: Unknown label type: expected numbers, got bool"),
    (np.arange(48).astype("M8[D]"), "y: Unknown label type: expected numbers, got datetime64[D]"),
    (np.arange(48).astype("m8[s]"), "y: Unknown label type: expected numbers, got timedelta64[s]"),
    ([dt.date(2020, 1, 1)] * 48, "y: Unknown label type: expected numbers, got a date"),
    (Y * 1e31, "y: expected outcomes of magnitude at most 1e+30, but row 0 is"),
    (np.full(48, 2.5), "y: expected outcomes that vary, but all 48 are 2.5"),
    (np.where(np.arange(48) == 5, 1 + 1e-16, 1.0), "y: expected outcomes that vary, but all 48 are 1"),
]


@pytest.mark.parametrize(("y", "message"), BAD_Y, ids=range(len(BAD_Y)))
def test_bad_outcomes_are_named(y, message):
    with pytest.raises(InputError) as error:
        small().fit(X, y)
    assert one_line(error).startswith(message)


def test_outcomes_of_any_container_are_equal():
    whole = np.array([3, -1, 2])
    for y in (
        [3, -1, 2],
        (3.0, -1.0, 2.0),
        whole,
        whole.astype(np.float16),
        jnp.asarray(whole),
        pl.Series(whole),
        pa.array(whole),
        pa.chunked_array([[3], [-1, 2]]),
        np.array([3, Decimal(-1), np.float32(2)], object),
    ):
        read = read_outcomes(y, 3)
        assert read.dtype == np.float64
        np.testing.assert_array_equal(read, whole)
    with pytest.warns(UserWarning, match="A column-vector y was passed when a 1d array was expected"):
        np.testing.assert_array_equal(read_outcomes(whole[:, None], 3), whole)


W = np.ones(48)
BAD_FIT = [
    ({"sample_weight": -W}, "sample_weight: expected finite, nonnegative weights, but row 0 is -1.0"),
    (
        {"sample_weight": np.where(np.arange(48) == 4, NAN, W)},
        "sample_weight: expected finite, nonnegative weights, but row 4 is nan",
    ),
    ({"sample_weight": W * INF}, "sample_weight: expected finite, nonnegative weights, but row 0 is inf"),
    ({"sample_weight": 0 * W}, "sample_weight: expected at least one non-zero number, but all weights are zero"),
    ({"sample_weight": W[1:]}, "sample_weight: expected 48 weights, got shape [47]"),
    ({"sample_weight": np.ones((48, 1))}, "sample_weight: expected 48 weights, got shape [48, 1]"),
    ({"sample_weight": ["1"] * 48}, "sample_weight: expected numbers, got a str"),
    ({"sample_weight": np.arange(48).astype("M8[s]")}, "sample_weight: expected numbers, got datetime64[s]"),
    (
        {"sample_weight": np.eye(1, 48)[0]},
        "X: expected a minimum of 2 rows of positive weight to fit, got 1 (n_samples = 1)",
    ),
    ({"censoring": W * 2}, "censoring: expected 48 values of -1 (at most y), 0 (equal to y) or 1 (at least y)"),
    (
        {"censoring": np.where(np.arange(48) == 7, 2, 0)},
        "censoring: expected 48 values of -1 (at most y), 0 (equal to y) or 1 (at least y), but row 7 is 2",
    ),
    ({"censoring": W[1:]}, "censoring: expected 48 values of -1 (at most y), 0 (equal to y) or 1 (at least y), got"),
    ({"censoring": ["left"] * 48}, "censoring: expected 48 values of -1"),
    ({"censoring": W * NAN}, "censoring: expected 48 values of -1"),
    ({"groups": W[1:]}, "groups: expected 48 groups, one per row of X, got shape [47]"),
    ({"groups": [None, *W[1:]]}, "groups: expected a group for every row, but row 0 has none"),
    ({"censoring": W}, "y: expected outcomes that vary, but all 48 are censored"),
    ({"lengths": W}, "lengths, mask, static: expected only with sequences"),
    ({"static": X}, "lengths, mask, static: expected only with sequences"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_FIT, ids=range(len(BAD_FIT)))
def test_bad_arguments_of_fit_are_named(arguments, message):
    with pytest.raises(InputError) as error:
        small().fit(X, Y, **arguments)
    assert one_line(error).startswith(message)


def test_arguments_that_contradict_the_outcomes_are_named():
    for arguments, message in (
        ({"bounds": (0, None), "head": "binned"}, "bounds: expected an interval that contains all outcomes"),
        ({"bounds": (0, None), "head": "normal"}, "bounds: expected 'auto' or (None, None) for a head without bins"),
        ({"integer": True}, "y: expected integers, as integer=True requires"),
        (
            {"bins": [-0.1, 0, 0.1], "head": "binned"},
            "bins: expected edges that contain all outcomes on a side without",
        ),
        ({"bins": [-0.1, 0, 0.1], "tail_mass": (0.05, 0)}, "bins: expected edges that contain all outcomes on a side"),
        ({"bins": [-9999, 0, 9999], "bounds": (-5000, None), "head": "sbp"}, "bins: expected edges within the bounds"),
        ({"atoms": (123.0,)}, "atoms: expected values of real outcomes that y has"),
    ):
        with pytest.raises(InputError) as error:
            small(**arguments).fit(X, Y)
        assert one_line(error).startswith(message)


def test_an_outcome_censored_at_a_bound_without_an_atom_is_named():
    y = np.linspace(0.0, 1.0, 48)
    for codes, word, row in ((y == 1, "upper", 47), (-(y == 0).astype(int), "lower", 0)):
        message = f"^censoring: row {row} is censored at the {word} bound, {y[row]:g}, beyond which no outcome is poss"
        with pytest.raises(InputError, match=message):
            small(head="sbp", bounds=(0.0, 1.0)).fit(X, y, censoring=codes)


def test_a_head_that_is_not_hashable_is_named():
    with pytest.raises(InputError, match=r"^head: expected a head that is hashable, such as a frozen dataclass"):
        check_arguments({"head": type("Unhashable", (NormalHead,), {"__hash__": None})()})


def test_one_row_and_static_features_of_another_number_are_refused():
    with pytest.raises(InputError, match=r"expected a minimum of 2 rows .* \(n_samples = 1\)"):
        small().fit(X[:1], Y[:1])
    with pytest.raises(InputError, match=r"^static: expected 2 rows, as X has, got 3$"):
        small().fit(np.ones((2, 4, 1)), [1.0, 2.0], static=np.ones((3, 1)))


def test_weights_of_any_size_are_relative():
    np.testing.assert_array_equal(relative_weights(read_weights(3.5, 4)), np.ones(4))
    for scale in (1e-30, 1e-300, 1, 1e308):
        np.testing.assert_allclose(relative_weights(read_weights(np.array([1, 0, 0.5]) * scale, 3)), [4 / 3, 0, 2 / 3])
    # next to the first, the second has no weight in float32: it counts as one of weight zero
    np.testing.assert_array_equal(relative_weights(np.array([1, 1e-60])), [1, 0])


def test_no_method_works_before_fit():
    for call in (
        lambda model: model.predict(X),
        lambda model: model.predict_distribution(X),
        lambda model: model.score(X, Y),
        lambda model: model.log_score(X, Y),
        lambda model: model.save("never"),
    ):
        with pytest.raises(InputError, match=r"^this SBPRegressor is not fitted yet: call fit first$"):
            call(small())


@pytest.fixture(scope="module")
def fitted():
    return small().fit(X, Y)


def test_bad_arguments_of_prediction_are_named(fitted):
    for call, message in (
        (lambda: fitted.predict(X[:, :2]), "X has 2 features, but SBPRegressor is expecting 3 features as input"),
        (lambda: fitted.predict(np.ones((2, 4, 3))), "X: expected a table [N, F], as in training, got sequences"),
        (lambda: fitted.predict(X[:0]), "X: 0 sample(s)"),
        (lambda: fitted.predict(X[0]), "X: Expected 2D array, got 1D array instead"),
        (lambda: fitted.predict(X.astype(str)), "X: column 0: expected numbers, as in training, got text"),
        (lambda: fitted.predict(X, "mode"), "which: expected 'median', 'mean' or a probability, got 'mode'"),
        (lambda: fitted.predict(X, 1.5), "which: expected 'median', 'mean' or a probability, got 1.5"),
        (lambda: fitted.predict(X, NAN), "which: expected 'median', 'mean' or a probability, got nan"),
        (lambda: fitted.predict(X, [0.1, 0.9]), "which: expected 'median', 'mean' or a probability, got [0.1, 0.9]"),
        (lambda: fitted.score(X, Y[1:]), "y: expected 48 outcomes"),
        (lambda: fitted.score(X, None), "requires y to be passed"),
        (lambda: fitted.score(X, Y, -W), "sample_weight: expected finite, nonnegative weights"),
        (lambda: fitted.log_score(X, Y * INF), "y: expected finite outcomes"),
        (lambda: fitted.set_params(ensemble=2, warm_start=True).fit(X, Y), "warm_start: expected the network and the"),
    ):
        with pytest.raises(InputError) as error:
            call()
        assert one_line(error).startswith(message)
    fitted.set_params(ensemble=1, warm_start=False)


def test_missing_values_at_prediction_are_medians(fitted):
    hole = np.where(np.arange(3) == 1, NAN, X)
    median = np.where(np.arange(3) == 1, np.median(X[:, 1]), X)
    np.testing.assert_array_equal(fitted.predict(hole), fitted.predict(median))


def test_a_fit_that_fails_leaves_the_previous_one(fitted):
    before, state = fitted.predict(X), dict(vars(fitted))
    for y in (outcomes("atoms") * NAN, np.ones(48)):
        with pytest.raises(InputError):
            fitted.fit(pl.DataFrame(X), y)
    with pytest.raises(InputError, match="diverged"):
        fitted.set_params(learning_rate=1e30).fit(pl.DataFrame(X[:, :3] + 5, ["a", "b", "c"]), 7 * Y)
    fitted.set_params(learning_rate=state["learning_rate"])
    assert vars(fitted) == state
    np.testing.assert_array_equal(fitted.predict(X), before)


@pytest.mark.slow
@pytest.mark.parametrize("rows", range(2, 11))
def test_few_rows_are_enough(rows):
    model = small(head="sbp", bins="auto", max_epochs="auto", validation_fraction=0.15)
    model.fit(X[:rows], Y[:rows])
    assert np.all(np.isfinite(model.log_score(X[:rows], Y[:rows])))
    assert np.all(np.isfinite(model.predict(X, "mean")))


@pytest.mark.slow
@pytest.mark.parametrize("columns", [1, 2, 1000])
def test_any_number_of_columns(columns):
    model = small().fit(features(48, columns), Y)
    assert np.isfinite(model.score(features(48, columns), Y))
    assert model.n_features_in_ == columns


ODD_OUTCOMES = {
    "two integers": np.arange(48) % 2,
    "an outlier": np.where(np.arange(48) == 0, 1e6, Y),
    "heavy tails": np.sign(Y) * np.exp(4 * np.abs(Y)),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ODD_OUTCOMES)
def test_odd_outcomes_train(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = small(head="sbp").fit(X, ODD_OUTCOMES[kind])
    assert np.isfinite(model.score(X, ODD_OUTCOMES[kind]))
    assert np.all(np.isfinite(model.predict(X, "mean")))


def test_two_real_values_alone_are_no_numeric_outcome():
    with pytest.raises(InputError, match=r"it has only 2 values; atoms=\(\) treats them as real numbers$"):
        small().fit(X, np.where(np.arange(48) % 3 == 0, 0.5, 1.5))


def test_integers_without_atoms_are_integers():
    target = make_target(np.arange(20.0), np.ones(20, bool), atoms=())
    assert (target.step, target.atoms) == (1.0, ())


def test_a_censored_outcome_beyond_the_largest_atom_shows_that_it_is_no_bound():
    y = np.concatenate([np.linspace(0.5, 90, 30), np.full(10, 100.0), [120.0]])
    exact = y < 110
    assert make_target(y[exact], exact[exact]).bounds == (None, 100.0)
    target = make_target(y, exact)
    assert (target.atoms, target.bounds) == ((100.0,), (None, None))


@pytest.mark.parametrize("which", [1 - 1e-9, 1e-60])
def test_a_probability_that_float32_rounds_to_0_or_1_is_refused(which):
    assert quantile_level(1 - 1e-7) == 1 - 1e-7
    assert (quantile_level(0), quantile_level(1.0), quantile_level("mean")) == (0.0, 1.0, None)
    with pytest.raises(InputError, match=r"^which: expected a probability that float32 does not round"):
        quantile_level(which)
