"""Variances of play scores, shrinkage, intervals and the scale: known answers, and distributions whose truth is
known."""

import numpy as np
import polars as pl
import pytest
from scipy import integrate, stats

from sbp_jax.errors import InputError
from sbp_jax.scoring import League, aggregate
from sbp_jax.scoring.aggregation import group_columns
from tests.scoring.plays import drawn

LEAGUE = League(0.0, 0.04, 0.09, 1.0, {"play": 1.0, "game": 0.3, "season": 0.2, "career": 0.2}, 100)


@pytest.mark.parametrize("passers", [3, 7])
def test_variances_of_a_balanced_design_are_those_of_the_nested_analysis_of_variance(passers):
    r = np.random.default_rng(1)
    a, g, n = passers, 5, 4
    z = r.normal(0, 0.5, (a, 1, 1)) + r.normal(0, 0.7, (a, g, 1)) + r.normal(0, 1, (a, g, n))
    cells = z.mean(axis=2)
    within = ((z - cells[:, :, None]) ** 2).sum() / (a * g * (n - 1))
    among = n * ((cells - cells.mean(axis=1)[:, None]) ** 2).sum() / (a * (g - 1))
    squares = ((cells.mean(axis=1) - z.mean()) ** 2).sum()
    index = np.indices(z.shape).reshape(3, -1)
    table = pl.DataFrame({"passer_id": index[0], "game_id": 10 * index[0] + index[1], "score": z.reshape(-1)})
    league = League.fit(table)
    v = among / (n * g)
    assert among > within
    assert league.plays == pytest.approx(within, rel=1e-12)
    assert league.games == pytest.approx((among - within) / n, rel=1e-12)
    if passers == 3:
        assert league.passers == pytest.approx(squares / (a - 1) - v, rel=1e-12)
        return
    # of equal variances v about the truth tau^2 is v R / (1 - R) with R the posterior's mean
    free = (a - 1) / 2
    density = [lambda x: x**-free * np.exp(-squares / 2 / x), lambda x: x ** -(free + 1) * np.exp(-squares / 2 / x)]
    numerator, denominator = (integrate.quad(each, v, np.inf)[0] for each in density)
    assert league.passers == pytest.approx(numerator / denominator - v, rel=1e-3)


@pytest.mark.parametrize("tau", [0.0, 0.05, 0.2])
def test_passers_are_shrunk_as_by_the_mean_of_what_their_variance_may_be(tau):
    r = np.random.default_rng(int(100 * tau))
    size = r.integers(20, 400, 30)
    passer = np.repeat(np.arange(30), size)
    score = (tau * r.standard_normal(30))[passer] + r.standard_normal(size.sum())
    table = pl.DataFrame({"passer_id": passer, "game_id": passer, "score": score})
    league = League.fit(table)
    mean = table.group_by("passer_id", maintain_order=True).agg(pl.col("score").mean())["score"].to_numpy()
    about = league.plays / size

    def likelihood(a: float) -> float:
        p = 1 / (about + a)
        fit = np.sum(p * (mean - np.average(mean, weights=p)) ** 2)
        return np.exp((np.sum(np.log(p)) - np.log(p.sum()) - fit) / 2 - 60)

    def integral(of) -> float:
        return sum(integrate.quad(of, low, high)[0] for low, high in ((0, 0.02), (0.02, 1), (1, 50)))

    expected = np.array([integral(lambda a, v=v: likelihood(a) * a / (v + a)) for v in about]) / integral(likelihood)
    shrinkage = league.reliability("season", size, size**2)
    assert np.average(shrinkage, weights=size) == pytest.approx(np.average(expected, weights=size), abs=1e-4)
    np.testing.assert_allclose(shrinkage, expected, atol=0.05)  # each passer's own has another tau^2


def test_passers_who_hardly_differ_have_intervals_that_hold_the_truth():
    covered, zero = [], 0
    for seed in range(30):
        table, truth = drawn(passers=32, between=0.02, most_games=6, seed=seed)
        league = League.fit(table)
        board = aggregate(table, ("season",), league, bootstraps=0)
        true = truth[board["passer_id"].to_numpy()]
        covered.append((board["low"].to_numpy() < true) & (true < board["high"].to_numpy()))
        zero += board["passing_score"].n_unique() < 32
    assert zero == 0
    assert np.concatenate(covered).mean() > 0.9


def test_variances_of_an_unbalanced_league_are_recovered():
    leagues = [League.fit(drawn(seed=seed)[0]) for seed in range(20)]
    for name, true in (("passers", 0.12**2), ("games", 0.2**2), ("plays", 1.0)):
        values = np.array([getattr(each, name) for each in leagues])
        assert abs(values.mean() - true) < 3 * values.std(ddof=1) / np.sqrt(len(values)), name


