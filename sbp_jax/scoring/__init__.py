"""From the outcome's place in its distribution to a quarterback's score."""

from sbp_jax.scoring.aggregate import aggregate
from sbp_jax.scoring.league import League
from sbp_jax.scoring.play import mid_pit, normal_score, pit_bounds

__all__ = ["League", "aggregate", "mid_pit", "normal_score", "pit_bounds"]
