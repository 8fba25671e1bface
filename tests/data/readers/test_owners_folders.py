"""Folders as their owners keep them: what is read of them, what is passed over and named, and what a message states."""

import zipfile

import polars as pl
import pytest

from sbp_jax.data.facts import listed_facts
from sbp_jax.data.prepared.build import prepare
from sbp_jax.data.prepared.config import PrepareConfig
from sbp_jax.data.prepared.dataset import read_report
from sbp_jax.data.readers.names import find_column
from sbp_jax.data.readers.rules import Rules
from sbp_jax.data.readers.tables import league_games
from sbp_jax.data.readers.tracking import read_tracking
from sbp_jax.errors import InputError
from tests.data import fabricate, publishers
from tests.data.readers.reading import fails, read

LISTED = Rules(tracking=False)
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 184203661\n"
DERIVED = {
    "looks like tracking": {"week": 1, "gameId": 2018090900, "playId": 75, "frameId": 1, "x": 74.3, "y": 23.9},
    "looks like a list of plays": {"season": 2018, "team": "TEN", "yards_gained": 301},
    "plays without an outcome": {"old_game_id": 2018090900, "play_id": 75, "down": 1, "ydstogo": 10},
    "looks like play-by-play": {"old_game_id": 2018090900, "play_id": 75, "complete_pass": 1, "yards_gained": 50},
}


@pytest.fixture
def folder(tmp_path):
    """One play in the 2023 layout with its lists."""
    return publishers.publish("2023", fabricate.play(), tmp_path)


def one_line(path, rules: Rules = LISTED) -> str:
    """Return the one line of the error that reading ends in."""
    with pytest.raises(InputError) as caught:
        list(read_tracking(path, rules))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("columns", "names", "found"),
    [
        (["gameId", "game_id"], ("gameId", "game_id"), "gameId"),
        (["game_id", "old_game_id"], ("gameId", "old_game_id", "game_id"), "old_game_id"),
        (["GAME_ID", "OLD_GAME_ID"], ("gameId", "old_game_id", "game_id"), "OLD_GAME_ID"),
        (["Game.Id"], ("gameId", "game_id"), "Game.Id"),
        ([" playId "], ("playId",), " playId "),
        (["displayName_x", "displayName_y"], ("displayName",), "displayName_x"),
        (["position.x", "position.y"], ("position",), "position.x"),
        (["target_x"], ("target",), None),
        (["x", "y", "s_x", "s_y"], ("s",), None),
        (["x_x", "x_y", "s_x", "s_y"], ("s",), "s_x"),
        (["X", "x"], ("x",), "x"),
        (["play"], ("playId",), None),
    ],
)
def test_a_name_is_found_in_any_spelling_but_an_exact_one_wins(columns, names, found):
    assert find_column(columns, *names) == found


def test_two_spellings_of_a_name_are_named():
    with pytest.raises(InputError, match="the columns 'game_id' and 'GameID' could both be 'gameId'"):
        find_column(["game_id", "GameID"], "gameId")


@pytest.mark.parametrize("reason", DERIVED)
def test_a_derived_table_is_passed_over_and_named(folder, reason):
    expected, _ = read(folder)
    fabricate.write(pl.DataFrame([DERIVED[reason]]), folder / "derived.csv")
    plays, report = read(folder)
    assert (plays.frames == expected.frames).all()
    assert (plays.static == expected.static).all()
    derived = [entry for entry in report.ignored if "derived.csv" in entry]
    assert len(derived) == 1
    assert f"derived.csv: {reason}" in derived[0]
    assert "derived.csv" in report.to_markdown()


@pytest.mark.parametrize("reason", DERIVED)
def test_a_derived_table_stops_what_needs_it(tmp_path, reason):
    path = fabricate.write(pl.DataFrame([DERIVED[reason]]), tmp_path / "derived.csv")
    is_tracking = reason == "looks like tracking"
    for source in (tmp_path, path):
        message = one_line(source, Rules() if is_tracking else LISTED)
        assert f"derived.csv: {reason}" in message


