"""The PP curve against its definition."""

import numpy as np
import pytest

from sbp_jax.evaluation import Metrics, OutcomeScores, pp_curve, pp_error


def test_pp_curve_of_one_outcome_is_its_uniform_fraction():
    low, high = np.array([0.25]), np.array([0.5])
    np.testing.assert_allclose(pp_curve(low, high, np.array([0.1, 0.25, 0.375, 0.5, 0.9])), [0, 0, 0.5, 1, 1])
    np.testing.assert_allclose(pp_curve(low, low, np.array([0.1, 0.25, 0.26])), [0, 0, 1])


def test_evenly_spread_pits_have_no_error():
    pit = (np.arange(100_000) + 0.5) / 100_000
    error = pp_error(pit, pit)
    assert max(error.lower, error.base, error.upper, error.full) < 1e-5
    assert pp_error(pit**2, pit**2).base == pytest.approx(
        np.mean(np.sqrt(b := np.linspace(0.05, 0.95, 81)) - b), abs=1e-4
    )


def test_metrics_are_means_over_the_outcomes():
    scores = OutcomeScores(
        log_prob=np.log([0.25, 0.125]),
        crps=np.array([1.0, 2.0]),
        median=np.array([0.0, 4.0]),
        pit_low=np.array([0.2, 0.4]),
        pit_high=np.array([0.3, 0.8]),
    )
    metrics = Metrics.of(scores, np.array([1.0, 2.0]))
    assert (metrics.nll, metrics.crps, metrics.mae) == (pytest.approx(2.5 * np.log(2)), 1.5, 1.5)
    assert metrics.flat() == {
        "nll": metrics.nll,
        "crps": 1.5,
        "mae": 1.5,
        **{f"pp_{name}": value for name, value in metrics.to_dict()["pp"].items()},
    }
