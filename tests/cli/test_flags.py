"""Command lines: options reach the configuration, help lists them all, and a user error is one line, exit code 2."""

import ast
import dataclasses
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import sbp_jax
from sbp_jax import configs
from sbp_jax.cli import COMMANDS, demo, flags, prepare, replay, score, train
from sbp_jax.errors import InputError

pytestmark = pytest.mark.unoptimized

ROOT = Path(__file__).parents[2]
HEAVY = ("jax", "flax", "optax", "orbax", "polars", "scipy", "tensorflow_datasets", "matplotlib", "plotly", "rich")
# runs `sbp NAME --help`, and then prints the heavy modules that it has loaded
HELP = f"""
import sys
from sbp_jax.cli import main
try:
    main()
except SystemExit as error:
    print(error.code, [name for name in {HEAVY} if name in sys.modules])
"""


def printed(*words):
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=600, cwd=ROOT)


def parsed(words):
    name, options = flags.parse_named(train.Options, words, "sbp train")
    return name, options.config


def options_of(kind, prefix=""):
    """Yield the names of the options of a dataclass of sections."""
    for field in dataclasses.fields(kind):
        name = prefix + field.name.replace("_", "-")
        section = field.default_factory() if field.default_factory is not dataclasses.MISSING else None
        yield from options_of(type(section), name + ".") if dataclasses.is_dataclass(section) else [name]


@pytest.mark.sample(4)
@pytest.mark.parametrize("name", COMMANDS)
def test_help_lists_every_option_and_loads_nothing_heavy(name):
    done = printed("-c", HELP, name, "--help")
    assert done.stdout.endswith("0 []\n"), done.stdout[-500:] + done.stderr
    assert done.stdout.startswith(f"usage: sbp {name}")
    kind = import_module(f"sbp_jax.cli.{name}").Options
    names = [field.name for field in dataclasses.fields(kind) if field.name != "config"]
    positional = [leaf.name for leaf in flags._leaves(kind, None) if leaf.positional]
    for option in names:
        shown = option.replace("_", "-")
        if shown == "league" and name == "simulate":
            shown = "league.home-points"
        assert shown in positional or f"--{shown}" in done.stdout, option


@pytest.mark.parametrize("words", [("train",), ("train", "demo"), ("crossfit",), ("crossfit", "demo")])
def test_help_has_all_sections_of_a_configuration_of_plays(words):
    done = printed("-m", "sbp_jax", *words, "--help")
    known = list(options_of(type(configs.get("demo"))))
    assert len(known) > 40
    assert not [name for name in known if f"--{name}" not in done.stdout]
    assert "share of the games in the validation split" in " ".join(done.stdout.split())  # of the class
    assert "numeric columns of the list of plays" in " ".join(done.stdout.split())  # of the class it inherits from
    if len(words) == 1:
        for name in configs.names():
            assert f"  {name} " in done.stdout
        assert "sbp train series --help" in done.stdout


