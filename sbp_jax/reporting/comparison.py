"""Comparison of models over several seeds: a table with intervals, paired differences, a plot, generated sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from sbp_jax.evaluation.statistics import (
    LEVEL,
    MeanInterval,
    Verdict,
    gap_closed,
    mean_interval,
    paired_difference,
    paired_values,
)
from sbp_jax.reporting.style import figure
from sbp_jax.reporting.tables import markdown

OURS, OTHERS, KNOWN = "#0072B2", "#555555", "#009E73"
_VERDICTS: dict[Verdict, str] = {
    "significantly better": "better than",
    "no significant difference": "not significantly different from",
    "significantly worse": "worse than",
}
# the same in a table
VERDICTS: dict[Verdict, str] = {
    "significantly better": "better",
    "no significant difference": "no significant difference",
    "significantly worse": "worse",
}


@dataclass(frozen=True)
class Metric:
    """A metric of a comparison.

    Attributes:
        heading: name with the unit.
        digits: digits after the decimal point.
        compared: whether lower is better and sentences report the best model.
        tabled: whether the metric is in the table of means; otherwise only in the differences.
    """

    heading: str
    digits: int = 4
    compared: bool = False
    tabled: bool = True


PP_ERRORS = {f"pp_{region}": Metric(f"PP {region}") for region in ("lower", "base", "upper", "full")}


@dataclass(frozen=True)
class Comparison:
    """The content of a comparison.

    Attributes:
        title: title of the page.
        about: the setup, with units and sizes.
        rows: one row per model and seed: `arm`, `seed` and the metrics, null where a model has none; `diverged` gives
            the reason for a diverged training run.
        metrics: the metrics, by their names in `rows`.
        ours: the model compared with the baselines.
        known: models that are bounds instead of baselines, such as the true distribution.
        published: metrics published by others, by row name, without seeds.
        notes: sentences on the published metrics and the limits of their comparison.
    """

    title: str
    about: str
    rows: pl.DataFrame
    metrics: Mapping[str, Metric]
    ours: str
    known: tuple[str, ...] = ()
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @property
    def models(self) -> list[str]:
        """All models, in the order of their rows."""
        return self.rows["arm"].unique(maintain_order=True).to_list()

    @property
    def baselines(self) -> list[str]:
        """The baselines: all models except ours and the bounds."""
        return [model for model in self.models if model != self.ours and model not in self.known]

    def has(self, model: str, name: str) -> bool:
        """Return whether a model has a metric."""
        return not self.rows.filter(pl.col("arm") == model)[name].is_null().all()

    def mean(self, model: str, name: str) -> MeanInterval:
        """Return a model's mean of a metric over the seeds."""
        return mean_interval(self.rows, model, name)

    def best_baseline(self, name: str) -> str | None:
        """Return the baseline with the smallest mean of a metric; None if no baseline has the metric."""
        candidates = [model for model in self.baselines if self.has(model, name)]
        return min(candidates, key=lambda model: self.mean(model, name).mean, default=None)

    def text(self, interval: MeanInterval, name: str) -> str:
        """Return a mean with its interval, and the number of seeds if some are missing."""
        incomplete = interval.count < self.rows["seed"].n_unique()
        return interval.text(self.metrics[name].digits) + (f" ({_seeds(interval.count)})" if incomplete else "")


def table(comparison: Comparison) -> str:
    """Return a table of the means with their intervals, then the published metrics."""
    columns = {name: each for name, each in comparison.metrics.items() if each.tabled}
    header = ["model", *(each.heading for each in columns.values())]
    rows = [[model, *(_cell(comparison, model, name) for name in columns)] for model in comparison.models]
    for name, values in comparison.published.items():
        cells = (f"{values[key]:.{each.digits}f}" if key in values else "" for key, each in columns.items())
        rows.append([name, *cells])
    return markdown(header, rows)


def differences(comparison: Comparison) -> str:
    """Return a table of ours minus each baseline, paired by seed; negative is better."""
    scores = [name for name, each in comparison.metrics.items() if each.compared]
    header = [f"{comparison.ours} minus", *(comparison.metrics[name].heading for name in scores)]
    rows = []
    for baseline in comparison.baselines:
        cells = [paired_difference(comparison.rows, comparison.ours, baseline, name) for name in scores]
        texts = ("" if gap is None else comparison.text(gap, name) for gap, name in zip(cells, scores, strict=True))
        rows.append([baseline, *texts])
    return markdown(header, rows)


def verdicts(comparison: Comparison) -> list[str]:
    """Return sentences on whether ours differs significantly from its best baseline by each score."""
    sentences = []
    for name, each in comparison.metrics.items():
        baseline = comparison.best_baseline(name) if each.compared else None
        if baseline is None:
            continue
        both = paired_values(comparison.rows, comparison.ours, baseline, name)
        seeds, where = len(both[0]), ""
        verdict = _VERDICTS[MeanInterval.of(both[0] - both[1]).verdict]
        if seeds:
            ours, other = (float(np.mean(values)) for values in both)
        else:
            ours, other = comparison.mean(comparison.ours, name).mean, comparison.mean(baseline, name).mean
        if 0 < seeds < comparison.rows["seed"].n_unique():
            where = f" on the {_seeds(seeds)} they share"
        sentences.append(
            f"{each.heading}: {comparison.ours} ({ours:.{each.digits}f}) is {verdict} the best baseline {baseline} "
            f"({other:.{each.digits}f}){where}."
        )
    return sentences


