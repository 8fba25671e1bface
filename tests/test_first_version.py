"""What the first version left on disk: its runs load, predict and score the same, and its commands resume them."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from scipy.special import ndtri

import sbp_jax as sbp
from sbp_jax.data.plays import FORMER_NAMES, current_name
from sbp_jax.live.exported import load as load_exported
from sbp_jax.scoring import League, aggregate
from tests.slow import marked

pytestmark = pytest.mark.unoptimized

FIXTURES = Path(__file__).parent / "fixtures" / "first_version"  # its README.md has how every file was made
HOME = "/tmp/fixture"  # where they were made
PARTS = ("tracking", "play_by_play", "series")
RUNS = [(part, file.stem) for part in PARTS for file in sorted((FIXTURES / part / "expected").glob("*.npz"))]
FOLDS = [name for part, name in RUNS if not (FIXTURES / part / "trained" / f"{name}.tar.xz").is_file()]
FAST = [("play_by_play", "sbp-f7d2c438")]  # resumed by the fast tests
PREDICTED = [("play_by_play", "sbp-59b25ba0")]  # by the fast tests
ONE = "sbp-7ecde077"  # kept with one checkpoint: the others have two
RESUMED = [(part, name) for part, name in RUNS if name not in (*FOLDS, ONE)]


def unpack(folder: Path, part: str) -> Path:
    """The working folder of a part as its commands left it; what the runs say of where it is follows."""
    folder = folder / part
    shutil.copytree(FIXTURES / part, folder, ignore=shutil.ignore_patterns("*.tar.xz", "expected", "trained"))
    for packed in sorted((FIXTURES / part).rglob("*.tar.xz")):
        with tarfile.open(packed) as archive:
            archive.extractall(folder, filter="data")
    for config in (folder / "runs").rglob("config.json"):
        config.write_text(config.read_text().replace(f'"{HOME}/{part}', f'"{folder}'))
    return folder


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Working folders by part, for tests that change nothing in them."""
    folder = tmp_path_factory.mktemp("first_version")
    return {part: unpack(folder, part) for part in PARTS}


def folders(folder: Path) -> list[Path]:
    """All runs of a working folder, those of folds too."""
    return sorted(config.parent for config in (folder / "runs").rglob("config.json"))


def find(folder: Path, name: str) -> Path:
    (run,) = (path for path in folders(folder) if path.name == name)
    return run


def expected(part: str, name: str) -> dict[str, np.ndarray]:
    with np.load(FIXTURES / part / "expected" / f"{name}.npz") as arrays:
        return dict(arrays)


def dataset(folder: Path) -> Path:
    """The prepared plays of a part; of series the folder of their files."""
    return next(folder.glob("runs/data/prepared-*"), folder)


def close(found, wanted, rtol=2e-4, atol=1e-4):
    np.testing.assert_allclose(np.asarray(found, float), np.asarray(wanted, float), rtol=rtol, atol=atol)


def call(folder: Path, *words: str) -> None:
    """Run a command of the project in a working folder."""
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, cwd=folder, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr


def predictions(run, plays, want) -> dict[str, np.ndarray]:
    """Predict as the first version did, without rounding and bounds."""
    predicted, outcome = run.predict_latent(plays), jnp.asarray(plays.outcome)
    return {
        "icdf": np.stack([np.asarray(predicted.icdf(float(level))) for level in want["levels"]], -1),
        "log_prob": np.asarray(predicted.log_prob(outcome)),
        "cdf": np.asarray(predicted.cdf(outcome)),
    }


@pytest.fixture(scope="module")
def loaded(parts):
    """Runs by part and name with their test plays, each loaded once."""
    kept = {}

    def load(part, name):
        if (part, name) not in kept:
            run = sbp.load_run(find(parts[part], name))
            kept[part, name] = run, run.plays("test", dataset=dataset(parts[part]))
        return kept[part, name]

    return load


@pytest.mark.sample(1)
@pytest.mark.parametrize("which", marked(RUNS, set(RUNS) - set(PREDICTED)))
def test_a_run_predicts_what_it_did(loaded, which):
    part, name = which
    run, plays = loaded(part, name)
    want = expected(part, name)
    assert run.step == int(want["step"])
    for column in ("game_id", "play_id", "yards"):
        # the first version rounded the outcomes of a series to float32
        values = getattr(plays, current_name(column)).astype(want[column].dtype)
        np.testing.assert_array_equal(values, want[column])
    found = predictions(run, plays, want)
    close(found["icdf"], want["icdf"], atol=1e-3)
    close(found["log_prob"], want["log_prob"])
    close(found["cdf"], want["cdf"])
    close(run.raw_outputs(plays)[: len(want["raw"])], want["raw"])
    for column in ("training_loss", "validation_loss"):
        close(run.metrics[column].to_numpy(), want[column])
    residuals = run.residuals(plays)
    columns = [column for column in want if column.startswith("score_")]
    assert "score_log_prob" in columns
    for column in columns:
        name = column.removeprefix("score_")
        close(residuals[current_name(name)].to_numpy(), as_observed(run, plays, name, want[column]), atol=1e-3)


