"""Windows of series as plays: split in order of time, in their own units, identified by the content of the files."""

import shutil
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from sbp_jax.config import SeriesConfig
from sbp_jax.data.plays import WINDOW_FEATURES
from sbp_jax.data.series.windows import WINDOW_STATIC, read_windows
from sbp_jax.errors import InputError


def write(path, count=200, dated=True, factor=1.0):
    random = np.random.default_rng(3)
    at = [datetime(2020, 1, 1) + timedelta(hours=i) for i in range(count)] if dated else list(range(count))
    value = factor * (np.arange(count) + random.normal(size=count))
    pl.DataFrame({"time": at, "value": value}).write_csv(path)
    return path


@pytest.fixture
def config(tmp_path):
    paths = [write(tmp_path / "a.csv"), write(tmp_path / "b.csv", 150, factor=1e6)]
    return SeriesConfig(path=tuple(map(str, paths)), context=10, lead=2)


def test_splits_are_in_order_of_time_in_every_series(config):
    data = read_windows(config)
    for number, count in ((0, 200), (1, 150)):
        parts = [
            data.split(name).select(data.split(name).game_id == number) for name in ("train", "validation", "test")
        ]
        ends = [0.6 * count, 0.8 * count, count]
        assert parts[0].play_id[0] == 6  # five cells of ten are seen, and two steps lie between
        for part, begin, end in zip(parts, [6, *ends[:-1]], ends, strict=True):
            assert part.play_id.tolist() == list(range(int(begin), int(end)))
            assert set(part.passer) == {"ab"[number]}
    train = data.split("train")
    assert (train.features, train.static.shape[1]) == (WINDOW_FEATURES, len(WINDOW_STATIC))
    assert set(train.lengths) == {10}
    assert train.unit.shape == (len(train), 2)


def test_outcomes_are_in_the_series_unit_and_what_is_seen_is_in_the_window_s(config):
    train = read_windows(config).split("train")
    file = pl.read_csv(config.path[1])["value"].to_numpy()
    chosen = train.select(train.game_id == 1)
    np.testing.assert_allclose(chosen.outcome, file[chosen.play_id], rtol=1e-6)
    last = chosen.frames[chosen.offsets[1:] - 1, 0, 0].astype(float)
    location, scale = chosen.info["location"], chosen.info["scale"]
    np.testing.assert_allclose(location + scale * np.sinh(last), file[chosen.play_id - 2], rtol=1e-5)
    assert chosen.frames[:, 0, 1].mean() > 0.9
    clock = dict(zip(WINDOW_STATIC, chosen.static[18 - chosen.play_id[0]].tolist(), strict=True))
    assert clock["day_sin"] == pytest.approx(-1.0)  # 18 hours
    assert clock["log_scale"] == pytest.approx(np.log(scale[18 - chosen.play_id[0]]), rel=1e-5)


def test_times_that_are_no_dates_have_no_clock(tmp_path):
    path = write(tmp_path / "plain.csv", dated=False)
    train = read_windows(SeriesConfig(path=(str(path),), context=10)).split("train")
    assert not train.static[:, 2:].any()


def test_fingerprint_is_of_content_and_cut(config, tmp_path):
    one = read_windows(config)
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in config.path:
        shutil.copy(path, moved)
    assert read_windows(config, moved).fingerprint == one.fingerprint
    assert read_windows(replace(config, lead=1)).fingerprint != one.fingerprint
    write(moved / "b.csv", 151)
    assert read_windows(config, moved).fingerprint != one.fingerprint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": ()}, "data.path: expected files with a series each, got none"),
        ({"test": 0.6, "validation": 0.4}, "data.test: nothing is left to train on after it and 0.4 for validation"),
        ({"test": -0.1}, "data.test: expected a share from 0 to 0.99, got -0.1"),
        ({"context": 260}, r"a.csv: too short a series: no window of 260 steps .* 1 to 120 of 200, those of the train"),
        ({"context": 0}, "context: expected at least 1 step, got 0"),
        ({"value": "price"}, "a.csv has no column 'price'"),
    ],
)
def test_mistakes_are_one_line(config, change, message):
    with pytest.raises(InputError, match=message) as caught:
        read_windows(replace(config, **change))
    assert "\n" not in str(caught.value)


def test_files_of_two_folders_or_of_one_name_are_refused(config, tmp_path):
    (tmp_path / "deep").mkdir()
    with pytest.raises(InputError, match="expected files of one folder"):
        read_windows(replace(config, path=(config.path[0], str(write(tmp_path / "deep" / "c.csv")))))
    with pytest.raises(InputError, match="expected files of different names"):
        read_windows(replace(config, path=(config.path[0], config.path[0])))
