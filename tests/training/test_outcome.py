"""Predicted outcomes: latent distributions are rounded and bounded like the outcomes."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from sbp_jax.config import DataConfig, SeriesConfig
from sbp_jax.distributions import Censored, Normal, Quantized
from sbp_jax.training.outcome import Outcome
from tests.plays import random_plays

pytestmark = pytest.mark.unoptimized


def with_goal(plays, yards):
    return replace(plays, info=plays.info | {"yards_to_goal": np.asarray(yards, np.float32)})


def test_yards_are_rounded_and_end_at_the_goal_line():
    plays = with_goal(random_plays(4), [3, 12, -1, 40])
    outcome = Outcome.of(DataConfig(), integer=True)
    latent = Normal(jnp.array([0.0, 5.0, -3.0, 2.0]), 3.0)
    dist = outcome.distribution(latent, plays)
    y = jnp.array([3.0, 12.0, 30.0, 1.0])
    within = latent.interval_log_prob(y - 0.5, y + 0.5)
    beyond = latent.log_survival_function(y - 0.5)
    at_goal = np.array([True, True, False, False])
    np.testing.assert_allclose(dist.log_prob(y), np.where(at_goal, beyond, within), rtol=1e-5)
    np.testing.assert_array_equal(dist.cdf(y)[at_goal], 1.0)
    assert dist.isf(1e-6).tolist()[:2] == [3.0, 12.0]
    np.testing.assert_array_equal(outcome.upper_bound(plays), [3, 12, np.inf, 40])


def test_what_is_observed_depends_on_the_outcome():
    latent = Normal(jnp.zeros(4), 1.0)
    plays = random_plays(4)
    for data, integer, expected in (
        (DataConfig(), True, Censored),
        (DataConfig(outcome="net_yards"), False, Censored),
        (DataConfig(outcome="air_yards"), True, Quantized),
        (DataConfig(outcome="epa"), False, Normal),
        (SeriesConfig(path=("x.csv",), value="yards"), True, Quantized),
    ):
        assert type(Outcome.of(data, integer).distribution(latent, plays)) is expected


def test_a_gain_beyond_the_goal_line_ends_there():
    plays = with_goal(random_plays(3), [5, -1, 80])
    plays = replace(plays, outcome=np.array([7, 7, 7], np.float32))
    np.testing.assert_array_equal(Outcome.of(DataConfig(), integer=True).bounded(plays), [5, 7, 7])
    np.testing.assert_array_equal(Outcome.of(DataConfig(outcome="epa"), integer=False).bounded(plays), [7, 7, 7])


def test_plays_without_a_goal_line_warn():
    plays = replace(random_plays(3), info={})
    outcome = Outcome.of(DataConfig(), integer=True)
    with pytest.warns(UserWarning, match="no column yards_to_goal .* not bounded by the goal line"):
        dist = outcome.distribution(Normal(jnp.zeros(3), 1.0), plays)
    assert type(dist) is Quantized


def test_every_frame_has_the_bound_and_the_unit_of_its_play():
    latent = Normal(jnp.zeros((2, 5)), jnp.full((2, 5), 3.0))
    plays = with_goal(random_plays(2), [3, 12])
    bounded = Outcome.of(DataConfig(), integer=True).distribution(latent, plays)
    np.testing.assert_array_equal(bounded.icdf(1.0), [[3.0] * 5, [12.0] * 5])
    windows = replace(plays, info={"location": np.array([10.0, -20.0]), "scale": np.array([2.0, 0.5])})
    scaled = Outcome.of(SeriesConfig(path=("x.csv",)), integer=False).distribution(latent, windows)
    np.testing.assert_allclose(scaled.mean(), [[10.0] * 5, [-20.0] * 5])
    np.testing.assert_allclose(scaled.std(), [[6.0] * 5, [1.5] * 5], rtol=1e-6)
