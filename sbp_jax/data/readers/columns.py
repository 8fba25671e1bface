"""Table files of any content, and one numeric column of them."""

import difflib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from polars.exceptions import PolarsError

from sbp_jax.errors import InputError

SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "None"]


@dataclass(frozen=True)
class Column:
    """Values of a column.

    Attributes:
        name: of the column.
        values: finite numbers, in the file's order.
        missing: rows left out because they hold no number.
    """

    name: str
    values: np.ndarray
    missing: int

    @property
    def distinct(self) -> int:
        """Number of different values."""
        return len(np.unique(self.values))

    @property
    def is_whole(self) -> bool:
        """Whether every value is a whole number."""
        return bool((self.values == np.round(self.values)).all())


def read_column(path: Path, name: str | None = None) -> Column:
    """A numeric column of a CSV, TSV or parquet file; without a name, the only numeric one.

    Raises:
        InputError: a missing or unreadable file, a missing column, or one that holds no numbers.
    """
    table = read_file(path)
    numeric = [column for column in table.columns if table.schema[column].is_numeric()]
    if name is None:
        if len(numeric) != 1:
            known = f"has the numeric columns {', '.join(numeric)}" if numeric else "has no numeric column"
            raise InputError(f"column: say which with --column NAME; {path} {known}")
        name = numeric[0]
    check_column(table, path, name)
    if name not in numeric:
        first = next((value for value in table[name].to_list() if value is not None), None)
        raise InputError(f"column: {name!r} of {path} holds no numbers, but values like {first!r}")
    values = table[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    infinite = np.isinf(values)
    if infinite.any():
        raise InputError(f"column: {name!r} of {path} holds an infinite number in row {int(np.argmax(infinite)) + 1}")
    missing = np.isnan(values)
    return Column(name, values[~missing], int(missing.sum()))


def check_column(table: pl.DataFrame, path: Path, name: str) -> None:
    """See that a table has a column; InputError with the nearest name if it has not."""
    if name not in table.columns:
        near = difflib.get_close_matches(name, table.columns, n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]!r}?" if near else f"; it has {', '.join(table.columns)}"
        raise InputError(f"column: {path} has no column {name!r}{hint}")


def read_file(path: Path) -> pl.DataFrame:
    """Return a CSV, TSV or parquet file; InputError where it is missing, unreadable or of another kind."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            return pl.read_parquet(path)
        if suffix in SEPARATORS:
            return pl.read_csv(path, separator=SEPARATORS[suffix], null_values=MISSING, infer_schema_length=None)
    except (PolarsError, UnicodeError) as error:
        raise InputError(f"{path}: cannot be read as {suffix[1:]}: {str(error).strip().splitlines()[0]}") from error
    raise InputError(f"{path}: expected a file that ends in .csv, .tsv, .txt (tabs) or .parquet")
