"""Data frames in memory as sources: the plays, scores and messages of the same tables in files."""

import datetime
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs
import pytest

import sbp_jax as sbp
from sbp_jax.cli import score as score_command
from sbp_jax.data.features import read_plays
from sbp_jax.data.plays import Sequences
from sbp_jax.data.prepared.build import PrepareConfig, prepare
from sbp_jax.data.prepared.dataset import describe, load
from sbp_jax.data.readers.frames import from_native
from sbp_jax.data.readers.rules import Rules
from sbp_jax.errors import InputError
from sbp_jax.runs.crossfit import crossfit
from sbp_jax.runs.datasets import open_frames
from tests.data import fabricate
from tests.data.readers.test_listed import nflverse
from tests.runs.test_play_lists import table as listed_passes

pytestmark = pytest.mark.unoptimized

LISTED = Rules(tracking=False)
SMALL = sbp.Config(
    data=sbp.DataConfig(tracking=False),
    network=sbp.NetworkConfig(encoder="none", hidden=(8,)),
    head=sbp.HeadConfig(kind="binned", bins=24),  # compiles fastest
    training=sbp.TrainingConfig(epochs=1, batch_size=32),
)


def as_pandas(table: pl.DataFrame) -> Any:
    """Columns of objects, as pandas reads text, with an index that is no row number."""
    frame = pytest.importorskip("pandas").DataFrame(table.to_dict(as_series=False))
    frame.index = range(7, 7 + len(frame))
    return frame


def as_mixed_pandas(table: pl.DataFrame) -> Any:
    """Categories for text, floats for integers, nullable booleans."""
    frame = as_pandas(table)
    for name, kind in table.schema.items():
        new = "category" if kind == pl.String else "float64" if kind.is_integer() else frame[name].dtype
        frame[name] = frame[name].astype("boolean" if kind == pl.Boolean else new)
    return frame


LIBRARIES: dict[str, Callable[[pl.DataFrame], Any]] = {
    "polars": lambda table: table,
    "polars, lazy": lambda table: table.lazy(),
    "polars, categories": lambda table: table.with_columns(pl.col(pl.String).cast(pl.Categorical)),
    "pyarrow": lambda table: table.to_arrow(),
    "pandas": as_pandas,
    "pandas, nullable": lambda table: as_pandas(table).convert_dtypes(),
    "pandas, objects": lambda table: as_pandas(table).astype(object),
    "pandas, categories and floats": as_mixed_pandas,
}


def check_same(plays: Sequences, expected: Sequences) -> None:
    assert plays.features == expected.features
    for name in ("frames", "offsets", "present", "static", "outcome", "game_id", "play_id", "passer_id", "passer"):
        np.testing.assert_array_equal(getattr(plays, name), getattr(expected, name), err_msg=name)
    assert plays.info.keys() == expected.info.keys()
    for name, values in plays.info.items():
        np.testing.assert_array_equal(values, expected.info[name], err_msg=name)


@pytest.mark.sample(4)
@pytest.mark.parametrize("library", LIBRARIES)
def test_play_by_play_of_every_library_is_that_of_the_file(library, tmp_path):
    table = nflverse((2021091200, 2021091900))
    expected, _ = read_plays(fabricate.write(table, tmp_path / "plays.parquet"), LISTED)
    assert len(expected) == 8
    check_same(sbp.nfl.read_plays(LIBRARIES[library](table)), expected)


@pytest.mark.sample(2)
@pytest.mark.parametrize("library", ["polars", "pyarrow", "pandas", "pandas, categories and floats"])
def test_a_big_data_bowl_in_frames_is_that_of_its_folder(library, tmp_path):
    folder = fabricate.folder(tmp_path / "bowl", plays=2, games=2)
    expected, report = read_plays(folder)
    names = {"frame": "plays.csv", "games": "games.csv", "tracking": "tracking_week_04.parquet"}
    tables = {key: pl.read_csv(folder / name) for key, name in names.items() if name.endswith("csv")}
    tracking = pl.read_parquet(folder / names["tracking"])
    tables["tracking"] = tracking.with_columns(pl.col("time").str.to_datetime(time_zone="UTC"))
    frames = {key: LIBRARIES[library](each) for key, each in tables.items()}
    check_same(sbp.nfl.read_plays(frames.pop("frame"), **frames), expected)
    weeks = [LIBRARIES[library](week) for week in tracking.partition_by("gameId", maintain_order=True)]
    in_parts = sbp.nfl.read_plays(tables["frame"], games=tables["games"], tracking=weeks)
    check_same(in_parts, expected)
    assert report.kept == 4


