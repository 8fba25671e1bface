"""Statistics over seeds against scipy."""

import doctest

import numpy as np
import polars as pl
import pytest
from scipy import stats

from sbp_jax.evaluation import statistics
from sbp_jax.evaluation.statistics import (
    MeanInterval,
    gap_closed,
    mean_and_error,
    mean_interval,
    paired_difference,
    paired_values,
)

NOISE = np.array([0.0, 0.02, -0.01, 0.015, -0.02])


@pytest.fixture
def table():
    """Model a of five seeds, b of the last four and another; c has no value of the metric."""
    values = {"a": zip(range(5), 2.0 + NOISE, strict=True), "b": zip(range(1, 6), 1.0 + NOISE[::-1], strict=True)}
    rows = [{"arm": arm, "seed": seed, "nll": value} for arm, each in values.items() for seed, value in each]
    return pl.DataFrame([*rows, {"arm": "c", "seed": 0, "nll": None}])


@pytest.mark.parametrize("count", [2, 3, 5])
def test_intervals_are_student_s(count):
    values = 2.0 + NOISE[:count]
    low, high = stats.t.interval(0.95, count - 1, np.mean(values), stats.sem(values))
    interval = MeanInterval.of(values)
    assert (interval.mean - interval.half, interval.mean + interval.half) == pytest.approx((low, high), rel=1e-12)
    assert interval.count == count


def test_a_single_value_has_no_interval():
    interval = MeanInterval.of(np.array([2.0]))
    assert np.isnan(interval.half)
    assert interval.text(2) == "2.00"
    assert interval.verdict == "no significant difference"


@pytest.mark.parametrize("shift", [-0.5, -0.02, 0.0, 0.02, 0.5])
def test_the_verdict_is_that_of_a_t_test(shift):
    values = shift + NOISE
    significant = stats.ttest_1samp(values, 0.0).pvalue < 0.05
    expected = ("significantly better" if shift < 0 else "significantly worse") if significant else None
    assert MeanInterval.of(values).verdict == (expected or "no significant difference")


def test_means_are_over_the_seeds_that_have_the_metric(table):
    assert mean_interval(table, "a", "nll") == MeanInterval.of(2.0 + NOISE)
    nothing = mean_interval(table, "c", "nll")
    assert nothing.count == 0
    assert np.isnan([nothing.mean, nothing.half]).all()
    assert nothing.verdict == "no significant difference"


def test_differences_are_paired_by_seed(table):
    one, two = paired_values(table, "a", "b", "nll")
    assert len(one) == len(two) == 4
    low, high = stats.ttest_rel(one, two).confidence_interval(0.95)
    difference = paired_difference(table, "a", "b", "nll")
    assert difference is not None
    assert (difference.mean - difference.half, difference.mean + difference.half) == pytest.approx((low, high))
    assert paired_difference(table, "a", "c", "nll") is None


def test_the_gap_runs_from_the_marginal_to_the_oracle():
    assert [gap_closed(value, 2.5, 1.5) for value in (2.5, 2.0, 1.5, 3.0)] == [0.0, 0.5, 1.0, -0.5]
    with pytest.raises(ZeroDivisionError):
        gap_closed(1.0, 2.0, 2.0)


def test_standard_errors_are_over_finite_values():
    values = np.array([1.0, np.nan, 2.0, 4.0])
    assert mean_and_error(values) == pytest.approx((7 / 3, stats.sem([1.0, 2.0, 4.0])))
    assert mean_and_error(np.array([1.0])) == (1.0, np.inf)
    assert np.isnan(mean_and_error(np.array([np.nan]))[0])


def test_examples():
    assert doctest.testmod(statistics).failed == 0
