"""Which of two quarterbacks of the offence threw the ball: the one the league's text names, or the ball was with."""

import re

import polars as pl

from sbp_jax.data.readers.passers import PLAY
from sbp_jax.data.readers.screen import Screen

_THROWER = re.compile(r"(?<![\w.])([A-Z][A-Za-z]*)\.\s?([A-Z][\w'’-]*(?: [A-Z][\w'’-]*)?) (?:pass|spiked)")
_SUFFIXES = {"jr", "sr", "ii", "iii", "iv", "v"}
# the ball at the release event is 0.6 yards from the passer in half of the plays of 2021's layout and at most 2.1; in
# 2017's it is late, at 2.9: nothing is told from it there
_NEAR_YARDS, _CLEAR_YARDS = 2.5, 2.0


def settle_quarterbacks(rows: pl.DataFrame, plays: pl.DataFrame, screen: Screen) -> pl.DataFrame:
    """Return `rows` with `passer_id` settled where the offence has two quarterbacks in a frame, each play counted.

    The thrower is the only one whom the description names before the word pass; where it names neither, the one within
    2.5 yards of the ball at the release, if the other is 2 yards farther from it. A play in which the two disagree, or
    nothing tells, is malformed. Where the file names the passer, a second quarterback is no riddle.

    Args:
        rows: window rows with `offence, passer_id, frames`.
        plays: `game_id, play_id, description`.
        screen: counts or stops.
    """
    backs = rows.filter("offence", pl.col("position") == "QB", pl.col("frame") >= 0)
    if "thrower" in rows.columns:
        backs = backs.join(rows.filter("thrower"), on=PLAY, how="anti")
    two = backs.group_by(*PLAY, "frame").agg(names=pl.col("name").sort()).filter(pl.col("names").list.len() > 1)
    if two.is_empty():
        return rows
    two = two.sort("frame").unique(PLAY, keep="first", maintain_order=True)
    told = two.select(PLAY).join(_by_text(rows, backs, plays), on=PLAY, how="left")
    told = told.join(_by_ball(rows, backs), on=PLAY, how="left")
    agree = pl.col("named").eq_missing(pl.col("nearest")) | pl.col("named").is_null() | pl.col("nearest").is_null()
    told = told.with_columns(thrower_id=pl.when(agree).then(pl.coalesce("named", "nearest")))
    found = pl.format("{} at frame {}", pl.col("names").list.join(" and "), "frame")
    open_ = two.join(told.filter(pl.col("thrower_id").is_null()), on=PLAY, how="semi").with_columns(found=found)
    rows = screen.malformed(rows, open_, "two quarterbacks of the offence")
    settled = told.filter(pl.col("thrower_id").is_not_null()).select(*PLAY, "thrower_id")
    screen.report.repair("plays with two quarterbacks: the thrower told by the description or the ball", len(settled))
    rows = rows.join(settled, on=PLAY, how="left", maintain_order="left")
    return rows.with_columns(passer_id=pl.coalesce("thrower_id", "passer_id")).drop("thrower_id")


def _by_text(rows: pl.DataFrame, backs: pl.DataFrame, plays: pl.DataFrame) -> pl.DataFrame:
    """The only quarterback named as the thrower, `named`."""
    said = plays.select(*PLAY, text="description")
    if "description" in rows.columns:
        own = rows.group_by(PLAY).agg(own=pl.col("description").drop_nulls().first())
        said = said.join(own, on=PLAY, how="left").select(*PLAY, text=pl.coalesce("text", "own"))
    people = backs.select(*PLAY, "player_id", "name").unique([*PLAY, "player_id"]).join(said, on=PLAY)
    hits = [_is_named(name or "", text or "") for name, text in people.select("name", "text").iter_rows()]
    named = people.filter(pl.Series(hits, dtype=pl.Boolean)).group_by(PLAY).agg(pl.len(), pl.col("player_id").first())
    return named.filter(pl.col("len") == 1).select(*PLAY, named="player_id")


def _is_named(name: str, text: str) -> bool:
    thrower = _THROWER.search(text.rsplit("REVERSED", 1)[-1])
    words = [word for word in name.split() if word.rstrip(".").lower() not in _SUFFIXES]
    if thrower is None or len(words) < 2:
        return False
    initial, surname = thrower[1][0].lower(), thrower[2].lower()
    return words[0].lower().startswith(initial) and " ".join(words[1:]).lower() == surname


def _by_ball(rows: pl.DataFrame, backs: pl.DataFrame) -> pl.DataFrame:
    """The quarterback who clearly is at the ball at the release, `nearest`."""
    release = pl.col("frame") == pl.col("frames") - 1
    ball = rows.filter("is_ball", release).select(*PLAY, "frame", ball_x="x", ball_y="y")
    gap = ((pl.col("x") - pl.col("ball_x")) ** 2 + (pl.col("y") - pl.col("ball_y")) ** 2).sqrt()
    gaps = backs.join(ball, on=[*PLAY, "frame"]).with_columns(gap=gap).sort("gap").group_by(PLAY, maintain_order=True)
    first = gaps.agg(
        nearest=pl.col("player_id").first(), gap=pl.col("gap").first(), other=pl.col("gap").get(1, null_on_oob=True)
    )
    near = first.filter(pl.col("gap") <= _NEAR_YARDS, pl.col("other") - pl.col("gap") >= _CLEAR_YARDS)
    return near.select(*PLAY, "nearest")
