"""The device benchmark at tiny size: every part's record, its page while incomplete, and parts that fail."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments import benchmark
from experiments.benchmarks import device, device_page, device_parts
from experiments.benchmarks.device_parts import FULL, SMOKE
from sbp_jax.runs import provenance
from tests.slow import marked

pytestmark = pytest.mark.unoptimized
ROOT = Path(__file__).parents[2]
# packages that a borrowed accelerator does not have
ABSENT = ("polars", "tensorflow_datasets", "array_record", "tyro", "tqdm", "grain", "gluonts", "beartype")

# part -> keys of its complete record
COMPLETE = {
    "likelihood": {"bins", "rows"},
    "training": {"metrics", "differences", "speed", "plays", "held_out", "epochs", "product_error"},
    "epochs": {"plays", "epochs", "seconds", "setup_s", "epoch_s", "plays_per_s", "target_s"},
    "sweep": {"members", "together_first_s", "single_first_s", "others_first_s", "rows", "ratio"},
    "live": {"platform", "latency", "export_s", "load_s", "fresh", "differences"},
    "tests": {"tests", "missing", "counts", "failed", "ended", "exit_code"},
}


def page_of(part, result, status="running"):
    """The page of one part."""
    record = {"status": status, "seconds": 1.0, "result": result, "device_peak_bytes": 2**30}
    results = {"machine": provenance.describe(), "smoke": False, "budget_s": 480.0, "words": ["device"]}
    return device_page.page(results | {"parts": {part: record}})


def environment_without(names, folder):
    """The environment of a process in which those modules cannot be imported."""
    lines = ["import sys", f"for name in {tuple(names)!r}:", "    sys.modules[name] = None"]
    (folder / "sitecustomize.py").write_text("\n".join(lines) + "\n")
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}


def call(words, environment):
    words = [sys.executable, "-m", "experiments.benchmark", "device", *words]
    return subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_every_part_has_a_share_of_the_budget_and_a_section():
    assert list(device_parts.PARTS) == list(device.SHARES) == list(device_page.SECTIONS) == list(COMPLETE)
    assert sum(device.SHARES.values()) == pytest.approx(1.0)
    assert device.BUDGET_S == 480


@pytest.mark.slow
@pytest.mark.parametrize("part", marked(COMPLETE, {"training", "epochs", "sweep", "live"}))
def test_a_part_gives_a_complete_record_and_a_page_at_every_step(part):
    texts, result = [], {}
    for step in device_parts.PARTS[part](SMOKE):
        result = json.loads(json.dumps(step))
        texts.append(page_of(part, result))
    assert COMPLETE[part] <= set(result)
    assert device_page.SECTIONS[part][0] in texts[-1]
    assert texts[-1] != texts[0]
    assert "running after 1 seconds" in texts[0]
    assert "| running | 1 | 1.00 | not counted |" in texts[-1]


@pytest.mark.slow
def test_bytes_are_those_of_every_input_and_output_once():
    *_, result = device_parts.likelihood(replace(SMOKE, rows=(64,)))
    bytes_of = {row["work"]: row["bytes"] for row in result["rows"]}
    logits, column = 64 * 20 * 4, 64 * 4
    assert bytes_of["copy of the logits"] == 2 * logits
    assert bytes_of["likelihood"] == logits + 4 * column  # shapes, scales and outcomes in, log-densities out
    assert bytes_of["likelihood and gradient"] == 2 * logits + 5 * column + 4
    (copy,) = (row for row in result["rows"] if row["work"] == "copy")
    assert copy["share_of_copy"] == pytest.approx(1.0)


def test_outcomes_of_the_training_plays_depend_on_the_plays_and_are_the_same_for_a_seed():
    plays, again, others = (device_parts.learnable(2000, 3, seed) for seed in (0, 0, 1))
    assert np.array_equal(plays.outcome, again.outcome)
    assert not np.array_equal(plays.outcome, others.outcome)
    assert plays.is_integer
    assert np.corrcoef(plays.static[:, 0], plays.outcome)[0, 1] > 0.3
    last = plays.frames.reshape(2000, 3, 22, -1)[:, -1, :, 0].sum(axis=1)
    assert np.corrcoef(last, plays.outcome)[0, 1] > 0.2


def test_tests_that_fail_and_files_that_cannot_be_imported_are_named(tmp_path):
    (tmp_path / "test_a.py").write_text(
        "import pytest\ndef test_good(): pass\ndef test_bad():\n    raise ValueError('1 | 2')\n"
        "@pytest.mark.skip\ndef test_skipped(): pass\n"
    )
    (tmp_path / "test_b.py").write_text("import no_such_module\n")
    *_, result = device_parts.tests(replace(SMOKE, tests=(str(tmp_path),)))
    assert result["counts"] == {"error": 1, "failed": 1, "passed": 1, "skipped": 1}
    reasons = {each["test"].split("/")[-1]: each["reason"] for each in result["failed"]}
    assert reasons["test_a.py::test_bad"] == "ValueError: 1 | 2"
    assert reasons["test_b.py"] == "ModuleNotFoundError: No module named 'no_such_module'"
    text = page_of("tests", result, "done")
    assert "**1 error, 1 failed, 1 passed, 1 skipped**" in text
    assert r"ValueError: 1 \| 2" in text


def test_a_report_that_is_half_written_waits(tmp_path):
    path = tmp_path / "reports.jsonl"
    line = json.dumps({"test": "a", "outcome": "failed", "reason": "x"})
    path.write_text(f"{line}\n{json.dumps({'test': 'a', 'outcome': 'error', 'reason': 'y'})}\n{line[:20]}")
    assert device_parts.read_reports(path)["counts"] == {"failed": 1}
    assert device_parts.read_reports(tmp_path / "none")["counts"] == {}


@pytest.mark.slow
def test_a_part_that_fails_is_reported_and_the_rest_runs_where_little_is_installed(tmp_path):
    out = tmp_path / "out"
    environment = environment_without([*ABSENT, "pytest"], tmp_path)
    done = call(["--smoke", "--parts", "tests", "likelihood", "--out", str(out)], environment)
    assert done.returncode == 1, done.stderr
    results, text = json.loads((out / "device.json").read_text()), (out / "device.md").read_text()
    assert results["parts"]["likelihood"]["status"] == "done"
    assert COMPLETE["likelihood"] <= set(results["parts"]["likelihood"]["result"])
    failed = results["parts"]["tests"]
    assert (failed["status"], failed["reason"]) == ("failed", "pytest is not installed here")
    assert "polars" in failed["result"]["missing"]
    assert results["machine"]["device"]
    assert "pytest is not installed here" in text
    assert "| 128: likelihood and gradient |" in text
    assert "Tiny sizes" in text
    assert text in done.stdout


@pytest.mark.slow
def test_all_parts_run_where_little_is_installed(tmp_path):
    out = tmp_path / "out"
    words = ["--smoke", "--budget-s", "3000", "--out", str(out)]
    done = call(words, environment_without(ABSENT, tmp_path))
    assert done.returncode == 0, done.stderr
    results = json.loads((out / "device.json").read_text())
    assert {part: record["status"] for part, record in results["parts"].items()} == dict.fromkeys(COMPLETE, "done")
    for part, record in results["parts"].items():
        assert COMPLETE[part] <= set(record["result"])
        assert record["host_peak_bytes"] > 0
    for row in results["parts"]["live"]["result"]["differences"]:
        assert row["largest_yards"] < 1e-3
    assert results["parts"]["tests"]["result"]["counts"]["passed"] > 5


def run(out, parts, budget_s):
    return device.run(parts, True, budget_s, out, ["device", "--smoke"])


def test_a_part_is_stopped_at_its_deadline_and_the_page_states_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(device, "MIN_S", 0.0)
    assert run(tmp_path, ["likelihood"], 0.05) == 1
    assert "stopped" in (tmp_path / "device.md").read_text()
    assert "seconds were over" in capsys.readouterr().out


def test_a_part_with_too_little_time_is_skipped_and_the_page_states_it(tmp_path):
    assert run(tmp_path, ["likelihood", "tests"], 1.0) == 1
    results = json.loads((tmp_path / "device.json").read_text())
    assert [record["status"] for record in results["parts"].values()] == ["skipped", "skipped"]
    text = (tmp_path / "device.md").read_text()
    assert "skipped: 0 of 1 seconds were left for it" in text
    assert "No part has described the machine." in text


def test_results_before_a_crash_are_kept(tmp_path, monkeypatch):
    def broken(sizes):
        yield {"tests": ["a"], "missing": []}
        raise RuntimeError("out of memory\nmore")

    monkeypatch.setitem(device_parts.PARTS, "tests", broken)
    parts = {"tests": {"status": "not started", "result": {}}}
    device.write(tmp_path, {"machine": None, "smoke": True, "budget_s": 1.0, "words": ["device"], "parts": parts})
    assert device.measure("tests", tmp_path) == 1
    results = device.read(tmp_path)
    record = results["parts"]["tests"]
    assert (record["status"], record["reason"]) == ("failed", "RuntimeError: out of memory")
    assert record["result"] == {"tests": ["a"], "missing": []}
    assert results["machine"]["python"]
    assert "failed after 0 seconds: RuntimeError: out of memory" in (tmp_path / "device.md").read_text()
    assert device._exit(-9) == "its process was ended by SIGKILL"
    assert device._exit(3) == "its process ended with exit code 3"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--budget-s", "0"], "--budget-s: expected a positive number"),
        (["--parts", "nothing"], "invalid choice: 'nothing'"),
    ],
)
def test_wrong_arguments_are_one_line(words, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        benchmark.command(["device", *words])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_help_states_that_the_page_is_made_on_an_accelerator(capsys):
    with pytest.raises(SystemExit) as stopped:
        benchmark.command(["device", "--help"])
    assert stopped.value.code == 0
    assert "made on an accelerator" in " ".join(capsys.readouterr().out.split())


def test_the_full_sizes_are_those_of_the_page():
    assert FULL.rows == (131_072, 1_048_576)
    assert (FULL.long_plays, FULL.long_epochs, FULL.members) == (50_000, 20, 16)