def test_a_derived_table_stops_where_the_user_names_it(folder):
    path = fabricate.write(pl.DataFrame([DERIVED["looks like tracking"]]), folder / "derived.csv")
    fails([folder / "tracking.csv", folder / "plays.csv", path], "derived.csv: looks like tracking")


def test_lists_alone_are_found_in_folders_below(tmp_path):
    publishers.publish("2023", fabricate.play(), tmp_path / "data" / "files")
    (tmp_path / "data" / "files" / "tracking.csv").unlink()
    (chunk,) = read_tracking(tmp_path, LISTED)
    assert chunk.report.kept == 1


def test_an_archive_is_prepared_and_recorded(tmp_path):
    fabricate.folder(tmp_path / "data", plays=3, games=4)
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for path in (tmp_path / "data").iterdir():
            archive.write(path, f"nfl/{path.name}")
    config = PrepareConfig()
    prepare(tmp_path / "data", tmp_path / "a", config)
    prepare(tmp_path / "data.zip", tmp_path / "b", config)
    first, second = (read_report(tmp_path / name) for name in "ab")
    assert first["distributions"] == second["distributions"]
    assert [source["name"] for source in second["prepared_from"]["sources"]] == ["data.zip"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04 not an archive", "not a readable zip archive"),
        (None, "the archive has no CSV, TSV or parquet file"),
    ],
)
def test_an_archive_without_tables_is_named(folder, content, words):
    path = folder / "extra.zip"
    if content:
        path.write_bytes(content)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.md", "nothing")
    assert len(read(folder)[0]) == 1
    fails(path, "extra.zip", words)


def test_a_pointer_is_named_for_a_folder_and_a_file(folder):
    (folder / "tracking.csv").write_text(POINTER)
    for source in (folder, folder / "tracking.csv"):
        fails(source, "tracking.csv: is a Git LFS pointer, not the data; fetch the data with `git lfs pull`")


def test_facts_of_a_merged_table_are_those_of_its_list(folder):
    listed = listed_facts([folder / "plays.csv"])
    rows = pl.read_csv(folder / "tracking.csv", null_values="NA")
    plays = pl.read_csv(folder / "plays.csv", null_values="NA")
    merged = rows.join(plays, on=["gameId", "playId"]).with_columns(shade=pl.int_range(pl.len()))
    fabricate.write(merged, folder / "merged.csv")
    facts = listed_facts([folder / "merged.csv"])
    assert len(facts) == len(listed) == 1
    for name in ("game_id", "play_id", "gain", "down", "passResult", "penaltyYards"):
        assert facts[name].to_list() == listed[name].to_list(), name


@pytest.mark.parametrize("content", ["", "<!DOCTYPE html><html></html>", POINTER])
def test_an_unreadable_file_stops_if_its_name_is_that_of_data(folder, content):
    (folder / "notes.csv").write_text(content)
    (entry,) = [entry for entry in read(folder)[1].ignored if "notes.csv" in entry]
    assert "notes.csv: " in entry
    (folder / "tracking_week_2.csv").write_text(content)
    fails(folder, "tracking_week_2.csv")


def test_tracking_merged_with_results_but_without_yards_is_described(folder):
    rows = pl.read_csv(folder / "tracking.csv", null_values="NA").with_columns(passResult=pl.lit("C"))
    fabricate.write(rows, folder / "tracking.csv")
    (folder / "plays.csv").unlink()
    fails(folder, "tracking.csv (Big Data Bowl 2023, merged with results but without yards)")


def test_a_line_with_the_separator_before_the_header_is_skipped(folder):
    expected, _ = read(folder)
    for path in folder.glob("*.csv"):
        path.write_text("sep=,\n" + path.read_text())
    assert (read(folder)[0].frames == expected.frames).all()


