"""Traditional ratings against published examples, completion over expectation, and reliability."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.special import expit

from sbp_jax.errors import InputError
from sbp_jax.scoring.completion import expected_completion
from sbp_jax.scoring.ratings import rate, sums
from sbp_jax.scoring.reliability import split_half, year_to_year


def season(attempts, completions, yards, touchdowns, interceptions, sacks=0, sack_yards=0):
    """Plays whose sums are those of a season."""
    rows = [("C", yards if i == 0 else 0, i < touchdowns) for i in range(completions)]
    rows += [("IN", 0, False)] * interceptions + [("I", 0, False)] * (attempts - completions - interceptions)
    rows += [("S", -sack_yards if i == 0 else 0, False) for i in range(sacks)]
    return pl.DataFrame(rows, schema=["result", "gain", "touchdown"], orient="row").with_columns(passer=pl.lit("A"))


@pytest.mark.parametrize(
    ("line", "rating", "any_a"),
    [
        # Manning 2004 and Rodgers 2011 as they are listed
        ((497, 336, 4557, 49, 10, 13, 101), 121.1, 9.78),
        ((502, 343, 4643, 45, 6, 36, 219), 122.5, 9.39),
        ((10, 10, 125, 2, 0), 158.3, 16.5),  # the largest possible
        ((10, 2, 20, 0, 2), 0.0, -7.0),
    ],
)
def test_published_ratings(line, rating, any_a):
    (row,) = rate(sums(season(*line), ["passer"])).iter_rows(named=True)
    assert row["passer_rating"] == pytest.approx(rating, abs=0.05)
    assert row["any_a"] == pytest.approx(any_a, abs=0.005)
    assert row["completion_percentage"] == pytest.approx(100 * line[1] / line[0])
    assert row["yards_per_attempt"] == pytest.approx(line[2] / line[0])
    assert row["sacks"] == (line[5] if len(line) > 5 else 0)


PASSERS = Path("../shared/data/qb_seasons/pfr_passing_2001_2023.csv")


@pytest.mark.skipif(not PASSERS.exists(), reason=f"{PASSERS} is not there")
def test_ratings_of_two_thousand_listed_seasons():
    listed = pl.read_csv(PASSERS, infer_schema_length=None).drop_nulls(["Att", "Sk", "Rate", "ANY/A"])
    listed = listed.filter((pl.col("Att") > 0) & (pl.col("Int") <= pl.col("Att")))
    names = {"attempts": "Att", "completions": "Cmp", "yards": "Yds", "touchdowns": "TD", "interceptions": "Int"}
    result = rate(listed.select(**names, sacks="Sk", sack_yards=-pl.col("Yds-s"), plays=pl.col("Att") + pl.col("Sk")))
    assert len(result) > 2000
    assert (result["passer_rating"] - listed["Rate"]).abs().max() < 0.051
    assert (result["any_a"] - listed["ANY/A"]).abs().max() < 0.0051


def test_without_attempts_there_is_no_rating():
    sacks = season(0, 0, 0, 0, 0, 2, 15)
    (row,) = rate(sums(sacks, ["passer"])).iter_rows(named=True)
    assert row["passer_rating"] is None
    assert row["completion_percentage"] is None
    assert row["any_a"] == -7.5


def test_scores_epa_and_expectation_are_averaged_where_known():
    plays = season(4, 2, 20, 1, 0, 1, 5).with_columns(
        epa=pl.Series([1.0, None, -1.0, -0.5, -1.5]),
        expected_completion=pl.Series([0.5, 0.75, 0.25, None, 0.5]),
        score=pl.Series([1.0, 0.0, -1.0, -0.5, -2.0]),
    )
    (row,) = rate(sums(plays, ["passer"])).iter_rows(named=True)
    assert row["epa_per_play"] == pytest.approx(-0.5)
    assert row["cpoe"] == pytest.approx(100 * (0.5 + 0.25 - 0.25) / 3)
    assert row["mean_score"] == pytest.approx(-0.5)


def test_success_is_counted_over_what_the_distribution_expects():
    plays = season(4, 2, 20, 1, 0, 1, 5).with_columns(
        outcome=pl.Series([10.0, 10.0, 0.0, 0.0, -5.0]), success_chance=pl.Series([0.5, 0.75, 0.25, 0.5, 0.6])
    )
    (row,) = rate(sums(plays, ["passer"])).iter_rows(named=True)
    assert row["success_over_expectation"] == pytest.approx(100 * (2 - 2.6) / 5)


def test_a_missing_column_is_named():
    with pytest.raises(InputError, match="no column 'gain'"):
        sums(season(1, 1, 5, 0, 0).drop("gain"), ["passer"])


def throws(count=20_000, seed=0):
    r = np.random.default_rng(seed)
    depth, down = r.normal(8, 10, count), r.integers(1, 5, count).astype(float)
    chance = expit(1.5 - 0.08 * depth + 0.0006 * depth**2 - 0.1 * down)
    known = r.random(count) > 0.1
    return pl.DataFrame(
        {
            "game_id": r.integers(0, 50, count),
            "air_yards": pl.Series(np.where(known, depth, np.nan)).fill_nan(None),
            "down": down,
            "result": np.where(r.random(count) < chance, "C", np.where(r.random(count) < 0.9, "I", "IN")),
        }
    ), np.where(known, chance, np.nan)


def test_expected_completion_finds_the_distribution_that_drew_them():
    plays, chance = throws()
    result = expected_completion(plays, ["air_yards", "down"])
    known = np.isfinite(chance)
    assert np.sqrt(np.mean((result[known] - chance[known]) ** 2)) < 0.015
    assert np.corrcoef(result[known], chance[known])[0, 1] > 0.99
    complete = (plays["result"] == "C").to_numpy()
    assert abs(result.mean() - complete.mean()) < 0.005


def test_no_game_decides_its_own_expectations():
    plays, _ = throws(3000)
    own = plays["game_id"] == 7
    flipped = plays.with_columns(result=pl.when(own).then(pl.lit("I")).otherwise("result"))
    before, after = (expected_completion(each, ["down"])[own.to_numpy()] for each in (plays, flipped))
    np.testing.assert_array_equal(before, after)
    sacks = plays.with_columns(result=pl.when(own).then(pl.lit("S")).otherwise("result"))
    result = expected_completion(sacks, ["down"])
    assert np.isnan(result[own.to_numpy()]).all()
    assert np.isfinite(result[~own.to_numpy()]).all()


def test_expectations_of_what_cannot_be():
    plays, _ = throws(100)
    with pytest.raises(InputError, match="numeric column 'coverage'"):
        expected_completion(plays, ["coverage"])
    with pytest.raises(InputError, match="2 games"):
        expected_completion(plays.with_columns(game_id=1), ["down"])


def seasons(correlation, passers=150, games=16, plays=30, seed=0):
    """Two seasons per passer: skill N(0, 0.2^2) with correlation `correlation`, and plays of deviation 1."""
    r = np.random.default_rng(seed)
    skill = 0.2 * r.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], passers)
    passer, year, game, _ = np.indices((passers, 2, games, plays)).reshape(4, -1)
    return pl.DataFrame(
        {
            "passer_id": passer,
            "season": 2020 + year,
            "game_id": 100_000 * year + 100 * passer + game,
            "score": skill[passer, year] + r.standard_normal(passer.size),
            "result": "I",
            "gain": 0.0,
            "touchdown": False,
        }
    )


def test_split_halves_and_seasons_recover_the_simulated_reliability():
    plays = seasons(correlation=0.8)
    reliability = 0.04 / (0.04 + 1 / 480)
    (half,) = split_half(plays, ["mean_score"], splits=20, bootstraps=100)
    assert half.value == pytest.approx(reliability, abs=0.015)
    assert half.low < reliability < half.high
    assert half.pairs == 300
    (year,) = year_to_year(plays, ["mean_score"], bootstraps=200)
    assert year.pairs == 150
    assert year.low < 0.8 * reliability < year.high
    assert year.value == pytest.approx(0.8 * reliability, abs=0.06)


def test_reliability_of_too_few():
    plays = seasons(0.5, passers=2)
    with pytest.raises(InputError, match="9999 plays"):
        split_half(plays, ["mean_score"], min_plays=9999)
    (result,) = year_to_year(plays, ["mean_score"], min_plays=9999)
    assert result.pairs == 0
    assert np.isnan(result.value)
    (result,) = year_to_year(plays, ["mean_score"])
    assert result.pairs == 2
    assert np.isnan(result.value)
