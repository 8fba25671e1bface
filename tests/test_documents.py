"""README and docs: commands parse, code runs, links lead somewhere, numbers agree with the results."""

import ast
import contextlib
import dataclasses
import importlib
import importlib.util
import io
import re
import shlex
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import polars as pl
import pytest

import sbp_jax as sbp
from sbp_jax import cli, configs
from sbp_jax.cli.flags import parse, parse_named
from sbp_jax.config import Kind, SeriesConfig
from sbp_jax.distributions.heads import OBJECTIVES, PARAMETERIZATIONS
from sbp_jax.runs import grid

pytestmark = pytest.mark.unoptimized

HOME = Path(__file__).parents[1]
README = HOME / "README.md"
DOCUMENTS = [README, *sorted((HOME / "docs").rglob("*.md"))]
PAGES = pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.stem)


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def spans(page: Path) -> list[str]:
    """Inline code; line breaks inside are spaces."""
    return [" ".join(each.split()) for each in re.findall(r"`([^`]+)`", prose(page))]


def commands(page: Path) -> list[list[str]]:
    """Words of the commands in shell blocks, without variables of the environment and comments."""
    lines = "".join(blocks(page, "bash")).splitlines()
    split = [shlex.split(line, comments=True) for line in lines]
    return [words[1:] if re.fullmatch(r"[A-Z_]+=.*", words[0]) else words for words in split if words]


def check_command(words: list[str]) -> None:
    """Parse the words of a command as the command itself does; an unknown option or a bad value raises an error."""
    aliases = {"scripts/demo": "demo", "scripts/prepare_data.py": "prepare"}
    name, rest = (words[1], words[2:]) if words[0] == "sbp" else (aliases[words[0]], words[1:])
    assert name in cli.COMMANDS, words
    options = importlib.import_module(f"sbp_jax.cli.{name}").Options
    if name in ("train", "crossfit"):
        parse_named(options, rest, f"sbp {name}")
    elif name == "sweep":
        assert rest[0].endswith(".toml") or grid.read(rest[0])
        parse(options, rest[1:], f"sbp {name}")
    else:
        parse(options, rest, f"sbp {name}")


def options_of(name: str) -> set[str]:
    """Every option that a command's help text lists."""
    module = importlib.import_module(f"sbp_jax.cli.{name}")
    words = {"train": ["demo"], "crossfit": ["demo"], "sweep": []}.get(name, [])
    return help_of(module.command, [*words, "--help"])


def help_of(command, words: list[str]) -> set[str]:
    text = io.StringIO()
    with contextlib.redirect_stdout(text), pytest.raises(SystemExit):
        command(words)
    return set(re.findall(r"--[\w.-]*\w", text.getvalue()))


@pytest.fixture(scope="module")
def known() -> dict[str, set[str]]:
    listed = {name: options_of(name) for name in cli.COMMANDS}
    train = importlib.import_module("sbp_jax.cli.train")
    listed["train"] |= help_of(train.command, ["series", "--help"])
    return listed


def test_the_readme_is_short():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 250


@PAGES
def test_commands_in_blocks_parse(page):
    for words in commands(page):
        if words[0] in ("pip", "scripts/test"):
            continue
        if words[:2] == ["python", "-m"]:
            assert importlib.util.find_spec(words[2]), words
        elif words[0] == "python":
            assert (HOME / words[1]).is_file(), words
        else:
            check_command(words)


@PAGES
def test_commands_in_text_exist(page, known):
    for span in spans(page):
        words = span.split()
        if words[0] == "sbp" and len(words) > 1 and words[1] != "NAME":
            assert words[1] in known, span
            assert {w.split("=")[0] for w in words if w.startswith("--")} <= known[words[1]], span
        elif words[:2] == ["python", "-m"]:
            assert importlib.util.find_spec(words[2]), span
        elif words[0].startswith("scripts/"):
            assert (HOME / words[0]).is_file(), span


@PAGES
def test_options_in_text_exist(page, known):
    elsewhere = {"--all", "--check", "--flag", "--no-flag", "--quick", "--play-by-play", "--counts", "--team-seasons"}
    everything = set.union(*known.values()) | elsewhere
    named = {word for span in spans(page) if span.startswith("--") for word in span.split() if word.startswith("--")}
    assert named <= everything, named - everything


