"""The commands for cross-fitting, scores by group and split, later plays, joined ratings, and the report."""

import json
import shutil

import numpy as np
import polars as pl
import pytest

import sbp_jax as sbp
from sbp_jax.cli import report, score
from sbp_jax.config import Config, DataConfig, HeadConfig, TrainingConfig
from sbp_jax.errors import InputError
from sbp_jax.models.network import NetworkConfig
from sbp_jax.runs.crossfit import crossfit, folds_of, load_crossfit
from sbp_jax.runs.report import plays_to_watch
from sbp_jax.runs.score import open_target
from sbp_jax.scoring import League
from tests.runs.test_play_lists import GAMES, PLAYS, table

pytestmark = pytest.mark.unoptimized


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scored")
    random = np.random.default_rng(0)
    drawn = random.choice(["C", "I", "IN"], GAMES * PLAYS, p=[0.6, 0.35, 0.05])
    plays = table().with_columns(
        passResult=pl.Series(drawn),
        prePenaltyPlayResult=pl.when(pl.Series(drawn) == "C").then("prePenaltyPlayResult").otherwise(0),
        coverage=pl.Series(random.choice(["Man", "Zone"], len(drawn))),
        drive=pl.col("playId") // 5,
        epa=pl.Series(random.normal(0, 1, len(drawn))),
    )
    plays.write_csv(folder / "plays.csv")
    plays.with_columns(pl.col("gameId") + 500).head(3 * PLAYS).write_csv(folder / "later.csv")
    return folder


@pytest.fixture(scope="module")
def crossed(files):
    config = Config(
        data=DataConfig(source=(str(files / "plays.csv"),), cache=str(files / "data"), tracking=False),
        network=NetworkConfig(encoder="none", hidden=(16,)),
        head=HeadConfig(bins=71),
        training=TrainingConfig(epochs=2, batch_size=32),
    )
    return crossfit(config, 3, "game", files / "runs")


@pytest.fixture
def target(crossed, tmp_path):
    return shutil.copytree(crossed, tmp_path / "crossfit")


def board(folder):
    return pl.read_parquet(folder / "scores" / "leaderboard.parquet")


@pytest.mark.slow
def test_every_play_is_scored_once_by_a_network_of_other_games(crossed):
    cross = load_crossfit(crossed)
    scored = cross.score()
    assert len(scored) == GAMES * PLAYS
    assert scored.select("game_id", "play_id").is_duplicated().sum() == 0
    games = {fold: set(part["game_id"]) for (fold,), part in scored.group_by("fold")}
    assert [len(games[k]) for k in range(3)] == [8, 8, 8]
    for number, run in enumerate(cross.runs):
        seen = set(run.plays("train").game_id) | set(run.plays("validation").game_id)
        assert seen == set().union(*(games[k] for k in range(3) if k != number))
        assert set(run.plays("test").game_id) == games[number]


@pytest.mark.slow
def test_a_fold_that_is_missing_is_named(target):
    cross = load_crossfit(target)
    shutil.rmtree(cross.runs[1].path)
    with pytest.raises(InputError, match="has no run of fold 1"):
        load_crossfit(target)
    other = shutil.copytree(cross.runs[0].path, target / "other")
    saved = json.loads((other / "config.json").read_text())
    saved["config"]["data"]["folds"] = 0
    (other / "config.json").write_text(json.dumps(saved))
    with pytest.raises(InputError, match="not the run of a fold"):
        load_crossfit(target)


@pytest.mark.slow
def test_folds_that_cannot_be(crossed):
    config = load_crossfit(crossed).config
    for folds, by, message in ((1, "game", "--folds"), (3, "week", "--by")):
        with pytest.raises(InputError, match=message):
            list(folds_of(config, folds, by))


@pytest.mark.slow
@pytest.mark.parametrize(("by", "groups"), [("career", 6), ("season", 6), ("game", 24), ("drive", 96), ("play", 480)])
def test_any_level(target, by, groups, capsys):
    score.command([str(target), "--by", by, "--bootstraps", "50"])
    leaders = board(target)
    assert len(leaders) == groups
    assert leaders["plays"].sum() == GAMES * PLAYS
    assert leaders["passing_score"].is_between(50, 99).all()
    assert (leaders["passing_low"] <= leaders["passing_score"]).all()
    assert f"{groups} groups of the level {by}" in capsys.readouterr().out
    assert {"passer_rating", "any_a", "cpoe", "epa_per_play"} <= set(leaders.columns)


@pytest.mark.slow
def test_splits_name_columns_of_the_run_and_of_the_list(target, capsys):
    score.command([str(target), "--split", "coverage = 'Man' and down <= 2", "--by", "career", "down"])
    printed = capsys.readouterr().out
    listed = pl.read_parquet(target / "scores" / "plays.parquet")
    assert set(listed["coverage"]) == {"Man"}
    assert set(board(target)["down"]) <= {1, 2}
    assert f"{len(listed)} of 480 plays; the league's mean score on them" in printed
    with pytest.raises(InputError, match="no column 'covrage'; did you mean 'coverage'"):
        score.command([str(target), "--split", "covrage = 'Man'"])


