"""Every extra against its definition in plain loops, every source of the target, and the missing values."""

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from sbp_jax.data.extras import feature_names
from sbp_jax.data.features import plays_from_chunk, read_plays
from sbp_jax.data.player_slots import RECEIVERS
from sbp_jax.data.plays import FEATURES
from sbp_jax.data.readers.kinematics import FIELD_WIDTH_YARDS
from sbp_jax.data.readers.rules import EXTRAS, Rules, check_extras
from sbp_jax.data.readers.tracking import read_tracking
from sbp_jax.errors import InputError
from tests.data import fabricate, publishers

ALL = tuple(EXTRAS)
RULES = Rules(extras=ALL)
COLUMNS = feature_names(ALL)[8:]
RECEIVER = 1006  # the leftmost of the fabricated receivers
NOBODY = "plays without a recorded target: nobody is marked"
TWICE = "plays with two different recorded targets: nobody is marked"
UNTRACKED = "plays whose target is not tracked with the offense: nobody is marked"


def targets_file(folder, targets: dict[int, int | None], game=2018090900):
    rows = {"gameId": [game] * len(targets), "playId": list(targets), "targetNflId": list(targets.values())}
    publishers.write(pl.DataFrame(rows), folder / "targetedReceiver.csv")
    return folder


def expected(chunk, plays, i):
    """Columns of play `i` by definition, {(frame, slot, column): value}; missing entries are 0."""
    facts = chunk.plays.row(i, named=True)
    rows = chunk.frames.filter(pl.col("game_id") == facts["game_id"], pl.col("play_id") == facts["play_id"]).to_dicts()
    values = {}
    for t in range(facts["frames"]):
        people = [row for row in rows if row["frame"] == t]
        defenders = [row for row in people if not row["offense"]]
        own = plays.frames[plays.offsets[i] + t]
        for row in people:
            place = row["x"] - facts["ball_x"], row["y"] - FIELD_WIDTH_YARDS / 2
            slot = min(range(22), key=lambda s, at=place: abs(own[s, 0] - at[0]) + abs(own[s, 1] - at[1]))
            gaps = [math.hypot(row["x"] - d["x"], row["y"] - d["y"]) for d in defenders]
            columns = {"time_since_snap_s": t / 10}
            if slot in RECEIVERS and row["offense"] and gaps:
                columns |= {"receiver_separation_yards": min(gaps), "receiver_separation_known": 1}
            if row["player_id"] == facts["passer_id"]:
                columns |= {"quarterback_speed_yps": math.hypot(row["vx"], row["vy"])}
                complete = len(gaps) == 11
                columns |= {"rusher_distance_yards": min(gaps), "rusher_distance_known": 1} if complete else {}
            if row["player_id"] == facts["target_id"]:
                near = sum(gap <= 2 for gap in gaps)
                columns |= {"target": 1, "target_defenders": near, "target_defenders_known": int(bool(gaps))}
            values |= {(t, slot, name): value for name, value in columns.items()}
    return values


def assert_as_defined(chunk):
    plays = plays_from_chunk(chunk)
    assert plays.features == (*FEATURES, *COLUMNS)
    for i in range(len(plays)):
        wanted = np.zeros((plays.lengths[i], 22, len(COLUMNS)))
        for (t, slot, name), value in expected(chunk, plays, i).items():
            wanted[t, slot, COLUMNS.index(name)] = value
        frames = plays.frames[plays.offsets[i] : plays.offsets[i + 1], :, 8:]
        np.testing.assert_allclose(frames, wanted, rtol=1e-6, atol=1e-6)
    assert not plays.frames[~plays.present].any()
    np.testing.assert_array_equal(plays.frames[..., :8], plays_from_chunk(replace(chunk, extras=())).frames)
    return plays


def test_columns_are_as_defined_with_players_who_come_and_go(tmp_path):
    tables = [fabricate.play(number=50 + i, seed=i, direction=("right", "left")[i % 2], frames=22) for i in range(4)]
    table = pl.concat(tables).sort("playId")
    gone = (pl.col("displayName") == "WR 6") & pl.col("frameId").is_between(12, 17)
    late = (pl.col("displayName") == "DE 11") & (pl.col("frameId") < 14)
    linemen = (pl.col("playId") == 52) & pl.col("position").is_in(["T", "G", "C", "DT", "DE"])
    publishers.publish("2021", table.filter(~(gone | late | linemen).fill_null(value=False)), tmp_path)
    (chunk,) = read_tracking(targets_file(tmp_path, {50: 1006, 51: 1009, 52: 1008, 53: None}), RULES)
    plays = assert_as_defined(chunk)
    column = plays.features.index("target")
    marked = [plays.frames[a:b, :, column].any() for a, b in zip(plays.offsets, plays.offsets[1:], strict=False)]
    assert marked == [True, True, True, False]
    assert chunk.report.repaired[NOBODY] == 1
    assert plays.frames[..., plays.features.index("target_defenders")].max() >= 1


