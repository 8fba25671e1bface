"""The gradient check passes on the distribution, has full coverage, and catches errors."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from sbp_jax.distributions.heads import PARAMETERIZATIONS, objective
from sbp_jax.errors import InputError
from sbp_jax.evaluation import gradients
from sbp_jax.evaluation.exact_heads import TAILS
from sbp_jax.reporting import gradients as figures


@pytest.fixture(scope="module")
def points():
    return list(gradients.cells(np.float32))


def test_the_grid_holds_every_parameterization_regime_and_sign_of_the_shape(points):
    assert {p.parameterization for p in points} == set(PARAMETERIZATIONS) == set(TAILS)
    assert {p.regime for p in points} == {*gradients.REGIMES, gradients.NEAR_ZERO}
    shapes = np.array(
        [float(p.head(jnp.asarray(p.raw)).upper.shape) for p in points if p.parameterization == "bounded"]
    )
    assert shapes.min() < -0.4
    assert shapes.max() > 0.8
    assert np.any(np.abs(shapes) < 1e-6)


# in float64 a trained network is checked in experiments/test_way.py, the distribution's own derivatives in
# test_exactness.py
@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.slow)])
def test_the_distribution_is_within_its_bounds(dtype):
    with jax.enable_x64(dtype is np.float64):
        rows = gradients.check(list(gradients.cells(dtype))[::18], dtype)
    assert len({r["parameterization"] for r in rows}) >= 5
    assert len(rows) > 400
    assert all(r["ratio"] <= 1 for r in rows), max(rows, key=lambda r: r["ratio"])


@pytest.mark.slow
def test_a_wrong_derivative_is_caught(points, monkeypatch):
    def wrong(name):
        right = objective(name)
        return lambda dist, y, flag: right(dist, y, flag) + 1e-3 * (y - jax.lax.stop_gradient(y))

    monkeypatch.setattr(gradients, "objective", wrong)
    rows = gradients.check([p for p in points if p.regime == "body"][:3], np.float32)
    missed = [r for r in rows if r["ratio"] > 1]
    assert {r["quantity"] for r in missed} == {"d/d outcome"}


def test_nan_is_never_within_a_bound(points, monkeypatch):
    monkeypatch.setattr(gradients, "objective", lambda name: lambda dist, y, flag: jnp.nan * y)
    rows = gradients.check(points[:1], np.float32)
    assert rows
    assert not any(r["ratio"] <= 1 for r in rows)
    assert "inf" in figures.table(rows)


def test_movement_is_what_half_an_ulp_in_each_input_does():
    x, eps = [mp.mpf(3), mp.mpf(5)], mp.mpf(2) ** -23
    moved = gradients.movement(lambda x: 2 * x[0] + x[1] ** 2, x, eps)
    assert float(moved) == pytest.approx(float(eps / 2 * (2 * 3 + 2 * 5 * 5)), rel=1e-6)
    assert gradients.movement(lambda x: x[0] if x[0] <= 3 else mp.inf, x, eps) == mp.inf


@pytest.mark.slow
def test_interval_loss_and_unknown_losses(points):
    rows = gradients.check([p for p in points if p.regime == "upper tail"][:2], np.float32, "interval")
    assert all(r["ratio"] <= 1 for r in rows)
    with pytest.raises(InputError, match="expected pointwise, exact, interval, censored"):
        gradients.check(points[:1], np.float32, "composite")


def test_censored_outcomes(points):
    chosen = [p for p in points if p.regime in ("body", "upper tail")][:2]
    rows = gradients.check(
        [replace(p, censored=flag) for p in chosen for flag in (False, True)], np.float32, "censored"
    )
    assert all(r["ratio"] <= 1 for r in rows)
    values = [r["exact"] for r in rows if r["quantity"] == "value"]
    assert len(values) == 4
    assert values[1] < values[0]  # more is likelier than exactly that
    assert values[3] < values[2]


@pytest.mark.slow
def test_figure(points, tmp_path):
    rows = gradients.check(points[:2], np.float32)
    figures.draw(tmp_path / "g.png", rows)
    assert (tmp_path / "g.png").stat().st_size > 5000
