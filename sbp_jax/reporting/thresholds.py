"""Plots of threshold diagnostics: mean excess, parameter stability, return levels, PP and QQ plots with bands."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sbp_jax.reporting.style import ACTUAL, COLORS, figure

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.axis

LINE, CHOICE, POINT = COLORS["sbp"], ACTUAL, "#333333"


@dataclass(frozen=True)
class Curve:
    """A line or points with pointwise intervals, all [rows]; `low` and `high` are NaN where there is no interval."""

    x: np.ndarray
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Levels:
    """Return levels against the period with profile-likelihood and normal intervals, and the observations."""

    curve: Curve
    delta_low: np.ndarray
    delta_high: np.ndarray
    point_periods: np.ndarray
    point_levels: np.ndarray


@dataclass(frozen=True)
class Page:
    """All diagnostics of one tail.

    Attributes:
        title: title of the page.
        unit: unit of the data, for the axes.
        tail: "upper" or "lower".
        threshold: the chosen threshold.
        mass: fraction of the sample beyond the threshold.
        mean_excess: against the threshold.
        fitted_excess: (thresholds, mean excess under the fit), beyond the chosen threshold; empty if it is infinite.
        shape: against the tail mass.
        modified_scale: against the tail mass.
        levels: return levels.
        pp: expected against fitted probabilities.
        qq: expected against observed values.
        level: of every interval and band.
    """

    title: str
    unit: str
    tail: str
    threshold: float
    mass: float
    mean_excess: Curve
    shape: Curve
    modified_scale: Curve
    levels: Levels
    pp: Curve
    qq: Curve
    fitted_excess: tuple[np.ndarray, np.ndarray] = field(default_factory=lambda: (np.zeros(0), np.zeros(0)))
    level: float = 0.95


def tail_page(path: Path, page: Page) -> None:
    """Draw a page of six panels: diagnostics for the threshold (top) and for the fit beyond it (bottom)."""
    with figure(path, 13.0, 7.4) as drawing:
        axes = drawing.subplots(2, 3)
        sign = "−" if page.tail == "upper" else "+"
        drawing.suptitle(page.title, fontsize=11)
        mean_excess(axes[0, 0], page)
        stability(axes[0, 1], page.shape, page.mass, "shape ξ", page.level)
        stability(axes[0, 2], page.modified_scale, page.mass, f"modified scale β {sign} ξ t, {page.unit}", page.level)
        axes[0, 1].axhline(0.0, color="black", lw=0.7, ls=":")
        return_levels(axes[1, 0], page.levels, page.unit, page.level)
        agreement(axes[1, 1], page.pp, page.level)
        axes[1, 1].set(title="PP plot of the excesses", xlabel="expected probability", ylabel="fitted probability")
        if _is_long(page.qq.y, page.qq.x):
            axes[1, 2].set(xscale="log", yscale="log")
        agreement(axes[1, 2], page.qq, page.level)
        for ax in axes.ravel():
            _mark(ax.xaxis)
            _mark(ax.yaxis)
        axes[1, 2].set(
            title="QQ plot of the values beyond the threshold",
            xlabel=f"quantile of the fit, {page.unit}",
            ylabel=f"observed, {page.unit}",
        )


def mean_excess(ax: "matplotlib.axes.Axes", page: Page) -> None:
    """Plot mean excess against the threshold: linear beyond a threshold above which the distribution holds."""
    curve = page.mean_excess
    ax.fill_between(curve.x, curve.low, curve.high, color=LINE, alpha=0.18, lw=0, label=f"{page.level:.0%} interval")
    ax.plot(curve.x, curve.y, color=LINE, lw=1.4, label="mean excess")
    if len(page.fitted_excess[0]):
        ax.plot(*page.fitted_excess, color="black", lw=1.0, ls="--", label="under the fit")
    ax.axvline(page.threshold, color=CHOICE, lw=1.2, label=f"threshold {number(page.threshold, 4)}")
    _limit(ax, np.append(curve.y, 0.0), np.concatenate([curve.low, curve.high, page.fitted_excess[1]]), 0.6)
    if page.tail == "lower":
        ax.invert_xaxis()
    ax.set(title="Mean excess", xlabel=f"threshold t, {page.unit}", ylabel=f"mean excess, {page.unit}")
    ax.legend(fontsize=7)


def stability(ax: "matplotlib.axes.Axes", curve: Curve, mass: float, name: str, level: float = 0.95) -> None:
    """Plot a parameter against the tail mass, farther out to the right.

    Where the distribution holds, the parameter is constant up to sampling error.
    """
    errors = np.nan_to_num(np.stack([curve.y - curve.low, curve.high - curve.y]))
    regular = np.isfinite(curve.low) & np.isfinite(curve.high)
    ax.plot(curve.x, curve.y, color=LINE, lw=0.8, alpha=0.5)
    ax.errorbar(
        curve.x[regular],
        curve.y[regular],
        errors[:, regular],
        fmt="o",
        ms=3,
        lw=0.8,
        color=LINE,
        label=f"{level:.0%} interval",
    )
    if not regular.all():
        ax.plot(curve.x[~regular], curve.y[~regular], "o", ms=3, mfc="white", color=LINE, label="no interval: ξ ≤ −1/2")
    ax.axvline(mass, color=CHOICE, lw=1.2, zorder=1, label=f"tail mass {mass:.3g}")
    ax.set_xscale("log")
    ax.invert_xaxis()
    _limit(ax, curve.y, np.concatenate([curve.low, curve.high]), 1.5)
    # The intervals are narrow at large tail masses, on the left: put the legend there, away from the points.
    above = np.mean(curve.y[: max(1, len(curve.y) // 3)]) > np.mean(ax.get_ylim())
    title = name[0].upper() + name[1:].split(",")[0]
    ax.set(title=title, xlabel="tail mass (fraction beyond the threshold)", ylabel=name)
    ax.legend(fontsize=7, loc="lower left" if above else "upper left")


def return_levels(ax: "matplotlib.axes.Axes", levels: Levels, unit: str, level: float = 0.95) -> None:
    """Plot return levels against the period on a logarithmic axis, with observations at their plotting positions."""
    curve = levels.curve
    ax.fill_between(
        curve.x, curve.low, curve.high, color=LINE, alpha=0.18, lw=0, label=f"{level:.0%} by profile likelihood"
    )
    for side, label in ((levels.delta_low, f"{level:.0%} by the delta method"), (levels.delta_high, None)):
        ax.plot(curve.x, side, color=LINE, lw=0.8, ls=":", label=label)
    ax.plot(curve.x, curve.y, color=LINE, lw=1.4, label="fit")
    ax.plot(levels.point_periods, levels.point_levels, "o", ms=2.5, color=POINT, label="observed")
    ax.set_xscale("log")
    values = np.concatenate([curve.y, levels.point_levels])
    if _is_long(curve.y, levels.point_levels):
        ax.set_yscale("log")
    _limit(ax, values, np.concatenate([curve.low, curve.high]), 1.0)
    ax.set(title="Return level", xlabel="period m, observations", ylabel=f"level reached once in m, {unit}")
    ax.legend(fontsize=7, loc="best")


def agreement(ax: "matplotlib.axes.Axes", points: Curve, level: float = 0.95) -> None:
    """Plot observed against expected values, with the diagonal and the pointwise band."""
    order = np.argsort(points.x)
    x = points.x[order]
    ax.fill_between(
        x, points.low[order], points.high[order], color=LINE, alpha=0.18, lw=0, label=f"{level:.0%} band, pointwise"
    )
    ax.plot(x[[0, -1]], x[[0, -1]], color="black", lw=0.8, ls=":")
    outside = (points.y < points.low) | (points.y > points.high)
    ax.plot(points.x[~outside], points.y[~outside], "o", ms=2.5, color=POINT)
    if outside.any():
        ax.plot(points.x[outside], points.y[outside], "o", ms=3, color=COLORS["gaussian"], label="outside the band")
    _limit(ax, np.concatenate([points.x, points.y]), np.concatenate([points.low, points.high]), 0.5)
    ax.legend(fontsize=7)


def number(value: float, digits: int = 6) -> str:
    """Return a number for a title or legend, with a true minus sign."""
    return f"{value:.{digits}g}".replace("-", "−")


def _mark(axis: "matplotlib.axis.Axis") -> None:
    """Label 1, 2 and 5 on a logarithmic axis of less than two decades: powers of ten alone would be too few."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    low, high = sorted(axis.get_view_interval())
    if axis.get_scale() == "log":
        axis.set_minor_formatter(NullFormatter())
        if high < 100 * low:
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _is_long(outward: np.ndarray, others: np.ndarray) -> bool:
    """Whether positive values grow so much from first to last that they need a logarithmic axis."""
    return bool(outward[-1] > 20 * outward[0] > 0 and others.min() > 0)


def _limit(ax: "matplotlib.axes.Axes", data: np.ndarray, band: np.ndarray, slack: float) -> None:
    """Show all values in `data`, and as much of the intervals as fits in `slack` times their range on each side."""
    scale = ax.yaxis.get_transform()
    with np.errstate(invalid="ignore", divide="ignore"):
        data, band = (scale.transform(values[np.isfinite(values)]) for values in (data, band))
    if not len(data):
        return
    low, high = float(data.min()), float(data.max())
    width = high - low or max(abs(high), 1.0)
    bottom = max(low - slack * width, min(low, float(band.min(initial=low))))
    top = min(high + slack * width, max(high, float(band.max(initial=high))))
    margin = 0.04 * max(top - bottom, width)
    ax.set_ylim(*scale.inverted().transform(np.array([bottom - margin, top + margin])))
