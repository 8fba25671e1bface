"""One record per play, as a TFDS array_record data set: written by `PassingPlays`, read without TensorFlow."""

import contextlib
import io
import itertools
import shutil
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import shuffle

from sbp_jax.atomic import atomic_write
from sbp_jax.data.plays import COLUMN_TYPES, INFO_TYPES, PLAYER_FEATURES, PLAYERS, STATIC_FEATURES, Plays, current_name

VERSION = tfds.core.Version("1.0.0")


def save_chunk(plays: Plays, stem: Path) -> Path:
    """Write plays to `stem`.npz, as input of `PassingPlays`, and return that path."""
    columns = {name: value for name, value in vars(plays).items() if name != "info"}
    columns |= {f"info_{name}": value for name, value in plays.info.items()}
    columns["features"] = np.array(plays.features)
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **columns)
    path = stem.with_suffix(".npz")
    atomic_write(path, content.getvalue())
    return path


def games_seasons_lengths(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return game, season and number of frames of each play of a chunk, int64 `[plays]`, without reading the rest."""
    with np.load(path) as arrays:
        return arrays["game_id"], arrays["info_season"], np.diff(arrays["offsets"])


def load_chunk(path: Path) -> Plays:
    """Return the plays that `save_chunk` wrote."""
    with np.load(path) as arrays:
        info = {name: arrays[f"info_{name}"] for name in INFO_TYPES}
        columns = {current_name(name): arrays[name] for name in arrays.files if not name.startswith("info_")}
        features = tuple(columns.pop("features").tolist())
        return Plays(**columns, info=info, features=features)


def write_records(
    chunks: Sequence[Path], games: dict[str, list[int]], folder: Path, beam_options: Any | None = None
) -> None:
    """Write the plays of `chunks` below `folder`, each to the split of its game.

    Args:
        chunks: files written by `save_chunk`.
        games: games of each split.
        folder: destination.
        beam_options: Apache Beam's `PipelineOptions` to make the records in its pipeline; None makes them here.
    """
    with np.load(chunks[0]) as arrays:  # all chunks of a reading have the same features
        columns, static = len(arrays["features"]), arrays["static"].shape[1]
    builder = PassingPlays(
        chunks=chunks,
        games=games,
        columns=columns,
        static=static,
        by_pipeline=beam_options is not None,
        data_dir=str(folder),
        file_format="array_record",
    )
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()), external_shuffle():
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(beam_options=beam_options))
    shutil.rmtree(folder / "downloads", ignore_errors=True)


def read_records(folder: Path, split: str) -> Iterator[dict[str, Any]]:
    """Yield the records of a split that has plays, in the data set's fixed order."""
    builder: Any = _builder(folder)
    for record in builder.as_data_source(split):
        yield {current_name(name): value for name, value in record.items()}


class RecordSource:
    """A split with plays, readable in any order and by any thread.

    Args:
        folder: the prepared data set.
        split: name of the split.
        names: columns to decode: decoding takes longer than reading, and most columns are rarely needed.
    """

    def __init__(self, folder: Path, split: str, names: Sequence[str]) -> None:
        builder: Any = _builder(folder)
        features = builder.info.features
        columns = [name for name in features if current_name(name) in names]
        self._features = tfds.features.FeaturesDict({name: features[name] for name in columns})
        self._bytes = builder.as_data_source(split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES)

    def __len__(self) -> int:
        return len(self._bytes)

    def read(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        """Return the records at `indices`."""
        decode: Any = self._features.deserialize_example_np
        records = (decode(content) for content in self._bytes.__getitems__(indices))
        return [{current_name(name): value for name, value in record.items()} for record in records]


def _builder(folder: Path) -> Any:
    return tfds.builder_from_directory(str(folder / PassingPlays.name / str(VERSION)))


class _LocalInfo(tfds.core.DatasetInfo):
    def initialize_from_bucket(self) -> None:
        """Query no bucket for an unpublished data set: TFDS would leave an empty temporary folder each time."""


class PassingPlays(tfds.core.GeneratorBasedBuilder):
    """TFDS builder for plays that are already read, with one file of arrays per chunk.

    Args:
        chunks: files written by `save_chunk`.
        games: games of each split.
        columns: number of features of a player.
        static: number of static features of a play.
        by_pipeline: whether an Apache Beam pipeline makes the records, one chunk per element.
        kwargs: as for every TFDS builder.
    """

    VERSION = VERSION

    def __init__(
        self,
        *,
        chunks: Sequence[Path] = (),
        games: dict[str, list[int]] | None = None,
        columns: int = PLAYER_FEATURES,
        static: int = len(STATIC_FEATURES),
        by_pipeline: bool = False,
        **kwargs: Any,
    ) -> None:
        self._chunks, self._games, self._by_pipeline = chunks, games or {}, by_pipeline
        self._columns, self._static = columns, static
        super().__init__(**kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        return _LocalInfo(builder=self, features=_features(self._columns, self._static))

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        # TFDS rejects splits without examples; load() knows the sizes
        return {split: self._generate_examples(games) for split, games in self._games.items() if games}

    def _generate_examples(self, games: list[int]) -> Any:
        if not self._by_pipeline:
            return itertools.chain.from_iterable(_examples(path, games) for path in self._chunks)
        import apache_beam as beam

        return beam.Create(list(self._chunks)) | beam.Reshuffle() | beam.FlatMap(_examples, games)


def _examples(path: Path, games: list[int]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Keys and records of a chunk's plays in the given games."""
    plays = load_chunk(path)
    for i in np.flatnonzero(np.isin(plays.game_id, np.array(games))):
        rows = slice(plays.offsets[i], plays.offsets[i + 1])
        record = {"frames": plays.frames[rows], "present": plays.present[rows], "static": plays.static[i]}
        record |= {name: getattr(plays, name)[i] for name in COLUMN_TYPES}
        record |= {name: plays.info[name][i] for name in INFO_TYPES}
        yield f"{plays.game_id[i]}-{plays.play_id[i]}", record


def _features(columns: int, static: int) -> tfds.features.FeaturesDict:
    raw = tfds.features.Encoding.BYTES  # ten times faster to write than a list of numbers
    kinds = {**COLUMN_TYPES, **INFO_TYPES}
    return tfds.features.FeaturesDict(
        {
            "frames": tfds.features.Tensor(shape=(None, PLAYERS, columns), dtype=np.float32, encoding=raw),
            "present": tfds.features.Tensor(shape=(None, PLAYERS), dtype=np.bool_, encoding=raw),
            "static": tfds.features.Tensor(shape=(static,), dtype=np.float32, encoding=raw),
            **{
                name: tfds.features.Text() if kind is np.str_ else tfds.features.Scalar(kind)
                for name, kind in kinds.items()
            },
        }
    )


_HEAD = struct.Struct("=16sQ")  # key and length of a record


class Bucket:
    """Records of a range of keys in a file, with the interface of TFDS's own bucket; open only during a write."""

    def __init__(self, path: Any) -> None:
        self._path = Path(path)
        self._length = 0
        self._size = 0

    @property
    def size(self) -> int:
        """Total bytes of the records."""
        return self._size

    def __len__(self) -> int:
        return self._length

    def add(self, key: int, data: bytes) -> None:
        """Append a record."""
        if not self._length:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:  # a thousand open buckets would exceed a process's limit of open files
            file.write(_HEAD.pack(key.to_bytes(16, "little"), len(data)) + data)
        self._length += 1
        self._size += len(data)

    def read_values(self) -> Iterator[tuple[int, bytes]]:
        """Yield key and record in the order of insertion."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            while head := file.read(_HEAD.size):
                key, size = _HEAD.unpack(head)
                yield int.from_bytes(key, "little"), file.read(size)

    def del_file(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)


def external_shuffle() -> contextlib.AbstractContextManager[Any]:
    """Return a context in which TFDS shuffles in `Bucket`s on disk; the order of the records is the same."""
    return mock.patch.object(shuffle, "_Bucket", Bucket)
