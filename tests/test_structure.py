"""The structure of this project, and what its check reports for trees that break a rule."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def structure():
    spec = importlib.util.spec_from_file_location("structure", ROOT / "scripts" / "structure.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["structure"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["structure"]


@pytest.fixture
def tree(tmp_path):
    """A function that writes modules of a tree, each long enough, and returns the tree."""

    def write(files, lines=60):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            for folder in path.relative_to(tmp_path).parents[:-1]:
                (tmp_path / folder / "__init__.py").touch()
            path.write_text(text + "\n" * (lines - text.count("\n")))
        return tmp_path

    return write


def broken(structure, root):
    return structure.broken(structure.read_modules(root))


def test_this_project_keeps_every_rule(structure, capsys):
    code, printed = structure.main([]), capsys.readouterr().out
    assert code == 0, printed
    assert "every rule holds" in printed


def test_json_has_packages_and_rules(structure, tree, capsys):
    root = tree({"sbp_jax/models/a.py": "from sbp_jax.distributions import b", "sbp_jax/distributions/b.py": ""})
    assert structure.main(["--json", "--root", str(root)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["now"]["models"]["now"] == ["distributions"]
    assert printed["now"]["models"]["files"] == 2
    assert printed["broken"] == []


@pytest.mark.parametrize("form", ["from sbp_jax.models import {}", "import sbp_jax.models.{}", "from . import {}"])
def test_a_cycle_is_found(structure, tree, form):
    root = tree({"sbp_jax/models/a.py": form.format("b"), "sbp_jax/models/b.py": form.format("a")})
    (rule,) = broken(structure, root)
    assert rule.startswith("a cycle of imports: ")
    assert {"sbp_jax.models.a", "sbp_jax.models.b"} <= set(rule.replace(" ->", "").split())


@pytest.mark.parametrize(
    "late",
    [
        "def f():\n    from sbp_jax.runs import b",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import sbp_jax.runs.b",
    ],
)
def test_later_imports_are_listed_apart(structure, tree, late):
    root = tree({"sbp_jax/models/a.py": late, "sbp_jax/runs/b.py": "from sbp_jax.models import a"})
    assert broken(structure, root) == []
    row = structure.sizes(structure.read_modules(root))["models"]
    assert (row["now"], row["later"]) == ([], ["runs"])


@pytest.mark.parametrize(
    ("module", "text", "rule"),
    [
        ("sbp_jax/models/a.py", "from sbp_jax.runs import b", "models may not import runs"),
        ("sbp_jax/runs/a.py", "def f():\n    import experiments.b", "nothing in sbp_jax imports experiments"),
        ("sbp_jax/training/a.py", "from sbp_jax import configs", "imports sbp_jax.configs"),
        ("sbp_jax/reporting/a.py", "def f():\n    import jax.numpy", "which reporting does without"),
        ("sbp_jax/unknown/a.py", "from sbp_jax.runs import b", "unknown has no line in ALLOWED"),
    ],
)
def test_an_import_against_the_arrows_is_found(structure, tree, module, text, rule):
    root = tree({module: text, "sbp_jax/runs/b.py": "", "experiments/b.py": "", "configs/__init__.py": ""})
    (message,) = broken(structure, root)
    assert message.startswith(f"{module}: ")
    assert rule in message


def test_a_tiny_file_is_found_unless_it_has_a_reason(structure, tree):
    root = tree({"sbp_jax/models/tiny.py": "x = 1", "sbp_jax/training/stop.py": "x = 1"}, lines=59)
    assert broken(structure, root) == ["sbp_jax/models/tiny.py: 59 lines; merge it, or give it a reason in SMALL"]


def test_too_many_lines_of_studies_are_found(structure, tree):
    assert broken(structure, tree({"experiments/a.py": ""}, lines=7099)) == []
    (rule,) = broken(structure, tree({"experiments/a.py": ""}, lines=7100))
    assert rule == "experiments/: 7,100 lines, expected less than 7,100"


def test_deep_data_is_found(structure, tree):
    chain = {f"sbp_jax/data/readers/m{i}.py": f"from sbp_jax.data.readers import m{i + 1}" for i in range(6)}
    assert broken(structure, tree({**chain, "sbp_jax/data/readers/m5.py": ""})) == []
    (rule,) = broken(structure, tree({**chain, "sbp_jax/data/readers/m6.py": ""}))
    assert rule.startswith("sbp_jax/data, readers: 7 layers: sbp_jax.data.readers.m0 -> ")


def test_subpackages_of_data_have_layers_too(structure, tree):
    names = [f"p{i}" for i in range(7)]
    files = {f"sbp_jax/data/{name}/a.py": f"from sbp_jax.data.p{i + 1} import a" for i, name in enumerate(names[:-1])}
    (rule,) = broken(structure, tree(files | {"sbp_jax/data/p6/a.py": ""}))
    assert rule.startswith("sbp_jax/data, among subpackages: 7 layers")


def test_a_cycle_of_subpackages_of_data_is_found(structure, tree):
    files = {"a/one.py": "from sbp_jax.data.b import two", "b/two.py": "", "a/three.py": ""}
    files["b/four.py"] = "from sbp_jax.data.a import three"
    (rule,) = broken(structure, tree({f"sbp_jax/data/{name}": text for name, text in files.items()}))
    assert "a cycle of subpackages" in rule