def as_observed(run, plays, name: str, scores: np.ndarray) -> np.ndarray:
    """A score of the first version as it is since predictions are rounded and end at the goal line.

    It knew a touchdown, and a median beyond the line, where the run was trained on censored gains alone; medians were
    not integers.
    """
    if not run.integer:
        return scores
    goal = run.outcome.upper_bound(plays)
    goal = np.full(len(plays), np.inf) if goal is None else goal
    if name == "median":
        return rounded(scores, goal)
    if name == "residual":
        return plays.outcome - as_observed(run, plays, "median", plays.outcome - scores)
    latent, y = run.predict_latent(plays), np.asarray(plays.outcome)
    below = np.asarray(latent.cdf(y - 0.5), np.float64)
    bounded = {
        "pit_high": np.ones_like(below),
        "pit": (1 + below) / 2,
        "score": ndtri((1 + below) / 2),
        "log_prob": np.asarray(latent.log_survival_function(y - 0.5)),
    }
    return np.where(y >= goal, bounded[name], scores) if name in bounded else scores


def same_table(found: pl.DataFrame, wanted: pl.DataFrame) -> None:
    """Every column that was there is still there, with the same values; rows in the same order."""
    assert set(wanted.columns) <= set(found.columns)
    for name in wanted.columns:
        if wanted.schema[name].is_float():
            assert found[name].is_null().to_list() == wanted[name].is_null().to_list()
            close(found[name].fill_null(0), wanted[name].fill_null(0), rtol=1e-3, atol=1e-3)
        else:
            assert found[name].to_list() == wanted[name].to_list(), name


@pytest.mark.slow
@pytest.mark.parametrize(
    "scored",
    marked(
        [("tracking", "sbp-*"), ("play_by_play", "sbp-*"), ("play_by_play", "crossfit-*")],
        [("play_by_play", "sbp-*"), ("play_by_play", "crossfit-*")],
    ),
)
def test_scores_by_the_saved_league_are_the_saved_ones(parts, loaded, tmp_path, scored):
    part, name = scored
    (scores,) = (parts[part] / "runs").glob(f"*/{name}/scores")
    saved = {path.stem: pl.read_parquet(path) for path in scores.glob("*.parquet")}
    saved["plays"] = saved["plays"].rename(FORMER_NAMES, strict=False)
    league = (scores / "league.json").read_text()
    call(parts[part], "-m", "experiments.score", str(scores.parent.relative_to(parts[part])), "--out", str(tmp_path))
    assert (scores / "league.json").read_text() == league
    assert set(saved) == {"plays", "leaderboard"}
    found = {table: pl.read_parquet(tmp_path / f"{table}.parquet") for table in saved}
    scored = found["plays"]
    same_table(scored, at_the_goal_line(saved["plays"]))
    # a quarterback's plays average to a rating as they did, with the touchdowns as they are scored now
    board = aggregate(scored, ("career",), League.load(scores / "league.json"), bootstraps=0)
    rated = board.join(saved["leaderboard"].select("passer_id"), on="passer_id")
    assert len(rated) == len(saved["leaderboard"])
    found["leaderboard"] = found["leaderboard"].sort("passer_id")
    for name in ("plays", "passing_score"):
        close(found["leaderboard"][name].to_numpy(), rated.sort("passer_id")[name].to_numpy(), rtol=1e-6)
    untouched = saved["leaderboard"].select("passer_id", "plays").sort("passer_id")
    same_table(found["leaderboard"], untouched)
    if (scores.parent / "config.json").is_file():
        run, plays = loaded(part, scores.parent.name)
        both = run.score(plays).join(scored, on=["game_id", "play_id"], suffix="_saved", maintain_order="left")
        assert len(both) == len(plays)
        for column in ("pit", "score", "success_chance", "median"):
            close(both[column].to_numpy(), both[f"{column}_saved"].to_numpy(), atol=1e-3)


def at_the_goal_line(saved: pl.DataFrame) -> pl.DataFrame:
    """The first version's table of plays as they are scored now: see `as_observed`."""
    goal = pl.col("yards_to_goal").fill_null(np.inf)
    reached = pl.col("outcome") >= goal
    low = pl.col("pit_low")
    middle = (1 + low) / 2
    normal = pl.Series("normal", ndtri(saved.select(middle).to_series().to_numpy()))
    return saved.with_columns(
        median=pl.min_horizontal((pl.col("median") - 0.5 - 1e-5).ceil(), goal),
        pit=pl.when(reached).then(middle).otherwise(pl.col("pit")),
        pit_high=pl.when(reached).then(1.0).otherwise(pl.col("pit_high")),
        score=pl.when(reached).then(normal).otherwise(pl.col("score")),
    )


