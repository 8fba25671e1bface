"""The whole way on a few simulated plays: a run on disk, restored, scored, resumed, and the demo's results."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import sbp_jax as sbp
from experiments import demo, score, train
from sbp_jax.data.dataset import load
from sbp_jax.errors import InputError

WORDS = ["smoke", "--data.plays", "250", "--training.epochs", "2"]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """Folder of a small trained run, in a working directory of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("work"))
        train.command(WORDS)
        (folder,) = Path("runs/smoke").absolute().glob("sbp-*")
        yield folder


def test_run_leaves_its_record(run_folder):
    saved = json.loads((run_folder / "config.json").read_text())
    assert saved["config"]["data"]["plays"] == 250
    assert saved["versions"]["jax"]
    metrics = pl.read_parquet(run_folder / "metrics.parquet")
    assert metrics["epoch"].to_list() == [1, 2]
    assert metrics["validation_loss"].is_finite().all()
    assert list((run_folder / "events").glob("*tfevents*"))
    assert (
        sorted(int(p.name) for p in (run_folder / "checkpoints").iterdir() if p.name.isdigit())[-1]
        == metrics["step"][-1]
    )


def test_restored_run_predicts_and_scores(run_folder):
    run = sbp.load_run(run_folder)
    plays = load(run.dataset, "test")
    distribution = run.predict(plays)
    assert distribution.batch_shape == (len(plays),)
    table = run.score(plays)
    assert table.columns == ["game_id", "play_id", "passer_id", "passer", "yards", "median", "pit", "score"]
    assert table["pit"].is_between(0, 1).all()
    assert table["score"].is_finite().all()
    np.testing.assert_array_equal(table["yards"].to_numpy(), plays.yards)
    loss = -np.mean(np.asarray(distribution.interval_log_prob(plays.yards - 0.5, plays.yards + 0.5)))
    assert 1.5 < loss < 4.5


def test_validation_loss_of_the_restored_run_is_the_recorded_one(run_folder):
    run = sbp.load_run(run_folder)
    plays = load(run.dataset, "validation")
    loss = -np.mean(np.asarray(run.predict(plays).interval_log_prob(plays.yards - 0.5, plays.yards + 0.5)))
    np.testing.assert_allclose(loss, run.history["validation_loss"].min(), rtol=1e-5)


def test_same_command_again_finds_the_run_done(run_folder, capsys):
    before = (run_folder / "metrics.parquet").read_bytes()
    train.command(WORDS)
    assert capsys.readouterr().out.strip().endswith(str(run_folder.relative_to(Path.cwd())))
    assert (run_folder / "metrics.parquet").read_bytes() == before


def test_score_command_writes_its_tables(run_folder, capsys):
    score.command([str(run_folder), "--split", "held-out", "--min-plays", "2"])
    assert "| rank | passer | plays |" in capsys.readouterr().out
    plays = pl.read_csv(run_folder / "scores" / "plays.csv")
    board = pl.read_parquet(run_folder / "scores" / "leaderboard.parquet")
    assert plays.height == sum(len(load(sbp.load_run(run_folder).dataset, s)) for s in ("validation", "test"))
    assert board["score"].is_sorted(descending=True)
    assert board["plays"].min() >= 2


def test_plays_with_other_static_features_are_refused(run_folder):
    run = sbp.load_run(run_folder)
    plays = load(run.dataset, "test")
    object.__setattr__(plays, "static", plays.static[:, :3])
    with pytest.raises(InputError, match="expected 16 static features, got 3"):
        run.predict(plays)


def test_folders_that_are_no_run_are_named(run_folder, tmp_path):
    with pytest.raises(InputError, match=r"there is no config\.json"):
        sbp.load_run(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.json: expected the JSON"):
        sbp.load_run(tmp_path)
    (tmp_path / "config.json").write_text((run_folder / "config.json").read_text())
    with pytest.raises(InputError, match="no checkpoint yet"):
        sbp.load_run(tmp_path)


@pytest.mark.slow
def test_killed_process_goes_on_to_the_same_numbers(run_folder, tmp_path):
    command = [sys.executable, "-m", "experiments.train", *WORDS, "--training.checkpoint-every", "3"]
    environment = {"PYTHONPATH": str(Path(train.__file__).parents[1]), "PATH": "/usr/bin:/bin"}
    metrics = []
    for name, kills in (("whole", 0), ("killed", 2)):
        folder = tmp_path / name
        folder.mkdir()
        for _ in range(kills):
            with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL) as process:
                seen = len(list(folder.glob("runs/smoke/*/checkpoints/*")))
                while process.poll() is None and len(list(folder.glob("runs/smoke/*/checkpoints/*"))) <= seen:
                    time.sleep(0.05)
                process.send_signal(signal.SIGKILL)
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, timeout=300)
        (path,) = folder.glob("runs/smoke/*/metrics.parquet")
        metrics.append(pl.read_parquet(path).drop("seconds"))
    assert metrics[0].equals(metrics[1])


@pytest.mark.slow
def test_demo_leaves_summary_and_figures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    demo.command(["--smoke"])
    summary = json.loads(Path("runs/demo/summary.json").read_text())
    assert list(summary["models"]) == ["sbp", "gaussian", "marginal", "oracle"]
    for model in summary["models"].values():
        assert set(model) == {"nll", "crps", "mae", "pp"}
        assert set(model["pp"]) == {"lower", "base", "upper", "full"}
    assert sum(summary["plays"].values()) == 900
    assert summary["models"]["oracle"]["crps"] < summary["models"]["marginal"]["crps"]
    for name in ("training", "densities", "pp", "leaderboard"):
        assert Path(f"runs/demo/figures/{name}.png").stat().st_size > 10_000
