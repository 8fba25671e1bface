"""What the README repeats of a page of results, as plain data: one small table and the sentences under it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sbp_jax.evaluation.statistics import Verdict, gap_closed, paired_difference
from sbp_jax.reporting.comparison import Comparison, against_published, diverged

VERDICTS: dict[Verdict, str] = {
    "significantly better": "better",
    "no significant difference": "not told apart",
    "significantly worse": "worse",
}


@dataclass(frozen=True)
class Headline:
    """The little that is said of a part of a page beside the page itself.

    Attributes:
        title: of the part.
        header: of the table; parts of one header share a table.
        rows: its cells as text, one row of as many as the header has.
        sentences: what the table does not say, by rule from the numbers.
        notes: what a reader must know beside it.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    sentences: Sequence[str]
    notes: Sequence[str] = ()


def headline(comparison: Comparison) -> Headline:
    """A comparison in one row a judged figure: ours, its best rival, the difference seed by seed, and the bounds."""
    ours, rows, shares = comparison.ours, [], []
    for name, each in comparison.figures.items():
        rival = comparison.best_rival(name) if each.judged else None
        if rival is None:
            continue
        means = {model: comparison.mean(model, name) for model in comparison.models if comparison.has(model, name)}
        gap = paired_difference(comparison.rows, ours, rival, name)
        verdict = "" if gap is None else f"{comparison.text(gap, name)}, {VERDICTS[gap.verdict]}"
        bounds = [f"{model} {means[model].mean:.{each.digits}f}" for model in comparison.known if model in means]
        own, other = comparison.text(means[ours], name), f"{rival} {comparison.text(means[rival], name)}"
        rows.append([each.heading, own, other, verdict, ", ".join(bounds)])
        if "Marginal" in means and "Oracle" in means:
            share = gap_closed(means[ours].mean, means["Marginal"].mean, means["Oracle"].mean)
            shares.append(f"{share:.0%} ({each.heading})")
    said = [f"Of the gap between Marginal and Oracle {ours} closes {listed(shares)}."] if shares else []
    said += against_published(comparison)
    return Headline(
        title=comparison.title,
        header=["figure", ours, "best rival", f"{ours} less it, seed by seed", "bound"],
        rows=rows,
        sentences=said,
        notes=[*diverged(comparison), *comparison.notes],
    )


def listed(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([part for part in (", ".join(parts[:-1]), parts[-1]) if part])
