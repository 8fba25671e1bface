"""All code that reads tables treats an odd file alike: lists of plays, series, thresholds, files to join."""

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from sbp_jax.data.facts import listed_facts
from sbp_jax.data.readers.tables import read_column, read_file
from sbp_jax.data.series.reading import read_series
from sbp_jax.errors import InputError
from sbp_jax.scoring.join import joined

HEADER = "gameId,playId,passResult,yards,day,epa"
ROWS = [
    "2018090900,75,C,5,2018-09-09,0.5",
    "2018090900,99,I,0,2018-09-10,-1.25",
    '2018090900,120,C,"7",2018-09-11,',
    "2018090900,150,C,12,2018-09-12,NA",
    "2018090900,171,C,3,2018-09-13,2.5",
]
PLAIN = "\n".join([HEADER, *ROWS]).encode()
EXPECTED = [0.5, -1.25, np.nan, np.nan, 2.5]


def semicolons(content: bytes) -> bytes:
    return content.replace(b",", b";")


def tabs(content: bytes) -> bytes:
    return content.replace(b",", b"\t")


def missing(word: str):
    return lambda content: content.replace(b",NA", b"," + word.encode())


ODD = {
    "plain.csv": lambda content: content,
    "semicolons.csv": semicolons,
    "semicolons.txt": semicolons,
    "semicolons.tsv": semicolons,
    "tabs.csv": tabs,
    "tabs.tsv": tabs,
    "tabs.TXT": tabs,
    "commas.tsv": lambda content: content,
    "commas in a header.tsv": lambda content: tabs(content).replace(b"epa", b"epa\ta,b,c,d,e,f,g,h", 1),
    "quoted commas.csv": lambda content: semicolons(content).replace(b"epa", b'epa;"a,b,c,d,e,f,g,h"', 1),
    "mark.csv": lambda content: b"\xef\xbb\xbf" + content,
    "excel.csv": lambda content: b"\xef\xbb\xbf" + semicolons(content).replace(b"\n", b"\r\n") + b"\r\n",
    "wide characters.csv": lambda content: content.decode().encode("utf-16"),
    "wide characters.txt": lambda content: tabs(content).decode().encode("utf-16-be"),
    "decimal commas.csv": lambda content: semicolons(content).replace(b".", b","),
    "names of rows.csv": lambda content: b"\n".join(
        [HEADER.encode(), *(f"{number},{row}".encode() for number, row in enumerate(ROWS, 1))]
    ),
    "packed.csv.gz": gzip.compress,
    "packed.txt.gz": lambda content: gzip.compress(semicolons(content)),
    "packed under a plain name.csv": lambda content: gzip.compress(tabs(content)),
    "table.parquet": None,
    "table.parquet.gz": None,
    **{f"missing {number}.csv": missing(word) for number, word in enumerate(["N/A", "#N/A", "NaN", "nan", "None"])},
    "null.csv": missing("null"),
}


def write(folder: Path, name: str) -> Path:
    path, how = folder / name, ODD[name]
    if how is None:
        table = folder / "table.parquet"
        pl.read_csv(PLAIN, null_values=["NA", ""]).write_parquet(table)
        if path != table:
            path.write_bytes(gzip.compress(table.read_bytes()))
            table.unlink()
        return path
    content = how(PLAIN)
    # a header with one more name needs one more value
    if b"a,b,c" in content:
        between = b"\t" if b"\t" in content else b";"
        first, *rest = content.split(b"\n")
        content = b"\n".join([first, *(row + between + b"1" for row in rest)])
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ODD)
def test_everybody_reads_the_same(tmp_path, name):
    path = write(tmp_path, name)
    table = read_file(path)
    assert [name for name in table.columns if name in HEADER.split(",")] == HEADER.split(",")
    np.testing.assert_array_equal(table["epa"].cast(pl.Float64).fill_null(np.nan), EXPECTED)
    column = read_column(path, "epa")
    assert (column.values.tolist(), column.missing) == ([0.5, -1.25, 2.5], 2)
    series = read_series(path, "day", "epa")
    assert (series.value.tolist(), series.missing) == ([0.5, -1.25, 2.5], 2)
    plays = listed_facts([path])
    assert plays["gain"].to_list() == [5.0, 0.0, 7.0, 12.0, 3.0]
    np.testing.assert_array_equal(plays["epa"].cast(pl.Float64).fill_null(np.nan), EXPECTED)
    board = pl.DataFrame({"playId": [75, 99, 120, 150, 171], "plays": 1})
    board, _ = joined(board, read_file(path), path)
    np.testing.assert_array_equal(board["epa"].cast(pl.Float64).fill_null(np.nan), EXPECTED)


def test_a_table_may_begin_with_a_column_pk(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("PK,value\n1,2\n")
    assert read_file(path).columns == ["PK", "value"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.csv", b"", "the file is empty"),
        ("book.csv", b"PK\x03\x04", "a zip archive or a workbook"),
        ("book.xlsx", b"PK\x03\x04", "expected a file that ends in|a zip archive or a workbook"),
        ("other.csv", b"PAR1", "is parquet; name it .parquet"),
        ("broken.parquet", b"not a table", "not a readable table"),
        ("broken.csv.gz", gzip.compress(PLAIN, mtime=0)[:40], "not a readable table"),
        ("text.csv.gz", PLAIN, "not a gzipped file"),
        ("unicode.txt", PLAIN.decode().encode("utf-16")[:-1], "damaged UTF-16 text"),
        ("damaged.csv", PLAIN.replace(b",C,", b",\xe9\x81,"), "UTF-8"),
        ("pointer.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "a Git LFS pointer"),
        ("pointer.parquet", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "a Git LFS pointer"),
        ("page.csv", b"\n<!DOCTYPE html><html>Log in</html>", "is a web page"),
        ("answer.csv", b'{"code":403,"message":"Forbidden"}', "is JSON"),
        ("twice.csv", PLAIN.replace(b"epa", b"yards", 1), "two columns are named 'yards'"),
    ],
)
def test_what_cannot_be_read_is_one_line_that_names_the_file(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)
    for read in (read_file, read_column, read_series, lambda path: listed_facts([path])):
        with pytest.raises(InputError, match=words) as caught:
            read(path)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)
