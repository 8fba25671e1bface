"""Figures are the same whatever the user's Matplotlib settings, and commands run whatever MPLBACKEND names."""

import os
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest

from sbp_jax.reporting.style import figure

CODE = """
import sys
from pathlib import Path
from sbp_jax.reporting.style import figure
with figure(Path(sys.argv[1]), 3.0, 2.0) as drawing:
    ax = drawing.subplots()
    ax.plot([0, 1, 4], label="a_b % $")
    ax.set_title("title")
"""


def drawn(path):
    with figure(path, 3.0, 2.0) as drawing:
        drawing.subplots().plot([0, 1, 4], label="a_b")
    return path.read_bytes()


def test_the_sessions_settings_change_nothing_and_stay(tmp_path):
    before = drawn(tmp_path / "plain.png")
    mine = {"font.family": "serif", "figure.facecolor": "black", "savefig.dpi": 30, "lines.linewidth": 9.0}
    with mpl.rc_context(mine | {"savefig.bbox": "tight", "axes.prop_cycle": mpl.cycler(color=["yellow"])}):
        assert drawn(tmp_path / "mine.png") == before
        assert all(np.all(mpl.rcParams[name] == value) or value == "serif" for name, value in mine.items())


@pytest.mark.parametrize(
    "backend", ["module://matplotlib_inline.backend_inline", "module://nowhere.at_all", "Nonsense", ""]
)
def test_a_backend_and_a_file_of_settings_change_nothing(tmp_path, backend):
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nfont.family: Nope\naxes.facecolor: black\n")
    for name, environment in (("plain", {}), ("set", {"MPLBACKEND": backend, "MATPLOTLIBRC": str(tmp_path)})):
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("MPLBACKEND", "MATPLOTLIBRC"))}
        words = [sys.executable, "-c", CODE, str(tmp_path / f"{name}.png")]
        process = subprocess.run(words, env=clean | environment, capture_output=True, text=True, check=False)
        assert process.returncode == 0, process.stderr
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "set.png").read_bytes()
