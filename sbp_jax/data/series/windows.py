"""Windows of time series as training data: a window is a play with one entity, and its cells are the frames."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sbp_jax.data.plays import WINDOW_FEATURES, Sequences
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
    """Windows of several series, with splits in order of time.

    Attributes:
        folder: folder of all files.
        series: the series in the order of the files.
        splits: windows of "train", "validation" and "test". `game_id` is the number of the series, `passer` its name,
            `play_id` the number of the observation that is the outcome, `outcome` that observation in the series' unit;
            `info` has `location` and `scale`, which define the unit of the predicted distribution, and `time`.
        fingerprint: hexadecimal digits that identify the content of the files and the configuration.
    """

    folder: Path
    series: tuple[Series, ...]
    splits: dict[str, Sequences]
    fingerprint: str

    def split(self, name: str) -> Sequences:
        """Return the windows of a split; InputError if there is none of that name."""
        if name not in self.splits:
            raise InputError(f"split: expected one of {', '.join(SPLITS)}, got {name!r}")
        return self.splits[name]


def read_windows(config: SeriesConfig, folder: Path | None = None) -> SeriesSet:
    """Read series and cut them into windows.

    Args:
        config: files and windows. The fractions of train, validation and test apply to each series, in this order of
            time; a window belongs to the split of its outcome, and its context may be older.
        folder: folder of the files, if it is not the one in the configuration.

    Raises:
        InputError: there is no file, or two have one name; a split has no window; and as for `read_series` and
            `windows`.
    """
    files = _files(config.path, folder)
    fractions = (1.0 - config.validation - config.test, config.validation, config.test)
    series = tuple(read_series(file, config.time, config.value) for file in files)
    parts: dict[str, list[Sequences]] = {split: [] for split in SPLITS}
    for number, (file, each) in enumerate(zip(files, series, strict=True)):
        ends = np.round(np.cumsum([0.0, *fractions]) * len(each)).astype(int)
        cells = windows(each, config.context, config.lead, training=int(ends[1]))
        plays = as_sequences(each, cells, number)
        for split, begin, end in zip(SPLITS, ends[:-1], ends[1:], strict=True):
            members = np.flatnonzero((cells.index >= begin) & (cells.index < end))
            if not len(members) and end > begin:
                raise InputError(
                    f"{file}: too short a series: no window of {config.context} steps lies before an outcome among the "
                    f"observations {begin + 1} to {end} of {len(each)}, those of the {split} split"
                )
            parts[split].append(plays.select(members))
    cutting = {name: value for name, value in dataclasses.asdict(config).items() if name != "path"}
    # windows on a calendar differ from those of equal steps; all others keep the digest of earlier versions
    cutting |= {"grids": [each.period for each in series]} if not all(each.is_plain for each in series) else {}
    splits = {split: Sequences.concatenate(members) for split, members in parts.items()}
    return SeriesSet(files[0].parent, series, splits, json_digest(cutting, files)[:16])


def _files(paths: Sequence[str], folder: Path | None) -> list[Path]:
    """Paths of the files, in `folder` if it is given; they share one folder, so that a run can record it."""
    files = [Path(path) for path in paths]
    if not files:
        raise InputError("data.path: expected files with a series each, got none")
    if len({file.parent.absolute() for file in files}) > 1:
        raise InputError(f"data.path: expected files of one folder, got {', '.join(paths)}")
    if len({file.stem for file in files}) < len(files):
        raise InputError(f"data.path: expected files of different names, got {', '.join(paths)}")
    return files if folder is None else [folder / file.name for file in files]


def as_sequences(series: Series, cells: Windows, number: int = 0) -> Sequences:
    """Return the windows of a series as plays of game `number`, with the columns of `SeriesSet`."""
    count, context = cells.value.shape
    frames = np.stack([np.arcsinh(cells.scaled), cells.seen], axis=-1).astype(np.float32)
    time = series.time[cells.index]
    static = np.zeros((count, len(WINDOW_STATIC)), np.float32)
    static[:, 0] = np.log(cells.scale)
    static[:, 1] = np.arcsinh(cells.location / cells.scale)
    if series.dated:
        for column, period in ((2, _DAY_S), (4, _WEEK_S)):
            angle = 2 * np.pi * np.mod(time, period) / period
            static[:, column], static[:, column + 1] = np.cos(angle), np.sin(angle)
    return Sequences(
        frames=frames.reshape(count * context, 1, len(WINDOW_FEATURES)),
        offsets=np.arange(count + 1, dtype=np.int64) * context,
        present=np.ones((count * context, 1), bool),
        static=static,
        outcome=cells.outcome,
        game_id=np.full(count, number, np.int64),
        play_id=cells.index.astype(np.int64),
        passer_id=np.full(count, number, np.int64),
        passer=np.full(count, series.name),
        info={"location": cells.location, "scale": cells.scale, "time": time},
        features=WINDOW_FEATURES,
    )
