"""Plays and other sequences in memory, in the form that the entire package uses; depends on NumPy only."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from sbp_jax.errors import InputError

PLAY = ["game_id", "play_id"]  # the key of a play, in every table
CHUNK_FRAMES = 2**14  # frames read at a time where a split may not fit into memory: about 12 MB
PLAYERS = 22
FRAME_S = 0.1  # seconds from one frame to the next
# features of every player (see `sbp_jax.data.features`); `sbp_jax.data.extras` has the optional ones
FEATURES = ("x", "y", "vx", "vy", "ax", "ay", "orientation_cos", "orientation_sin")
PLAYER_FEATURES = len(FEATURES)
FRAME_FEATURES = PLAYERS * PLAYER_FEATURES  # columns of a frame without extras
# features of a cell of a series' window: asinh of the scaled value, which tames spikes, and whether it is observed
WINDOW_FEATURES = ("value", "seen")
# what is known about a play before the snap
SITUATION_FEATURES = ("down", "distance", "yards_to_goal", "quarter", "clock_s", "score_difference", "week", "home")


def static_names(situation: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the names of the static features; `situation` names additional columns of the list of plays."""
    names = (*SITUATION_FEATURES, *situation)
    return (*names, *(f"{name}_missing" for name in names))


STATIC_FEATURES = static_names()
# columns of a play other than frames and static features; info columns come from files, with "" or `MISSING` if unknown
COLUMN_TYPES: dict[str, type[np.generic]] = {
    "outcome": np.float32,
    "game_id": np.int64,
    "play_id": np.int64,
    "passer_id": np.int64,
    "passer": np.str_,
}
IDENTITIES = tuple(name for name in COLUMN_TYPES if name != "outcome")
FORMER_NAMES = {"players": "present", "yards": "outcome"}  # fields in files of earlier versions -> their names now
MISSING = -1
INFO_TYPES: dict[str, type[np.generic]] = {
    "result": np.str_,
    "team": np.str_,
    "format": np.str_,
    "season": np.int64,
    "week": np.int64,
    "quarter": np.int64,
    "down": np.int64,
    "yards_to_goal": np.float32,
    "time_to_throw_s": np.float32,
    "pressure": np.int64,
    "touchdown": np.bool_,
}


S = TypeVar("S", bound="Sequences")  # beartype does not support Self in decorated methods


