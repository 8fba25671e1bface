"""Slots, the eight features, and what must not change them: the field's direction, later frames, the order of rows."""

import numpy as np
import polars as pl
import pytest

from sbp_jax.data.features import read_plays
from sbp_jax.data.player_slots import LINE_POSITIONS, assign_slots
from sbp_jax.data.plays import FEATURES, INFO_TYPES, SITUATION_FEATURES, STATIC_FEATURES
from sbp_jax.errors import InputError
from tests.data import fabricate

X, Y, VX, VY, AX, AY, COS, SIN = range(8)


def read(tmp_path, *tables: pl.DataFrame, name: str = "tracking.parquet"):
    tmp_path.mkdir(exist_ok=True)
    fabricate.write(pl.concat(tables), tmp_path / name)
    fabricate.write(fabricate.plays_table(*tables), tmp_path / "plays.csv")
    return read_plays(tmp_path)[0]


def test_names():
    assert len(FEATURES) == 8
    assert STATIC_FEATURES[: len(SITUATION_FEATURES)] == SITUATION_FEATURES
    assert all(name.endswith("_missing") for name in STATIC_FEATURES[len(SITUATION_FEATURES) :])


def test_every_player_stands_in_his_slot(tmp_path):
    plays = read(tmp_path, fabricate.play())
    snap = plays.frames[0]
    offense = np.array([(dx, dy) for _, dx, dy, _, _ in fabricate.OFFENSE])
    defense = np.array([(dx, dy) for _, dx, dy, _, _ in fabricate.DEFENSE])
    receivers = offense[6:][np.argsort(-offense[6:, 1])]
    markers = np.array([(6.0, 19.0), (6.0, 11.0), (4.5, 6.0), (4.5, -2.5), (6.0, -17.0)])
    others = np.array([row for row in defense.tolist() if row not in markers.tolist()])
    others = others[np.argsort(np.hypot(*others.T), kind="stable")]
    np.testing.assert_allclose(snap[0, :2], offense[0], atol=1e-5)
    np.testing.assert_allclose(snap[1:6, :2], offense[1:6], atol=1e-5)
    np.testing.assert_allclose(snap[6:11, :2], receivers, atol=1e-5)
    np.testing.assert_allclose(snap[11:16, :2], markers, atol=1e-5)
    np.testing.assert_allclose(np.hypot(*snap[16:, :2].T), np.hypot(*others.T), atol=1e-5)
    assert plays.present.all()
    assert plays.frames.dtype == np.float32


def test_features_of_straight_lines(tmp_path):
    plays = read(tmp_path, fabricate.play(frames=25))
    _, dx, dy, speed, heading = fabricate.OFFENSE[9]  # the running back, the fourth receiver from the left
    angle, time = np.deg2rad(heading), np.arange(25) / 10
    back = plays.frames[:, 9]
    np.testing.assert_allclose(back[:, X], dx + speed * np.cos(angle) * time, atol=1e-5)
    np.testing.assert_allclose(back[:, Y], dy + speed * np.sin(angle) * time, atol=1e-5)
    np.testing.assert_allclose(back[:, VX], speed * np.cos(angle), atol=1e-5)
    np.testing.assert_allclose(back[:, VY], speed * np.sin(angle), atol=1e-5)
    np.testing.assert_allclose(back[:, AX : AY + 1], 0.0, atol=1e-5)
    np.testing.assert_allclose(plays.frames[:, :11, COS], 1.0, atol=1e-6)
    np.testing.assert_allclose(plays.frames[:, 11:, COS], -1.0, atol=1e-6)
    np.testing.assert_allclose(plays.frames[:, :, SIN], 0.0, atol=1e-6)


def test_a_mirrored_play_has_the_same_features(tmp_path):
    right = read(tmp_path / "right", fabricate.play(seed=3))
    left = read(tmp_path / "left", fabricate.play(seed=3, direction="left"))
    np.testing.assert_allclose(left.frames, right.frames, atol=1e-5)
    unsaid = fabricate.play(seed=3, direction="left").with_columns(playDirection=pl.lit(None, pl.String))
    np.testing.assert_array_equal(read(tmp_path / "unsaid", unsaid).frames, left.frames)


def test_the_visitors_offense_has_the_same_features(tmp_path):
    home = read(tmp_path / "home", fabricate.play(seed=3))
    away = read(tmp_path / "away", fabricate.play(seed=3, offense="away"))
    np.testing.assert_array_equal(away.frames, home.frames)


def test_angles_wrap_without_a_jump(tmp_path):
    toward = {"o": pl.when(pl.col("frameId") % 2 == 0).then(359.0).otherwise(1.0)}
    plays = read(tmp_path, fabricate.play().with_columns(**toward))
    unit = plays.frames[..., COS : SIN + 1]
    assert np.abs(np.diff(unit, axis=0)).max() < np.deg2rad(2.1)
    np.testing.assert_allclose(unit[..., 1], np.cos(np.deg2rad(1.0)), atol=1e-6)


