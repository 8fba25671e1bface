"""SBPForecaster: leads, units, times, streaming, gaps, integers, precision, files and messages."""

import copy
import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import sbp_jax as sbp
from sbp_jax.distributions import Affine, Censored, Quantized, Shifted
from sbp_jax.estimator.darts import darts_model, next_values
from sbp_jax.estimator.gluonts import entry_quantiles, gluonts_predictor

pytestmark = pytest.mark.unoptimized

LEADS = (1, 3)
ROWS = 420  # of every series, so that all fits share one program
SMALL: dict[str, Any] = {
    "context": 12,
    "lead": LEADS,
    "head": "normal",  # compiles in a third of the time of "sbp", which the slow tests have
    "channels": 8,
    "layers": 1,
    "hidden": (16,),
    "bins": 12,
    "dropout": 0.0,
    "batch_size": 32,
    "networks": 1,
    "random_state": 0,
}
BRIEF: dict[str, Any] = SMALL | {"max_epochs": 1}  # where the fit does not matter
START = datetime.datetime(2024, 1, 1)


def memory_of_three(count: int, seed: int = 0, rho: float = 0.95) -> np.ndarray:
    """y[t] = rho y[t - 3] + noise of deviation 1: what comes 1 and 3 steps later is known from different steps."""
    y = np.random.default_rng(seed).normal(size=count)
    for t in range(3, count):
        y[t] += rho * y[t - 3]
    return y


def hours(values: np.ndarray, start: int = 0) -> pl.DataFrame:
    """A frame of values at successive hours."""
    times = [START + datetime.timedelta(hours=start + i) for i in range(len(values))]
    return pl.DataFrame({"time": times, "load": values})


@pytest.fixture(scope="module")
def fitted() -> sbp.SBPForecaster:
    """A forecaster of `memory_of_three` in hours."""
    return sbp.SBPForecaster(**SMALL, max_epochs=150, learning_rate=5e-3).fit(hours(memory_of_three(ROWS)))


def test_each_lead_is_that_many_steps_ahead(fitted: sbp.SBPForecaster) -> None:
    y = memory_of_three(300, seed=1)
    rolling = fitted.rolling(hours(y))
    origin = 6 + np.arange(len(rolling)) - 1  # the first window has 6 of 12 steps
    for i, lead in enumerate(LEADS):
        known = origin + lead < len(y)
        np.testing.assert_array_equal(rolling.outcome[known, i], y[origin[known] + lead])
        assert np.all(np.isnan(rolling.outcome[~known, i]))
        assert np.all(rolling.times[:, i] - rolling.origin == np.timedelta64(lead, "h"))
    median = np.asarray(rolling.distribution.median())
    error = np.sqrt(np.nanmean((median - rolling.outcome) ** 2, axis=0))
    # the deviation of y is 3.2, that of the noise 1; a lead off by one has nothing to go by
    assert np.all(error < 1.8), error
    outcome = np.where(np.isnan(rolling.outcome), 0.0, rolling.outcome)
    scores = np.asarray(rolling.distribution.log_prob(outcome))[~np.isnan(rolling.outcome)]
    assert fitted.score(hours(y)) == pytest.approx(scores.mean(), rel=1e-5)


def test_forecasts_start_after_the_last_time(fitted: sbp.SBPForecaster) -> None:
    forecast = fitted.forecast()
    last = np.datetime64(START) + np.timedelta64(ROWS - 1, "h")
    assert forecast.distribution.batch_shape == (1, 2)
    assert type(forecast.distribution) is Affine
    assert forecast.origin[0] == last
    np.testing.assert_array_equal(forecast.times[0] - last, np.array(LEADS, "timedelta64[h]"))
    table = forecast.to_polars((0.1, 0.9))
    assert table.columns == ["series", "origin", "lead", "time", "outcome", "0.1", "0.9"]
    np.testing.assert_allclose(fitted.predict(which=0.1)[0], table["0.1"])
    assert (table["0.1"] < table["0.9"]).all()


