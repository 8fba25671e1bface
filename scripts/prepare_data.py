#!/usr/bin/env python3
"""Prepare a data set from tracking files with a quality report: scripts/prepare_data.py SOURCE... --out DIR [--strict].

Runs in the project's own environment, which the first call creates; --help lists the options.
"""

import os
import subprocess
import sys
from pathlib import Path

root = Path(__file__).resolve().parents[1]
environment = root / ".venv"
if Path(sys.prefix).resolve() != environment.resolve():
    setup = subprocess.run(["bash", "-c", 'source "$0" report', str(root / "scripts" / "setup")], check=False)
    if setup.returncode:
        sys.exit(setup.returncode)
python = str(environment / "bin" / "python")
os.execv(python, [python, "-m", "sbp_jax", "prepare", *sys.argv[1:]])
