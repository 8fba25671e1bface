"""Plays in memory and their masked, bucketed batches; needs NumPy alone, so that a training machine can read them.

A batch is padded at the end of time to one of a few lengths (buckets), so that a compiled step sees a few shapes only.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from sbp_jax.errors import InputError

PLAYERS = 22
PLAYER_FEATURES = 8
FRAME_FEATURES = PLAYERS * PLAYER_FEATURES


@dataclass(frozen=True, eq=False)
class Plays:
    """Plays of one split, their frames concatenated: play `i` owns rows `offsets[i]:offsets[i + 1]`.

    Args:
        frames: float32 `[sum T, 22, 8]`; features as named by `sbp_jax.data.features.FEATURES`.
        offsets: int64 `[N + 1]`, from 0 to `sum T`.
        players: bool `[sum T, 22]`, False where a slot is empty; its features are then 0.
        static: float32 `[N, S]`; columns as named by `sbp_jax.data.features.STATIC_FEATURES`.
        yards: float32 `[N]`, what each play is worth: unless the reading asked for another outcome, the gain as the
            league counts it (an incompletion or an interception gains 0).
        game_id, play_id, passer_id: int64 `[N]`.
        passer: the passers' names `[N]`.
        info: further columns, each `[N]`.

    Raises:
        InputError: an array's shape disagrees with the others; the line names the array and both shapes.
    """

    frames: np.ndarray
    offsets: np.ndarray
    players: np.ndarray
    static: np.ndarray
    yards: np.ndarray
    game_id: np.ndarray
    play_id: np.ndarray
    passer_id: np.ndarray
    passer: np.ndarray
    info: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.yards)
        if self.static.ndim != 2:
            raise InputError(f"static: expected two dimensions (plays, features), got shape {self.static.shape}")
        if self.offsets.shape != (count + 1,) or self.offsets[0] != 0 or np.any(np.diff(self.offsets) < 1):
            raise InputError(f"offsets: expected {count + 1} increasing numbers from 0, got shape {self.offsets.shape}")
        rows = int(self.offsets[-1])
        expected = {"frames": (rows, PLAYERS, PLAYER_FEATURES), "players": (rows, PLAYERS)}
        expected |= {"static": (count, self.static.shape[1])}
        expected |= dict.fromkeys(("yards", "game_id", "play_id", "passer_id", "passer"), (count,))
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise InputError(f"{name}: expected shape {shape}, got {getattr(self, name).shape}")
        for name, column in self.info.items():
            if column.shape != (count,):
                raise InputError(f"info[{name!r}]: expected shape {(count,)}, got {column.shape}")

    def __len__(self) -> int:
        return len(self.yards)

    @property
    def lengths(self) -> np.ndarray:
        """Frames of each play, int64 `[N]`."""
        return np.diff(self.offsets)

    def last(self, count: int) -> "Plays":
        """Return the plays with their last `count` frames only, all frames of shorter ones."""
        lengths = np.minimum(self.lengths, count)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        rows = np.repeat(self.offsets[1:] - offsets[1:], lengths) + np.arange(offsets[-1])
        return replace(self, frames=self.frames[rows], players=self.players[rows], offsets=offsets)

    @classmethod
    def concatenate(cls, parts: Sequence["Plays"]) -> "Plays":
        """Return the plays of all parts, one after the other; InputError where there is no part."""
        if not parts:
            raise InputError("parts: expected at least one, got none")
        ends = np.cumsum([0, *(part.offsets[-1] for part in parts)])
        offsets = [part.offsets[1:] + begin for part, begin in zip(parts, ends, strict=False)]
        columns = ("frames", "players", "static", "yards", "game_id", "play_id", "passer_id", "passer")
        return cls(
            offsets=np.concatenate([np.zeros(1, np.int64), *offsets]),
            info={name: np.concatenate([part.info[name] for part in parts]) for name in parts[0].info},
            **{name: np.concatenate([getattr(part, name) for part in parts]) for name in columns},
        )

    def select(self, indices: np.ndarray) -> "Plays":
        """Return the plays at `indices` (int `[M]`, any order, repeats allowed) or where a bool mask `[N]` holds."""
        indices = np.arange(len(self))[np.asarray(indices)]
        lengths = self.lengths[indices]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        rows = np.repeat(self.offsets[indices] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Plays(
            frames=self.frames[rows],
            offsets=offsets,
            players=self.players[rows],
            static=self.static[indices],
            yards=self.yards[indices],
            game_id=self.game_id[indices],
            play_id=self.play_id[indices],
            passer_id=self.passer_id[indices],
            passer=self.passer[indices],
            info={name: column[indices] for name, column in self.info.items()},
        )


@dataclass(frozen=True, eq=False)
class Mirror:
    """How plays are reflected: `sbp_jax.data.symmetry` makes it.

    Args:
        slots: int `[N, 22]`, the slot that each slot's player comes from.
        signs: float32 `[8]`, factor of each feature.
    """

    slots: np.ndarray
    signs: np.ndarray


@dataclass(frozen=True, eq=False)
class Batch:
    """Plays of about one length, padded at the end of time to a common one; padding and empty slots hold 0.0.

    Args:
        x: float32 `[B, T, 176]`, player-major: column `8 * slot + feature`.
        mask: bool `[B, T]`, True on the play's own frames.
        players: bool `[B, T, 22]`, True where the slot has a player; False on padding.
        static: float32 `[B, S]`.
        yards: float32 `[B]`.
        valid: bool `[B]`, False on the rows that fill a last batch up: there all else is 0 or False.
        index: int64 `[B]`, the play's position in `Plays`, -1 where not valid.
    """

    x: np.ndarray
    mask: np.ndarray
    players: np.ndarray
    static: np.ndarray
    yards: np.ndarray
    valid: np.ndarray
    index: np.ndarray


class Batches:
    """Batches of `plays`, each of one size and of a few lengths, in an order fixed by `(seed, epoch)`.

    A play goes to the shortest bucket that holds it. What does not fill a batch of its bucket moves to the next longer
    one, so that an epoch has at most one batch that is not full. Plays longer than the longest bucket get a bucket of
    their own, appended at the next multiple of 8 frames: no frame is ever cut.

    Args:
        plays: the plays; at least one.
        batch_size: rows of every batch.
        buckets: increasing lengths in frames.
        seed: with the epoch's number, decides the order.
        shuffle: False keeps the order of `plays` within a bucket, shorter buckets first, in every epoch.
        drop_remainder: True leaves out the one batch that is not full.
        mirror: with it, half of the plays are reflected, drawn anew in every epoch.

    Raises:
        InputError: no plays, a batch size below 1, buckets that do not increase, or fewer plays than one full batch
            with `drop_remainder`.
    """

    def __init__(
        self,
        plays: Plays,
        batch_size: int,
        buckets: tuple[int, ...] = (24, 40, 64, 104),
        seed: int = 0,
        shuffle: bool = True,
        drop_remainder: bool = False,
        mirror: Mirror | None = None,
    ) -> None:
        if len(plays) == 0:
            raise InputError("plays: expected at least one play, got none")
        if batch_size < 1:
            raise InputError(f"batch_size: expected at least 1, got {batch_size}")
        if not buckets or buckets[0] < 1 or any(b <= a for a, b in pairwise(buckets)):
            raise InputError(f"buckets: expected increasing numbers of frames, got {buckets}")
        if drop_remainder and len(plays) < batch_size:
            raise InputError(f"batch_size: {batch_size} exceeds the {len(plays)} plays, and drop_remainder leaves none")
        longest = int(plays.lengths.max())
        if longest > buckets[-1]:
            buckets = (*buckets, -(-longest // 8) * 8)
        self.plays = plays
        self.batch_size = batch_size
        self.buckets = tuple(buckets)
        self.seed = seed
        self.shuffle = shuffle
        self.drop_remainder = drop_remainder
        self.mirror = mirror
        self._bucket = np.searchsorted(np.asarray(self.buckets), plays.lengths)
        self._shapes = [length for length, _ in self._plan(0)]

    def __len__(self) -> int:
        """Batches of one epoch, the same in every epoch."""
        return len(self._shapes)

    @property
    def shapes(self) -> tuple[int, ...]:
        """The distinct lengths in frames that batches have: as many as a compiled step is compiled for."""
        return tuple(sorted(set(self._shapes)))

    def __iter__(self) -> Iterator[Batch]:
        """Yield epoch 0; a training loop asks for `epoch(number)`."""
        return self.epoch(0)

    def position(self, step: int) -> tuple[int, int]:
        """Return `(epoch, batch)` of the batch that step number `step` (from 0) takes."""
        return divmod(step, len(self))

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch from number `start` on; the same arguments give the same batches."""
        reflected = np.random.default_rng([self.seed, epoch, 1]).random(len(self.plays)) < 0.5
        for length, indices in self._plan(epoch)[start:]:
            yield self._assemble(length, indices, reflected)

    def waste(self, epoch: int = 0) -> float:
        """Return the share of an epoch's frames that is padding or belongs to filled-up rows, in [0, 1)."""
        plan = self._plan(epoch)
        used = sum(int(self.plays.lengths[indices].sum()) for _, indices in plan)
        return 1.0 - used / sum(self.batch_size * length for length, _ in plan)

    def _plan(self, epoch: int) -> list[tuple[int, np.ndarray]]:
        random = np.random.default_rng([self.seed, epoch])
        filled = np.unique(self._bucket)
        plan: list[tuple[int, np.ndarray]] = []
        carried = np.empty(0, np.int64)
        for bucket in filled:
            members = np.concatenate([carried, np.flatnonzero(self._bucket == bucket)])
            if self.shuffle:
                members = random.permutation(members)
            last = bucket == filled[-1] and not self.drop_remainder
            end = len(members) if last else len(members) // self.batch_size * self.batch_size
            starts = range(0, end, self.batch_size)
            plan += [(self.buckets[bucket], members[begin : begin + self.batch_size]) for begin in starts]
            carried = members[end:]
        if self.shuffle:
            plan = [plan[i] for i in random.permutation(len(plan))]
        return plan

    def _assemble(self, length: int, indices: np.ndarray, reflected: np.ndarray) -> Batch:
        plays, size, count = self.plays, self.batch_size, len(indices)
        lengths = np.zeros(size, np.int64)
        lengths[:count] = plays.lengths[indices]
        mask = np.arange(length) < lengths[:, None]
        x = np.zeros((size, length, PLAYERS, PLAYER_FEATURES), np.float32)
        players = np.zeros((size, length, PLAYERS), bool)
        for row, (begin, frames) in enumerate(zip(plays.offsets[indices], lengths, strict=False)):
            x[row, :frames] = plays.frames[begin : begin + frames]
            players[row, :frames] = plays.players[begin : begin + frames]
            if self.mirror is not None and reflected[indices[row]]:
                source = self.mirror.slots[indices[row]]
                x[row, :frames] = x[row, :frames, source].swapaxes(0, 1) * self.mirror.signs
                players[row, :frames] = players[row, :frames, source].T
        static = np.zeros((size, plays.static.shape[1]), np.float32)
        yards = np.zeros(size, np.float32)
        index = np.full(size, -1, np.int64)
        static[:count], yards[:count], index[:count] = plays.static[indices], plays.yards[indices], indices
        if not players[mask].all():
            x[~players] = 0.0
        return Batch(x.reshape(size, length, FRAME_FEATURES), mask, players, static, yards, index >= 0, index)