def test_streamed_forecasts_are_those_of_windows(fitted: sbp.SBPForecaster, tmp_path: Path) -> None:
    history, new = memory_of_three(ROWS), memory_of_three(30, seed=2)
    fitted.save(tmp_path / "model")
    streamed = sbp.load(tmp_path / "model")
    times = np.arange(ROWS, ROWS + 30)
    times[20:] += 4  # a gap
    got = []
    for value, hour in zip(new, times, strict=True):
        forecast = streamed.update(value, START + datetime.timedelta(hours=int(hour)))
        got.append(np.asarray(forecast.distribution.icdf(0.9))[0])
    frame = pl.concat([hours(history), hours(new[:20], ROWS), hours(new[20:], ROWS + 24)])
    rolling = fitted.rolling(frame)
    expected = np.asarray(rolling.distribution.icdf(0.9))[-30:]
    np.testing.assert_allclose(np.stack(got), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(streamed.forecast().times[0], rolling.times[-1])
    # the next step without a time
    last = streamed.forecast().origin[0]
    assert streamed.update(0.5).origin[0] - last == np.timedelta64(1, "h")
    # a gap longer than half a window
    assert streamed.update(0.5, last + np.timedelta64(100, "h")) is None
    # the fitted one has seen none of them
    assert fitted.forecast().origin[0] == np.datetime64(START) + np.timedelta64(ROWS - 1, "h")


def test_a_loaded_forecaster_is_the_same(fitted: sbp.SBPForecaster, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model")
    loaded = sbp.load(tmp_path / "model")
    assert isinstance(loaded, sbp.SBPForecaster)
    assert loaded.get_params() == fitted.get_params()
    np.testing.assert_array_equal(loaded.predict(), fitted.predict())
    assert loaded.history_ == fitted.history_
    assert loaded.leads_ == fitted.leads_


def test_forecasts_are_those_of_the_last_fit(fitted: sbp.SBPForecaster, tmp_path: Path) -> None:
    other = copy.copy(fitted).set_params(context=fitted.context + 3, ensemble=2)
    np.testing.assert_array_equal(other.predict(), fitted.predict())
    with pytest.raises(sbp.InputError, match=r"^ensemble: expected the value of the last fit"):
        other.save(tmp_path / "model")
    with pytest.raises(sbp.InputError, match=r"^lead, horizon: expected only one of them"):
        sbp.SBPForecaster(lead=np.array([1, 2]), horizon=3)._steps()  # pyright: ignore[reportArgumentType]


def test_series_of_different_scales() -> None:
    half = ROWS // 2
    small, large = memory_of_three(half, 3), 1e6 + 1e5 * memory_of_three(half, 4)
    alternating = pl.DataFrame(
        {
            "t": hours(small)["time"].to_numpy().repeat(2),
            "id": ["b", "a"] * half,
            "y": np.stack([small, large], axis=1).reshape(-1),
        }
    )
    model = sbp.SBPForecaster(**BRIEF).fit(alternating, time="t", value="y", series="id")
    assert model.series_ == ["b", "a"]
    forecast = model.forecast()
    assert forecast.series.tolist() == ["b", "a"]
    np.testing.assert_array_equal(forecast.times - forecast.origin[:, None], [np.array(LEADS, "timedelta64[h]")] * 2)
    width = np.asarray(forecast.distribution.icdf(0.9) - forecast.distribution.icdf(0.1))
    assert np.all((width[1] / width[0] > 1e4) & (width[1] / width[0] < 1e6))
    # each series alone gives its own row
    alone = model.predict(alternating.filter(pl.col("id") == "a"))
    np.testing.assert_allclose(alone[0], model.predict()[1], rtol=1e-5)
    updated = model.update(1e6, time=START + datetime.timedelta(hours=half), series="a")
    assert updated is not None
    assert updated.series.tolist() == ["a"]
    with pytest.raises(sbp.InputError, match=r"series: expected series of fit in column 'id', got 'c'"):
        model.forecast(alternating.with_columns(pl.lit("c").alias("id")).unique("t", maintain_order=True))
    with pytest.raises(sbp.InputError, match="series: expected a series of fit, got 'c'"):
        model.update(1.0, series="c")
    with pytest.raises(sbp.InputError, match="series: expected the id of a series"):
        model.update(1.0)


def test_months_with_gaps() -> None:
    months = [datetime.date(1980 + i // 12, 1 + i % 12, 1) for i in range(ROWS + 7)]
    missing = {5, 77, 78, 130, 200, 201, 300}
    y = 50 + memory_of_three(ROWS + 7, 5)
    frame = pl.DataFrame({"month": months, "value": y}).filter(~pl.Series(range(ROWS + 7)).is_in(missing))
    model = sbp.SBPForecaster(**BRIEF).fit(frame)
    rolling = model.rolling(frame)
    rows = rolling.to_polars(())
    # outcomes are found by the calendar, across missing months
    expected = pl.DataFrame({"time": pl.Series(months).cast(pl.Datetime("us")), "expected": y}).filter(
        ~pl.Series(range(ROWS + 7)).is_in(missing)
    )
    joined = rows.join(expected, on="time", how="left")
    assert (joined["outcome"].is_null() == joined["expected"].is_null()).all()
    assert (joined["outcome"].drop_nulls() == joined["expected"].drop_nulls()).all()
    assert (rows["time"].dt.day() == 1).all()
    last = months[-1]
    forecast = model.forecast()
    ahead = [(last.year * 12 + last.month - 1 + lead) for lead in LEADS]
    assert [str(each)[:10] for each in forecast.times[0]] == [f"{each // 12}-{each % 12 + 1:02d}-01" for each in ahead]
    following = f"{ahead[0] // 12}-{ahead[0] % 12 + 1:02d}"
    updated = model.update(50.0, following)
    assert updated is not None
    assert str(updated.origin[0])[:7] == following


def test_hundredths_of_millions() -> None:
    y = 5_400_000.00 + np.round(0.03 * memory_of_three(ROWS, 6), 2)
    model = sbp.SBPForecaster(**BRIEF).fit(hours(y))
    forecast = model.forecast()
    assert isinstance(forecast.distribution, Shifted)
    quantiles = np.stack([model.predict(which=level)[0] for level in (0.1, 0.5, 0.9)])
    assert np.all(np.abs(quantiles - 5_400_000.0) < 0.5)
    assert np.all(np.diff(quantiles, axis=0) > 1e-3)
    # the same windows around zero have the same distributions
    near = sbp.SBPForecaster(**BRIEF).fit(hours(y - 5_400_000.0))
    np.testing.assert_allclose(quantiles[1] - 5_400_000.0, near.predict()[0], atol=2e-3)
    density = float(np.exp(np.asarray(forecast.distribution.log_prob(quantiles[1]))[0, 0]))
    probability = float(np.asarray(forecast.distribution.prob(quantiles[1] - 1e-3, quantiles[1] + 1e-3))[0, 0])
    assert density * 2e-3 == pytest.approx(probability, rel=0.1)  # per unit of the series


def test_integers_have_probabilities() -> None:
    rng = np.random.default_rng(7)
    y = rng.poisson(np.exp(0.8 + 0.5 * np.sin(np.arange(ROWS) / 3)))
    model = sbp.SBPForecaster(**BRIEF).fit(y)
    assert model.integer_
    assert model.bounds_ == (0.0, None)
    dist = model.predict_distribution()
    assert isinstance(dist, Censored)
    assert isinstance(dist.base, Quantized)
    points = np.arange(0, 60, dtype=np.float32)[:, None, None]
    probabilities = np.exp(np.asarray(dist.log_prob(points)))
    np.testing.assert_allclose(probabilities.sum(axis=0), 1.0, atol=2e-3)
    np.testing.assert_allclose(np.cumsum(probabilities, axis=0), dist.cdf(points), atol=1e-5)
    assert np.all(probabilities[0] > 0.001)  # what lies below 0 is at 0
    assert np.all(np.isfinite(model.history_[0][-1]["validation_loss"]))
    with pytest.raises(sbp.InputError, match=r"value: expected integers, as in fit, got 1\.5; integer=False"):
        model.update(1.5)
    updated = model.update(2, time=ROWS + 1)
    assert updated is not None
    assert updated.times.tolist() == [[ROWS + 2, ROWS + 4]]


def frame_of(**columns: Any) -> pl.DataFrame:
    return pl.DataFrame({"t": list(range(40)), "y": memory_of_three(40), **columns})


@pytest.mark.parametrize(
    ("frame", "columns", "message"),
    [
        (frame_of(), {"time": "when"}, "column: frame has no column 'when'; it has t, y"),
        (frame_of(), {"value": "z"}, "column: frame has no column 'z'"),
        (frame_of(t=[0, *range(39)]), {}, "frame: column 't': row 2 has the same time as the row before: 0"),
        (frame_of(t=[*map(float, range(39)), float("nan")]), {}, "frame: column 't': row 40 has no time"),
        (frame_of(t=[*map(float, range(39)), float("inf")]), {}, "frame: column 't': row 40 has no time"),
        (frame_of(t=[0.0, 0.4, *map(float, range(2, 40))]), {}, "frame: column 't': rows 1 and 2 are 0.4 apart"),
        (frame_of(y=["a"] * 40), {"value": "y"}, "frame: column 'y': expected numbers, got 'a'"),
        (frame_of(y=[1.0] * 40), {}, "frame: column 'y': a constant series, every value is 1"),
        (pl.DataFrame({"t": [], "y": []}), {}, "frame: expected rows, got an empty frame"),
        (
            pl.concat([frame_of(s="long"), frame_of(s="short").head(5)]),
            {"series": "s", "value": "y"},
            "series 'short': column 'y': 5 values in 5 steps are too short a series for a context of 12 and a lead of 1"
            ": it needs 6 of 12 steps, and an outcome at that lead",
        ),
        (frame_of(s=["a"] * 39 + [None]), {"series": "s", "value": "y"}, "frame: column 's': row 40 has no id"),
        (np.zeros((5, 2)), {}, r"frame: expected a data frame or numbers \[N\], got ndarray of shape \[5, 2\]"),
        (np.zeros(5), {"time": "t"}, "time, value, series: expected only with a data frame"),
    ],
)  # fmt: skip
def test_frames_are_refused_in_one_line(frame: Any, columns: dict[str, str], message: str) -> None:
    with pytest.raises(sbp.InputError, match=message) as error:
        sbp.SBPForecaster(**BRIEF).fit(frame, **columns)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"context": 0}, "context: expected an integer of at least 1, got 0"),
        ({"lead": (1, 1)}, "lead: expected an integer or several distinct integers"),
        ({"lead": "two"}, "lead: expected"),
        ({"lead": (1, 3), "horizon": 2}, "lead, horizon: expected only one of them"),
        ({"validation_fraction": 1.0}, "validation_fraction: expected a fraction"),
        ({"bins": (0.0, 1.0, 2.0)}, "bins: expected a number of bins or 'auto'"),
        ({"head": "gamma"}, "head: expected one of sbp, normal"),
        ({"bounds": (0.0, None)}, "bounds: expected an interval that contains all values"),
    ],
)
def test_parameters_are_refused_in_one_line(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(sbp.InputError, match=message):
        sbp.SBPForecaster(**{**SMALL, **parameters}).fit(frame_of())


def test_updates_are_refused_in_one_line(fitted: sbp.SBPForecaster) -> None:
    last = START + datetime.timedelta(hours=ROWS - 1)
    for arguments, message in (
        ((1.0, last), "time: frame: expected a time after the last one, got the same time as the last one"),
        ((1.0, last + datetime.timedelta(minutes=90)), "time: frame: expected a time on the series' grid"),
        ((1.0, 5), "time: frame: expected a date, as in fit, got a number"),
        ((1.0, float("nan")), "time: expected a time, got nan"),
        ((float("nan"),), "value: expected a finite number"),
        (("x",), "value: expected a number, got 'x'"),
        ((1.0, None, "a"), "series: expected a series of fit, got 'a'"),
    ):
        with pytest.raises(sbp.InputError, match=message):
            fitted.update(*arguments)
    with pytest.raises(sbp.InputError, match=r"too short a series to forecast: 4 of the last 12 steps .* at least 6"):
        fitted.forecast(hours(memory_of_three(4)))
    times = [START + datetime.timedelta(minutes=90 * i) for i in range(60)]
    with pytest.raises(sbp.InputError, match="expected times on the grid of fit"):
        fitted.forecast(pl.DataFrame({"time": times, "load": memory_of_three(60)}))
    # every second hour is one of gaps
    sparse = hours(memory_of_three(60)).gather_every(2)
    assert np.all(np.isfinite(fitted.predict(sparse)))
    with pytest.raises(sbp.InputError, match="frame: expected a data frame, as in fit"):
        fitted.forecast(memory_of_three(60))
    with pytest.raises(sbp.InputError, match="a constant series"):
        fitted.fit(np.zeros(50))
    assert fitted.forecast().origin[0] == np.datetime64(last)  # neither an update nor a fit that fails leaves a trace
    with pytest.raises(sbp.InputError, match="not fitted yet"):
        sbp.SBPForecaster().forecast()


def test_parameters_are_those_of_the_constructor() -> None:
    model = sbp.SBPForecaster(context=24, lead=range(1, 5), head="normal")
    again = sbp.SBPForecaster(**model.get_params())
    assert again.get_params() == model.get_params()
    assert again.set_params(context=12).context == 12
    assert repr(model) == "SBPForecaster(context=24, head='normal', lead=range(1, 5))"
    assert model._layers() == 3
    assert sbp.SBPForecaster(context=100)._layers() == 5


@pytest.mark.slow
def test_spliced_ensembles_of_integers_and_real_values() -> None:
    rng = np.random.default_rng(9)
    counts = rng.negative_binomial(2, 1 / (1 + np.exp(0.5 * memory_of_three(1500, 10))))
    y = memory_of_three(1500, 11)
    for values, kind in ((counts, Censored), (y, Affine)):
        model = sbp.SBPForecaster(**SMALL | {"head": "sbp"}, ensemble=2, max_epochs=20).fit(values[:1200])
        rolling = model.rolling(values[1188:])
        known = ~np.isnan(rolling.outcome)
        dist, outcome = rolling.distribution, np.where(known, rolling.outcome, 0.0)
        assert type(dist) is kind
        assert len(model.history_) == 2
        crps = np.asarray(dist.crps(outcome))[known].mean()
        train = np.sort(values[:1200])
        # the CRPS of the sample of the training part
        marginal = np.mean([np.mean(np.abs(train - each)) for each in values[1200:]])
        ranks = 2 * np.arange(1, len(train) + 1) - len(train) - 1
        marginal -= np.sum(ranks * train) / len(train) ** 2
        assert crps < 0.9 * marginal
        lower, upper = (np.asarray(each)[known] for each in dist.pit_bounds(outcome))
        assert abs(np.mean(0.5 * (lower + upper)) - 0.5) < 0.06


class Hour:
    """The parts of a period of pandas that GluonTS's entries need."""

    def __init__(self, number: int):
        self.number = number

    def __add__(self, count: int) -> "Hour":
        return Hour(self.number + count)

    def to_timestamp(self) -> datetime.datetime:
        return (START + datetime.timedelta(hours=self.number)).replace(tzinfo=datetime.UTC)


class Component:
    """The parts of a series of darts that a forecaster needs."""

    def __init__(self, values: np.ndarray):
        self.time_index = np.datetime64(START) + np.arange(len(values)) * np.timedelta64(1, "h")
        self.components, self._values = ["load"], values

    def all_values(self) -> np.ndarray:
        return self._values[:, None, None]


def test_adapters_forecast_what_the_forecaster_does(fitted: sbp.SBPForecaster) -> None:
    with pytest.raises(sbp.InputError, match=r"lead: expected consecutive leads, as with horizon=24"):
        gluonts_predictor(fitted)
    with pytest.raises(sbp.InputError, match=r"lead: expected consecutive leads"):
        darts_model(fitted)
    y = memory_of_three(40, 8)
    expected = fitted.forecast(hours(y))
    got = entry_quantiles(fitted, [{"start": Hour(0), "target": y}] * 2, (0.1, 0.9))
    assert got.shape == (2, 3, 2)
    np.testing.assert_allclose(got[1, :2], [expected.distribution.icdf(level)[0] for level in (0.1, 0.9)], rtol=1e-5)
    np.testing.assert_allclose(got[1, 2], expected.distribution.mean()[0], rtol=1e-5)
    with pytest.raises(sbp.InputError, match="series number 0: expected a series that ends with a finite value"):
        entry_quantiles(fitted, [{"start": Hour(0), "target": np.append(y, np.nan)}], (0.5,))
    fitted_leads, steps = fitted.leads_, (1, 2)
    try:
        object.__setattr__(fitted_leads, "steps", steps)  # as if they were successive
        draws = next_values(fitted, [Component(y)], 2, 400, seed=0)[0]
        assert draws.shape == (2, 1, 400)
        share = np.mean(draws[:, 0] <= np.asarray(expected.distribution.median())[0][:, None], axis=1)
        assert np.all(np.abs(share - 0.5) < 0.1)
        medians = next_values(fitted, [Component(y)], 1, 1, seed=0)[0]
        np.testing.assert_allclose(medians[:, 0, 0], expected.distribution.median()[0, :1], rtol=1e-5)
        with pytest.raises(sbp.InputError, match="n: expected 1 to 2 steps, the leads of fit, got 3"):
            next_values(fitted, [Component(y)], 3, 1, seed=0)
    finally:
        object.__setattr__(fitted_leads, "steps", LEADS)


@pytest.mark.slow
def test_gluonts_evaluates_a_forecaster() -> None:
    pandas = pytest.importorskip("pandas")
    common = pytest.importorskip("gluonts.dataset.common", reason="gluonts is in the extra `reference`")
    evaluation = pytest.importorskip("gluonts.evaluation")
    model = sbp.SBPForecaster(**SMALL | {"lead": 1}, horizon=2, max_epochs=60).fit(hours(memory_of_three(ROWS)))
    y = memory_of_three(120, 9)
    entry = {"start": pandas.Period("2024-01-01 00:00", freq="h"), "target": y}
    dataset = common.ListDataset([entry], freq="h")
    forecasts, series = evaluation.make_evaluation_predictions(dataset, gluonts_predictor(model))
    forecasts, series = list(forecasts), list(series)
    expected = model.forecast(hours(y[:118]))
    assert forecasts[0].start_date.to_timestamp() == expected.times[0, 0]
    np.testing.assert_allclose(forecasts[0].quantile(0.9), expected.distribution.icdf(0.9)[0], rtol=1e-4)
    metrics, _ = evaluation.Evaluator(quantiles=(0.1, 0.5, 0.9), num_workers=0)(series, forecasts)
    assert 0 < metrics["mean_wQuantileLoss"] < np.inf


@pytest.mark.slow
def test_darts_evaluates_a_forecaster() -> None:
    pandas = pytest.importorskip("pandas")
    darts = pytest.importorskip("darts", reason="darts is installed separately")
    model = sbp.SBPForecaster(**SMALL | {"lead": 1}, horizon=2, max_epochs=60).fit(hours(memory_of_three(ROWS)))
    y = memory_of_three(120, 9)
    times = pandas.date_range("2024-01-01", periods=120, freq="h")
    series = darts.TimeSeries.from_times_and_values(times, y)
    past = darts_model(model).historical_forecasts(
        series, start=times[110], forecast_horizon=2, retrain=False, num_samples=400, last_points_only=False
    )
    expected = model.forecast(hours(y[:110]))
    assert past[0].start_time() == times[110] == pandas.Timestamp(expected.times[0, 0])
    share = np.mean(past[0].all_values()[:, 0] <= np.asarray(expected.distribution.median())[0][:, None], axis=1)
    assert np.all(np.abs(share - 0.5) < 0.1)
