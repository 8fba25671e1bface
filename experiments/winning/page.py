"""Ratings against winning and true skill: tables, figures, and sentences derived from the numbers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from sbp_jax.evaluation.statistics import mean_and_error
from sbp_jax.reporting.comparison import KNOWN, OTHERS, OURS, Headline
from sbp_jax.reporting.style import figure
from sbp_jax.reporting.tables import markdown

_SURE = 1.645  # standard errors in half of a 90 % interval
OUTCOMES = {"win_pct": "win percentage", "made_playoffs": "playoffs", "skill": "true skill"}


@dataclass(frozen=True)
class Winning:
    """Correlations of ratings with outcomes of team-seasons.

    Attributes:
        title, about: title of the part, and description of the study.
        rows: `period`, and the fields of `scoring.winning.Correlation`.
        ours: the rating whose lead the differences measure.
        known: ratings that are bounds, not baselines.
        siblings: other ratings of ours, which are not baselines either.
        published: published correlations with win percentage and playoffs, by name.
        notes: further sentences.
    """

    title: str
    about: str
    rows: pl.DataFrame
    ours: str
    known: tuple[str, ...] = ()
    siblings: tuple[str, ...] = ()
    published: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @property
    def outcomes(self) -> list[str]:
        """Outcomes in order."""
        return _distinct(self.rows, "outcome")

    @property
    def periods(self) -> list[str]:
        """Periods in order."""
        return _distinct(self.rows, "period")

    def report(self) -> list[str]:
        """Return the page as Markdown paragraphs."""
        parts = [self.about]
        for period in self.periods:
            rows = self.rows.filter(pl.col("period") == period)
            heading = f"{period[0].upper()}{period[1:]} ({rows['teams'][0]} team-seasons):"
            parts += ([heading] if len(self.periods) > 1 else []) + [self._table(rows)]
        parts += self._verdicts()
        return [*parts, *self.notes]

    def headline(self) -> Headline:
        """Return each rating's correlations in the last period."""
        rows = self.rows.filter(pl.col("period") == self.periods[-1])
        header = [f"rating ({self.periods[-1]})", *(OUTCOMES.get(name, name) for name in self.outcomes)]
        cells = [
            [name, *(_interval(_one(rows, name, outcome)) for outcome in self.outcomes)]
            for name in _distinct(rows, "rating")
        ]
        return Headline(self.title, header, cells, self._verdicts(), self.notes)

    def drawing(self, path: Path) -> None:
        """Draw the correlations of the last period with intervals, one panel per outcome."""
        rows = self.rows.filter(pl.col("period") == self.periods[-1])
        names = _distinct(rows, "rating")
        colors = {name: _color(name, (self.ours, *self.siblings), self.known) for name in names}
        with figure(path, 3.2 + 2.6 * len(self.outcomes), 1.3 + 0.26 * len(names)) as drawn:
            panels = drawn.subplots(1, len(self.outcomes), sharey=True, squeeze=False)[0]
            for panel, outcome in zip(panels, self.outcomes, strict=True):
                for place, name in enumerate(names):
                    each = _one(rows, name, outcome)
                    value = each["value"]
                    errors = [[value - each["low"]], [each["high"] - value]]
                    panel.errorbar([value], [place], xerr=errors, fmt="o", ms=4, lw=1.2, color=colors[name])
                panel.axvline(_one(rows, self.ours, outcome)["value"], color=OURS, lw=0.7, ls=":")
                panel.set(xlabel=f"correlation with {OUTCOMES.get(outcome, outcome)}")
            panels[0].set_yticks(range(len(names)), names)
            panels[0].invert_yaxis()
            drawn.suptitle(f"{self.title}: {self.periods[-1]}" if len(self.periods) > 1 else self.title)

    def _table(self, rows: pl.DataFrame) -> str:
        header = ["rating"]
        for outcome in self.outcomes:
            header += [OUTCOMES.get(outcome, outcome), f"{self.ours}'s lead"]
        cells = []
        for name in _distinct(rows, "rating"):
            row = [name]
            for outcome in self.outcomes:
                each = _one(rows, name, outcome)
                lead = f"{each['difference']:+.3f} ({each['difference_low']:+.3f} to {each['difference_high']:+.3f})"
                row += [_interval(each), "" if name == self.ours else lead]
            cells.append(row)
        for name, values in self.published.items():
            row = [f"{name} (published)"]
            for value in values:
                row += [f"{value:.3f}", ""]
            cells.append(row + [""] * (len(header) - len(row)))
        return markdown(header, cells)

    def _verdicts(self) -> list[str]:
        """Sentences on whether ours leads the best baseline significantly, for each period and outcome."""
        sentences = []
        for period in self.periods:
            rows = self.rows.filter(pl.col("period") == period)
            parts = []
            for outcome in self.outcomes:
                excluded = (self.ours, *self.siblings, *self.known)
                baselines = [name for name in _distinct(rows, "rating") if name not in excluded]
                best = max(baselines, key=lambda name: np.nan_to_num(_one(rows, name, outcome)["value"], nan=-2.0))
                ours, other = _one(rows, self.ours, outcome), _one(rows, best, outcome)
                sure = other["difference_low"] > 0 or other["difference_high"] < 0
                lead = "ahead of" if other["difference"] > 0 else "behind"
                verdict = lead if sure else "not significantly different from"
                parts.append(
                    f"by {OUTCOMES.get(outcome, outcome)} {self.ours} ({ours['value']:.3f}) is {verdict} the best "
                    f"baseline, {best} ({other['value']:.3f})"
                )
            start = f"{period[0].upper()}{period[1:]}: " if len(self.periods) > 1 else ""
            text = "; ".join(parts)
            sentences.append(f"{start}{text if start else text[0].upper() + text[1:]}.")
        return sentences


