"""Tables and sequences: equal data give equal features in any container; what cannot be read is named in one line."""

import datetime as dt
import warnings
from decimal import Decimal
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from sbp_jax.errors import InputError
from sbp_jax.estimator.features import MAX_CATEGORIES, Column, Features, compressed, sequence_features, sequence_matrix
from sbp_jax.estimator.tables import read_sequences, read_table

UTC = dt.UTC
NAMES = ["amount", "count", "member", "color", "when", "waited", "empty"]
ROWS = [
    [1.5, 3, True, "red", dt.datetime(2020, 1, 2, 3), dt.timedelta(seconds=90), None],
    [None, -4, False, "blue", dt.datetime(1969, 12, 31), dt.timedelta(0), None],
    [2.25, 0, True, None, None, None, None],
    [-8.0, 7, True, "red", dt.datetime(2020, 1, 2, 3, 0, 1), dt.timedelta(milliseconds=-1500), None],
    [0.0, 9, False, "red", dt.datetime(2021, 6, 1), dt.timedelta(days=2), None],
    [3.5, 2, False, "blue", dt.datetime(2022, 6, 1), dt.timedelta(hours=1), None],
]
COLUMNS = dict(zip(NAMES, map(list, zip(*ROWS, strict=True)), strict=True))
SECONDS = [1577934000.0, -86400.0, np.nan, 1577934001.0, 1622505600.0, 1654041600.0]


def pandas_frame(**kinds):
    pd = pytest.importorskip("pandas")
    return pd.DataFrame({name: pd.Series(values, dtype=kinds.get(name)) for name, values in COLUMNS.items()})


