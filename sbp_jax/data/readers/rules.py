"""Selection of plays: one set of fields for configurations, prepared data sets and command lines; without polars."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Literal

from sbp_jax.errors import InputError

LEAGUE_YARDS, NET_YARDS = "yards", "net_yards"  # outcomes that are not columns of a file

# codes of results: complete, incomplete, intercepted; a sack and a run are not attempts
ATTEMPTS = ("C", "I", "IN")
RESULTS = (*ATTEMPTS, "S", "R")
TARGET_DEFENDERS = "target_defenders"
# optional features of a player (`sbp_jax.data.extras` measures them) and the columns that each appends
EXTRAS = {
    "receiver_separation_yards": ("receiver_separation_yards", "receiver_separation_known"),
    TARGET_DEFENDERS: ("target", "target_defenders", "target_defenders_known"),
    "rusher_distance_yards": ("rusher_distance_yards", "rusher_distance_known"),
    "quarterback_speed_yps": ("quarterback_speed_yps",),
    "time_since_snap_s": ("time_since_snap_s",),
}


def check_extras(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of extras in canonical order, that of `EXTRAS`.

    Raises:
        InputError: a name is unknown (the message lists the known ones) or occurs twice.
    """
    names = tuple(names)
    for name in names:
        if name not in EXTRAS:
            raise InputError(f"extras: unknown {name!r}; known: {', '.join(EXTRAS)}")
        if names.count(name) > 1:
            raise InputError(f"extras: {name} is named {names.count(name)} times; once is enough")
    return tuple(name for name in EXTRAS if name in names)


FORMER_MALFORMED = {"stop": "raise", "reject": "drop"}  # values that files and commands of earlier versions have


@dataclass(frozen=True)
class ReaderConfig:
    """What to read, and which plays to keep.

    Attributes:
        malformed: "raise" stops at a malformed play with an error; "drop" leaves it out and counts it. The former
            values "stop" and "reject" are still read.
        outcome: the quantity to predict. "yards": the gain as the league counts it, 0 on an incompletion or
            interception. "net_yards": the same, except that an interception counts its return, negative, and a
            touchdown the distance to the goal line, so that the line can censor it (`touchdown` marks these plays). Any
            other name: that numeric column of the list of plays, such as "expectedPointsAdded"; plays without a value
            there are rejected. The fields of the head have the unit of the outcome.
        extras: additional features of the players by name (see `sbp_jax.data.extras`), in the order given there:
            receiver_separation_yards, target_defenders, rusher_distance_yards, quarterback_speed_yps,
            time_since_snap_s.
        tracking: whether the source has tracking. If not, it consists of lists of plays alone, a play is one frame
            without players, and `network.encoder` is none.
        results: results of the plays to keep: C complete, I incomplete, IN intercepted; for lists of plays also S sack,
            R run.
        situation: numeric columns of the list of plays to use as static features too, such as air_yards.

    Raises:
        InputError: `malformed` is unknown, the outcome is empty, an extra is unknown or occurs twice, a result is
            unknown or there is none, a column of the situation occurs twice, or there are extras without tracking.
    """

    malformed: Literal["raise", "drop"] = "raise"
    outcome: str = LEAGUE_YARDS
    extras: tuple[str, ...] = ()
    tracking: bool = True
    results: tuple[str, ...] = ATTEMPTS
    situation: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "extras", check_extras(self.extras))
        object.__setattr__(self, "malformed", FORMER_MALFORMED.get(self.malformed, self.malformed))
        unknown = [result for result in self.results if result not in RESULTS]
        if unknown or not self.results:
            actual = unknown[0] if unknown else "none"
            raise InputError(f"results: expected some of {', '.join(RESULTS)}, got {actual}")
        if len(set(self.situation)) < len(self.situation):
            raise InputError(f"situation: expected different columns, got {', '.join(self.situation)}")
        if self.extras and not self.tracking:
            raise InputError(f"extras: {self.extras[0]} requires tracking")
        if self.malformed not in ("raise", "drop"):
            raise InputError(f"malformed: expected 'raise' or 'drop', got {self.malformed!r}")
        if not self.outcome:
            raise InputError("outcome: expected yards, net_yards or a column of the list of plays, got nothing")

    @property
    def reading(self) -> dict[str, Any]:
        """Fields of the reader alone, for another of these classes."""
        return {field.name: getattr(self, field.name) for field in fields(ReaderConfig)}


@dataclass(frozen=True)
class Rules(ReaderConfig):
    """A `ReaderConfig` with bounds on a play's length.

    Attributes:
        min_frames: minimum number of frames (10 Hz) from snap to release.
        max_frames: maximum number of frames.

    Raises:
        InputError: the bounds are out of order, and as for `ReaderConfig`.
    """

    min_frames: int = 5
    max_frames: int = 120

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.min_frames <= self.max_frames:
            raise InputError(f"min_frames, max_frames: expected 1 <= {self.min_frames} <= {self.max_frames}")


def in_yards(outcome: str) -> bool:
    """Return whether an outcome of plays is a gain in yards rather than a column of a file in its own unit."""
    return outcome in (LEAGUE_YARDS, NET_YARDS)
