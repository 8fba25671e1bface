"""Every diagnostic of one tail of a sample, as numbers, tables, the contents of a figure, and a summary."""

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


@dataclass(frozen=True)
class Diagnosis:
    """All results for one tail."""

    tail: FittedTail
    shape: tuple[float, float]
    excess: MeanExcess
    stability: ParameterStability
    levels: ReturnLevels
    curve: ReturnLevels
    pp: Points
    qq: Points


def diagnose(values: np.ndarray, side: Tail, tail_mass: float, level: float) -> Diagnosis:
    """Fit the tail and compute every diagnostic over sensible thresholds and periods."""
    tail = fit_tail(values, tail_mass, side)
    thresholds = [threshold_at(values, mass, side) for mass in tail_masses(values, side, 0.5, 5, 80)]
    masses = tail_masses(values, side)
    first, last = 1.2 / tail.mass, 10.0 * tail.size
    rounded = [m * 10.0**power for power in range(1, 13) for m in (1, 2, 5) if first < m * 10.0**power <= last]
    return Diagnosis(
        tail,
        shape_interval(tail.fit, tail.excesses, level),
        mean_excess(values, np.array(thresholds or [tail.threshold]), level, side),
        parameter_stability(values, masses if len(masses) else np.array([tail.mass]), level, side),
        return_levels(tail, np.array(rounded), level),
        return_levels(tail, np.geomspace(first, last, 40), level),
        pp_points(tail.residuals, level),
        quantile_points(tail, level),
    )


def tables(found: Diagnosis) -> dict[str, pl.DataFrame]:
    """Return the numbers behind the figures, one table per diagnostic."""
    excess, stable, levels = found.excess, found.stability, found.levels
    covariance = found.tail.fit.covariance
    frames = {
        "fit": {
            "threshold": [found.tail.threshold],
            "count": [found.tail.count],
            "size": [found.tail.size],
            "tail_mass": [found.tail.mass],
            "shape": [found.tail.fit.shape],
            "shape_low": [found.shape[0]],
            "shape_high": [found.shape[1]],
            "shape_standard_error": [float(np.sqrt(covariance[0, 0]))],
            "scale": [found.tail.fit.scale],
            "scale_standard_error": [float(np.sqrt(covariance[1, 1]))],
            "correlation": [float(covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]))],
            "log_likelihood": [found.tail.fit.log_likelihood],
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
        "pp": {"expected": found.pp.expected, "fitted": found.pp.observed} | _ends("", found.pp.band),
        "qq": {"expected": found.qq.expected, "observed": found.qq.observed} | _ends("", found.qq.band),
    }
    side = pl.lit(found.tail.tail).alias("tail")
    return {name: pl.DataFrame(columns).select(side, pl.all()) for name, columns in frames.items()}


def page(found: Diagnosis, name: str, level: float) -> Page:
    """Return the contents of the figure."""
    tail, fit = found.tail, found.tail.fit
    low, high = found.shape
    beyond = found.excess.thresholds[sign(tail.tail) * (found.excess.thresholds - tail.threshold) >= 0]
    fitted = (
        (fit.scale + fit.shape * np.abs(beyond - tail.threshold)) / (1 - fit.shape) if fit.shape < 1 else beyond[:0]
    )
    interval = f" ({number(low, 3)} to {number(high, 3)})" if fit.is_regular else ", no interval"
    title = (
        f"{name}, {tail.tail} tail: {tail.count:,} of {tail.size:,} observations beyond {number(tail.threshold, 4)};"
        f" ξ = {number(fit.shape, 3)}{interval}, β = {number(fit.scale, 4)}"
    )
    return Page(
        title,
        name,
        tail.tail,
        tail.threshold,
        tail.mass,
        _curve(found.excess.thresholds, found.excess.mean, found.excess.interval),
        _curve(found.stability.mass, found.stability.shape, found.stability.shape_interval),
        _curve(found.stability.mass, found.stability.modified_scale, found.stability.modified_scale_interval),
        Levels(
            _curve(found.curve.periods, found.curve.levels, found.curve.profile),
            found.curve.delta.low,
            found.curve.delta.high,
            found.curve.point_periods,
            found.curve.point_levels,
        ),
        _curve(found.pp.expected, found.pp.observed, found.pp.band),
        _curve(found.qq.expected, found.qq.observed, found.qq.band),
        (beyond[: len(fitted)], fitted),
        level,
    )


def summary(column: Column, source: Path, frames: dict[str, pl.DataFrame], tail_mass: float, level: float) -> str:
    """Return the results as Markdown."""
    lines = [f"# Tail of {column.name} in {source.name}", "", f"{len(column.values)} observations"]
    lines[-1] += f"; {column.missing} rows without a number left out." if column.missing else ", none missing."
    if column.distinct < len(column.values):
        kind = "integers" if column.is_whole else "values"
        lines += [
            f"Ties: {column.distinct} distinct {kind}. Thresholds lie midway between two of them, so that the share"
            f" beyond may differ from the {tail_mass:g} asked for; equal values are one point."
        ]
    lines += ["Intervals take the observations as independent.", "", "## Generalized Pareto fit", ""]
    for title, name in ((None, "fit"), ("Parameter stability", "stability"), ("Return levels", "return_levels")):
        frame = frames[name].drop("scale_standard_error", "correlation", strict=False)
        header = [column.replace("_", " ") for column in frame.columns]
        rows = [[_text(cell) for cell in row] for row in frame.iter_rows()]
        lines += [f"## {title}", ""] if title else []
        lines += [markdown(header, rows), ""]
    lines += [f"Intervals at level {level:g}; of the shape and `profile` by profile likelihood, others normal."]
    return "\n".join(lines)


def _ends(prefix: str, interval: Interval) -> dict[str, np.ndarray]:
    return {f"{prefix}low": interval.low, f"{prefix}high": interval.high}


def _curve(x: np.ndarray, y: np.ndarray, interval: Interval) -> Curve:
    return Curve(x, y, interval.low, interval.high)


def _text(cell: Any) -> str:
    if not isinstance(cell, float):
        return str(cell)
    return f"{cell:,.0f}" if abs(cell) >= 1e4 else f"{cell:.4g}"
