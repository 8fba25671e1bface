"""`SBPForecaster`: distributions of the next values of time series."""

import operator
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, no_type_check

import numpy as np
from jaxtyping import Float

from sbp_jax.data.plays import WINDOW_FEATURES
from sbp_jax.data.series.frames import Columns, Id, read_frame
from sbp_jax.data.series.reading import Series, check_varies
from sbp_jax.distributions.base import Distribution
from sbp_jax.distributions.heads import Head
from sbp_jax.errors import InputError
from sbp_jax.estimator.arguments import check_arguments, checked_count, quantile_level, seed_of
from sbp_jax.estimator.features import Features
from sbp_jax.estimator.fitting import (
    MIN_VALIDATION,
    Inputs,
    Trainable,
    fit,
    initial,
    mean_outputs,
    untrained,
)
from sbp_jax.estimator.forecast import Forecast
from sbp_jax.estimator.heads import make_builder
from sbp_jax.estimator.histories import STATIC, History, Observations, Origins, is_yearly
from sbp_jax.estimator.leads import Leads, LeadsProgram, in_series_unit, leads_rows, marginal_offset
from sbp_jax.estimator.parameters import STRUCTURE, Estimator
from sbp_jax.estimator.program import Values
from sbp_jax.estimator.regressor import SBPRegressor
from sbp_jax.estimator.tables import Table
from sbp_jax.estimator.target import MAX_STEPS, Bounds, Target, make_target
from sbp_jax.models.tcn import receptive_field

_CHUNK = 2048  # windows that are scored at once
FORECASTER_STRUCTURE = (*STRUCTURE, "context")
# parameters that mean what they mean to an SBPRegressor
# fmt: off
_SHARED = (
    "tail_mass", "bins", "head", "parameterization", "shape_bounds", "networks", "ensemble", "hidden", "channels",
    "kernel_size", "dropout", "learning_rate", "weight_decay", "batch_size", "max_epochs", "patience",
    "validation_fraction", "random_state", "progress",
)
# fmt: on


