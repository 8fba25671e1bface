"""The README's results, written from the results themselves: python -m experiments.readme [--check].

What stands between the two marks in README.md comes from experiments/results: the demo's summary, and what
`experiments.reproduce` leaves beside each page. With --check nothing is written, and a README that says anything else
is told in one line.
"""

import json
import os
import re
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.reproduce import TABLES
from sbp_jax.cli.flags import parse, run
from sbp_jax.errors import InputError
from sbp_jax.reporting.tables import NAMES, markdown, metrics_table

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
FIGURES = {
    "pp": "PP plots with both tails enlarged",
    "leaderboard": "Quarterbacks by passing score, against true skill",
}
_WIDTH = 126
LONGEST = 12  # rows of a table; one with more is on its page alone


@dataclass(frozen=True)
class Options:
    """Write the README's results, or tell whether they are what would be written.

    Attributes:
        check: write nothing; end with 2 where something would change.
        readme: file with both marks.
        results: folder of the demo's results and of the reproduced tables.
    """

    check: bool = False
    readme: Path = Path("README.md")
    results: Path = Path("experiments/results")


def written(readme: Path, results: Path) -> str:
    """The README's text with its results as they are now.

    Raises:
        InputError: the file lacks a mark or has one twice; a file of results is damaged.
    """
    text = readme.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in before + after:
        raise InputError(f"{readme}: expected one {BEGIN} and after it one {END}")
    return "\n\n".join([before + BEGIN, *section(results, readme.parent), END]) + after


def section(results: Path, home: Path) -> list[str]:
    """Paragraphs of Markdown: the demo, then the published tables that there are.

    Args:
        results: folder of the results.
        home: folder of the README, where links begin.
    """
    parts = demo(_read(results / "demo" / "summary.json"), _link(results / "demo" / "summary.md", home))
    shown = {each: results / "demo" / "figures" / f"{each}.png" for each in FIGURES}
    parts += ["\n".join(f"![{FIGURES[each]}]({_link(file, home)})" for each, file in shown.items())]
    files = [file for name in TABLES if (file := results / "reproduce" / name / f"{name}.json").is_file()]
    if files:
        parts += published({_link(file.with_suffix(".md"), home): _read(file) for file in files})
    return parts


def demo(summary: dict[str, Any], page: str) -> list[str]:
    """What the demo's summary says; `page` is the link to its page."""
    try:
        plays, seconds = summary["plays"], summary["seconds"]
        took = sum(value for stage, value in seconds.items() if stage != "data")
        closed = [f"the {NAMES[kind]} closes {share:.0%}" for kind, share in summary["crps_gap_closed"].items()]
        return [
            _wrapped(
                f"`scripts/demo` (configuration [`configs/demo.py`](configs/demo.py)) prints [this table]({page}): "
                f"{plays['test']:,} simulated test plays of games that no network saw, {plays['train']:,} training "
                f"plays. Training, evaluation and score took {took:.0f} seconds; simulating and preparing the plays "
                f"before them {seconds['data']:.0f}."
            ),
            metrics_table(summary["models"]),
            _wrapped(
                "All rows are judged as forecasts of whole yards. The marginal is the training plays' SBP without a "
                "network; the oracle is the simulator's true law for a league-average quarterback, the best that any "
                f"network could do: of the CRPS gap between the two {', '.join(closed)}."
            ),
            _wrapped(
                "The quarterbacks' passing scores over all plays (training plays included, the network sees no "
                f"names) have a rank correlation of {summary['skill_rank_correlation']:.2f} with the simulator's true "
                "skill, where scores by the true law itself reach "
                f"{summary['skill_rank_correlation_oracle']:.2f}; over the few plays that were not trained on it is "
                f"{summary['skill_rank_correlation_held_out']:.2f}, mostly luck."
            ),
        ]
    except (KeyError, TypeError) as error:
        raise InputError(f"the demo's summary.json: {_told(error)}; scripts/demo writes it anew") from error


def published(tables: dict[str, dict[str, Any]]) -> list[str]:
    """What `experiments.reproduce` found, by the link to each table's page: what each says, and tables by header."""
    grouped: dict[tuple[str, ...], list[list[str]]] = {}
    said = []
    for page, table in tables.items():
        try:
            for part in (part for part in table["parts"] if len(part["rows"]) <= LONGEST):
                rows = grouped.setdefault(tuple(part["header"]), [])
                rows += [[f"[{part['title']}]({page})" if i == 0 else "", *row] for i, row in enumerate(part["rows"])]
            words = [word for part in table["parts"] for word in part["sentences"]]
            notes = dict.fromkeys(note for part in table["parts"] for note in part["notes"])
            head = f"- [{table['title']}]({page}): `{table['command']}`, {table['date']}."
            said.append(_wrapped(" ".join([head, *words, *notes]), "  "))
        except (KeyError, TypeError) as error:
            raise InputError(f"{Path(page).with_suffix('.json')}: {_told(error)}; make the table anew") from error
    return [
        "### Published tables",
        _wrapped(
            "Each is made anew by its command, which goes on where it was stopped. Means with 95 % intervals over the "
            "seeds; lower is better. The pages have all models, figures and differences, and longer tables."
        ),
        *(markdown(["table", *header], rows) for header, rows in grouped.items() if rows),
        "\n".join(said),
    ]


def command(args: list[str]) -> None:
    """Write the README's results, or check them."""
    options = parse(Options, args, "python -m experiments.readme")
    text = written(options.readme, options.results)
    if text == options.readme.read_text(encoding="utf-8"):
        print(f"{options.readme} says what {options.results} has")
    elif options.check:
        raise InputError(
            f"{options.readme}: says other than {options.results}; python -m experiments.readme rewrites it"
        )
    else:
        options.readme.write_text(text, encoding="utf-8")
        print(f"written to {options.readme}")


def _read(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{file}: expected JSON, {error}") from error


def _link(file: Path, home: Path) -> str:
    return Path(os.path.relpath(file, home)).as_posix()


def _wrapped(text: str, indent: str = "") -> str:
    whole = re.sub(r"`[^`]*`", lambda code: code[0].replace(" ", "\0"), text)  # a command stays on one line
    lines = textwrap.wrap(whole, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines).replace("\0", " ")


def _told(error: Exception) -> str:
    return f"lacks {error}" if isinstance(error, KeyError) else "is not as expected"


if __name__ == "__main__":
    run(command, sys.argv[1:])