def test_variances_that_cannot_be_separated_are_zero():
    one_game_each = pl.DataFrame({"passer_id": [1, 1, 2, 2], "game_id": [1, 1, 2, 2], "score": [0.0, 1.0, 5.0, 6.0]})
    assert League.fit(one_game_each).games == 0
    alone = pl.DataFrame({"passer_id": [1, 1, 1], "game_id": [1, 1, 2], "score": [0.0, 1.0, 2.0]})
    assert League.fit(alone).passers == 0
    singles = pl.DataFrame({"passer_id": [1, 2, 3], "game_id": [1, 2, 3], "score": [0.0, 1.0, 2.0]})
    assert League.fit(singles).plays == pytest.approx(2 / 3)
    alike = pl.DataFrame({"passer_id": [1, 1, 2, 2], "game_id": [1, 2, 1, 2], "score": [0.0, 1.0, 1.0, 0.0]})
    board = aggregate(alike.with_columns(passer=pl.lit("A"), pit=0.5), ("career",), League.fit(alike))
    assert board["passing_score"].to_list() == [74.5, 74.5]


@pytest.mark.parametrize(
    ("level", "reliability"),
    [("play", 1.0), ("game", 0.13 / (0.13 + 1 / 20)), ("season", 0.04 / (0.04 + 0.09 * 0.5 + 1 / 20))],
)
def test_reliability_by_level(level, reliability):
    value = LEAGUE.reliability(level, np.array([20]), np.array([200]))  # two games of ten plays
    assert value == pytest.approx(reliability)


def test_the_scale():
    score = LEAGUE.passing_score(np.array([-9.0, -0.2, 0.0, 0.2, 9.0]), "season")
    np.testing.assert_allclose(score, 50 + 49 * stats.norm.cdf([-45, -1, 0, 1, 45]))
    np.testing.assert_allclose(LEAGUE.passing_score(np.array([0.3]), "drive"), 50 + 49 * stats.norm.cdf(1.0))
    np.testing.assert_allclose(LEAGUE.passing_score(np.array([0.3]), "season", center=0.3), 74.5)


def test_aggregate_of_one_season_by_hand():
    table = pl.DataFrame(
        {"passer_id": [1] * 4, "passer": ["A"] * 4, "season": [2020] * 4, "game_id": [1, 1, 2, 2]}
        | {"score": [1.0, 0.0, 0.5, 0.5], "pit": [0.8, 0.5, 0.7, 0.6]}
    )
    (row,) = aggregate(table, ("season",), LEAGUE, bootstraps=0).iter_rows(named=True)
    error = np.sqrt(0.09 / 2 + 1 / 4)
    reliability = 0.04 / (0.04 + error**2)
    assert (row["plays"], row["games"]) == (4, 2)
    assert row["score"] == pytest.approx(0.5)
    assert row["pit"] == pytest.approx(0.65)
    assert row["standard_error"] == pytest.approx(error)
    assert row["reliability"] == pytest.approx(reliability)
    assert row["shrunk"] == pytest.approx(0.5 * reliability)
    # the posterior of a normal truth given a normal mean
    deviation = np.sqrt(1 / (1 / 0.04 + 1 / error**2))
    assert row["high"] == pytest.approx(row["shrunk"] + stats.norm.ppf(0.95) * deviation)
    assert row["low"] == pytest.approx(row["shrunk"] - stats.norm.ppf(0.95) * deviation)
    assert row["passing_high"] == pytest.approx(50 + 49 * stats.norm.cdf(row["high"] / 0.2))


def test_intervals_hold_the_truth_nine_times_in_ten():
    covered = {"low": [], "bootstrap_low": []}
    for seed in range(5):
        table, truth = drawn(seed=seed)
        board = aggregate(table, ("season",), League.fit(table), seed=seed)
        true, games = truth[board["passer_id"].to_numpy()], board["games"].to_numpy()
        for low, cases in covered.items():
            inside = (board[low].to_numpy() < true) & (true < board[low.replace("low", "high")].to_numpy())
            # a bootstrap of few games knows little of their spread
            cases.append(inside if low == "low" else inside[games >= 5])
    analytic, bootstrap = (np.concatenate(cases) for cases in covered.values())
    assert abs(analytic.mean() - 0.9) < 3 * np.sqrt(0.09 / len(analytic))
    assert 0.86 < bootstrap.mean() < 0.94


