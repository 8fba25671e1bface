"""An exported folder: equal to the run, with jax and NumPy alone; changed files are rejected."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sbp_jax.cli.export import command
from sbp_jax.errors import InputError
from sbp_jax.live.export import PACKAGE, export
from sbp_jax.live.exported import MANIFEST, digest_of, load
from sbp_jax.scoring import LEAGUE_PATH, League
from tests.live.runs import small_plays, small_run

pytestmark = pytest.mark.unoptimized

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run"
    League(0.1, 0.04, 0.09, 1.0, {"play": 0.9}, 100).save(path / LEAGUE_PATH)
    return small_run(path)


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "out"
    messages = []
    export(run, folder, batches=(2,), report=messages.append)
    assert messages == ["begin, 2 rows", "frame, 2 rows", "cells, 1 rows", "score, 1 rows", "play, 1 rows"]
    return folder


# run where our package cannot be imported: prints the results of a scorer from the folder, and the imported modules
OUTSIDE = """
import importlib.abc, json, sys
sys.path.insert(0, sys.argv[1])
class Nothing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("sbp_jax", "flax", "optax", "orbax", "polars", "jaxtyping", "tensorflow_datasets"):
            raise ImportError(name)
sys.meta_path.insert(0, Nothing())
import numpy as np
from {package} import load
scorer = load(sys.argv[1], batch=2)
play = np.load(sys.argv[2])
scorer.reset(play["static"], 1)
medians = [scorer.push(frame, 1).median for frame in play["frames"]]
score = scorer.finish(float(play["yards"]), 1)
print(json.dumps([medians, score.pit, score.score, score.passing_score, scorer.spec["league"]]))
"""


@pytest.mark.slow
def test_it_equals_the_run_where_only_jax_and_numpy_are(run, folder, tmp_path):
    plays = small_plays()
    table, medians = run.score(plays), np.asarray(run.unfold(plays).median())
    play = int(np.argmax(plays.lengths))
    np.savez(tmp_path / "play.npz", frames=plays.unfolded(play), static=plays.static[play], yards=plays.outcome[play])
    words = [sys.executable, "-c", OUTSIDE.replace("{package}", PACKAGE), str(folder), str(tmp_path / "play.npz")]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    values, pit, score, passing, league = json.loads(done.stdout)
    row = table.row(play, named=True)
    np.testing.assert_allclose(values, medians[play, : plays.lengths[play]], rtol=1e-5, atol=1e-4)
    assert pit == pytest.approx(row["pit"], abs=1e-5)
    assert score == pytest.approx(row["score"], rel=1e-4, abs=2e-5)
    assert league == pytest.approx([0.1, 0.9])
    assert passing == pytest.approx(
        League(0.1, 0.04, 0.09, 1.0, {"play": 0.9}).passing_score(np.array([score]), "play")[0], abs=1e-4
    )


# trains a run and exports it; prints the same results for the longest play, by the run
TRAINED = """
import dataclasses, json, sys
from pathlib import Path
import jax, numpy as np
import sbp_jax as sbp
from sbp_jax.live.export import export
from tests.live.runs import small_plays, small_run
assert str(jax.config.jax_enable_x64) == sys.argv[2]
folder, plays = Path(sys.argv[1]), small_plays(120)
config = small_run().config
config = dataclasses.replace(config, training=dataclasses.replace(config.training, epochs=2, batch_size=32))
run = sbp.train(config, plays, out=folder / "runs", progress=False)
export(run, folder / "out", batches=(2,), platforms=("cpu",))
play = int(np.argmax(plays.lengths))
np.savez(folder / "play.npz", frames=plays.unfolded(play), static=plays.static[play], yards=plays.outcome[play])
medians = np.asarray(run.unfold(plays).median())[play, : plays.lengths[play]]
row = run.score(plays).row(play, named=True)
print(json.dumps([medians.tolist(), row["pit"], row["score"]]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("wide", [True, False], ids=["exported in 64 bits", "loaded in 64 bits"])
def test_it_equals_the_run_where_the_precision_is_the_other(wide, tmp_path):
    def printed(code, words, cwd, wide):
        environment = {**os.environ, "JAX_ENABLE_X64": str(int(wide))}
        words = [sys.executable, "-c", code, *words]
        done = subprocess.run(words, capture_output=True, text=True, cwd=cwd, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    medians, pit, score = printed(TRAINED, [str(tmp_path), str(wide)], ROOT, wide)
    words = [str(tmp_path / "out"), str(tmp_path / "play.npz")]
    exported = printed(OUTSIDE.replace("{package}", PACKAGE), words, tmp_path, not wide)
    np.testing.assert_allclose(exported[0], medians, rtol=1e-5, atol=1e-4)
    assert exported[1:3] == [pytest.approx(pit, abs=1e-5), pytest.approx(score, rel=1e-4, abs=2e-5)]


@pytest.mark.slow
def test_the_manifest_lists_the_contents(folder):
    manifest = json.loads((folder / MANIFEST).read_text())
    assert set(manifest["files"]) == {
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST
    } - {str(path.relative_to(folder)) for path in folder.rglob("__pycache__/*")}
    assert {"jax", "jaxlib", "sbp_jax"} <= set(manifest["versions"])
    assert manifest["platforms"] == ["cpu", "cuda"]
    assert manifest["run"]["step"] == 7


def changed(folder, tmp_path, change):
    copy = shutil.copytree(folder, tmp_path / "copy")
    change(copy)
    return copy


def edit(name, value, digest=True):
    def change(copy):
        manifest = json.loads((copy / MANIFEST).read_text())
        manifest[name] = value(manifest[name]) if callable(value) else value
        if digest:
            manifest["sha256"] = digest_of(manifest)
        (copy / MANIFEST).write_text(json.dumps(manifest))

    return change


def flip(name):
    def change(copy):
        data = bytearray((copy / name).read_bytes())
        data[len(data) // 2] ^= 1
        (copy / name).write_bytes(data)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (flip("weights.npz"), r"weights\.npz: is not the file that was exported"),
        (flip("programs/frame_2.bin"), r"frame_2\.bin: is not the file that was exported"),
        (flip(f"{PACKAGE}/scorer.py"), r"scorer\.py: is not the file that was exported"),
        (
            lambda copy: (copy / "programs/play_1.bin").unlink(),
            r"play_1\.bin: No such file or directory; the manifest lists it",
        ),
        (lambda copy: (copy / "weights.npz").write_bytes(b""), r"weights\.npz: 0 bytes, the manifest has"),
        (lambda copy: (copy / MANIFEST).unlink(), "no such file; expected a folder of sbp export"),
        (lambda copy: (copy / MANIFEST).write_text("{"), "cannot be read as a manifest"),
        (edit("format", 99), "expected a manifest of format 1 or 2, got 99"),
        (edit("platforms", ["tpu"]), "exported for tpu; JAX computes on cpu here"),
        (edit("files", {"weights.npz": {}}), r"files: weights\.npz: expected bytes and sha256"),
        (edit("files", {"../x": {"bytes": 1, "sha256": ""}, "weights.npz": {}}), "'../x' is not inside the folder"),
        (edit("spec", None), "spec: expected a dict"),
        (
            edit("spec", lambda spec: spec | {"static": spec["static"][::-1]}, digest=False),
            "is not the manifest that was exported",
        ),
        (lambda copy: (copy / MANIFEST).write_text("[" * 100_000), "cannot be read as a manifest"),
    ],
)
def test_a_changed_file_is_rejected(folder, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        load(changed(folder, tmp_path, change), batch=2)


def test_a_batch_size_that_was_not_exported_is_rejected(folder):
    with pytest.raises(InputError, match="batch: exported for 2, not 1"):
        load(folder)


def test_a_folder_that_is_not_an_export_is_left_unchanged(run, folder, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="exists and is not an exported folder"):
        export(run, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    for given, message in (({"batches": (0,)}, "batches"), ({"platforms": ("abacus",)}, "unknown 'abacus'")):
        with pytest.raises(InputError, match=message):
            export(run, tmp_path / "new", **given)
    with pytest.raises(InputError, match="needs the packages onnx and jax2onnx"):
        export(run, tmp_path / "new", batches=(1,), platforms=("cpu",), onnx=True)
    assert not (tmp_path / "new").exists()


def test_the_command_names_a_folder_that_is_not_a_run(tmp_path):
    with pytest.raises(InputError, match="nosuch"):
        command([str(tmp_path / "nosuch"), str(tmp_path / "out")])
