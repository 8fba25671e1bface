"""The part of a comparison that docs/results.md repeats: our model, the best baseline and the bounds, by metric."""

import polars as pl

from sbp_jax.reporting.comparison import Comparison, Metric, headline, listed

METRICS = {
    "nll": Metric("NLL", 2, compared=True),
    "pp_full": Metric("PP full"),
    "missed": Metric("missed", 1, compared=True, tabled=False),
}


def comparison(seeds=3, **changes):
    means = {"SBP": (2.0, 3.0), "Binned": (2.5, 2.0), "Marginal": (4.0, 9.0), "Oracle": (1.5, None)}
    rows = [
        {"arm": arm, "seed": seed, "nll": nll + 0.1 * seed, "pp_full": 0.01, "missed": missed}
        for arm, (nll, missed) in means.items()
        for seed in range(seeds)
    ]
    fields = {
        "title": "T",
        "about": "",
        "rows": pl.DataFrame(rows),
        "metrics": METRICS,
        "ours": "SBP",
        "known": ("Oracle",),
    }
    return Comparison(**{**fields, **changes})


def test_a_row_for_each_metric():
    summary = headline(comparison(notes=["Note."]))
    assert summary.header == ["figure", "SBP", "best baseline", "SBP - baseline, paired by seed", "bound"]
    assert summary.rows == [
        ["NLL", "2.10 ± 0.25", "Binned 2.60 ± 0.25", "-0.50 ± 0.00, better", "Oracle 1.60"],
        ["missed", "3.0 ± 0.0", "Binned 2.0 ± 0.0", "1.0 ± 0.0, worse", ""],
    ]
    assert summary.sentences == ["SBP closes 80% (NLL) of the gap between Marginal and Oracle."]
    assert (summary.title, summary.notes) == ("T", ["Note."])


def test_published_rows_are_reported_and_one_seed_shows_no_difference():
    summary = headline(comparison(seeds=1, published={"P": {"pp_full": 0.02}}))
    assert summary.rows[0][3] == "-0.50, no significant difference"
    assert summary.sentences[1:] == ["SBP is better than P in every column."]


def test_the_gap_and_the_list():
    assert [listed(parts) for parts in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
