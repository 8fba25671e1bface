#!/usr/bin/env python3
"""Tracking files to a prepared data set with a quality report: scripts/prepare_data.py SOURCE... --out DIR [--strict].

Runs in the project's own environment, which the first call makes; --help lists the options.
"""

import os
import subprocess
import sys
from pathlib import Path

root = Path(__file__).resolve().parents[1]
environment = root / ".venv"
if Path(sys.prefix).resolve() != environment.resolve():
    made = subprocess.run(["bash", "-c", 'source "$0"', str(root / "scripts" / "setup")], check=False)
    if made.returncode:
        sys.exit(made.returncode)
python = str(environment / "bin" / "python")
os.execv(python, [python, "-m", "sbp_jax", "prepare", *sys.argv[1:]])
