"""Faults with one sound remedy, each counted: counters, holes of one frame, situations that cannot be."""

import polars as pl

from sbp_jax.data.plays import PLAY
from sbp_jax.data.readers.kinematics import FRAME_S
from sbp_jax.data.readers.report import ReadReport

_OUT_OF_STEP = "frame numbers out of step with the time: aligned by it"
_TICKING_SHARE = 0.8
_TRACK = [*PLAY, "player_id"]


def align_clocks(rows: pl.DataFrame, report: ReadReport) -> pl.DataFrame:
    """Return `rows` with each player's `clock` in step with the others', by the time stamps beside the frame numbers.

    At one time all players have one frame number: that of most of them. Where these numbers repeat (nobody's counter
    can be trusted), the clock of the play is the time itself. Plays whose times do not tick frame by frame (2019: cut
    to seconds) keep their frame numbers.

    Args:
        rows: `game_id, play_id, clock`, and `stamp_ms` where the file has times beside the frame numbers, which is
            dropped. Where the clock already is the time, `frame` is the number to hold against it.
        report: where the rows put right are counted.
    """
    if "stamp_ms" not in rows.columns:
        return _count_out_of_step(rows, report) if "frame" in rows.columns else rows
    moments = rows.filter(pl.col("stamp_ms").is_not_null()).group_by(*PLAY, "stamp_ms", "clock").len()
    counts = moments.group_by(PLAY).agg(times=pl.col("stamp_ms").n_unique(), pairs=pl.len())
    longest = rows.group_by(_TRACK).agg(frames=pl.col("clock").n_unique()).group_by(PLAY).agg(pl.col("frames").max())
    ticking = pl.col("times") >= _TICKING_SHARE * pl.col("frames")
    suspect = counts.join(longest, on=PLAY).filter(ticking, pl.col("pairs") > pl.col("times")).select(PLAY)
    if suspect.is_empty():
        return rows.drop("stamp_ms")
    most = moments.join(suspect, on=PLAY, how="semi").sort("len", "clock", descending=[True, False])
    most = most.unique([*PLAY, "stamp_ms"], keep="first", maintain_order=True)
    elapsed = ((pl.col("stamp_ms") - pl.col("stamp_ms").min()) / (1000 * FRAME_S)).round().cast(pl.Int64)
    repeats = pl.col("clock").n_unique() < pl.len()
    most = most.with_columns(true=pl.when(repeats.over(PLAY)).then(elapsed.over(PLAY)).otherwise("clock"))
    rows = rows.join(most.select(*PLAY, "stamp_ms", "true"), on=[*PLAY, "stamp_ms"], how="left", maintain_order="left")
    wrong = rows["true"].is_not_null() & (rows["true"] != rows["clock"])
    report.repair(_OUT_OF_STEP, int(wrong.sum()))
    return rows.with_columns(clock=pl.coalesce("true", "clock")).drop("true", "stamp_ms")


def _count_out_of_step(rows: pl.DataFrame, report: ReadReport) -> pl.DataFrame:
    offset = rows.select(*PLAY, offset=pl.col("frame") - pl.col("clock")).drop_nulls().group_by(*PLAY, "offset").len()
    report.repair(_OUT_OF_STEP, int(offset.group_by(PLAY).agg(pl.col("len").sum() - pl.col("len").max())["len"].sum()))
    return rows


def fill_holes(rows: pl.DataFrame, report: ReadReport) -> pl.DataFrame:
    """Return `rows` with every single missing frame of a player or the ball filled from his past alone.

    A hole is one frame that others have and he lacks between two that he has. He moves on as his speed and direction of
    the frame before say (where not given, as he moved into that frame); the rest is that of the frame before. Nothing
    is taken from the frame after: it would tell a live forecast of the future. Longer holes stay: there he is masked.

    Args:
        rows: window rows: `game_id, play_id, player_id, frame, x, y` [yd], `s` [yd/s], `dir` [degrees clockwise from
            +y], `event, is_ball`.
        report: where the rows added are counted.
    """
    ordered = rows.sort(*_TRACK, "frame")
    following = pl.col("frame").shift(-1).over(_TRACK) - pl.col("frame")
    stepped = pl.col("frame") - pl.col("frame").shift(1).over(_TRACK)
    heading = pl.col("dir").radians()
    moves = {}
    for axis, part in (("x", heading.sin()), ("y", heading.cos())):
        given = pl.col("s") * part * FRAME_S
        seen = pl.when(stepped == 1).then(pl.col(axis) - pl.col(axis).shift(1).over(_TRACK))
        moves[axis] = pl.col(axis) + pl.coalesce(pl.when(given.is_finite()).then(given), seen, pl.lit(0.0))
    before = ordered.with_columns(following=following, **moves).filter(pl.col("following") == 2).drop("following")
    filled = before.with_columns(pl.col("frame") + 1, event=pl.lit(None, pl.String))
    # a frame that nobody has is a hole of the play, not of a player
    filled = filled.join(rows.filter(~pl.col("is_ball")), on=[*PLAY, "frame"], how="semi")
    report.repair("single missing frames of a player filled from his past", len(filled))
    return pl.concat([rows, filled.select(rows.columns)]) if len(filled) else rows
