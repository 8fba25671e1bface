"""The table of capabilities: every cell has the expected answer, and a probe can fail."""

import builtins
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from experiments.capabilities import run as capabilities
from experiments.capabilities.approaches import DISTS, Fitted, dist
from experiments.capabilities.baselines import Detector, Point
from experiments.capabilities.probes import PROBES, Probe
from experiments.capabilities.run import Capabilities, differing, drawing, headline, measured, report
from experiments.shared.study import Options
from sbp_jax.errors import InputError
from sbp_jax.evaluation import boosting, detectors

NAMES = [probe.name for probe in PROBES]
# in the order of the probes: base, time-varying, learnt, asymmetric, higher order, multimodal, bounded, exact
EXPECTED = {
    "SBP": (1, 1, 1, 1, 1, 1, 1, 1),
    "Binned": (1, 1, 1, 0, 0, 1, 1, 1),
    "Student-t": (1, 1, 1, 0, 0, 0, 0, 1),
    "Gaussian": (1, 1, 1, 0, 0, 0, 0, 1),
    "Hybrid Pareto": (0, 0, 0, 0, 0, 0, 1, 1),
    "Blended Pareto": (0, 0, 0, 1, 1, 1, 1, 1),
    "SPOT": (0, 0, 0, 1, 0, 0, 1, 0),
    "DSPOT": (0, 0, 0, 1, 0, 0, 1, 0),
    "NN-SPOT": (0, 0, 0, 1, 0, 0, 1, 0),
    "XGBoost": (0, 0, 0, 0, 0, 0, 0, 0),
}
DETECTORS = ("SPOT", "DSPOT", "NN-SPOT")
OF_TWO_SAMPLES = [probe for probe in PROBES if probe.sample in (PROBES[0].sample, PROBES[-1].sample)]


@pytest.fixture(scope="session")
def table():
    """The rows of the Gaussian, which is the fastest to fit."""
    return measured({"Gaussian": dist("gaussian")})


@pytest.fixture(scope="session")
def watched():
    """The rows of the detectors."""
    pytest.importorskip("libspot")
    return measured({name: partial(Detector, name) for name in DETECTORS})


@pytest.fixture(scope="session")
def predicted():
    """The rows of the point prediction."""
    pytest.importorskip("xgboost")
    return measured({"XGBoost": Point.fit})


@pytest.fixture(scope="session")
def others():
    """The rows of the other distributions."""
    return measured({name: dist(kind) for name, kind in DISTS.items() if name != "Gaussian"})


def cells(table: Capabilities, method: str) -> dict[str, bool]:
    rows = table.rows.filter(pl.col("method") == method)
    return dict(zip(rows["capability"].to_list(), rows["can"].to_list(), strict=True))


def expected(method: str) -> dict[str, bool]:
    return dict(zip(NAMES, map(bool, EXPECTED[method]), strict=True))


@pytest.mark.slow
def test_gaussian(table):
    assert cells(table, "Gaussian") == expected("Gaussian")


@pytest.mark.slow
def test_ours_on_two_samples():
    rows = measured({"SBP": dist("sbp")}, OF_TWO_SAMPLES)
    assert cells(rows, "SBP") == {probe.name: expected("SBP")[probe.name] for probe in OF_TWO_SAMPLES}
    assert len(OF_TWO_SAMPLES) == 5


@pytest.mark.parametrize("method", DETECTORS)
def test_detectors(watched, method):
    assert cells(watched, method) == expected(method)


def test_a_point_has_no_distribution(predicted):
    assert cells(predicted, "XGBoost") == expected("XGBoost")
    text = predicted.rows.filter(pl.col("capability") == "models the base")["measured"].item()
    assert text.startswith("no distribution of the base: a point (")
    low, high = (float(part) for part in text.split("(")[1].rstrip(")").split(", "))
    assert (low, high) == (pytest.approx(0.0, abs=0.1), pytest.approx(10.0, abs=0.3))  # the medians, its only output


