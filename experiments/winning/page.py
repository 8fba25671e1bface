"""Ratings against winning and true skill: tables, figures, and sentences by rule."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from experiments.shared.headline import Headline
from sbp_jax.evaluation.statistics import mean_and_error
from sbp_jax.reporting.comparison import KNOWN, OTHERS, OURS
from sbp_jax.reporting.style import figure
from sbp_jax.reporting.tables import markdown

_SURE = 1.645  # standard errors, half of a 90 % interval
OUTCOMES = {"win_pct": "win percentage", "made_playoffs": "playoffs", "skill": "true skill"}


@dataclass(frozen=True)
class Winning:
    """Correlations of ratings with outcomes of team-seasons.

    Attributes:
        title, about: of the part, and what was done.
        rows: `period`, and the fields of `scoring.winning.Correlation`.
        ours: the rating whose lead the differences are.
        known: ratings that are bounds, no rivals.
        siblings: other ratings of ours, no rivals either.
        published: others' correlations with win percentage and playoffs, by name.
        notes: sentences.
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
        """In order."""
        return _distinct(self.rows, "outcome")

    @property
    def periods(self) -> list[str]:
        """In order."""
        return _distinct(self.rows, "period")

    def colour(self, rating: str) -> str:
        """Of a rating in figures."""
        return _colour(rating, (self.ours, *self.siblings), self.known)


@dataclass(frozen=True)
class Recovery:
    """Rank correlations with true skill in many leagues.

    Attributes:
        title, about: of the part, and what was done.
        rows: as `scoring.winning.rank_correlations` has them.
        ours: the ratings that are set against the others.
        known: ratings that are bounds, no rivals.
    """

    title: str
    about: str
    rows: pl.DataFrame
    ours: tuple[str, ...]
    known: tuple[str, ...] = ()

    @property
    def ratings(self) -> list[str]:
        """In order."""
        return _distinct(self.rows, "rating")

    @property
    def attempts(self) -> list[int]:
        """In order."""
        return _distinct(self.rows, "attempts")

    def of(self, rating: str, attempts: int) -> np.ndarray:
        """A rating's correlation in each league at a number of attempts, [leagues]."""
        chosen = self.rows.filter((pl.col("rating") == rating) & (pl.col("attempts") == attempts))
        return chosen.sort("league")["value"].to_numpy()

    def value(self, rating: str, attempts: int) -> float:
        """Its mean over the leagues; NaN where it has none in any."""
        return mean_and_error(self.of(rating, attempts))[0]


@dataclass(frozen=True)
class Reliabilities:
    """Reliability of ratings: rows of `kind` and the fields of `scoring.reliability.Reliability`."""

    title: str
    about: str
    rows: pl.DataFrame


def winning_report(winning: Winning) -> list[str]:
    """Paragraphs of Markdown."""
    parts = [winning.about]
    for period in winning.periods:
        rows = winning.rows.filter(pl.col("period") == period)
        heading = f"{period[0].upper()}{period[1:]} ({rows['teams'][0]} team-seasons):"
        parts += ([heading] if len(winning.periods) > 1 else []) + [_winning_table(winning, rows)]
    parts += _verdicts(winning)
    return [*parts, *winning.notes]


def winning_headline(winning: Winning) -> Headline:
    """Each rating's correlations in the last period."""
    rows = winning.rows.filter(pl.col("period") == winning.periods[-1])
    header = [f"rating ({winning.periods[-1]})", *(OUTCOMES.get(name, name) for name in winning.outcomes)]
    cells = [
        [name, *(_interval(_one(rows, name, outcome)) for outcome in winning.outcomes)]
        for name in _distinct(rows, "rating")
    ]
    return Headline(winning.title, header, cells, _verdicts(winning), winning.notes)