CONTAINERS = {
    "polars": lambda: pl.DataFrame(COLUMNS),
    "polars lazy": lambda: pl.DataFrame(COLUMNS).lazy(),
    "polars categorical": lambda: pl.DataFrame(COLUMNS).with_columns(pl.col("color").cast(pl.Categorical)),
    "polars float32": lambda: pl.DataFrame(COLUMNS).with_columns(pl.col("amount").cast(pl.Float32)),
    "polars decimal": lambda: pl.DataFrame(COLUMNS).with_columns(pl.col("amount").cast(pl.Decimal(20, 4))),
    "polars objects": lambda: pl.DataFrame({n: pl.Series(n, v, dtype=pl.Object) for n, v in COLUMNS.items()}),
    "pyarrow": lambda: pa.table(COLUMNS),
    "pyarrow dictionary": lambda: pa.table({**COLUMNS, "color": pa.array(COLUMNS["color"]).dictionary_encode()}),
    "pandas": pandas_frame,
    "pandas objects": lambda: pandas_frame(**dict.fromkeys(NAMES, object)),
    "pandas nullable": lambda: pandas_frame(amount="Float64", count="Int64", member="boolean", color="string"),
    "pandas categorical": lambda: pandas_frame(color="category", member="boolean"),
    "list of rows": lambda: ROWS,
    "tuple of arrays": lambda: tuple(np.array(row, object) for row in ROWS),
    "array of objects": lambda: np.array(ROWS, object),
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_equal_data_give_equal_features_in_any_container(container):
    table = read_table(CONTAINERS[container]())
    expected = read_table(pl.DataFrame(COLUMNS))
    assert table.rows == len(ROWS)
    assert (table.names is None) == (container[:5] in ("list ", "tuple", "array"))
    for one, other, name in zip(table.columns, expected.columns, NAMES, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=name)
    np.testing.assert_array_equal(Features.of(table).matrix(table), Features.of(expected).matrix(expected))


def test_columns_are_read_as_what_they_are():
    amount, count, member, color, when, waited, empty = read_table(pa.table(COLUMNS)).columns
    np.testing.assert_array_equal(amount, [1.5, np.nan, 2.25, -8.0, 0.0, 3.5])
    np.testing.assert_array_equal(count, [3, -4, 0, 7, 9, 2])
    np.testing.assert_array_equal(member, [1, 0, 1, 1, 0, 0])
    assert color.tolist() == ["red", "blue", None, "red", "red", "blue"]
    np.testing.assert_array_equal(when, SECONDS)
    np.testing.assert_array_equal(waited, [90, 0, np.nan, -1.5, 172800, 3600])
    assert np.all(np.isnan(empty))


@pytest.mark.parametrize("make", [np.array, jnp.array, lambda x: pl.DataFrame(x, orient="row"), list, pa.table])
def test_arrays_of_numbers_of_any_type_are_equal(make):
    numbers = np.array([[1, 2], [3, -4], [5, 6]])
    if make is pa.table:
        make = lambda x: pa.table({"a": x[:, 0], "b": x[:, 1]})  # noqa: E731
    for kind in (np.int8, np.int64, np.float32, np.float16):
        table = read_table(make(numbers.astype(kind)))
        np.testing.assert_array_equal(np.stack(table.columns, axis=1), numbers)
    np.testing.assert_array_equal(read_table(jnp.asarray(numbers, jnp.bfloat16)).columns[1], [2, -4, 6])


def test_missing_values_of_all_kinds_are_one():
    values = [None, float("nan"), np.float32("nan"), Decimal("nan"), 2, Decimal("3.5")]
    np.testing.assert_array_equal(read_table([[v] for v in values]).columns[0], [np.nan] * 4 + [2, 3.5])
    masked = np.ma.masked_array([[1.0, 2.0], [3.0, 4.0]], [[False, True], [False, False]])
    np.testing.assert_array_equal(read_table(masked).columns[1], [np.nan, 4])
    times = np.array([["2020-01-02T03", "NaT"], ["1969-12-31", "1970-01-01"]], "M8[ns]")
    np.testing.assert_array_equal(read_table(times).columns[0], SECONDS[:2])
    np.testing.assert_array_equal(read_table(times).columns[1], [np.nan, 0])
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": pd.Series([pd.NA, 1.0, None], dtype=object), "b": [pd.NaT, pd.Timestamp(0), None]})
    np.testing.assert_array_equal(read_table(frame).columns[0], [np.nan, 1, np.nan])
    np.testing.assert_array_equal(read_table(frame).columns[1], [np.nan, 0, np.nan])


def test_numbers_that_are_categories_stay_text():
    frame = pl.DataFrame({"zone": pl.Series(["1", "2", "1"]).cast(pl.Categorical)})
    assert read_table(frame).columns[0].tolist() == ["1", "2", "1"]
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"zone": pd.Categorical([1, 2, 1])})
    assert read_table(frame).columns[0].tolist() == ["1", "2", "1"]
    # numbers in a list next to text stay numbers
    number, text = read_table([[1, "a"], [2.5, "b"]]).columns
    assert number.tolist() == [1, 2.5]
    assert text.tolist() == ["a", "b"]


def test_columns_of_a_frame_are_found_by_name():
    table = read_table(pl.DataFrame({"b": [1.0, 2], "a": [3.0, 4]}))
    found = table.matching(["a", "b"], 2, "SBPRegressor")
    assert found.names == ("a", "b")
    np.testing.assert_array_equal(found.columns[0], [3, 4])
    with pytest.raises(InputError, match=r"^X: the feature names should match.*; missing: 'c'; unknown: 'b'$"):
        table.matching(["a", "c"], 2, "SBPRegressor")
    with pytest.raises(InputError, match=r"^X has 2 features, but SBPRegressor is expecting 3 features as input$"):
        table.matching(None, 3, "SBPRegressor")
    with pytest.warns(UserWarning, match="X has feature names, but SBPRegressor was fitted without feature names"):
        table.matching(None, 2, "SBPRegressor")
    with pytest.warns(UserWarning, match="X does not have valid feature names, but SBPRegressor was fitted with"):
        read_table(np.ones((2, 2))).matching(["a", "b"], 2, "SBPRegressor")


def test_numbered_columns_of_pandas_are_no_names():
    pd = pytest.importorskip("pandas")
    table = read_table(pd.DataFrame([[1, 2], [3, 4]]))
    assert table.names is None
    assert table.columns[1].tolist() == [2, 4]


