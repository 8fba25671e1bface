"""The play simulator: its files, its motion, and above all that its law is the law of what it draws."""

import hashlib
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from sbp_jax.data.simulate import SimulationConfig, TrueLaw, simulate
from sbp_jax.errors import InputError

SCHEMA_2021 = {
    "time": pl.Datetime("ns"),
    **dict.fromkeys(("x", "y", "s", "a", "dis", "o", "dir"), pl.Float64),
    "event": pl.String,
    "nflId": pl.Float64,
    "displayName": pl.String,
    "jerseyNumber": pl.Float64,
    "position": pl.String,
    "frameId": pl.Float64,
    "team": pl.String,
    "gameId": pl.Float64,
    "playId": pl.Float64,
    "playDirection": pl.String,
    "route": pl.String,
}
PLAY = ["gameId", "playId"]
YARDS = np.arange(-12, 100)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A league of 3,000 plays."""
    return simulate(tmp_path_factory.mktemp("simulated") / "league", SimulationConfig(plays=3000, seed=7))


@pytest.fixture(scope="module")
def tracking(folder) -> pl.DataFrame:
    """Tracking of the first week, angles and positions turned so that the offence moves toward +x."""
    table = pl.read_parquet(folder / "tracking_week_01.parquet")
    left = pl.col("playDirection") == "left"
    return table.with_columns(
        pl.when(left).then(120 - pl.col("x")).otherwise("x").alias("x"),
        pl.when(left).then(53.3 - pl.col("y")).otherwise("y").alias("y"),
        *(pl.when(left).then((pl.col(name) + 180) % 360).otherwise(name).alias(name) for name in ("o", "dir")),
    )


@pytest.fixture(scope="module")
def plays(folder) -> pl.DataFrame:
    return pl.read_csv(folder / "plays.csv")


@pytest.fixture(scope="module")
def truth(folder) -> pl.DataFrame:
    return pl.read_parquet(folder / "truth" / "plays.parquet")


def event_frame(tracking: pl.DataFrame, event: str) -> pl.DataFrame:
    """Frame of an event by play."""
    return tracking.filter(pl.col("event") == event).group_by(PLAY).agg(pl.col("frameId").min().alias(event))


def checksums(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# Files


def test_tracking_has_the_columns_and_types_of_2021(folder, real_data):
    written = pl.read_parquet(folder / "tracking_week_01.parquet").schema
    real = pl.read_parquet_schema(real_data / "big_data_bowl" / "2021_format_game_2018120600_tracking.parquet")
    assert list(written.items()) == list(SCHEMA_2021.items())
    assert list(written.items()) == list(real.items())


def test_tables_join_and_count(folder, plays, truth):
    games, players = pl.read_csv(folder / "games.csv"), pl.read_csv(folder / "players.csv")
    weeks = sorted(folder.glob("tracking_week_*.parquet"))
    tracked = pl.concat([pl.read_parquet(week, columns=[*PLAY, "nflId"]) for week in weeks])
    assert plays.height == truth.height == tracked.select(PLAY).unique().height == 3000
    assert plays.select(PLAY).unique().height == 3000
    assert plays.select(PLAY).rows() == truth.select(PLAY).rows()
    assert set(plays["gameId"]) == set(games["gameId"])
    assert set(tracked["nflId"].drop_nulls().cast(pl.Int64)) <= set(players["nflId"])
    assert players["nflId"].is_unique().all()
    assert len(weeks) == games["week"].n_unique() == 3
    assert set(plays["passResult"]) == {"C", "I", "IN"}
    assert (
        plays.filter(pl.col("passResult") != "C")["offensePlayResult"].to_list()
        == [0] * (plays["passResult"] != "C").sum()
    )
    assert plays.filter(pl.col("passResult") == "IN")["playResult"].max() <= 0
    assert (plays["offensePlayResult"] == truth["yards"]).all()
    assert (plays["playResult"] == truth["net_yards"]).all()


def test_situation_columns_agree(plays, tracking):
    to_goal = pl.when(pl.col("yardlineSide").is_null()).then(50)
    to_goal = to_goal.when(pl.col("yardlineSide") == pl.col("possessionTeam")).then(100 - pl.col("yardlineNumber"))
    table = plays.with_columns(to_goal.otherwise("yardlineNumber").alias("to_goal"))
    ball = tracking.filter((pl.col("team") == "football") & (pl.col("event") == "ball_snap"))
    ball = ball.select(pl.col(PLAY).cast(pl.Int64), "x", "playDirection")
    joined = table.join(ball, on=PLAY)
    assert joined.height == tracking.select(PLAY).unique().height
    assert np.abs(110 - joined["to_goal"] - joined["x"]).max() < 0.2
    absolute = np.where(joined["playDirection"] == "left", 10 + joined["to_goal"], 110 - joined["to_goal"])
    np.testing.assert_array_equal(joined["absoluteYardlineNumber"], absolute)
    assert (joined["yardsToGo"] <= joined["to_goal"]).all()
    assert joined["offensePlayResult"].to_numpy().max() <= 99
    assert 0.4 < (joined["playDirection"] == "left").mean() < 0.6
    # Time runs forward and scores never fall within a game.
    clock = (
        900 * table["quarter"]
        - 60 * table["gameClock"].str.slice(0, 2).cast(int)
        - table["gameClock"].str.slice(3, 2).cast(int)
    )
    order = table.with_columns(clock.alias("elapsed"))
    for column in ("elapsed", "playId", "preSnapHomeScore", "preSnapVisitorScore"):
        assert (order.group_by("gameId", maintain_order=True).agg(pl.col(column).diff().min())[column] >= 0).all()


def test_same_seed_same_bytes_and_another_seed_differs(tmp_path):
    config = SimulationConfig(plays=150, seed=3)
    first, second = (simulate(tmp_path / name, config) for name in ("a", "b"))
    other = simulate(tmp_path / "c", SimulationConfig(plays=150, seed=4))
    assert checksums(first) == checksums(second)
    assert checksums(first)["plays.csv"] != checksums(other)["plays.csv"]


def test_a_play_does_not_depend_on_how_many_are_simulated(tmp_path):
    few = simulate(tmp_path / "few", SimulationConfig(plays=100, seed=5))
    more = simulate(tmp_path / "more", SimulationConfig(plays=700, seed=5))
    short, long = (pl.read_parquet(path / "truth" / "plays.parquet") for path in (few, more))
    shared = long.join(short.select(PLAY), on=PLAY, how="semi", maintain_order="left")
    assert shared.height == 100
    for name in ("depth_yards", "separation_yards", "skill", "release_frames"):
        np.testing.assert_array_equal(shared[name], short[name])
    tracks = [pl.read_parquet(path / "tracking_week_01.parquet") for path in (few, more)]
    assert tracks[1].head(tracks[0].height).equals(tracks[0])


def test_nothing_before_the_release_depends_on_the_outcome(tmp_path):
    """With another random stream for outcomes alone, outcomes change and every frame up to the release stays."""
    paths = [
        simulate(tmp_path / str(outcome_seed), SimulationConfig(plays=200, seed=2, outcome_seed=outcome_seed))
        for outcome_seed in (10, 11)
    ]
    tables = [pl.read_parquet(path / "tracking_week_01.parquet") for path in paths]
    before = []
    for table in tables:
        release = event_frame(table, "pass_forward")
        before.append(
            table.join(release, on=PLAY)
            .filter(pl.col("frameId") <= pl.col("pass_forward"))
            .sort(*PLAY, "frameId", "nflId")
        )
    assert before[0].equals(before[1])
    outcomes = [pl.read_csv(path / "plays.csv") for path in paths]
    columns = [
        name
        for name in outcomes[0].columns
        if name not in ("passResult", "offensePlayResult", "playResult", "playDescription")
    ]
    assert outcomes[0].select(columns).equals(outcomes[1].select(columns))
    assert not outcomes[0]["offensePlayResult"].equals(outcomes[1]["offensePlayResult"])
    laws = [TrueLaw.read(path).median() for path in paths]
    np.testing.assert_array_equal(laws[0], laws[1])


def test_csv_and_seasons(tmp_path):
    calls = []
    config = SimulationConfig(plays=90, seasons=2, tracking_format="csv")
    out = simulate(tmp_path / "two", config, progress=calls.append)
    names = {path.name for path in out.glob("tracking_*")}
    assert names == {"tracking_2018_week_01.csv", "tracking_2019_week_01.csv"}
    assert calls[-1] == 90
    assert calls == sorted(calls)
    table = pl.read_csv(out / "tracking_2018_week_01.csv", infer_schema_length=None)
    assert table.columns == list(SCHEMA_2021)
    assert table["gameId"].dtype == pl.Int64
    assert table["time"][0].endswith(".000Z")
    assert pl.read_csv(out / "games.csv")["season"].to_list() == [2018, 2019]


def test_writing_is_guarded(tmp_path):
    foreign = tmp_path / "mine"
    foreign.mkdir()
    (foreign / "notes.txt").write_text("keep")
    with pytest.raises(InputError, match="mine: holds files that the simulator did not write"):
        simulate(foreign, SimulationConfig(plays=10))
    assert (foreign / "notes.txt").read_text() == "keep"
    with pytest.raises(InputError, match=r"notes.txt: is a file"):
        simulate(foreign / "notes.txt", SimulationConfig(plays=10))

    def fail(done: int) -> None:
        raise RuntimeError("stopped")

    out = simulate(tmp_path / "own", SimulationConfig(plays=20, seed=1))
    before = checksums(out)
    with pytest.raises(RuntimeError, match="stopped"):
        simulate(out, SimulationConfig(plays=20, seed=2), progress=fail)
    assert checksums(out) == before
    simulate(out, SimulationConfig(plays=20, seed=2))
    assert json.loads((out / "truth" / "simulation.json").read_text())["seed"] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "own"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"plays": 0}, "plays: expected a whole number of at least 1"),
        ({"seed": -1}, "seed: expected a whole number of at least 0"),
        ({"seasons": 0}, "seasons: expected"),
        ({"plays": 2, "seasons": 3}, "seasons: expected at most one a play"),
        ({"outcome_seed": -4}, "outcome_seed: expected"),
    ],
)
def test_wrong_configurations_are_named(wrong, message):
    with pytest.raises(InputError, match=message):
        SimulationConfig(**wrong)


# Motion


def test_every_frame_has_22_players_the_ball_and_one_quarterback(tracking):
    frames = tracking.group_by(*PLAY, "frameId").agg(
        pl.len().alias("rows"),
        pl.col("nflId").n_unique().alias("bodies"),
        (pl.col("team") == "home").sum().alias("home"),
        (pl.col("team") == "away").sum().alias("away"),
        (pl.col("position") == "QB").sum().alias("quarterbacks"),
        pl.col("event").n_unique().alias("events"),
    )
    for name, value in {"rows": 23, "bodies": 23, "home": 11, "away": 11, "quarterbacks": 1, "events": 1}.items():
        assert frames[name].unique().to_list() == [value], name
    ball = tracking.filter(pl.col("team") == "football")
    assert ball["displayName"].unique().to_list() == ["Football"]
    assert ball.select("o", "dir", "nflId", "position", "route").null_count().row(0) == (ball.height,) * 5
    counted = tracking.group_by(PLAY).agg(pl.col("frameId").max(), pl.col("frameId").n_unique().alias("n"))
    assert (counted["frameId"] == counted["n"]).all()


def test_time_from_snap_to_release(tracking, truth):
    snap, release = event_frame(tracking, "ball_snap"), event_frame(tracking, "pass_forward")
    assert snap["ball_snap"].unique().to_list() == [11]
    frames = (release["pass_forward"] - 10).to_numpy()
    counted = truth["release_frames"].to_numpy()
    np.testing.assert_array_equal(np.sort(frames), np.sort(counted[: len(frames)]))
    assert counted.min() >= 13
    assert counted.max() <= 66
    assert 25 <= np.median(counted) <= 31


def test_motion_stays_within_human_limits(tracking):
    people = tracking.filter(pl.col("team") != "football").sort(*PLAY, "nflId", "frameId")
    step = people.select(
        "s",
        "a",
        "dis",
        (pl.col("x").diff().over(*PLAY, "nflId")).alias("dx"),
        (pl.col("y").diff().over(*PLAY, "nflId")).alias("dy"),
        "dir",
    ).drop_nulls()
    assert people["s"].max() < 10.6
    assert people["a"].max() < 8.0
    assert people.select(pl.col("x").is_between(-1, 121) & pl.col("y").is_between(-1, 54.3)).to_series().all()
    moved = np.hypot(step["dx"].to_numpy(), step["dy"].to_numpy())
    np.testing.assert_allclose(step["dis"], moved, atol=0.0051)
    assert np.sqrt(np.mean(np.square(10 * moved - step["s"].to_numpy()))) < 0.25
    fast = step.filter(pl.col("s") > 3)
    course = np.rad2deg(np.arctan2(fast["dx"], fast["dy"]))
    off = np.abs((course - fast["dir"] + 180) % 360 - 180)
    assert np.quantile(off, 0.99) < 8
    assert people.select(
        ((pl.col("o") >= 0) & (pl.col("o") < 360) & (pl.col("dir") >= 0) & (pl.col("dir") < 360)).all()
    ).item()


# The law


def seen_at_release(tracking: pl.DataFrame, plays: pl.DataFrame) -> pl.DataFrame:
    """Target, separation, room, pressure gap and depth, computed from the files by the words of the law's docstring."""
    release = event_frame(tracking, "pass_forward")
    frame = tracking.join(release, on=PLAY).filter(pl.col("frameId") == pl.col("pass_forward"))
    frame = frame.with_columns(pl.col(PLAY).cast(pl.Int64)).join(plays.select(*PLAY, "absoluteYardlineNumber"), on=PLAY)
    rows = []
    for (game, play), people in frame.filter(pl.col("team") != "football").group_by(PLAY):
        line = people["absoluteYardlineNumber"][0]
        line = 120 - line if people["playDirection"][0] == "left" else line
        passer = people.filter(pl.col("position") == "QB").row(0, named=True)
        defence = people.filter(pl.col("team") != passer["team"]).select("x", "y").to_numpy()
        eligible = people.filter(
            (pl.col("team") == passer["team"]) & pl.col("position").is_in(["WR", "TE", "RB", "FB"])
        )
        offset = eligible.select("x", "y").to_numpy() - [passer["x"], passer["y"]]
        away = np.hypot(offset[:, 0], offset[:, 1])
        bearing = np.rad2deg(np.arctan2(offset[:, 0], offset[:, 1]))
        turn = np.abs((bearing - passer["o"] + 180) % 360 - 180)
        target = np.argmin(np.where(away >= 5, turn, turn + 180))
        gaps = (
            np.hypot(*(eligible.select("x", "y").to_numpy()[:, None] - defence).transpose(2, 0, 1))
            .min(axis=1)
            .clip(0.4, 9)
        )
        who = eligible.row(int(target), named=True)
        flight_s = min(1.5, 0.2 + away[target] / 22)
        rows.append(
            {
                "gameId": game,
                "playId": play,
                "target_nflId": int(who["nflId"]),
                "separation_yards": gaps[target],
                "room_yards": gaps.mean(),
                "pressure_gap_yards": np.hypot(*(defence - [passer["x"], passer["y"]]).T).min().clip(0.8, 8),
                "depth_yards": min(who["x"] - line + who["s"] * np.sin(np.deg2rad(who["dir"])) * flight_s, 119 - line),
            }
        )
    return pl.DataFrame(rows)


