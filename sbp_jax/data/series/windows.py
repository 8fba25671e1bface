"""Windows of time series as what a network trains on: a window is a play of one entity, its cells are the frames."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sbp_jax.data.plays import WINDOW_FEATURES, Plays
from sbp_jax.data.prepared.splits import SPLITS
from sbp_jax.data.series.config import SeriesConfig
from sbp_jax.data.series.reading import Series, Windows, read_series, windows
from sbp_jax.digests import json_digest
from sbp_jax.errors import InputError

_SCALES = ("log_scale", "level")
_CLOCK = ("day_cos", "day_sin", "week_cos", "week_sin")
WINDOW_STATIC = (*_SCALES, *_CLOCK)
_DAY_S, _WEEK_S = 86_400.0, 7 * 86_400.0


@dataclass(frozen=True, eq=False)
class SeriesSet:
    """Windows of several series, each split in order of time.

    Attributes:
        folder: that all files are in.
        series: in order of the files.
        splits: the windows of "train", "validation" and "test". `game_id` is the number of the series, `passer` its
            name, `play_id` the number of the observation that is the outcome, `yards` the outcome itself in the
            series' unit; `info` has `location` and `scale`, in whose units its distribution is predicted, and `time`.
        fingerprint: hexadecimal digits that name the files' content and how they were cut.
    """

    folder: Path
    series: tuple[Series, ...]
    splits: dict[str, Plays]
    fingerprint: str

    def split(self, name: str) -> Plays:
        """The windows of a split; InputError where there is none of that name."""
        if name not in self.splits:
            raise InputError(f"split: expected one of {', '.join(SPLITS)}, got {name!r}")
        return self.splits[name]


def read_windows(config: SeriesConfig, folder: Path | None = None) -> SeriesSet:
    """Read series and cut them into windows.

    Args:
        config: the files, and how they are cut. The shares of train, validation and test are each series', in this
            order of time; a window belongs where its outcome does, what it sees may be older.
        folder: that the files are in, where it is another one than the configuration says.

    Raises:
        InputError: no file, or two of one name; a split without a window; as `read_series` and
            `windows`.
    """
    files = _files(config.path, folder)
    fractions = (1.0 - config.validation - config.test, config.validation, config.test)
    series = tuple(read_series(file, config.time, config.value) for file in files)
    parts: dict[str, list[Plays]] = {split: [] for split in SPLITS}
    for number, (file, each) in enumerate(zip(files, series, strict=True)):
        ends = np.round(np.cumsum([0.0, *fractions]) * len(each)).astype(int)
        found = windows(each, config.context, config.lead, training=int(ends[1]))
        plays = as_plays(each, found, number)
        for split, begin, end in zip(SPLITS, ends[:-1], ends[1:], strict=True):
            members = np.flatnonzero((found.index >= begin) & (found.index < end))
            if not len(members) and end > begin:
                raise InputError(
                    f"{file}: too short a series: no window of {config.context} steps lies before an outcome among the "
                    f"observations {begin + 1} to {end} of {len(each)}, those of the {split} split"
                )
            parts[split].append(plays.select(members))
    cut = {name: value for name, value in dataclasses.asdict(config).items() if name != "path"}
    splits = {split: Plays.concatenate(members) for split, members in parts.items()}
    return SeriesSet(files[0].parent, series, splits, json_digest(cut, files)[:16])


def _files(paths: Sequence[str], folder: Path | None) -> list[Path]:
    """The files, from `folder` if it is told; they lie in one, so that a run tells where it had its series from."""
    files = [Path(path) for path in paths]
    if not files:
        raise InputError("data.path: expected files with a series each, got none")
    if len({file.parent.absolute() for file in files}) > 1:
        raise InputError(f"data.path: expected files of one folder, got {', '.join(paths)}")
    if len({file.stem for file in files}) < len(files):
        raise InputError(f"data.path: expected files of different names, got {', '.join(paths)}")
    return files if folder is None else [folder / file.name for file in files]


def as_plays(series: Series, found: Windows, number: int = 0) -> Plays:
    """The windows of a series as plays of a game that has its number; their columns are those of `SeriesSet`."""
    count, context = found.value.shape
    frames = np.stack([np.arcsinh(found.scaled), found.seen], axis=-1).astype(np.float32)
    time = series.time[found.index]
    static = np.zeros((count, len(WINDOW_STATIC)), np.float32)
    static[:, 0] = np.log(found.scale)
    static[:, 1] = np.arcsinh(found.location / found.scale)
    if series.dated:
        for column, period in ((2, _DAY_S), (4, _WEEK_S)):
            angle = 2 * np.pi * np.mod(time, period) / period
            static[:, column], static[:, column + 1] = np.cos(angle), np.sin(angle)
    return Plays(
        frames=frames.reshape(count * context, 1, len(WINDOW_FEATURES)),
        offsets=np.arange(count + 1, dtype=np.int64) * context,
        players=np.ones((count * context, 1), bool),
        static=static,
        yards=found.outcome.astype(np.float32),
        game_id=np.full(count, number, np.int64),
        play_id=found.index.astype(np.int64),
        passer_id=np.full(count, number, np.int64),
        passer=np.full(count, series.name),
        info={"location": found.location, "scale": found.scale, "time": time},
        features=WINDOW_FEATURES,
    )
