"""Real files as people have them: read as their publisher's, or one line that explains what was found."""

import polars as pl
import pytest

from sbp_jax.data.readers.rules import Rules
from sbp_jax.data.readers.tracking import read_tracking
from sbp_jax.errors import InputError

LISTED = Rules(tracking=False, results=("C", "I", "IN", "S", "R"))


@pytest.fixture
def real_files(real_data):
    """Folder of real files as people have them; the test is skipped if it is missing."""
    folder = real_data / "real_files"
    if not folder.is_dir():
        pytest.skip(f"no real files at {folder}")
    return folder


def plays_of(path, rules=LISTED):
    chunks = list(read_tracking(path, rules))
    report = chunks[0].report
    for chunk in chunks[1:]:
        report = report + chunk.report
    return pl.concat([chunk.plays for chunk in chunks]), report


def one_line(path, rules=LISTED) -> str:
    with pytest.raises(InputError) as caught:
        list(read_tracking(path, rules))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_passes_of_2024_begin_at_the_catch(real_files):
    message = one_line(real_files / "01_2024_passes_begin_at_the_catch", Rules())
    assert "no snap 2" in message
    assert "five frames before the catch" in message
    assert "--no-tracking" in message


def test_tracking_merged_with_plays_and_games(real_files):
    plays, report = plays_of(real_files / "04_tracking_merged_with_plays")
    assert report.formats == {"plays": 1, "games": 1}
    assert plays.select("result", "week", "quarter", "home", "team").rows() == [("S", 1, 4, 1, "TEN")]
    # the play is a sack, so the tracking has no throw
    assert "no release 1" in one_line(real_files / "04_tracking_merged_with_plays", Rules())


def test_snake_case_lists_know_games_week_home_and_score(real_files):
    plays, report = plays_of(real_files / "05_snake_case_names" / "2025_lists")
    assert report.formats == {"games": 1, "players": 1, "plays": 1}
    for name in ("season", "week", "home", "score_difference"):
        assert plays[name].null_count() == 0, name


def test_nflverse_with_and_without_the_leagues_ids(real_files):
    folder = real_files / "06_nflverse_without_old_game_id"
    first, second = (plays_of(folder / f"{name}_old_game_id.parquet")[0] for name in ("no", "with"))
    assert len(first) > 100
    key = ["week", "team", "play_id", "quarter", "clock_s", "passer"]
    assert first.drop("game_id").sort(key).equals(second.drop("game_id").sort(key))
    assert first["game_id"].n_unique() == second["game_id"].n_unique()


def test_foreign_tables_are_passed_over_and_named(real_files):
    folder = real_files / "07_unrelated_table_in_the_folder"
    plays, report = plays_of(folder)
    assert len(plays) == 65
    assert [entry.partition(": ")[2][:19] for entry in report.ignored] == ["looks like tracking"]
    _, report = plays_of(folder / "lists")
    assert [entry.partition(": ")[2][:24] for entry in report.ignored] == ["plays without an outcome"]
    assert "looks like tracking" in one_line(folder / "graph.csv", Rules())


def test_names_in_lower_case_and_padded(real_files):
    folder = real_files / "10_names_by_letter"
    lower, _ = plays_of(folder / "plays_lower.csv")
    camel, _ = plays_of(real_files / "13_read_correctly" / "2023_tracking_unravel" / "plays.csv")
    assert lower.equals(camel)
    assert "none of 1 plays kept (no snap 1)" in one_line(folder / "plays_padded.csv", Rules())


def test_stand_ins_for_the_data(real_files):
    folder = real_files / "12_no_list_of_plays"
    for path in (folder / "lfs_pointer", folder / "lfs_pointer" / "tracking_week_1.csv"):
        assert "is a Git LFS pointer" in one_line(path, Rules())
    assert "Cluster_assignments.csv (plays without an outcome)" in one_line(folder / "Cluster_assignments.csv")
    plays, report = plays_of(folder / "zip_in_folder", Rules())
    assert (len(plays), report.rejected) == (6, {"no release": 1})
    unpacked, _ = plays_of(real_files / "13_read_correctly" / "2023_tracking_unravel", Rules())
    assert plays.drop("passer").equals(unpacked.drop("passer"))


@pytest.mark.parametrize(
    ("path", "rules", "read", "kept"),
    [
        ("2023_tracking_unravel", Rules(), 7, 6),
        ("lists/2025_plays.parquet", LISTED, 16124, 9713),
        ("lists/nflfastR_2020_week1.parquet", LISTED, 2900, 1250),
        ("", Rules(), 8, 6),
    ],
)
def test_what_was_read_before_is_read_as_before(real_files, path, rules, read, kept):
    _, report = plays_of(real_files / "13_read_correctly" / path, rules)
    assert (report.read, report.kept) == (read, kept)
    assert not any("Windows" in kind or "comma" in kind or "cut" in kind for kind in report.repaired)
