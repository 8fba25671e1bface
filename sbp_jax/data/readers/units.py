"""Check that a file's numbers have the units of its layout: yards, yards per second, degrees, tenths of a second.

The data show their units. The ratio of a recorded speed to that of the positions is near 1; a direction of motion
points where the player goes; a passer stands between the hash marks at the snap; of forty angles in degrees, some
exceed 2 pi.
"""

from math import pi

import polars as pl

from sbp_jax.data.plays import PLAY
from sbp_jax.data.readers.kinematics import FRAME_S
from sbp_jax.data.readers.screen import Screen

# frames per second by the time stamps, median of a game's plays: 10.0 in both real games, but 3 to 12 in single plays
_RATE = (7.5, 13.5)
_TIMED_S = 2.0
_ANGLES, _FULL_CIRCLE = 40, 2 * pi + 0.1

# median ratio of recorded to derived speed by play, where either is over 2 yd/s: 0.82 to 1.02 in 282 real and 600
# simulated plays (below 0.94 only in 2017); the cosine of the angle between the two is at least 0.99
_MOVING_YPS = 2.0
_PLAY_ROWS, _PLAY_RATIO, _ALONG = 40, (0.7, 1.35), 0.8
_FROZEN = 5.0  # feet or kilometers per hour give 3
# the same by game, for speeds that are not smoothed: 0.95 to 1.01 in 115 real games and 10 simulated ones. Speeds in
# meters per second with positions in yards give 0.914, yards per second with positions in meters 1.094
_GAME_ROWS, _GAME_RATIO = 60, (0.93, 1.05)

# y of a passer at the snap: 23.2 to 30.4 in all 882 plays; in meters 32 to 55 % of them would be outside these bounds
_BETWEEN_HASH_MARKS = (22.8, 30.9)
_PASSERS, _OUTSIDE = 10, 0.15
_MAX_STEP_YARDS = 4.0  # per frame: 2.7 in one play, at most 1.1 in all others

_CONTRADICTED = "plays with recorded speeds or directions that the positions contradict: derived from them"
_KEY = [*PLAY, "player_id"]


def check_rate(rows: pl.DataFrame, by_time: bool, screen: Screen) -> pl.DataFrame:
    """Return `rows` without games whose rate is not ten frames per second (malformed).

    The column `timed` marks the games whose rate is known.

    Args:
        rows: `game_id, play_id, clock`, and `stamp_ms` if the file has times in addition to frame numbers.
        by_time: whether the clock is the time.
        screen: counts the malformed plays or stops at the first.
    """
    if "stamp_ms" not in rows.columns:
        return rows.with_columns(timed=pl.lit(by_time))
    seconds = (pl.col("stamp_ms").max() - pl.col("stamp_ms").min()) / 1000
    stamped = rows.filter(pl.col("stamp_ms").is_not_null()).group_by(PLAY)
    rates = stamped.agg(seconds=seconds, ticks=pl.col("clock").max() - pl.col("clock").min())
    rates = rates.filter(pl.col("seconds") >= _TIMED_S).group_by("game_id")
    games = rates.agg(rate=(pl.col("ticks") / pl.col("seconds")).median())
    rows = rows.join(games.with_columns(timed=pl.lit(True)), on="game_id", how="left", maintain_order="left")
    wrong = rows.filter(~pl.col("rate").is_between(*_RATE)).unique(PLAY)
    detail = pl.format("{} frames per second by the times", pl.col("rate").round(1))
    rows = screen.malformed(rows, wrong.with_columns(detail=detail), "not ten frames per second")
    return rows.drop("rate").with_columns(pl.col("timed").fill_null(value=False))


def settle_motion(rows: pl.DataFrame, screen: Screen) -> pl.DataFrame:
    """Return `rows` (of `check_rate`, cut to windows) with contradicted speeds set to null.

    The column `against` marks plays whose positions contradict the directions of motion.

    A play with angles in radians or turns is malformed. If the frame rate is known, a contradiction between speeds and
    positions is one of units. If it is unknown, the rate may be wrong, and the play is malformed; so is a play whose
    players have a speed but stand still. A play with too few rows gets the median of its game.
    """
    for angle in ("dir", "o"):
        finite = pl.col(angle).is_finite()
        rows = rows.with_columns(pl.when(finite).then(angle).alias(angle))
        largest = rows.drop_nulls(angle).group_by(PLAY).agg(pl.len(), largest=pl.col(angle).abs().max())
        radians = largest.filter(pl.col("len") >= _ANGLES, pl.col("largest") <= _FULL_CIRCLE)
        detail = pl.format("none of the {} values of {} is beyond {}", "len", pl.lit(angle), pl.col("largest").round(2))
        rows = screen.malformed(rows, radians.with_columns(detail=detail), "angles are not in degrees")
    pace = _pace(rows)
    by_play, by_game = (_medians(pace, key) for key in (PLAY, ["game_id"]))
    plays = rows.select(*PLAY, "timed").unique(PLAY).join(by_play, on=PLAY, how="left")
    plays = plays.join(by_game, on="game_id", how="left", suffix="_game")
    play_suffices = pl.col("rows") >= _PLAY_ROWS
    enough = play_suffices | (pl.col("rows_game") >= _PLAY_ROWS)
    plays = plays.with_columns(
        ratio=pl.when(play_suffices).then("ratio").otherwise("ratio_game"),
        along=pl.when(play_suffices).then("along").otherwise("along_game"),
    ).filter(enough.fill_null(value=False))
    off = ~pl.col("ratio").is_between(*_PLAY_RATIO)
    unusable = off & (~pl.col("timed") | (pl.col("ratio") > _FROZEN))
    detail = pl.format("recorded speeds are {} times those of the positions", pl.col("ratio").round(2))
    reason = "speeds and positions do not fit: other units, or not ten frames per second"
    rows = screen.malformed(rows, plays.filter(unusable).with_columns(detail=detail), reason)
    against = (pl.col("along") < _ALONG).fill_null(value=False)
    rows = rows.join(plays.select(*PLAY, against=against), on=PLAY, how="left", maintain_order="left")
    wrong = plays.filter((off & ~unusable) | against)
    return _derive(rows.drop("timed"), wrong.select(PLAY), screen)


