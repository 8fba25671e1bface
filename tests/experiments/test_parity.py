"""Ours has every property; the published implementation's defects are reproduced where it is installed."""

import json
import math

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from experiments import parity
from sbp_jax.distributions import GeneralizedPareto, SplicedBinnedPareto
from sbp_jax.errors import InputError
from sbp_jax.evaluation.conformance import PROPERTIES, Case, Finding, Ours, Property, Reference, catalogue, measure
from sbp_jax.evaluation.conformance.case import pareto_log_density
from sbp_jax.evaluation.conformance.measures import WIDTHS
from sbp_jax.runs import provenance
from tests.oracles import Pareto, Spliced, derivative, exact

pytestmark = pytest.mark.long

NAMES = [prop.name for prop in PROPERTIES]
SHAPES = (0.0, 1e-8, 1e-6, 1e-3, 4.9e-3, 5.1e-3, 0.1, 0.9, -1e-8, -1e-3, -0.2)


@pytest.mark.slow
@pytest.mark.parametrize("prop", PROPERTIES, ids=NAMES)
def test_ours_has_the_property(prop):
    finding = measure(prop, Ours())
    assert finding.holds, finding.text


@pytest.mark.parametrize("xi", SHAPES)
def test_closed_form_of_a_tail_against_mpmath(xi):
    value, slope = pareto_log_density(np.array([xi]), 1.5, 6.0)

    def log_prob(shape):
        return Pareto(shape, mp.mpf("1.5")).log_prob(mp.mpf(6))

    assert value[0] == pytest.approx(float(log_prob(exact(xi))), rel=1e-13)
    right = derivative(log_prob, exact(xi))
    assert slope[0] == pytest.approx(float(right), rel=1e-11)


@pytest.mark.parametrize("width", WIDTHS)
def test_reference_distribution_against_mpmath(width):
    case = Case.uneven(width, double=True)
    oracle = spliced(case)
    y = case.outcomes()[::7]
    np.testing.assert_allclose(case.thresholds, [float(oracle.t_l), float(oracle.t_u)], rtol=1e-13)
    np.testing.assert_allclose(case.log_density(y), [float(oracle.log_prob(exact(x))) for x in y], rtol=1e-12)
    np.testing.assert_allclose(case.cdf(y), [float(oracle.cdf(exact(x))) for x in y], rtol=1e-12)
    np.testing.assert_allclose(case.moments(), [float(oracle.mean()), float(oracle.variance())], rtol=1e-12)
    upper = y[y > case.thresholds[1]]
    right = [float(mp.log(oracle.tau_u * oracle.upper.survival(exact(x) - oracle.t_u))) for x in upper]
    np.testing.assert_allclose(case.log_survival(upper), right, rtol=1e-12)


@pytest.mark.parametrize("width", WIDTHS)
def test_nodes_integrate_the_reference_density_to_one(width):
    case = Case.uneven(width, double=True)
    points, weights = case.nodes()
    assert weights @ np.exp(case.log_density(points)) == pytest.approx(1.0, abs=1e-13)


@pytest.mark.slow
def test_measurements_see_what_is_wrong():
    """Each of these sides differs from ours in one method, and the property that the method breaks fails."""

    class Halved(Ours):
        def density(self, case, y):
            return super().density(case, y) / 2

    class Sorted(Ours):
        def cdf(self, case, y):
            return np.sort(super().cdf(case, y))

    class Rough(Ours):
        def cdf_slope(self, case, y):
            return super().cdf_slope(case, y) * 1.001

    class Missing(Ours):
        def log_prob(self, case, y):
            return np.nan_to_num(super().log_prob(case, y))

    class Shifted(Ours):
        def sample(self, case, batch, sample_shape, seed):
            return super().sample(case, batch, sample_shape, seed) + 0.3

    class Pointwise(Ours):
        def mean_training_gradient(self, case, y, weight):
            def total(logits):
                dist = SplicedBinnedPareto(logits, case.edges, *tails, (case.tail, case.tail))
                return jnp.sum(weight * dist.log_prob(y))

            with jax.enable_x64(case.double):
                tails = [GeneralizedPareto(*pair) for pair in zip(case.shapes, case.scales, strict=True)]
                return np.asarray(jax.grad(total)(jnp.asarray(case.logits)))

    class Raising(Ours):
        def variance(self, case):
            raise RuntimeError

    expected = {
        Halved: "total mass of the density, bins 1 wide",
        Sorted: "unsorted inputs return in their order: largest difference",
        Rough: "d cdf/dy by automatic differentiation against the density",
        Missing: "`log_prob` of a NaN outcome",
        Shifted: "20000 draws against the cdf: Kolmogorov-Smirnov distance × √n",
        Pointwise: "mean gradient of the training log-likelihood in the logits at the truth, largest",
        Raising: "variance",
    }
    for side, name in expected.items():
        assert not measure(PROPERTIES[NAMES.index(name)], side()).holds, name


def test_exception_is_a_finding():
    def finding(side):
        raise ZeroDivisionError

    assert measure(Property("p", "r", finding), Ours()) == Finding("raises ZeroDivisionError", False)


@pytest.fixture(scope="module")
def findings():
    pytest.importorskip("torch")
    pytest.importorskip("gluonts")
    reference = Reference.load()
    assert reference is not None
    return {prop.name: measure(prop, reference) for prop in PROPERTIES}


