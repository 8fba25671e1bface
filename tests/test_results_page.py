"""The README's results: what stands there is what the results say, and what the results say is what the rows give."""

import json
import re
import shutil
from pathlib import Path

import polars as pl
import pytest

from experiments import readme
from sbp_jax.errors import InputError
from sbp_jax.evaluation.statistics import mean_interval

HOME = Path(__file__).parents[2]
RESULTS = HOME / "experiments/results"
HEADLINES = sorted((RESULTS / "reproduce").glob("*/*.json"))
FLAGS = ["--readme", "README.md", "--results", "experiments/results"]


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A README and its results, to be changed, in the working folder."""
    shutil.copy(HOME / "README.md", tmp_path)
    for file in [RESULTS / "demo/summary.json", *HEADLINES]:
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


def test_the_readme_says_what_the_results_have(monkeypatch):
    monkeypatch.chdir(HOME)
    readme.command(["--check"])


def test_links_lead_somewhere():
    for page in re.findall(r"\]\(([^)#:]+)\)", "\n".join(readme.section(RESULTS, HOME))):
        assert (HOME / page).exists(), page


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


def test_a_changed_figure_is_found_and_written(copied, capsys):
    readme.command(["--check", *FLAGS])
    changed(copied / "experiments/results/demo/summary.json", "models", "sbp", "nll", value=2.5)
    with pytest.raises(InputError, match=r"^README.md: says other than experiments/results; python -m"):
        readme.command(["--check", *FLAGS])
    assert "| SBP network | 2.5000 |" not in (copied / "README.md").read_text()
    readme.command(FLAGS)
    assert "| SBP network | 2.5000 |" in (copied / "README.md").read_text()
    readme.command(["--check", *FLAGS])
    table = copied / HEADLINES[0].relative_to(HOME)
    changed(table, "parts", 0, "sentences", value=["All is well."])
    with pytest.raises(InputError, match=r"^README.md: says other than"):
        readme.command(["--check", *FLAGS])


def test_only_what_is_between_the_marks_changes(copied):
    before = (copied / "README.md").read_text()
    changed(copied / "experiments/results/demo/summary.json", "plays", "test", value=12_345)
    readme.command(FLAGS)
    after = (copied / "README.md").read_text()
    assert "12,345 simulated test plays" in after
    assert before.split(readme.BEGIN)[0] == after.split(readme.BEGIN)[0]
    assert before.split(readme.END)[1] == after.split(readme.END)[1]


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
    readme.command(FLAGS)
    assert "### Published tables" not in (copied / "README.md").read_text()
    for name, parts in (
        ("mae", [part, {**part, "title": "Two"}]),
        ("pp", [{**part, "header": ["plays", "SBP"]}, none]),
    ):
        (folder / name).mkdir(parents=True)
        table = {"title": name.upper(), "command": f"make {name}", "date": "2026-01-02", "parts": parts}
        (folder / name / f"{name}.json").write_text(json.dumps(table))
    readme.command(FLAGS)
    text = (copied / "README.md").read_text()
    page = "experiments/results/reproduce/mae/mae.md"
    assert f"| [One]({page}) | CRPS | 1.0 |\n| [Two]({page}) | CRPS | 1.0 |" in text
    assert text.count("| table | figure | SBP |") == text.count("| table | plays | SBP |") == 1
    assert "| table |\n" not in text
    assert f"- [MAE]({page}): `make mae`, 2026-01-02. So. So. N.\n- [PP](" in text


def test_damage_is_one_line(copied):
    (copied / "README.md").write_text("# without marks\n")
    with pytest.raises(InputError, match=r"^README.md: expected one <!-- results: begin --> and after it one"):
        readme.command(FLAGS)
    shutil.copy(HOME / "README.md", copied)
    summary = copied / "experiments/results/demo/summary.json"
    (copied / HEADLINES[0].relative_to(HOME)).write_text('{"title": "T"}')
    with pytest.raises(InputError, match=rf"{HEADLINES[0].name}: lacks 'parts'; make the table anew"):
        readme.command(FLAGS)
    summary.write_text("{}")
    with pytest.raises(InputError, match=r"summary.json: lacks 'plays'; scripts/demo writes it anew"):
        readme.command(FLAGS)
    summary.write_text("{")
    with pytest.raises(InputError, match=r"summary.json: expected JSON, "):
        readme.command(FLAGS)
