"""The generated tables: docs/results.md and the README agree with the results, and the results with their rows."""

import importlib.util
import json
import re
import shutil
import sys
from pathlib import Path

import polars as pl
import pytest

from experiments.reproduce import TABLES
from sbp_jax.errors import InputError
from sbp_jax.evaluation.statistics import mean_interval

HOME = Path(__file__).parents[1]
RESULTS = HOME / "experiments/results"
HEADLINES = sorted((RESULTS / "reproduce").glob("*/*.json"))
PAGE, README = "docs/results.md", "README.md"

_spec = importlib.util.spec_from_file_location("results_page", HOME / "scripts" / "results_page.py")
assert _spec is not None
assert _spec.loader is not None
results_page = sys.modules["results_page"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(results_page)


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """Both files and their results, to be changed, in the working folder."""
    for file in [HOME / PAGE, HOME / README, RESULTS / "demo/summary.json", *HEADLINES]:
        to = tmp_path / file.relative_to(HOME)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, to)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def changed(file, *keys, value):
    content = inner = json.loads(file.read_text())
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    file.write_text(json.dumps(content))


def test_both_files_agree_with_the_results(monkeypatch):
    monkeypatch.chdir(HOME)
    results_page.command(["--check"])


def test_the_tables_are_those_that_are_made():
    assert tuple(TABLES) == results_page.TABLES


def test_the_readme_has_eight_rows_with_losses():
    table = results_page.headlines(RESULTS, HOME)[0].splitlines()[2:]
    assert len(table) <= 8
    assert sum(row.endswith("worse |") for row in table) >= 2


@pytest.mark.parametrize("file", HEADLINES, ids=lambda file: file.stem)
def test_no_wording_of_saved_results_is_left(file):
    words = r"\b(told|rival|law|anew|judged|trainings)\b"
    text = "\n".join(results_page.published({"page.md": json.loads(file.read_text())}))
    assert not re.findall(words, text)


@pytest.mark.parametrize("file", HEADLINES, ids=lambda file: file.stem)
def test_a_headline_says_what_the_rows_give(file):
    parts = json.loads(file.read_text())["parts"]
    for number, part in enumerate(parts, start=1):
        rows = file.with_name(f"{file.stem}.parquet" if len(parts) == 1 else f"{file.stem}-{number}.parquet")
        table = pl.read_parquet(rows)
        if "can" in table.columns:  # a table of answers, no figures
            counts = table.group_by("method", maintain_order=True).agg(pl.col("can").sum())
            assert ", ".join(f"{method} {can}" for method, can in counts.iter_rows()) in part["sentences"][0]
            continue
        if "rating" in table.columns:  # correlations, most with an interval
            known = {f"{value:.3f}" for value in table["value"]}
            if "low" in table.columns:
                rows = table.select("value", "low", "high").iter_rows()
                known = {f"{value:.3f} ({low:.3f} to {high:.3f})" for value, low, high in rows}
            assert {cell for row in part["rows"] for cell in row[1:]} <= known
            continue
        names = [name for name, kind in table.schema.items() if kind.is_float()]
        known = {
            mean_interval(own, arm, name).text(digits)
            for arm in table["arm"].unique()
            for own in [table.filter(pl.col("arm") == arm)]
            for name in names
            if not own[name].is_null().all()
            for digits in (2, 3, 4)
        }
        ours = {row[1] for row in part["rows"] if re.fullmatch(r"-?\d+\.\d+( ± \d+\.\d+)?", row[1])}
        assert ours <= known


def test_a_changed_number_is_found_and_written(copied):
    results_page.command(["--check"])
    changed(copied / "experiments/results/demo/summary.json", "models", "sbp", "nll", value=2.5)
    with pytest.raises(InputError, match=r"^docs/results.md: differs from experiments/results; python scripts/"):
        results_page.command(["--check"])
    assert "| SBP network | 2.5000 |" not in Path(PAGE).read_text()
    results_page.command([])
    assert "| SBP network | 2.5000 |" in Path(PAGE).read_text()
    results_page.command(["--check"])
    changed(copied / HEADLINES[0].relative_to(HOME), "parts", 0, "sentences", value=["All is well."])
    with pytest.raises(InputError, match=r"^docs/results.md: differs from"):
        results_page.command(["--check"])