def test_known_distances(tmp_path):
    """Motionless defenders at chosen positions, the second one exactly at two yards."""
    table = fabricate.play().with_columns(s=pl.lit(0.0))
    at = {1516: (39.5, 46.65 + 1.5), 1517: (39.5 + 2.0, 46.65), 1518: (39.5, 46.65 - 2.01)}
    fixed = pl.col("x"), pl.col("y")
    fixed = [pl.when(pl.col("nflId") == 1006).then(v).otherwise(e) for e, v in zip(fixed, (39.5, 46.65), strict=True)]
    for player, place in at.items():
        fixed = [pl.when(pl.col("nflId") == player).then(v).otherwise(e) for e, v in zip(fixed, place, strict=True)]
    table = table.with_columns(x=fixed[0], y=fixed[1])
    (chunk,) = read_tracking(targets_file(publishers.publish("2021", table, tmp_path), {75: 1006}), RULES)
    plays = plays_from_chunk(chunk)
    last = dict(zip(COLUMNS, plays.frames[-1, 6, 8:], strict=True))
    assert last["receiver_separation_yards"] == pytest.approx(1.5, abs=1e-5)
    assert (last["target"], last["target_defenders"], last["target_defenders_known"]) == (1, 2, 1)
    assert last["time_since_snap_s"] == pytest.approx(1.9)
    passer = dict(zip(COLUMNS, plays.frames[0, 0, 8:], strict=True))
    assert passer["rusher_distance_yards"] == pytest.approx(math.hypot(6.0, 1.2), abs=1e-5)
    assert passer["receiver_separation_known"] == 0


def test_a_real_game_is_as_defined(real_data, tmp_path):
    (path,) = (real_data / "big_data_bowl").glob("2021*tracking.parquet")
    (outcomes,) = (real_data / "big_data_bowl").glob("2021*outcomes.csv")
    rows = pl.read_parquet(path).filter(pl.col("position").is_in(["WR", "TE", "RB"]))
    some = rows.select("gameId", "playId", "nflId").unique().sort("nflId").unique("playId", keep="first")
    listed = some.cast(pl.Int64).rename({"nflId": "targetNflId"}).filter(pl.col("playId") % 5 != 0)
    publishers.write(listed, tmp_path / "targetedReceiver.csv")
    (chunk,) = read_tracking([path, outcomes, tmp_path / "targetedReceiver.csv"], RULES)
    assert chunk.report.formats["targets"] == 1
    assert 0 < chunk.report.repaired[NOBODY] < 20
    few = chunk.plays.sort(pl.col("play_id") % 7, "play_id").head(12).sort("game_id", "play_id")
    plays = assert_as_defined(
        replace(chunk, plays=few, frames=chunk.frames.join(few, on=["game_id", "play_id"], how="semi"))
    )
    assert plays.frames[..., plays.features.index("target")].any()


def marked(folder):
    """The players with the 1 of `target`, by their positions at the snap, and the report."""
    (chunk,) = read_tracking(folder, RULES)
    plays = plays_from_chunk(chunk)
    ones = plays.frames[..., plays.features.index("target")]
    assert set(np.unique(ones)) <= {0.0, 1.0}
    assert (ones.sum(axis=1) == ones[0].sum()).all()
    snap = chunk.frames.filter(pl.col("frame") == 0).with_columns(y=pl.col("y") - FIELD_WIDTH_YARDS / 2)
    places = plays.frames[0, np.flatnonzero(ones[0]), 1].tolist()
    players = [snap.sort((pl.col("y") - y).abs())["player_id"][0] for y in places]
    return players, chunk.report


