"""Odd files: read all the same, or one line that names the file and the remedy."""

import gzip
import os
import zipfile

import polars as pl
import pytest

from tests.data import fabricate, publishers
from tests.data.readers.reading import fails, read

FILES = ("tracking.csv", "plays.csv", "games.csv")


@pytest.fixture
def folder(tmp_path):
    """Two plays of two games in the 2021 layout, as text."""
    return publishers.publish("2021", pl.concat([fabricate.play(), fabricate.play(game=2018090901, seed=2)]), tmp_path)


def bytes_of(folder, how, names=FILES):
    for name in names:
        (folder / name).write_bytes(how((folder / name).read_bytes()))


def header(how):
    def change(content):
        first, rest = content.split(b"\n", 1)
        return how(first) + b"\n" + rest

    return change


def table(folder, name, how):
    rows = how(pl.read_csv(folder / name, infer_schema_length=0, null_values="NA"))
    fabricate.write(rows, folder / name)


@pytest.mark.parametrize(
    "how",
    [
        lambda content: b"\xef\xbb\xbf" + content,
        lambda content: content.replace(b"\n", b"\r\n"),
        lambda content: content.replace(b",", b";"),
    ],
    ids=["byte order mark", "carriage returns", "semicolons"],
)
def test_text_of_other_conventions_reads_the_same(folder, how):
    expected, _ = read(folder)
    bytes_of(folder, how, FILES if b";" not in how(b",") else FILES[:1])
    plays, report = read(folder)
    assert (plays.frames == expected.frames).all()
    assert report.repaired == {}


def test_a_last_row_without_a_line_end_is_read_and_mentioned(folder):
    expected, _ = read(folder)
    bytes_of(folder, lambda content: content.rstrip(b"\n"))
    plays, report = read(folder)
    assert (plays.frames == expected.frames).all()
    assert report.repaired == {"files without a line end after the last row: its last value may be cut off": 3}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_ends_within_a_row_is_named(folder, name):
    content = (folder / name).read_bytes().rstrip(b"\n")
    (folder / name).write_bytes(content[: content.rindex(b",")])
    fails(folder, name, "the file is cut off")


def test_a_last_row_with_a_quoted_line_break_is_not_cut(folder):
    expected, _ = read(folder)
    table(folder, "plays.csv", lambda rows: rows.select(pl.exclude("playDescription"), playDescription=pl.lit("a\nb")))
    content = (folder / "plays.csv").read_bytes().rstrip(b"\n")
    assert content.endswith(b'b"')
    (folder / "plays.csv").write_bytes(content)
    assert (read(folder)[0].frames == expected.frames).all()


def test_quoted_commas_newlines_and_tabs_are_text(folder):
    table(folder, "plays.csv", lambda rows: rows.with_columns(playDescription=pl.lit('a, "b"\nc\td')))
    table(folder, "tracking.csv", lambda rows: rows.with_columns(displayName=pl.col("displayName") + ", Jr."))
    assert set(read(folder)[0].passer) == {"QB 0, Jr."}


@pytest.mark.parametrize("name", ["trac king [1]*?.csv", "week{1}.csv", "wéek.csv"])
def test_any_name_of_a_file(folder, name):
    (folder / "tracking.csv").rename(folder / name)
    assert len(read(folder)[0]) == 2


@pytest.mark.parametrize("ending", [".0", ".000"])
def test_ids_written_as_floats(folder, ending):
    for name in FILES[:2]:
        table(folder, name, lambda rows: rows.with_columns(pl.col("gameId", "playId") + ending))
    assert read(folder)[0].game_id.tolist() == [2018090900, 2018090901]


def test_negative_frame_numbers_are_numbers(folder):
    table(folder, "tracking.csv", lambda rows: rows.with_columns((pl.col("frameId").cast(pl.Int64) - 100).cast(str)))
    assert len(read(folder)[0]) == 2


@pytest.mark.parametrize("copy", ["again.csv", "link.csv", "copy.parquet"])
def test_a_week_under_two_names_counts_once(folder, copy):
    path = folder / "tracking.csv"
    if copy == "link.csv":
        (folder / copy).symlink_to(path)
    else:
        fabricate.write(pl.read_csv(path, infer_schema_length=None, null_values="NA"), folder / copy)
    plays, report = read(folder)
    assert len(plays) == 2
    assert report.rejected == ({} if copy == "link.csv" else {"duplicate copy": 2})


def test_entries_that_are_not_files_are_skipped(folder):
    (folder / "x.csv").mkdir()
    (folder / "gone.csv").symlink_to(folder / "nowhere.csv")
    (folder / "loop.csv").symlink_to(folder / "loop.csv")
    (folder / "round").symlink_to(folder)
    os.mkfifo(folder / "pipe.csv")
    assert len(read(folder)[0]) == 2


def test_archives_and_workbooks_are_reported(folder):
    (folder / "plays.xlsx").write_bytes(b"PK\x03\x04")
    (entry,) = read(folder)[1].ignored
    assert entry.endswith("plays.xlsx: a workbook or an archive that is not read; save its tables as CSV")
    fails([folder, folder / "plays.xlsx"], "plays.xlsx", "a zip archive or a workbook; unpack it to CSV")


