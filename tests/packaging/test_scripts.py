"""The shared set-up of the scripts, with stand-ins for Python's venv and pip: what is installed when."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = ("pyproject.toml", "setup.py", "constraints.txt", "scripts/setup", "scripts/demo")
PYTHON = f"""#!/usr/bin/env bash
if [ "$1 $2" = "-m venv" ]; then
  echo venv >> calls
  rm -rf .venv
  mkdir -p .venv/bin
  printf '#!/usr/bin/env bash\\necho "pip ${{!#}}" >> calls\\nexit ${{FAIL:-0}}\\n' > .venv/bin/python
  printf '#!/usr/bin/env bash\\necho "sbp $*" >> calls\\n' > .venv/bin/sbp
  chmod +x .venv/bin/*
else
  exec {sys.executable} "$@"
fi
"""


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "scripts").mkdir()
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


def calls(tree, *words, code=0, **environment):
    """What a script calls, in order."""
    (tree / "calls").unlink(missing_ok=True)
    words = words or ("-c", "source scripts/setup dev")
    environment = os.environ | {"PYTHON": str(tree / "python")} | environment
    result = subprocess.run(["bash", *words], cwd=tree, env=environment, capture_output=True, text=True)
    assert result.returncode == code, result.stderr
    return (tree / "calls").read_text().splitlines() if (tree / "calls").exists() else []


def test_the_demo_installs_what_it_needs_and_the_tests_add_the_rest(tree):
    assert calls(tree, "scripts/demo", "--smoke") == ["venv", "pip .[report]", "sbp demo --smoke"]
    assert calls(tree, "scripts/demo") == ["sbp demo"]
    assert calls(tree) == ["pip .[dev]"]
    assert calls(tree) == []
    assert calls(tree, "scripts/demo") == ["sbp demo"]


def test_an_environment_for_the_tests_serves_the_demo(tree):
    assert calls(tree) == ["venv", "pip .[dev]"]
    assert calls(tree, "scripts/demo") == ["sbp demo"]


@pytest.mark.parametrize("name", FILES[:4])
def test_what_an_install_depends_on_makes_the_environment_again(tree, name):
    calls(tree)
    with (tree / name).open("a") as file:
        file.write("\n# changed\n")
    assert calls(tree) == ["venv", "pip .[dev]"]
    assert calls(tree) == []


def test_a_broken_install_is_redone(tree):
    assert calls(tree, "scripts/demo", code=3, FAIL="3") == ["venv", "pip .[report]"]
    assert calls(tree, "scripts/demo") == ["venv", "pip .[report]", "sbp demo"]


def test_scripts_need_no_new_bash_and_no_gnu_tool():
    newer = r"declare -A|local -A|mapfile|readarray|\$\{\w+(,,|\^\^|@)|\|&|&>>|sha256sum|readlink -f|realpath|sed -i"
    for path in (ROOT / "scripts").iterdir():
        if path.is_file() and path.suffix != ".py":
            code = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("#"))
            assert not re.search(newer, code), path
            assert not re.search(r'(?<!\+)"\$\{\w+\[@\]\}"', code), f"{path}: an empty array is unset in bash 3.2"
