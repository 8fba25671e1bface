"""Where a training's batches come from: plays in memory, mapped arrays, or records that are streamed.

Every source yields the same plays in the same order in the same batches. On a CPU one compiled program takes the steps
of all of them, windows of a few steps' plays (`training.batch_source.WindowBatchSource`): the trained parameters are
the same to the last bit. On an accelerator a split that fits is put there once (`ResidentBatchSource`).

| source | frames lie | of them in the host's memory |
| --- | --- | --- |
| memory | in memory | all, as they were read and padded |
| mapped | in padded arrays in files, mapped into memory | 6 windows, 1 batch |
| stream | in the records of the prepared data set, which Grain reads ahead | 6 windows, 1 + 4 `AHEAD` batches |

A window has `batch_source.WINDOW_BYTES` (8 MiB) or two steps if those are more. Under a kilobyte per play
is there too, and during set-up a few chunks of `plays.CHUNK_FRAMES` frames.
"""

import importlib.util
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property, partial
from typing import Any, Literal

import numpy as np
from tqdm.auto import tqdm

from sbp_jax.config import Config, TrainingConfig
from sbp_jax.data.batches.arrays import ArrayBatches, Arrays
from sbp_jax.data.batches.epochs import Epochs, Mirror
from sbp_jax.data.batches.symmetry import mirror_of, mirror_of_slots
from sbp_jax.data.memory import available_bytes, fits, frame_bytes
from sbp_jax.data.plays import PLAYERS, Plays, Split
from sbp_jax.data.prepared.cache import Layout, arrays_bytes, folder_of, open_arrays
from sbp_jax.data.prepared.dataset import Prepared, read_lengths
from sbp_jax.errors import InputError
from sbp_jax.runs.datasets import Dataset, PlayDataset, move
from sbp_jax.training.distributed import is_first, smallest, wait_for_all
from sbp_jax.training.resident import device_bytes, free_bytes, is_cpu

Kind = Literal["memory", "mapped", "stream"]
Last = Mapping[str, int | None]  # split -> frames taken of each play, its last ones; None takes all
USED = ("train", "validation")
AHEAD = 4  # batches that Grain reads ahead
DEVICE_SHARE = 0.5  # of an accelerator's free memory that plays may have; programs and states need the rest


class Source(ABC):
    """The training and validation plays of a run, as far as its network sees them.

    Attributes:
        kind: its name.
        splits: "train" and "validation".
    """

    kind: Kind
    splits: Mapping[str, Split]

    @abstractmethod
    def batches(self, name: str, buckets: tuple[int, ...], **sampling: Any) -> Epochs:
        """Return the batches of a split, none of them reflected.

        Args:
            name: of the split.
            buckets: frames that batches are padded to.
            sampling: `batch_size`, `seed` and `shuffle`, as for `Epochs`.
        """

    def arrays(self, name: str, buckets: tuple[int, ...]) -> Arrays | None:
        """Return the plays of a split as arrays padded to `buckets`, for a device; None where there are none."""
        del name, buckets

    @cached_property
    def mirror(self) -> Mirror:
        """How the training plays are reflected, for those that are on a device."""
        raise NotImplementedError


class MemorySource(Source):
    """Plays in memory, of any data set.

    Args:
        plays: of "train" and "validation".
        last: frames taken of each.
    """

    kind = "memory"

    def __init__(self, plays: Mapping[str, Plays], last: Last):
        self.plays = {name: plays[name] if (count := last[name]) is None else plays[name].last(count) for name in USED}
        self.splits = {name: Split.of(self.plays[name]) for name in USED}

    def batches(self, name: str, buckets: tuple[int, ...], **sampling: Any) -> Epochs:
        """As `Source.batches`."""
        return ArrayBatches(self.arrays(name, buckets), **sampling)

    def arrays(self, name: str, buckets: tuple[int, ...]) -> Arrays:
        """As `Source.arrays`."""
        return Arrays.of(self.plays[name], buckets)

    @cached_property
    def mirror(self) -> Mirror:
        """As `Source.mirror`."""
        return mirror_of(self.plays["train"])


class MappedSource(Source):
    """Padded arrays in files, mapped: built once beside the prepared data set, see `sbp_jax.data.prepared.cache`.

    Args:
        prepared: the data set.
        last: frames taken of each play.
        buckets: frames that the training plays are padded to.
        progress: show a progress bar while the arrays are built.
    """

    kind = "mapped"

    def __init__(self, prepared: Prepared, last: Last, buckets: tuple[int, ...], progress: bool = False):
        layout = Layout(buckets=buckets, last=last["train"])
        self._last = {name: None if last[name] == layout.last else last[name] for name in USED}
        total = sum(prepared.plays.values())
        with tqdm(total=total, desc="arrays", unit=" plays", disable=not progress, delay=0.5) as bar:
            if not is_first():  # of several processes the first one builds
                wait_for_all("arrays are built")
            self._arrays = {
                name: open_arrays(prepared.path, name, layout, progress=partial(move, bar)) for name in USED
            }
            if is_first():
                wait_for_all("arrays are built")
        self.splits = {name: self._arrays[name].split(self._last[name]) for name in USED}

    def batches(self, name: str, buckets: tuple[int, ...], **sampling: Any) -> Epochs:
        """As `Source.batches`."""
        return ArrayBatches(self._arrays[name], buckets=buckets, last=self._last[name], **sampling)

    def arrays(self, name: str, buckets: tuple[int, ...]) -> Arrays | None:
        """As `Source.arrays`: None where the files are padded otherwise."""
        arrays = self._arrays[name]
        return arrays if arrays.buckets == buckets and self._last[name] is None else None

    @cached_property
    def mirror(self) -> Mirror:
        """As `Source.mirror`."""
        return mirror_of_slots(self._arrays["train"].occupied, self._arrays["train"].features)