def winning_drawing(path: Path, winning: Winning) -> None:
    """Correlations with intervals, a panel an outcome, of the last period."""
    rows = winning.rows.filter(pl.col("period") == winning.periods[-1])
    names = _distinct(rows, "rating")
    with figure(path, 3.2 + 2.6 * len(winning.outcomes), 1.3 + 0.26 * len(names)) as drawn:
        panels = drawn.subplots(1, len(winning.outcomes), sharey=True, squeeze=False)[0]
        for panel, outcome in zip(panels, winning.outcomes, strict=True):
            for place, name in enumerate(names):
                each = _one(rows, name, outcome)
                value = each["value"]
                errors = [[value - each["low"]], [each["high"] - value]]
                panel.errorbar([value], [place], xerr=errors, fmt="o", ms=4, lw=1.2, color=winning.colour(name))
            panel.axvline(_one(rows, winning.ours, outcome)["value"], color=OURS, lw=0.7, ls=":")
            panel.set(xlabel=f"correlation with {OUTCOMES.get(outcome, outcome)}")
        panels[0].set_yticks(range(len(names)), names)
        panels[0].invert_yaxis()
        drawn.suptitle(f"{winning.title}: {winning.periods[-1]}" if len(winning.periods) > 1 else winning.title)


def recovery_report(recovery: Recovery) -> list[str]:
    """Paragraphs of Markdown."""
    return [recovery.about, _recovery_table(recovery), *_first(recovery)]


def recovery_headline(recovery: Recovery) -> Headline:
    """The whole table, which is small."""
    cells = [[name, *(f"{recovery.value(name, n):.3f}" for n in recovery.attempts)] for name in recovery.ratings]
    return Headline(recovery.title, ["rating, by attempts", *map(str, recovery.attempts)], cells, _first(recovery))


def recovery_drawing(path: Path, recovery: Recovery) -> None:
    """A line a rating."""
    markers = "osv^Dx*P"
    with figure(path, 6.5, 4.0) as drawn:
        axes = drawn.subplots()
        for number, name in enumerate(recovery.ratings):
            colour = _colour(name, recovery.ours, recovery.known)
            style = {"color": colour, "marker": markers[number % len(markers)], "ms": 4, "lw": 1.2, "label": name}
            axes.plot(recovery.attempts, [recovery.value(name, n) for n in recovery.attempts], **style)
        axes.set(xlabel="attempts", ylabel="rank correlation with true skill", title=recovery.title)
        axes.legend(fontsize=8)


def reliability_report(found: Reliabilities) -> list[str]:
    """Paragraphs of Markdown."""
    return [found.about, markdown(*_reliability_table(found, lambda each: f", n = {each['pairs']}"))]


def reliability_headline(found: Reliabilities) -> Headline:
    """The whole table, without the numbers of pairs."""
    return Headline(found.title, *_reliability_table(found, lambda _: ""), [])


def _reliability_table(
    found: Reliabilities, further: Callable[[Mapping[str, Any]], str]
) -> tuple[list[str], list[list[str]]]:
    kinds = _distinct(found.rows, "kind")
    rows = []
    for name in _distinct(found.rows, "rating"):
        own = (found.rows.filter(pl.col("rating") == name, pl.col("kind") == kind).row(0, named=True) for kind in kinds)
        rows.append([name, *(_interval(each) + further(each) for each in own)])
    return ["rating", *kinds], rows


def reliability_drawing(path: Path, found: Reliabilities) -> None:
    """Both reliabilities of each rating with their intervals."""
    kinds, names = _distinct(found.rows, "kind"), _distinct(found.rows, "rating")
    with figure(path, 7.0, 1.3 + 0.3 * len(names)) as drawn:
        axes = drawn.subplots()
        for number, (kind, colour) in enumerate(zip(kinds, (OURS, OTHERS), strict=False)):
            own = found.rows.filter(pl.col("kind") == kind)
            value = own["value"].to_numpy()
            errors = np.stack([value - own["low"].to_numpy(), own["high"].to_numpy() - value])
            place = np.arange(len(names)) + 0.16 * (2 * number - 1)
            axes.errorbar(value, place, xerr=errors, fmt="os"[number], ms=4, lw=1.2, color=colour, label=kind)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set(xlabel="correlation of a rating with itself on other plays", title=found.title)
        axes.legend(fontsize=8)


