"""A forecaster as a global model of darts, for `historical_forecasts` and `backtest`: pip install darts."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sbp_jax.errors import InputError
from sbp_jax.estimator.forecaster import SBPForecaster
from sbp_jax.estimator.regular import Regular, distributions_after, horizon, quantiles, samples


def darts_model(model: SBPForecaster) -> Any:
    """Return a global forecasting model of darts whose predictions are those of a fitted forecaster.

    `predict(n, series, num_samples=...)` and `historical_forecasts(series, retrain=False, num_samples=...)` return
    stochastic series of independent draws; with one sample, the medians. The returned model cannot be trained: `fit`
    raises an error, and so does `retrain=True`.

    Args:
        model: forecaster, fitted with consecutive leads from 1, such as `horizon=24`, on one or more series.

    Raises:
        InputError: darts is not installed, the forecaster is not fitted, or its leads are not 1, 2, ...

    Example:
        >>> wrapped = darts_model(model)  # doctest: +SKIP
        >>> past = wrapped.historical_forecasts(series, retrain=False, num_samples=200)  # doctest: +SKIP
    """
    length, first = horizon(model)
    if first != 1:
        raise InputError(f"lead: expected consecutive leads from 1 for darts, got {model.leads_.steps}")
    try:
        from darts.models.forecasting.forecasting_model import (  # pyright: ignore[reportMissingImports]
            GlobalForecastingModel,
        )
    except ImportError:
        raise InputError("darts is not installed: pip install darts") from None
    context = model._context

    class ForecasterModel(GlobalForecastingModel):
        """Predictions of an `SBPForecaster`."""

        def __init__(self) -> None:
            super().__init__(add_encoders=None)
            self._fit_called = True

        def fit(self, series: Any, *args: Any, **kwargs: Any) -> Any:
            """Raise an InputError: the forecaster is already trained."""
            del series, args, kwargs
            raise InputError("fit: the forecaster is already trained; use retrain=False")

        def predict(
            self,
            n: int,
            series: Any = None,
            past_covariates: Any = None,
            future_covariates: Any = None,
            num_samples: int = 1,
            verbose: bool | None = None,
            predict_likelihood_parameters: bool = False,
            show_warnings: bool = True,
            random_state: int | None = None,
        ) -> Any:
            """Return the `n` next values of a series, or of each of several."""
            del past_covariates, future_covariates, verbose, predict_likelihood_parameters, show_warnings
            if series is None:
                raise InputError("series: expected the series to forecast")
            several = isinstance(series, Sequence)
            each = list(series) if several else [series]
            draws = next_values(model, each, n, num_samples, 0 if random_state is None else random_state)
            built = [
                self._build_forecast_series(values, input_series=one) for one, values in zip(each, draws, strict=True)
            ]
            return built if several else built[0]

        supports_multivariate = property(lambda self: False)
        supports_probabilistic_prediction = property(lambda self: True)
        supports_optimized_historical_forecasts = property(lambda self: False)
        supports_sample_weight = property(lambda self: False)
        output_chunk_length = property(lambda self: length)
        min_train_samples = property(lambda self: 1)
        _requires_training = property(lambda self: False)
        _target_window_lengths = property(lambda self: (context, length))
        extreme_lags = property(lambda self: (-context, length - 1, None, None, None, None, 0))
        _model_encoder_settings = property(lambda self: (context, length, False, False, None, None))

    return ForecasterModel()


def next_values(model: SBPForecaster, series: Sequence[Any], n: int, num_samples: int, seed: int) -> list[np.ndarray]:
    """Return draws of the next values of each series, float64 [n, 1, num_samples]; with one sample, the medians.

    Args:
        model: a fitted forecaster.
        series: with `all_values()` [T, 1, 1], `time_index` and `components`; the component's name is the id.
        n: number of next values, at most the number of leads.
        num_samples: number of draws.
        seed: seed of the draws.
    """
    length, _ = horizon(model)
    if not 1 <= n <= length:
        raise InputError(f"n: expected 1 to {length} steps, the leads of fit, got {n}; forecasts are not iterated")
    dist = distributions_after(model, [_regular(model, each) for each in series])
    drawn = quantiles(dist, (0.5,)) if num_samples == 1 else samples(dist, num_samples, seed)
    return [np.moveaxis(drawn[:, i, :n], 0, -1)[:, None, :] for i in range(len(series))]


def _regular(model: SBPForecaster, series: Any) -> Regular:
    values = np.asarray(series.all_values())
    if values.ndim != 3 or values.shape[1:] != (1, 1):
        raise InputError(f"series: expected one component and one sample, got shape {list(values.shape)}")
    index, times = series.time_index, None
    if model._observations.dated:
        if getattr(index, "dtype", np.dtype(int)).kind != "M":
            raise InputError("series: expected dates as times, as in fit")
        times = np.asarray(index).astype("datetime64[us]").astype(np.int64) / 1e6
    name = str(series.components[0])
    known = next((id for id in model.series_ if str(id) == name), None)
    default = "" if model._observations.columns.series is None else name
    return Regular(values[:, 0, 0].astype(np.float64), times, default if known is None else known)