class SBPForecaster(Estimator):
    """Estimate the distributions of a series' next values given its last `context` steps, with their tails.

    One network (a TCN), averaged over `networks`, serves all series and all leads. It sees the last `context` steps
    relative to their median, in units of their mean absolute deviation; that scale; and for dates the time of day, of
    week and of year. It has a block of outputs for each lead, from which the distribution of the value that many steps
    later is built (direct forecasts, no recursion): a `SplicedBinnedPareto` in units of the window, mapped to the unit
    of the series by `Affine`; `Quantized` for integers; and `Shifted` where float32 cannot resolve the values. The
    network is trained by maximum likelihood, with early stopping on the latest part of each series. It does not see the
    id of a series.

    Times lie on a grid: equal steps, business days, half-months, months, quarters or years. Steps without a value are
    gaps, which are masked; at least half of the steps of a window must be observed.

    Args:
        context: number of steps that the network sees.
        lead: steps from the last value to the outcome, an integer or several, such as (1, 24) or range(1, 13).
        horizon: use all leads from 1 to this one, instead of `lead`.
        tail_mass: probability of the lower and the upper tail, each below 1/2; 0 for no tail.
        bins: number of bins, or "auto": 3 N^(1/3), between 8 and 80, with edges at quantiles of training outcomes.
        head: "sbp", another family of `SBPRegressor`, or a `Head` for outcomes in units of the window.
        integer: whether values are integers; "auto": all are, and the median scale of windows is at most 10,000.
        bounds: (low, high) of the values, None for no bound; distributions are `Censored` there. "auto": a lower bound
            of 0 for integers that are never negative.
        layers: residual blocks of the TCN; "auto": the fewest whose receptive field covers the context.
        validation_fraction: fraction of each series, its latest part, for early stopping; 0, or fewer than five
            windows there: no early stopping, and training takes `max_epochs`.
        parameterization, shape_bounds, networks, ensemble, hidden, channels, kernel_size, dropout, learning_rate,
            weight_decay, batch_size, max_epochs, patience, random_state, progress: see `SBPRegressor`. All networks
            have the same validation windows.

    Attributes:
        series_: ids of the series, in order of first appearance; [""] for one series.
        leads_: the leads and their units, a `Leads`.
        integer_, bounds_: what was chosen.
        target_: bins, in units of the window and lead, a `Target`.
        history_: for each network, a list of its validations; losses in nats, in units of the window and lead.
        n_iter_: number of steps of the network that trained longest.

    Raises:
        InputError: a ValueError, raised by any method; its one line names the argument and what was expected.

    Example:
        >>> model = sbp.SBPForecaster(context=96, horizon=24).fit(frame, time="hour", value="load")  # doctest: +SKIP
        >>> forecast = model.forecast()  # doctest: +SKIP
        >>> forecast.times, forecast.distribution.icdf(0.99)  # doctest: +SKIP
        >>> model.update(41.5)  # the forecast after one more hour  # doctest: +SKIP
    """

    @no_type_check  # `fit` names the argument that is wrong
    def __init__(
        self,
        context: int = 100,
        lead: int | Sequence[int] = 1,
        *,
        horizon: int | None = None,
        tail_mass: tuple[float, float] = (0.05, 0.05),
        bins: int | Literal["auto"] = "auto",
        head: str | Head = "sbp",
        integer: bool | Literal["auto"] = "auto",
        bounds: Bounds | Literal["auto"] = "auto",
        parameterization: str = "proportional",
        shape_bounds: tuple[float, float] = (0.0, 0.95),
        networks: int | Literal["auto"] = "auto",
        ensemble: int = 1,
        hidden: tuple[int, ...] = (128, 128),
        channels: int = 32,
        layers: int | Literal["auto"] = "auto",
        kernel_size: int = 3,
        dropout: float = 0.1,
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-2,
        batch_size: int | Literal["auto"] = "auto",
        max_epochs: int | Literal["auto"] = "auto",
        patience: int = 15,
        validation_fraction: float = 0.15,
        random_state: Any = None,
        progress: bool = False,
    ) -> None:
        self.context = context
        self.lead: Any = lead
        self.horizon = horizon
        self.tail_mass = tail_mass
        self.bins: Any = bins
        self.head: Any = head
        self.integer: Any = integer
        self.bounds: Any = bounds
        self.parameterization = parameterization
        self.shape_bounds = shape_bounds
        self.networks: Any = networks
        self.ensemble = ensemble
        self.hidden = hidden
        self.channels = channels
        self.layers: Any = layers
        self.kernel_size = kernel_size
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size: Any = batch_size
        self.max_epochs: Any = max_epochs
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.progress = progress

    def fit(
        self, frame: Any, y: Any = None, *, time: str | None = None, value: str | None = None, series: str | None = None
    ) -> "SBPForecaster":
        """Train on series and return the forecaster; it keeps the end of each for `forecast` and `update`.

        Args:
            frame: a pandas, polars or pyarrow frame with one row per observation, each series in order of time; or the
                values of one series, an array [N] in which NaN is a gap.
            y: ignored.
            time: column of times: dates, periods such as 2020-01, or numbers. None: the only column of dates, or one
                with a usual name.
            value: column of values; missing ones are gaps. None: the only other numeric column.
            series: column that identifies the series; None for one series.
        """
        del y
        steps = self._steps()
        if not isinstance(self.bins, int | str | np.integer):
            raise InputError("bins: expected a number of bins or 'auto', not edges: each window has its own unit")
        check_arguments(self._arguments())
        columns, all_series = read_frame(frame, time, value, series)
        # a fit that fails leaves the previous one as it was
        fitted = type(self)(**self.get_params(deep=False))
        fitted._fit(columns, all_series, steps)
        vars(self).update(vars(fitted))
        return self

    def forecast(self, frame: Any = None) -> Forecast:
        """Return the distributions after the last time of each series, batch shape [series, leads], and their times.

        Args:
            frame: the series up to the times from which to forecast, with the columns of `fit`; at least half of the
                last `context` steps must be observed. None: the series of `fit`, with the observations of `update`.
        """
        self._check_fitted()
        histories = self._observations.histories if frame is None else self._observations.read(frame)
        parts = []
        for id, history in histories.items():
            part = Origins.of(id, history, self._context, self._leads(), self._yearly, latest=True)
            if not len(part):
                raise InputError(
                    f"{self._label(id)}: too short a series to forecast: {history.observed(self._context)} of the last "
                    f"{self._context} steps are observed, at least {-(-self._context // 2)} are needed"
                )
            parts.append(part)
        return self._forecast(Origins.concatenate(parts))

    def rolling(self, frame: Any) -> Forecast:
        """Return the distributions after every time of the series of a frame, batch shape [windows, leads].

        Windows begin at the first time of the frame, so that forecasts begin about half a `context` later; outcomes
        after its end are NaN. To evaluate a test set, compare `Forecast.distribution` with `Forecast.outcome`.
        """
        self._check_fitted()
        return self._forecast(self._rolling(frame))

    def predict_distribution(self, frame: Any = None) -> Distribution:
        """Return the distributions of `forecast`, batch shape [series, leads]."""
        return self.forecast(frame).distribution

    def predict(self, frame: Any = None, which: str | float = "median") -> Float[np.ndarray, "series leads"]:
        """Return the median, mean or a quantile of each distribution of `forecast`, float64 [series, leads].

        Args:
            frame: as in `forecast`.
            which: "median", "mean", or the probability of a quantile.
        """
        level = quantile_level(which)
        dist = self.predict_distribution(frame)
        points = dist.mean() if level is None else dist.icdf(level)
        return np.asarray(points, np.float64)

    def score(self, frame: Any, y: Any = None) -> float:
        """Return the mean log score, in nats, of all outcomes in a frame, over windows and leads; larger is better."""
        del y
        self._check_fitted()
        origins = self._rolling(frame)
        parts = []
        for first in range(0, len(origins), _CHUNK):
            part = self._forecast(origins.select(np.arange(first, min(first + _CHUNK, len(origins)))))
            # NaN is no outcome of a distribution on a grid
            known = ~np.isnan(part.outcome)
            scores = np.asarray(part.distribution.log_prob(np.where(known, part.outcome, part.last[:, None])))
            parts.append(scores[known].astype(np.float64))
        scores = np.concatenate(parts) if parts else np.array([])
        if not len(scores):
            raise InputError("frame: expected at least one outcome after a window, got none")
        return float(np.mean(scores))

    def update(self, value: Any, time: Any = None, series: Any = None) -> Forecast | None:
        """Add the next observation of a series, and return the distributions after it, batch shape [1, leads].

        The networks are not trained further. The cost does not depend on the number of previous observations.

        Args:
            value: the observation.
            time: its time, in the form of the column of times: a date, text or a number. None: one step after the last
                time. Steps in between are gaps.
            series: id of the series; None for one series.

        Returns:
            The forecast; None while fewer than half of the last `context` steps are observed, as after a long gap.
        """
        self._check_fitted()
        id, history = self._observations.add(value, time, series, self._context)
        origins = Origins.of(id, history, self._context, self._leads(), self._yearly, latest=True)
        return self._forecast(origins) if len(origins) else None

    def save(self, path: str | Path) -> None:
        """Write the fitted forecaster to a folder, for `sbp_jax.load`; an estimator saved there before is replaced.

        The end of each series is saved too, so that a loaded forecaster can be updated from there.
        """
        from sbp_jax.estimator.saving import save  # which reads both estimators, and so imports this module

        self._check_fitted()
        self._check_unchanged()
        save(self, Path(path))

    def _fit(self, columns: Columns, all_series: dict[Id, Series], steps: tuple[int, ...]) -> None:
        self._fitted_with = {name: getattr(self, name) for name in FORECASTER_STRUCTURE}
        self._observations, self.series_ = Observations(columns), list(all_series)
        for id, each in all_series.items():
            check_varies(each, Path(self._label(id)), columns.value)
        values = np.concatenate([each.value for each in all_series.values()])
        ends = {id: len(each) - round(self.validation_fraction * len(each)) for id, each in all_series.items()}
        histories = {
            id: History(each, _deviation(each.value[: ends[id]], self._label(id))) for id, each in all_series.items()
        }
        self._yearly = is_yearly(histories)
        parts = [self._windows(id, history, steps, columns) for id, history in histories.items()]
        # cells from which on outcomes validate
        borders = [
            np.full(len(part), series.cell[ends[id]] - series.cell[0] if ends[id] < len(series) else np.iinfo(int).max)
            for part, (id, series) in zip(parts, all_series.items(), strict=True)
        ]
        origins, border = Origins.concatenate(parts), np.concatenate(borders)
        self.integer_ = self._is_integer(values, origins)
        self.bounds_ = self._bounds(values)
        observed = ~np.isnan(origins.outcome)
        validates = np.all(origins.order >= border[:, None], axis=1) & np.any(observed, axis=1)
        validated = bool(self.validation_fraction) and np.sum(validates) >= MIN_VALIDATION
        known = observed & ((origins.order < border[:, None]) | validates[:, None]) if validated else observed
        trains = np.any(known, axis=1) & ~(validates if validated else np.zeros(len(origins), bool))
        if np.sum(trains) < 2:
            raise InputError(
                f"{self._label(self.series_[0])}: too short a series to train on: {np.sum(trains)} windows of "
                f"{self.context} steps have an outcome before the validation part; a shorter context gives more"
            )
        self._train(origins, known, trains, validates if validated else None, steps)
        tails = {id: history.tail(self.context) for id, history in histories.items()}
        self._observations = Observations(columns, tails, self.integer_)

    def _train(
        self,
        origins: Origins,
        known: np.ndarray,
        trains: np.ndarray,
        validates: np.ndarray | None,
        steps: tuple[int, ...],
    ) -> None:
        regressor, masses = self._regressor(), (float(self.tail_mass[0]), float(self.tail_mass[1]))
        counted = known & trains[:, None]
        self.leads_ = Leads.of(steps, origins, counted)
        loc, scale = self.leads_.unit(origins)
        standardized = [(origins.outcome[:, i] - loc[:, i])[rows] / scale[rows, i] for i, rows in enumerate(counted.T)]
        pooled = np.concatenate(standardized)
        target = make_target(pooled, np.ones(len(pooled), bool), self.bins, masses, (None, None), False, ())
        rows = leads_rows(target, origins.outcome, (loc, scale), known, self.integer_, self.bounds_)
        program = self._program(target, not self.integer_ and bool(np.any(rows.interval & known)))
        self._describe(Features.of(_table(origins.static[trains])), None)
        inputs, values = self._inputs(origins), Values.of(target)
        members = regressor._members(int(np.sum(trains)))
        training = [np.flatnonzero(trains)] * members
        validation = None if validates is None else [np.flatnonzero(validates)] * members
        settings = regressor._settings(len(training[0]), members, validates is not None, seed_of(self.random_state))
        offset = marginal_offset(program, target, standardized, values)
        first = initial(regressor._network_config(), inputs, program, offset, settings)
        fitted = fit(first, inputs, rows, values, training, validation, settings, bool(self.progress))
        self.target_, self.params_ = target, fitted.params
        self._trainable, self._constants = first.trainable, first.constants
        self.history_ = [record["history"] for record in fitted.records]
        self.n_iter_ = max(history[-1]["step"] for history in self.history_)

    def _program(self, target: Target, censored: bool) -> LeadsProgram:
        builder = make_builder(self.head, target, self.parameterization, self.shape_bounds)
        return LeadsProgram(builder, 0, self.integer_, censored, len(self.leads_.steps))

    def _describe(self, features: Features | None, sequences: Features | None) -> None:
        """Set the features of windows; their frames are features already."""
        self.features_: Any = features
        self.sequence_features_ = sequences

    def _record(self) -> dict[str, Any]:
        """The attributes that only a forecaster has, as a JSON object."""
        return {
            "observations": self._observations.to_json(),
            "leads": self.leads_.to_json(),
            "integer": self.integer_,
            "bounds": list(self.bounds_),
            "yearly": self._yearly,
        }

    def _restore(self, record: dict[str, Any]) -> None:
        """Set what `_record` returned."""
        checked_count("context", self.context)
        self.leads_ = Leads.from_json(record["leads"])
        self._observations = Observations.from_json(record["observations"])
        self.integer_, self._yearly = bool(record["integer"]), bool(record["yearly"])
        low, high = record["bounds"]
        self.bounds_, self.series_ = (low, high), list(self._observations.histories)

    def _untrained(self, censored: bool) -> tuple[Trainable, Any, Any]:
        """The static part of the networks, and the shapes of one network's parameters and statistics."""
        program = self._program(self.target_, censored)
        inputs = Inputs(
            np.zeros((1, 1, len(WINDOW_FEATURES)), np.float32),
            np.ones(1, np.int32),
            np.zeros((1, self.features_.size), np.float32),
        )
        config = self._regressor()._network_config()
        return untrained(config, inputs, program)

    def _forecast(self, origins: Origins) -> Forecast:
        """The forecasts of windows."""
        values, ensemble = Values.of(self.target_), int(self._fitted_with["ensemble"])
        outputs = mean_outputs(self._trainable, self.params_, self._constants, self._inputs(origins), values, ensemble)
        program: Any = self._trainable.program
        dist = in_series_unit(program, outputs, self.target_, self.leads_.unit(origins), self.integer_, self.bounds_)
        return Forecast.of(dist, origins, self._leads(), self._observations.dated)

    def _inputs(self, origins: Origins) -> Inputs:
        lengths = np.full(len(origins), self._context, np.int32)
        return Inputs(origins.frames, lengths, self.features_.matrix(_table(origins.static)))

    def _windows(self, id: Id, history: History, steps: tuple[int, ...], columns: Columns) -> Origins:
        """The windows of a training series; InputError if it has none with an outcome."""
        leads = np.array(steps, np.int64)
        part = Origins.of(id, history, self.context, leads, self._yearly)
        if not np.any(~np.isnan(part.outcome)):
            series = history.series
            needed = -(-self.context // 2)
            raise InputError(
                f"{self._label(id)}: column {columns.value!r}: {len(series)} values in {series.cell[-1] + 1} steps are "
                f"too short a series for a context of {self.context} and a lead of {steps[0]}: it needs {needed} of "
                f"{self.context} steps, and an outcome at that lead"
            )
        return part

    def _rolling(self, frame: Any) -> Origins:
        histories = self._observations.read(frame)
        parts = [Origins.of(id, each, self._context, self._leads(), self._yearly) for id, each in histories.items()]
        for (id, history), part in zip(histories.items(), parts, strict=True):
            if not len(part):
                raise InputError(
                    f"{self._label(id)}: too short a series: {len(history.series)} values have no window of "
                    f"{self._context} steps of which {-(-self._context // 2)} are observed"
                )
        return Origins.concatenate(parts)

    def _is_integer(self, values: np.ndarray, origins: Origins) -> bool:
        integral = bool(np.all(values == np.round(values)))
        if isinstance(self.integer, str):
            return integral and float(np.median(origins.scale)) <= MAX_STEPS
        if self.integer and not integral:
            raise InputError(
                f"value: expected integers, as integer=True requires, got {values[values != np.round(values)][0]:g}"
            )
        return bool(self.integer)

    def _bounds(self, values: np.ndarray) -> Bounds:
        if isinstance(self.bounds, str):
            return (0.0, None) if self.integer_ and np.min(values) >= 0 else (None, None)
        low, high = (None if bound is None or np.isinf(bound) else float(bound) for bound in self.bounds)
        if (low is not None and np.min(values) < low) or (high is not None and np.max(values) > high):
            raise InputError(f"bounds: expected an interval that contains all values, got ({low}, {high})")
        return low, high

    def _steps(self) -> tuple[int, ...]:
        """The leads in increasing order."""
        checked_count("context", self.context)
        if self.horizon is not None:
            if np.ndim(self.lead) or self.lead != 1:  # the comparison of an array has no truth value
                raise InputError(f"lead, horizon: expected only one of them, got {self.lead!r} and {self.horizon!r}")
            return tuple(range(1, checked_count("horizon", self.horizon) + 1))
        try:
            leads = [operator.index(self.lead)]
        except TypeError:
            several = isinstance(self.lead, Sequence | np.ndarray) and not isinstance(self.lead, str)
            leads = list(self.lead) if several else [self.lead]
        if not leads or len(set(leads)) < len(leads):
            raise InputError(f"lead: expected an integer or several distinct integers, got {self.lead!r}")
        return tuple(sorted(checked_count("lead", each) for each in leads))

    @property
    def _context(self) -> int:
        """The context of the last fit, which an argument that was set later does not change."""
        return int(self._fitted_with["context"])

    def _label(self, id: Id) -> str:
        """How messages name a series."""
        return self._observations.label(id)

    def _leads(self) -> np.ndarray:
        return np.array(self.leads_.steps, np.int64)

    def _regressor(self) -> SBPRegressor:
        """An estimator with the parameters that both have, which checks them and chooses steps and batches."""
        return SBPRegressor(**{name: getattr(self, name) for name in _SHARED}, layers=self._layers())

    def _arguments(self) -> dict[str, Any]:
        """The parameters, with the number of layers."""
        return self.get_params(deep=False) | {"layers": self._layers()}

    def _layers(self) -> int:
        if self.layers != "auto":
            return self.layers
        layers, kernel_size = 1, checked_count("kernel_size", self.kernel_size)
        while kernel_size > 1 and receptive_field(layers, kernel_size) < self.context:
            layers += 1
        return layers


def _deviation(values: np.ndarray, label: str) -> float:
    deviation = float(np.mean(np.abs(values - np.median(values)))) if len(values) else 0.0
    if not deviation > 0:
        raise InputError(f"{label}: a constant series in its first {len(values)} observations, which train")
    return deviation


def _table(static: np.ndarray) -> Table:
    return Table(tuple(static.T), STATIC, len(static))
