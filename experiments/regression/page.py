"""The page of the study: ours and the best baseline on the reported sets, ratios, and all metrics by set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from experiments.regression.models import MODELS, OURS, THRESHOLD
from experiments.regression.predictive import EXTREMES, LEVELS, METRICS, TAIL
from experiments.regression.sets import BLOCKS, DEVELOPMENT, MAX_ROWS, SETS
from experiments.regression.study import ORACLE, SECONDS, corrected
from sbp_jax.evaluation.statistics import LEVEL, MeanInterval
from sbp_jax.reporting.comparison import KNOWN, OTHERS, listed
from sbp_jax.reporting.comparison import OURS as OUR_COLOR
from sbp_jax.reporting.style import figure
from sbp_jax.reporting.tables import markdown

TITLE = "Regression with heavy or odd outcomes"
COMPARED = {"crps": "CRPS", "twcrps": "tail twCRPS"}
WITHIN, MAX_UPPER = 0.01, 0.02  # relative to the best baseline
HEADINGS = ["NLL, nats", *COMPARED.values(), *(f"{name} {p}" for p in EXTREMES for name in ("coverage", "QS"))]
RULES = f"""\
- The splits are the same for all models: 80 % of the rows for training and 20 % for testing, divided by row, or by
  group if rows are grouped. For a time series, the test parts are {BLOCKS} consecutive periods of its second half, each
  after training on all rows before it. A set of more than {MAX_ROWS:,} rows is reduced to a random
  sample, or a time series to its last rows.
- Each baseline chooses one of four configurations by the CRPS on 20 % of the training part, which are held out in the
  same way as the test part, and is fitted again to the entire training part. Ours has its defaults and no tuning.
- NLL: negative log-probability of a cell around each outcome, with the same width for all models; empty if a model
  gives an outcome probability 0. The tail twCRPS is the CRPS above the {TAIL}-quantile of the training outcomes; a set
  in which that quantile is the largest outcome has none. CRPS and twCRPS are exact for ours. For all other models they
  are the exact scores of the piecewise linear cdf through {len(LEVELS)} quantiles from {LEVELS[0]:.0e} to
  1 - {LEVELS[0]:.0e}, with a relative error below 4e-4.
- QS is the quantile score (pinball loss), coverage the fraction of outcomes at or below the predicted quantile.
- {LEVEL:.0%} intervals over the splits are those of the corrected resampled t test (Nadeau and Bengio, 2003).
- The seconds of a fit do not include tuning. Ours and the Gaussian network, the same estimator with the head normal,
  use all cores; the other baselines use one thread.
- LightGBM-GPD follows gbex and EQRN: 17 or 19 quantiles, and beyond the {THRESHOLD}-quantile a GPD whose parameters
  are boosted for the given number of rounds. TabICL is absent, because its package does not contain its weights."""


@dataclass(frozen=True)
class Verdict:
    """Ours and the best baseline of a set by one metric: means over the splits, and ours / best - 1 (`excess`)."""

    name: str
    ours: float
    best: float
    baseline: str
    excess: MeanInterval

    @property
    def word(self) -> str:
        """The verdict: "first", "within 1 %" with the interval's upper end at most 2 %, or "behind"."""
        close = self.excess.mean <= WITHIN and self.excess.mean + self.excess.half <= MAX_UPPER
        return "first" if self.ours <= self.best else "within 1 %" if close else "behind"


def means(rows: pl.DataFrame, name: str, metric: str) -> dict[str, float]:
    """Return each model's mean of a metric over the splits of a set, for the models that have all of them."""
    own = rows.filter(pl.col("set") == name)
    groups = own.drop_nulls(metric).group_by("model", maintain_order=True).agg(pl.mean(metric), count=pl.len())
    return dict(groups.filter(pl.col("count") == own["split"].n_unique()).select("model", metric).iter_rows())


def best_baseline(values: Mapping[str, float]) -> str | None:
    """Return the baseline with the smallest value; None without one."""
    return min((model for model in values if model not in (OURS, ORACLE)), key=values.__getitem__, default=None)


def verdict(rows: pl.DataFrame, name: str, metric: str) -> Verdict | None:
    """Return the comparison of ours with the best baseline of a set; None if either has no value."""
    values = means(rows, name, metric)
    baseline = best_baseline(values)
    if OURS not in values or baseline is None:
        return None
    ours, best = (
        rows.filter(pl.col("set") == name, pl.col("model") == model).sort("split") for model in (OURS, baseline)
    )
    differences = (ours[metric] - best[metric]).to_numpy() / values[baseline]
    excess = corrected(differences, float(np.mean((ours["test"] / ours["train"]).to_numpy())))
    return Verdict(name, values[OURS], values[baseline], baseline, excess)


def verdicts(rows: pl.DataFrame) -> list[str]:
    """Return a sentence per metric on the reported sets, and the table of verdicts."""
    body, sentences = [], []
    for metric, heading in COMPARED.items():
        found = [each for name in _names(rows) if name not in DEVELOPMENT and (each := verdict(rows, name, metric))]
        for each in found:
            excess = f"{100 * each.excess.mean:+.1f} ± {100 * each.excess.half:.1f}"
            body.append([each.name, heading, f"{each.ours:.4g}", f"{each.best:.4g}", each.baseline, excess, each.word])
        first, close = (sum(each.word in words for each in found) for words in (["first"], ["first", "within 1 %"]))
        sentences.append(
            f"By {heading}, {OURS} is first on {first} of {len(found)} reported sets. It is first, or at most 1 % "
            f"above the best baseline with the upper end of the paired interval at most 2 %, on {close}."
        )
    if not body:
        return [f"No verdict: {OURS} or the baselines have no results on the reported sets."]
    header = ["reported set", "metric", "ours", "best baseline's", "best baseline", "ours / best - 1, %", "verdict"]
    return [" ".join(sentences), markdown(header, body)]