@pytest.mark.slow
@pytest.mark.parametrize("method", [name for name in DISTS if name != "Gaussian"])
def test_other_distributions(others, method):
    assert cells(others, method) == expected(method)


def test_thresholds_of_detectors_follow_the_mean_alone(watched):
    rows = watched.rows.filter(pl.col("capability") == "time-varying threshold")
    apart = [float(text.split("apart by ")[1].rstrip(")")) for text in rows["measured"].to_list()]
    assert apart[0] == pytest.approx(0.0, abs=1.0)
    assert apart[1:] == pytest.approx([10.0, 10.0], abs=1.0)


class Wrong(Fitted):
    """A fitted distribution with one method made wrong on purpose."""

    def __init__(self, right: Fitted, **wrong: Callable) -> None:
        for name in ("beyond", "cdf", "density", "descent"):
            setattr(self, name, wrong.get(name, getattr(right, name)))


@pytest.mark.parametrize(
    ("name", "thing", "change"),
    [
        ("models the base", "cdf", lambda right, y: right.cdf(y) ** 1.2),
        ("time-varying threshold", "beyond", lambda right, *how: right.beyond(*how) * np.array([1.3, 1.0])),
        (
            "threshold learnt by gradient",
            "descent",
            lambda right, rate: right.descent(rate)._replace(slope=np.zeros(2)),
        ),
        ("exact density", "density", lambda right, y: 1.002 * right.density(y)),
        ("exact density", "density", lambda right, y: np.full_like(y, np.nan)),
        ("exact density", "cdf", lambda right, y: right.cdf(y + 0.01)),
    ],
)
def test_a_wrong_distribution_fails(name, thing, change):
    probe = probe_of(name)
    right = gaussian(name)
    assert probe(right).can
    assert not probe(Wrong(right, **{thing: partial(change, right)})).can


@cache
def gaussian(name: str) -> Fitted:
    return dist("gaussian")(probe_of(name).sample)


def test_a_missing_quantity_is_reported_instead_of_a_value():
    for probe in PROBES:
        can, text = probe(Fitted())
        assert not can
        assert text.startswith("no ")


@pytest.mark.slow
def test_page_and_drawing(table, tmp_path):
    text = "\n\n".join(report(table))
    assert "| Gaussian | yes | yes | yes | no | no | no | no | yes |" in text
    for probe in PROBES:
        assert f"### {probe.name.capitalize()}" in text
        assert probe.criterion in text
    for row in table.rows.iter_rows(named=True):
        assert f"| {row['method']} | {'yes' if row['can'] else 'no'} | {row['measured']} |" in text
    drawing(table, tmp_path / "capabilities.png")
    assert (tmp_path / "capabilities.png").stat().st_size > 10_000


@pytest.mark.slow
def test_differences_from_the_article_are_reported(table):
    assert differing(table)[0] == "All cells that the article covers agree with it."
    turned = Capabilities(table.rows.with_columns(method=pl.lit("SBP")).filter(pl.col("capability") == "multimodal"))
    assert differing(turned)[0] == "- SBP, multimodal: the article states yes, the measurement is no."


@pytest.mark.slow
def test_headline_counts_what_each_can(table):
    assert headline(table).sentences == ["Number of capabilities, out of 8 measured: Gaussian 4."]


@pytest.mark.parametrize("missing", ["libspot", "xgboost"])
def test_a_missing_baseline_is_one_line(missing, monkeypatch):
    def without(name, *args, **more):
        if name == missing:
            raise ImportError(name)
        return imported(name, *args, **more)

    imported = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", without)
    if missing == "libspot":  # the other is imported first and may be missing as well
        monkeypatch.setattr(boosting, "grown", lambda *_: lambda rows: np.zeros(len(rows)))
    else:
        monkeypatch.setattr(detectors, "_library", lambda: pytest.fail("asked for"))
    with pytest.raises(InputError, match=rf"^{missing} is not installed: pip install [^\n]*$"):
        capabilities.make(Options(), Path())


def probe_of(name: str) -> Probe:
    return next(probe for probe in PROBES if probe.name == name)