def test_a_changed_headline_is_found_and_written(copied):
    file = copied / "experiments/results/reproduce/mae/mae.json"
    row = json.loads(file.read_text())["parts"][0]["rows"][1]
    assert f"| {row[0]} | {row[1]} |" in Path(README).read_text()
    changed(file, "parts", 0, "rows", 1, value=[row[0], "9.99", *row[2:]])
    results_page.command([])
    assert f"| {row[0]} | 9.99 |" in Path(README).read_text()
    shutil.copy(HOME / README, README)
    with pytest.raises(InputError, match=r"^README.md: differs from"):
        results_page.command(["--check"])


@pytest.mark.parametrize("name", [PAGE, README])
def test_only_what_is_between_the_marks_changes(copied, name):
    before = Path(name).read_text()
    changed(copied / "experiments/results/demo/summary.json", "plays", "test", value=12_345)
    changed(copied / "experiments/results/demo/summary.json", "crps_gap_closed", "sbp", value=0.11)
    results_page.command([])
    after = Path(name).read_text()
    assert before != after
    assert "12,345 simulated test plays" in Path(PAGE).read_text()
    assert before.split(results_page.BEGIN)[0] == after.split(results_page.BEGIN)[0]
    assert before.split(results_page.END)[1] == after.split(results_page.END)[1]


def test_tables_of_one_header_are_one_and_none_is_needed(copied):
    part = {
        "title": "One",
        "header": ["figure", "SBP"],
        "rows": [["CRPS", "1.0"]],
        "sentences": ["So."],
        "notes": ["N."],
    }
    none = {**part, "header": [], "rows": []}
    folder = copied / "experiments/results/reproduce"
    shutil.rmtree(folder)
    results_page.command([])
    assert "## Published tables" not in Path(PAGE).read_text()
    assert "| data | metric |" not in Path(README).read_text()
    page = "../experiments/results/reproduce/pp/pp.md"
    for name, parts in (
        ("pp", [part, {**part, "title": "Two"}]),
        ("scale", [{**part, "header": ["plays", "SBP"]}, none]),
    ):
        (folder / name).mkdir(parents=True)
        table = {"title": name.upper(), "command": f"make {name}", "date": "2026-01-02", "parts": parts}
        (folder / name / f"{name}.json").write_text(json.dumps(table))
    results_page.command([])
    text = Path(PAGE).read_text()
    assert f"| [One]({page}) | CRPS | 1.0 |\n| [Two]({page}) | CRPS | 1.0 |" in text
    assert text.count("| table | metric | SBP |") == text.count("| table | plays | SBP |") == 1
    assert "| table |\n" not in text
    assert f"- [PP]({page}): `make pp`, 2026-01-02. So. So. N.\n- [SCALE](" in text


def test_damage_is_one_line(copied):
    Path(PAGE).write_text("# without marks\n")
    with pytest.raises(InputError, match=r"^docs/results.md: expected one <!-- results: begin --> and after it one"):
        results_page.command([])
    shutil.copy(HOME / PAGE, PAGE)
    summary = copied / "experiments/results/demo/summary.json"
    (copied / HEADLINES[0].relative_to(HOME)).write_text('{"title": "T"}')
    with pytest.raises(InputError, match=rf"{HEADLINES[0].name}: has no 'parts'; regenerate the table"):
        results_page.command([])
    winning = copied / "experiments/results/reproduce/winning/winning.json"
    shutil.copy(HEADLINES[0], copied / HEADLINES[0].relative_to(HOME))
    changed(winning, "parts", 0, "sentences", value=["All is well."])
    with pytest.raises(InputError, match=r"winning.json: no sentence on the playoffs of 2019; regenerate the table"):
        results_page.command([])
    summary.write_text("{}")
    with pytest.raises(InputError, match=r"summary.json: has no 'plays'; scripts/demo writes it again"):
        results_page.command([])
    summary.write_text("{")
    with pytest.raises(InputError, match=r"summary.json: expected JSON, "):
        results_page.command([])
