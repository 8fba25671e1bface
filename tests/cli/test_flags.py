"""Command lines: fields reach the configuration, and a mistake is one line and exit code 2."""

import subprocess
import sys

import pytest

from sbp_jax import configs
from sbp_jax.cli import demo, flags, score, train
from sbp_jax.errors import InputError


def test_flags_change_the_named_configuration():
    words = ["demo", "--optimizer.learning-rate", "3e-4", "--head.tail-mass", "0.1", "0.02", "--data.source", "a", "b"]
    name, config = flags.parse_config(words, "train")
    assert name == "demo"
    assert config.optimizer.learning_rate == 3e-4
    assert config.head.tail_mass == (0.1, 0.02)
    assert config.data.source == ("a", "b")
    assert config.network == configs.get("demo").network


def test_no_flags_give_the_defaults():
    assert flags.parse(demo.Options, [], "scripts/demo") == demo.Options()
    assert flags.parse_config(["demo"], "train") == ("demo", configs.get("demo"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected a configuration first; known: ablation, demo"),
        (["nosuch"], "unknown configuration 'nosuch'; known: ablation, demo"),
        (["demo", "--optimizer.lerning-rate", "1"], "did you mean --optimizer.learning-rate"),
        (["demo", "--frobnicate"], "unknown argument '--frobnicate'; --help lists"),
        (["demo", "--optimizer.learning-rate", "fast"], "--optimizer.learning-rate: could not convert"),
        (["demo", "--head.kind", "cauchy"], r"'cauchy'.*'sbp'"),
        (["demo", "--head.tail-mass", "0.1"], "--head.tail-mass"),
        (["demo", "extra"], "'extra'"),
        (["demo", "--data.source"], "--data.source: expected a value"),
        (["demo", "--data.source", "--training.epochs", "2"], "--data.source: expected a value"),
        (["demo", "--data.extras", "speed"], r"extras: unknown 'speed'; known: receiver_[a-z_, ]*, time_since_snap_s$"),
        (["demo", "--data.extras", "time_since_snap_s", "time_since_snap_s"], "time_since_snap_s is named 2 times"),
    ],
)
def test_mistake_is_one_line(words, message):
    with pytest.raises(InputError, match=message) as caught:
        flags.parse_config(words, "train")
    assert "\n" not in str(caught.value)
    assert "─" not in str(caught.value)


@pytest.mark.parametrize(
    ("command", "words", "message"),
    [
        (train.command, ["demo", "--head.bins", "1"], "head: expected at least 2 bins"),
        (train.command, ["demo", "--data.source", "/no/such/folder"], "/no/such/folder"),
        (score.command, ["/no/such/run"], "/no/such/run: expected a run's folder"),
        (demo.command, ["--data", "/no/such/folder"], "/no/such/folder"),
        (demo.command, ["--dta", "x"], "did you mean --data"),
        (demo.command, ["--data"], "--data: expected a value"),
        (train.command, ["smoke", "--network.dropout", "1.5"], "network.dropout: expected a share"),
        (train.command, ["smoke", "--training.epochs", "0"], "training.epochs: expected a positive number"),
        (train.command, ["smoke", "--optimizer.learning-rate", "nan"], "optimizer.learning-rate: expected a positive"),
        (train.command, ["smoke", "--training.seed", "-1"], "training.seed: expected a whole number"),
        (train.command, ["smoke", "--data.no-tracking"], "network.encoder: attention presumes tracking, and data.t"),
        (
            train.command,
            ["smoke", "--data.no-tracking", "--network.encoder", "none"],
            "data.source: expected lists of plays, got none (simulated plays always have tracking)",
        ),
    ],
)
def test_wrong_argument_is_named(command, words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        command(words)


def test_exit_code_is_2_with_one_line_and_no_traceback(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "experiments.train", "nosuch"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2
    assert done.stderr == "error: unknown configuration 'nosuch'; known: " + ", ".join(configs.names()) + "\n"
    assert done.stdout == ""
