"""End to end on a few simulated plays: a run on disk, restored, scored, resumed, and the demo's results."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import polars as pl
import pytest

import sbp_jax as sbp
from sbp_jax.cli import compare, gradients, score, train
from sbp_jax.data.prepared.dataset import load
from sbp_jax.errors import InputError
from sbp_jax.runs import evaluate
from sbp_jax.runs.datasets import open_dataset
from sbp_jax.runs.demo import contrasting_plays
from sbp_jax.runs.record import read_events
from sbp_jax.runs.train import train_folder
from sbp_jax.training import checkpoints

pytestmark = [pytest.mark.unoptimized, pytest.mark.long]

ROOT = Path(__file__).parents[2]
WORDS = ["smoke", "--data.plays", "250", "--training.epochs", "2"]


@pytest.fixture(scope="module")
def run(run_folder):
    """The run, restored only once, because each restored network compiles its own predictions."""
    return sbp.load_run(run_folder)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """Folder of a small trained run, in a separate working directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("work"))
        train.command(WORDS)
        (folder,) = Path("runs/smoke").absolute().glob("sbp-*")
        yield folder


def test_run_leaves_its_record(run_folder):
    saved = json.loads((run_folder / "config.json").read_text())
    assert saved["config"]["data"]["plays"] == 250
    (start,) = saved["starts"]
    assert (start["step"], start["versions"]["jax"]) == (0, jax.__version__)
    assert saved["training_plays"] > 100
    metrics = pl.read_parquet(run_folder / "metrics.parquet")
    assert metrics["epoch"].to_list() == [1, 2]
    assert metrics["validation_loss"].is_finite().all()
    np.testing.assert_allclose(metrics["plays_per_s"], saved["training_plays"] / metrics["seconds"])
    assert list((run_folder / "events").glob("*tfevents*"))
    assert (
        sorted(int(p.name) for p in (run_folder / "checkpoints").iterdir() if p.name.isdigit())[-1]
        == metrics["step"][-1]
    )


def test_restored_run_predicts_and_scores(run):
    plays = run.plays("test")
    distribution = run.predict(plays)
    assert distribution.batch_shape == (len(plays),)
    table = run.score(plays)
    own = ["game_id", "play_id", "passer_id", "passer", "outcome", "median", "pit", "pit_low", "pit_high", "score"]
    own += ["success_chance"]
    assert table.columns[:11] == own
    facts = ["down", "distance", "yards_to_goal", "quarter", "clock_s", "score_difference", "week", "home"]
    facts += ["team", "result", "season", "pressure", "touchdown", "time_to_throw"]
    assert table.columns[11:] == facts
    assert table["time_to_throw"].is_between(0.4, 8).all()
    assert set(table["result"].unique()) <= {"C", "I", "IN"}
    assert table["pit"].is_between(0, 1).all()
    assert table["score"].is_finite().all()
    np.testing.assert_allclose(table["success_chance"], run.predict_latent(plays).survival_function(0.5), atol=1e-6)
    np.testing.assert_array_equal(table["outcome"].to_numpy(), plays.outcome)
    loss = -np.mean(np.asarray(distribution.log_prob(plays.outcome)))
    assert 1.5 < loss < 4.5
    residuals = run.residuals(plays)
    assert residuals.columns == [*own, "residual", "log_prob"]
    assert residuals.drop("residual", "log_prob").equals(table.select(own))
    np.testing.assert_array_equal(residuals["residual"], plays.outcome - table["median"].to_numpy())
    assert -residuals["log_prob"].mean() == pytest.approx(loss, rel=1e-5)


def test_run_knows_its_checkpoints(run, run_folder):
    assert (len(run.steps), run.step) == (2, run.steps[-1])
    first = sbp.load_run(run_folder, run.steps[0])
    assert (first.step, first.metrics["epoch"].to_list()) == (run.steps[0], [1])
    assert run.metrics.equals(pl.read_parquet(run_folder / "metrics.parquet"))
    with pytest.raises(InputError, match="no checkpoint of step 7"):
        sbp.load_run(run_folder, 7)


def test_checkpoint_that_a_training_removes_meanwhile_is_not_called_damaged(
    run_folder, run, tmp_path, monkeypatch, caplog
):
    other = tmp_path / "run"
    shutil.copytree(run_folder, other)
    older, newest = (other / "checkpoints" / str(step) for step in run.steps)
    aside = newest.rename(tmp_path / "newest")
    read_whole = checkpoints.read_arrays

    def removed(folder, expected):
        if (
            aside.exists()
        ):  # at the first read the files are gone, the folder still exists, and there is a newer checkpoint
            shutil.rmtree(older / "best")
            aside.rename(newest)
        return read_whole(folder, expected)

    monkeypatch.setattr(checkpoints, "read_arrays", removed)
    assert sbp.load_run(other).step == run.step
    assert not caplog.text