def _winning_table(winning: Winning, rows: pl.DataFrame) -> str:
    header = ["rating"]
    for outcome in winning.outcomes:
        header += [OUTCOMES.get(outcome, outcome), f"{winning.ours}'s lead"]
    cells = []
    for name in _distinct(rows, "rating"):
        row = [name]
        for outcome in winning.outcomes:
            each = _one(rows, name, outcome)
            lead = f"{each['difference']:+.3f} ({each['difference_low']:+.3f} to {each['difference_high']:+.3f})"
            row += [_interval(each), "" if name == winning.ours else lead]
        cells.append(row)
    for name, values in winning.published.items():
        row = [f"{name} (published)"]
        for value in values:
            row += [f"{value:.3f}", ""]
        cells.append(row + [""] * (len(header) - len(row)))
    return markdown(header, cells)


def _verdicts(winning: Winning) -> list[str]:
    """By rule, for each period and outcome: whether ours leads its best rival, and whether the interval says so."""
    said = []
    for period in winning.periods:
        rows = winning.rows.filter(pl.col("period") == period)
        parts = []
        for outcome in winning.outcomes:
            none = (winning.ours, *winning.siblings, *winning.known)
            rivals = [name for name in _distinct(rows, "rating") if name not in none]
            best = max(rivals, key=lambda name: np.nan_to_num(_one(rows, name, outcome)["value"], nan=-2.0))
            ours, other = _one(rows, winning.ours, outcome), _one(rows, best, outcome)
            sure = other["difference_low"] > 0 or other["difference_high"] < 0
            verdict = ("ahead of" if other["difference"] > 0 else "behind") if sure else "not told from"
            parts.append(
                f"by {OUTCOMES.get(outcome, outcome)} {winning.ours} ({ours['value']:.3f}) is {verdict} the best "
                f"other, {best} ({other['value']:.3f})"
            )
        lead = f"{period[0].upper()}{period[1:]}: " if len(winning.periods) > 1 else ""
        text = "; ".join(parts)
        said.append(f"{lead}{text if lead else text[0].upper() + text[1:]}.")
    return said


def _recovery_table(recovery: Recovery) -> str:
    rows = []
    for name in recovery.ratings:
        each = [mean_and_error(recovery.of(name, n)) for n in recovery.attempts]
        rows.append([name, *(f"{mean:.3f} ± {error:.3f}" for mean, error in each)])
    table = markdown(["rating", *(f"{n} attempts" for n in recovery.attempts)], rows)
    return f"{table}\n\n± is the standard error over leagues."


def _first(recovery: Recovery) -> list[str]:
    """By rule, of each rating of ours: at which numbers of attempts it leads the best rival in the same leagues."""
    rivals = [name for name in recovery.ratings if name not in (*recovery.ours, *recovery.known)]
    said = []
    for ours in recovery.ours:
        found: dict[str, dict[str, list[str]]] = {"ahead of": {}, "not told from": {}, "behind": {}}
        for n in recovery.attempts:
            best = max(rivals, key=lambda name: np.nan_to_num(recovery.value(name, n), nan=-2.0))
            lead, error = mean_and_error(recovery.of(ours, n) - recovery.of(best, n))
            verdict = "not told from" if not abs(lead) > _SURE * error else "ahead of" if lead > 0 else "behind"
            found[verdict].setdefault(best, []).append(f"{n} ({lead:+.3f} ± {error:.3f})")
        parts = [
            f"{verdict} {best} at {', '.join(each)} attempts"
            for verdict, by_rival in found.items()
            for best, each in by_rival.items()
        ]
        said.append(f"{ours[0].upper()}{ours[1:]} against the best rival: {'; '.join(parts)}.")
    return said


def _distinct(rows: pl.DataFrame, column: str) -> list[Any]:
    return rows[column].unique(maintain_order=True).to_list()


def _colour(rating: str, ours: Sequence[str], known: Sequence[str]) -> str:
    return OURS if rating in ours else KNOWN if rating in known else OTHERS


def _one(rows: pl.DataFrame, rating: str, outcome: str) -> dict[str, Any]:
    return rows.filter((pl.col("rating") == rating) & (pl.col("outcome") == outcome)).row(0, named=True)


def _interval(each: Mapping[str, Any]) -> str:
    return f"{each['value']:.3f} ({each['low']:.3f} to {each['high']:.3f})"
