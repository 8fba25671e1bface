"""The base of the ablation grids: the configuration of the demo.

Command: sbp sweep GRID; 10 minutes to an hour per grid on 2 cores.
"""

from .demo import CONFIG as DEMO

CONFIG = DEMO