def test_the_law_can_be_recomputed_from_the_files(tracking, plays, truth):
    seen = seen_at_release(tracking, plays)
    joined = seen.join(truth, on=PLAY, suffix="_true")
    assert joined.height == seen.height > 900
    assert (joined["target_nflId"] == joined["target_nflId_true"]).mean() == 1.0
    for name in ("separation_yards", "room_yards", "pressure_gap_yards", "depth_yards"):
        np.testing.assert_allclose(joined[name], joined[f"{name}_true"], atol=1e-9)


@pytest.mark.parametrize("outcome", ["yards", "net_yards"])
@pytest.mark.parametrize("skill", [None, "true", -2.0, 2.5])
def test_pmf_sums_to_one_and_cdf_is_its_sum(folder, outcome, skill):
    law = TrueLaw.read(folder, outcome=outcome, skill=skill)
    pmf = law.pmf(law.support())
    assert pmf.min() >= -1e-15
    assert np.abs(pmf.sum(axis=1) - 1).max() < 1e-12
    middle = np.broadcast_to(law.support() + 0.5, pmf.shape)
    np.testing.assert_allclose(law.cdf(middle), np.cumsum(pmf, axis=1), atol=1e-12)
    assert law.pmf(np.array([-500, 100, 300])).max() == 0
    np.testing.assert_array_equal(law.cdf(-1000.0), np.zeros(len(law)))
    np.testing.assert_array_equal(law.cdf(np.full(len(law), 99.0)), np.ones(len(law)))
    np.testing.assert_allclose(law.mean(), pmf @ law.support(), rtol=1e-14)