def test_run_needs_its_plays_only_where_they_are_asked_for(run_folder, run, tmp_path):
    """After its folder has moved and its data set is gone, all but `plays` works; `plays` takes the new location."""
    other = tmp_path / "run"
    shutil.copytree(run_folder, other)
    saved = json.loads((other / "config.json").read_text()) | {"dataset": str(tmp_path / "gone")}
    (other / "config.json").write_text(json.dumps(saved))
    alone = sbp.load_run(other)
    with pytest.raises(InputError, match=r"gone: the plays that .*run was trained on are not there") as error:
        alone.plays("test")
    assert "\n" not in str(error.value)
    moved = alone.plays("test", dataset=run.dataset)
    np.testing.assert_array_equal(moved.outcome, run.plays("test").outcome)
    assert alone.metrics.equals(run.metrics)
    assert alone.steps == run.steps


def test_checkpoints_name_no_device(run_folder):
    """A run trained on an accelerator is restored without one, because checkpoints contain host arrays."""
    files = [path for path in run_folder.glob("checkpoints/*/*/**/*") if path.is_file() and path.name != "0.0"]
    assert len(files) > 100
    assert not [path for path in files if b"device" in path.read_bytes() or jax.devices()[0].platform in path.name]


def test_validation_loss_of_the_restored_run_is_the_recorded_one(run):
    plays = run.plays("validation")
    loss = -np.mean(np.asarray(run.predict(plays).log_prob(plays.outcome)))
    np.testing.assert_allclose(loss, run.metrics["validation_loss"].min(), rtol=1e-5)


def test_same_command_again_finds_the_run_done(run_folder, capsys):
    files = [*run_folder.glob("*.*"), *run_folder.glob("events/*")]
    before = [path.read_bytes() for path in files]
    train.command(WORDS)
    assert capsys.readouterr().out.strip().endswith(str(run_folder.relative_to(Path.cwd())))
    assert [path.read_bytes() for path in [*run_folder.glob("*.*"), *run_folder.glob("events/*")]] == before


@pytest.mark.slow
def test_score_command_writes_its_tables(run_folder, capsys):
    score.command([str(run_folder), "--of", "held-out", "--min-plays", "2"])
    assert "| rank | passer | plays |" in capsys.readouterr().out
    plays = pl.read_csv(run_folder / "scores" / "plays.csv")
    board = pl.read_parquet(run_folder / "scores" / "leaderboard.parquet")
    assert plays.height == sum(len(load(sbp.load_run(run_folder).dataset, s)) for s in ("validation", "test"))
    assert board["passing_score"].is_sorted(descending=True)
    assert board["plays"].min() >= 2


@pytest.mark.slow
def test_a_run_is_compared_with_itself_after_its_plays_are_gone(run, run_folder, tmp_path, capsys):
    other, log_prob = tmp_path / "moved", run.residuals(run.plays("test"))["log_prob"]
    shutil.copytree(run_folder, other)
    saved = json.loads((other / "config.json").read_text()) | {"dataset": str(tmp_path / "gone")}
    (other / "config.json").write_text(json.dumps(saved))
    compare.command([str(run_folder.parent), str(other), "--out", str(tmp_path / "out")])
    text = capsys.readouterr().out
    (figures,) = (line for line in text.splitlines() if line.startswith(f"| {run_folder.name} | "))
    assert float(figures.split("|")[2]) == pytest.approx(-log_prob.mean(), abs=1e-4)
    assert f"- moved is not evaluated: {tmp_path / 'gone'}: the plays that" in text
    assert f"| training | {run_folder.name} | moved |" in text
    assert "not finished" not in text
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["compare.md", "losses.png", "pp.png"]


@pytest.mark.slow
def test_gradients_of_a_trained_network(run_folder, capsys):
    gradients.command(["--run", str(run_folder), "--plays", "1"])
    out = capsys.readouterr().out
    assert "bounded, trained network" in out
    assert " 0 beyond their bound" in out
    rows = pl.read_parquet(run_folder / "gradients" / "gradients.parquet")
    head = sbp.load_run(run_folder).model.head
    assert rows.height == 2 * (1 + head.num_outputs + 1)  # the loss and its derivatives, in both precisions
    assert rows["ratio"].max() <= 1
    with pytest.raises(InputError, match="plays: expected at least 1"):
        gradients.command(["--run", str(run_folder), "--plays", "0"])


def test_plays_with_other_static_features_are_refused(run):
    plays = run.plays("test")
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


def test_oracle_is_the_simulator_s_distribution(run_folder):
    dataset = open_dataset(sbp.load_run(run_folder).config.data)
    plays = dataset.split("test")
    dist = evaluate.oracle(dataset.truth(), plays)
    truth = dataset.truth().select(plays.game_id, plays.play_id)
    for yards in (plays.outcome, np.full(len(plays), 10.0)):
        at, below = truth.cdf(yards), truth.cdf(yards - 1)
        np.testing.assert_allclose(dist.cdf(yards), at, atol=1e-6)
        np.testing.assert_allclose(dist.cdf_left(yards), below, atol=1e-6)
        np.testing.assert_allclose(np.exp(dist.log_prob(yards)), at - below, atol=1e-6)
    assert not np.isnan(dist.crps(plays.outcome)).any()