def test_the_two_intervals_agree_where_games_are_many():
    table, _ = drawn(passers=40, most_games=17, seed=3)
    many = table.with_columns(game_id=pl.col("game_id") * 100 + pl.int_range(pl.len()) // 10 % 50)
    league = League.fit(many)
    board = aggregate(many, ("season",), league, bootstraps=2000).filter(pl.col("games") >= 40)
    ratio = (board["bootstrap_high"] - board["bootstrap_low"]) / (board["high"] - board["low"])
    assert len(board) > 5
    assert abs(float(np.mean(ratio.to_numpy())) - 1) < 0.1


def test_shrinking_brings_the_scores_nearer_the_truth():
    table, truth = drawn(most_games=6, seed=4)
    board = aggregate(table, ("season",), League.fit(table), bootstraps=0)
    true = truth[board["passer_id"].to_numpy()]
    errors = {name: np.mean((board[name].to_numpy() - true) ** 2) for name in ("score", "shrunk")}
    assert errors["shrunk"] < 0.7 * errors["score"]


def test_a_league_is_saved_and_scores_later_plays_on_its_scale(tmp_path):
    table, _ = drawn(passers=20)
    league = League.fit(table)
    league.save(tmp_path / "scores" / "league.json")
    assert League.load(tmp_path / "scores" / "league.json") == league
    later = table.filter(pl.col("passer_id") == 3)
    alone = aggregate(later, ("season",), league)
    among = aggregate(table, ("season",), league).filter(pl.col("passer_id") == 3)
    for name in ("passing_score", "passing_low", "passing_high", "reliability"):
        assert alone[name][0] == pytest.approx(among[name][0])


@pytest.mark.parametrize(
    "content", ["", "{}", "[1]", '{"format": 1}', '{"format": 2, "mean": 0}', '{"format": 1, "mean": "x"}']
)
def test_a_file_that_is_not_a_league_is_named(tmp_path, content):
    (tmp_path / "league.json").write_text(content)
    with pytest.raises(InputError, match=r"league\.json"):
        League.load(tmp_path / "league.json")


def test_a_league_of_impossible_numbers_is_refused(tmp_path):
    LEAGUE.save(tmp_path / "league.json")
    text = (tmp_path / "league.json").read_text().replace('"games": 0.09', '"games": -1.0')
    (tmp_path / "league.json").write_text(text)
    with pytest.raises(InputError, match="games: expected a finite number"):
        League.load(tmp_path / "league.json")


def test_groups():
    assert group_columns(("season", "down")) == (["passer_id", "passer", "season", "down"], "season")
    assert group_columns(("down",)) == (["passer_id", "passer", "down"], "career")
    assert group_columns(("season", "game"))[1] == "game"
    with pytest.raises(InputError, match="'down' appears twice"):
        group_columns(("down", "down"))


def test_a_missing_value_is_a_group_of_its_own():
    table, _ = drawn(passers=4, most_games=3)
    half = table.with_columns(down=pl.when(pl.col("play_id") % 2 == 0).then(1))
    board = aggregate(half, ("down",), LEAGUE)
    assert set(board["down"].to_list()) == {1, None}
    assert board["plays"].sum() == len(table)
    assert np.isfinite(board["bootstrap_low"].to_numpy()).all()


@pytest.mark.parametrize("score", [0.1, 0.3, 1e-9])
def test_equal_scores_give_no_differences(score):
    passers = np.repeat(np.arange(5), 21)
    table = pl.DataFrame({"passer_id": passers, "passer": passers.astype(str), "game_id": np.arange(105) // 7})
    table = table.with_columns(score=pl.lit(score), pit=0.5)
    for by in (("career",), ("game",), ("play",)):
        board = aggregate(table.with_columns(play_id=pl.int_range(105)), by, League.fit(table))
        assert set(board["passing_score"].to_list()) == {74.5}


def test_a_game_of_many_plays_counts_completely():
    table = pl.DataFrame({"passer_id": np.repeat([1, 2], 70_000), "passer": "A", "game_id": np.repeat([1, 2], 70_000)})
    table = table.with_columns(score=pl.Series(np.random.default_rng(0).standard_normal(140_000)), pit=0.5)
    league = League(0.0, 0.01, 0.01, 1.0, {"career": 0.1})
    board = aggregate(table, ("career",), league, bootstraps=0)
    assert board["standard_error"].to_list() == pytest.approx([np.sqrt(0.01 + 1 / 70_000)] * 2)


def test_bad_input_is_named():
    scored, _ = drawn(passers=3)
    with pytest.raises(InputError, match="score: expected a finite number in every row, got None in row 2"):
        aggregate(scored.with_columns(score=pl.when(pl.int_range(pl.len()) != 2).then("score")), ("season",), LEAGUE)
    with pytest.raises(InputError, match="by: expected words in a list, got 'season'"):
        aggregate(scored, "season", LEAGUE)
    with pytest.raises(InputError, match="plays: no column 'game_id'"):
        League.fit(scored.drop("game_id"))
    table, _ = drawn(passers=3)
    with pytest.raises(InputError, match="no column 'team'"):
        aggregate(table, ("team",), LEAGUE)
    with pytest.raises(InputError, match="has 9999 plays"):
        aggregate(table, ("season",), LEAGUE, min_plays=9999)
    with pytest.raises(InputError, match="at least two"):
        League.fit(table.head(1))
    with pytest.raises(InputError, match="finite"):
        League.fit(table.with_columns(score=pl.lit(float("nan"))))