@pytest.mark.slow
def test_the_league_is_fixed_once_and_scores_later_plays(target, files, capsys):
    score.command([str(target)])
    assert "fixed now on 480 plays" in capsys.readouterr().out
    league = League.load(target / "scores" / "league.json")
    score.command([str(target), "--source", str(files / "later.csv"), "--by", "game"])
    assert "as fixed before on 480 plays" in capsys.readouterr().out
    assert League.load(target / "scores" / "league.json") == league
    assert board(target)["plays"].to_list() == [PLAYS] * 3
    # the same plays with other ids get the mean of the runs' PITs
    later = pl.read_parquet(target / "scores" / "plays.parquet").sort("game_id", "play_id")
    runs = load_crossfit(target).runs
    plays = sbp.load_run(runs[0].path).plays("test")
    one = [run.score(plays)["pit"].to_numpy() for run in runs]
    mean = pl.DataFrame({"game_id": plays.game_id + 500, "play_id": plays.play_id, "mean": np.mean(one, axis=0)})
    both = later.join(mean, on=["game_id", "play_id"])
    np.testing.assert_allclose(both["pit"], both["mean"], atol=1e-6)


@pytest.mark.slow
def test_further_ratings_join_by_what_both_have(target, tmp_path, capsys):
    rows = {"passer": ["P.Passer0", "P.Passer1", "X.Nobody"], "qbr": [70.5, 55.0, 1.0]}
    pl.DataFrame(rows).write_csv(tmp_path / "qbr.csv")
    score.command([str(target), "--join", str(tmp_path / "qbr.csv")])
    printed = capsys.readouterr().out
    assert "qbr.csv: 2 of 3 rows joined by passer; not in the leaderboard: X.Nobody" in printed
    assert dict(board(target).select("passer", "qbr").drop_nulls().iter_rows()) == {
        "P.Passer0": 70.5,
        "P.Passer1": 55.0,
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"name": ["A"], "qbr": [1]}, "expected a column to join by, one of passer_id, passer"),
        ({"passer": ["A", "B"], "qbr": [1, 2]}, "none of its 2 rows joins by passer: its first has passer 'A'"),
        ({"passer": ["A", "A"], "qbr": [1, 2]}, "2 of 2 rows share their passer"),
        ({"passer": ["A"]}, "has no column besides passer, which"),
        ({"passer": ["A"], "plays": [1], "qbr": [1]}, "plays: the leaderboard has a column with that name"),
        ({"passer_id": ["A"], "qbr": [1]}, "passer_id: expected Int64 as in the leaderboard, got for example 'A'"),
        ({"passer_id": [1.25, 1.5], "qbr": [1, 2]}, "passer_id: expected Int64 .* got for example 1.25"),
        ({"passer_id": ["01", "1"], "qbr": [1, 2]}, "share their passer_id|none of its 2 rows"),
        ({"passer": pl.Series([], dtype=pl.String), "qbr": pl.Series([], dtype=pl.Int64)}, "has no rows"),
    ],
)
def test_a_file_that_does_not_join_is_reported(target, tmp_path, rows, message):
    pl.DataFrame(rows).write_csv(tmp_path / "other.csv")
    with pytest.raises(InputError, match=message) as caught:
        score.command([str(target), "--join", str(tmp_path / "other.csv")])
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--min-plays", "0"], "--min-plays"),
        (["--min-plays", "5000"], "has 5000 plays"),
        (["--bootstraps", "-1"], "--bootstraps"),
        (["--by", "coach"], "no column 'coach'"),
        (["--by", "score"], "by: 'score' is a column of the leaderboard"),
        (["--of", "test"], "a cross-fitting scores every play"),
        (["--source", "nowhere.csv"], "nowhere.csv: no such file"),
    ],
)
def test_what_cannot_be_scored_is_one_line(target, words, message):
    with pytest.raises(InputError, match=message):
        score.command([str(target), *words])


@pytest.mark.slow
def test_the_report_of_it(target, tmp_path, capsys):
    report.command([str(target), "--min-plays", "20", "--out", str(tmp_path / "report.html")])
    text = (tmp_path / "report.html").read_text()
    assert "480 plays, 6 quarterbacks" in capsys.readouterr().out
    data = json.loads(text.split('type="application/json">')[1].split("</script>")[0])
    assert len(data["passers"]) == 6
    assert {each["split"] for each in data["boards"]} >= {"", "first_down"}
    ours = data["boards"][0]["rows"]
    score.command([str(target)])
    expected = dict(board(target).select(pl.col("passer_id").cast(pl.String), "passing_score").iter_rows())
    column = 1 + [each["key"] for each in data["columns"]].index("passing_score")
    assert {row[0]: pytest.approx(row[column], rel=1e-4) for row in ours} == expected
    assert all(len(each["best"]) == len(each["worst"]) == 10 for each in data["passers"])
    assert all(each["count"] == 1 for each in data["plays"])


@pytest.mark.slow
def test_a_report_of_nothing_is_refused(target, tmp_path):
    with pytest.raises(InputError, match="no quarterback has 5000 plays"):
        report.command([str(target), "--min-plays", "5000"])
    with pytest.raises(InputError, match="--watch"):
        report.command([str(target), "--watch", "99"])
    scores = open_target(target)
    assert plays_to_watch(scores, "all", pl.DataFrame(), pl.Series([7]), 0) == ({7: {"best": [], "worst": []}}, [])
    with pytest.raises(InputError, match="config"):
        report.command([str(tmp_path)])
    for run in load_crossfit(target).runs:
        saved = json.loads((run.path / "config.json").read_text())
        (run.path / "config.json").write_text(json.dumps(saved | {"dataset": str(tmp_path / "gone")}))
    with pytest.raises(InputError, match="was trained on are not there"):
        report.command([str(target)])