@dataclass(frozen=True)
class Recovery:
    """Rank correlations with true skill in many leagues.

    Attributes:
        title, about: title of the part, and description of the study.
        rows: rows of `scoring.winning.rank_correlations`.
        ours: the ratings that are compared with the baselines.
        known: ratings that are bounds, not baselines.
    """

    title: str
    about: str
    rows: pl.DataFrame
    ours: tuple[str, ...]
    known: tuple[str, ...] = ()

    @property
    def ratings(self) -> list[str]:
        """Ratings in order."""
        return _distinct(self.rows, "rating")

    @property
    def attempts(self) -> list[int]:
        """Numbers of attempts in order."""
        return _distinct(self.rows, "attempts")

    def of(self, rating: str, attempts: int) -> np.ndarray:
        """Return a rating's correlation in each league at a number of attempts, [leagues]."""
        chosen = self.rows.filter((pl.col("rating") == rating) & (pl.col("attempts") == attempts))
        return chosen.sort("league")["value"].to_numpy()

    def value(self, rating: str, attempts: int) -> float:
        """Return the mean correlation over the leagues; NaN where no league has one."""
        return mean_and_error(self.of(rating, attempts))[0]

    def report(self) -> list[str]:
        """Return the page as Markdown paragraphs."""
        return [self.about, self._table(), *self._first()]

    def headline(self) -> Headline:
        """Return the complete table, which is small."""
        cells = [[name, *(f"{self.value(name, n):.3f}" for n in self.attempts)] for name in self.ratings]
        return Headline(self.title, ["rating, by attempts", *map(str, self.attempts)], cells, self._first())

    def drawing(self, path: Path) -> None:
        """Draw one line per rating."""
        markers = "osv^Dx*P"
        with figure(path, 6.5, 4.0) as drawn:
            axes = drawn.subplots()
            for number, name in enumerate(self.ratings):
                color = _color(name, self.ours, self.known)
                style = {"color": color, "marker": markers[number % len(markers)], "ms": 4, "lw": 1.2, "label": name}
                axes.plot(self.attempts, [self.value(name, n) for n in self.attempts], **style)
            axes.set(xlabel="attempts", ylabel="rank correlation with true skill", title=self.title)
            axes.legend(fontsize=8)

    def _table(self) -> str:
        rows = []
        for name in self.ratings:
            each = [mean_and_error(self.of(name, n)) for n in self.attempts]
            rows.append([name, *(f"{mean:.3f} ± {error:.3f}" for mean, error in each)])
        table = markdown(["rating", *(f"{n} attempts" for n in self.attempts)], rows)
        return f"{table}\n\n± is the standard error over leagues."

    def _first(self) -> list[str]:
        """Sentences on the numbers of attempts at which each rating of ours leads the best baseline."""
        baselines = [name for name in self.ratings if name not in (*self.ours, *self.known)]
        sentences, none = [], "no significant difference from"
        for ours in self.ours:
            groups: dict[str, dict[str, list[str]]] = {"ahead of": {}, none: {}, "behind": {}}
            for n in self.attempts:
                best = max(baselines, key=lambda name: np.nan_to_num(self.value(name, n), nan=-2.0))
                lead, error = mean_and_error(self.of(ours, n) - self.of(best, n))
                verdict = none if not abs(lead) > _SURE * error else "ahead of" if lead > 0 else "behind"
                groups[verdict].setdefault(best, []).append(f"{n} ({lead:+.3f} ± {error:.3f})")
            parts = [
                f"{verdict} {best} at {', '.join(each)} attempts"
                for verdict, by_baseline in groups.items()
                for best, each in by_baseline.items()
            ]
            sentences.append(f"{ours[0].upper()}{ours[1:]} against the best baseline: {'; '.join(parts)}.")
        return sentences