def ratios(rows: pl.DataFrame, metric: str) -> dict[str, dict[str, float]]:
    """Return the ratio of each model's mean to the best baseline's, by model and set."""
    table: dict[str, dict[str, float]] = {}
    for name in _names(rows):
        values = means(rows, name, metric)
        best = values.get(best_baseline(values) or "", np.nan)
        for model, value in values.items():
            if best > 0:
                table.setdefault(model, {})[name] = value / best
    return table


def summary(rows: pl.DataFrame) -> str:
    """Return a table of each model's geometric mean ratio to the best baseline of a set, and its median seconds."""
    by_metric, body = [ratios(rows, metric) for metric in COMPARED], []
    for model in _names(rows, "model"):
        values = [list(table.get(model, {}).values()) for table in by_metric]
        cells = [f"{np.exp(np.mean(np.log(each))):.3f} ({len(each)})" if each else "" for each in values]
        own = rows.filter(pl.col("model") == model)
        times = [own[column].median() for column in SECONDS]
        body.append([model, *cells, *("" if each is None else f"{each:.2f}" for each in times)])
    header = ["model", *(f"{text}, ratio (sets)" for text in COMPARED.values()), "tune, s", "fit, s", "predict, s"]
    return markdown(header, body)


def by_set(rows: pl.DataFrame, name: str) -> str:
    """Return the table of all metrics of a set, means over the splits."""
    columns = [means(rows, name, metric) for metric in (*METRICS, *SECONDS[1:])]
    models = _names(rows.filter(pl.col("set") == name), "model")
    body = [[model, *(f"{each[model]:.4g}" if model in each else "" for each in columns)] for model in models]
    return markdown(["model", *HEADINGS, "fit, s", "predict, s"], body)


def grids() -> str:
    """Return the table of the configurations of each baseline."""
    body = []
    for name, model in MODELS.items():
        kinds = ("any",) if len(model.grids) == 1 else ("zeros", "positive", "both signs")
        body += [[name, model.about, kind, model.fields, grid] for kind, grid in zip(kinds, model.grids, strict=True)]
    return markdown(["model", "about", "outcomes", "fields", "configurations"], body)


def report(rows: pl.DataFrame, sizes: Mapping[str, Sequence[int]]) -> list[str]:
    """Return the paragraphs of the page after its heading; sizes are the rows and features of each set."""
    names, models = _names(rows), _names(rows, "model")
    reported = rows.filter(~pl.col("set").is_in(DEVELOPMENT))
    sets = []
    for name in names:
        each, role = SETS[name], "development" if name in DEVELOPMENT else "reported"
        counts = map("{:,}".format, sizes[name])
        source = f"{each.source} {each.outcome}"
        sets.append([name, source, each.odd, *counts, f"{each.width:g}", each.order, role])
    header = ["set", "source and outcome", "what is odd", "rows", "features", "cell", "split", "role"]
    errors = [
        f"- {name}, {model}, split {split}: {error}"
        for name, model, split, error in rows.drop_nulls("error")["set", "model", "split", "error"].iter_rows()
    ]
    return [
        f"{len(names)} sets, {rows['split'].n_unique()} splits; {listed(models)}.",
        *verdicts(rows),
        "![ratio to the best baseline, by set](regression.png)",
        "Geometric mean of the ratio to the best baseline, over the reported sets, and median seconds:",
        summary(reported),
        "## Sets",
        markdown(header, sets),
        f"Defaults were chosen only on {listed(DEVELOPMENT)}, which were named before any result.",
        "## Rules",
        RULES,
        grids(),
        *(["Not fitted:", "\n".join(errors)] * bool(errors)),
        *(part for name in names for part in (f"## {name}", by_set(rows, name))),
    ]


def drawing(rows: pl.DataFrame, path: Path) -> None:
    """Draw the ratio of each model to the best baseline, by set, to a PNG; ratios above 2 are at the edge."""
    names, models = _names(rows), _names(rows, "model")
    with figure(path, 9.5, 0.3 * len(names) + 1.8) as page:
        for axis, (metric, heading) in zip(page.subplots(1, 2, sharey=True), COMPARED.items(), strict=True):
            for model, values in ratios(rows, metric).items():
                color = {OURS: OUR_COLOR, ORACLE: KNOWN}.get(model, OTHERS)
                shape = {"marker": "osvD^<>pX*"[models.index(model) % 10], "zorder": 3 if model == OURS else 2}
                places = [names.index(name) for name in values]
                ratio = np.clip(list(values.values()), 0.8, 2)
                axis.plot(ratio, places, ls="", ms=5, label=model, color=color, **shape)
            axis.axvline(1.0, color="#999999", lw=0.6)
            axis.set(xscale="log", xlabel=f"{heading}, ratio to the best baseline", ylim=(len(names) - 0.5, -0.5))
            axis.set_xticks([0.8, 1.0, 1.2, 1.5, 2.0], ["0.8", "1", "1.2", "1.5", "2"])
            axis.set_yticks(range(len(names)), names)
            axis.minorticks_off()
        page.legend(*page.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)


def _names(rows: pl.DataFrame, column: str = "set") -> list[str]:
    return rows[column].unique(maintain_order=True).to_list()
