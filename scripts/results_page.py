"""Write the tables of docs/results.md and of the README from the results: python scripts/results_page.py [--check].

Both files have two marks; what stands between them comes from experiments/results: the demo's summary, and what
`python -m experiments.reproduce` writes next to each page. With --check nothing is written, and a file that differs
from the results ends the script with one line and exit code 2.
"""

import json
import os
import re
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sbp_jax.cli.flags import parse, run
from sbp_jax.errors import InputError
from sbp_jax.reporting.tables import NAMES, markdown, metrics_table

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
FIGURES = {
    "pp": "PP plots with both tails enlarged",
    "leaderboard": "Quarterbacks by passing score, against true skill",
}
TABLES = ("mae", "pp", "scale", "twitter", "detectors", "capabilities", "winning")  # of experiments.reproduce, in order
MAX_ROWS = 12  # a longer table is on its own page only
_WIDTH = 120
# the README's rows: table, part, metric, and what the README calls the data
COMPARISONS = (
    ("mae", "Predictive medians on simulated passes with tracking", "CRPS, yd", "simulated passes with tracking"),
    ("mae", "Predictive medians on real passes, by the situation", "NLL, nats", "real passes, situation"),
    (
        "mae",
        "Predictive medians on real passes, by the situation and the air yards",
        "NLL, nats",
        "real passes, situation and air yards",
    ),
    ("twitter", "Mention counts, one step ahead", "NLL of a count, nats", "mention counts"),
    (
        "detectors",
        "One-sided alarms on the demo's series",
        "relative error of the rate at 0.001",
        "alarms, heavy-tailed series",
    ),
    (
        "detectors",
        "One-sided alarms on mention counts",
        "relative error of the rate at 0.01",
        "alarms, mention counts",
    ),
)
ATTEMPTS = "400"
# wording of saved results -> wording of the pages; the longest first, as one contains another
PHRASES = {
    "No law is known to be the true one, and none is told that a count is never negative": (
        "The true distribution is unknown, and no model is constrained to nonnegative counts"
    ),
    "its likelihood can do with that, its CRPS and median cannot, which is what tails are for": (
        "its likelihood tolerates that, its CRPS and median do not, which is what tails are for"
    ),
    "What is judged is whether a detector keeps its rate, by": "The metric is whether a detector keeps its rate,",
    "Hits are told at each one's own rate of false alarms, not at a common one: a detector that raises more false "
    "alarms than it was told finds more events": (
        "Hits are reported at each detector's own rate of false alarms, not at a common one: a detector that raises "
        "more false alarms than its nominal rate finds more events"
    ),
    "it is not told from": "it does not differ significantly from",
    "is not told from the best other": "does not differ significantly from the best other rating",
    "is behind the best other": "is significantly behind the best other rating",
    "networks that were not told the target": "networks without the target as an input",
    "ranks were averaged beside them, and the networks told more": (
        "ranks were averaged as well, and the networks were given more inputs"
    ),
    "completion over expectation was told the depth of the pass": (
        "completion over expectation was given the depth of the pass"
    ),
    "The article reports its comparison as a figure without a table, on tracking that is not public: no row of it "
    "stands here": "The article shows its comparison as a plot without a table, on tracking that is not public: none "
    "of its rows are here",
    "The paper reports its counts as figures, on a data set of its own that is not public: no row of it stands here": (
        "The paper shows its counts as plots, on a data set of its own that is not public: none of its rows are here"
    ),
    "is not seen to help by either figure": "shows no improvement by either metric",
    "whose figures of 2019 had been seen": "whose metrics for 2019 had been seen",
    "after a look at the test figures of an earlier choice": "after a look at the test metrics of an earlier choice",
    "they have no other figure, and say nothing of sharpness": (
        "they have no other metric, and say nothing about sharpness"
    ),
    "from code whose body is not a density": "from code whose body does not integrate to one",
    "Where a blended Pareto training went wrong": "Where a blended Pareto training run diverged",
    "trainings went wrong": "training runs diverged",
    "; the others stand here": "; the others are in the table",
    "SBP less it, seed by seed": "SBP - baseline, paired by seed",
    "against the best rival": "against the best baseline",
    "best rival": "best baseline",
    "not told apart": "no significant difference",
    "not told from": "no significant difference from",
    "is, seed by seed, better": "is, paired by seed, better",
    "the true law": "the true distribution",
    "true law": "true distribution",
}


@dataclass(frozen=True)
class Options:
    """Write the generated tables, or check that they are up to date.

    Attributes:
        check: write nothing; exit with 2 if a file would change.
        page: page of all results, with both marks.
        readme: README, with both marks around its rows.
        results: folder of the demo's results and of the reproduced tables.
    """

    check: bool = False
    page: Path = Path("docs/results.md")
    readme: Path = Path("README.md")
    results: Path = Path("experiments/results")