def test_several_seasons_may_be_several_frames(tmp_path):
    years = [nflverse((2020091300,)), nflverse((2021091200,))]
    expected = sbp.nfl.read_plays(pl.concat(years))
    check_same(sbp.nfl.read_plays([years[0], years[1].to_arrow()]), expected)
    with pytest.raises(InputError, match=r"^frame\[1\]: looks like play-by-play but is missing .* interception$"):
        sbp.nfl.read_plays([years[0], years[1].drop("interception")])


def test_frames_are_not_changed():
    table = nflverse()
    copy = table.clone()
    sbp.nfl.read_plays(table)
    assert table.equals(copy)
    frame = as_mixed_pandas(table)
    before = frame.copy(deep=True)
    sbp.nfl.read_plays(frame)
    assert frame.equals(before)
    assert (frame.dtypes == before.dtypes).all()
    assert list(frame.index) == list(before.index)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (nflverse().drop("play_id"), "frame: looks like a list of plays but is missing the column(s) playId"),
        (
            nflverse().drop("yards_gained", "epa"),
            "frame: plays without an outcome: expected one of the columns prePenaltyYardsGained",
        ),
        (pl.DataFrame({"a": [1], "b": [2]}), "frame: neither tracking, plays, players nor games by its columns (a, b)"),
        (fabricate.games_table(1), "frame: expected a list of plays (gameId, playId, a result and yards), found frame"),
        (nflverse().with_columns(down=pl.lit("third")), "frame: column 'down': expected numbers, got 'third'"),
        (nflverse().clear(), "frame: none of 0 plays kept (none read)"),
        (nflverse().lazy().select("nothing"), 'frame: cannot be collected (unable to find column "nothing"'),
        ({"a": [1]}, "frame: expected a data frame (polars, pandas or pyarrow), got dict"),
        (np.zeros(3), "frame: expected a data frame (polars, pandas or pyarrow), got numpy.ndarray"),
        (Path("plays.csv"), "; files are read by sbp.train and sbp.score"),
        (None, "frame: expected a data frame (polars, pandas or pyarrow), got NoneType"),
        ([], "frame: expected a data frame (polars, pandas or pyarrow) or several, got an empty list"),
    ],
)
def test_one_line_says_what_is_wrong_with_a_frame(frame, message):
    with pytest.raises(InputError) as error:
        sbp.nfl.read_plays(frame)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_one_line_says_what_is_wrong_with_pandas():
    pandas = pytest.importorskip("pandas")
    frame = as_pandas(nflverse())
    with pytest.raises(InputError, match=r"missing .* playId; play_id of the index: reset_index\(\) makes columns"):
        sbp.nfl.read_plays(frame.set_index("play_id"))
    with pytest.raises(InputError, match=r"^frame: two columns are named 'desc'$"):
        sbp.nfl.read_plays(pandas.concat([frame, frame[["desc"]]], axis=1))
    with pytest.raises(InputError, match=r"^tracking: expected tracking .*, found tracking "):
        sbp.nfl.read_plays(frame, tracking=frame)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"config": sbp.Config()}, "tracking: expected a data frame, because data.tracking"),
        ({"config": SMALL, "tracking": fabricate.play()}, "tracking: expected none, because data.tracking"),
        ({"config": replace(SMALL, data=replace(SMALL.data, source=("a.csv",)))}, "data.source: expected no files"),
        ({"folds": 1}, "folds: expected at least 2"),
        ({"by": ("down", "down")}, "by: 'down' appears twice"),
        ({"min_attempts": 0}, "min_attempts: expected at least 1, got 0"),
        ({"bootstraps": -1}, "bootstraps: expected 0 to 100,000"),
    ],
)
def test_arguments_are_checked_before_anything_is_trained(arguments, message, monkeypatch):
    monkeypatch.setattr("sbp_jax.nfl.crossfit", lambda *_, **__: pytest.fail("trained"))
    with pytest.raises(InputError, match=message):
        sbp.nfl.passing_scores(nflverse(), **arguments)


def test_columns_of_the_scores_must_be_free(monkeypatch):
    monkeypatch.setattr("sbp_jax.nfl.score", lambda *_, **__: pytest.fail("trained"))
    with pytest.raises(InputError, match="frame: expected no column 'score'"):
        sbp.nfl.fit_transform(nflverse().with_columns(score=1.0))


