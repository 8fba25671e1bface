"""Training as a library: plays in memory, many configurations, metrics and scores, user code."""

import dataclasses
import sys
from dataclasses import replace

import numpy as np
import pytest

import sbp_jax as sbp
from sbp_jax.errors import InputError
from sbp_jax.runs.datasets import MemoryDataset
from sbp_jax.runs.members import read_result
from tests.plays import random_plays

pytestmark = pytest.mark.unoptimized

SMALL = sbp.Config(
    network=sbp.NetworkConfig(encoder="flat", channels=4, layers=1, hidden=(8,), dropout=0.0),
    head=sbp.HeadConfig(low=-10.0, high=60.0, bins=36),
    training=sbp.TrainingConfig(epochs=2, batch_size=32, objective="interval"),
)
OWN = '''
import jax.numpy as jnp
from flax import nnx

from sbp_jax.distributions.heads import NormalHead


class Head(NormalHead):
    """A Gaussian whose unit is a third of the bins' range."""

    def __init__(self, config):
        super().__init__(unit=(config.high - config.low) / 3)


class Encoder(nnx.Module):
    """The mean of the entities that are present."""

    def __init__(self, entities, columns, *, rngs):
        self.num_features = columns

    def fit(self, frames, present):
        pass

    def __call__(self, x, present):
        there = present[..., None]
        return jnp.sum(jnp.where(there, x, 0.0), 2) / jnp.maximum(jnp.sum(there, 2), 1)


def loss(distribution, y, censored=None):
    return (distribution.mean() - y) ** 2
'''


@pytest.fixture(scope="module")
def plays():
    return random_plays(240, seed=3, longest=8, num_static=16)


@pytest.fixture(scope="module")
def run(plays, tmp_path_factory):
    return sbp.train(SMALL, plays, out=tmp_path_factory.mktemp("runs"), progress=False)


def test_plays_in_memory_are_split_by_game_and_trained_on(run, plays, capsys):
    assert run.metrics["epoch"].to_list() == [1, 2]
    assert run.metrics["validation_loss"].is_finite().all()
    assert run.predict(plays).batch_shape == (len(plays),)
    assert not capsys.readouterr().out
    with pytest.raises(InputError, match="plays-in-memory"):
        run.plays("test")


@pytest.mark.slow
def test_the_same_call_loads_what_is_done_and_other_plays_are_another_run(run, plays, capfd):
    again = sbp.train(SMALL, plays, out=run.path.parent, progress=False)
    assert again.path == run.path
    assert again.starts == run.starts  # no call trained
    capfd.readouterr()
    other = sbp.train(SMALL, plays.select(np.arange(200)), out=run.path.parent, progress=True)
    assert other.path != run.path
    out, err = capfd.readouterr()
    assert "batches: " in out
    assert "train sbp" in err


@pytest.mark.slow
def test_given_splits_are_used(plays, tmp_path):
    held_out = plays.select(plays.game_id == plays.game_id.max())
    rest = plays.select(plays.game_id != plays.game_id.max())
    run = sbp.train(SMALL, {"train": rest, "validation": held_out}, out=tmp_path, progress=False)
    assert run.config == SMALL
    for data, message in (
        ({"valid": rest}, "unknown split 'valid'; expected train, validation, test"),
        ({"test": rest}, "expected a split 'train'"),
        ([rest], "data: expected plays, a mapping from splits to plays, or a data set, got list"),
    ):
        with pytest.raises(InputError, match=message):
            sbp.train(SMALL, data, out=tmp_path, progress=False)


@pytest.mark.slow
def test_many_configurations_leave_what_each_alone_would(run, plays, tmp_path):
    configs = [replace(SMALL, training=replace(SMALL.training, seed=seed)) for seed in (0, 1)]
    trained = sbp.train_many(configs, plays, out=tmp_path, progress=False)
    assert [each.config for each in trained] == configs
    assert [each.diverged for each in trained] == [None, None]
    assert trained[0].path.name == run.path.name
    np.testing.assert_allclose(trained[0].run.metrics["validation_loss"], run.metrics["validation_loss"], rtol=1e-4)
    assert sbp.train_many(configs, plays, out=tmp_path, progress=False) == trained
    for wrong, message in (([], "at least one"), (configs[:1] * 2, "two are equal")):
        with pytest.raises(InputError, match=message):
            sbp.train_many(wrong, plays, out=tmp_path)


