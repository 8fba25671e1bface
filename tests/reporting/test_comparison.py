"""Comparisons of models: means, paired differences, sentences that follow from the numbers, and a figure."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.stats import t

from sbp_jax.reporting.comparison import (
    Comparison,
    Figure,
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


def comparison(ours=2.0, rival=3.0, shared=True):
    """Two models and a bound; seeds shift all of them alike, so that pairs tell what means do not."""
    shift = 5.0 * NOISE if shared else 0.0 * NOISE
    rows = [
        {"arm": arm, "seed": seed, "nll": mean + shift[seed] + own[seed], "mae": 1.0 if arm == "Ours" else None}
        for arm, mean, own in (("Ours", ours, 0 * NOISE), ("Rival", rival, 0.1 * NOISE), ("Bound", 1.0, 0 * NOISE))
        for seed in range(SEEDS)
    ]
    return Comparison(
        title="Models",
        about="Two models.",
        rows=pl.DataFrame(rows),
        figures={"nll": Figure("NLL, nats", 3, judged=True), "mae": Figure("MAE", 1)},
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
    assert lines[3].endswith("|  |")  # the rival has no MAE
    assert lines[5] == "| Ours, published | 2.500 |  |"


def test_differences_are_paired():
    lines = differences(comparison()).splitlines()
    half = t.ppf(0.975, SEEDS - 1) * np.std(0.1 * NOISE, ddof=1) / SEEDS**0.5
    assert lines[0] == "| Ours less | NLL, nats |"
    assert lines[2:] == [f"| Rival | {-1.0 - 0.1 * NOISE.mean():.3f} ± {half:.3f} |"]


@pytest.mark.parametrize(
    ("rival", "verdict"), [(3.0, "better than"), (1.5, "worse than"), (2.0 - 0.1 * NOISE.mean(), "not told from")]
)
def test_sentences_follow_from_the_numbers(rival, verdict):
    (said,) = verdicts(comparison(rival=rival))
    assert f"Ours (2.100) is {verdict} its best rival Rival" in said
    (said,) = against_published(comparison(rival=rival))
    assert said == "Ours is better than Ours, published in every column."
    (behind,) = against_published(replace(comparison(rival=rival), published={"P": {"nll": 2.0, "mae": 1.5}}))
    assert behind == "Ours is better than P but not in NLL, nats."


def test_a_training_that_went_wrong_is_told_and_leaves_the_others():
    seeds = pl.col("seed").is_in([1, 3]) & (pl.col("arm") == "Rival")
    rows = comparison().rows.with_columns(
        nll=pl.when(seeds).then(None).otherwise("nll"),
        diverged=pl.when(seeds).then(pl.lit("loss is inf at step 9")),
    )
    found = replace(comparison(), rows=rows)
    assert diverged(found) == [
        "Rival: 2 of 5 training runs went wrong (seed 1: loss is inf at step 9; seed 3: loss is inf at step 9); the "
        "others stand here."
    ]
    assert diverged(found)[0] in report(found)
    assert found.mean("Rival", "nll").mean == pytest.approx(3.0 + (5.1 * NOISE)[[0, 2, 4]].mean())
    # of all five seeds ours has another mean, 2.1
    closer = found.rows.with_columns(nll=pl.when(pl.col("arm") == "Rival").then(pl.col("nll") - 0.9).otherwise("nll"))
    closer = replace(found, rows=closer)
    kept = [0, 2, 4]
    ours, rival = 2.0 + 5 * NOISE[kept].mean(), 2.1 + 5.1 * NOISE[kept].mean()
    assert verdicts(closer) == [
        f"NLL, nats: Ours ({ours:.3f}) is better than its best rival Rival ({rival:.3f}) on the 3 seeds that both have."
    ]
    assert table(closer).splitlines()[3].split("|")[2].strip().endswith(" (3 seeds)")
    assert differences(closer).splitlines()[2].endswith(" (3 seeds) |")
    assert headline(closer).rows[0][3].endswith(" (3 seeds), better")
    none_stands = found.rows.filter(pl.col("arm") == "Rival", pl.col("seed") == 1)
    assert diverged(replace(found, rows=none_stands)) == [
        "Rival: 1 of 1 training runs went wrong (seed 1: loss is inf at step 9)."
    ]
    none_left = replace(found, rows=rows.with_columns(nll=pl.when(pl.col("arm") == "Ours").then("nll")))
    assert none_left.best_rival("nll") is None
    assert "| Rival |  |  |" in table(none_left)
    assert diverged(comparison()) == []


def test_several_published_rows_share_a_sentence():
    found = replace(comparison(), published={"P": {"nll": 4.0}, "Q": {"nll": 2.0}, "R": {"nll": 3.0}})
    assert against_published(found) == [
        "Ours is better than Q but not in NLL, nats.",
        "Ours is better than P; R in every column.",
    ]
    found = replace(comparison(), published={"P": {"nll": 4.0}, "R": {"nll": 3.0}})
    assert against_published(found) == ["Ours is better than every published row in every column."]


def test_bounds_are_no_rivals():
    found = comparison()
    assert found.models == ["Ours", "Rival", "Bound"]
    assert found.rivals == ["Rival"]
    assert (found.best_rival("nll"), found.best_rival("mae")) == ("Rival", None)


def test_report_and_figure(tmp_path):
    text = "\n\n".join(report(comparison()))
    assert text.startswith("Two models. 5 seeds; mean and 95% interval over them.")
    assert text.endswith("A note.")
    drawing(comparison(), tmp_path / "models.png")
    assert (tmp_path / "models.png").stat().st_size > 5000
