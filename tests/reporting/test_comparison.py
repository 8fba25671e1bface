"""Comparisons of models: means, paired differences, sentences that follow from the numbers, and a figure."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.stats import t

from sbp_jax.reporting.comparison import (
    Comparison,
    Metric,
    against_published,
    differences,
    diverged,
    drawing,
    headline,
    report,
    table,
    verdicts,
)

SEEDS = 5
NOISE = np.array([0.1, -0.2, 0.3, 0.0, -0.1])


def comparison(ours=2.0, baseline=3.0, shared=True):
    """Two models and a bound; seeds shift all of them alike, so that pairs show what means do not."""
    shift = 5.0 * NOISE if shared else 0.0 * NOISE
    models = (("Ours", ours, 0 * NOISE), ("Baseline", baseline, 0.1 * NOISE), ("Bound", 1.0, 0 * NOISE))
    rows = [
        {"arm": arm, "seed": seed, "nll": mean + shift[seed] + own[seed], "mae": 1.0 if arm == "Ours" else None}
        for arm, mean, own in models
        for seed in range(SEEDS)
    ]
    return Comparison(
        title="Models",
        about="Two models.",
        rows=pl.DataFrame(rows),
        metrics={"nll": Metric("NLL, nats", 3, compared=True), "mae": Metric("MAE", 1)},
        ours="Ours",
        known=("Bound",),
        published={"Ours, published": {"nll": 2.5}},
        notes=("A note.",),
    )


def test_table_has_means_intervals_and_published_rows():
    lines = table(comparison()).splitlines()
    assert lines[0] == "| model | NLL, nats | MAE |"
    half = t.ppf(0.975, SEEDS - 1) * np.std(5 * NOISE, ddof=1) / SEEDS**0.5
    assert lines[2] == f"| Ours | {2.0 + 5 * NOISE.mean():.3f} ± {half:.3f} | 1.0 ± 0.0 |"
    assert lines[3].endswith("|  |")  # the baseline has no MAE
    assert lines[5] == "| Ours, published | 2.500 |  |"


def test_differences_are_paired():
    lines = differences(comparison()).splitlines()
    half = t.ppf(0.975, SEEDS - 1) * np.std(0.1 * NOISE, ddof=1) / SEEDS**0.5
    assert lines[0] == "| Ours minus | NLL, nats |"
    assert lines[2:] == [f"| Baseline | {-1.0 - 0.1 * NOISE.mean():.3f} ± {half:.3f} |"]


@pytest.mark.parametrize(
    ("baseline", "verdict"),
    [(3.0, "better than"), (1.5, "worse than"), (2.0 - 0.1 * NOISE.mean(), "not significantly different from")],
)
def test_sentences_follow_from_the_numbers(baseline, verdict):
    (sentence,) = verdicts(comparison(baseline=baseline))
    assert f"Ours (2.100) is {verdict} the best baseline Baseline" in sentence
    (sentence,) = against_published(comparison(baseline=baseline))
    assert sentence == "Ours is better than Ours, published in every column."
    (behind,) = against_published(replace(comparison(baseline=baseline), published={"P": {"nll": 2.0, "mae": 1.5}}))
    assert behind == "Ours is better than P but not in NLL, nats."


def test_a_diverged_training_run_is_reported_and_leaves_the_others():
    seeds = pl.col("seed").is_in([1, 3]) & (pl.col("arm") == "Baseline")
    rows = comparison().rows.with_columns(
        nll=pl.when(seeds).then(None).otherwise("nll"),
        diverged=pl.when(seeds).then(pl.lit("loss is inf at step 9")),
    )
    changed = replace(comparison(), rows=rows)
    assert diverged(changed) == [
        "Baseline: 2 of 5 training runs diverged (seed 1: loss is inf at step 9; seed 3: loss is inf at step 9); the "
        "others are in the table."
    ]
    assert diverged(changed)[0] in report(changed)
    assert changed.mean("Baseline", "nll").mean == pytest.approx(3.0 + (5.1 * NOISE)[[0, 2, 4]].mean())
    # of all five seeds ours has another mean, 2.1
    nearer = pl.when(pl.col("arm") == "Baseline").then(pl.col("nll") - 0.9).otherwise("nll")
    closer = replace(changed, rows=changed.rows.with_columns(nll=nearer))
    seeds_in_use = [0, 2, 4]
    ours, baseline = 2.0 + 5 * NOISE[seeds_in_use].mean(), 2.1 + 5.1 * NOISE[seeds_in_use].mean()
    assert verdicts(closer) == [
        f"NLL, nats: Ours ({ours:.3f}) is better than the best baseline Baseline ({baseline:.3f}) on the 3 seeds they "
        "share."
    ]
    assert table(closer).splitlines()[3].split("|")[2].strip().endswith(" (3 seeds)")
    assert differences(closer).splitlines()[2].endswith(" (3 seeds) |")
    assert headline(closer).rows[0][3].endswith(" (3 seeds), better")
    none_finite = changed.rows.filter(pl.col("arm") == "Baseline", pl.col("seed") == 1)
    assert diverged(replace(changed, rows=none_finite)) == [
        "Baseline: 1 of 1 training runs diverged (seed 1: loss is inf at step 9)."
    ]
    none_left = replace(changed, rows=rows.with_columns(nll=pl.when(pl.col("arm") == "Ours").then("nll")))
    assert none_left.best_baseline("nll") is None
    assert "| Baseline |  |  |" in table(none_left)
    assert diverged(comparison()) == []


def test_several_published_rows_share_a_sentence():
    changed = replace(comparison(), published={"P": {"nll": 4.0}, "Q": {"nll": 2.0}, "R": {"nll": 3.0}})
    assert against_published(changed) == [
        "Ours is better than Q but not in NLL, nats.",
        "Ours is better than P; R in every column.",
    ]
    changed = replace(comparison(), published={"P": {"nll": 4.0}, "R": {"nll": 3.0}})
    assert against_published(changed) == ["Ours is better than every published row in every column."]


def test_bounds_are_not_baselines():
    changed = comparison()
    assert changed.models == ["Ours", "Baseline", "Bound"]
    assert changed.baselines == ["Baseline"]
    assert (changed.best_baseline("nll"), changed.best_baseline("mae")) == ("Baseline", None)


def test_report_and_figure(tmp_path):
    text = "\n\n".join(report(comparison()))
    assert text.startswith("Two models. 5 seeds; mean and 95% interval over them.")
    assert text.endswith("A note.")
    drawing(comparison(), tmp_path / "models.png")
    assert (tmp_path / "models.png").stat().st_size > 5000
