"""From JSON to frames, static features and outcomes, and back; what is wrong with a message names its field.

Frames are checked by hand: thousands of them a second pass here, and a model of nested lists takes ten times as long.
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

LARGEST = 1e6  # of any number in any unit; beyond it float32 loses the yard, and squares of it the range
LONGEST_NAME = 64  # characters of a play's name
LARGEST_SEQ = 2**53  # beyond it JSON's readers in other languages round
_NUMBERS = {float, int}
_decode = json.JSONDecoder().decode
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class Refusal(Exception):
    """A message that is refused.

    Attributes:
        code: as HTTP has it, from 400 to 499 where the fault is the sender's.
        field: what is wrong, as "frame[3][2]" or "static.down"; "message" where it is the whole.
        message: one line.
    """

    def __init__(self, code: int, field: str, message: str) -> None:
        super().__init__(message)
        self.code, self.field, self.message = code, field, message


@dataclass(frozen=True)
class Expected:
    """What a scorer's messages must have.

    Attributes:
        players: rows of a frame.
        features: names of a row's numbers.
        static: names of what may be known before the snap.
    """

    players: int
    features: tuple[str, ...]
    static: tuple[str, ...]

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> "Expected":
        """From `LiveScorer.spec`; that a static feature is missing is said by null, not by a feature of its own."""
        named = tuple(name for name in spec["static"] if not name.endswith("_missing"))
        return cls(int(spec["players"]), tuple(spec["features"]), named)


def parse(text: str | bytes) -> Any:
    """A message's JSON; NaN and Infinity, which Python's reader lets pass, are refused where a number is looked at.

    Raises:
        Refusal: no JSON, or nested too deeply.
    """
    try:
        return _decode(text if isinstance(text, str) else text.decode())
    except json.JSONDecodeError as error:
        raise Refusal(400, "message", f"is no JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise Refusal(400, "message", "is no JSON that is accepted: nested too deeply") from None
    except ValueError:  # bytes that are no UTF-8, integers of thousands of digits
        raise Refusal(400, "message", "is no JSON that is accepted: no UTF-8, or a number of too many digits") from None


def render(value: Any) -> str:
    """As JSON, in ASCII: any name that was accepted can be sent back."""
    return _encode(value)


def check_keys(value: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuse fields that mean nothing: as a rule they are misspelt."""
    for name in value:
        if name not in known:
            raise Refusal(422, shorten(name), f"is not known; known: {', '.join(known)}")


def number_of(value: Any, field: str) -> float:
    """A number of a size that can be meant; Refusal for any other, NaN and booleans too."""
    if type(value) not in _NUMBERS or not -LARGEST <= value <= LARGEST:
        raise Refusal(422, field, f"expected a number from {-LARGEST:g} to {LARGEST:g}, got {shown(value)}")
    return float(value)


def flag_of(value: Any, field: str) -> bool | None:
    """True, false, or nothing said."""
    if value is not None and type(value) is not bool:
        raise Refusal(422, field, f"expected true or false, got {shown(value)}")
    return value


def name_of(value: Any, field: str = "play") -> str:
    """The name of a play."""
    if type(value) is not str or not 0 < len(value) <= LONGEST_NAME:
        raise Refusal(422, field, f"expected a name of 1 to {LONGEST_NAME} characters, got {shown(value)}")
    return value


def seq_of(value: Any, field: str = "seq") -> int | None:
    """A frame's number, which its summary has too; None where none is given."""
    if value is not None and (type(value) is not int or not 0 <= value <= LARGEST_SEQ):
        raise Refusal(422, field, f"expected a whole number from 0 to 2^53, got {shown(value)}")
    return value


def static_of(value: Any, expected: Expected, field: str = "static") -> dict[str, float]:
    """What is known before the snap, by name; null is unknown."""
    if value is None:
        return {}
    if type(value) is not dict:
        raise Refusal(422, field, f"expected an object of numbers by name, got {shown(value)}")
    for name in value:
        if name not in expected.static:
            known = ", ".join(expected.static)
            raise Refusal(422, f"{field}.{shorten(name)}", f"is not known; known: {known}")
    return {name: number_of(one, f"{field}.{name}") for name, one in value.items() if one is not None}


def frame_of(value: Any, expected: Expected, field: str = "frame") -> np.ndarray:
    """A frame, float32 [22, F], NaN in the rows of players who are not there.

    Args:
        value: a list of a list of numbers a player; null in place of a player who is not there.
        expected: how many of each.
        field: its name.

    Raises:
        Refusal: another shape, or a number that is none or too large; the field is the place.
    """
    players, columns = expected.players, len(expected.features)
    if type(value) is not list or len(value) != players:
        raise Refusal(422, field, f"expected a list of {players} players, got {shown(value)}")
    absent, nobody = [], [0] * columns
    for place, row in enumerate(value):
        if row is None:
            absent.append(place)
        elif type(row) is not list or len(row) != columns:
            wanted = f"expected {columns} numbers ({', '.join(expected.features)}), or null for no player"
            raise Refusal(422, f"{field}[{place}]", f"{wanted}, got {shown(row)}")
    numbers = list(chain.from_iterable(nobody if row is None else row for row in value))
    if not _NUMBERS.issuperset(map(type, numbers)):
        raise _wrong(value, field)
    try:
        array = np.array(numbers, np.float64)
    except OverflowError:
        raise _wrong(value, field) from None
    if not (np.abs(array) <= LARGEST).all():
        raise _wrong(value, field)
    frame = array.astype(np.float32).reshape(players, columns)
    frame[absent] = np.nan
    return frame


def frames_of(value: Any, expected: Expected, field: str = "frames") -> np.ndarray:
    """All frames of a play, float32 [T, 22, F]; Refusal as `frame_of`, or for no frame."""
    if type(value) is not list or not value:
        raise Refusal(422, field, f"expected a list of at least one frame, got {shown(value)}")
    return np.stack([frame_of(each, expected, f"{field}[{time}]") for time, each in enumerate(value)])


def refusal_of(error: InputError) -> Refusal:
    """What the scorer refuses: its line begins with the field."""
    name, colon, line = str(error).partition(": ")
    return Refusal(422, name, line) if colon else Refusal(422, "message", name)


def summary_of(summary: Summary) -> dict[str, Any]:
    """As a message has it."""
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
    """As a message has it."""
    names = ("yards", "median", "pit_low", "pit", "pit_high", "score", "passing_score")
    return {name: finite(getattr(score, name)) for name in names}


def distribution_of(law: Distribution) -> dict[str, Any]:
    """As a message has it."""
    return {"edges": law.edges.tolist(), "probability": [finite(each) for each in law.probability.tolist()]}


def finite(value: float | None) -> float | None:
    """The number, None where JSON has no word for it."""
    return value if value is not None and math.isfinite(value) else None


def shorten(text: str, length: int = 40) -> str:
    """A name from outside, in a line."""
    return text if len(text) <= length else text[:length] + "..."


def shown(value: Any) -> str:
    """A value from outside, in a few words; a long one is not written out to be cut."""
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
