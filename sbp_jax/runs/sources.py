"""Sources of the batches of a training run: plays in memory, mapped arrays, or streamed records.

Every source yields the same plays in the same order in the same batches, so that trained parameters do not depend on
it. docs/explanation/batch-sources.md describes the sources and their memory.
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
from sbp_jax.data.plays import PLAYERS, Sequences, Split
from sbp_jax.data.prepared.cache import Layout, arrays_bytes, folder_of, open_arrays
from sbp_jax.data.prepared.dataset import Prepared, read_lengths
from sbp_jax.errors import InputError
from sbp_jax.runs.datasets import Dataset, PlayDataset, move
from sbp_jax.training.distributed import is_first, smallest, wait_for_all
from sbp_jax.training.resident import device_bytes, free_bytes, is_cpu

Kind = Literal["memory", "mapped", "stream"]
Last = Mapping[str, int | None]  # split -> number of last frames of each play to use; None uses all
USED = ("train", "validation")
AHEAD = 4  # number of batches that Grain reads ahead
DEVICE_SHARE = 0.5  # share of an accelerator's free memory for plays; programs and states need the rest


class Source(ABC):
    """The training and validation plays of a run, as far as its network sees them.

    Attributes:
        kind: name of the source.
        splits: the splits "train" and "validation".
    """

    kind: Kind
    splits: Mapping[str, Split]

    @abstractmethod
    def batches(self, name: str, buckets: tuple[int, ...], **sampling: Any) -> Epochs:
        """Return the batches of a split, without reflection.

        Args:
            name: name of the split.
            buckets: numbers of frames that batches are padded to.
            sampling: `batch_size`, `seed` and `shuffle`, see `Epochs`.
        """

    def arrays(self, name: str, buckets: tuple[int, ...]) -> Arrays | None:
        """Return the plays of a split as arrays padded to `buckets`, for a device; None if the source has none."""
        del name, buckets

    @cached_property
    def mirror(self) -> Mirror | None:
        """The reflection of the training plays on a device; None if the source never puts plays there."""
        return None


class MemorySource(Source):
    """Plays in memory, from any data set.

    Args:
        plays: plays of "train" and "validation".
        last: number of last frames of each play to use.
    """

    kind = "memory"

    def __init__(self, plays: Mapping[str, Sequences], last: Last):
        self.plays = {name: plays[name] if (count := last[name]) is None else plays[name].last(count) for name in USED}
        self.splits = {name: Split.of(self.plays[name]) for name in USED}

    def batches(self, name: str, buckets: tuple[int, ...], **sampling: Any) -> Epochs:
        """Return the batches of a split; see `Source.batches`."""
        return ArrayBatches(self.arrays(name, buckets), **sampling)

    def arrays(self, name: str, buckets: tuple[int, ...]) -> Arrays:
        """Return the padded plays of a split; see `Source.arrays`."""
        return Arrays.of(self.plays[name], buckets)

    @cached_property
    def mirror(self) -> Mirror:
        """Reflection of the training plays; see `Source.mirror`."""
        return mirror_of(self.plays["train"])


class MappedSource(Source):
    """Padded arrays in mapped files, built once next to the prepared data set, see `sbp_jax.data.prepared.cache`.

    Args:
        prepared: the data set.
        last: number of last frames of each play to use.
        buckets: numbers of frames that the training plays are padded to.
        progress: show a progress bar while the arrays are built.
    """

    kind = "mapped"

    def __init__(self, prepared: Prepared, last: Last, buckets: tuple[int, ...], progress: bool = False):
        layout = Layout(buckets=buckets, last=last["train"])
        self._last = {name: None if last[name] == layout.last else last[name] for name in USED}
        total = sum(prepared.plays.values())
        with tqdm(total=total, desc="arrays", unit=" plays", disable=not progress, delay=0.5) as bar:
            if not is_first():  # the first process builds the arrays
                wait_for_all("arrays are built")
            self._arrays = {
                name: open_arrays(prepared.path, name, layout, progress=partial(move, bar)) for name in USED
            }
            if is_first():
                wait_for_all("arrays are built")
        self.splits = {name: self._arrays[name].split(self._last[name]) for name in USED}

    def batches(self, name: str, buckets: tuple[int, ...], **sampling: Any) -> Epochs:
        """Return the batches of a split; see `Source.batches`."""
        return ArrayBatches(self._arrays[name], buckets=buckets, last=self._last[name], **sampling)

    def arrays(self, name: str, buckets: tuple[int, ...]) -> Arrays | None:
        """Return the padded plays of a split; None if the files have other padding. See `Source.arrays`."""
        arrays = self._arrays[name]
        return arrays if arrays.buckets == buckets and self._last[name] is None else None

    @cached_property
    def mirror(self) -> Mirror:
        """Reflection of the training plays; see `Source.mirror`."""
        return mirror_of_slots(self._arrays["train"].occupied, self._arrays["train"].features)


class StreamSource(Source):
    """Records of a prepared data set, read ahead by Grain, see `sbp_jax.data.prepared.stream`.

    Args:
        prepared: the data set.
        last: number of last frames of each play to use.

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
        """Return the batches of a split; see `Source.batches`."""
        path, last = self._prepared.path, self._last[name]
        return self._stream.StreamedBatches(path, name, buckets=buckets, last=last, ahead=AHEAD, **sampling)


