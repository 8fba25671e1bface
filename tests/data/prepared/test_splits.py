"""Assignment of games to train, validation and test."""

import pytest

from sbp_jax.data.prepared.splits import SPLITS, split_by_season, split_games
from sbp_jax.errors import InputError


@pytest.mark.parametrize(
    ("count", "fractions", "sizes"),
    [
        (3, (0.7, 0.15, 0.15), (1, 1, 1)),
        (2, (0.7, 0.15, 0.15), (1, 0, 1)),
        (100, (0.7, 0.15, 0.15), (70, 15, 15)),
        (10, (0.9, 0.0, 0.1), (9, 0, 1)),
        (4, (0.98, 0.01, 0.01), (2, 1, 1)),
    ],
)
def test_split_sizes(count, fractions, sizes):
    splits = split_games(range(count), 0, fractions)
    assert tuple(len(splits[split]) for split in SPLITS) == sizes
    assert sorted(game for games in splits.values() for game in games) == list(range(count))


def test_splits_depend_on_the_seed_alone():
    fractions = (0.7, 0.15, 0.15)
    assert split_games([3, 1, 2, 5, 4], 0, fractions) == split_games([5, 4, 3, 2, 1, 1], 0, fractions)
    assert split_games(range(50), 0, fractions) != split_games(range(50), 1, fractions)


def test_seasons_that_test():
    games, seasons = [7, 1, 1, 2, 3, 4, 5, 6, 6], [2018, 2017, 2017, 2017, 2017, 2017, 2017, 2018, 2018]
    split = split_by_season(games, seasons, (2018,), 0, (0.6, 0.2, 0.2))
    assert split["test"] == [6, 7]
    assert sorted(split["train"] + split["validation"]) == [1, 2, 3, 4, 5]
    assert (len(split["train"]), len(split["validation"])) == (4, 1)
    assert split_by_season(games, seasons, (2018,), 0, (0.8, 0.0, 0.2))["validation"] == []
    other = split_by_season(range(50), [2017] * 40 + [2018] * 10, (2018,), 1, (0.5, 0.5, 0.0))
    assert other != split_by_season(range(50), [2017] * 40 + [2018] * 10, (2018,), 2, (0.5, 0.5, 0.0))


@pytest.mark.parametrize(
    ("test", "message"),
    [((2019,), "no play is of the season 2019; there are those of 2017, 2018"), ((2017, 2018), "no season is left")],
)
def test_seasons_that_cannot_test(test, message):
    with pytest.raises(InputError, match=message):
        split_by_season([1, 2], [2017, 2018], test, 0, (0.6, 0.2, 0.2))


def test_a_game_has_one_season_even_if_some_of_its_plays_have_none():
    split = split_by_season([1, 1, 2, 3], [2018, -1, 2017, 2017], (2018,), 0, (1.0, 0.0, 0.0))
    assert (split["test"], split["train"]) == ([1], [2, 3])
    with pytest.raises(InputError, match="game 1 has plays of the seasons 2017 and 2018; expected one"):
        split_by_season([1, 1, 2], [2018, 2017, 2017], (2018,), 0, (1.0, 0.0, 0.0))
    with pytest.raises(InputError, match="game 2 has plays of no season; expected one"):
        split_by_season([1, 2], [2018, -1], (2018,), 0, (1.0, 0.0, 0.0))


def test_a_single_game_outside_the_test_trains():
    split = split_by_season([1, 2], [2017, 2018], (2018,), 0, (0.6, 0.2, 0.2))
    assert (split["train"], split["validation"], split["test"]) == ([1], [], [2])
