"""The contract of scikit-learn's estimators, with scikit-learn and without."""

import copy
import importlib.util
import pickle
import sys
import warnings
from pathlib import Path

import jax
import numpy as np
import polars as pl
import pytest

import sbp_jax
from sbp_jax import InputError, SBPRegressor
from tests.estimator.fits import ROWS, features, outcomes, small
from tests.slow import marked

pytestmark = pytest.mark.unoptimized

X, Y = features(), outcomes()
INSTALLED = importlib.util.find_spec("sklearn") is not None
needs_sklearn = pytest.mark.skipif(not INSTALLED, reason="scikit-learn is not installed")

# check of scikit-learn -> why the estimator does not pass it
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": "minibatches and validation rows are drawn from rows, so that an "
    "integer weight acts like repetition, but not bit for bit",
    "check_sample_weight_equivalence_on_sparse_data": "sparse features are refused, as the tags say; scikit-learn 1.6 "
    "runs this check anyway",
}
# those of the fast suite need few programs that others do not
FAST = {
    "check_all_zero_sample_weights_error",
    "check_complex_data",
    "check_dict_unchanged",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_sparse_array",
    "check_estimator_tags_renamed",
    "check_estimators_empty_data_messages",
    "check_estimators_unfitted",
    "check_fit1d",
    "check_fit2d_1sample",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_requires_y_none",
    "check_set_params",
    "check_supervised_y_no_nan",
    "check_valid_tag_types",
}


def checks():
    """Name and check of each of scikit-learn's, on a small estimator."""
    if not INSTALLED:
        return []
    from sklearn.utils.estimator_checks import estimator_checks_generator

    model = small(batch_size=8, max_epochs=1)
    pairs = [(getattr(check, "func", check).__name__, check) for _, check in estimator_checks_generator(model)]
    return [(f"{name}-{i}", check) for i, (name, check) in enumerate(pairs)]


CHECKS = dict(checks())


