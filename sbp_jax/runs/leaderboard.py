"""The leaderboard of a run or a cross-fitting: its plays scored, selected, and aggregated on the league's scale."""

from collections.abc import Sequence

import polars as pl

from sbp_jax.data.prepared.splits import Of
from sbp_jax.runs.score import Target, league_of, score_plays
from sbp_jax.scoring import aggregate
from sbp_jax.scoring.aggregation import BOOTSTRAPS, group_columns
from sbp_jax.scoring.ratings import rated
from sbp_jax.scoring.splits import SPLITS, select_plays


def scored(
    target: Target,
    of: Of,
    by: Sequence[str] = ("career",),
    split: str = "",
    min_plays: int = 1,
    source: Sequence[str] = (),
    bootstraps: int = BOOTSTRAPS,
    refit: bool = False,
) -> tuple[pl.DataFrame, pl.DataFrame, list[str]]:
    """Return the plays of a split, their leaderboard, and sentences on the league and the split.

    Args:
        target: what scores.
        of: which of its plays.
        by: what is scored, see `aggregate`.
        split: which plays, see `select_plays`; all without.
        min_plays: groups with fewer plays are left out.
        source: files of other plays to score instead.
        bootstraps: resamples of the games for the bootstrap intervals; 0 for none.
        refit: fit the league again, instead of using the one that was saved.

    Raises:
        InputError: as `score_plays`, `select_plays` and `aggregate`.
    """
    columns, _ = group_columns(by)
    every = score_plays(target, of, source)
    whose = f"plays of {', '.join(source)}" if source else f"{of} plays of {target.path}"
    # later plays are judged by the league that was there before
    league, new = league_of(target, lambda: score_plays(target, of) if source else every, refit)
    said = [
        f"Scored: {whose}.",
        f"League {'fixed now' if new else 'as fixed before'} on {league.counted:,} plays; variance of a play's score: "
        f"{league.passers:.4f} is between passers, {league.games:.4f} between their games, {league.plays:.3f} within.",
    ]
    chosen, centre = every, None
    if split:
        chosen = select_plays(every, split)
        centre = float(chosen["score"].cast(pl.Float64).mean())  # pyright: ignore[reportArgumentType]
        condition = SPLITS.get(split, split)
        said.append(
            f"Split {condition}: {len(chosen):,} of {len(every):,} plays; the league's mean score on them is "
            f"{centre:+.3f}."
        )
    for name in columns:
        if name in chosen.columns and chosen[name].null_count():
            said.append(f"{chosen[name].null_count():,} plays have no {name}: they are a group of their own.")
    board = aggregate(chosen, by, league, centre, min_plays, bootstraps)
    if min_plays > 1:
        left = chosen.select(columns).n_unique() - len(board)
        said.append(f"Left out: {left:,} groups of fewer than {min_plays} plays.")
    board = board.join(rated(chosen, columns), on=columns, how="left", nulls_equal=True, maintain_order="left")
    return chosen, board, said