def test_objects_of_pandas_are_read_as_what_they_are():
    pandas = pytest.importorskip("pandas")
    day = datetime.date(2021, 9, 12)
    objects = {
        "ids": [1, "2", None],
        "numbers": [1, None, 3],
        "reals": [1, 2.5, float("nan")],
        "flags": [True, None, False],
        "text": ["a", pandas.NA, float("nan")],
        "days": [day, None, pandas.NaT],
    }
    frame = pandas.DataFrame({name: pandas.Series(values, dtype=object) for name, values in objects.items()})
    frame[2021] = pandas.period_range("2021", periods=3, freq="Y")
    rows = from_native(frame, "frame").rows
    assert rows.to_dict(as_series=False) == {
        "ids": ["1", "2", None],
        "numbers": [1, None, 3],
        "reals": [1.0, 2.5, None],
        "flags": [True, None, False],
        "text": ["a", None, None],
        "days": [day, None, None],
        "2021": ["2021", "2022", "2023"],
    }


def digest_of(table: pl.DataFrame) -> str:
    return from_native(table, "frame").digest


def test_digests_of_frames_depend_on_their_values_alone():
    table = nflverse((2021091200, 2021091900)).with_columns(lists=[[1], [2, 3]] * 9, day=datetime.date(2021, 9, 12))
    digest = digest_of(table)
    pieces = pl.concat([table[:5], table[5:]], rechunk=False)
    hidden = pl.when(pl.col("down").is_null()).then(None).otherwise("down")
    assert digest_of(pieces) == digest_of(table.with_columns(down=hidden)) == digest
    others = [
        table[::-1],
        table.rename({"down": "try"}),
        table.with_columns(pl.col("play_id").cast(pl.Int64)),
        table.with_columns(down=pl.col("down").fill_null(0.0)),
        table.with_columns(desc=pl.col("desc") + " "),
        table.with_columns(lists=[[1], [2, 4]] * 9),
        table.with_columns(day=datetime.date(2021, 9, 13)),
    ]
    assert len({digest, *map(digest_of, others)}) == 1 + len(others)


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    """Passes, and a row that is none; the integers have the type that they have in pandas."""
    passes = listed_passes().with_columns(cs.integer().cast(pl.Int64))
    run = passes[:1].with_columns(playId=pl.lit(999, pl.Int64), passResult=pl.lit("R"))
    return pl.concat([passes, run])


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("nfl")


@pytest.fixture(scope="module")
def scores(frame, out):
    return sbp.nfl.score(frame, config=SMALL, folds=2, out=out, progress=False)


def test_a_data_set_of_a_frame_is_that_of_its_file(frame, tmp_path):
    file = fabricate.write(frame, tmp_path / "plays.parquet")
    ours = open_frames(SMALL.data, [from_native(as_pandas(frame), "frame")], tmp_path / "ours", progress=False)
    theirs = prepare(file, tmp_path / "theirs", PrepareConfig(**SMALL.data.reading))
    for split in ("train", "validation", "test"):  # in the same order, so that the same batches follow
        check_same(ours.split(split), load(theirs.path, split))
    assert ours.account() == theirs.reading.to_markdown()
    assert "| plays kept | 480 |" in ours.account()
    assert "| rejected: of another result | 1 | 2021091200/999 |" in ours.account()
    assert describe(ours.path).fingerprint == ours.fingerprint != theirs.fingerprint


@pytest.mark.slow
def test_scores_of_a_frame_are_those_of_its_file(frame, scores, out, tmp_path, capsys):
    file = fabricate.write(frame, tmp_path / "plays.parquet")
    data = replace(SMALL.data, source=(str(file),), cache=str(tmp_path / "data"))
    folder = crossfit(replace(SMALL, data=data), 2, "game", tmp_path)
    score_command.command([str(folder), "--bootstraps", "50"])
    table = pl.read_parquet(folder / "scores/plays.parquet")
    board = pl.read_parquet(folder / "scores/leaderboard.parquet")
    assert scores.scored.equals(table)
    assert scores.leaderboard(bootstraps=50).equals(board)
    by_down = sbp.score(folder, by=("career", "down"), split="quarter = 1", bootstraps=0, min_plays=3)
    ours = scores.scores(by=("career", "down"), split="quarter = 1", bootstraps=0, min_attempts=3)
    assert ours.leaderboard.equals(by_down.leaderboard)
    assert ours.notes[1:] == by_down.notes[2:]  # there, the league was fixed by the command


def test_the_plays_of_a_frame_come_back_with_their_scores(frame, scores):
    rows = scores.transform(frame)
    assert rows.drop("median", "pit", "score", "success_chance").equals(frame)
    assert rows.filter(pl.col("score").is_null())["playId"].to_list() == [999]
    joined = rows[:-1].join(scores.scored, left_on=["gameId", "playId"], right_on=["game_id", "play_id"])
    assert len(joined) == 480
    for name in ("median", "pit", "score", "success_chance"):
        assert joined[name].equals(joined[f"{name}_right"])
    pandas = as_pandas(frame)
    ours = scores.transform(pandas)
    assert list(ours.index) == list(pandas.index)
    np.testing.assert_array_equal(ours["pit"], rows["pit"].to_numpy())
    assert scores.transform(frame.to_arrow())["score"].null_count == 1


