"""Canonical plays as the network's arrays: frames `[T, 22 players, 8 features and extras]` and static features.

The page `docs/explanation/features.md` describes the eight features of a player at a frame (`FEATURES`), the slots and
the extras.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from sbp_jax.data.extras import Scene, feature_names, measure
from sbp_jax.data.player_slots import assign_slots
from sbp_jax.data.plays import (
    FEATURES,
    INFO_TYPES,
    MISSING,
    PLAY,
    PLAYER_FEATURES,
    PLAYERS,
    SITUATION_FEATURES,
    Plays,
    static_names,
)
from sbp_jax.data.readers.files import Source
from sbp_jax.data.readers.kinematics import FIELD_WIDTH_YARDS, FRAME_S
from sbp_jax.data.readers.report import ReadReport
from sbp_jax.data.readers.rules import Rules
from sbp_jax.data.readers.tracking import TrackingChunk, read_tracking
from sbp_jax.errors import InputError

_MIN_EXACT = 2**22  # outcomes from here must be exact: float32 has halves but no quarters, and from 2^23 only integers


def plays_from_chunk(chunk: TrackingChunk) -> Plays:
    """Return a chunk's plays as arrays, in the order of `chunk.plays`.

    `static` has the situation (`down, distance` [yards], `yards_to_goal, quarter, clock_s` [left in the quarter],
    `score_difference, week, home` as 0 or 1, and the additional columns of the rules), 0 if unknown, followed by an
    indicator for each that is 1 if it is unknown: `static_names`. `info` has the columns of `INFO_TYPES`; an unknown
    text is "" and an unknown integer -1 (a known `pressure` is 0 or 1). `time_to_throw_s` is the listed one, else the
    length of the window, or NaN for plays without tracking. `outcome` is the outcome that the rules of the reading ask
    for, and `frames` include their extras.
    """
    plays = chunk.plays
    lengths = plays["frames"].to_numpy()
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    features = feature_names(chunk.extras)
    frames = np.zeros((int(offsets[-1]), PLAYERS, len(features)), np.float32)
    present = np.zeros((int(offsets[-1]), PLAYERS), bool)
    if len(chunk.frames):
        _put_players(chunk, offsets, frames, present)
    return Plays(
        frames=frames,
        offsets=offsets,
        present=present,
        static=_static(plays, chunk.situation),
        outcome=_outcomes(plays),
        game_id=plays["game_id"].to_numpy(),
        play_id=plays["play_id"].to_numpy(),
        passer_id=plays["passer_id"].to_numpy(),
        passer=np.array(plays["passer"].fill_null("").to_list(), dtype=np.str_),
        info=_info(plays),
        features=features,
    )


def _outcomes(plays: pl.DataFrame) -> np.ndarray:
    """Outcomes as float32; InputError if a large one would change."""
    values = plays["outcome"].cast(pl.Float64).to_numpy()
    rounded = values.astype(np.float32)
    # a rounded decimal would count as an integer
    for play in np.flatnonzero((np.abs(values) >= _MIN_EXACT) & (rounded != values))[:1].tolist():
        raise InputError(
            f"play {plays['play_id'][play]} of game {plays['game_id'][play]}: the outcome {values[play]:.17g} has "
            f"more digits than can be predicted (7); subtract a constant from the column, or divide it"
        )
    return rounded


def _put_players(chunk: TrackingChunk, offsets: np.ndarray, frames: np.ndarray, present: np.ndarray) -> None:
    """Set the features and masks of the players of all plays, in arrays of zeros."""
    plays = chunk.plays
    index = plays.select(*PLAY, "passer_id", "target_id", "ball_x", "ball_y").with_row_index("play")
    rows = chunk.frames.join(index, on=PLAY).sort("play", "player_id", "frame")
    people = rows.group_by("play", "player_id", maintain_order=True).agg(
        pl.col("offense", "position").first(),
        # a player who comes in after the snap gets a slot after those present at the snap
        *(pl.when(pl.col("frame").first() == 0).then(pl.col(c).first()).alias(c) for c in ("x", "y")),
        rows=pl.len(),
    )
    slot = np.repeat(_slots(people, plays), people["rows"].to_numpy())
    row = offsets[rows["play"].to_numpy()] + rows["frame"].to_numpy()
    facing = rows["orientation"].to_numpy()
    finite = np.isfinite(facing)
    facing = np.where(finite, facing, 0.0)
    values = np.stack(
        [
            (rows["x"] - rows["ball_x"]).to_numpy(),
            rows["y"].to_numpy() - FIELD_WIDTH_YARDS / 2,
            *(rows[name].to_numpy() for name in FEATURES[2:6]),
            np.where(finite, np.cos(facing), 0.0),
            np.where(finite, np.sin(facing), 0.0),
        ],
        axis=1,
    )
    has_slot = slot >= 0
    place = row[has_slot], slot[has_slot]
    frames[*place, :PLAYER_FEATURES] = values[has_slot]
    present[place] = True
    if chunk.extras:
        frames[:, :, PLAYER_FEATURES:] = measure(chunk.extras, _scene(rows.filter(has_slot), place, present))


def read_plays(sources: Source | Sequence[Source], rules: Rules | None = None) -> tuple[Plays, ReadReport]:
    """Return the passes in `sources` as arrays in memory, and the report of the reading (see `read_tracking`)."""
    parts, report = [], ReadReport()
    for chunk in read_tracking(sources, rules):
        report = report + chunk.report
        if len(chunk.plays):
            parts.append(plays_from_chunk(chunk))
    return Plays.concatenate(parts), report


def _scene(rows: pl.DataFrame, place: tuple[np.ndarray, np.ndarray], present: np.ndarray) -> Scene:
    """The players of canonical rows as dense arrays, each row at its place (frame, slot)."""
    columns = rows.select(
        "x",
        "y",
        speed=(pl.col("vx") ** 2 + pl.col("vy") ** 2).sqrt(),
        defender=~pl.col("offense"),
        target=(pl.col("player_id") == pl.col("target_id")).fill_null(value=False),
    )
    dense = {}
    for column in columns:
        dense[column.name] = np.zeros(present.shape, bool if column.dtype == pl.Boolean else np.float64)
        dense[column.name][place] = column.to_numpy()
    seconds = np.zeros(len(present))
    seconds[place[0]] = rows["frame"].to_numpy() * FRAME_S
    return Scene(present=present, seconds=seconds, **dense)


def _slots(people: pl.DataFrame, plays: pl.DataFrame) -> np.ndarray:
    begin = np.flatnonzero(np.diff(people["play"].to_numpy(), prepend=-1))
    ends = np.append(begin[1:], len(people))
    x, y, offense = (people[c].to_numpy() for c in ("x", "y", "offense"))
    player_id, position = people["player_id"].to_numpy(), people["position"].to_list()
    passers, ball = plays["passer_id"].to_numpy(), plays.select("ball_x", "ball_y").rows()
    slots = np.empty(len(people), np.int64)
    for play, (b, e) in enumerate(zip(begin, ends, strict=True)):
        passer = int(np.flatnonzero(player_id[b:e] == passers[play])[0])
        slots[b:e] = assign_slots(x[b:e], y[b:e], offense[b:e], position[b:e], passer, ball[play])
    return slots


def _static(plays: pl.DataFrame, situation: Sequence[str]) -> np.ndarray:
    values = plays.select(pl.col(name).cast(pl.Float32) for name in (*SITUATION_FEATURES, *situation))
    values = values.with_columns(pl.all().fill_nan(None))
    missing = values.select(pl.all().is_null().cast(pl.Float32).name.suffix("_missing"))
    return np.ascontiguousarray(values.fill_null(0.0).hstack(missing).select(static_names(situation)).to_numpy())


def _info(plays: pl.DataFrame) -> dict[str, np.ndarray]:
    seconds = (plays["frames"] - 1) * FRAME_S
    plays = plays.with_columns(
        time_to_throw_s=pl.coalesce("time_to_throw_s", seconds), pressure=pl.col("pressure").cast(pl.Int64)
    )
    columns = plays.select(
        pl.col(name).fill_null("" if kind is np.str_ else MISSING) if kind is not np.bool_ else pl.col(name)
        for name, kind in INFO_TYPES.items()
    )
    return {name: np.array(columns[name].to_list(), dtype=kind) for name, kind in INFO_TYPES.items()}
