"""From the PIT of an outcome to a quarterback's score."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sbp_jax.scoring.play import mid_pit, normal_score

if TYPE_CHECKING:
    from sbp_jax.scoring.aggregation import aggregate
    from sbp_jax.scoring.league import League

LEAGUE_PATH = Path("scores/league.json")  # in the folder of a run or a cross-fitting
__all__ = ["LEAGUE_PATH", "League", "aggregate", "mid_pit", "normal_score"]
# loaded on first use: scoring a play does not need polars
_HOMES = {"League": "sbp_jax.scoring.league", "aggregate": "sbp_jax.scoring.aggregation"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'sbp_jax.scoring' has no attribute {name!r}")