@dataclass(frozen=True, eq=False)
class Sequences:
    """Sequences of one split, such as plays or windows of series, each with an outcome; their frames are concatenated.

    Sequence `i` has the rows `offsets[i]:offsets[i + 1]` of `frames`. A frame describes E entities, some of which may
    be absent: the 22 players of a play, or a single series.

    Args:
        frames: float32 `[sum T, E, F]`, the features of each entity.
        offsets: int64 `[N + 1]`, from 0 to `sum T`.
        present: bool `[sum T, E]`, False where an entity is absent; its features are then 0.
        static: float32 `[N, S]`, the features of each sequence.
        outcome: `[N]`, the outcome of each sequence: float32 for plays, float64 for windows.
        game_id, play_id, passer_id: int64 `[N]`; for windows, the numbers of the series, of the observation that is the
            outcome, and again of the series.
        passer: names of the passers, or of the series, `[N]`.
        info: additional columns, each `[N]`.
        features: names of the F features.

    Raises:
        InputError: the shapes of the arrays do not match; the message names the array and both shapes.
    """

    frames: np.ndarray
    offsets: np.ndarray
    present: np.ndarray
    static: np.ndarray
    outcome: np.ndarray
    game_id: np.ndarray
    play_id: np.ndarray
    passer_id: np.ndarray
    passer: np.ndarray
    info: Mapping[str, np.ndarray] = field(default_factory=dict)
    features: tuple[str, ...] = FEATURES

    def __post_init__(self) -> None:
        count = len(self.outcome)
        if self.static.ndim != 2:
            raise InputError(f"static: expected two dimensions (plays, features), got shape {self.static.shape}")
        if self.offsets.shape != (count + 1,) or self.offsets[0] != 0 or np.any(np.diff(self.offsets) < 1):
            raise InputError(f"offsets: expected {count + 1} increasing numbers from 0, got shape {self.offsets.shape}")
        rows, entities = int(self.offsets[-1]), self.present.shape[-1]
        expected = {"frames": (rows, entities, len(self.features)), "present": (rows, entities)}
        expected |= {"static": (count, self.static.shape[1])}
        expected |= dict.fromkeys(COLUMN_TYPES, (count,))
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise InputError(f"{name}: expected shape {shape}, got {getattr(self, name).shape}")
        for name, column in self.info.items():
            if column.shape != (count,):
                raise InputError(f"info[{name!r}]: expected shape {(count,)}, got {column.shape}")

    def __len__(self) -> int:
        return len(self.outcome)

    @property
    def lengths(self) -> np.ndarray:
        """Number of frames of each sequence, int64 `[N]`."""
        return np.diff(self.offsets)

    @property
    def is_integer(self) -> bool:
        """Whether every outcome is an integer; True for no plays."""
        return integers(self.outcome)

    @property
    def censored(self) -> np.ndarray:
        """Whether the goal line censors the gain, that is, whether the play is a touchdown; bool `[N]`."""
        return touchdowns(self.info, len(self))

    @property
    def unit(self) -> np.ndarray | None:
        """Location and scale of the distributions of `centered`, float32 `[N, 2]`; None means yards."""
        return units(self.info)

    @property
    def centered(self) -> np.ndarray:
        """Outcomes on which a network is trained, float32 `[N]`; those of windows are minus the window's location."""
        return centered(self.outcome, self.info)

    def chunks(self: S, frames: int = CHUNK_FRAMES) -> Iterator[S]:
        """Yield the sequences in order, chunk by chunk, as views; see `ranges` for `frames`."""
        for begin, end in ranges(self.lengths, frames):
            rows = slice(self.offsets[begin], self.offsets[end])
            yield type(self)(
                frames=self.frames[rows],
                offsets=self.offsets[begin : end + 1] - self.offsets[begin],
                present=self.present[rows],
                static=self.static[begin:end],
                info={name: column[begin:end] for name, column in self.info.items()},
                features=self.features,
                **{name: getattr(self, name)[begin:end] for name in COLUMN_TYPES},
            )

    def unfolded(self, play: int) -> np.ndarray:
        """Return the frames of one sequence `[T, E, F]`, NaN for absent entities, as the live scorer expects them."""
        rows = slice(*self.offsets[play : play + 2])
        return np.where(self.present[rows, :, None], self.frames[rows], np.float32(np.nan))

    def last(self: S, count: int) -> S:
        """Return the sequences with only their last `count` frames; shorter ones keep all frames."""
        lengths = np.minimum(self.lengths, count)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        rows = np.repeat(self.offsets[1:] - offsets[1:], lengths) + np.arange(offsets[-1])
        return replace(self, frames=self.frames[rows], present=self.present[rows], offsets=offsets)

    @classmethod
    def concatenate(cls: type[S], parts: Sequence[S]) -> S:
        """Return the sequences of all parts in order; InputError if there is no part or the features differ."""
        if not parts:
            raise InputError("parts: expected at least one, got none")
        for part in parts:
            if part.features != parts[0].features:
                names = " and ".join(", ".join(each.features) for each in (parts[0], part))
                raise InputError(f"parts: expected the same features in all, got {names}")
        ends = np.cumsum([0, *(part.offsets[-1] for part in parts)])
        offsets = [part.offsets[1:] + begin for part, begin in zip(parts, ends, strict=False)]
        columns = ("frames", "present", "static", *COLUMN_TYPES)
        return cls(
            offsets=np.concatenate([np.zeros(1, np.int64), *offsets]),
            info={name: np.concatenate([part.info[name] for part in parts]) for name in parts[0].info},
            features=parts[0].features,
            **{name: np.concatenate([getattr(part, name) for part in parts]) for name in columns},
        )

    def select(self: S, indices: np.ndarray) -> S:
        """Return the sequences at `indices`: int `[M]` (any order, repeats allowed) or a bool mask `[N]`."""
        indices = np.arange(len(self))[np.asarray(indices)]
        lengths = self.lengths[indices]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        rows = np.repeat(self.offsets[indices] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return type(self)(
            frames=self.frames[rows],
            offsets=offsets,
            present=self.present[rows],
            static=self.static[indices],
            info={name: column[indices] for name, column in self.info.items()},
            features=self.features,
            **{name: getattr(self, name)[indices] for name in COLUMN_TYPES},
        )


class Plays(Sequences):
    """Passing plays; see `Sequences`.

    The 22 entities are player slots, with the eight features `FEATURES` followed by the requested extras. The names of
    the columns of `static` are `STATIC_FEATURES`, or `static_names(situation)` with further situation columns. By
    default, the outcome is the gain in yards as the league counts it (an incompletion or an interception gains 0).
    """


@dataclass(frozen=True, eq=False)
class Split:
    """Sequences of one split, whether their frames are in memory, in mapped files, or in records on disk.

    Everything except the frames is in memory, under a kilobyte per play. The frames are read chunk by chunk.

    Args:
        lengths: int64 `[N]`, number of frames of each play.
        static, outcome, game_id, play_id, info, features: as in `Sequences`.
        chunks: () -> the plays in order, chunk by chunk; each call starts again from the first.
        in_memory: all plays if they are in memory, else None.
    """

    lengths: np.ndarray
    static: np.ndarray
    outcome: np.ndarray
    game_id: np.ndarray
    play_id: np.ndarray
    info: Mapping[str, np.ndarray]
    features: tuple[str, ...]
    chunks: Callable[[], Iterator[Sequences]]
    in_memory: Sequences | None = None

    @classmethod
    def of(cls, plays: Sequences) -> "Split":
        """Return the split of plays in memory."""
        fields = {name: getattr(plays, name) for name in ("static", "outcome", *PLAY, "info", "features")}
        return cls(lengths=plays.lengths, **fields, chunks=plays.chunks, in_memory=plays)

    def __len__(self) -> int:
        return len(self.outcome)

    @property
    def is_integer(self) -> bool:
        """See `Sequences.is_integer`."""
        return integers(self.outcome)

    @property
    def censored(self) -> np.ndarray:
        """See `Sequences.censored`; bool `[N]`."""
        return touchdowns(self.info, len(self))

    @property
    def unit(self) -> np.ndarray | None:
        """See `Sequences.unit`; float32 `[N, 2]` or None."""
        return units(self.info)

    @property
    def centered(self) -> np.ndarray:
        """See `Sequences.centered`; float32 `[N]`."""
        return centered(self.outcome, self.info)


def current_name(name: str) -> str:
    """Return today's name of a field in a file of any version."""
    return FORMER_NAMES.get(name, name)


def ranges(lengths: np.ndarray, frames: int = CHUNK_FRAMES) -> Iterator[tuple[int, int]]:
    """Yield (begin, end) of consecutive runs of plays, each with at most `frames` frames or of a single longer play."""
    ends, begin = np.cumsum(lengths), 0
    while begin < len(lengths):
        before = int(ends[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, before + frames, side="right")))
        yield begin, end
        begin = end


def integers(outcomes: np.ndarray) -> bool:
    """Return whether every outcome is an integer; True for none."""
    return bool(np.all(outcomes == np.round(outcomes)))


def touchdowns(info: Mapping[str, np.ndarray], count: int) -> np.ndarray:
    """Return the mask of touchdowns, bool `[count]`; all False if `info` has no such column."""
    return info["touchdown"] if "touchdown" in info else np.zeros(count, bool)


def units(info: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Return location and scale of the centered outcomes, float32 `[N, 2]`; None if `info` has no such columns.

    The location is 0, because `centered` has subtracted it in float64: a series around 5,400,000 may move by
    hundredths, which float32 cannot hold there.
    """
    if "location" not in info:
        return None
    return np.stack([np.zeros_like(info["scale"]), info["scale"]], axis=1).astype(np.float32)


def centered(outcome: np.ndarray, info: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return outcomes minus the column `location` of `info`, if it has one, as float32 `[N]`."""
    return np.asarray(outcome - info["location"] if "location" in info else outcome, np.float32)