def buckets_of(settings: TrainingConfig, lengths: np.ndarray) -> tuple[int, ...]:
    """Return the numbers of frames that training batches are padded to; by default the length of the longest play."""
    return settings.buckets or (int(lengths.max()),)


def choose(config: Config, dataset: Dataset, last: Last, in_memory: str = "") -> Kind:
    """Return the source of a configuration.

    This function defines `training.batch_source` and the older `training.resident`. "memory", "mapped" and "stream"
    name the source; the latter two read a prepared data set with splits of its own. "auto" chooses

    1. memory, if the plays are in memory already, or if the frames of training and validation take at most
       `MEMORY_SHARE` (a quarter) of the available memory;
    2. else mapped, if the arrays exist, or if they fit on the disk;
    3. else stream, if Grain is installed.

    `resident` does not change the source. True, the default, keeps plays from memory and mapped on an accelerator if
    they take at most `DEVICE_SHARE` (half) of its free memory (see `fits_device`). With False all batches are made on
    the host, as they are for stream and on a CPU.

    Args:
        config: configuration of the run.
        dataset: its plays.
        last: number of last frames of each play to use.
        in_memory: reason why the plays must be in memory, for the message that rejects other sources; empty if they
            need not be.

    Raises:
        InputError: the source is not available for these plays.
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
    """Open the source of a configuration; for the arguments see `choose`, and `progress` shows progress bars.

    Raises:
        InputError: see `choose`; or the source needs an extra that is not installed.
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
    """Return the error message for a data set without training plays."""
    return f"{dataset.path}: no plays are left for training, apart from those for validation and test"


def fits_device(arrays: Arrays, device: Any = None) -> bool:
    """Return whether arrays take at most `DEVICE_SHARE` of an accelerator's free memory; always False on a CPU."""
    if is_cpu(device):
        return False
    free = free_bytes(device)
    return device_bytes(arrays) <= DEVICE_SHARE * smallest(np.inf if free is None else float(free))


def _unprepared(dataset: Dataset) -> str:
    """The reason why a data set has no arrays and records for its splits; empty if it has."""
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
    """The first source that fits; all processes of a distributed run get the same one."""
    num_bytes = sum(prepared.frames[name] for name in USED) * frame_bytes(PLAYERS, len(prepared.features))
    available = available_bytes()
    if fits(num_bytes, smallest(np.inf if available is None else float(available))):
        return "memory"
    buckets = _buckets(settings, prepared, last)
    is_built = folder_of(prepared, Layout(buckets=buckets, last=last["train"])).is_dir()
    free = shutil.disk_usage(prepared.path).free
    fits_disk = is_built or arrays_bytes(prepared, buckets, last["train"]) <= 0.9 * free
    can_stream = importlib.util.find_spec("grain") is not None
    return "mapped" if smallest(float(fits_disk or not can_stream)) else "stream"