@pytest.mark.parametrize("direction", ["right", "left"])
@pytest.mark.parametrize("source", ["2021", "plays 2024", "2025", "2025 alone", "2025 correct", "2026", "parquet"])
def test_every_source_of_the_target(source, direction, tmp_path):
    table, layout = fabricate.play(direction=direction, seed=4), source.split()[0].replace("parquet", "2021")
    layout = "2024" if source == "plays 2024" else layout
    folder = publishers.publish(layout, table, tmp_path)
    if source in ("2021", "parquet"):
        targets_file(folder, {75: RECEIVER})
        if source == "parquet":
            rows = pl.read_csv(folder / "targetedReceiver.csv").cast(pl.Float64)
            (folder / "targetedReceiver.csv").unlink()
            rows.write_parquet(folder / "targetedReceiver.parquet")
    elif source == "plays 2024":
        plays = pl.read_csv(folder / "plays.csv", infer_schema_length=None).with_columns(targetNflId=RECEIVER)
        publishers.write(plays, folder / "plays.csv")
    elif layout == "2025":
        name = "wasTargetedReceiver" if source == "2025 correct" else "wasTargettedReceiver"
        flags = {"gameId": 2018090900, "playId": 75, "nflId": [RECEIVER, 1511, 1000]}
        rows = pl.DataFrame(flags).with_columns(pl.Series(name, ["1", "0", None]))
        if source != "2025 alone":
            rows = rows.with_columns(causedPressure=pl.lit("FALSE"))
        publishers.write(rows, folder / "player_play.csv")
    else:
        rows = publishers.tracking("2026", table)
        role = pl.when(pl.col("nfl_id") == RECEIVER).then(pl.lit("Targeted Receiver")).otherwise("player_role")
        publishers.write(rows.with_columns(player_role=role), folder / "tracking.csv")
    players, report = marked(folder)
    assert players == [RECEIVER]
    assert not {NOBODY, TWICE, UNTRACKED} & set(report.repaired)
    alone = source in ("2021", "parquet", "2025 alone")
    assert report.formats.get("targets", 0) == (1 if alone else 0)
    assert not report.ignored or source == "plays 2024"


@pytest.mark.parametrize(
    ("targets", "reason"),
    [
        (None, NOBODY),
        ({99: RECEIVER}, NOBODY),
        ({75: None}, NOBODY),
        ({75: 424242}, UNTRACKED),
        ({75: 1511}, UNTRACKED),  # a defender
    ],
)
def test_a_target_that_cannot_be_marked_is_counted(targets, reason, tmp_path):
    folder = publishers.publish("2021", fabricate.play(), tmp_path)
    if targets:
        targets_file(folder, targets)
    players, report = marked(folder)
    assert players == []
    assert {key: n for key, n in report.repaired.items() if "nobody is marked" in key} == {reason: 1}


def test_files_that_disagree_mark_nobody(tmp_path):
    folder = publishers.publish("2021", fabricate.play(), tmp_path)
    lists = publishers.lists("2021", fabricate.play())["plays.csv"]
    publishers.write(lists.with_columns(targetNflId=1007), folder / "plays.csv")
    players, report = marked(targets_file(folder, {75: RECEIVER}))
    assert (players, report.repaired[TWICE]) == ([], 1)
    publishers.write(lists.with_columns(targetNflId=RECEIVER), folder / "plays.csv")
    assert marked(folder)[0] == [RECEIVER]


def test_invalid_targets_are_named_only_if_the_extra_is_requested(tmp_path):
    folder = publishers.publish("2025", fabricate.play(), tmp_path)
    flags = pl.DataFrame({"gameId": 2018090900, "playId": 75, "nflId": [1006], "wasTargettedReceiver": ["maybe"]})
    publishers.write(flags, folder / "player_play.csv")
    with pytest.raises(
        InputError, match=r"player_play\.csv: column 'wasTargettedReceiver': expected true or .*'maybe'"
    ):
        list(read_tracking(folder, RULES))
    (chunk,) = read_tracking(folder, Rules(extras=("time_since_snap_s",)))
    assert chunk.plays["target_id"].to_list() == [None]
    assert [name.rsplit("/", 1)[-1] for name in chunk.report.ignored] == ["player_play.csv"]
    assert not chunk.report.repaired


