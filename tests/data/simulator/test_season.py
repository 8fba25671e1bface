"""Full seasons: the calendar, careers of quarterbacks, and results that true strength decides."""

from collections import Counter

import numpy as np
import polars as pl
import pytest
from scipy import stats

from sbp_jax.data.simulator.league import TEAMS, draw_absences, found_league, passers
from sbp_jax.data.simulator.season import (
    MARGIN_SD_POINTS,
    Season,
    draw_calendar,
    play_seasons,
    season_tables,
    show_plays,
    standings_table,
)
from sbp_jax.data.simulator.simulate import LeagueConfig
from sbp_jax.errors import InputError

SEEDS = range(12)
YEARS = range(2018, 2021)


def seasons_of(seed: int, config: LeagueConfig | None = None, years: range = YEARS) -> list[Season]:
    return play_seasons(config or LeagueConfig(), seed, years, found_league(seed))


@pytest.fixture(scope="module")
def leagues() -> list[list[Season]]:
    """Three seasons of a dozen leagues."""
    return [seasons_of(seed) for seed in SEEDS]


@pytest.fixture(scope="module")
def tables(leagues) -> dict[str, pl.DataFrame]:
    """Their tables, with the league's seed."""
    each = [season_tables(LeagueConfig(), seasons) for seasons in leagues]
    seeded = [
        {name: t.with_columns(seed=pl.lit(s)) for name, t in part.items()} for s, part in zip(SEEDS, each, strict=True)
    ]
    return {name: pl.concat([part[name] for part in seeded]) for name in each[0]}


@pytest.mark.parametrize("season_index", [0, 2])
def test_calendar(season_index):
    for seed in SEEDS:
        weeks = draw_calendar(seed, season_index)
        assert len(weeks) == 18
        games, home, met, off = Counter(), Counter(), Counter(), Counter()
        for number, pairs in enumerate(weeks, start=1):
            playing = [team for pair in pairs for team in pair]
            assert len(playing) == len(set(playing)), "nobody plays twice a week"
            games.update(playing)
            home.update(pair[0] for pair in pairs)
            met.update(frozenset(pair) for pair in pairs)
            idle = set(range(32)) - set(playing)
            assert not idle or 5 <= number <= 15
            off.update(idle)
        assert games == dict.fromkeys(range(32), 17)
        assert off == dict.fromkeys(range(32), 1)
        assert set(home.values()) == {8, 9}
        assert set(met.values()) == {1}
    assert draw_calendar(3, 0) == draw_calendar(3, 0) != draw_calendar(3, 1)


def test_games_are_numbered_and_dated(leagues):
    for seasons in leagues[:3]:
        ids = [game.game_id for season in seasons for game in season.games]
        assert len(set(ids)) == 3 * 272
        assert [game.index for season in seasons for game in season.games] == list(range(3 * 272))
        assert all(game.day.weekday() == 6 for season in seasons for game in season.games)
        assert {game.week for game in seasons[0].games} == set(range(1, 19))


def test_expected_margin_is_the_sum_of_its_parts(leagues):
    for season in leagues[4]:
        league, rest = season.league, season.rest
        for game, margin in zip(season.games, season.margins, strict=True):
            skill = league.skill[game.home, game.home_quarterback] - league.skill[game.away, game.away_quarterback]
            assert margin == pytest.approx(5.0 * skill + rest[game.home] - rest[game.away] + 2.0)


def test_scores_follow_the_expected_margin(leagues):
    margins = np.concatenate([season.margins for seasons in leagues for season in seasons])
    points = np.concatenate([season.points for seasons in leagues for season in seasons])
    final = points[:, 0] - points[:, 1]
    residual = final - margins
    assert points.min() >= 0
    assert (final != 0).all()
    assert abs(residual.mean()) < 3.5 * residual.std() / np.sqrt(len(residual))
    slope = stats.linregress(margins, final)
    assert abs(slope.slope - 1) < 3.5 * slope.stderr
    assert residual.std() == pytest.approx(MARGIN_SD_POINTS, rel=0.03)
    assert 40 < points.sum(axis=1).mean() < 50
    for low, high in ((-40, -10), (-10, -3), (-3, 3), (3, 10), (10, 40)):
        inside = (margins >= low) & (margins < high)
        expected = stats.norm.cdf(margins[inside] / MARGIN_SD_POINTS).mean()
        assert (final[inside] > 0).mean() == pytest.approx(expected, abs=0.04)


def test_wins_correlate_with_true_strength_as_designed(tables):
    """Of three seasons of a dozen leagues, 1,152 team-seasons; real win shares of 2016-2023 scatter by 0.187."""
    teams = tables["truth/teams.parquet"]
    share = teams["wins"] / 17
    assert share.std() == pytest.approx(0.187, abs=0.015)
    correlation = {
        name: np.corrcoef(teams[f"{name}_points"], share)[0, 1] for name in ("strength", "quarterback", "rest")
    }
    assert 0.74 < correlation["strength"] < 0.84
    assert 0.52 < correlation["quarterback"] < 0.66
    assert 0.43 < correlation["rest"] < 0.59
    assert 0.40 < np.corrcoef(teams["quarterback_points"], teams["made_playoffs"])[0, 1] < 0.56
    np.testing.assert_allclose(teams["strength_points"], teams["quarterback_points"] + teams["rest_points"])
    games = tables["truth/games.parquet"]
    assert (games["expected_margin"].mean() or 0) == pytest.approx(2.0, abs=0.3)