@pytest.mark.slow
def test_six_contrasting_plays_are_six_plays(run_folder):
    dataset = open_dataset(sbp.load_run(run_folder).config.data)
    plays = dataset.split("test")
    dist = evaluate.oracle(dataset.truth(), plays)
    log_prob = np.asarray(dist.log_prob(plays.outcome))
    assert len({play for _, play in contrasting_plays(dist, log_prob)}) == 6
    assert len(contrasting_plays(dist[:2], log_prob[:2])) == 2


def test_changed_data_set_is_not_scored(run_folder, tmp_path):
    saved = json.loads((run_folder / "config.json").read_text())
    other = tmp_path / "run"
    shutil.copytree(run_folder, other)
    (other / "config.json").write_text(json.dumps({**saved, "fingerprint": "0" * 16}))
    with pytest.raises(InputError, match="its plays are not those"):
        score.command([str(other)])


def damage(run_folder, tmp_path, relative):
    other = tmp_path / run_folder.name
    shutil.copytree(run_folder, other)
    newest = max(int(p.name) for p in (other / "checkpoints").iterdir() if p.name.isdigit())
    for file in (other / "checkpoints" / str(newest)).glob(relative):
        file.write_bytes(b"{")
    return other


def test_run_with_a_damaged_checkpoint_is_restored_from_the_one_before(run_folder, tmp_path, caplog):
    other = damage(run_folder, tmp_path, "record/metadata")
    older, newest = sorted(int(p.name) for p in (other / "checkpoints").iterdir())
    assert sbp.load_run(other).step == older
    assert f"using step {older} instead" in caplog.text
    with pytest.raises(InputError, match=rf"{newest}: damaged checkpoint .*; other checkpoints: \[{older}\]"):
        sbp.load_run(other, step=newest)


@pytest.mark.slow
def test_resuming_after_a_damaged_checkpoint_starts_at_the_older_step(run_folder, tmp_path, caplog):
    other = damage(run_folder, tmp_path, "state/*/0*")
    older, _ = sorted(int(p.name) for p in (other / "checkpoints").iterdir())
    saved = sbp.load_run(run_folder)
    train_folder(saved.config, open_dataset(saved.config.data), tmp_path)
    assert f"using step {older} instead" in caplog.text
    assert [start["step"] for start in sbp.load_run(other).starts] == [0, older]
    assert (
        sbp.load_run(other).metrics.drop("seconds", "plays_per_s").equals(saved.metrics.drop("seconds", "plays_per_s"))
    )


def test_checkpoint_of_an_older_version_says_so(run_folder, tmp_path):
    other = tmp_path / "run"
    shutil.copytree(run_folder, other)
    for file in other.glob("checkpoints/*/record/metadata"):
        file.write_text(json.dumps({"history": [], "best_loss": None, "best_epoch": -1}))
    with pytest.raises(InputError, match="a checkpoint of an older sbp_jax"):
        sbp.load_run(other)


@pytest.mark.slow
def test_a_killed_process_resumes_to_the_same_numbers(run_folder, tmp_path):
    words = ["train", *WORDS, "--training.checkpoint-every", "3"]
    # at its second save: one checkpoint is complete
    killed = ["tests.killed", r"checkpoints/\d+\.orbax-checkpoint-tmp$", "3"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    metrics, events, starts = [], [], []
    for name, kills in (("uninterrupted", 0), ("killed", 2)):
        folder = tmp_path / name
        folder.mkdir()
        for program, code in [*[(killed, -signal.SIGKILL)] * kills, (["sbp_jax"], 0)]:
            command = [sys.executable, "-m", *program, *words]
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=600)
            assert done.returncode == code, done.stderr.decode()[-3000:]
        (path,) = folder.glob("runs/smoke/*/metrics.parquet")
        metrics.append(pl.read_parquet(path).drop("seconds", "plays_per_s"))
        written = (event for file in path.parent.glob("events/*") for event in read_events(file))
        events.append(sorted((event.step, value.tag) for event in written for value in event.summary.value))
        starts.append([start["step"] for start in sbp.load_run(path.parent).starts])
    assert metrics[0].equals(metrics[1])
    assert events[0] == events[1]
    assert (starts[0], len(starts[1]), starts[1][-1] > 0) == ([0], 3, True)


@pytest.mark.slow
def test_notebook_runs_on_a_run_s_folder_alone(run_folder, tmp_path):
    """Run its cells in order, in a separate process and another folder than training."""
    notebook = ROOT / "experiments" / "analysis.ipynb"
    content = json.loads(notebook.read_text())
    code = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    counted = "\nprint(len(plt.get_fignums()), 'figures')"
    cells = "\n".join("".join(cell["source"]) for cell in code) + counted
    environment = os.environ | {"RUN": str(run_folder), "MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error::UserWarning:matplotlib", "-c", cells]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("4 figures")
