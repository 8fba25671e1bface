"""What the grids of `configs/ablations` start from: the demo's configuration, trained on every grid's arms and seeds.

Command: .venv/bin/python -m experiments.ablation NAME, NAME being a grid; 10 minutes to an hour a grid on 2 cores.
"""

from .demo import CONFIG as DEMO

CONFIG = DEMO