def pandas_bad(name):
    pd = pytest.importorskip("pandas")
    return {
        "repeated": lambda: pd.DataFrame([[1, 2]], columns=["a", "a"]),
        "levels": lambda: pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)])),
        "mixed names": lambda: pd.DataFrame([[1, 2]], columns=["a", 1]),
        "series": lambda: pd.Series([1, 2]),
        "intervals": lambda: pd.DataFrame({"a": pd.interval_range(0, 3)}),
        "mixed": lambda: pd.DataFrame({"a": [1, "x"]}),
    }[name]()


BAD_TABLES = [
    (lambda: np.ones(3), r"Expected 2D array, got 1D array instead: shape=\(3,\)"),
    (lambda: np.ones((2, 2, 2, 2)), "Expected 2D array, got 4D"),
    (lambda: 3.0, "expected a two-dimensional array or a data frame, got float"),
    (lambda: "abc", "expected a two-dimensional array or a data frame, got str"),
    (lambda: {"a": [1, 2]}, "expected a two-dimensional array or a data frame, got dict"),
    (lambda: None, "expected a two-dimensional array or a data frame, got NoneType"),
    (lambda: [[1, 2], [3]], "expected rows of one length"),
    (list, "Expected 2D array, got 1D"),
    (lambda: np.ones((3, 0)), r"0 feature\(s\) \(shape=\(3, 0\)\) while a minimum of 1 is required"),
    (lambda: np.ones((0, 3)), r"0 sample\(s\) \(shape=\(0, 3\)\) while a minimum of 1 is required"),
    (lambda: pl.DataFrame(), r"0 feature\(s\)"),
    (lambda: pl.DataFrame({"a": []}), r"0 sample\(s\)"),
    (lambda: np.array([[1.0, np.inf]]), "column 1: expected finite or missing values, but it contains infinity"),
    (lambda: pl.DataFrame({"a": [-np.inf]}), "column 'a': expected finite or missing values"),
    (lambda: [[10**400]], "column 0: expected finite or missing values"),
    (lambda: np.array([[1 + 2j]]), "Complex data not supported"),
    (lambda: np.array([[1 + 2j]], object), "column 0: Complex data not supported"),
    (lambda: [[1], ["x"]], "column 0: expected values of one kind, but it has numbers and text"),
    (lambda: [[True], ["x"]], "column 0: expected values of one kind, but it has numbers and text"),
    (lambda: [[dt.date(2020, 1, 1)], [3.0]], "expected values of one kind, but it has numbers and times"),
    (lambda: [[{"a": 1}]], "column 0: argument must be a string or a number, but it has a dict"),
    (lambda: [[b"x"]], "column 0: argument must be a string or a number, but it has a bytes"),
    (lambda: np.array([[b"x"]]), r"column 0: expected numbers or text, got \|S1"),
    (lambda: pl.DataFrame({"a": [[1, 2]]}), "column 'a': argument must be a string or a number, but it has a list"),
    (lambda: pl.DataFrame({"a": [{"b": 1}]}), "column 'a': argument must be a string or a number, but it has a dict"),
    (lambda: pa.table([[1], [2]], ["a", "a"]), "expected unique column names, but 'a' is repeated"),
    (lambda: SimpleNamespace(toarray=None, nnz=2), "sparse data were passed"),
    (lambda: pandas_bad("repeated"), "expected unique column names, but 'a' is repeated"),
    (lambda: pandas_bad("levels"), r"expected column names that are text, but one is \('a', 1\), a tuple"),
    (lambda: pandas_bad("mixed names"), "expected column names that are text, but one is 1, a int"),
    (lambda: pandas_bad("series"), "Expected 2D array, got 1D"),
    (lambda: pandas_bad("intervals"), "column 'a': argument must be a string or a number, but it has a Interval"),
    (lambda: pandas_bad("mixed"), "column 'a': expected values of one kind, but it has numbers and text"),
]


@pytest.mark.parametrize(("make", "message"), BAD_TABLES, ids=range(len(BAD_TABLES)))
def test_tables_that_cannot_be_read_are_named_in_one_line(make, message):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match=f"^X: .*{message}|^X: {message}") as error:
            read_table(make())
    assert "\n" not in str(error.value)


