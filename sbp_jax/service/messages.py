"""JSON to frames, static features and outcomes, and back; an error names the field of its message.

Frames are checked by hand: thousands per second arrive, and a Pydantic model of nested lists takes ten times as long.
"""

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from sbp_jax.errors import InputError
from sbp_jax.live import Distribution, Score, Summary

MAX_NUMBER = 1e6  # maximum of any number in any unit; larger ones lose digits in float32, and their squares overflow
MAX_NAME_LENGTH = 64  # characters in a play's name
MAX_SEQ = 2**53  # JSON readers in other languages round larger integers
_NUMBERS = {float, int}
_decode = json.JSONDecoder().decode
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class Refusal(Exception):
    """A rejected message.

    Attributes:
        code: HTTP status code, from 400 to 499 where the sender is at fault.
        field: location of the error, such as "frame[3][2]" or "static.down"; "message" for the entire message.
        message: one line.
    """

    def __init__(self, code: int, field: str, message: str) -> None:
        super().__init__(message)
        self.code, self.field, self.message = code, field, message


@dataclass(frozen=True)
class Expected:
    """Required content of a scorer's messages.

    Attributes:
        players: rows of a frame.
        features: names of a row's numbers.
        static: names of the features that may be known before the snap.
    """

    players: int
    features: tuple[str, ...]
    static: tuple[str, ...]

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> "Expected":
        """Read `LiveScorer.spec`; in a message, a missing static feature is null, without a `_missing` feature."""
        names = tuple(name for name in spec["static"] if not name.endswith("_missing"))
        return cls(int(spec["players"]), tuple(spec["features"]), names)