def test_quantile_is_the_smallest_value_that_reaches_the_level(folder):
    law = TrueLaw.read(folder)
    levels = np.array([0.0, 1e-6, 0.03, 0.25, 0.5, 0.9, 0.999, 1.0])
    quantiles = law.quantile(levels)
    assert quantiles.shape == (len(law), len(levels))
    assert (law.cdf(quantiles) >= levels).all()
    assert (law.cdf(quantiles[:, 1:] - 1.0) < levels[1:]).all()
    np.testing.assert_array_equal(law.median(), quantiles[:, 4])
    np.testing.assert_array_equal(law.quantile(np.tile(levels, (len(law), 1))), quantiles)
    with pytest.raises(InputError, match="q: expected probabilities"):
        law.quantile(1.2)


def logistic(x):
    return 1 / (1 + np.exp(-x))


def tell_the_story(
    row: dict, count: int, generator: np.random.Generator, skill: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """Yards and net yards of `count` passes, drawn by the words of the law's docstring and nothing else."""
    z = generator.standard_normal(count) if skill is None else skill
    complete = generator.random(count) < logistic(row["completion_logit"] + 0.145 * z)
    intercepted = ~complete & (generator.random(count) < logistic(row["interception_logit"] - 0.1 * z))
    spread = row["depth_sd_yards"] * np.sqrt(3) / np.pi
    centre = np.rint(row["depth_yards"])
    catch = np.clip(np.rint(row["depth_yards"] + generator.logistic(0, spread, count)), centre - 20, centre + 20)
    held = np.rint(generator.logistic(0.5, 0.55, count))
    free = np.floor(row["run_yards"] * generator.weibull(1.7, count))
    away = np.rint(row["run_yards"]) + np.floor(stats.genpareto(0.3, scale=10).rvs(count, random_state=generator))
    is_held = generator.random(count) < logistic(row["tackled_logit"] - 0.05 * z)
    is_away = generator.random(count) < logistic(row["breakaway_logit"] + 0.05 * z)
    gain = catch + np.where(is_held, held, np.where(is_away, away, free))
    gain = np.clip(gain, -min(12, 100 - row["yards_to_goal"]), row["yards_to_goal"])
    yards = np.where(complete, gain, 0).astype(int)
    returned = 1 + np.floor(stats.genpareto(0.1, scale=14).rvs(count, random_state=generator))
    returned = np.minimum(np.where(generator.random(count) < 0.4, 0, returned), row["return_limit_yards"])
    return yards, np.where(intercepted, -returned, yards).astype(int)


@pytest.mark.parametrize("skill", [None, -1.5, 1.0])
def test_closed_form_matches_sampling_of_the_story(folder, truth, skill):
    generator = np.random.default_rng(123)
    picked = truth.with_row_index("row").sort("depth_yards")[[0, 200, 700, 1300, 2100, 2700, 2970, 2999]]
    picked = pl.concat([picked, truth.with_row_index("row").sort("yards_to_goal")[[0, 20, 2999]]])
    law = TrueLaw.read(folder)
    law = law.select(picked["gameId"].to_numpy(), picked["playId"].to_numpy())
    count, p_values = 150_000, []
    for number, row in enumerate(picked.iter_rows(named=True)):
        drawn = tell_the_story(row, count, generator, skill)
        for outcome, values in zip(("yards", "net_yards"), drawn, strict=True):
            given = law.given(skill, outcome)
            expected = count * given.pmf(given.support())[number]
            observed = np.array([(values == value).sum() for value in given.support()])
            assert observed.sum() == count
            # Pool what is rare, so that the chi-square approximation holds.
            rare = expected < 10
            pooled = [np.append(part[~rare], part[rare].sum()) for part in (observed, expected)]
            kept = pooled[1] > 0
            p_values.append(stats.chisquare(pooled[0][kept], pooled[1][kept], sum_check=False).pvalue)
    assert min(p_values) > 1e-4 / 2
    assert stats.kstest(p_values, "uniform").pvalue > 1e-4


@pytest.mark.parametrize(("outcome", "column"), [("yards", "offensePlayResult"), ("net_yards", "playResult")])
@pytest.mark.parametrize("skill", [None, "true"])
def test_simulated_yards_follow_the_law(folder, plays, outcome, column, skill):
    law = TrueLaw.read(folder, outcome=outcome, skill=skill)
    yards = plays[column].to_numpy().astype(float)
    below, through = law.cdf(yards - 1), law.cdf(yards)
    pit = below + np.random.default_rng(1).random(len(yards)) * (through - below)
    assert stats.kstest(pit, "uniform").pvalue > 1e-3
    assert (through > below).all()


def test_goal_line_holds_the_touchdown(folder, truth):
    law = TrueLaw.read(folder)
    to_goal = truth["yards_to_goal"].to_numpy()
    np.testing.assert_array_equal(law.cdf(to_goal.astype(float)), np.ones(len(law)))
    touchdown = 1 - law.cdf(to_goal - 1.0)
    assert touchdown.min() > 0
    near = to_goal <= 5
    complete = law.result_probabilities()[:, 0]
    assert 0.25 < np.mean(touchdown[near] / complete[near]) <= 1


def test_skill_moves_the_law_up(folder):
    law = TrueLaw.read(folder)
    levels = [law.given(z) for z in (-2.0, -1.0, 0.0, 1.0, 2.0)]
    means = np.stack([given.mean() for given in levels])
    assert (np.diff(means, axis=0)[:, means[2] > 0.5] > 0).all()
    complete = np.array([given.result_probabilities()[:, 0].mean() for given in levels])
    assert 0.020 < (complete[3] - complete[1]) / 2 < 0.030
    assert 0.25 < (means[3] - means[1]).mean() / 2 < 0.45
    # The quadrature agrees with a fine trapezoidal rule over the normal density.
    z, step = np.linspace(-8, 8, 321, retstep=True)
    few = law.select(law.game_id[:40], law.play_id[:40])
    rule = sum(step * stats.norm.pdf(node) * few.given(float(node)).pmf(YARDS) for node in z)
    np.testing.assert_allclose(few.pmf(YARDS), rule, atol=1e-12)


def test_quarterbacks_carry_the_skill_of_their_plays(folder, truth):
    quarterbacks = pl.read_parquet(folder / "truth" / "quarterbacks.parquet")
    assert quarterbacks.height == 64
    joined = truth.join(quarterbacks, left_on="passer_nflId", right_on="nflId", suffix="_league")
    assert joined.height == truth.height
    np.testing.assert_array_equal(joined["skill"], joined["skill_league"])
    starters = quarterbacks["skill"].to_numpy()[::2]
    assert abs(starters.mean()) < 0.06
    assert 0.9 < starters.std() < 1.1


def test_select_orders_rows_and_names_what_is_missing(folder):
    law = TrueLaw.read(folder)
    rows = np.array([17, 3, 2999])
    chosen = law.select(law.game_id[rows], law.play_id[rows])
    np.testing.assert_array_equal(chosen.pmf(YARDS), law.pmf(YARDS)[rows])
    with pytest.raises(InputError, match="play 999999 of game 2018090900"):
        law.select(np.array([law.game_id[0], 2018090900]), np.array([law.play_id[0], 999999]))
    with pytest.raises(InputError, match=r"plays\.parquet: not found"):
        TrueLaw.read(folder / "truth")


# Realism


def test_marginals_are_near_the_real_ones(folder, plays):
    """Expected marginal over 3,000 plays, against the attempts of the regular seasons 2017-2019."""
    law = TrueLaw.read(folder)
    complete, incomplete, intercepted = law.result_probabilities().mean(axis=0)
    assert 0.62 < complete < 0.67
    assert 0.30 < incomplete < 0.36
    assert 0.018 < intercepted < 0.032
    marginal = np.cumsum(law.pmf(YARDS).mean(axis=0))
    at = dict(zip(YARDS.tolist(), marginal.tolist(), strict=True))
    assert 0.34 < at[0] - at[-1] < 0.40
    assert 0.010 < at[-1] < 0.030
    quantiles = [int(YARDS[np.searchsorted(marginal, level)]) for level in (0.001, 0.01, 0.05, 0.5, 0.95, 0.99, 0.999)]
    for found, low, high in zip(quantiles, (-8, -3, -1, 4, 22, 37, 60), (-4, -1, 0, 6, 28, 48, 80), strict=True):
        assert low <= found <= high, quantiles
    assert 6.5 < law.mean().mean() < 8.0
    assert plays["offensePlayResult"].max() <= 99


def test_knowing_the_law_is_worth_an_eighth_to_a_quarter_of_the_crps(folder):
    law = TrueLaw.read(folder)
    cdf = np.cumsum(law.pmf(YARDS), axis=1)
    oracle = np.sum(cdf * (1 - cdf), axis=1).mean()  # the expected CRPS of a law under itself
    pooled = cdf.mean(axis=0)
    marginal = np.sum(pooled * (1 - pooled))
    assert 0.125 < 1 - oracle / marginal < 0.25


def test_signals_show_in_raw_coordinates(tracking, truth):
    """A linear read-out of five averages of coordinates at the release explains much of the conditional law."""
    release = event_frame(tracking, "pass_forward")
    frame = tracking.join(release, on=PLAY).filter(pl.col("frameId") == pl.col("pass_forward"))
    eligible = pl.col("position").is_in(["WR", "TE", "RB", "FB"])
    cover = pl.col("position").is_in(["CB", "SS", "OLB", "ILB", "FS"])
    front = pl.col("position").is_in(["DT", "NT", "DE"])
    passer_x = pl.col("x").filter(pl.col("position") == "QB").first()
    signals = frame.group_by(PLAY).agg(
        pl.col("x").filter(eligible).mean() - passer_x.alias("passer"),
        (pl.col("x").filter(cover).mean() - pl.col("x").filter(eligible).mean()).alias("cover"),
        (pl.col("x").filter(front).mean() - passer_x).alias("front"),
        pl.col("pass_forward").first().alias("frames"),
        (pl.col("s") * pl.col("dir").radians().sin()).filter(eligible).mean().alias("pace"),
    )
    table = signals.with_columns(pl.col(PLAY).cast(pl.Int64)).join(truth, on=PLAY)
    design = np.column_stack([table.select("x", "cover", "front", "frames", "pace").to_numpy(), np.ones(table.height)])
    complete = 1 / (1 + np.exp(-table["completion_logit"].to_numpy()))
    for target, least in ((complete, 0.5), (table["depth_yards"].to_numpy(), 0.6)):
        residual = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
        assert 1 - residual.var() / target.var() > least