def test_numbers_are_standardized_robustly():
    values = np.array([1.0, 2, 3, 4, 5, 1e9, np.nan])
    column = Column.of(values)
    assert column.center == 3.5
    assert column.scale == pytest.approx((4.75 - 2.25) / 1.3489795003921634)
    z, missing = column.features(values, "")
    assert z.dtype == np.float32
    assert z[1] == pytest.approx(float(compressed(np.array([(2 - 3.5) / column.scale]))[0]), rel=1e-6)
    assert z[5] == pytest.approx(np.arcsinh((1e9 - 3.5) / column.scale), rel=1e-6)
    assert z[6] == 0
    assert missing.tolist() == [0] * 6 + [1]


@pytest.mark.parametrize(
    "values", [[-1.7e308, 1.7e308, 0, 1e300], [5e-324, 0, 1e-323, 5e-324], [1e308] * 9 + [-1e308], [1, 1 + 2e-16, 1]]
)
def test_numbers_of_any_size_give_finite_features(values):
    values = np.array(values, np.float64)
    (z,) = Column.of(values).features(np.array([*values, 1.7e308, -1.7e308]), "")
    assert np.all(np.isfinite(z))
    assert np.all(np.abs(z) <= np.float32(np.arcsinh(1e9)))
    assert np.all(np.diff(z[np.argsort(values)]) >= 0)


def test_large_numbers_still_differ():
    values = np.random.default_rng(0).pareto(1.0, 1000)
    (z,) = Column.of(values).features(np.array([1e3, 1e4, 1e5, 1e6]), "")
    np.testing.assert_allclose(np.diff(z), np.log(10), rtol=0.03)


def test_columns_without_information_have_no_features():
    table = read_table(pl.DataFrame({"a": [0.1] * 3, "b": ["x"] * 3, "c": [None] * 3}))
    features = Features.of(table)
    assert [column.kind for column in features.columns] == ["numbers", "categories", "missing"]
    assert [column.size for column in features.columns] == [0, 0, 0]
    later = read_table(pl.DataFrame({"a": [7.0, None], "b": ["y", None], "c": ["text", "too"]}))
    np.testing.assert_array_equal(features.matrix(later), np.zeros((2, 1)))  # one zero, so that a network has an input


def test_categories_of_training_have_a_feature_each():
    table = read_table([["b"], ["a"], ["b"], ["c"], [None], ["a"], ["b"], ["a"]])
    features = Features.of(table)
    assert features.columns[0].categories == ("a", "b")  # "c" is too rare
    later = read_table(pl.DataFrame({"x": ["a", "c", "new", None]}))
    assert features.matrix(later).tolist() == [[1, 0], [0, 0], [0, 0], [0, 0]]
    many = read_table([[str(i % 200)] for i in range(1000)])
    assert Features.of(many).size == MAX_CATEGORIES
    nothing = read_table([[None], [None]])
    assert features.matrix(nothing).tolist() == [[0, 0], [0, 0]]


def test_a_column_of_another_kind_than_in_training_is_refused():
    numbers = Features.of(read_table(pl.DataFrame({"a": [1.0, 2, 3]})))
    with pytest.raises(InputError, match=r"^X: column 'a': expected numbers, as in training, got text$"):
        numbers.matrix(read_table(pl.DataFrame({"a": ["1", "2"]})))
    text = Features.of(read_table(pl.DataFrame({"a": ["x", "y"]})))
    with pytest.raises(InputError, match=r"^static: column 'a': expected categories, as in training, got numbers$"):
        text.matrix(read_table(pl.DataFrame({"a": [1, 2]}), "static"))


def test_features_survive_json():
    table = read_table(pl.DataFrame(COLUMNS))
    features = Features.of(table)
    assert Features.from_json(features.to_json()) == features
    assert features.size == features.matrix(table).shape[1]


SEQUENCE = np.arange(24.0).reshape(2, 4, 3)
LENGTHS = [4, 2]


