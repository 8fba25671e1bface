"""Ratings against winning: correlations by hand, intervals and paired differences on a known distribution."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from sbp_jax.errors import InputError
from sbp_jax.scoring.winning import correlations, primary_passers, rank_correlations


def teams(seed=0, seasons=6):
    r = np.random.default_rng(seed)
    team, season = np.indices((32, seasons)).reshape(2, -1)
    skill = r.standard_normal(team.size)
    wins = 0.6 * skill + 0.8 * r.standard_normal(team.size)
    return pl.DataFrame(
        {
            "team": team,
            "season": season,
            "good": skill + 0.3 * r.standard_normal(team.size),
            "poor": skill + 2.0 * r.standard_normal(team.size),
            "wins": wins,
            "playoffs": wins > 0.3,
        }
    )


def test_correlations_are_those_of_scipy_and_leads_are_paired():
    table = teams()
    result = correlations(table, ["good", "poor"], ["wins", "playoffs"], "good")
    for each in result:
        expected = stats.pearsonr(table[each.rating], table[each.outcome].cast(pl.Float64)).statistic
        assert each.value == pytest.approx(expected, abs=1e-12)
        assert each.low < each.value < each.high
        assert each.teams == len(table)
    good, poor = result[:2]
    assert (good.difference, good.difference_low, good.difference_high) == (0, 0, 0)
    assert poor.difference == pytest.approx(good.value - poor.value)
    assert poor.difference_low > 0


def test_nine_intervals_in_ten_hold_the_true_correlation():
    true = 0.6 / np.sqrt(1.09)
    covered = []
    for seed in range(60):
        (result,) = correlations(teams(seed), ["good"], ["wins"], "good", bootstraps=300)
        covered.append(result.low < true < result.high)
    assert 0.78 <= np.mean(covered) <= 0.98


def test_only_team_seasons_with_all_ratings_count():
    table = teams().with_columns(poor=pl.when(pl.col("season") > 0).then("poor"))
    result = correlations(table, ["good", "poor"], ["wins"], "good", bootstraps=10)
    assert {each.teams for each in result} == {160}
    with pytest.raises(InputError, match="no column 'qbr'"):
        correlations(table, ["qbr"], ["wins"], "qbr")
    with pytest.raises(InputError, match="at least 3"):
        correlations(table.head(2), ["good"], ["wins"], "good")


def test_the_primary_passer_has_the_most_plays():
    plays = pl.DataFrame(
        {"season": [1, 1, 1, 1, 2], "team": ["A", "A", "A", "B", "A"], "passer_id": [1, 1, 2, 3, 2]}
    ).with_columns(passer=pl.col("passer_id").cast(pl.String))
    result = primary_passers(plays)
    assert result.select("season", "team", "passer_id", "plays").rows() == [
        (1, "A", 1, 2),
        (1, "B", 3, 1),
        (2, "A", 2, 1),
    ]


def test_rank_correlations_by_attempts():
    r = np.random.default_rng(0)
    ratings = {"score": r.standard_normal(60), "other": r.standard_normal(60)}
    table = pl.DataFrame({"league": np.repeat([1, 0], 30), "skill": r.standard_normal(60), **ratings})
    result = rank_correlations({100: table, 200: table.reverse()}, ["score", "other"], "skill")
    assert result.select("attempts", "rating", "league").rows() == [
        (attempts, rating, league) for attempts in (100, 200) for rating in ratings for league in (0, 1)
    ]
    for row in result.iter_rows(named=True):
        own = table.filter(pl.col("league") == row["league"])
        assert row["value"] == pytest.approx(stats.spearmanr(own[row["rating"]], own["skill"]).statistic, abs=1e-12)


def test_what_does_not_vary_has_no_correlation():
    (result,) = correlations(teams().with_columns(good=74.5), ["good"], ["wins"], "good", bootstraps=10)
    assert np.isnan([result.value, result.low, result.high, result.difference]).all()