def test_later_frames_change_neither_slots_nor_earlier_features(tmp_path):
    table = fabricate.play(seed=5, frames=30)
    moved = table.with_columns(
        y=pl.when((pl.col("frameId") > 20) & (pl.col("position") != "QB")).then(pl.col("y") + 2.0).otherwise("y"),
        s=pl.when(pl.col("frameId") > 20).then(1.0).otherwise("s"),
    )
    first, second = read(tmp_path / "a", table), read(tmp_path / "b", moved)
    same = 20 - fabricate.LEAD  # frames up to number 20 in the file
    np.testing.assert_array_equal(second.frames[:same], first.frames[:same])
    assert not np.array_equal(second.frames[same:], first.frames[same:])


def test_what_follows_the_release_changes_nothing(tmp_path):
    table = fabricate.play(seed=5, frames=30)
    after = pl.col("frameId") > fabricate.LEAD + 30
    changed = table.with_columns(pl.when(after).then(1.0).otherwise(c).alias(c) for c in ("x", "y", "s", "dir", "o"))
    np.testing.assert_array_equal(read(tmp_path / "a", changed).frames, read(tmp_path / "b", table).frames)


def test_the_order_of_rows_in_the_file_does_not_matter(tmp_path):
    table = fabricate.play(seed=5)
    mixed = table.sample(fraction=1.0, shuffle=True, seed=1)
    np.testing.assert_array_equal(read(tmp_path / "a", mixed).frames, read(tmp_path / "b", table).frames)


def test_missing_players_leave_their_slots_empty(tmp_path):
    gone = ["T 1", "T 5", "G 2", "G 4", "C 3", "WR 6", "FS 21"]
    plays = read(tmp_path, fabricate.play().filter(~pl.col("displayName").is_in(gone)))
    empty = ~plays.present[0]
    # without linemen; four receivers have four markers, and the six other defenders fill the last slots
    assert np.flatnonzero(empty).tolist() == [1, 2, 3, 4, 5, 10, 15]
    assert not plays.frames[:, empty].any()
    assert plays.present.sum() == 15 * plays.lengths[0]


def test_a_player_who_vanishes_is_masked_from_then_on(tmp_path):
    table = fabricate.play(frames=20)
    gap = (pl.col("displayName") == "WR 6") & pl.col("frameId").is_between(12, 15)
    complete, holed = read(tmp_path / "a", table), read(tmp_path / "b", table.filter(~gap))
    absent = np.zeros(20, bool)
    absent[12 - fabricate.LEAD - 1 : 15 - fabricate.LEAD] = True
    np.testing.assert_array_equal(~holed.present[:, 6], absent)
    assert not holed.frames[absent, 6].any()
    np.testing.assert_array_equal(holed.frames[:, :6], complete.frames[:, :6])


def test_a_player_who_comes_late_takes_a_free_slot(tmp_path):
    table = fabricate.play(frames=20)
    late = (pl.col("displayName") == "WR 6") & (pl.col("frameId") < 12)
    plays = read(tmp_path, table.filter(~late))
    present = plays.present.sum(axis=0)
    assert sorted(present.tolist()) == [20 - 6] + [20] * 21
    assert present[6:11].min() == 14


@pytest.mark.parametrize("known", [True, False])
def test_slots_of_a_complete_team(known):
    offense = np.array([True] * 11 + [False] * 11)
    people = fabricate.OFFENSE + fabricate.DEFENSE
    position = [row[0] if known else None for row in people]
    x, y = np.array([row[1] for row in people]), np.array([row[2] for row in people])
    slot = assign_slots(x, y, offense, position, passer=0, ball=(0.0, 0.0))
    assert sorted(slot.tolist()) == list(range(22))
    assert slot[:6].tolist() == [0, 1, 2, 3, 4, 5]
    by_position = {name for name, s in zip([row[0] for row in people], slot, strict=True) if 1 <= s <= 5}
    assert by_position <= LINE_POSITIONS


def test_a_sixth_receiver_gets_a_linemans_slot_only_if_all_others_are_full():
    x, y = np.full(8, -1.0), np.array([0.0, 20.0, 15.0, 10.0, 5.0, -5.0, -15.0, 1.0])
    position = ["QB", "WR", "WR", "WR", "TE", "RB", "WR", "C"]
    slot = assign_slots(x, y, np.ones(8, bool), position, passer=0, ball=(0.0, 0.0))
    # five of six receivers have a receiver's slot; the one nearest to the ball, of the two at 5 yards, does not
    assert slot[7] == 1
    assert sorted(slot[1:7].tolist()) == [2, 6, 7, 8, 9, 10]
    assert slot[4] == 2 or slot[5] == 2


def test_twelve_defenders_all_find_a_slot():
    x, y = np.r_[0.0, np.linspace(1, 12, 12)], np.linspace(-20, 20, 13)
    offense = np.arange(13) == 0
    slot = assign_slots(x, y, offense, [None] * 13, passer=0, ball=(0.0, 0.0))
    assert len(set(slot.tolist())) == 13
    assert (slot >= 0).all()


def test_info_columns(tmp_path):
    plays = read(tmp_path, fabricate.play(frames=26), fabricate.play(number=80, seed=2))
    assert tuple(plays.info) == tuple(INFO_TYPES)
    np.testing.assert_allclose(plays.info["time_to_throw_s"], [2.5, 1.9], atol=1e-6)
    assert plays.info["week"].tolist() == [-1, -1]
    assert plays.passer.tolist() == ["QB 0", "QB 0"]
    assert plays.passer_id.tolist() == [1000, 1000]


def test_nothing_to_read(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_plays(tmp_path / "nowhere")
