"""The true distribution is the distribution of what the simulator draws."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from sbp_jax.data.simulator.simulate import TrueDistribution
from sbp_jax.errors import InputError
from tests.data.simulator.files import PLAY, check_story, event_frame

YARDS = np.arange(-12, 100)


def seen_at_release(tracking: pl.DataFrame, plays: pl.DataFrame) -> pl.DataFrame:
    """Target, separation, room, pressure gap and depth, computed from the files by the definitions on the page of the
    simulator."""
    release = event_frame(tracking, "pass_forward")
    frame = tracking.join(release, on=PLAY).filter(pl.col("frameId") == pl.col("pass_forward"))
    frame = frame.with_columns(pl.col(PLAY).cast(pl.Int64)).join(plays.select(*PLAY, "absoluteYardlineNumber"), on=PLAY)
    rows = []
    for (game, play), people in frame.filter(pl.col("team") != "football").group_by(PLAY):
        line = people["absoluteYardlineNumber"][0]
        line = 120 - line if people["playDirection"][0] == "left" else line
        passer = people.filter(pl.col("position") == "QB").row(0, named=True)
        defense = people.filter(pl.col("team") != passer["team"]).select("x", "y").to_numpy()
        eligible = people.filter(
            (pl.col("team") == passer["team"]) & pl.col("position").is_in(["WR", "TE", "RB", "FB"])
        )
        offset = eligible.select("x", "y").to_numpy() - [passer["x"], passer["y"]]
        away = np.hypot(offset[:, 0], offset[:, 1])
        bearing = np.rad2deg(np.arctan2(offset[:, 0], offset[:, 1]))
        turn = np.abs((bearing - passer["o"] + 180) % 360 - 180)
        target = np.argmin(np.where(away >= 5, turn, turn + 180))
        gaps = (
            np.hypot(*(eligible.select("x", "y").to_numpy()[:, None] - defense).transpose(2, 0, 1))
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
                "pressure_gap_yards": np.hypot(*(defense - [passer["x"], passer["y"]]).T).min().clip(0.8, 8),
                "depth_yards": min(who["x"] - line + who["s"] * np.sin(np.deg2rad(who["dir"])) * flight_s, 119 - line),
            }
        )
    return pl.DataFrame(rows)


@pytest.mark.slow
def test_the_distribution_can_be_recomputed_from_the_files(tracking, plays, truth):
    seen = seen_at_release(tracking, plays)
    joined = seen.join(truth, on=PLAY, suffix="_true")
    assert joined.height == seen.height > 900
    assert (joined["target_nflId"] == joined["target_nflId_true"]).mean() == 1.0
    for name in ("separation_yards", "room_yards", "pressure_gap_yards", "depth_yards"):
        np.testing.assert_allclose(joined[name], joined[f"{name}_true"], atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("outcome", ["yards", "net_yards"])
@pytest.mark.parametrize("skill", [None, "true", -2.0, 2.5])
def test_pmf_sums_to_one_and_cdf_is_its_sum(folder, outcome, skill):
    dist = TrueDistribution.read(folder, outcome=outcome, skill=skill)
    pmf = dist.pmf(dist.support())
    assert pmf.min() >= -1e-15
    assert np.abs(pmf.sum(axis=1) - 1).max() < 1e-12
    middle = np.broadcast_to(dist.support() + 0.5, pmf.shape)
    np.testing.assert_allclose(dist.cdf(middle), np.cumsum(pmf, axis=1), atol=1e-12)
    assert dist.pmf(np.array([-500, 100, 300])).max() == 0
    np.testing.assert_array_equal(dist.cdf(-1000.0), np.zeros(len(dist)))
    np.testing.assert_array_equal(dist.cdf(np.full(len(dist), 99.0)), np.ones(len(dist)))
    np.testing.assert_allclose(dist.mean(), pmf @ dist.support(), rtol=1e-14)


@pytest.mark.slow
def test_quantile_is_the_smallest_value_that_reaches_the_level(folder):
    dist = TrueDistribution.read(folder)
    levels = np.array([0.0, 1e-6, 0.03, 0.25, 0.5, 0.9, 0.999, 1.0])
    quantiles = dist.quantile(levels)
    assert quantiles.shape == (len(dist), len(levels))
    assert (dist.cdf(quantiles) >= levels).all()
    assert (dist.cdf(quantiles[:, 1:] - 1.0) < levels[1:]).all()
    np.testing.assert_array_equal(dist.median(), quantiles[:, 4])
    np.testing.assert_array_equal(dist.quantile(np.tile(levels, (len(dist), 1))), quantiles)
    with pytest.raises(InputError, match="q: expected probabilities"):
        dist.quantile(1.2)


def logistic(x):
    return 1 / (1 + np.exp(-x))


def tell_the_story(
    row: dict, count: int, generator: np.random.Generator, skill: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """Yards and net yards of `count` passes, drawn from nothing but the formulas on the page of the simulator."""
    z = generator.standard_normal(count) if skill is None else skill
    complete = generator.random(count) < logistic(row["completion_logit"] + 0.145 * z)
    intercepted = ~complete & (generator.random(count) < logistic(row["interception_logit"] - 0.1 * z))
    spread = row["depth_sd_yards"] * np.sqrt(3) / np.pi
    center = np.rint(row["depth_yards"])
    catch = np.clip(np.rint(row["depth_yards"] + generator.logistic(0, spread, count)), center - 20, center + 20)
    stopped = np.rint(generator.logistic(0.5, 0.55, count))
    free = np.floor(row["run_yards"] * generator.weibull(1.7, count))
    away = np.rint(row["run_yards"]) + np.floor(stats.genpareto(0.3, scale=10).rvs(count, random_state=generator))
    is_stopped = generator.random(count) < logistic(row["tackled_logit"] - 0.05 * z)
    is_away = generator.random(count) < logistic(row["breakaway_logit"] + 0.05 * z)
    gain = catch + np.where(is_stopped, stopped, np.where(is_away, away, free))
    gain = np.clip(gain, -min(12, 100 - row["yards_to_goal"]), row["yards_to_goal"])
    yards = np.where(complete, gain, 0).astype(int)
    returned = 1 + np.floor(stats.genpareto(0.1, scale=14).rvs(count, random_state=generator))
    returned = np.minimum(np.where(generator.random(count) < 0.4, 0, returned), row["return_limit_yards"])
    return yards, np.where(intercepted, -returned, yards).astype(int)


@pytest.mark.parametrize("skill", [None, -1.5, 1.0])
def test_closed_form_matches_sampling_of_the_story(folder, truth, skill):
    picked = truth.with_row_index("row").sort("depth_yards")[[0, 200, 700, 1300, 2100, 2700, 2970, 2999]]
    picked = pl.concat([picked, truth.with_row_index("row").sort("yards_to_goal")[[0, 20, 2999]]])
    check_story(folder, picked, tell_the_story, skill, count=150_000, seed=123)


@pytest.mark.parametrize(("outcome", "column"), [("yards", "offensePlayResult"), ("net_yards", "playResult")])
@pytest.mark.parametrize("skill", [None, "true"])
def test_simulated_yards_follow_the_distribution(folder, plays, outcome, column, skill):
    dist = TrueDistribution.read(folder, outcome=outcome, skill=skill)
    yards = plays[column].to_numpy().astype(float)
    below, through = dist.cdf(yards - 1), dist.cdf(yards)
    pit = below + np.random.default_rng(1).random(len(yards)) * (through - below)
    assert stats.kstest(pit, "uniform").pvalue > 1e-3
    assert (through > below).all()


def test_goal_line_holds_the_touchdown(folder, truth):
    dist = TrueDistribution.read(folder)
    to_goal = truth["yards_to_goal"].to_numpy()
    np.testing.assert_array_equal(dist.cdf(to_goal.astype(float)), np.ones(len(dist)))
    touchdown = 1 - dist.cdf(to_goal - 1.0)
    assert touchdown.min() > 0
    near = to_goal <= 5
    complete = dist.result_probabilities()[:, 0]
    assert 0.25 < np.mean(touchdown[near] / complete[near]) <= 1


def test_skill_moves_the_distribution_up(folder):
    dist = TrueDistribution.read(folder)
    levels = [dist.given(z) for z in (-2.0, -1.0, 0.0, 1.0, 2.0)]
    means = np.stack([given.mean() for given in levels])
    assert (np.diff(means, axis=0)[:, means[2] > 0.5] > 0).all()
    complete = np.array([given.result_probabilities()[:, 0].mean() for given in levels])
    assert 0.020 < (complete[3] - complete[1]) / 2 < 0.030
    assert 0.25 < (means[3] - means[1]).mean() / 2 < 0.45
    # the quadrature agrees with a fine trapezoidal rule over the normal density
    z, step = np.linspace(-8, 8, 321, retstep=True)
    few = dist.select(dist.game_id[:40], dist.play_id[:40])
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
    dist = TrueDistribution.read(folder)
    rows = np.array([17, 3, 2999])
    chosen = dist.select(dist.game_id[rows], dist.play_id[rows])
    np.testing.assert_array_equal(chosen.pmf(YARDS), dist.pmf(YARDS)[rows])
    with pytest.raises(InputError, match="play 999999 of game 2018090900"):
        dist.select(np.array([dist.game_id[0], 2018090900]), np.array([dist.play_id[0], 999999]))
    with pytest.raises(InputError, match=r"plays\.parquet: not found"):
        TrueDistribution.read(folder / "truth")