@PAGES
def test_links_and_pictures_exist(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not link.startswith("http"):
            path = page.parent / link.partition("#")[0]
            assert path.exists(), link


@PAGES
def test_python_names_resolve(page):
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Import):
                names = [(alias.name, None) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [(node.module, alias.name) for alias in node.names]
            else:
                continue
            for module, name in names:
                if module != "sbp_live":  # of an exported folder
                    found = importlib.import_module(str(module))
                    assert name is None or hasattr(found, name), f"{module}.{name}"
    for span in spans(page):
        for name in re.findall(r"\bsbp\.(\w+)", span):
            assert hasattr(sbp, name), span
        for name in re.findall(r"\bsbp_jax(?:\.\w+)+", span):
            module, _, last = name.rpartition(".")
            found = importlib.import_module(module)
            assert hasattr(found, last) or importlib.util.find_spec(name), span
        for name in re.findall(r"\brun\.(\w+)", span):
            assert name in {f.name for f in dataclasses.fields(sbp.Run)} or hasattr(sbp.Run, name), span
        if re.fullmatch(r"sbp_jax(/\w+)+|configs|experiments", span):
            assert (HOME / span).is_dir(), span


def test_configuration_fields_are_listed():
    text = prose(HOME / "docs" / "training.md").split("## Configuration")[1].split("## ")[0]
    config = configs.get("demo")
    sections = {name: type(getattr(config, name)) for name in ("network", "head", "optimizer", "training")}
    sections |= {"data` (plays)": type(config.data), "data` (time series)": SeriesConfig}
    for name, kind in sections.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}"))
        fields = {field.name for field in dataclasses.fields(kind)}
        named = set(re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", row.split("|")[2])))
        assert named == fields, name


def test_choices_are_listed():
    text = prose(HOME / "docs" / "distributions.md")
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.M)) == set(PARAMETERIZATIONS)
    assert set(re.findall(r"^- `(\w+)`", text, re.M)) == {"auto", *OBJECTIVES}
    kinds = prose(HOME / "docs" / "training.md")
    assert all(f"`{kind}`" in kinds for kind in get_args(Kind))
    readme = " ".join(blocks(README, "bash"))
    assert all(name in readme for name in grid.names())


def test_every_command_is_in_the_readme():
    named = {words[1] for words in commands(README) if words[0] == "sbp"} | {"demo"}  # scripts/demo
    assert named == set(cli.COMMANDS)


def test_the_distribution_of_the_readme_runs():
    (block,) = (each for each in blocks(README, "python") if "sbp.SplicedBinnedPareto" in each)
    exec(compile(block, str(README), "exec"), {})


@pytest.mark.slow
def test_the_code_of_the_readme_runs(tmp_path, monkeypatch):
    """From the regressor to the live score, in one namespace and in order, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks(README, "python"):
        exec(compile(block, str(README), "exec"), names)
    scores = names["run"].score(names["plays"])  # pyright: ignore
    assert len(scores) == len(names["plays"])  # pyright: ignore


@pytest.mark.slow
def test_the_estimators_of_the_docs_run(tmp_path, monkeypatch):
    """In one namespace and in order, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks(HOME / "docs" / "estimators.md", "python"):
        exec(compile(block, "estimators.md", "exec"), names)
    assert names["model"].features_ is not None  # pyright: ignore


@pytest.mark.slow
def test_the_forecasts_of_the_docs_run(tmp_path, monkeypatch):
    """The first two blocks, with two regions and a single epoch; the others need packages that are optional."""
    monkeypatch.chdir(tmp_path)
    hours = np.datetime64("2024-01-01T00", "us") + np.arange(400) * np.timedelta64(1, "h")
    load = 40 + 5 * np.sin(np.arange(400) / 4) + np.random.default_rng(0).standard_t(4, (2, 400))
    regions = [pl.DataFrame({"hour": hours, "load": load[i], "region": ("north", "south")[i]}) for i in range(2)]
    names: dict[str, object] = {"frame": pl.concat(regions)}
    for block in blocks(HOME / "docs" / "forecasting.md", "python")[:2]:
        exec(compile(block.replace("random_state=0", "random_state=0, max_epochs=1"), "forecasting.md", "exec"), names)
    assert names["forecast"].distribution.batch_shape == (2, 24)  # pyright: ignore
    assert 0 < names["crps"] < 20  # pyright: ignore


@pytest.mark.slow
def test_the_numpyro_model_runs():
    (block,) = blocks(HOME / "docs" / "distributions.md", "python")
    exec(compile(block, "distributions.md", "exec"), {})


@pytest.mark.slow
def test_an_objective_of_the_readme_trains_and_is_restored(tmp_path, monkeypatch):
    (block,) = (each for each in blocks(README, "python") if each.startswith("# mine.py"))
    (tmp_path / "mine.py").write_text(block)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    smoke = configs.get("smoke")
    training = dataclasses.replace(smoke.training, objective="mine:crps", epochs=1)
    config = dataclasses.replace(smoke, data=dataclasses.replace(smoke.data, plays=250), training=training)
    run = sbp.train(config, progress=False)
    with pytest.raises(sbp.InputError, match="trust=True"):
        sbp.load_run(run.path)
    assert sbp.load_run(run.path, trust=True).step == run.step


@pytest.mark.slow
def test_exported_code_and_batches_of_the_docs_run(tmp_path, monkeypatch):
    """The blocks of docs/data.md and docs/live.md, on a run and an export named as there."""
    from sbp_jax.cli.export import command as export

    monkeypatch.chdir(tmp_path)
    smoke = configs.get("smoke")
    data, training = dataclasses.replace(smoke.data, plays=250), dataclasses.replace(smoke.training, epochs=1)
    run = sbp.train(dataclasses.replace(smoke, data=data, training=training), progress=False)
    Path("RUN").symlink_to(run.path)
    export(["RUN", "OUT", "--batches", "1", "--platforms", "cpu"])
    monkeypatch.setattr("sys.path", list(sys.path))  # a block puts the export's folder on it
    for page in ("data", "live"):
        for block in blocks(HOME / "docs" / f"{page}.md", "python"):
            exec(compile(block, f"{page}.md", "exec"), {})
