"""Every kind of head can be trained on any outcome of a play, with every loss."""

from dataclasses import replace
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbp_jax.config import Config, DataConfig, HeadConfig, Kind, TrainingConfig
from sbp_jax.distributions import SplicedBinnedPareto
from sbp_jax.errors import InputError
from sbp_jax.training.build import density_jumps, make_head, make_loss
from sbp_jax.training.check import check_outcomes, with_known_objective
from sbp_jax.training.outcome import Outcome
from tests.plays import random_plays
from tests.slow import marked

pytestmark = pytest.mark.unoptimized

KINDS = get_args(Kind)
LONG = {"blended_pareto", "blended_pareto_published", "student_t", "two_tailed_hybrid_pareto"}  # to compile
YARDS = jnp.asarray([-99.0, -10.0, 0.0, 7.0, 45.0, 60.0, 99.0])


@pytest.mark.slow
@pytest.mark.parametrize("kind", marked(KINDS, LONG))
def test_no_outcome_of_a_play_is_impossible(kind):
    head = make_head(HeadConfig(kind=kind, bins=15))
    start = head.init_from_data(np.asarray([0.0, 0, 3, 5, 8, 12, 30, -4]))
    noise = np.random.default_rng(0).normal(size=(len(YARDS), head.num_outputs))
    raw = jnp.asarray(start + noise, jnp.float32)
    for objective in ("exact", "interval"):
        loss = make_loss(Config(head=HeadConfig(kind=kind), training=TrainingConfig(objective=objective)))
        value, gradient = jax.jit(jax.value_and_grad(lambda raw, loss=loss: jnp.sum(loss(head(raw), YARDS))))(raw)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() > 0


def test_touchdowns_must_be_known_to_be_censored():
    plays, config = random_plays(12), Config(training=TrainingConfig(objective="censored"))
    yards = Outcome.of(config.data, integer=True)
    check_outcomes(config, yards, plays)
    unknown = plays.info["yards_to_goal"].copy()
    unknown[[4, 7]] = -1.0
    for broken, outcome, message in (
        (replace(plays, info={}), "yards", "censored requires plays with known touchdowns"),
        (
            replace(plays, info=plays.info | {"yards_to_goal": unknown}),
            "net_yards",
            "and 2 completions .* play 4 of game 0",
        ),
        (replace(plays, outcome=plays.outcome + np.float32(0.5)), "yards", "censored requires integers"),
        (plays, "air_yards", "the goal line stops, not air_yards"),
    ):
        with pytest.raises(InputError, match=message) as error:
            check_outcomes(config, Outcome.of(DataConfig(outcome=outcome), integer=True), broken)
        assert "\n" not in str(error.value)
    incomplete = np.full(12, "I")
    check_outcomes(config, yards, replace(plays, info=plays.info | {"yards_to_goal": unknown, "result": incomplete}))


def test_the_objective_follows_from_what_the_outcomes_are():
    plays, config = random_plays(12), Config()
    yards = Outcome.of(config.data, integer=True)
    unknown = replace(plays, info=plays.info | {"yards_to_goal": np.full(12, -1, np.float32)})
    for outcome, splits, expected in (
        (yards, [plays], "censored"),
        (yards, [plays, unknown], "interval"),
        (yards, [replace(plays, info={})], "interval"),
        (Outcome.of(DataConfig(outcome="air_yards"), integer=True), [plays], "interval"),
        (Outcome.of(DataConfig(outcome="epa"), integer=False), [plays], "exact"),
        (replace(yards, integer=False), [plays], "exact"),
    ):
        assert with_known_objective(config, outcome, splits).training.objective == expected
    chosen = Config(training=TrainingConfig(objective="composite"))
    assert with_known_objective(chosen, yards, [plays]) is chosen


def test_bins_without_tails_reach_to_the_ends_of_the_support():
    head = make_head(HeadConfig(kind="binned", bins=3, low=0.0, high=20.0, support=(-50.0, 80.0)))
    assert head.edges == (-50.0, 5.0, 15.0, 80.0)
    with pytest.raises(InputError, match=r"head\.support: expected more than the bins' range"):
        make_head(HeadConfig(kind="binned", bins=3, low=0.0, high=20.0, support=(6.0, 80.0)))


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["exact", "interval", "composite"])
def test_without_threshold_gradients_an_excess_moves_no_bin(objective):
    """In a tail the loss depends on the bins through its threshold only, except for the composite's bin term."""
    head = make_head(HeadConfig(bins=15))
    raw = jnp.asarray(np.random.default_rng(1).normal(size=head.num_outputs), jnp.float32)
    y = 75.0

    def of_logits(setting):
        loss = make_loss(Config(training=TrainingConfig(objective=objective, threshold_gradient=setting)))

        def total(logits):
            dist = head(raw)
            return loss(SplicedBinnedPareto(logits, dist.edges, dist.lower, dist.upper, dist.tail_mass), jnp.asarray(y))

        return jax.jit(jax.value_and_grad(total))(raw[:15])

    (value, stopped), (same, through), (_, default) = (of_logits(setting) for setting in ("off", "on", "auto"))
    assert value == same
    np.testing.assert_array_equal(default, stopped if objective == "composite" else through)
    own = jax.grad(lambda logits: -jax.nn.log_softmax(logits)[-1])(raw[:15]) if objective == "composite" else 0.0
    np.testing.assert_allclose(stopped, np.broadcast_to(own, 15), atol=1e-6)
    assert np.abs(through - stopped).max() > 1e-3


def test_a_head_without_thresholds_cannot_stop_their_gradients():
    loss = make_loss(Config(training=TrainingConfig(objective="exact", threshold_gradient="off")))
    with pytest.raises(InputError, match="without threshold gradients needs a SplicedBinnedPareto, got Normal"):
        loss(make_head(HeadConfig(kind="gaussian"))(jnp.zeros(2)), jnp.zeros(()))


@pytest.mark.slow
def test_exact_is_the_density_where_it_has_no_jump():
    """The objective `exact` is the density itself, except for a Spliced Binned-Pareto whose density may jump."""
    y = jnp.asarray(7.0)
    for kind, parameterization, jumps in (
        ("sbp", "bounded", True),
        ("sbp", "continuous", False),
        ("gaussian", "bounded", False),
    ):
        config = Config(
            head=HeadConfig(kind=kind, bins=15, parameterization=parameterization),
            training=TrainingConfig(objective="exact"),
        )
        assert density_jumps(config.head) == jumps
        head = make_head(config.head)
        dist = head(jnp.asarray(head.init_from_data(np.asarray([0.0, 3, 5, 8, 30, -4])), jnp.float32))
        density = dist.cell_log_density(y) if jumps else dist.log_prob(y)
        assert make_loss(config)(dist, y) == -density