def test_sequences_are_equal_by_lengths_mask_and_list():
    padded = SEQUENCE.copy()
    padded[1, 2:] = np.nan
    mask = np.arange(4) < np.array(LENGTHS)[:, None]
    given = [
        read_sequences(SEQUENCE, lengths=LENGTHS),
        read_sequences(padded.astype(np.float32), mask=mask),
        read_sequences(jnp.asarray(padded), lengths=np.array([4.0, 2.0])),
        read_sequences([SEQUENCE[0], SEQUENCE[1, :2]]),
        read_sequences((jnp.asarray(SEQUENCE[0]), SEQUENCE[1, :2].astype(np.int32))),
    ]
    features = sequence_features(given[0])
    expected = sequence_matrix(features, given[0])
    assert np.all(expected[1, 2:] == 0)
    for each in given:
        np.testing.assert_array_equal(each.mask, mask)
        assert sequence_features(each) == features
        np.testing.assert_array_equal(sequence_matrix(features, each), expected)


HOLE = np.array([[True, False, True, True], [True] * 4])
BAD_SEQUENCES = [
    (SEQUENCE, {"lengths": [4]}, "lengths: expected 2 integers, got int64 of shape [1]"),
    (SEQUENCE, {"lengths": [4, 0]}, "lengths: expected integers from 1 to 4, got 0"),
    (SEQUENCE, {"lengths": [4, 5]}, "lengths: expected integers from 1 to 4, got 5"),
    (SEQUENCE, {"lengths": [4, 1.5]}, "lengths: expected integers from 1 to 4, got 1.5"),
    (SEQUENCE, {"lengths": [4, np.nan]}, "lengths: expected integers from 1 to 4, got nan"),
    (SEQUENCE, {"lengths": ["4", "1"]}, "lengths: expected 2 integers, got object of shape [2]"),
    (SEQUENCE, {"lengths": 4}, "lengths: expected 2 integers, got int64 of shape []"),
    (SEQUENCE, {"mask": HOLE}, "mask: expected valid frames first and padding after them, but row 0 has a hole"),
    (SEQUENCE, {"mask": HOLE.astype(int)}, "mask: expected booleans of shape [2, 4], got int64 [2, 4]"),
    (SEQUENCE, {"mask": HOLE[:1]}, "mask: expected booleans of shape [2, 4], got bool [1, 4]"),
    (SEQUENCE, {"mask": np.zeros((2, 4), bool)}, "mask: expected a valid frame in every row, but row 0 has none"),
    (SEQUENCE, {"mask": HOLE, "lengths": LENGTHS}, "lengths, mask: expected only one of them, got both"),
    ([SEQUENCE[0]], {"lengths": [4]}, "lengths, mask: expected neither for a list of arrays"),
    ([SEQUENCE[0], SEQUENCE[0, :, :2]], {}, "X: expected arrays [T, F] with the same F, got F = [2, 3]"),
    ([SEQUENCE[0], SEQUENCE[0, :0]], {}, "lengths: expected integers from 1 to 4, got 0"),
    ([pl.DataFrame(SEQUENCE[0])] * 2, {}, "X: expected arrays [T, F] in a list, got DataFrame"),
    (SEQUENCE.astype(str), {}, "X: expected numbers in sequences, got <U"),
    (SEQUENCE + 1j, {}, "X: Complex data not supported"),
    (np.where(SEQUENCE == 3, np.inf, SEQUENCE), {}, "X: expected finite or missing values in valid frames"),
    (SEQUENCE[:0], {}, "X: 0 sample(s)"),
    (SEQUENCE[:, :0], {}, "X: 0 frame(s)"),
    (SEQUENCE[:, :, :0], {}, "X: 0 feature(s)"),
]


@pytest.mark.parametrize(("X", "arguments", "message"), BAD_SEQUENCES, ids=range(len(BAD_SEQUENCES)))
def test_sequences_that_cannot_be_read_are_named_in_one_line(X, arguments, message):
    with pytest.raises(InputError) as error:
        read_sequences(X, **arguments)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
