"""What an import loads and needs: jax alone for the distributions, nothing that only POSIX has, no extra."""

import json
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
POSIX = ("fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty")
POSIX_ATTRIBUTES = (
    *("O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "fchmod", "fork", "geteuid", "getpgid", "getuid", "killpg", "mkfifo"),
    *("posix_fallocate", "pread", "pwrite", "sched_getaffinity", "setsid", "sysconf", "uname"),
)
# packages of extras, less those that the core loads too (rich by flax, pydantic) or looks for itself (torch by scipy)
EXTRAS = ("apache_beam", "fastapi", "gluonts", "grain", "libspot", "matplotlib", "mpmath", "numpyro", "plotly")
EXTRAS = (*EXTRAS, "prometheus_client", "ray", "tensorboardX", "uvicorn", "websockets", "xgboost")

ALL = """
import importlib, json, pkgutil, sys

def names():
    import sbp_jax
    found = pkgutil.walk_packages(sbp_jax.__path__, "sbp_jax.", onerror=lambda name: None)
    return ["sbp_jax", *(module.name for module in found if not module.name.endswith("__main__"))]

def load_all():
    errors = {}
    for name in names():
        try:
            importlib.import_module(name)
        except (ImportError, ValueError) as error:
            errors[name] = str(error)
    return errors

def block(names):
    for name in names:
        sys.modules[name] = None
"""
WITHOUT_POSIX = f"""{ALL}
import os, signal
errors = load_all()  # and with them all that others' packages load, which may need what POSIX has
for name in [name for name in sys.modules if name.partition(".")[0] == "sbp_jax"]:
    del sys.modules[name]
for name in {POSIX_ATTRIBUTES!r}:
    delattr(os, name)
for name in ("SIGALRM", "SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2"):
    delattr(signal, name)
block({POSIX!r})
from tensorflow_datasets.core import registered
with registered.skip_registration():  # the builder is known from before
    again = load_all()
print(json.dumps([errors, again, len(names())]))
"""
WITHOUT_EXTRAS = f"""{ALL}
block({EXTRAS!r})
print(json.dumps(load_all()))
"""


def output(program: str) -> str:
    words = [sys.executable, "-c", program]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True, timeout=600).stdout


def loaded(statement: str) -> set[str]:
    """Packages outside the standard library that a statement loads."""
    names = output(f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})").split()
    return {name for name in names if not name.startswith("_")} - set(sys.stdlib_module_names)


def test_the_package_loads_nothing_and_the_distributions_load_jax():
    empty, jax = loaded("pass"), loaded("import jax, jaxtyping")
    assert loaded("import sbp_jax") - empty == {"sbp_jax"}
    assert loaded("import sbp_jax.distributions") - jax == {"sbp_jax"}
    assert {"flax", "numpyro", "optax", "polars", "scipy"}.isdisjoint(jax)


def test_no_module_needs_what_only_posix_has():
    before, after, count = json.loads(output(WITHOUT_POSIX))
    assert after == before
    assert count > 100


@pytest.mark.slow
def test_modules_that_need_an_extra_are_few():
    errors = json.loads(output(WITHOUT_EXTRAS))
    needing = {name for name in errors if not name.startswith(("sbp_jax.numpyro", "sbp_jax.service"))}
    line = "mpmath is not installed: pip install 'sbp_jax[check]'"
    assert needing
    assert {errors[name] for name in needing} == {line}, errors


def test_commands_without_an_extra_give_one_line():
    program = f"""{ALL}
block(["plotly"])
sys.argv = ["sbp", "report", "runs/none"]
from sbp_jax.cli import main
main()
"""
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert result.returncode == 2
    assert result.stderr == "error: plotly is not installed: pip install 'sbp_jax[report]'\n"


def test_every_source_is_in_a_package():
    for file in [*(ROOT / "sbp_jax").rglob("*.py"), *(ROOT / "configs").rglob("*.py")]:
        assert (file.parent / "__init__.py").is_file(), file


def pinned() -> set[str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {canonicalize_name(Requirement(line).name) for line in lines if line[:1] not in "#"}


def test_constraints_pin_all_that_extras_install():
    """Followed through the packages that are installed here."""
    wanted = [Requirement(each) for each in PROJECT["dependencies"]]
    for each in PROJECT["optional-dependencies"].values():
        wanted += map(Requirement, each)
    seen: set[tuple[str, frozenset[str]]] = set()
    names: set[str] = set()
    while wanted:
        requirement = wanted.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in seen or name == "sbp-jax":
            continue
        seen.add((name, extras))
        names.add(name)
        try:
            requires = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        for each in map(Requirement, requires):
            if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                wanted.append(each)
    assert names - pinned() == {"setuptools"} & names


@pytest.mark.parametrize("name", ["numpy", "jax", "flax", "orbax-checkpoint"])
def test_lowest_versions_are_declared(name):
    found = [each for each in map(Requirement, PROJECT["dependencies"]) if each.name == name]
    assert [each.operator for each in found[0].specifier] == [">="]