@dataclass(frozen=True)
class Reliabilities:
    """Reliability of ratings: rows of `kind` and the fields of `scoring.reliability.Reliability`."""

    title: str
    about: str
    rows: pl.DataFrame

    def report(self) -> list[str]:
        """Return the page as Markdown paragraphs."""
        return [self.about, markdown(*self._table(lambda each: f", n = {each['pairs']}"))]

    def headline(self) -> Headline:
        """Return the complete table, without the numbers of pairs."""
        return Headline(self.title, *self._table(lambda _: ""), [])

    def drawing(self, path: Path) -> None:
        """Draw both reliabilities of each rating with intervals."""
        kinds, names = _distinct(self.rows, "kind"), _distinct(self.rows, "rating")
        with figure(path, 7.0, 1.3 + 0.3 * len(names)) as drawn:
            axes = drawn.subplots()
            for number, (kind, color) in enumerate(zip(kinds, (OURS, OTHERS), strict=False)):
                own = self.rows.filter(pl.col("kind") == kind)
                value = own["value"].to_numpy()
                errors = np.stack([value - own["low"].to_numpy(), own["high"].to_numpy() - value])
                place = np.arange(len(names)) + 0.16 * (2 * number - 1)
                axes.errorbar(value, place, xerr=errors, fmt="os"[number], ms=4, lw=1.2, color=color, label=kind)
            axes.set_yticks(range(len(names)), names)
            axes.invert_yaxis()
            axes.set(xlabel="correlation of a rating with itself on other plays", title=self.title)
            axes.legend(fontsize=8)

    def _table(self, further: Callable[[Mapping[str, Any]], str]) -> tuple[list[str], list[list[str]]]:
        kinds = _distinct(self.rows, "kind")
        rows = []
        for name in _distinct(self.rows, "rating"):
            parts = (self.rows.filter(pl.col("rating") == name, pl.col("kind") == kind) for kind in kinds)
            own = (each.row(0, named=True) for each in parts)
            rows.append([name, *(_interval(each) + further(each) for each in own)])
        return ["rating", *kinds], rows


def _distinct(rows: pl.DataFrame, column: str) -> list[Any]:
    return rows[column].unique(maintain_order=True).to_list()


def _color(rating: str, ours: Sequence[str], known: Sequence[str]) -> str:
    return OURS if rating in ours else KNOWN if rating in known else OTHERS


def _one(rows: pl.DataFrame, rating: str, outcome: str) -> dict[str, Any]:
    return rows.filter((pl.col("rating") == rating) & (pl.col("outcome") == outcome)).row(0, named=True)


def _interval(each: Mapping[str, Any]) -> str:
    return f"{each['value']:.3f} ({each['low']:.3f} to {each['high']:.3f})"