def settle_pace(rows: pl.DataFrame, smoothed: list[int], screen: Screen) -> pl.DataFrame:
    """Return `rows` without games whose positions are not in yards (malformed); speeds in meters per second are null.

    Args:
        rows: window rows with `s` in yards per second.
        smoothed: games whose speeds may be slow because they are smoothed; they are exempt.
        screen: counts the malformed plays or stops at the first.
    """
    games = _medians(_pace(rows), ["game_id"]).filter(pl.col("rows") >= _GAME_ROWS)
    low, high = _GAME_RATIO
    plays = rows.select(PLAY).unique().join(games, on="game_id")
    detail = pl.format("recorded speeds are {} times those of the positions", pl.col("ratio").round(3))
    short = plays.filter(pl.col("ratio") > high).with_columns(detail=detail)
    rows = screen.malformed(rows, short, "positions are not in yards")
    slow = plays.filter(pl.col("ratio") < low, ~pl.col("game_id").is_in(smoothed))
    return _derive(rows, slow.select(PLAY), screen)


def check_places(rows: pl.DataFrame, screen: Screen) -> pl.DataFrame:
    """Return `rows` (with `passer_id`) without malformed plays: a player jumps, or passers stand out of bounds.

    Passers are checked by file, if it has at least ten plays.
    """
    # the rows are sorted, so comparing keys with the previous row delimits the tracks
    same_track = pl.all_horizontal(pl.col(c) == pl.col(c).shift(1) for c in _KEY)
    step = pl.when(same_track).then(pl.col("frame") - pl.col("frame").shift(1))
    squares = [(pl.col(c) - pl.col(c).shift(1)) ** 2 for c in ("x", "y")]
    inside = rows.filter(~pl.col("is_ball"), pl.col("frame") >= 0)
    inside = inside.select(*_KEY, "name", "frame", "x", "y").sort(*_KEY, "frame")
    inside = inside.with_columns(jump=pl.sum_horizontal(squares, ignore_nulls=False).sqrt() / step)
    jumps = inside.filter(pl.col("jump") > _MAX_STEP_YARDS)
    # formatted in Python: polars 2.1 panics on these rows
    details = [
        f"{name or 'a player'} by {jump:.1f} yards at frame {frame}"
        for name, jump, frame in jumps.select("name", "jump", "frame").iter_rows()
    ]
    jumps = jumps.select(PLAY).with_columns(detail=pl.Series(details, dtype=pl.String))
    rows = screen.malformed(rows, jumps, "a player jumps from one frame to the next")
    passers = rows.filter(pl.col("player_id") == pl.col("passer_id"), pl.col("frame") == 0)
    outside = ~passers["y"].is_between(*_BETWEEN_HASH_MARKS)
    if len(passers) < _PASSERS or outside.sum() < _OUTSIDE * len(passers):
        return rows
    detail = pl.lit(f"{int(outside.sum())} of {len(passers)} passers stand outside the hash marks at the snap")
    return screen.malformed(rows, passers.with_columns(detail=detail), "positions are not in yards")


def _derive(rows: pl.DataFrame, plays: pl.DataFrame, screen: Screen) -> pl.DataFrame:
    plays = plays.join(rows, on=PLAY, how="semi")
    if plays.is_empty():
        return rows
    screen.report.repair(_CONTRADICTED, len(plays))
    rows = rows.join(plays.with_columns(wrong=pl.lit(True)), on=PLAY, how="left", maintain_order="left")
    return rows.with_columns(s=pl.when(pl.col("wrong").is_null()).then("s")).drop("wrong")


def _pace(rows: pl.DataFrame) -> pl.DataFrame:
    """Recorded over derived speed, and the cosine between the two, of players on the move."""
    rows = rows.filter(~pl.col("is_ball"), pl.col("s").is_finite())
    rows = rows.select(*_KEY, "frame", "x", "y", "s", "dir").sort(*_KEY, "frame")
    same_track = pl.all_horizontal(pl.col(c).shift(-1) == pl.col(c).shift(1) for c in _KEY)
    step = pl.col("frame").shift(-1) - pl.col("frame").shift(1)
    x, y = ((pl.col(c).shift(-1) - pl.col(c).shift(1)) / (2 * FRAME_S) for c in ("x", "y"))
    pairs = rows.select(*PLAY, "s", "dir", same_track=same_track, step=step, x=x, y=y).filter(
        "same_track", pl.col("step") == 2
    )
    pairs = pairs.with_columns(v=(pl.col("x") ** 2 + pl.col("y") ** 2).sqrt())
    heading = pl.col("dir").radians()
    cosine = (pl.col("x") * heading.sin() + pl.col("y") * heading.cos()) / pl.col("v")
    pairs = pairs.filter(pl.col("v").is_finite(), pl.max_horizontal("v", "s") > _MOVING_YPS)
    return pairs.select(*PLAY, ratio=pl.col("s") / pl.col("v"), along=cosine)


def _medians(pace: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    along = pl.col("along").filter(pl.col("along").is_finite()).median()
    return pace.group_by(key).agg(rows=pl.len(), ratio=pl.col("ratio").median(), along=along)
