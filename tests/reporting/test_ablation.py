"""The sentences of an ablation report follow from its numbers."""

import numpy as np
import polars as pl
import pytest

from sbp_jax.reporting import ablation
from sbp_jax.reporting.ablation import Context

CONTEXT = Context("Bins", "How many.", "b", "bins")
NOISE = np.array([0.0, 0.02, -0.01, 0.015, -0.02])


def row(arm, x, seed, nll):
    figures = dict.fromkeys(ablation.SHOWN, 0.01) | {"nll": nll, "crps": 2 * nll}
    return {"arm": arm, "x": x, "seed": seed, "diverged": None, **figures}


@pytest.fixture
def table():
    """Arm a is worse by 0.1 in every seed, c better by 0.05, d differs by independent noise; one run of d diverged."""
    rows = []
    for seed, noise in enumerate(NOISE):
        rows += [row("a", 1.0, seed, 2.1 + noise), row("b", 2.0, seed, 2.0 + noise), row("c", 4.0, seed, 1.95 + noise)]
        rows.append(row("d", None, seed, 2.0 - noise))
    rows.append({"arm": "d", "x": None, "seed": 5, "diverged": "loss is nan at step 3"})
    return pl.DataFrame(rows, infer_schema_length=None)


BASELINES = {
    name: dict.fromkeys(ablation.SHOWN, 0.01) | {"nll": nll, "crps": 2 * nll}
    for name, nll in (("marginal", 2.5), ("oracle", 1.5))
}


def test_sentences_follow_from_the_numbers(table):
    text = " ".join(ablation.shown(table, BASELINES, CONTEXT))
    assert "By negative log-likelihood the best arm is c (1.9510)" in text
    assert "Better than b, paired by seed: c (-0.0500)." in text
    assert "Worse than b, paired by seed: a (+0.1000)." in text
    assert "No significant difference from b with these seeds: d (-0.0020)." in text
    assert "The arms close 40% (a) to 55% (c) of the CRPS gap between the marginal and the true distribution." in text
    assert text.endswith("Diverged and excluded: d seed 5.")


def test_report_has_a_row_per_arm_and_baseline(table):
    about, rows, _ = ablation.report(table, BASELINES, CONTEXT, (5000, 1000))
    assert "5,000 training plays, 1,000 test plays, 6 seeds" in about
    lines = rows.splitlines()
    assert len(lines) == 2 + 4 + 2
    assert lines[2].startswith("| a | 5 | 2.1010 ± 0.0")
    assert lines[-1].startswith("| Oracle (true distribution) |  | 1.5000 |")


def test_drawing(table, tmp_path):
    ablation.drawing(tmp_path / "all.png", table, BASELINES, CONTEXT)
    apart = table.with_columns(pl.lit(None, pl.Float64).alias("x"))
    ablation.drawing(tmp_path / "apart.png", apart, BASELINES, Context("Bins", "How many.", "b"))
    assert all((tmp_path / name).stat().st_size > 10_000 for name in ("all.png", "apart.png"))