def filled(file: Path, parts: list[str]) -> str:
    """Return a file's text with paragraphs between its marks.

    Raises:
        InputError: the file is missing a mark or has one twice.
    """
    text = file.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in before + after:
        raise InputError(f"{file}: expected one {BEGIN} and after it one {END}")
    return "\n\n".join([before + BEGIN, *parts, END]) + after


def section(results: Path, home: Path) -> list[str]:
    """Return all results as paragraphs of Markdown: the demo, then the published tables.

    Args:
        results: folder of the results.
        home: folder of the page, where links begin.
    """
    page, config = _link(results / "demo" / "summary.md", home), _link(results.parents[1] / "configs" / "demo.py", home)
    parts = demo(_read(results / "demo" / "summary.json"), page, config)
    figures = {each: results / "demo" / "figures" / f"{each}.png" for each in FIGURES}
    parts += ["\n".join(f"![{FIGURES[each]}]({_link(file, home)})" for each, file in figures.items())]
    files = _tables(results)
    if files:
        parts += published({_link(file.with_suffix(".md"), home): _read(file) for file in files.values()})
    return parts


def headlines(results: Path, home: Path) -> list[str]:
    """Return the README's rows, losses among them, as one table; arguments as for `section`."""
    files = _tables(results)
    tables = {name: _read(file) for name, file in files.items()}
    rows = []
    for name, title, metric, data in COMPARISONS:
        if name not in tables:
            continue
        cells = {row[0]: row for row in _part(files[name], tables[name], title)["rows"]}
        if metric not in cells:
            raise InputError(f"{files[name]}: {title!r} has no row {metric!r}; regenerate the table")
        _, own, other, difference, _ = cells[metric]
        rows.append([f"[{data}]({_link(files[name].with_suffix('.md'), home)})", _plain(metric), own, other])
        rows[-1].append(_plain(difference))
    if "winning" in tables:
        file = files["winning"]
        link = _link(file.with_suffix(".md"), home)
        real = " ".join(_part(file, tables["winning"], "Real team-seasons: ratings against winning")["sentences"])
        kinds = {"is behind": "worse", "is ahead of": "better"}
        kinds |= dict.fromkeys(("is not told from", "is not significantly different from"), "no significant difference")
        found = re.search(
            rf"2019,[^.]*?:.*?by playoffs .*?passing score \(([\d.]+)\) ({'|'.join(kinds)}) the best "
            r"(?:other|baseline), ([^()]+?) \(([\d.]+)\)",
            real,
        )
        if not found:
            raise InputError(f"{file}: no sentence on the playoffs of 2019; regenerate the table")
        own, kind, rating, other = found.groups()
        difference = f"{float(own) - float(other):.3f}, {kinds[kind]}"
        rows.append([f"[real teams, 2019]({link})", "correlation with playoffs", own, f"{rating} {other}", difference])
        part = _part(file, tables["winning"], "Rank correlation with true skill, by attempts")
        kinds = {"behind": "worse", "ahead of": "better"}
        found = re.search(
            rf"Passing score against the best \w+: ({'|'.join(kinds)}) (\S+) at [^;]*?\b{ATTEMPTS} \(([^)]+)\)",
            " ".join(part["sentences"]),
        )
        if not found:
            raise InputError(f"{file}: no sentence on {ATTEMPTS} attempts; regenerate the table")
        column = list(part["header"]).index(ATTEMPTS)
        values = {row[0]: row[column] for row in part["rows"]}
        kind, rating, difference = found.groups()
        rows.append(
            [
                f"[simulated quarterbacks, {ATTEMPTS} attempts]({link})",
                "rank correlation with true skill",
                values["passing score"],
                f"{rating} {values[rating]}",
                f"{difference.removeprefix('+')}, {kinds[kind]}",
            ]
        )
    summary = _read(results / "demo" / "summary.json")
    try:
        closed = summary["crps_gap_closed"]
        demo_line = f"the SBP network closes {closed['sbp']:.0%}, a Gaussian network {closed['gaussian']:.0%}"
    except (KeyError, TypeError) as error:
        raise InputError(f"the demo's summary.json: {_reason(error)}; scripts/demo writes it again") from error
    return [
        *([markdown(["data", "metric", "ours", "best baseline", "ours - baseline"], rows)] if rows else []),
        _wrapped(
            "On the demo's simulated plays, of the CRPS gap between the marginal distribution and the oracle, "
            f"{demo_line}."
        ),
    ]