def test_help_of_series_has_the_options_of_series():
    done = printed("-m", "sbp_jax", "train", "series", "--help")
    assert "--data.lead" in done.stdout
    assert "--data.source" not in done.stdout
    assert "--distributed WHERE" in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_help_text(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")  # one column of options
    module = import_module(f"sbp_jax.cli.{name}")
    with pytest.raises(SystemExit):
        module.command(["--help"])
    text = re.sub(r"[│╭╰─╮╯]", " ", capsys.readouterr().out)
    blocks = re.split(r"^ *(?=--[a-z]|-{10,})", text, flags=re.MULTILINE)
    options = [block for block in blocks if re.match("--[a-z]", block)]
    assert len(options) > 1
    for block in options:
        assert len(re.findall(r"(?<=\s)[a-z]{2,}(?=[\s,.;:])", block.split("(default")[0])) > 1, block


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_no_empty_default(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    module = import_module(f"sbp_jax.cli.{name}")
    with pytest.raises(SystemExit):
        module.command(["--help"])
    text = re.sub(r"[│\s]+", " ", capsys.readouterr().out)
    assert not re.findall(r"\((?:default: (?:None|'')?|repeatable)\)", text)
    required = [leaf.name for leaf in flags._leaves(module.Options, None) if leaf.positional]
    assert text.count("(required)") >= len(required)
    if name == "train":  # a line of a docstring that begins with a quotation mark is no paragraph of its own
        assert 'this command: "auto" under Slurm' in text


def test_options_change_the_named_configuration():
    words = ["demo", "--optimizer.learning-rate", "3e-4", "--head.tail-mass", "0.1", "0.02", "--data.source", "a", "b"]
    name, config = parsed(words)
    assert name == "demo"
    assert config.optimizer.learning_rate == 3e-4
    assert config.head.tail_mass == (0.1, 0.02)
    assert config.data.source == ("a", "b")
    assert config.network == configs.get("demo").network
    assert parsed(["demo", "--optimizer.learning_rate=3e-4"])[1].optimizer == config.optimizer


def test_no_options_give_the_defaults():
    assert flags.parse(demo.Options, [], "sbp demo") == demo.Options()
    assert parsed(["demo"]) == ("demo", configs.get("demo"))


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--training.per-frame"], True),
        (["--training.per_frame"], True),
        (["--training.per-frame", "True"], True),
        (["--training.per-frame", "true", "--data.seed", "1"], True),
        (["--training.per-frame=True"], True),
        (["--training.per-frame", "--training.no-per-frame"], False),
        (["--training.per-frame", "--no-training.per-frame"], False),
        (["--training.per-frame", "--training.per_frame", "False"], False),
        (["--training.per-frame", "--training.per-frame=false"], False),
    ],
)
def test_forms_of_a_boolean(words, value):
    assert parsed(["demo", *words])[1].training.per_frame is value


