"""Folders as their owners save them again: other names, merged tables, other programs, archives; by kind and name.

`TABLES` change the tables before they are written, in the order in which an owner does it: contents, merges, values,
names, columns; `BYTES` change the files, `PLACES` the folder.
"""

import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from tests.data import fabricate

Tables = dict[str, pl.DataFrame]
Random = np.random.Generator
TRACKING, PLAYS, GAMES, PLAYERS = "tracking.csv", "plays.csv", "games.csv", "players.csv"
IDS = ("gameId", "playId", "game_id", "play_id")


def snake(name: str) -> str:
    """Return the name that R's janitor gives a column."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.replace(".", "_")).lower()


def renamed(how: Callable[[str], str]) -> Callable[[Tables, Random], Tables]:
    return lambda tables, random: {name: table.rename(how) for name, table in tables.items()}


def one_renamed(how: Callable[[str], str]) -> Callable[[Tables, Random], Tables]:
    def rename(tables: Tables, random: Random) -> Tables:
        name = random.choice(sorted(tables))
        return {**tables, name: tables[name].rename(how)}

    return rename


def joined(left: pl.DataFrame, right: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """Join as pandas does: columns of both tables get the suffixes _x and _y."""
    both = [name for name in left.columns if name in right.columns and name not in keys]
    right = right.rename({name: f"{name}_y" for name in both}).unique(keys)
    right = right.with_columns(pl.col(key).cast(left.schema[key]) for key in keys)
    return left.rename({name: f"{name}_x" for name in both}).join(right, on=keys, how="left", maintain_order="left")


def merged(*names: str, leave_out: bool = True) -> Callable[[Tables, Random], Tables]:
    """Merge lists into the tracking and, by default, leave out their files."""

    def merge(tables: Tables, random: Random) -> Tables:
        del random
        tables = dict(tables)
        for name in names:
            listed = PLAYS if name == PLAYS and PLAYS in tables else name
            if name == PLAYS and "supplementary_data.csv" in tables:
                listed = "supplementary_data.csv"
            if listed not in tables:
                continue
            right, left = tables.pop(listed) if leave_out else tables[listed], tables[TRACKING]
            keys = {PLAYS: IDS, GAMES: ("gameId",), PLAYERS: ("nflId",)}[name]
            tables[TRACKING] = joined(
                left, right, [key for key in keys if key in left.columns and key in right.columns]
            )
        return tables

    return merge


def each(how: Callable[[pl.DataFrame, Random], pl.DataFrame]) -> Callable[[Tables, Random], Tables]:
    return lambda tables, random: {name: how(table, random) for name, table in tables.items()}


def shuffled(table: pl.DataFrame, random: Random) -> pl.DataFrame:
    return table.select(random.permutation(table.columns).tolist())


def indexed(name: str) -> Callable[[pl.DataFrame, Random], pl.DataFrame]:
    return lambda table, random: table if name in table.columns else table.with_row_index(name, offset=1)


def with_ids(form: Callable[[int], str]) -> Callable[[pl.DataFrame, Random], pl.DataFrame]:
    def write(table: pl.DataFrame, random: Random) -> pl.DataFrame:
        del random
        names = [name for name in (*IDS, "nflId", "nfl_id") if name in table.columns]
        return table.with_columns(
            pl.col(name).cast(pl.Int64).map_elements(form, return_dtype=pl.String) for name in names
        )

    return write


def of_time(how: Callable[[pl.Expr], pl.Expr]) -> Callable[[Tables, Random], Tables]:
    def change(tables: Tables, random: Random) -> Tables:
        del random
        table = tables[TRACKING]
        if table.schema.get("time") != pl.String:
            return tables
        return {**tables, TRACKING: table.with_columns(how(pl.col("time").str.strip_suffix("Z")).alias("time"))}

    return change


def twice(tables: Tables, random: Random) -> Tables:
    table = tables[TRACKING]
    return {**tables, TRACKING: pl.concat([table, table[random.choice(len(table), 30)]])}


def one_play(tables: Tables, random: Random) -> Tables:
    table = tables[TRACKING]
    keys = [name for name in IDS if name in table.columns]
    chosen = table.filter(pl.col(keys[0]).is_not_null()).select(keys).unique(maintain_order=True)
    return {**tables, TRACKING: table.join(chosen[[int(random.integers(len(chosen)))]], on=keys, how="semi")}


Resave = Callable[[Tables, Random], Tables]
CONTENTS: dict[str, Resave] = {"repeated rows": twice, "one play": one_play}
MERGES: dict[str, Resave] = {
    "merged with plays": merged(PLAYS),
    "merged with games": merged(GAMES),
    "merged with players": merged(PLAYERS),
    "merged with everything": merged(PLAYS, GAMES, PLAYERS),
    "merged, but the lists stay": merged(PLAYS, GAMES, PLAYERS, leave_out=False),
}
VALUES: dict[str, Resave] = {
    "ids as floats": each(with_ids(lambda number: f"{number}.0")),
    "ids in exact scientific form": each(with_ids(lambda number: f"{number:.9e}")),
    "ids in short scientific form": each(with_ids(lambda number: f"{number:.4E}")),
    "times in UTC": of_time(lambda time: time + "+00:00"),
    "times with Z": of_time(lambda time: time + "Z"),
    "times without fractions": of_time(lambda time: time.str.replace(r"\.\d+$", "")),
    "times of Excel": of_time(lambda time: pl.lit("9/9/2018 17:00")),
}
SPELLINGS: dict[str, Resave] = {
    "snake case": renamed(snake),
    "one file in snake case": one_renamed(snake),
    "lower case": renamed(str.lower),
    "upper case": renamed(str.upper),
    "spaces": renamed(lambda name: snake(name).replace("_", " ").title()),
    "dots": renamed(lambda name: snake(name).replace("_", ".")),
    "one file padded": one_renamed(lambda name: f" {name}  "),
}
COLUMNS: dict[str, Resave] = {
    "shuffled columns": each(shuffled),
    "row names of R": each(indexed("")),
    "index of pandas": each(indexed("Unnamed: 0")),
    "index of R": each(indexed("X")),
}
STEPS = (CONTENTS, MERGES, VALUES, SPELLINGS, COLUMNS)
TABLES: dict[str, Resave] = {name: resave for step in STEPS for name, resave in step.items()}


def csv_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.csv"))


def of_bytes(how: Callable[[bytes], bytes]) -> Callable[[Path, Random], None]:
    def change(folder: Path, random: Random) -> None:
        del random
        for path in csv_files(folder):
            path.write_bytes(how(path.read_bytes()))

    return change


def excel(folder: Path, random: Random) -> None:
    """Save as Excel does in Europe: byte order mark, semicolons, decimal commas, carriage returns."""
    del random
    for path in csv_files(folder):
        table = pl.read_csv(path, infer_schema_length=0)
        comma = [pl.col(name).str.replace(r"^(-?\d+)\.(\d+)$", "$1,$2") for name in table.columns]
        text = table.select(comma).write_csv(separator=";", line_terminator="\r\n")
        path.write_bytes(b"\xef\xbb\xbf" + text.encode())


def bars(folder: Path, random: Random) -> None:
    del random
    for path in csv_files(folder):
        path.write_text(pl.read_csv(path, infer_schema_length=0).write_csv(separator="|"))


def row_names(folder: Path, random: Random) -> None:
    """Save as R's write.table does: names of rows, but none for their column."""
    del random
    for path in csv_files(folder):
        table = pl.read_csv(path, infer_schema_length=0).with_row_index("row", offset=1)
        header, rest = table.write_csv(quote_style="non_numeric").split("\n", 1)
        path.write_text(header.removeprefix('"row",') + "\n" + rest)


