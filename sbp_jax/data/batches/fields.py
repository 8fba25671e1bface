"""Fields of a batch, listed once for all code that makes, gathers, stores or uses one; needs NumPy alone."""

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np


def _kind(axis: str, dtype: type[np.generic]) -> dict[str, Any]:
    return {"axis": axis, "dtype": dtype}


@dataclass(frozen=True, eq=False)
class Batch:
    """Plays of similar length, padded at the end of time to a common one; padding and empty slots are 0.0.

    Args:
        x: float32 `[B, T, 22 * F]`, player-major: column `F * slot + feature`; F is 8 without extras, so 176.
        mask: bool `[B, T]`, True on the play's own frames.
        present: bool `[B, T, 22]`, True where the slot has a player; False on padding.
        static: float32 `[B, S]`.
        outcome: float32 `[B]`, `Sequences.centered`.
        censored: bool `[B]`, True where the goal line censors the gain: a touchdown.
        valid: bool `[B]`, False on the rows that fill up a last batch; all their other fields are 0 or False.
        index: int64 `[B]`, the play's position in its split, -1 where not valid.
        unit: float32 `[B, 2]`, location and scale of the unit of the outcome's predicted distribution; None means
            yards.
    """

    x: np.ndarray = field(metadata=_kind("frames", np.float32))
    mask: np.ndarray = field(metadata=_kind("frames", np.bool_))
    present: np.ndarray = field(metadata=_kind("frames", np.bool_))
    static: np.ndarray = field(metadata=_kind("plays", np.float32))
    outcome: np.ndarray = field(metadata=_kind("plays", np.float32))
    censored: np.ndarray = field(metadata=_kind("plays", np.bool_))
    valid: np.ndarray = field(metadata=_kind("rows", np.bool_))
    index: np.ndarray = field(metadata=_kind("rows", np.int64))
    unit: np.ndarray | None = field(metadata=_kind("plays", np.float32), default=None)


def _fields(axis: str) -> dict[str, type[np.generic]]:
    return {each.name: each.metadata["dtype"] for each in fields(Batch) if each.metadata["axis"] == axis}


# name -> type of the fields with frames, and of the other fields of a play; `unit` may be None
FRAME_FIELDS, PLAY_FIELDS = _fields("frames"), _fields("plays")


def play_field(plays: Any, name: str) -> np.ndarray | None:
    """Return a field of `PLAY_FIELDS` for all plays; `plays` has the properties of `Sequences`."""
    return plays.centered if name == "outcome" else getattr(plays, name)