def test_a_boolean_leaves_the_arguments_that_follow_it():
    options = flags.parse(replay.Options, ["--plain", "run", "best"], "sbp replay")
    assert (options.plain, options.run, options.play) == (True, Path("run"), "best")
    options = flags.parse(replay.Options, ["run", "--plain", "False", "best"], "sbp replay")
    assert (options.plain, options.play) == (False, "best")
    options = flags.parse(prepare.Options, ["a", "b", "--no-tracking", "--out", "c", "--strict"], "sbp prepare")
    assert (options.sources, options.tracking, options.strict) == (("a", "b"), False, True)


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
        (["dmeo"], "unknown configuration 'dmeo'; did you mean demo?"),
        (["demo", "--training.mirror", "maybe"], "--training.mirror: expected True or False, got 'maybe'"),
        (["demo", "--training.mirror=maybe"], "--training.mirror: expected True or False, got 'maybe'"),
        (["demo", "--data.source"], "--data.source: expected a value"),
        (["demo", "--data.source", "--training.epochs", "2"], "--data.source: expected a value"),
        (["demo", "--data.extras", "speed"], r"extras: unknown 'speed'; known: receiver_[a-z_, ]*, time_since_snap_s$"),
        (["demo", "--data.extras", "time_since_snap_s", "time_since_snap_s"], "time_since_snap_s is named 2 times"),
    ],
)
def test_mistake_is_one_line(words, message):
    with pytest.raises(InputError, match=message) as caught:
        parsed(words)
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
        (demo.command, ["--smoke", "maybe"], "--smoke: expected True or False, got 'maybe'"),
        (replay.command, ["run", "best", "--plain=no"], "--plain: expected True or False, got 'no'"),
        (train.command, ["smoke", "--network.dropout", "1.5"], "network.dropout: expected a share"),
        (train.command, ["smoke", "--training.epochs", "0"], "training.epochs: expected a positive number"),
        (train.command, ["smoke", "--optimizer.learning-rate", "nan"], "optimizer.learning-rate: expected a positive"),
        (train.command, ["smoke", "--training.seed", "-1"], "training.seed: expected an integer"),
        (train.command, ["smoke", "--data.no-tracking"], "network.encoder: attention requires tracking, and data.t"),
        (
            train.command,
            ["smoke", "--data.no-tracking", "--network.encoder", "none"],
            r"data.source: expected lists of plays, got none \(simulated plays always have tracking\)",
        ),
    ],
)
def test_wrong_argument_is_named(command, words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        command(words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nosuch"], f"unknown command 'nosuch'; known: {', '.join(COMMANDS)}"),
        (["trian"], "unknown command 'trian'; did you mean train?"),
        (
            ["prepare", "--source", "x", "--out", "y"],
            "unknown argument '--source'; write the sources alone, without an option before",
        ),
        (["train", "nosuch"], f"unknown configuration 'nosuch'; known: {', '.join(configs.names())}"),
        (["train", "dmeo"], "unknown configuration 'dmeo'; did you mean demo?"),
        (["sweep", "binz"], "binz: no such grid; did you mean bins?"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(words, message):
    done = printed("-m", "sbp_jax", *words)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {message}\n")


def test_the_command_alone_lists_its_commands():
    for words, code in (([], 2), (["--help"], 0), (["-h"], 0)):
        done = printed("-m", "sbp_jax", *words)
        assert (done.returncode, done.stderr) == (code, "")
        assert all(f"  {name} " in done.stdout for name in COMMANDS)


def test_earlier_names_run_the_same_commands():
    done = printed("-m", "experiments.train", "nosuch")
    assert done.returncode == 2
    assert done.stderr == "error: unknown configuration 'nosuch'; known: " + ", ".join(configs.names()) + "\n"
    assert done.stdout == ""
    done = printed("-m", "experiments.ablation", "--help")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "usage: sbp sweep GRID [-h] [OPTIONS]")


def test_no_command_imports_another():
    for file in (ROOT / "sbp_jax" / "cli").glob("*.py"):
        modules = {node.module for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)}
        assert not {f"sbp_jax.cli.{name}" for name in COMMANDS} & modules, file.name


def test_a_reader_that_stops_reading_is_no_error():
    command = f"{sys.executable} -m sbp_jax train --help | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=600, cwd=ROOT)
    assert done.stdout == "usage: sbp train CONFIG [-h] [OPTIONS]\n"
    assert done.stderr == ""


def test_version_and_public_names_are_written_once():
    assert printed("-m", "sbp_jax", "--version").stdout == f"{sbp_jax.__version__}\n"
    assert (
        '[tool.setuptools.dynamic]\nversion = { attr = "sbp_jax.__version__" }' in (ROOT / "pyproject.toml").read_text()
    )
    tree = ast.parse(Path(sbp_jax.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [
        (node.module, alias.name) for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    ]
    public = [(module, name) for module, names in sbp_jax._MODULES.items() for name in names]
    assert sorted(imports) == sorted([*public, *(("sbp_jax", name) for name in sbp_jax._SUBMODULES)])
    assert all(getattr(sbp_jax, name).__name__.rpartition(".")[2] == name for name in sbp_jax.__all__)
    assert set(sbp_jax.__all__) < set(dir(sbp_jax))
    loaded = printed("-c", f"import sys, sbp_jax; print([name for name in ('numpy', *{HEAVY}) if name in sys.modules])")
    assert loaded.stdout == "[]\n"


def test_values_of_earlier_versions_are_read():
    words = ["demo", "--data.malformed", "reject", "--training.threshold_gradient=habit", "--network.layers", "2"]
    _, options = flags.parse_named(train.Options, words, "sbp train")
    assert (options.config.data.malformed, options.config.training.threshold_gradient) == ("drop", "auto")
    with pytest.raises(InputError, match="malformed"):
        flags.parse_named(train.Options, ["demo", "--data.malformed", "refuse"], "sbp train")