@needs_sklearn
@pytest.mark.parametrize("name", marked(CHECKS, [name for name in CHECKS if name.partition("-")[0] not in FAST]))
def test_checks_of_scikit_learn(name):
    from sklearn.base import clone

    if name.partition("-")[0] in EXPECTED_FAILURES:
        pytest.xfail(EXPECTED_FAILURES[name.partition("-")[0]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # checks call with feature names and without
        CHECKS[name](clone(small(batch_size=8, max_epochs=1)))


def leaves(model):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(model.params_)]


def assert_equal_parameters(one, other):
    for a, b in zip(leaves(one), leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_seeds_decide_everything_and_global_state_is_untouched():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = small().fit(X, Y)
    assert_equal_parameters(first, small().fit(X, Y))
    np.testing.assert_array_equal(first.predict(X), small().fit(X, Y).predict(X))
    assert_equal_parameters(first, small(random_state=np.int64(0)).fit(X, Y))
    for other in (1, None, np.random.RandomState(0), np.random.default_rng(0)):
        assert not np.array_equal(leaves(small(random_state=other).fit(X, Y))[0], leaves(first)[0])
    states = [np.random.RandomState(3) for _ in range(2)]
    assert_equal_parameters(*(small(random_state=state).fit(X, Y) for state in states))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_fitting_again_starts_again():
    model = small().fit(X, Y)
    before = leaves(model)
    for old, new in zip(before, leaves(model.fit(X, Y)), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("epochs", [1, 2, 50])
def test_the_number_of_epochs_is_exact(epochs):
    model = small(max_epochs=epochs).fit(X, Y)
    assert model.n_iter_ == epochs * ROWS // 16
    assert model.history_[0][-1]["step"] == model.n_iter_
    assert np.isnan(model.history_[0][-1]["validation_loss"])


def test_the_best_round_is_kept():
    """A high learning rate overfits: training stops, and the parameters are those of the lowest validation loss."""
    model = small(validation_fraction=0.25, learning_rate=0.3, dropout=0.0, max_epochs=400, patience=3).fit(X, Y)
    (history,) = model.history_
    losses = [row["validation_loss"] for row in history]
    assert model.n_iter_ == history[-1]["step"] < 400 * 36 // 16
    assert np.argmin(losses) == len(losses) - 1 - 3
    _, validation = model._split(np.arange(ROWS), 1, np.random.default_rng(0))
    assert validation is not None
    (rows,) = validation
    scores = model.log_score(X[rows], Y[rows]) + np.log(model.target_.scale)
    assert min(losses) == pytest.approx(-np.mean(scores), rel=1e-5)
    some = small(validation_fraction=0.99).fit(X, Y)  # two rows remain to train on
    assert some.n_iter_ == 2


def test_predictions_are_those_of_the_last_fit(tmp_path):
    model = small(networks=2, ensemble=2).fit(X, Y)
    before = model.predict(X)
    assert len(model.history_) == 4
    model.set_params(ensemble=1, head="student_t", hidden=(9,), bins=50, tail_mass=(0.2, 0.2))
    np.testing.assert_array_equal(model.predict(X), before)
    with pytest.raises(InputError, match=r"^head: expected the value of the last fit, but it changed"):
        model.save(tmp_path / "model")
    model.set_params(ensemble=2, head="normal", hidden=(4,)).save(tmp_path / "model")
    np.testing.assert_array_equal(sbp_jax.load(tmp_path / "model").predict(X), before)


def test_warm_start_continues():
    model = small(warm_start=True).fit(X, Y)
    before, target = leaves(model), model.target_
    model.fit(X, Y + 0.1)
    assert model.n_iter_ == 2 * 2 * ROWS // 16
    assert [row["step"] for row in model.history_[0]] == [6, 12]
    assert model.target_ == target
    assert all(np.any(old != new) for old, new in zip(before, leaves(model), strict=True))
    # a tiny learning rate leaves the parameters as they are: they are not initialized again
    before = leaves(model)
    model.set_params(learning_rate=1e-12, weight_decay=0).fit(X, Y)
    for old, new in zip(before, leaves(model), strict=True):
        np.testing.assert_allclose(old, new, rtol=0, atol=1e-9)
    with pytest.raises(InputError, match=r"^X has 2 features, but SBPRegressor is expecting 3"):
        model.fit(X[:, :2], Y)
    with pytest.raises(InputError, match=r"^warm_start: expected the network and the ensemble"):
        model.set_params(hidden=(5,)).fit(X, Y)
    # the same shapes, of another meaning
    with pytest.raises(InputError, match=r"^warm_start: expected the network and the ensemble"):
        model.set_params(hidden=(4,), shape_bounds=(0.0, 0.5)).fit(X, Y)


def test_copies_and_pickles_predict_the_same():
    model = small().fit(X, Y)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), copy.copy(model)):
        np.testing.assert_array_equal(other.predict(X), model.predict(X))
        np.testing.assert_array_equal(other.log_score(X, Y), model.log_score(X, Y))
        assert other.target_ == model.target_
        assert other._trainable == model._trainable  # and so shares its compiled programs
    again = pickle.loads(pickle.dumps(model.set_params(warm_start=True)))
    assert_equal_parameters(again.fit(X, Y), model.fit(X, Y))


def test_a_frame_of_any_library_trains_the_same_model():
    frame = pl.DataFrame(X, ["a", "b", "c"])
    model = small().fit(X, Y)
    of_frame = small().fit(frame, pl.Series(Y))
    assert_equal_parameters(model, of_frame)
    assert not hasattr(model, "feature_names_in_")
    assert of_frame.feature_names_in_.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(of_frame.predict(frame.select("c", "a", "b")), model.predict(X))
    with pytest.raises(InputError, match="missing: 'b'; unknown: 'd'"):
        of_frame.predict(frame.rename({"b": "d"}))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        of_frame.predict(X)
    np.testing.assert_array_equal(of_frame.fit(X, Y).predict(X), model.predict(X))
    assert not hasattr(of_frame, "feature_names_in_")


@pytest.mark.parametrize("static", marked([False, True], [True]))
def test_sequences_are_trained_in_any_form(static):
    values = np.random.default_rng(0).normal(size=(ROWS, 5, 2))
    lengths = np.arange(ROWS) % 5 + 1
    mask = np.arange(5) < lengths[:, None]
    padded = np.where(mask[:, :, None], values, np.nan)
    more = {"static": pl.DataFrame(X, ["a", "b", "c"])} if static else {}
    settings = {"channels": 4, "layers": 1}
    first = small(**settings).fit(values, Y, lengths=lengths, **more)
    second = small(**settings).fit(padded, Y, mask=mask, **more)
    third = small(**settings).fit([row[:n] for row, n in zip(values, lengths, strict=True)], Y, **more)
    assert first.n_features_in_ == 2
    assert_equal_parameters(first, second)
    assert_equal_parameters(first, third)
    expected = first.predict(values, lengths=lengths, **more)
    np.testing.assert_array_equal(third.predict(padded, mask=mask, **more), expected)
    for arguments, message in (
        ({} if static else {"static": X}, "static: expected the same inputs as in training"),
        ({**more, "lengths": lengths * 9}, "lengths: expected integers from 1 to 5"),
    ):
        with pytest.raises(InputError, match=f"^{message}"):
            first.predict(values, **arguments)
    with pytest.raises(InputError, match=r"^X: expected sequences, as in training, got a table$"):
        first.predict(X)
    with pytest.raises(InputError, match=r"^X has 1 features per frame, but 2 are expected, as in training$"):
        first.predict(values[:, :, :1], lengths=lengths, **more)


def test_the_class_works_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    path = Path(sbp_jax.__file__).parent / "estimator" / "parameters.py"
    spec = importlib.util.spec_from_file_location("parameters_alone", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    class Estimator(module.Base):
        def __init__(self, size: int = 3, name: str = "x"):
            self.size, self.name = size, name

    model = Estimator(name="y")
    assert module.Base.__mro__[1:] == (object,)
    assert model.get_params() == {"size": 3, "name": "y"}
    assert model.set_params(size=5) is model
    assert repr(model) == "Estimator(name='y', size=5)"
    assert repr(Estimator()) == "Estimator()"
    with pytest.raises(InputError, match=r"^unknown parameter 'width'; known: name, size$"):
        model.set_params(width=1)
    assert issubclass(module.NotFittedError, InputError)
    assert issubclass(module.NotFittedError, AttributeError)
    assert issubclass(module.DataConversionWarning, UserWarning)


def test_the_constructor_keeps_its_arguments():
    bins = np.array([0.0, 1.0, 2.0])
    model = SBPRegressor(bins=bins, hidden=[3], random_state=7)
    assert model.get_params()["bins"] is bins
    assert model.hidden == [3]
    assert "random_state=7" in repr(model)
    assert set(vars(model)) == set(model.get_params())


@needs_sklearn
def test_pipelines_and_frames():
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    expected = make_pipeline(StandardScaler(), small()).fit(X, Y).predict(X)
    for library in ("pandas", "polars"):
        model = make_pipeline(StandardScaler(), small()).set_output(transform=library)
        pytest.importorskip(library)
        frame = pl.DataFrame(X, ["a", "b", "c"])
        frame = frame.to_pandas() if library == "pandas" else frame
        model.fit(frame, Y)
        assert model[-1].feature_names_in_.tolist() == model[0].get_feature_names_out().tolist()
        np.testing.assert_array_equal(model.predict(frame), expected)
        if not hasattr(model[0], "feature_names_in_"):
            continue  # scikit-learn before 1.7 does not know the columns of recent polars
        parts = ColumnTransformer([("scaled", StandardScaler(), ["b"])], remainder="passthrough")
        model = make_pipeline(parts, small()).set_output(transform=library).fit(frame, Y)
        assert model[-1].feature_names_in_.tolist() == ["scaled__b", "remainder__a", "remainder__c"]
        assert np.isfinite(model.score(frame, Y))


@needs_sklearn
def test_cross_validation_and_search():
    from sklearn import config_context
    from sklearn.base import clone
    from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score, cross_validate

    scores = cross_val_score(small(), X, Y, cv=4)
    model = small().fit(X[12:], Y[12:])
    assert scores[0] == model.score(X[:12], Y[:12])  # the mean log score
    assert cross_val_predict(small(), X, Y, cv=4).shape == (ROWS,)
    search = GridSearchCV(small(), {"learning_rate": [1e-3, 1e-2], "max_epochs": [2]}, cv=4).fit(X, Y)
    assert search.best_score_ == max(search.cv_results_["mean_test_score"])
    assert clone(search.best_estimator_).learning_rate == search.best_params_["learning_rate"]
    with config_context(enable_metadata_routing=True):
        model = small().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        weight = (np.arange(ROWS) % 12 > 0).astype(float)
        routed = cross_validate(model, X, Y, cv=4, params={"sample_weight": weight}, return_estimator=True)
    kept = np.arange(12, 48)[weight[12:] > 0]
    assert_equal_parameters(routed["estimator"][0], small().fit(X[kept], Y[kept]))


@needs_sklearn
@pytest.mark.slow
def test_cross_validation_in_parallel():
    from sklearn.model_selection import cross_val_score

    expected = cross_val_score(small(), X, Y, cv=2)
    np.testing.assert_allclose(cross_val_score(small(), X, Y, cv=2, n_jobs=2), expected, rtol=1e-4)
