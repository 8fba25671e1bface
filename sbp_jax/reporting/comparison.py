"""Models side by side over several seeds: a table with intervals, paired differences, a figure, sentences by rule."""

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
    "no significant difference": "not told from",
    "significantly worse": "worse than",
}
# the same in a table
VERDICTS: dict[Verdict, str] = {
    "significantly better": "better",
    "no significant difference": "not told apart",
    "significantly worse": "worse",
}


@dataclass(frozen=True)
class Figure:
    """A column of a comparison.

    Attributes:
        heading: with the unit.
        digits: after the point.
        judged: lower is better, and sentences tell who is best.
        tabled: stands in the table of means; else in the differences alone.
    """

    heading: str
    digits: int = 4
    judged: bool = False
    tabled: bool = True


PP_ERRORS = {f"pp_{region}": Figure(f"PP {region}") for region in ("lower", "base", "upper", "full")}


@dataclass(frozen=True)
class Comparison:
    """What a comparison says.

    Attributes:
        title: of the page.
        about: what was done, with units and sizes.
        rows: one row per model and seed: `arm`, `seed` and the figures, null where a model has none; `diverged` says
            why a training has none.
        figures: the columns, by their names in `rows`.
        ours: the model that the others are rivals of.
        known: models that are no rivals: bounds, such as the true distribution.
        published: figures of others, by the name of their row; they come without seeds.
        notes: sentences about the published figures and what makes them not comparable.
    """

    title: str
    about: str
    rows: pl.DataFrame
    figures: Mapping[str, Figure]
    ours: str
    known: tuple[str, ...] = ()
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @property
    def models(self) -> list[str]:
        """All of them, in the order of their rows."""
        return self.rows["arm"].unique(maintain_order=True).to_list()

    @property
    def rivals(self) -> list[str]:
        """Those to beat."""
        return [model for model in self.models if model != self.ours and model not in self.known]

    def has(self, model: str, name: str) -> bool:
        """Whether a model has a figure."""
        return not self.rows.filter(pl.col("arm") == model)[name].is_null().all()

    def mean(self, model: str, name: str) -> MeanInterval:
        """A model's figure over the seeds."""
        return mean_interval(self.rows, model, name)

    def best_rival(self, name: str) -> str | None:
        """The rival with the smallest mean of a figure; None where none has it."""
        found = [model for model in self.rivals if self.has(model, name)]
        return min(found, key=lambda model: self.mean(model, name).mean, default=None)

    def text(self, found: MeanInterval, name: str) -> str:
        """A mean with its interval, and of how many seeds it is where some are lacking."""
        lacking = found.count < self.rows["seed"].n_unique()
        return found.text(self.figures[name].digits) + (f" ({_seeds(found.count)})" if lacking else "")


def table(comparison: Comparison) -> str:
    """The means with their intervals; then what was published."""
    tabled = {name: each for name, each in comparison.figures.items() if each.tabled}
    header = ["model", *(each.heading for each in tabled.values())]
    rows = [[model, *(_cell(comparison, model, name) for name in tabled)] for model in comparison.models]
    for name, known in comparison.published.items():
        cells = (f"{known[key]:.{each.digits}f}" if key in known else "" for key, each in tabled.items())
        rows.append([name, *cells])
    return markdown(header, rows)


def differences(comparison: Comparison) -> str:
    """Ours less each rival, seed by seed: negative is better."""
    judged = [name for name, each in comparison.figures.items() if each.judged]
    header = [f"{comparison.ours} less", *(comparison.figures[name].heading for name in judged)]
    rows = []
    for rival in comparison.rivals:
        cells = [paired_difference(comparison.rows, comparison.ours, rival, name) for name in judged]
        texts = ("" if gap is None else comparison.text(gap, name) for gap, name in zip(cells, judged, strict=True))
        rows.append([rival, *texts])
    return markdown(header, rows)