def parse(text: str | bytes) -> Any:
    """Parse a message's JSON; NaN and Infinity, which Python's parser accepts, are rejected where numbers are checked.

    Raises:
        Refusal: not JSON, or nested too deeply.
    """
    try:
        return _decode(text if isinstance(text, str) else text.decode())
    except json.JSONDecodeError as error:
        raise Refusal(400, "message", f"is not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise Refusal(400, "message", "is not accepted: nested too deeply") from None
    except ValueError:  # bytes that are not UTF-8, integers of thousands of digits
        raise Refusal(400, "message", "is not accepted: not UTF-8, or a number with too many digits") from None


def object_of(value: Any) -> dict[str, Any]:
    """Return a message's fields, with `yards`, the former name of `outcome`, as `outcome`; reject any other value."""
    if type(value) is not dict:
        raise Refusal(422, "message", f"expected an object, got {shown(value)}")
    if "yards" in value and "outcome" not in value:
        value["outcome"] = value.pop("yards")
    return value


def render(value: Any) -> str:
    """Return JSON in ASCII, so that any accepted name can be sent back."""
    return _encode(value)


def check_keys(value: Mapping[str, Any], known: Collection[str]) -> None:
    """Reject unknown fields, which are usually misspelled."""
    for name in value:
        if name not in known:
            raise Refusal(422, shorten(name), f"is not known; known: {', '.join(known)}")


def number_of(value: Any, field: str) -> float:
    """Return a number of plausible size; raise Refusal for any other value, NaN and booleans included."""
    if type(value) not in _NUMBERS or not -MAX_NUMBER <= value <= MAX_NUMBER:
        raise Refusal(422, field, f"expected a number from {-MAX_NUMBER:g} to {MAX_NUMBER:g}, got {shown(value)}")
    return float(value)


def flag_of(value: Any, field: str) -> bool | None:
    """Return True, False or None; raise Refusal for any other value."""
    if value is not None and type(value) is not bool:
        raise Refusal(422, field, f"expected true or false, got {shown(value)}")
    return value


def name_of(value: Any, field: str = "play") -> str:
    """Return the name of a play."""
    if type(value) is not str or not 0 < len(value) <= MAX_NAME_LENGTH:
        raise Refusal(422, field, f"expected a name of 1 to {MAX_NAME_LENGTH} characters, got {shown(value)}")
    return value


def seq_of(value: Any, field: str = "seq") -> int | None:
    """Return a frame's number, which its summary repeats; None if it is missing."""
    if value is not None and (type(value) is not int or not 0 <= value <= MAX_SEQ):
        raise Refusal(422, field, f"expected an integer from 0 to 2^53, got {shown(value)}")
    return value


def static_of(value: Any, expected: Expected, field: str = "static") -> dict[str, float]:
    """Return the static features known before the snap, by name; null is unknown."""
    if value is None:
        return {}
    if type(value) is not dict:
        raise Refusal(422, field, f"expected an object of numbers by name, got {shown(value)}")
    for name in value:
        if name not in expected.static:
            names = ", ".join(expected.static)
            raise Refusal(422, f"{field}.{shorten(name)}", f"is not known; known: {names}")
    return {name: number_of(one, f"{field}.{name}") for name, one in value.items() if one is not None}


def frame_of(value: Any, expected: Expected, field: str = "frame") -> np.ndarray:
    """Return a frame, float32 [22, F], with NaN in the rows of absent players.

    Args:
        value: a list with one list of numbers per player, or null for an absent player.
        expected: the numbers of players and features.
        field: name of the field.

    Raises:
        Refusal: wrong shape, or a value that is too large or not a number; the field names its location.
    """
    num_players, columns = expected.players, len(expected.features)
    if type(value) is not list or len(value) != num_players:
        raise Refusal(422, field, f"expected a list of {num_players} players, got {shown(value)}")
    absent, nobody = [], [0] * columns
    for place, row in enumerate(value):
        if row is None:
            absent.append(place)
        elif type(row) is not list or len(row) != columns:
            message = f"expected {columns} numbers ({', '.join(expected.features)}), or null for no player"
            raise Refusal(422, f"{field}[{place}]", f"{message}, got {shown(row)}")
    numbers = list(chain.from_iterable(nobody if row is None else row for row in value))
    if not _NUMBERS.issuperset(map(type, numbers)):
        raise _wrong(value, field)
    try:
        array = np.array(numbers, np.float64)
    except OverflowError:
        raise _wrong(value, field) from None
    if not (np.abs(array) <= MAX_NUMBER).all():
        raise _wrong(value, field)
    frame = array.astype(np.float32).reshape(num_players, columns)
    frame[absent] = np.nan
    return frame


def frames_of(value: Any, expected: Expected, field: str = "frames") -> np.ndarray:
    """Return all frames of a play, float32 [T, 22, F]; raise Refusal like `frame_of`, or for an empty list."""
    if type(value) is not list or not value:
        raise Refusal(422, field, f"expected a list of at least one frame, got {shown(value)}")
    return np.stack([frame_of(each, expected, f"{field}[{time}]") for time, each in enumerate(value)])


def refusal_of(error: InputError) -> Refusal:
    """Convert an error of the scorer, whose line begins with the field."""
    name, colon, line = str(error).partition(": ")
    return Refusal(422, name, line) if colon else Refusal(422, "message", name)


def summary_of(summary: Summary) -> dict[str, Any]:
    """Return a summary as the content of a message."""
    return {
        "frames": summary.frames,
        "seconds": summary.seconds,
        "median": finite(summary.median),
        "quantiles": {f"{level:g}": finite(value) for level, value in summary.quantiles.items()},
        "expected": finite(summary.expected),
        "first_down": finite(summary.first_down),
        "touchdown": finite(summary.touchdown),
        "loss": finite(summary.loss),
    }


def score_of(score: Score) -> dict[str, Any]:
    """Return a score as the content of a message."""
    names = ("outcome", "median", "pit_low", "pit", "pit_high", "score", "passing_score")
    return {name: finite(getattr(score, name)) for name in names}


def distribution_of(dist: Distribution) -> dict[str, Any]:
    """Return a distribution as the content of a message."""
    return {"edges": dist.edges.tolist(), "probability": [finite(each) for each in dist.probability.tolist()]}


def finite(value: float | None) -> float | None:
    """Return the number, or None where JSON cannot represent it."""
    return value if value is not None and math.isfinite(value) else None


def shorten(text: str, length: int = 40) -> str:
    """Shorten a name from a client to fit a line."""
    return text if len(text) <= length else text[:length] + "..."


def shown(value: Any) -> str:
    """Describe a value from a client in a few words, without rendering long ones."""
    if type(value) is list:
        return f"a list of {len(value)}"
    if type(value) is dict:
        return f"an object of {len(value)}"
    if type(value) is int and not -(10**30) < value < 10**30:
        return "a number of many digits"
    return shorten(json.dumps(value[:40] if type(value) is str else value))


def _wrong(frame: list[list[Any] | None], field: str) -> Refusal:
    for place, row in enumerate(frame):
        for column, value in enumerate(row or ()):
            try:
                number_of(value, f"{field}[{place}][{column}]")
            except Refusal as refusal:
                return refusal
    raise AssertionError(f"{field}: nothing is wrong")