def demo(summary: dict[str, Any], page: str, config: str) -> list[str]:
    """Return what the demo's summary states; `page` and `config` are links to its page and its configuration."""
    try:
        plays, seconds = summary["plays"], summary["seconds"]
        took = sum(value for stage, value in seconds.items() if stage != "data")
        closed = [f"the {NAMES[kind]} closes {share:.0%}" for kind, share in summary["crps_gap_closed"].items()]
        return [
            _wrapped(
                f"`scripts/demo` (configuration [`configs/demo.py`]({config})) prints [this table]({page}): "
                f"{plays['test']:,} simulated test plays from games that no network saw, {plays['train']:,} training "
                f"plays. Training, evaluation and scoring took {took:.0f} seconds; simulating and preparing the plays "
                f"took {seconds['data']:.0f}."
            ),
            _plain(metrics_table(summary["models"])),
            _wrapped(
                "All rows are evaluated as forecasts of integer yards. The marginal is the SBP distribution of the "
                "training plays without a network. The oracle is the simulator's true distribution for a "
                "league-average quarterback, the best that any network could do. Of the CRPS gap between the two, "
                f"{' and '.join(closed)}."
            ),
            _wrapped(
                "The quarterbacks' passing scores over all plays (training plays included; the network sees no names) "
                f"have a rank correlation of {summary['skill_rank_correlation']:.2f} with the simulator's true skill. "
                f"Scores by the true distribution reach {summary['skill_rank_correlation_oracle']:.2f}. Over the few "
                f"plays outside the training set it is {summary['skill_rank_correlation_held_out']:.2f}, mostly chance."
            ),
        ]
    except (KeyError, TypeError) as error:
        raise InputError(f"the demo's summary.json: {_reason(error)}; scripts/demo writes it again") from error


def published(tables: dict[str, dict[str, Any]]) -> list[str]:
    """Return the reproduced tables grouped by header, then the sentences of each; keys are links to their pages."""
    grouped: dict[tuple[str, ...], list[list[str]]] = {}
    remarks = []
    for page, table in tables.items():
        try:
            for part in (part for part in table["parts"] if len(part["rows"]) <= MAX_ROWS):
                rows = grouped.setdefault(tuple(map(_plain, part["header"])), [])
                rows += [
                    [f"[{part['title']}]({page})" if i == 0 else "", *map(_plain, row)]
                    for i, row in enumerate(part["rows"])
                ]
            words = [word for part in table["parts"] for word in part["sentences"]]
            notes = dict.fromkeys(note for part in table["parts"] for note in part["notes"])
            head = f"- [{table['title']}]({page}): `{table['command']}`, {table['date']}."
            remarks.append(_wrapped(" ".join([head, *words, *notes]), "  "))
        except (KeyError, TypeError) as error:
            file = Path(page).with_suffix(".json")
            raise InputError(f"{file}: {_reason(error)}; regenerate the table") from error
    return [
        "## Published tables",
        _wrapped(
            "Each table is regenerated by its command, which resumes where it was interrupted. Metrics are means with "
            "95 % intervals over the seeds, lower is better; of gap closed and of correlations, higher is better. The "
            "pages have all models, metrics and differences, and longer tables."
        ),
        *(markdown(["table", *map(_metric, header)], rows) for header, rows in grouped.items() if rows),
        "\n".join(remarks),
    ]


def command(args: list[str]) -> None:
    """Write the generated tables, or check them."""
    options = parse(Options, args, "python scripts/results_page.py")
    for file, make in ((options.page, section), (options.readme, headlines)):
        text = filled(file, make(options.results, file.parent))
        if text == file.read_text(encoding="utf-8"):
            print(f"{file} agrees with {options.results}")
        elif options.check:
            raise InputError(f"{file}: differs from {options.results}; python scripts/results_page.py rewrites it")
        else:
            file.write_text(text, encoding="utf-8")
            print(f"written to {file}")


def _tables(results: Path) -> dict[str, Path]:
    files = {name: results / "reproduce" / name / f"{name}.json" for name in TABLES}
    return {name: file for name, file in files.items() if file.is_file()}


def _part(file: Path, table: dict[str, Any], title: str) -> dict[str, Any]:
    for part in table.get("parts", ()):
        if part["title"] == title:
            return part
    raise InputError(f"{file}: has no part {title!r}; regenerate the table")


def _read(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{file}: expected JSON, {error}") from error


def _link(file: Path, home: Path) -> str:
    return Path(os.path.relpath(file, home)).as_posix()


def _plain(text: str) -> str:
    for phrase, better in PHRASES.items():
        text = text.replace(phrase, better)
    return text


def _metric(heading: str) -> str:
    return "metric" if heading == "figure" else heading


def _wrapped(text: str, indent: str = "") -> str:
    code = re.sub(r"`[^`]*`", lambda each: each[0].replace(" ", "\0"), _plain(text))  # a command stays on one line
    lines = textwrap.wrap(code, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines).replace("\0", " ")


def _reason(error: Exception) -> str:
    return f"has no {error}" if isinstance(error, KeyError) else "is not as expected"


if __name__ == "__main__":
    run(command, sys.argv[1:])