def test_a_workbook_instead_of_the_list_is_named(folder):
    (folder / "plays.csv").rename(folder / "plays.xlsx")
    fails(folder, "no list of plays next to it", "plays.xlsx", "put the publisher's plays file")


def test_frames_after_the_throw_alone_are_named(tmp_path):
    folder = publishers.publish("2026", fabricate.play(), tmp_path)
    (folder / "tracking.csv").unlink()
    path = folder / "output_2023_w04.csv"
    for source in (folder, path):
        fails(source, "output_2023_w04.csv (frames after the throw)", "put the input files")
    fabricate.write(pl.read_csv(path).with_row_index(""), path)
    fails(path, "output_2023_w04.csv (frames after the throw)")


def test_lists_alone_point_to_their_own_use(folder):
    (folder / "tracking.csv").unlink()
    for source in (folder, folder / "plays.csv"):
        fails(source, "no tracking file found", "plays.csv (list of plays)", "--no-tracking")
    message = fails(folder / "games.csv", "no tracking file found", "games.csv (list of games)")
    assert "--no-tracking" not in message


def test_tracking_that_begins_at_the_catch_is_explained(tmp_path):
    table = fabricate.play()
    folder = publishers.publish("2024", table, tmp_path)
    rows = publishers.tracking("2024", table).filter(pl.col("frameId") >= 20)
    publishers.write(rows.with_columns(event=pl.lit("pass_arrived")), folder / "tracking.csv")
    fails(folder, "none of 1 plays kept (no snap 1)", "from five frames before the catch only", "--no-tracking")


def test_a_list_of_other_games_is_explained(folder):
    plays = pl.read_csv(folder / "plays.csv").with_columns(pl.col("gameId") + 1)
    fabricate.write(plays, folder / "plays.csv")
    fails(folder, "no outcome listed 1", "no list of plays has the gameId and playId of this tracking")


def test_a_table_of_plays_without_results_is_named(tmp_path):
    path = fabricate.write(pl.DataFrame({"": [0], "gameId": [1], "playId": [2], "kmeans": [3]}), tmp_path / "c.csv")
    for source in (tmp_path, path):
        assert "c.csv (plays without an outcome)" in one_line(source)


def test_ids_of_nflverse_as_text_are_numbers_of_their_own():
    text = pl.Series("game_id", ["1999_01_MIN_ATL", "1999_01_MIN_DEN", "1999_02_MIN_ATL", "2000_01_KC_ATL", "x", None])
    numbers = league_games(text)
    assert numbers.to_list()[4:] == ["x", None]
    assert numbers[:4].n_unique() == 4
    assert [number[:6] for number in numbers[:4]] == ["199901", "199901", "199902", "200001"]
    assert {len(number) for number in numbers[:4]} == {11}


def test_a_list_with_text_ids_alone_reads_as_one_with_numbers(tmp_path):
    from tests.data.readers.test_listed import nflverse

    both = nflverse([2021091200])
    fabricate.write(both, tmp_path / "both.parquet")
    parts = {"both": both, "text": both.drop("old_game_id"), "no season": both.drop("old_game_id", "season")}
    plays = {}
    for name, table in parts.items():
        (chunk,) = read_tracking(fabricate.write(table, tmp_path / f"{name}.parquet"), LISTED)
        plays[name] = chunk.plays
    assert len(plays["both"]) > 1
    for name in ("text", "no season"):
        assert plays[name].drop("game_id").equals(plays["both"].drop("game_id"))
    assert plays["text"]["game_id"].n_unique() == 1


def test_players_without_an_entry_in_the_list_are_counted(folder):
    players = pl.read_csv(folder / "players.csv")
    fabricate.write(players.head(-3), folder / "players.csv")
    _, report = read(folder)
    assert report.repaired == {"players who are not in the list of players: position unknown": 3}
