"""Convert a caller's frames and static features to program inputs, or report what is wrong in one line."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sbp_jax.errors import InputError

MARKS = ("distance", "yards_to_goal")  # static features that define first down and touchdown
FIELD_YARDS = 110  # from one goal line to the end of the other end zone
MAX_ABSOLUTE = 1e6  # larger than any value in yards or seconds; its square is finite in float32


class Inputs:
    """Check and order a scorer's inputs by the names and shapes of a specification.

    Attributes:
        static: names of the static features -> their positions.
        features: names of a player's features.
        shape: (players, features) of a frame.
    """

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self.static = {name: i for i, name in enumerate(spec["static"])}
        self.features: Sequence[str] = spec["features"]
        self.shape = (int(spec["players"]), len(self.features))

    def statics(self, static: Any) -> np.ndarray:
        """Return all static features [S]; an unknown feature is 0, and its `_missing` feature is 1.

        Args:
            static: numbers or None by name, or all numbers in order; empty if all features are unknown.

        Raises:
            InputError: an unknown name, a wrong number of values, or a value that is not a valid number.
        """
        if isinstance(static, Mapping):
            values = np.zeros(len(self.static), np.float32)
            for name in self.static:
                if f"{name}_missing" in self.static and static.get(name) is None:
                    values[self.static[f"{name}_missing"]] = 1.0
            for name, value in static.items():
                if name not in self.static:
                    names = ", ".join(each for each in self.static if not each.endswith("_missing"))
                    raise InputError(f"static: unknown {name!r}; known: {names}")
                if value is None:
                    continue
                number = values[self.static[name]] = finite(value, f"static: {name}")
                if name in MARKS and not 0 <= number <= FIELD_YARDS:
                    raise InputError(f"static: {name}: expected from 0 to {FIELD_YARDS} yards, got {value!r}")
            return values
        if not isinstance(static, Sequence | np.ndarray) and not hasattr(static, "__array__"):
            raise InputError(f"static: expected a mapping by name or {len(self.static)} numbers, got {static!r}")
        if not np.size(static):
            return self.statics({})
        values = _numbers(static, "static")
        if values.shape != (len(self.static),):
            raise InputError(f"static: expected {len(self.static)} numbers or a mapping by name, got {values.shape}")
        for name, value in zip(self.static, values.tolist(), strict=True):
            finite(value, f"static: {name}")
        return values

    def marks(self, values: np.ndarray) -> np.ndarray:
        """Return yards to the first down and to the goal line [2] from the static features [S]; NaN where unknown."""
        marks = np.full(2, np.nan, np.float32)
        for i, name in enumerate(MARKS):
            missing = self.static.get(f"{name}_missing")
            if name in self.static and not (missing is not None and values[missing]):
                marks[i] = values[self.static[name]]
        return marks

    def frame(self, frame: Any, what: str) -> tuple[np.ndarray, np.ndarray | bool]:
        """Return one frame as [22 F], and the mask of present players [22], or True if all are present."""
        values = _numbers(frame, what)
        if values.shape != self.shape:
            raise InputError(f"{what}: expected shape {self.shape}, one player per row, got {values.shape}")
        flat = values.reshape(-1)
        if flat @ flat <= MAX_ABSOLUTE**2:  # the common case in one pass: all numbers are valid
            return flat, True
        x, present = self._sound(values[None], what)
        return x[0], present[0]

    def play(self, frames: Any, last: int) -> tuple[int, np.ndarray, np.ndarray]:
        """Return a play's number of frames, its `last` frames [t, 22 F], and the mask of present players [t, 22]."""
        values = _numbers(frames, "frames")
        if values.ndim != 3 or values.shape[1:] != self.shape or not len(values):
            raise InputError(f"frames: expected shape [T, {self.shape[0]}, {self.shape[1]}], got {values.shape}")
        x, present = self._sound(values, "frames")
        return len(values), x[-last:], present[-last:]

    def _sound(self, values: np.ndarray, what: str) -> tuple[np.ndarray, np.ndarray]:
        """Frames [T, 22 F] with 0 for absent players, and the mask of present players [T, 22]."""
        sound: np.ndarray = np.abs(values) <= MAX_ABSOLUTE
        if sound.all():
            return values.reshape(len(values), -1), np.ones(values.shape[:2], bool)
        present: np.ndarray = ~np.all(np.isnan(values), axis=2)
        for time, player, column in np.argwhere(~sound & present[:, :, None])[:1]:
            name = self.features[column]
            at = f"{what}: frame {time}, " if len(values) > 1 else f"{what}: "
            raise InputError(
                f"{at}player {player}: {name}: expected a number of at most {MAX_ABSOLUTE:g} in absolute value, or NaN "
                f"in all features of an absent player, got {values[time, player, column]}"
            )
        return np.where(present[:, :, None], values, np.float32(0)).reshape(len(values), -1), present


def _numbers(values: Any, what: str) -> np.ndarray:
    """Return numbers as float32; reject anything else, including numeric text, masked arrays and data frames."""
    if isinstance(values, np.ma.MaskedArray) or hasattr(values, "columns"):
        kind = type(values).__name__
        raise InputError(f"{what}: expected an array of numbers, got a {kind}; an absent player is NaN")
    try:
        numbers = np.asarray(values)
    except (TypeError, ValueError):
        numbers = None  # rows of different lengths
    if numbers is None or numbers.dtype.kind not in "fiu":
        raise InputError(f"{what}: expected an array of numbers, got {' '.join(str(values)[:60].split())}")
    with np.errstate(over="ignore"):  # numbers too large for float32 become infinite and are rejected later
        return numbers.astype(np.float32, copy=False)


def finite(value: Any, what: str) -> float:
    """Return a number whose square is finite in float32; raise InputError for anything else, including numeric text."""
    if isinstance(value, int | float | np.number) and not isinstance(value, bool) and abs(value) <= MAX_ABSOLUTE:
        return float(value)
    raise InputError(f"{what}: expected a number of at most {MAX_ABSOLUTE:g} in absolute value, got {value!r}")