def test_a_quarterback_worth_nothing_wins_nothing():
    config = LeagueConfig(quarterback_points=0.0)
    wins, skills = [], []
    for seed in SEEDS[:6]:
        seasons = seasons_of(seed, config)
        own = season_tables(config, seasons)["truth/teams.parquet"]
        assert (own["quarterback_points"] == 0).all()
        wins.append(own["wins"].to_numpy())
        skills.append(np.concatenate([season.league.skill[:, 0] for season in seasons]))
    correlation = np.corrcoef(np.concatenate(wins), np.concatenate(skills))[0, 1]
    assert abs(correlation) < 0.15


def test_skills_stay_standard_normal_and_drift_a_little(tables):
    careers = tables["truth/quarterback_seasons.parquet"]
    assert careers.height == 12 * 3 * 64
    assert careers.group_by("seed", "season").agg(pl.col("nflId").n_unique())["nflId"].unique().to_list() == [64]
    assert stats.kstest(careers.filter(pl.col("season") == 2020)["skill"], "norm").pvalue > 1e-3
    keys = ["seed", "nflId"]
    pairs = careers.filter(season=2018).join(careers.filter(season=2019), on=keys, suffix="_next")
    assert pairs.height == 12 * 64
    assert np.corrcoef(pairs["skill"], pairs["skill_next"])[0, 1] == pytest.approx(0.97, abs=0.01)
    moved = pairs["team"] != pairs["team_next"]
    assert 0.14 < moved.mean() < 0.24
    lasting = tables["truth/quarterbacks.parquet"]
    assert lasting.height == 12 * 64
    mean = careers.group_by(keys).agg(mean=pl.col("skill").mean())
    joined = lasting.join(mean, on=keys)
    np.testing.assert_allclose(joined["skill"], joined["mean"])


def test_quarterbacks_share_the_games_as_real_ones_do(tables):
    """The first passer of 96 real team-seasons threw 85 % of the passes on average, 92 % in the median."""
    careers = tables["truth/quarterback_seasons.parquet"]
    assert careers.group_by("seed", "season", "team").agg(pl.col("games_started").sum())[
        "games_started"
    ].unique().to_list() == [17]
    share = careers.group_by("seed", "season", "team").agg(pl.col("games_started").max())["games_started"] / 17
    assert 0.82 < (share.mean() or 0) < 0.92
    assert 0.86 < (share.median() or 0) <= 1
    assert (share.quantile(0.05) or 0) < 0.65
    for absent in (draw_absences(seed, 0, 17) for seed in SEEDS):
        assert (np.abs(np.diff(absent.astype(int), axis=1)).sum(axis=1) <= 2).all(), "one stretch at most"


def test_a_season_does_not_depend_on_later_ones(leagues):
    alone = seasons_of(5, years=range(2018, 2019))[0]
    first = leagues[5][0]
    assert alone.games == first.games
    np.testing.assert_array_equal(alone.margins, first.margins)
    np.testing.assert_array_equal(alone.points, first.points)


def test_plays_are_spread_evenly_and_fewer_are_among_more(leagues):
    seasons = leagues[0]

    def shown(plays: int) -> dict[int, set[int]]:
        return {
            g.index: set(k.tolist())
            for w in show_plays(seasons, plays, 0)
            for g, k in zip(w.games, w.kept, strict=True)
        }

    many, few, most = shown(50_000), shown(500), shown(66 * 816)
    assert sum(map(len, many.values())) == 50_000
    assert {len(rows) for rows in many.values()} == {61, 62}
    assert len(few) == sum(map(len, few.values())) == 500
    assert all(rows <= many[index] for index, rows in few.items())
    assert all(rows == set(range(66)) for rows in most.values())


def test_playoffs_by_wins_then_difference_then_points_then_name():
    """Each team of the first conference has the record in the code; those of the second lose to them."""
    north, south = TEAMS[:16], TEAMS[16:]
    rows = []

    def game(home: str, visitor: str, home_score: int, visitor_score: int) -> None:
        winner = home if home_score > visitor_score else visitor
        rows.append((2018, home, visitor, home_score, visitor_score, winner))

    for team, other in zip(north[:5], south[:5], strict=True):  # in any case: two wins
        game(team, other, 20, 10)
        game(team, south[5], 20, 10)
    game(north[5], south[6], 30, 10)  # one win by 20
    game(north[6], south[7], 27, 10)  # by 17, 27 scored
    game(north[7], south[8], 20, 3)  # by 17, 20 scored
    game(north[8], south[9], 20, 3)  # the same, later in the alphabet
    for team in (*north[9:], *south[10:]):
        game(south[0], team, 14, 7)
    columns = ("season", "homeTeamAbbr", "visitorTeamAbbr", "homeScore", "visitorScore", "winner")
    table = standings_table(pl.DataFrame(rows, schema=columns, orient="row"))
    rank = dict(table.filter(conference="North").select("team", "conference_rank").rows())
    assert set(rank.values()) == set(range(1, 17))
    assert [rank[north[k]] for k in (5, 6, 7, 8)] == [6, 7, 8, 9]
    made = set(table.filter(made_playoffs=1, conference="North")["team"])
    assert made == set(north[:7])
    assert table.filter(made_playoffs=1).height == 14


def test_passers_are_those_of_the_season(leagues):
    for season in leagues[1]:
        rows, skill = passers(season.games, season.league)
        assert set(season.league.players["position"].gather(rows.ravel().tolist())) == {"QB"}
        assert skill.shape == (272, 2)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"quarterback_points": -1.0}, "quarterback_points: expected points from 0 to 30, got -1"),
        ({"home_points": float("nan")}, "home_points: expected points"),
        ({"moves": 1.5}, "moves: expected a number from 0 to 1, got 1.5"),
    ],
)
def test_wrong_effects_are_named(wrong, message):
    with pytest.raises(InputError, match=message):
        LeagueConfig(**wrong)