def test_without_a_tracked_defender_the_indicators_are_zero(tmp_path):
    folder = targets_file(publishers.publish("2021", fabricate.play(), tmp_path), {75: RECEIVER})
    (chunk,) = read_tracking(folder, RULES)
    late = pl.col("frame") >= 5
    plays = assert_as_defined(replace(chunk, frames=chunk.frames.filter(pl.col("offense") | late)))
    columns = dict(zip(plays.features, np.moveaxis(plays.frames, -1, 0), strict=True))
    for name in ("receiver_separation_known", "rusher_distance_known", "target_defenders_known"):
        assert not columns[name][:5].any()
        assert columns[name][5:].any(axis=1).all()
    assert not columns["receiver_separation_yards"][:5].any()
    assert columns["target"].any(axis=1).all()
    assert columns["time_since_snap_s"][:, 0].tolist() == pytest.approx([t / 10 for t in range(20)])


def test_later_frames_change_no_earlier_extra(tmp_path):
    table = fabricate.play(seed=5, frames=30)
    later = pl.col("frameId") > 20
    moved = table.with_columns(x=pl.when(later).then(pl.col("x") + 1).otherwise("x"))
    first, second = (
        read_plays(publishers.publish("2021", t, tmp_path / n), RULES)[0] for t, n in ((table, "a"), (moved, "b"))
    )
    same = 20 - fabricate.LEAD
    np.testing.assert_array_equal(second.frames[:same], first.frames[:same])


def test_names(tmp_path):
    assert feature_names() == FEATURES
    assert len(set(feature_names(ALL))) == len(FEATURES) + len(COLUMNS)
    assert all(name in columns for name, columns in EXTRAS.items())
    assert check_extras(reversed(ALL)) == ALL
    assert Rules(extras=("time_since_snap_s", "target_defenders")).extras == ("target_defenders", "time_since_snap_s")
    with pytest.raises(InputError, match=r"^extras: unknown 'height'; known: receiver_separation_yards, .*_snap_s$"):
        Rules(extras=("height",))
    with pytest.raises(InputError, match=r"^extras: time_since_snap_s is named 2 times"):
        Rules(extras=("time_since_snap_s",) * 2)


@pytest.mark.parametrize(("layout", "known"), [("2019", True), ("2023", True), ("2024", True), ("2025", True)])
def test_the_nearest_rusher_is_known_if_the_whole_defense_is_tracked(layout, known, tmp_path):
    (chunk,) = read_tracking(publishers.publish(layout, fabricate.play(), tmp_path), RULES)
    plays = plays_from_chunk(chunk)
    assert (plays.frames[:, 0, plays.features.index("rusher_distance_known")] == float(known)).all()


@pytest.mark.parametrize("direction", ["right", "left"])
def test_the_files_of_2026_have_no_rushers(direction, tmp_path):
    """What remains is known: separation, the target and his defenders, speed and time."""
    folder = publishers.publish("2026", fabricate.play(direction=direction), tmp_path)
    rows = pl.read_csv(folder / "tracking.csv")
    role = pl.when(pl.col("nfl_id") == RECEIVER).then(pl.lit("Targeted Receiver")).otherwise("player_role")
    rows.with_columns(player_role=role).write_csv(folder / "tracking.csv")
    (chunk,) = read_tracking(folder, RULES)
    plays = assert_as_defined(chunk)
    column = {name: plays.frames[..., plays.features.index(name)] for name in COLUMNS}
    assert not column["rusher_distance_known"].any()
    assert not column["rusher_distance_yards"].any()
    assert column["receiver_separation_known"].any(axis=1).all()
    assert (column["target_defenders_known"].sum(axis=1) == 1).all()
    assert (column["quarterback_speed_yps"][:, 0] > 0).all()


def test_a_rusher_who_leaves_the_tracking_is_unknown_while_he_is_gone(tmp_path):
    gone = (pl.col("position") == "DT") & pl.col("frameId").is_between(12, 16)
    table = fabricate.play().filter(~gone.fill_null(value=False))
    (chunk,) = read_tracking(publishers.publish("2024", table, tmp_path), RULES)
    plays = plays_from_chunk(chunk)
    known = plays.frames[:, 0, plays.features.index("rusher_distance_known")]
    assert np.flatnonzero(known == 0).tolist() == list(range(12 - fabricate.LEAD - 1, 17 - fabricate.LEAD - 1))


def test_the_rushers_of_a_real_game_of_2026_are_unknown(real_file):
    plays, report = read_plays(real_file("03_2026_real_game"), RULES)
    assert report.kept == 6
    known = {name: plays.frames[..., plays.features.index(name)].any() for name in COLUMNS}
    assert known == {name: not name.startswith("rusher") for name in COLUMNS}
