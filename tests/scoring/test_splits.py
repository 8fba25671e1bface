"""Splits of scored plays: selection by an expression, and a one-line error for an invalid one."""

import polars as pl
import pytest

from sbp_jax.errors import InputError
from sbp_jax.scoring.splits import SPLITS, select_plays

PLAYS = pl.DataFrame(
    {
        "down": [1, 2, 3, None],
        "pressure": [True, False, None, True],
        "time_to_throw": [1.0, 2.6, 5.0, 4.0],
        "coverage": ["Man", "Zone", None, "Man"],
    }
)


@pytest.mark.parametrize(
    ("split", "rows"),
    [
        ("pressure", [0, 3]),
        ("clean", [1]),
        ("extended", [1, 3]),
        ("time_to_throw between 2.5 and 4", [1, 3]),
        ("down = 3", [2]),
        ("coverage = 'Man' and down < 3", [0]),
        ("coverage is null", [2]),
        ("down in (1, 2) or time_to_throw > 4", [0, 1, 2]),
    ],
)
def test_what_a_split_chooses(split, rows):
    chosen = select_plays(PLAYS.with_row_index("row"), split)
    assert chosen["row"].to_list() == rows


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("dwn = 3", "no column 'dwn'; did you mean 'down'"),
        ("deep", "means 'air_yards >= 20', but these plays have no column 'air_yards'"),
        ("presure", "did you mean 'pressure'"),
        ("x = 1", "named splits: pressure"),
        ("down", "expected a condition such as"),
        ("down +", "cannot be read"),
        ("((", "cannot be read"),
        ("select 1", "cannot be read"),
        ("down = 1; drop table plays", "cannot be read"),
        ("down = 'x'", "cannot be read"),
        ("down > 8", "none of the 4 plays"),
    ],
)
def test_an_invalid_split_is_a_one_line_error(split, message):
    with pytest.raises(InputError, match=message) as caught:
        select_plays(PLAYS, split)
    assert "\n" not in str(caught.value)


def test_a_split_by_an_unknown_column_is_named():
    with pytest.raises(InputError, match="none of the 4 plays is in it: 'pressure' is unknown for all of them"):
        select_plays(PLAYS.with_columns(pressure=pl.lit(None, pl.Boolean)), "pressure")


def test_every_named_split_can_be_read():
    kinds = {"pressure": pl.Boolean}
    names = {name for split in SPLITS.values() for name in pl.sql_expr(split).meta.root_names()}
    empty = pl.DataFrame(schema={name: kinds.get(name, pl.Float64) for name in names})
    for split in SPLITS:
        with pytest.raises(InputError, match="none of the 0 plays"):
            select_plays(empty, split)
