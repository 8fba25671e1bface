"""A fitted forecaster as a predictor of GluonTS, for `gluonts.evaluation`: pip install gluonts."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from sbp_jax.errors import InputError
from sbp_jax.estimator.forecaster import SBPForecaster
from sbp_jax.estimator.regular import Regular, distributions_after, horizon, quantiles

LEVELS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
_ENTRIES = 64  # series that are forecast at once


def gluonts_predictor(model: SBPForecaster, levels: Sequence[float] = LEVELS) -> Any:
    """Return a `gluonts.model.predictor.Predictor` whose forecasts are a fitted forecaster's quantiles and mean.

    Each entry of a data set is forecast after its last value. Its item id is the id of the series, if `fit` had ids.
    The forecasts are `QuantileForecast`s: GluonTS interpolates quantiles that are not in `levels`.

    Args:
        model: forecaster, fitted with consecutive leads, such as `horizon=24`; their number is the prediction length.
        levels: probabilities of the quantiles.

    Raises:
        InputError: GluonTS is not installed, the forecaster is not fitted, or its leads are not consecutive.

    Example:
        >>> predictor = gluonts_predictor(model)  # doctest: +SKIP
        >>> forecasts, series = make_evaluation_predictions(dataset, predictor)  # doctest: +SKIP
        >>> metrics, _ = Evaluator(quantiles=(0.1, 0.5, 0.9))(series, forecasts)  # doctest: +SKIP
    """
    length, first = horizon(model)
    if not all(0 < level < 1 for level in levels):
        raise InputError(f"levels: expected probabilities between 0 and 1, got {list(levels)}")
    try:
        from gluonts.model.forecast import QuantileForecast  # pyright: ignore[reportMissingImports]
        from gluonts.model.predictor import Predictor  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise InputError("GluonTS is not installed: pip install gluonts") from None
    keys = [*(str(level) for level in levels), "mean"]

    class ForecasterPredictor(Predictor):
        """Quantile forecasts of an `SBPForecaster`."""

        def __init__(self) -> None:
            super().__init__(prediction_length=length, lead_time=first - 1)

        def predict(self, dataset: Iterable[dict[str, Any]], **kwargs: Any) -> Iterator[Any]:
            """Yield a forecast per entry; `num_samples` has no effect, because nothing is sampled."""
            del kwargs
            for entries in _batched(dataset):
                arrays = entry_quantiles(model, entries, levels)
                for entry, array in zip(entries, arrays, strict=True):
                    start = entry["start"] + len(entry["target"]) + first - 1
                    yield QuantileForecast(array, start_date=start, forecast_keys=keys, item_id=entry.get("item_id"))

    return ForecasterPredictor()


def entry_quantiles(model: SBPForecaster, entries: Sequence[dict[str, Any]], levels: Sequence[float]) -> np.ndarray:
    """Return the quantiles and the mean of the values after each entry, float64 [entries, levels + 1, leads].

    Args:
        model: a fitted forecaster.
        entries: with `target`, values [T] in which NaN is missing; `start`, a period with `ordinal` and `freq`; and
            `item_id`, if there is one.
        levels: probabilities.
    """
    dated = model._observations.dated
    series = [
        Regular(
            np.asarray(entry["target"], np.float64),
            _seconds(entry["start"], len(entry["target"])) if dated else None,
            _id(model, entry.get("item_id")),
        )
        for entry in entries
    ]
    dist = distributions_after(model, series)
    arrays = np.concatenate([quantiles(dist, levels), np.asarray(dist.mean(), np.float64)[None]])
    return np.moveaxis(arrays, 1, 0)


def _seconds(start: Any, count: int) -> np.ndarray:
    """Starts of successive periods in seconds since 1970."""
    return np.array([(start + i).to_timestamp().timestamp() for i in range(count)])


def _id(model: SBPForecaster, item_id: Any) -> Any:
    """The id of fit that an item's id is, as text or as an integer; else the item's own."""
    if item_id is None or model._observations.columns.series is None:
        return ""
    return next((id for id in model.series_ if str(id) == str(item_id)), str(item_id))


def _batched(dataset: Iterable[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], ...]]:
    entries = iter(dataset)
    while batch := tuple(itertools.islice(entries, _ENTRIES)):
        yield batch
