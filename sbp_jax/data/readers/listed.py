"""Plays without tracking, from lists of plays alone: each is its situation and outcome, and one frame without players.

A passer whom no column names is told by the description. His number is that of the list's own code where it has one,
here or at another play of his ("00-0019596" and "19596.0": 19596, others by a digest), else a digest of his name: two
passers of one name are then one.
"""

from hashlib import blake2b

import polars as pl

from sbp_jax.data.readers.descriptions import parse_passer
from sbp_jax.data.readers.outcomes import Listing
from sbp_jax.data.readers.passers import PLAY
from sbp_jax.data.readers.screen import Screen
from sbp_jax.data.readers.situations import situations
from sbp_jax.data.readers.windows import join_outcomes

FORMAT = "list of plays"
NO_PASSER = -1
# what tracking would tell of a player at a frame
_UNKNOWN = {"x": pl.Float64, "y": pl.Float64, "dir": pl.Float64, "o": pl.Float64, "direction": pl.String}


def listed_plays(listing: Listing, screen: Screen) -> pl.DataFrame:
    """Return the canonical plays of a listing, but for `target_id`, in order of game and play.

    What is left out is counted in the screen's report, as of tracked plays.

    Raises:
        InputError: a malformed play where the rules say stop.
    """
    said = pl.Series([parse_passer(text or "") for text in listing.plays["description"]], dtype=pl.String)
    passer = pl.coalesce("passer", said)
    plays = listing.plays.select(*PLAY, "passer_code", "possession_team", passer=passer)
    screen.report.read += len(plays)
    rows = plays.select(
        *PLAY,
        name="passer",
        player_id=_numbers(plays),
        offence_side="possession_team",
        frames=pl.lit(1, pl.Int64),
        frame=pl.lit(0, pl.Int64),
        is_ball=pl.lit(value=False),
        **{name: pl.lit(None, kind) for name, kind in _UNKNOWN.items()},
    ).with_columns(passer_id="player_id")
    rows, plays = join_outcomes(rows, listing.plays.drop("passer"), screen)
    plays = situations(rows, plays, listing, screen).with_columns(format=pl.lit(FORMAT))
    # the length of its window is no time to throw
    return plays.with_columns(pl.col("time_to_throw_s").fill_null(float("nan"))).sort(PLAY)


def _numbers(plays: pl.DataFrame) -> pl.Series:
    only = pl.col("passer_code").drop_nulls()
    names = plays.drop_nulls("passer").group_by("passer").agg(code=only.first(), codes=only.n_unique())
    names = names.select("passer", known=pl.when(pl.col("codes") == 1).then("code"))
    told = plays.join(names, on="passer", how="left", maintain_order="left")
    told = told.select("passer", code=pl.coalesce("passer_code", "known"))
    whole = told["code"].str.extract(r"^(?:\d\d-)?(\d{1,15})(?:\.0)?$", 1).cast(pl.Int64)
    others = told.select(pl.coalesce(pl.format("code {}", "code"), "passer")).to_series()
    distinct = others.unique().drop_nulls().to_list()
    digests = {name: int.from_bytes(blake2b(name.encode(), digest_size=8).digest()) >> 1 for name in distinct}
    digest = others.replace_strict(digests, default=None, return_dtype=pl.Int64)
    return pl.select(pl.coalesce(whole, digest, pl.lit(NO_PASSER, pl.Int64)).alias("player_id"))["player_id"]