def against_published(comparison: Comparison) -> list[str]:
    """Return sentences on the published rows that ours beats, and on the metrics where it does not."""
    sentences, worse = [], []
    for name, values in comparison.published.items():
        means = {key: comparison.mean(comparison.ours, key).mean for key in values}
        behind = [comparison.metrics[key].heading for key, value in values.items() if not means[key] < value]
        if behind:
            sentences.append(f"{comparison.ours} is better than {name} but not in {', '.join(behind)}.")
        else:
            worse.append(name)
    if worse:
        which = "every published row" if len(worse) == len(comparison.published) > 1 else "; ".join(worse)
        sentences.append(f"{comparison.ours} is better than {which} in every column.")
    return sentences


def diverged(comparison: Comparison) -> list[str]:
    """Return a sentence for each model with diverged training runs."""
    if "diverged" not in comparison.rows.columns:
        return []
    sentences = []
    for model in comparison.models:
        rows = comparison.rows.filter(pl.col("arm") == model)
        wrong = rows.filter(pl.col("diverged").is_not_null())
        if len(wrong):
            which = "; ".join(f"seed {seed}: {why}" for seed, why in wrong.select("seed", "diverged").iter_rows())
            rest = "; the others are in the table" if len(wrong) < len(rows) else ""
            sentences.append(f"{model}: {len(wrong)} of {len(rows)} training runs diverged ({which}){rest}.")
    return sentences


def report(comparison: Comparison) -> list[str]:
    """Return paragraphs of Markdown: setup, table, paired differences, findings and notes."""
    seeds = comparison.rows["seed"].n_unique()
    return [
        f"{comparison.about} {seeds} seeds; mean and {LEVEL:.0%} interval over them.",
        table(comparison),
        "Paired by seed:",
        differences(comparison),
        "What it shows. " + " ".join([*verdicts(comparison), *against_published(comparison)]),
        *diverged(comparison),
        *comparison.notes,
    ]


@dataclass(frozen=True)
class Headline:
    """A summary of one part of a page.

    Attributes:
        title: title of the part.
        header: header of the table; parts with the same header share a table.
        rows: cells of the table as text, as many per row as the header has.
        sentences: generated sentences that add to the table.
        notes: caveats for the reader.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    sentences: Sequence[str]
    notes: Sequence[str] = ()


def headline(comparison: Comparison) -> Headline:
    """Summarize a comparison in one row per score: ours, the best baseline, the paired difference, and the bounds."""
    ours, rows, gaps = comparison.ours, [], []
    for name, each in comparison.metrics.items():
        baseline = comparison.best_baseline(name) if each.compared else None
        if baseline is None:
            continue
        means = {model: comparison.mean(model, name) for model in comparison.models if comparison.has(model, name)}
        gap = paired_difference(comparison.rows, ours, baseline, name)
        verdict = "" if gap is None else f"{comparison.text(gap, name)}, {VERDICTS[gap.verdict]}"
        bounds = [f"{model} {means[model].mean:.{each.digits}f}" for model in comparison.known if model in means]
        mean, other = comparison.text(means[ours], name), f"{baseline} {comparison.text(means[baseline], name)}"
        rows.append([each.heading, mean, other, verdict, ", ".join(bounds)])
        if "Marginal" in means and "Oracle" in means:
            closed = gap_closed(means[ours].mean, means["Marginal"].mean, means["Oracle"].mean)
            gaps.append(f"{closed:.0%} ({each.heading})")
    sentences = [f"{ours} closes {listed(gaps)} of the gap between Marginal and Oracle."] if gaps else []
    sentences += against_published(comparison)
    return Headline(
        title=comparison.title,
        header=["figure", ours, "best baseline", f"{ours} - baseline, paired by seed", "bound"],
        rows=rows,
        sentences=sentences,
        notes=[*diverged(comparison), *comparison.notes],
    )


def listed(parts: Sequence[str]) -> str:
    """Join names as in `a, b and c`."""
    return " and ".join([part for part in (", ".join(parts[:-1]), parts[-1]) if part])


def drawing(comparison: Comparison, path: Path) -> None:
    """Plot each score and the PP error: a point per seed, means with intervals."""
    names = [name for name, each in comparison.metrics.items() if each.compared or name == "pp_full"]
    models = comparison.models
    with figure(path, 3.4 * len(names) + 0.8, 0.32 * len(models) + 1.2) as page:
        for column, (name, axis) in enumerate(zip(names, page.subplots(1, len(names), squeeze=False)[0], strict=True)):
            for row, model in enumerate(models):
                if not comparison.has(model, name):
                    continue
                values = comparison.rows.filter(pl.col("arm") == model)[name].drop_nulls()
                interval = comparison.mean(model, name)
                color = OURS if model == comparison.ours else KNOWN if model in comparison.known else OTHERS
                axis.plot(values, [row] * len(values), ".", color="#BBBBBB", markersize=4)
                half = np.nan_to_num(interval.half)
                axis.errorbar([interval.mean], [row], xerr=[half], color=color, marker="o", markersize=4, capsize=2)
            axis.set_yticks(range(len(models)), models if column == 0 else [""] * len(models))
            axis.set(ylim=(len(models) - 0.5, -0.5), xlabel=comparison.metrics[name].heading)
        page.suptitle(f"{comparison.title} (lower is better)")


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"


def _cell(comparison: Comparison, model: str, name: str) -> str:
    return comparison.text(comparison.mean(model, name), name) if comparison.has(model, name) else ""