class TestReferenceImplementation:
    """The installed gluonts has the named defects."""

    def test_named_defects_and_no_others(self, findings):
        agree_at_width_one = "total mass of the density, bins 1 wide"
        named = {prop.name for prop in PROPERTIES if prop.defect} - {agree_at_width_one}
        assert {name for name, finding in findings.items() if not finding.holds} == named

    @pytest.mark.parametrize("width", WIDTHS)
    def test_body_is_a_mass(self, findings, width):
        mass = findings[f"total mass of the density, bins {width:g} wide"].values["mass"]
        assert mass == pytest.approx(0.1 + 0.9 * width, rel=1e-5)

    def test_values(self, findings):
        slope = next(f for name, f in findings.items() if name.startswith("density over"))
        assert slope.values == pytest.approx({f"{width:g}": width for width in WIDTHS}, rel=1e-6)
        near = next(f for name, f in findings.items() if name.startswith("shape ξ = 1e-08"))
        assert near.values["log_density"] == pytest.approx(-0.405465, abs=1e-5)
        assert near.values["derivative"] < -1e6
        assert findings["`log_prob` of a NaN outcome"].values["log_prob"] == 0
        assert findings["variance"].text == "raises NotImplementedError"
        assert findings["sample((2, 3)) of a batch [4]: shape, numbers that differ"].values["count"] == 8
        exact_zero = next(f for name, f in findings.items() if name.startswith("shape exactly 0"))
        assert exact_zero.text.startswith("rejected")
        assert math.isnan(exact_zero.values["quantile"])

    def test_settings_of_torch_are_restored(self, findings):
        import torch

        assert torch.get_default_dtype() == torch.float32
        with pytest.raises(ValueError, match="constraint"):
            torch.distributions.Normal(torch.zeros(1), -torch.ones(1))

    def test_command_with_the_reference(self, findings, tmp_path, capsys):
        parity.command(["--out", str(tmp_path)])
        saved = json.loads((tmp_path / "parity.json").read_text())
        assert [row["name"] for row in saved["properties"]] == NAMES
        assert saved["reference"].startswith("gluonts.torch 0.")
        assert {"ours", "reference"} <= saved["curves"]["mass"].keys()
        text = (tmp_path / "parity.md").read_text()
        assert "only ours: the body is a bin's probability, not a density |" in text
        assert provenance.sentence(saved["machine"]) in text
        assert f"python -m experiments.parity --out {tmp_path}" in text
        assert (tmp_path / "parity.png").stat().st_size > 10_000


@pytest.mark.slow
def test_command_without_the_reference(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(Reference, "load", lambda: None)
    parity.command(["--out", str(tmp_path)])
    assert "pip install 'sbp_jax[reference]'" in capsys.readouterr().out.splitlines()[0]
    rows = [line for line in (tmp_path / "parity.md").read_text().splitlines() if line.startswith("| ")][2:]
    assert len(rows) == len(PROPERTIES)
    for row in rows:
        assert row.split(" | ")[2] == "not installed"
        assert row.endswith("| ours holds |")
    assert (tmp_path / "parity.png").exists()


def test_reference_needs_both_packages(monkeypatch):
    for absent in ("torch", "gluonts"):
        monkeypatch.setattr(
            "sbp_jax.evaluation.conformance.reference.find_spec", lambda name, absent=absent: name != absent or None
        )
        assert Reference.load() is None


def test_reference_that_cannot_be_imported_is_one_line(monkeypatch):
    def failing(name):
        raise ImportError(f"no part of {name}")

    monkeypatch.setattr("sbp_jax.evaluation.conformance.reference.find_spec", lambda name: True)
    monkeypatch.setattr("sbp_jax.evaluation.conformance.reference.import_module", failing)
    with pytest.raises(InputError, match="gluonts is installed but cannot be imported: no part of torch"):
        Reference.load()


@pytest.mark.slow
def test_failing_property_is_named_with_exit_code_1(monkeypatch, tmp_path, capsys):
    broken = Property("water flows uphill", "no", lambda side: Finding("yes | often", False, {"height": math.inf}))
    monkeypatch.setattr(catalogue, "PROPERTIES", (broken,))
    monkeypatch.setattr(Reference, "load", lambda: None)
    with pytest.raises(SystemExit) as caught:
        parity.command(["--out", str(tmp_path)])
    assert caught.value.code == 1
    assert capsys.readouterr().err == "error: ours fails: water flows uphill\n"
    assert json.loads((tmp_path / "parity.json").read_text())["properties"][0]["ours"]["values"] == {"height": "inf"}
    assert r"| yes \| often | ours fails |" in (tmp_path / "parity.md").read_text()


def test_machine_is_described():
    described = provenance.describe()
    assert described["cores"] >= 1
    assert described["packages"]["jax"]
    text = provenance.sentence(described)
    assert described["processor"] in text
    assert f"Python {described['python']}" in text
    assert "\n" not in text


def spliced(case):
    lower, upper = (Pareto(exact(xi), exact(beta)) for xi, beta in zip(case.shapes, case.scales, strict=True))
    logits, edges = ([exact(x) for x in values] for values in (case.logits, case.edges))
    return Spliced(logits, edges, lower, upper, exact(case.tail), exact(case.tail))