def padded(folder: Path, random: Random) -> None:
    """Pad every value to the width of its column, as a fixed-width editor does."""
    del random
    for path in csv_files(folder):
        table = pl.read_csv(path, infer_schema_length=0)
        if "," not in "".join(value or "" for row in table.rows() for value in row):
            table = table.select(pl.col(name).str.pad_end(12).alias(f"{name:12}") for name in table.columns)
            path.write_text(table.write_csv())


def categorical(folder: Path, random: Random) -> None:
    del random
    for path in csv_files(folder):
        table = pl.read_csv(path, infer_schema_length=None, null_values=["NA"])
        text = [name for name in table.columns if table.schema[name] == pl.String]
        table.with_columns(pl.col(text).cast(pl.Categorical)).write_parquet(path.with_suffix(".parquet"))
        path.unlink()


def with_zones(folder: Path, random: Random) -> None:
    """Write parquet with times as dates of a zone, as pandas does after `to_datetime(utc=True)`."""
    del random
    for path in csv_files(folder):
        table = pl.read_csv(path, infer_schema_length=None, null_values=["NA"])
        time = next((name for name in table.columns if name.strip().lower() == "time"), None)
        if time and table.schema[time] == pl.String:
            text = pl.col(time).str.replace("T", " ").str.replace(r" ?(?:Z|\+00:00)$", "")
            stamp = text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False, time_zone="UTC")
            if table.select(stamp).to_series().null_count() == table[time].null_count():
                table = table.with_columns(stamp.dt.convert_time_zone("America/New_York").alias(time))
        table.write_parquet(path.with_suffix(".parquet"))
        path.unlink()