@pytest.mark.slow
def test_what_train_many_left_is_evaluated_by_the_first_that_asks(plays, tmp_path):
    dataset = MemoryDataset.of(plays, sbp.DataConfig())
    (trained,) = sbp.train_many([SMALL], dataset, out=tmp_path, progress=False)
    calls = []

    def evaluate(folder, data):
        calls.append((folder, data))
        return {"nll": 1.0}

    for _ in range(2):
        assert read_result(evaluate, dataset, SMALL, trained.path) == {"nll": 1.0}
    assert calls == [(trained.path, dataset)]


@pytest.mark.slow
def test_evaluate_and_score_take_plays_in_memory(run, plays):
    evaluation = sbp.evaluate(run, plays)
    residuals = run.residuals(plays)
    assert evaluation.metrics.nll == pytest.approx(-residuals["log_prob"].mean(), rel=1e-5)
    with pytest.raises(InputError, match="at least one to evaluate on"):
        sbp.evaluate(run, plays.select(np.zeros(0, np.int64)))
    scores = sbp.score(run, plays, bootstraps=0)
    assert len(scores.plays) == len(plays)
    assert scores.leaderboard["plays"].sum() == len(plays)
    assert any("plays in memory" in note for note in scores.notes)
    assert sbp.score(run.path, plays, bootstraps=0).leaderboard.equals(scores.leaderboard)  # the league was saved


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A user's own module, on the path while the test runs."""
    (tmp_path / "my_parts.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "my_parts"
    sys.modules.pop("my_parts", None)


@pytest.mark.slow
def test_head_encoder_and_objective_of_one_s_own(own, plays, tmp_path):
    config = replace(
        SMALL,
        head=replace(SMALL.head, kind=f"{own}:Head"),
        network=replace(SMALL.network, encoder=f"{own}:Encoder"),
        training=replace(SMALL.training, objective=f"{own}:loss"),
    )
    run = sbp.train(config, plays, out=tmp_path / "runs", progress=False)
    assert run.path.name.startswith("Head-")
    assert type(run.predict(plays)).__name__ == "Normal"
    sys.modules.pop(own)
    with pytest.raises(InputError, match=r"head.kind: my_parts:Head is user code; .*trust=True"):
        sbp.load_run(run.path)
    assert own not in sys.modules
    trusted = sbp.load_run(run.path, trust=True)
    np.testing.assert_array_equal(trusted.predict(plays).mean(), run.predict(plays).mean())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere:Head", "head.kind: nowhere:Head: cannot import nowhere"),
        ("my_parts:Tail", "head.kind: my_parts:Tail: my_parts has no Tail"),
    ],
)
def test_missing_code_is_reported(own, plays, tmp_path, name, message):
    with pytest.raises(InputError, match=message):
        sbp.train(replace(SMALL, head=replace(SMALL.head, kind=name)), plays, out=tmp_path, progress=False)


@pytest.mark.parametrize("kind", ["cauchy", "os.system", ":Head", "a b:Head", "module:Head.sub", ""])
def test_a_name_that_is_neither_known_nor_a_place_is_refused_when_the_configuration_is_made(kind):
    with pytest.raises(InputError, match=r"head\.kind: unknown"):
        sbp.HeadConfig(kind=kind)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sbp.TrainingConfig(epochs=0), "training.epochs: expected a positive number, got 0"),
        (lambda: sbp.OptimizerConfig(learning_rate=-1.0), "optimizer.learning-rate: expected a positive number"),
        (lambda: sbp.NetworkConfig(dropout=1.5), "network.dropout: expected a share"),
        (lambda: sbp.DataConfig(test=0.6, validation=0.5), "data.test: nothing is left to train on"),
        (lambda: sbp.SeriesConfig(test=0.6, validation=0.5), "data.test"),
        (lambda: sbp.Config(data=sbp.SeriesConfig()), "network.encoder: attention requires players"),
    ],
)
def test_a_configuration_checks_itself_when_made(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_public_names_exist():
    assert {"train", "train_many", "evaluate", "score", "load_run", "Config"} <= set(dir(sbp))
    assert dataclasses.is_dataclass(sbp.Config)
