"""Repairs of faults that have a single sound remedy, each counted: counters out of step, gaps of one frame."""

import polars as pl

from sbp_jax.data.plays import PLAY
from sbp_jax.data.readers.kinematics import FRAME_S
from sbp_jax.data.readers.report import ReadReport

_OUT_OF_STEP = "frame numbers out of step with the time: aligned by it"
_TICKING_SHARE = 0.8
_TRACK = [*PLAY, "player_id"]


def align_clocks(rows: pl.DataFrame, report: ReadReport) -> pl.DataFrame:
    """Return `rows` with the players' `clock` values in step, corrected by the time stamps.

    At any time all players should have one frame number, so the most frequent one is assigned to all. If these numbers
    repeat within a play, no counter is reliable, and the clock of the play is the time itself. Plays whose times do not
    advance frame by frame (2019: truncated to seconds) keep their frame numbers.

    Args:
        rows: `game_id, play_id, clock`, and `stamp_ms` if the file has times in addition to frame numbers (dropped in
            the result). If the clock already is the time, `frame` is the frame number to compare it with.
        report: counts the corrected rows.
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
    """Return `rows` with every single missing frame of a player or the ball filled from the past alone.

    A hole is one frame that other players have and this one does not, between two that he has. His position in it is
    extrapolated with the speed and direction of the frame before, or, if these are missing, with the step into that
    frame; all other values are those of the frame before. Nothing comes from the frame after, which a live forecast
    would not know yet. Longer holes remain: there the player is masked.

    Args:
        rows: window rows: `game_id, play_id, player_id, frame, x, y` [yd], `s` [yd/s], `dir` [degrees clockwise from
            +y], `event, is_ball`.
        report: counts the added rows.
    """
    tracks = rows.sort(*_TRACK, "frame")
    following = pl.col("frame").shift(-1).over(_TRACK) - pl.col("frame")
    gap = pl.col("frame") - pl.col("frame").shift(1).over(_TRACK)
    heading = pl.col("dir").radians()
    moves = {}
    for axis, part in (("x", heading.sin()), ("y", heading.cos())):
        file_step = pl.col("s") * part * FRAME_S
        previous_step = pl.when(gap == 1).then(pl.col(axis) - pl.col(axis).shift(1).over(_TRACK))
        moves[axis] = pl.col(axis) + pl.coalesce(
            pl.when(file_step.is_finite()).then(file_step), previous_step, pl.lit(0.0)
        )
    before = tracks.with_columns(following=following, **moves).filter(pl.col("following") == 2).drop("following")
    additions = before.with_columns(pl.col("frame") + 1, event=pl.lit(None, pl.String))
    # a frame that nobody has is missing from the play, not from a player
    additions = additions.join(rows.filter(~pl.col("is_ball")), on=[*PLAY, "frame"], how="semi")
    report.repair("single missing frames of a player filled from his past", len(additions))
    return pl.concat([rows, additions.select(rows.columns)]) if len(additions) else rows