def same_live(scorer, plays, want) -> None:
    """A scorer gives the same summaries and score of a play as the first version."""
    i = int(want["live_play"])
    scorer.reset(plays.static[i])
    summaries = [scorer.push(frame) for frame in plays.unfolded(i)]
    names = ("median", "expected", "first_down", "touchdown", "loss")
    close([[getattr(each, name) for name in names] for each in summaries], want["live_frames"], atol=1e-3)
    close([list(each.quantiles.values()) for each in summaries], want["live_quantiles"], atol=1e-3)
    close(scorer.distribution().probability, want["live_probability"])
    score = scorer.finish(float(plays.outcome[i]))
    names = ("pit_low", "pit", "pit_high", "score", "passing_score")
    close([getattr(score, name) for name in names], want["live_score"], rtol=1e-3, atol=1e-3)


def test_an_exported_folder_gives_what_it_did(parts, loaded):
    folder = parts["tracking"] / "exported"
    name = json.loads((folder / "manifest.json").read_text())["run"]["folder"]
    same_live(load_exported(folder), loaded("tracking", name)[1], expected("tracking", name))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for part, name in RUNS if part == "tracking"])
def test_a_live_scorer_gives_what_it_did(loaded, name):
    run, plays = loaded("tracking", name)
    want = expected("tracking", name)
    goal = run.outcome.upper_bound(plays)
    median = np.asarray(run.unfold(plays).median())
    own = np.arange(median.shape[1])[None] < plays.lengths[:, None]
    close(median[own], rounded(want["unfolded"], goal[:, None])[own])
    i = int(want["live_play"])
    frames, score = want["live_frames"].copy(), want["live_score"].copy()
    frames[:, 0] = rounded(frames[:, 0], goal[i])
    quantiles = rounded(want["live_quantiles"], goal[i])
    if plays.outcome[i] >= goal[i]:
        score[1:4] = (1 + score[0]) / 2, 1.0, ndtri((1 + score[0]) / 2)
    same_live(
        sbp.LiveScorer.from_run(run),
        plays,
        want | {"live_frames": frames, "live_quantiles": quantiles, "live_score": score},
    )


def rounded(quantiles: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Quantiles of integers that end at the goal line, from those of the latent distribution."""
    return np.minimum(np.ceil(quantiles - 0.5 - 1e-5), goal)


def starts(run: Path) -> list[dict]:
    return json.loads((run / "config.json").read_text())["starts"]


def steps(run: Path) -> list[int]:
    return sorted(int(path.name) for path in (run / "checkpoints").iterdir() if path.name.isdecimal())


def state(run: Path) -> dict[str, bytes]:
    """Files of a run by name but for what any call may write."""
    files = [path for path in run.rglob("*") if path.is_file() and path.name != "lock"]
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


def check_resumed(folder: Path, part: str, names: list[str], again: bool = True) -> None:
    """The command that made runs resumes them from their older checkpoints to the same end; then it has nothing to do.

    Args:
        folder: working folder of the part.
        part: one of `PARTS`.
        names: of the runs that one command made.
        again: call it once more.
    """
    before, runs = folders(folder), [find(folder, name) for name in names]
    first = [starts(run) for run in runs]
    kept = [steps(run) for run in runs]
    for run, (_, newest) in zip(runs, kept, strict=True):
        shutil.rmtree(run / "checkpoints" / str(newest))
    command = shlex.split(first[0][0]["command"])[1:]  # without the interpreter
    if "--training.objective" not in command and part != "series":  # it was the default then
        command += ["--training.objective", "interval"]
    call(folder, *command)
    assert folders(folder) == before
    for run, name, earlier, (older, newest) in zip(runs, names, first, kept, strict=True):
        now = starts(run)
        assert now[:-1] == earlier
        assert now[-1]["step"] == older
        assert steps(run) == [older, newest]
        want, restored = expected(part, name), sbp.load_run(run)
        plays = restored.plays("test")
        found = predictions(restored, plays, want)
        # on the CPU that made them they agree to the last bit
        close(found["icdf"], want["icdf"], rtol=1e-3, atol=1e-2)
        close(found["log_prob"], want["log_prob"], rtol=1e-3, atol=1e-3)
        close(found["cdf"], want["cdf"], rtol=1e-3, atol=1e-3)
        for column in ("training_loss", "validation_loss"):
            close(restored.metrics[column].to_numpy(), want[column], rtol=1e-3)
    if not again:
        return
    done = [state(run) for run in runs]
    call(folder, *command)
    assert folders(folder) == before
    assert [state(run) for run in runs] == done


@pytest.mark.slow
@pytest.mark.parametrize("resumed", marked(RESUMED, set(RESUMED) - set(FAST)))
def test_the_command_that_made_a_run_resumes_it(tmp_path, resumed):
    part, name = resumed
    check_resumed(unpack(tmp_path, part), part, [name], again=part != "tracking")  # its compilation takes long


@pytest.mark.slow
def test_the_command_that_made_a_cross_fitting_resumes_it(tmp_path):
    check_resumed(unpack(tmp_path, "play_by_play"), "play_by_play", FOLDS)