def verdicts(comparison: Comparison) -> list[str]:
    """By rule: who is best by each judged figure, and whether ours is told from its best rival."""
    said = []
    for name, each in comparison.figures.items():
        rival = comparison.best_rival(name) if each.judged else None
        if rival is None:
            continue
        both = paired_values(comparison.rows, comparison.ours, rival, name)
        seeds, where = len(both[0]), ""
        verdict = _VERDICTS[MeanInterval.of(both[0] - both[1]).verdict]
        if seeds:
            ours, other = (float(np.mean(values)) for values in both)
        else:
            ours, other = comparison.mean(comparison.ours, name).mean, comparison.mean(rival, name).mean
        if 0 < seeds < comparison.rows["seed"].n_unique():
            where = f" on the {_seeds(seeds)} that both have"
        said.append(
            f"{each.heading}: {comparison.ours} ({ours:.{each.digits}f}) is {verdict} its best rival {rival} "
            f"({other:.{each.digits}f}){where}."
        )
    return said


def against_published(comparison: Comparison) -> list[str]:
    """By rule: which published rows ours is better than, and where it is not."""
    said, beaten = [], []
    for name, known in comparison.published.items():
        means = {key: comparison.mean(comparison.ours, key).mean for key in known}
        behind = [comparison.figures[key].heading for key, value in known.items() if not means[key] < value]
        if behind:
            said.append(f"{comparison.ours} is better than {name} but not in {', '.join(behind)}.")
        else:
            beaten.append(name)
    if beaten:
        which = "every published row" if len(beaten) == len(comparison.published) > 1 else "; ".join(beaten)
        said.append(f"{comparison.ours} is better than {which} in every column.")
    return said


def diverged(comparison: Comparison) -> list[str]:
    """A sentence for each model whose training runs did not all come to an end."""
    if "diverged" not in comparison.rows.columns:
        return []
    said = []
    for model in comparison.models:
        own = comparison.rows.filter(pl.col("arm") == model)
        wrong = own.filter(pl.col("diverged").is_not_null())
        if len(wrong):
            which = "; ".join(f"seed {seed}: {why}" for seed, why in wrong.select("seed", "diverged").iter_rows())
            rest = "; the others stand here" if len(wrong) < len(own) else ""
            said.append(f"{model}: {len(wrong)} of {len(own)} training runs went wrong ({which}){rest}.")
    return said


def report(comparison: Comparison) -> list[str]:
    """Paragraphs of Markdown: what was done, the table, the paired differences, what they show, the notes."""
    seeds = comparison.rows["seed"].n_unique()
    return [
        f"{comparison.about} {seeds} seeds; mean and {LEVEL:.0%} interval over them.",
        table(comparison),
        "Seed by seed:",
        differences(comparison),
        "What it shows. " + " ".join([*verdicts(comparison), *against_published(comparison)]),
        *diverged(comparison),
        *comparison.notes,
    ]


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


def drawing(comparison: Comparison, path: Path) -> None:
    """Each judged figure and the PP error: every seed a point, means with intervals."""
    names = [name for name, each in comparison.figures.items() if each.judged or name == "pp_full"]
    models = comparison.models
    with figure(path, 3.4 * len(names) + 0.8, 0.32 * len(models) + 1.2) as page:
        for column, (name, axis) in enumerate(zip(names, page.subplots(1, len(names), squeeze=False)[0], strict=True)):
            for row, model in enumerate(models):
                if not comparison.has(model, name):
                    continue
                values = comparison.rows.filter(pl.col("arm") == model)[name].drop_nulls()
                found = comparison.mean(model, name)
                color = OURS if model == comparison.ours else KNOWN if model in comparison.known else OTHERS
                axis.plot(values, [row] * len(values), ".", color="#BBBBBB", markersize=4)
                half = np.nan_to_num(found.half)
                axis.errorbar([found.mean], [row], xerr=[half], color=color, marker="o", markersize=4, capsize=2)
            axis.set_yticks(range(len(models)), models if column == 0 else [""] * len(models))
            axis.set(ylim=(len(models) - 0.5, -0.5), xlabel=comparison.figures[name].heading)
        page.suptitle(f"{comparison.title} (lower is better)")


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"


def _cell(comparison: Comparison, model: str, name: str) -> str:
    return comparison.text(comparison.mean(model, name), name) if comparison.has(model, name) else ""