@pytest.mark.parametrize(
    ("pack", "words"),
    [("zip", "a zip archive or a workbook"), ("parquet", "parquet; name it .parquet"), ("gzip", None)],
)
def test_a_packed_file_under_a_plain_name(folder, pack, words):
    path = folder / "tracking.csv"
    if pack == "zip":
        with zipfile.ZipFile(folder / "t", "w") as archive:
            archive.write(path, "tracking.csv")
        (folder / "t").replace(path)
    elif pack == "parquet":
        pl.read_csv(path, infer_schema_length=None, null_values="NA").write_parquet(folder / "t.parquet")
        (folder / "t.parquet").replace(path)
    else:
        path.write_bytes(gzip.compress(path.read_bytes()))
    if words:
        fails(folder, "tracking.csv", words)
    else:
        assert len(read(folder)[0]) == 2


@pytest.mark.parametrize("name", ["tracking.csv", "plays.csv"])
@pytest.mark.parametrize("how", [bytes.upper, lambda line: line.replace(b",", b", ")], ids=["capitals", "spaces"])
def test_column_names_that_differ_by_spaces_or_capitals_are_read(folder, name, how):
    expected, _ = read(folder)
    bytes_of(folder, header(how), [name])
    plays, report = read(folder)
    assert (plays.frames == expected.frames).all()
    assert (plays.static == expected.static).all()
    assert report.repaired == {}


def test_two_columns_that_could_be_one_are_named(folder):
    bytes_of(
        folder, header(lambda line: line.replace(b"displayName", b"display_name").replace(b"route", b"Display Name"))
    )
    fails(folder, "tracking.csv", "the columns 'display_name' and 'Display Name' could both be 'displayName'")


@pytest.mark.parametrize(("name", "column"), [("tracking.csv", "x"), ("plays.csv", "offensePlayResult")])
def test_two_columns_of_one_name_are_named(folder, name, column):
    lines = (folder / name).read_text().splitlines()
    (folder / name).write_text("\n".join([lines[0] + "," + column, *(line + ",1.0" for line in lines[1:])]))
    fails(folder, name, f"two columns are named '{column}'")


@pytest.mark.parametrize("column", ["gameId", "playId", "nflId"])
@pytest.mark.parametrize("digits", ["900719925474099", "9" * 30])
def test_numbers_beyond_exact_integers_are_named(folder, column, digits):
    table(folder, "tracking.csv", lambda rows: rows.with_columns((digits + pl.col(column)).alias(column)))
    fails(folder, "tracking.csv", f"'{column}'", "at most 15 digits")


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("plays.csv", "clock_s", "late"),
        ("plays.csv", "quarter", "Q2"),
        ("plays.csv", "offensePlayResult", "true"),
        ("games.csv", "week", "Wild Card"),
        ("tracking.csv", "x", "40,5"),
    ],
)
def test_words_for_numbers_are_named(folder, name, column, value):
    table(folder, name, lambda rows: rows.with_columns(pl.lit(value).alias(column)))
    fails(folder, name)


def test_words_for_the_parts_of_a_gain_are_named(folder):
    words = {"PassLength": pl.lit("far"), "YardsAfterCatch": pl.lit("none")}
    table(folder, "plays.csv", lambda rows: rows.with_columns(**words))
    fails(folder, "plays.csv", "'PassLength': expected numbers, got 'far'")


@pytest.mark.parametrize("change", [pl.col("team", "event", "displayName").cast(pl.Binary), pl.lit(3).alias("team")])
def test_labels_of_another_type_in_parquet(folder, change):
    rows = pl.read_csv(folder / "tracking.csv", infer_schema_length=None, null_values="NA").with_columns(change)
    (folder / "tracking.csv").unlink()
    rows.write_parquet(folder / "tracking.parquet")
    if rows["team"].dtype == pl.Binary:
        assert len(read(folder)[0]) == 2
    else:
        fails(folder, "tracking.parquet", "one team alone at the snap")


def test_text_in_windows_1252_is_read_and_mentioned(folder):
    bytes_of(folder, lambda content: content.replace(b"QB 0", b"Jos\xe9 O\x92Hara"), FILES[:1])
    plays, report = read(folder)
    assert set(plays.passer) == {"José O’Hara"}
    assert report.repaired == {"files in Windows-1252 text: converted to UTF-8": 1}


@pytest.mark.parametrize("bad", [b"\x81", b"\xe9\x00", b"Jos\xc3\xa9 \xe9", b"\xd7 \xa4"])
def test_bytes_that_are_no_text_are_named(folder, bad):
    bytes_of(folder, lambda content: content.replace(b"WR 6", bad), FILES[:1])
    fails(folder, "tracking.csv", "neither UTF-8 nor Windows-1252 text: the file is damaged")


def test_plays_of_another_season_are_counted(folder):
    season = (pl.col("gameId").cast(pl.Int64) + 1_000_000).cast(str)
    table(folder, "plays.csv", lambda rows: rows.with_columns(season))
    fails(folder, "none of 2 plays kept (no outcome listed 2)")


def test_lists_that_differ_about_a_game_are_named(folder):
    rows = pl.read_csv(folder / "games.csv").with_columns(week=9)
    fabricate.write(rows, folder / "more.csv")
    fails(folder, "games.csv", "more.csv", "game 2018090900: week is 4 and 9")


def test_a_quarterback_who_is_listed_as_something_else_too_is_unknown(tmp_path):
    folder = publishers.publish("2023", fabricate.play(), tmp_path)
    rows = pl.read_csv(folder / "players.csv")
    other = {1000: "WR", 1006: "QB"}
    position = pl.col("nflId").replace_strict(other, default=pl.col("officialPosition"), return_dtype=pl.String)
    fabricate.write(rows.with_columns(officialPosition=position), folder / "another.csv")
    plays, report = read(folder)
    assert plays.passer.tolist() == ["QB 0"]  # the one with the ball
    assert report.repaired == {"players listed as quarterback and as something else: position unknown": 2}