class StreamSource(Source):
    """Records of a prepared data set, read ahead by Grain, see `sbp_jax.data.prepared.stream`.

    Args:
        prepared: the data set.
        last: frames taken of each play.

    Raises:
        InputError: Grain is not installed.
    """

    kind = "stream"

    def __init__(self, prepared: Prepared, last: Last):
        from sbp_jax.data.prepared import stream  # Grain is an extra

        try:
            stream.import_grain()
        except InputError as error:
            raise InputError(f"training.batch-source: {error}") from error
        self._stream, self._prepared, self._last = stream, prepared, last
        self.splits = {name: stream.open_split(prepared, name, last[name]) for name in USED}

    def batches(self, name: str, buckets: tuple[int, ...], **sampling: Any) -> Epochs:
        """As `Source.batches`."""
        path, last = self._prepared.path, self._last[name]
        return self._stream.StreamedBatches(path, name, buckets=buckets, last=last, ahead=AHEAD, **sampling)


def buckets_of(settings: TrainingConfig, lengths: np.ndarray) -> tuple[int, ...]:
    """Return the frames that training batches are padded to, by the lengths of their plays."""
    return settings.buckets or (int(lengths.max()),)


def choose(config: Config, dataset: Dataset, last: Last, in_memory: str = "") -> Kind:
    """Return the source of a configuration.

    The one place that says what `training.batch_source` and the older `training.resident` mean. "memory", "mapped" and
    "stream" name the source; the latter two read a prepared data set with splits of its own. "auto" takes

    1. memory, if the plays are there already, or if the frames of training and validation take at most `MEMORY_SHARE`
       (a quarter) of the available memory;
    2. else mapped, if the arrays have been built, or if the disk has room for them;
    3. else stream, if Grain is installed.

    `resident` does not change the source. True, the default, lets plays of memory and mapped stay on an accelerator, if
    they take at most `DEVICE_SHARE` (half) of its free memory (see `fits_device`); with False every batch is made on
    the host, as for a stream and on a CPU.

    Args:
        config: the run's.
        dataset: its plays.
        last: frames taken of each play.
        in_memory: who needs plays in memory, for the line that refuses another source; empty: nobody.

    Raises:
        InputError: a source that these plays do not have.
    """
    kind = config.training.batch_source
    reason = _unprepared(dataset)
    if kind in ("mapped", "stream"):
        if in_memory:
            raise InputError(f"training.batch-source: {in_memory}, expected memory or auto, got {kind}")
        if reason:
            raise InputError(f"training.batch-source: {kind} requires a prepared data set, and {reason}; choose memory")
    if kind != "auto":
        return kind
    return "memory" if in_memory or reason else _by_size(config.training, _prepared(dataset), last)


def open_source(config: Config, dataset: Dataset, last: Last, in_memory: str = "", progress: bool = False) -> Source:
    """Open the source of a configuration, see `choose` for the arguments; `progress` shows progress bars.

    Raises:
        InputError: as `choose`; the source needs an extra that is not installed.
    """
    kind = choose(config, dataset, last, in_memory)
    if kind == "memory":
        return MemorySource({name: dataset.split(name) for name in USED}, last)
    prepared = _prepared(dataset)
    if not prepared.plays["train"]:
        raise InputError(no_training_plays(dataset))
    if kind == "stream":
        return StreamSource(prepared, last)
    return MappedSource(prepared, last, _buckets(config.training, prepared, last), progress)


def no_training_plays(dataset: Dataset) -> str:
    """Return the line for a data set without training plays."""
    return f"{dataset.path}: no plays are left to train on beside those of validation and test"


def fits_device(arrays: Arrays, device: Any = None) -> bool:
    """Return whether arrays take at most `DEVICE_SHARE` of an accelerator's free memory; of a CPU they never do."""
    if is_cpu(device):
        return False
    free = free_bytes(device)
    return device_bytes(arrays) <= DEVICE_SHARE * smallest(np.inf if free is None else float(free))


def _unprepared(dataset: Dataset) -> str:
    """Why a data set has no arrays and records for its splits; empty where it has."""
    if not isinstance(dataset, PlayDataset):
        return "these plays are in memory"
    return "the plays of a fold are selected in memory" if dataset.fold is not None else ""


def _prepared(dataset: Dataset) -> Prepared:
    assert isinstance(dataset, PlayDataset)
    return dataset.prepared


def _buckets(settings: TrainingConfig, prepared: Prepared, last: Last) -> tuple[int, ...]:
    lengths = read_lengths(prepared, "train")
    return buckets_of(settings, np.minimum(lengths, last["train"] or np.inf).astype(np.int64))


def _by_size(settings: TrainingConfig, prepared: Prepared, last: Last) -> Kind:
    """Choose the first source that has room; all processes of a distributed training choose alike."""
    needed = sum(prepared.frames[name] for name in USED) * frame_bytes(PLAYERS, len(prepared.features))
    available = available_bytes()
    if fits(needed, smallest(np.inf if available is None else float(available))):
        return "memory"
    buckets = _buckets(settings, prepared, last)
    there = folder_of(prepared, Layout(buckets=buckets, last=last["train"])).is_dir()
    free = shutil.disk_usage(prepared.path).free
    room = there or arrays_bytes(prepared, buckets, last["train"]) <= 0.9 * free
    streams = importlib.util.find_spec("grain") is not None
    return "mapped" if smallest(float(room or not streams)) else "stream"
