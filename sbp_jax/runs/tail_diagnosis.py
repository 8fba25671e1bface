"""Compute every diagnostic of one tail of a sample: numbers, tables, the contents of a figure, and a summary."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from sbp_jax.data.readers.tables import Column
from sbp_jax.evaluation.exceedances import Tail, shape_interval
from sbp_jax.evaluation.returns import ReturnLevels, return_levels
from sbp_jax.evaluation.tails import FittedTail, Interval, fit_tail, sign, tail_masses, threshold_at
from sbp_jax.evaluation.thresholds import (
    MeanExcess,
    ParameterStability,
    Points,
    mean_excess,
    parameter_stability,
    pp_points,
    quantile_points,
)
from sbp_jax.reporting.tables import markdown
from sbp_jax.reporting.thresholds import Curve, Levels, Page, number

# columns that are not locations on the scale of the data
_SIZES = {"shape", "shape_low", "shape_high", "shape_standard_error", "scale", "tail_mass", "log_likelihood", "period"}
_SIZES |= {"modified_scale", "modified_scale_low", "modified_scale_high"}


@dataclass(frozen=True)
class Diagnosis:
    """The results of all diagnostics for one tail."""

    tail: FittedTail
    shape: tuple[float, float]
    excess: MeanExcess
    stability: ParameterStability
    levels: ReturnLevels
    curve: ReturnLevels
    pp: Points
    qq: Points


def diagnose(values: np.ndarray, side: Tail, tail_mass: float, level: float) -> Diagnosis:
    """Fit the tail and compute every diagnostic over a range of thresholds and periods."""
    tail = fit_tail(values, tail_mass, side)
    thresholds = [threshold_at(values, mass, side) for mass in tail_masses(values, side, 0.5, 5, 80)]
    masses = tail_masses(values, side)
    first, last = 1.2 / tail.mass, 10.0 * tail.size
    periods = [m * 10.0**power for power in range(1, 13) for m in (1, 2, 5) if first < m * 10.0**power <= last]
    return Diagnosis(
        tail,
        shape_interval(tail.fit, tail.excesses, level),
        mean_excess(values, np.array(thresholds or [tail.threshold]), level, side),
        parameter_stability(values, masses if len(masses) else np.array([tail.mass]), level, side),
        return_levels(tail, np.array(periods), level),
        return_levels(tail, np.geomspace(first, last, 40), level),
        pp_points(tail.residuals, level),
        quantile_points(tail, level),
    )


def tables(diagnosis: Diagnosis) -> dict[str, pl.DataFrame]:
    """Return the numbers behind the figures, one table per diagnostic."""
    excess, stable, levels = diagnosis.excess, diagnosis.stability, diagnosis.levels
    covariance = diagnosis.tail.fit.covariance
    frames = {
        "fit": {
            "threshold": [diagnosis.tail.threshold],
            "count": [diagnosis.tail.count],
            "size": [diagnosis.tail.size],
            "tail_mass": [diagnosis.tail.mass],
            "shape": [diagnosis.tail.fit.shape],
            "shape_low": [diagnosis.shape[0]],
            "shape_high": [diagnosis.shape[1]],
            "shape_standard_error": [float(np.sqrt(covariance[0, 0]))],
            "scale": [diagnosis.tail.fit.scale],
            "scale_standard_error": [float(np.sqrt(covariance[1, 1]))],
            "correlation": [float(covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]))],
            "log_likelihood": [diagnosis.tail.fit.log_likelihood],
        },
        "mean_excess": {"threshold": excess.thresholds, "count": excess.count, "mean_excess": excess.mean}
        | _ends("", excess.interval),
        "stability": {"threshold": stable.thresholds, "tail_mass": stable.mass, "count": stable.count}
        | {"shape": stable.shape}
        | _ends("shape_", stable.shape_interval)
        | {"scale": stable.scale, "modified_scale": stable.modified_scale}
        | _ends("modified_scale_", stable.modified_scale_interval),
        "return_levels": {"period": levels.periods, "level": levels.levels}
        | _ends("profile_", levels.profile)
        | _ends("delta_", levels.delta),
        "pp": {"expected": diagnosis.pp.expected, "fitted": diagnosis.pp.observed} | _ends("", diagnosis.pp.band),
        "qq": {"expected": diagnosis.qq.expected, "observed": diagnosis.qq.observed} | _ends("", diagnosis.qq.band),
    }
    side = pl.lit(diagnosis.tail.tail).alias("tail")
    return {name: pl.DataFrame(columns).select(side, pl.all()) for name, columns in frames.items()}


def page(diagnosis: Diagnosis, name: str, level: float) -> Page:
    """Return the contents of the figure."""
    tail, fit = diagnosis.tail, diagnosis.tail.fit
    low, high = diagnosis.shape
    beyond = diagnosis.excess.thresholds[sign(tail.tail) * (diagnosis.excess.thresholds - tail.threshold) >= 0]
    line = (fit.scale + fit.shape * np.abs(beyond - tail.threshold)) / (1 - fit.shape) if fit.shape < 1 else beyond[:0]
    interval = f" ({number(low, 3)} to {number(high, 3)})" if fit.is_regular else ", no interval"
    threshold = _text(tail.threshold, fit.scale)
    title = (
        f"{name}, {tail.tail} tail: {tail.count:,} of {tail.size:,} observations beyond {threshold};"
        f" ξ = {number(fit.shape, 3)}{interval}, β = {number(fit.scale, 4)}"
    )
    return Page(
        title,
        name,
        tail.tail,
        tail.threshold,
        tail.mass,
        _curve(diagnosis.excess.thresholds, diagnosis.excess.mean, diagnosis.excess.interval),
        _curve(diagnosis.stability.mass, diagnosis.stability.shape, diagnosis.stability.shape_interval),
        _curve(
            diagnosis.stability.mass, diagnosis.stability.modified_scale, diagnosis.stability.modified_scale_interval
        ),
        Levels(
            _curve(diagnosis.curve.periods, diagnosis.curve.levels, diagnosis.curve.profile),
            diagnosis.curve.delta.low,
            diagnosis.curve.delta.high,
            diagnosis.curve.point_periods,
            diagnosis.curve.point_levels,
        ),
        _curve(diagnosis.pp.expected, diagnosis.pp.observed, diagnosis.pp.band),
        _curve(diagnosis.qq.expected, diagnosis.qq.observed, diagnosis.qq.band),
        (beyond[: len(line)], line),
        level,
    )


def summary(column: Column, source: Path, frames: dict[str, pl.DataFrame], tail_mass: float, level: float) -> str:
    """Return the results as Markdown."""
    lines = [f"# Tail of {column.name} in {source.name}", "", f"{len(column.values)} observations"]
    lines[-1] += f"; {column.missing} rows without a number left out." if column.missing else ", none missing."
    if column.distinct < len(column.values):
        kind = "integers" if column.is_whole else "values"
        lines += [
            f"Ties: {column.distinct} distinct {kind}. Thresholds are midway between two of them, so that the tail mass"
            f" may differ from the requested {tail_mass:g}; equal values are one point."
        ]
    scale = frames["fit"]["scale"].min()
    lines += ["Intervals assume independent observations.", "", "## Generalized Pareto fit", ""]
    for title, name in ((None, "fit"), ("Parameter stability", "stability"), ("Return levels", "return_levels")):
        frame = frames[name].drop("scale_standard_error", "correlation", strict=False)
        header = [column.replace("_", " ") for column in frame.columns]
        rows = [
            [_text(cell, None if name in _SIZES else scale) for name, cell in zip(frame.columns, row, strict=True)]
            for row in frame.iter_rows()
        ]
        lines += [f"## {title}", ""] if title else []
        lines += [markdown(header, rows), ""]
    lines += [
        f"Intervals have level {level:g}; those of the shape and `profile` are by profile likelihood, the others are "
        "normal."
    ]
    return "\n".join(lines)


def _ends(prefix: str, interval: Interval) -> dict[str, np.ndarray]:
    return {f"{prefix}low": interval.low, f"{prefix}high": interval.high}


def _curve(x: np.ndarray, y: np.ndarray, interval: Interval) -> Curve:
    return Curve(x, y, interval.low, interval.high)


def _text(cell: Any, scale: Any = None) -> str:
    """A number with four digits, or as many as distinguish locations a hundredth of the scale apart."""
    if not isinstance(cell, float):
        return str(cell)
    if scale and np.isfinite(cell) and cell:
        decimals = 2 - int(np.floor(np.log10(scale)))
        if decimals > 3 - int(np.floor(np.log10(abs(cell)))):
            return f"{cell:,.{max(decimals, 0)}f}"
    return f"{cell:,.0f}" if abs(cell) >= 1e4 else f"{cell:.4g}"
