"""The pages of threshold diagnostics are drawn, also from awkward numbers, and never let an outlier hide the rest."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from sbp_jax.reporting import thresholds
from sbp_jax.reporting.thresholds import Curve, Levels, Page


def curve(x, y, width=0.2):
    x, y = np.asarray(x, float), np.asarray(y, float)
    return Curve(x, y, y - width, y + width)


def example():
    x = np.linspace(1.0, 9.0, 20)
    levels = Levels(curve(10.0**x, x), x - 1, x + 1, 10.0 ** x[::2], x[::2])
    points = curve(x, x + 0.1)
    return Page(
        "title", "yd", "upper", 3.0, 0.05, curve(x, x / 2), curve(x / 10, x), curve(x / 10, x), levels, points, points
    )


def ink(path):
    """Fraction of the picture that is not white."""
    return float((imread(path)[..., :3].min(axis=-1) < 0.95).mean())


@pytest.mark.slow
def test_page_is_drawn_for_either_tail(tmp_path):
    for tail in ("upper", "lower"):
        page = replace(example(), tail=tail, fitted_excess=(np.array([3.0, 9.0]), np.array([1.0, 3.0])))
        thresholds.tail_page(tmp_path / f"{tail}.png", page)
        assert 0.02 < ink(tmp_path / f"{tail}.png") < 0.6


def test_page_without_any_interval_is_drawn(tmp_path):
    none = np.full(20, np.nan)
    page = example()
    bare = {
        name: replace(getattr(page, name), low=none, high=none)
        for name in ("mean_excess", "shape", "modified_scale", "pp", "qq")
    }
    levels = replace(
        page.levels, curve=replace(page.levels.curve, low=none, high=none), delta_low=none, delta_high=none
    )
    thresholds.tail_page(tmp_path / "bare.png", replace(page, levels=levels, **bare))
    assert ink(tmp_path / "bare.png") > 0.02


def test_one_row_is_drawn(tmp_path):
    one = curve([0.05], [1.0])
    page = replace(example(), mean_excess=one, shape=one, modified_scale=one, pp=one, qq=one)
    thresholds.tail_page(tmp_path / "one.png", page)
    assert ink(tmp_path / "one.png") > 0.01


def test_an_infinite_residual_does_not_move_the_axes():
    ax = Figure().subplots()
    x = np.linspace(0.1, 4.0, 30)
    thresholds.agreement(ax, replace(curve(x, x), y=np.append(x[:-1], np.inf)))
    assert np.isfinite([*ax.get_xlim(), *ax.get_ylim()]).all()
    assert ax.get_ylim()[1] < 10


def test_a_wide_interval_leaves_space_for_the_points():
    ax = Figure().subplots()
    points = curve([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    thresholds.agreement(ax, replace(points, high=np.array([2.0, 9.0, 1e9])))
    low, high = ax.get_ylim()
    assert low < 1
    assert 3 < high < 5


def test_no_point_is_left_out_of_sight():
    ax = Figure().subplots()
    points = curve([1.0, 2.0, 3.0], [1.0, 2.0, 50.0], 0.01)
    thresholds.agreement(ax, points)
    assert ax.get_ylim()[0] < 1 < 50 < ax.get_ylim()[1]


def test_points_outside_the_band_are_marked():
    ax = Figure().subplots()
    points = curve([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    thresholds.agreement(ax, replace(points, y=np.array([1.0, 2.5, 3.0])))
    outside = [line for line in ax.get_lines() if line.get_label() == "outside the band"]
    assert [list(line.get_ydata()) for line in outside] == [[2.5]]


def test_fits_without_interval_are_hollow():
    ax = Figure().subplots()
    points = curve([0.2, 0.1, 0.05], [0.0, -0.3, -0.8])
    thresholds.stability(ax, replace(points, low=np.array([-0.1, -0.4, np.nan])), 0.1, "shape")
    hollow = [line for line in ax.get_lines() if str(line.get_label()).startswith("no interval")]
    assert [list(line.get_xdata()) for line in hollow] == [[0.05]]
    assert ax.get_xlim()[0] > ax.get_xlim()[1]


def test_heavy_tails_get_logarithmic_axes(tmp_path):
    ax = Figure().subplots()
    x = np.geomspace(1.0, 1e4, 10)
    thresholds.return_levels(ax, Levels(curve(10 * x, x, 0.5), x, x, 10 * x, x), "yd")
    assert ax.get_yscale() == "log"
    assert ax.get_ylim()[0] > 0


def test_minus_is_a_minus():
    assert thresholds.number(-3.5) == "−3.5"


def test_drawing_never_imports_jax():
    code = "import sys, sbp_jax.reporting.thresholds as t; print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
