"""The wheel in fresh environments outside the tree: what it holds, and that the demo runs from it."""

import json
import os
import re
import shutil
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOWEST = ("numpy", "jax", "flax", "orbax-checkpoint")
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | {"JAX_PLATFORMS": "cpu"}


def call(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, words)], cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=3000)


def done(*words: object, cwd: Path) -> str:
    result = call(*words, cwd=cwd)
    assert result.returncode == 0, f"{words}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def interpreter(version: str) -> str:
    """Path of an interpreter of a version, among those on the path and pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [shutil.which(f"python{version}"), *sorted(pyenv.glob(f"{version}.*/bin/python"))]
    for candidate in filter(None, found):
        words = [str(candidate), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        result = subprocess.run(words, capture_output=True, text=True)
        if result.returncode == 0 and result.stdout.strip() == version:
            return str(candidate)
    pytest.skip(f"Python {version} is not installed")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that neither an old build folder nor the tree itself has a part in it."""
    source, out = tmp_path_factory.mktemp("source") / "project", tmp_path_factory.mktemp("wheel")
    left_out = shutil.ignore_patterns("__pycache__", "results", "*.egg-info")
    for name in ("sbp_jax", "configs", "experiments", "scripts"):
        shutil.copytree(ROOT / name, source / name, ignore=left_out)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "constraints.txt"):
        shutil.copy(ROOT / name, source / name)
    done(interpreter("3.11"), "-m", "pip", "wheel", "--no-deps", "--wheel-dir", out, source, cwd=out)
    return next(out.glob("*.whl"))


def environment(folder: Path, version: str) -> Path:
    """A fresh environment; its folder of programs."""
    done(interpreter(version), "-m", "venv", folder, cwd=folder.parent)
    return folder / "bin"


def constraints(file: Path, without: tuple[str, ...] = (), pins: tuple[str, ...] = ()) -> Path:
    """The project's pins, less those of some packages, and others."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    kept = [line for line in lines if line[:1] not in "#" and canonicalize_name(Requirement(line).name) not in without]
    file.write_text("\n".join([*kept, *pins]) + "\n")
    return file


def install(programs: Path, extra: str, wheel: Path, pins: Path) -> None:
    requirement = f"sbp_jax{extra} @ {wheel.as_uri()}"
    done(programs / "python", "-m", "pip", "install", "--quiet", "--constraint", pins, requirement, cwd=programs)


def test_the_wheel_holds_the_library_alone(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"sbp_jax", f"sbp_jax-{wheel.name.split('-')[1]}.dist-info"}
    sources = {str(file.relative_to(ROOT)) for file in (ROOT / "sbp_jax").rglob("*.py")}
    sources |= {f"sbp_jax/{file.relative_to(ROOT)}" for file in (ROOT / "configs").rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == sources
    data = {f"sbp_jax/{file.relative_to(ROOT)}" for file in (ROOT / "configs").rglob("*.toml")}
    data |= {str(file.relative_to(ROOT)) for file in (ROOT / "sbp_jax/reporting/page").iterdir()}
    assert data
    assert data | {"sbp_jax/py.typed"} <= set(names)


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_the_demo_runs_from_the_wheel(wheel, tmp_path, version):
    programs, elsewhere = environment(tmp_path / "environment", version), tmp_path / "elsewhere"
    elsewhere.mkdir()
    pins = constraints(tmp_path / "constraints.txt")
    install(programs, "", wheel, pins)
    refused = call(programs / "sbp", "demo", "--smoke", cwd=elsewhere)
    assert refused.returncode == 2
    assert refused.stderr == "error: matplotlib is not installed: pip install 'sbp_jax[report]'\n"
    words = ("--data.plays", "250", "--training.epochs", "1")
    trained = call(programs / "sbp", "train", "smoke", *words, cwd=elsewhere)
    assert trained.returncode == 0, trained.stderr
    assert trained.stderr.count("note: no TensorBoard events are written: pip install 'sbp_jax[report]'") == 1
    install(programs, "[report]", wheel, pins)
    runs_the_demo(programs, elsewhere)
    installed = json.loads(done(programs / "python", "-m", "pip", "list", "--format=json", cwd=elsewhere))
    pinned = {canonicalize_name(Requirement(line).name) for line in pins.read_text().splitlines()}
    assert {canonicalize_name(each["name"]) for each in installed} - pinned <= {"pip", "setuptools", "sbp-jax"}


def test_the_demo_runs_with_the_lowest_versions(wheel, tmp_path):
    programs, elsewhere = environment(tmp_path / "environment", "3.11"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    least = {
        requirement.name: next(each.version for each in requirement.specifier if each.operator == ">=")
        for requirement in map(Requirement, PROJECT["dependencies"])
        if requirement.name in LOWEST
    }
    assert set(least) == set(LOWEST)
    exact = tuple(f"{name}=={version}" for name, version in least.items())
    install(programs, "[report]", wheel, constraints(tmp_path / "constraints.txt", (*LOWEST, "jaxlib"), exact))
    runs_the_demo(programs, elsewhere)
    shown = done(programs / "python", "-m", "pip", "list", "--format=freeze", cwd=elsewhere)
    for name, version in least.items():
        assert re.search(rf"^{re.escape(name)}=={re.escape(version)}(\.0)*$", shown, re.MULTILINE), shown


def runs_the_demo(programs: Path, folder: Path) -> None:
    done(programs / "sbp", "demo", "--smoke", cwd=folder)
    made = {path.name for path in (folder / "runs" / "demo").iterdir()}
    assert {"figures", "summary.json", "summary.md"} <= made, made