def test_the_same_call_loads_what_is_in_its_folder(frame, scores, out, capsys):
    starts = {path: sbp.load_run(path.parent).starts for path in out.rglob("config.json")}
    options: dict[str, Any] = {"config": SMALL, "folds": 2, "out": out}
    board = sbp.nfl.passing_scores(as_pandas(frame), by="season", **options)
    assert type(board).__module__.startswith("pandas")
    expected = scores.leaderboard(by="season")
    assert list(board.columns) == expected.columns
    np.testing.assert_array_equal(board["passing_score"], expected["passing_score"])
    printed = capsys.readouterr().out
    assert "| plays kept | 480 | |" in printed
    assert "fold 2 of 2" in printed
    assert "League as fixed before on 480 plays" in printed
    sbp.nfl.fit_transform(frame, progress=False, **options)
    assert not capsys.readouterr().out
    assert {path: sbp.load_run(path.parent).starts for path in out.rglob("config.json")} == starts  # no call trained
    assert len(starts) == 2


@pytest.mark.slow
def test_a_run_from_a_frame_is_a_run_as_any(frame, tmp_path):
    run = sbp.nfl.train(frame, config=SMALL, seed=3, out=tmp_path, progress=False)
    assert run.config.data.source == ("frame",)
    assert (run.config.data.seed, run.config.training.seed) == (3, 3)
    loaded = sbp.load_run(run.path)
    test = loaded.plays("test")
    plays = sbp.nfl.read_plays(frame, config=loaded.config)
    assert 0 < len(test) < len(plays) == 480
    chosen = plays.select(np.isin(plays.game_id, test.game_id))
    assert sorted(loaded.score(chosen)["score"]) == sorted(run.score(test)["score"])
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"^.*: the plays that .* was trained on are not there; if they have moved"):
        loaded.plays("test")


@pytest.mark.slow
def test_without_a_folder_nothing_remains(frame, scores, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    board = sbp.nfl.passing_scores(frame, config=SMALL, folds=2, progress=False)
    assert board.equals(scores.leaderboard())
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_network_of_tracking_in_frames_is_trained(tmp_path):
    folder = fabricate.folder(tmp_path / "bowl", plays=6, games=6)
    tracking, plays = pl.read_parquet(folder / "tracking_week_04.parquet"), pl.read_csv(folder / "plays.csv")
    config = replace(
        sbp.Config(),
        network=sbp.NetworkConfig(encoder="flat", channels=4, layers=1, hidden=(8,)),
        training=SMALL.training,
    )
    rows = sbp.nfl.fit_transform(as_pandas(plays), tracking=tracking, config=config, folds=2, progress=False)
    assert rows["score"].notna().all()
    run = sbp.nfl.train(plays, tracking=tracking, config=config, out=tmp_path / "runs", progress=False)
    assert run.plays("train").present.any()


def test_a_sample_of_real_play_by_play_is_that_of_its_file(real_data, tmp_path):
    path = real_data / "play_by_play" / "dropbacks_2017_2019.parquet"
    if not path.is_file():
        pytest.skip(f"no real data at {path}")
    table = pl.read_parquet(path).filter(pl.col("game_id") % 40 == 1)
    expected, _ = read_plays(fabricate.write(table, tmp_path / "sample.parquet"), LISTED)
    assert len(expected) > 500
    for library in ("polars", "polars, categories", "pyarrow", "pandas, categories and floats"):
        check_same(sbp.nfl.read_plays(LIBRARIES[library](table)), expected)
    only = ["game_id", "play_id", "result", "yards_gained", "down", "ydstogo", "yardline_100", "passer", "posteam"]
    passes = table.filter(pl.col("result").is_in(["C", "I", "IN"])).select(*only, "nullified", "kneel_or_spike")
    assert len(sbp.nfl.read_plays(passes)) == len(expected)


@pytest.mark.slow
def test_the_code_of_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    fabricate.folder(tmp_path, plays=6, games=6)
    passes = listed_passes().with_columns(
        season=2021, playDescription=pl.lit("P.Passer pass short left to R.Receiver.")
    )
    passes.write_parquet("play_by_play.parquet")
    text = (Path(__file__).parents[1] / "docs" / "scoring.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "scoring.md", "exec"), names)
    assert names["board"]["plays"].to_list() == [240, 240]
    assert names["run"].path.is_relative_to("runs")
