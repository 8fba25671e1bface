"""Two quarterbacks of the offense: the thrower by the description or the ball, counted; never a guess."""

import polars as pl
import pytest

from sbp_jax.data.readers.tracking import read_tracking
from tests.data import fabricate, publishers
from tests.data.readers.reading import fails, read

SETTLED = "plays with two quarterbacks: thrower identified by description or ball"
DOUBT = "two quarterbacks of the offense"
STARTER, OTHER = 1000, 1009  # the one who stands behind the ball at the snap, and the running back
NAMES = {STARTER: "Drew Brees", OTHER: "Taysom Hill Jr."}
WITH_POSITIONS = [layout for layout in publishers.LAYOUTS if layout != "2019"]


def package(ball_with=STARTER, gap=None):
    """A play with two quarterbacks; the ball goes to one of them, or `gap` yards away from both."""
    table = fabricate.play()
    who = pl.col("nflId")
    table = table.with_columns(
        position=pl.when(who == OTHER).then(pl.lit("QB")).otherwise("position"),
        displayName=who.replace_strict(NAMES, default=pl.col("displayName"), return_dtype=pl.String),
    )
    holder = table.filter(who == ball_with).sort("frameId")
    ball = pl.col("team") == "football"
    carried = ball & (pl.col("frameId") > fabricate.LEAD + 3)
    at = {c: pl.col("frameId").replace_strict(dict(holder.select("frameId", c).iter_rows())) for c in ("x", "y")}
    off = 0.0 if gap is None else gap
    return table.with_columns(
        x=pl.when(carried).then(at["x"] + off).otherwise("x"), y=pl.when(carried).then(at["y"]).otherwise("y")
    )


def text(name):
    return f"(12:34) (Shotgun) {name} pass short left to W.Receiver to JAX 62 for 7 yards (A.Tackler)."


def published(folder, layout, table, description):
    folder = publishers.publish(layout, table, folder)
    if layout == "highlights":
        rows = fabricate.as_highlights(table, description)
        fabricate.write(rows, folder / "tracking.csv")
        return folder
    name = "supplementary_data.csv" if layout == "2026" else "plays.csv"
    column = "play_description" if layout == "2026" else "playDescription"
    plays = pl.read_csv(folder / name, infer_schema_length=None)
    fabricate.write(plays.with_columns(pl.lit(description).alias(column)), folder / name)
    return folder


@pytest.mark.sample(7)
@pytest.mark.parametrize("layout", [layout for layout in WITH_POSITIONS if layout != "2026"])
@pytest.mark.parametrize(
    ("ball_with", "named", "thrower"),
    [
        (OTHER, "T.Hill", OTHER),
        (STARTER, "D.Brees", STARTER),
        (OTHER, "X.Nobody", OTHER),
        (STARTER, "X.Nobody", STARTER),
    ],
)
def test_the_thrower_is_identified(layout, ball_with, named, thrower, tmp_path):
    plays, report = read(published(tmp_path, layout, package(ball_with), text(named)))
    assert plays.passer_id.tolist() == [thrower]
    assert plays.passer.tolist() == [NAMES[thrower]]
    assert report.repaired[SETTLED] == 1
    assert plays.present[:, 0].all()


def test_the_description_decides_if_the_ball_does_not(tmp_path):
    plays, report = read(published(tmp_path, "2024", package(STARTER, gap=6.0), text("T.Hill")))
    assert plays.passer_id.tolist() == [OTHER]
    assert report.repaired == {SETTLED: 1}


@pytest.mark.sample(5)
@pytest.mark.parametrize("layout", [layout for layout in WITH_POSITIONS if layout != "2026"])
@pytest.mark.parametrize(
    ("table", "named"),
    [(package(OTHER), "D.Brees"), (package(STARTER, gap=6.0), "X.Nobody"), (package(STARTER, gap=6.0), "B.Hill")],
    ids=["they disagree", "neither applies", "another of the name"],
)
def test_a_play_with_an_unknown_thrower_is_malformed(layout, table, named, tmp_path):
    both = pl.concat([table, package().with_columns(playId=pl.lit(99))])
    folder = published(tmp_path, layout, both, text(named))
    fails(folder, "game 2018090900 play 75", DOUBT, "Drew Brees and Taysom Hill Jr. at frame 0", "malformed = drop")
    plays, report = read(folder, "drop")
    assert plays.play_id.tolist() == [99]
    assert report.rejected == {f"malformed: {DOUBT}": 1}


def test_a_throw_reversed_by_replay_names_nobody(tmp_path):
    description = text("D.Brees") + " The ruling was REVERSED. " + text("T.Hill")
    plays, _ = read(published(tmp_path, "2024", package(STARTER, gap=6.0), description))
    assert plays.passer_id.tolist() == [OTHER]


def test_a_passer_by_role_needs_no_evidence(tmp_path):
    (chunk,) = read_tracking(publishers.publish("2026", fabricate.play(), tmp_path))
    rows = publishers.tracking("2026", fabricate.play())
    back = pl.when(pl.col("nfl_id") == OTHER).then(pl.lit("QB")).otherwise("player_position")
    fabricate.write(rows.with_columns(player_position=back), tmp_path / "tracking.csv")
    (again,) = read_tracking(tmp_path)
    assert again.plays["passer_id"].to_list() == chunk.plays["passer_id"].to_list() == [STARTER]
    assert SETTLED not in again.report.repaired