def cut(folder: Path, random: Random) -> None:
    path = csv_files(folder)[int(random.integers(len(csv_files(folder))))]
    content = path.read_bytes()
    path.write_bytes(content[: int(random.integers(1, len(content)))])


BYTES: dict[str, Callable[[Path, Random], None]] = {
    "byte order mark": of_bytes(lambda content: b"\xef\xbb\xbf" + content),
    "carriage returns": of_bytes(lambda content: content.replace(b"\n", b"\r\n")),
    "UTF-16": of_bytes(lambda content: content.decode().encode("utf-16")),
    "UTF-16 without a mark": of_bytes(lambda content: content.decode().encode("utf-16-le")),
    "Windows-1252": of_bytes(lambda content: content.decode().encode("cp1252")),
    "Excel in Europe": excel,
    "R's write.table": row_names,
    "padded values": padded,
    "categories in parquet": categorical,
    "times with a zone in parquet": with_zones,
    "bars": bars,
    "cut": cut,
}


def zipped(folder: Path, random: Random) -> None:
    """One archive of everything, as macOS makes it."""
    del random
    with zipfile.ZipFile(folder / "archive.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(p for p in folder.iterdir() if p.suffix != ".zip"):
            archive.writestr(f"data/{path.name}", path.read_bytes())
            archive.writestr(f"__MACOSX/data/._{path.name}", b"\x00\x05\x16\x07")
            path.unlink()


def each_zipped(folder: Path, random: Random) -> None:
    del random
    for path in sorted(folder.iterdir()):
        with zipfile.ZipFile(f"{path}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(path, path.name)
        path.unlink()


def zip_next_to_its_files(folder: Path, random: Random) -> None:
    del random
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    (folder / "download.zip").write_bytes(content.getvalue())


def two_deep(folder: Path, random: Random) -> None:
    """Unpack into two folders, the tracking in one more, as Kaggle does."""
    del random
    files = sorted(folder.iterdir())
    deep = folder / "competition" / "files"
    (deep / "train").mkdir(parents=True)
    for path in files:
        path.rename((deep / "train" if path.name.startswith("tracking") else deep) / path.name)


def clutter(folder: Path, random: Random) -> None:
    """What systems and owners leave: hidden files, a lock file, a derived table, a figure."""
    del random
    (folder / ".DS_Store").write_bytes(b"\x00\x00\x00\x01Bud1")
    (folder / "._tracking.parquet").write_bytes(b"\x00\x05\x16\x07")
    (folder / "~$plays.xlsx").write_bytes(b"\x05user")
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX" / "._plays.csv").write_bytes(b"\x00\x05\x16\x07")
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "plays-checkpoint.csv").write_text("gameId,playId\n1,2\n")
    graph = pl.DataFrame(
        {"week": [1], "gameId": [1], "playId": [2], "frameId": [3], "x": [1.0], "y": [2.0], "s": [0.5]}
    )
    fabricate.write(graph, folder / "graph.csv")
    fabricate.write(pl.DataFrame({"": [0], "gameId": [1], "playId": [2], "kmeans": [4]}), folder / "clusters.csv")
    (folder / "figure.png").write_bytes(b"\x89PNG")


def some(random: Random) -> tuple[str, ...]:
    """Return one to five resaves of different steps, in their order."""
    chosen = [random.choice(list(step)) for step in (*STEPS, BYTES, PLACES) if random.random() < 0.4]
    names = tuple(map(str, chosen or [random.choice(list(SPELLINGS))]))
    # a program that reads the rounded ids as numbers and writes them again leaves no trace of the rounding
    return tuple(name for name in names if "parquet" not in name or "ids in short scientific form" not in names)


PLACES: dict[str, Callable[[Path, Random], None]] = {
    "one archive": zipped,
    "an archive each": each_zipped,
    "archive next to its files": zip_next_to_its_files,
    "two folders deep": two_deep,
    "clutter": clutter,
}
