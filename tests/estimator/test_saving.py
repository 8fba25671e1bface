"""Saved estimators: equal predictions after loading, one line for anything else; nothing in a folder is executed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import sbp_jax as sbp
from sbp_jax import InputError
from sbp_jax.distributions.heads import NormalHead
from sbp_jax.estimator.heads import FAMILIES
from sbp_jax.training.checkpoints import Checkpoints, digest_of_record
from tests.estimator.fits import ROWS, features, outcomes, small
from tests.slow import marked

pytestmark = pytest.mark.unoptimized

X, Y = features(), outcomes()
CASES = ["normal", "integer", "atoms", "sequences", *FAMILIES[:1], *FAMILIES[2:]]


def fitted(case):
    """A fitted estimator and the arguments of its predictions."""
    head = case if case in FAMILIES else "normal"
    settings = {"channels": 4, "layers": 1, "head": head, "ensemble": 2 if case == "atoms" else 1}
    y = outcomes(case if case in ("integer", "atoms") else "real")
    if case == "sequences":
        frames = np.random.default_rng(0).normal(size=(ROWS, 5, 2))
        more = {"lengths": np.arange(ROWS) % 5 + 1, "static": X}
        return small(**settings).fit(frames, y, **more), y, {"X": frames, **more}
    text = np.where(X[:, 0] > 0, "high", "low")
    frame = pl.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": text, "d": [None, *X[1:, 2]]})
    codes = np.arange(ROWS) % 9 == 0
    return (
        small(**settings, bounds=[None, np.float64(1e6)] if case == "binned" else "auto", tail_mass=(0.1, 0.05)).fit(
            frame, y, censoring=codes if case == "normal" else None
        ),
        y,
        {"X": frame},
    )


@pytest.mark.parametrize("case", marked(CASES, set(CASES) - {"normal", "atoms"}))
def test_every_estimator_is_restored(case, tmp_path):
    model, y, arguments = fitted(case)
    model.save(tmp_path / "model")
    other = sbp.load(str(tmp_path / "model"))
    np.testing.assert_array_equal(other.predict(**arguments), model.predict(**arguments))
    np.testing.assert_array_equal(other.log_score(y=y, **arguments), model.log_score(y=y, **arguments))
    assert repr(other.predict_distribution(**arguments)) == repr(model.predict_distribution(**arguments))
    assert other.target_ == model.target_
    assert other.features_ == model.features_
    assert other.sequence_features_ == model.sequence_features_
    assert other.n_features_in_ == model.n_features_in_
    assert other.n_iter_ == model.n_iter_
    assert np.array_equal(getattr(other, "feature_names_in_", None), getattr(model, "feature_names_in_", None))
    assert [[row["training_loss"] for row in each] for each in other.history_] == [
        [row["training_loss"] for row in each] for each in model.history_
    ]
    assert other._trainable == model._trainable  # and so shares its compiled programs
    model.save(tmp_path / "model")  # a saved estimator is replaced
    if case == "normal":
        warm = sbp.load(tmp_path / "model").set_params(warm_start=True).fit(arguments["X"], y)
        assert warm.n_iter_ == 2 * model.n_iter_


@pytest.fixture(scope="module")
def model():
    return small().fit(X, Y)


@pytest.fixture
def folder(model, tmp_path):
    model.save(tmp_path / "model")
    return tmp_path / "model"


def one_line(call, *arguments):
    with pytest.raises(InputError) as error:
        call(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_is_no_saved_estimator_is_named(model, tmp_path):
    (tmp_path / "file").write_text("text")
    (tmp_path / "empty").mkdir()
    for name in ("missing", "file", "empty"):
        assert one_line(sbp.load, tmp_path / name) == f"{tmp_path / name}: expected the folder of a saved estimator"
    foreign = Checkpoints(tmp_path / "foreign")
    arrays = {"a": np.ones(2)}
    foreign.save(1, {"state": arrays, "best": arrays, "constants": arrays}, {"history": []})
    foreign.close()
    expected = f"{tmp_path / 'foreign'}: expected a saved estimator of format 3"
    assert one_line(sbp.load, tmp_path / "foreign").startswith(expected)


def test_a_folder_that_is_no_estimator_is_not_replaced(model, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "precious.csv").write_text("1")
    assert "expected a new folder or a saved estimator" in one_line(model.save, tmp_path / "data")
    assert (tmp_path / "data" / "precious.csv").read_text() == "1"
    (tmp_path / "file").write_text("1")
    assert "expected a new folder" in one_line(model.save, tmp_path / "file")
    (tmp_path / "empty").mkdir()
    model.save(tmp_path / "empty")
    assert "a value that can be saved as JSON" in one_line(small(head=NormalHead()).fit(X, Y).save, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_damaged_folders_are_named(folder):
    data = next(path for path in (folder / "0" / "best").rglob("*") if path.is_file() and path.name[0].isdigit())
    content = data.read_bytes()
    for broken in (content[:-1], bytes([content[0] ^ 1]) + content[1:], b""):
        data.write_bytes(broken)
        assert "damaged" in one_line(sbp.load, folder)
    data.write_bytes(content)
    record = folder / "0" / "record" / "metadata"
    text = record.read_text()
    for broken in (text.replace('"members": 1', '"members": 2').replace('"members":1', '"members":2'), text[:-5], "{}"):
        assert broken != text
        record.write_text(broken)
        assert "damaged" in one_line(sbp.load, folder)
    record.unlink()
    assert "damaged" in one_line(sbp.load, folder)


FORGED = [
    ("parameters", {"hidden": [10**9]}, "the configuration expects"),
    ("parameters", {"layers": 10**6}, "layers: expected an integer from 1 to 20"),
    ("parameters", {"head": "os:system"}, "head: expected one of"),
    ("parameters", {"unknown": 1}, "is invalid"),
    ("target", {"edges": ["a", "b"]}, "is invalid"),
    ("target", {"scale": None}, "is invalid"),
    ("features", {"columns": [{"kind": "numbers", "exec": 1}]}, "is invalid"),
    ("features", {"columns": 3}, "is invalid"),
    ("members", 10**12, "the configuration expects"),
    ("history", [], "is invalid"),
]


@pytest.mark.parametrize(("name", "change", "message"), FORGED, ids=range(len(FORGED)))
def test_forged_records_with_valid_digests_are_refused(folder, name, change, message):
    path = folder / "0" / "record" / "metadata"
    content = json.loads(path.read_text())
    del content["sha256"]
    record = content["record"]
    record[name] = record[name] | change if isinstance(change, dict) else change
    path.write_text(json.dumps({**content, "sha256": digest_of_record(content)}))
    assert message in one_line(sbp.load, folder)


def test_nothing_in_the_folder_is_code(folder):
    names = {path.suffix for path in folder.rglob("*")}
    assert not names & {".py", ".pkl", ".pickle", ".npy", ".npz", ".joblib"}
    for path in folder.rglob("*"):
        assert path.is_dir() or b"c__builtin__" not in path.read_bytes()


@pytest.mark.slow
def test_a_process_without_scikit_learn_loads_it(model, folder, tmp_path):
    np.save(tmp_path / "X.npy", X)
    code = (
        "import sys; sys.modules['sklearn'] = None; sys.modules['pandas'] = None\n"
        "import numpy as np, sbp_jax as sbp\n"
        f"model = sbp.load({str(folder)!r})\n"
        f"np.save({str(tmp_path / 'p.npy')!r}, model.predict(np.load({str(tmp_path / 'X.npy')!r})))\n"
        "print(type(model).__mro__[2].__mro__[1:], repr(model.set_params(bins=9)))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(sbp.__file__).parents[1])}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 0, result.stderr
    assert "(<class 'object'>,)" in result.stdout
    assert "bins=9" in result.stdout
    np.testing.assert_allclose(np.load(tmp_path / "p.npy"), model.predict(X), rtol=1e-6, atol=1e-6)
