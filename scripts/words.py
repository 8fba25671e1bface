"""Find words that the field does not use: scripts/words.py [--count]; exit code 1 and one line per word found.

Names, comments and texts of all Python files are checked, and README, docs, changelog and the pages of results.
Fixtures and real data are not. Words with an ordinary meaning too (share, order, start, limit) are left to the reader.
"""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

HOME = Path(__file__).parents[1]
# word -> what to write instead
WORDS = {
    "laws?": "distribution, dist",
    "told|tells|said|saying": "reported, states, known",
    "anew": "again",
    "at hand": "available",
    "goes on|went on": "resumes, continues",
    "lacks": "has no, is missing",
    "judges?|judged": "evaluate, validation loss",
    "rivals?": "baseline",
    "peers?": "baseline, reference implementation",
    "figures of merit": "metrics",
    "not told apart": "no significant difference",
    "seed by seed": "paired by seed",
    "trainings": "training runs",
    "whole numbers?": "integer",
    "hostile|strangers?": "misbehaving, untrusted",
    "colours?": "color",
    "centred?|centres": "center",
    "offences?|defences?": "offense, defense",
    "neighbours?|neighbouring": "neighbor",
    "metres?": "meter",
}
ALLOWED = (
    "power law",
    "power-law",
    "law of total variance",
    "law of large numbers",
)
# file -> words of saved keys, public names of earlier versions and sentences of saved results that it reads
SAVED = {
    "CHANGELOG.md": "rivals|peers|judge",
    "scripts/results_page.py": ".*",
    "tests/test_results_page.py": ".*",
    "tests/test_words.py": ".*",
}
SKIPPED = ("tests/fixtures/", "scripts/words.py", "docs/results.md")
_PATTERNS = {re.compile(rf"(?<![A-Za-z])(?:{word})(?![A-Za-z])", re.IGNORECASE): new for word, new in WORDS.items()}


def files() -> list[Path]:
    """Return the tracked files that are checked."""
    command = ["git", "ls-files", "*.py", "*.md", "*.toml", "*.js", "*.html"]
    names = subprocess.run(command, capture_output=True, text=True, check=True, cwd=HOME).stdout.split("\n")
    return [HOME / name for name in names if name and not name.startswith(SKIPPED) and (HOME / name).is_file()]


def matches(text: str, allowed: str = "") -> list[tuple[int, str, str]]:
    """Return line, word and replacement of each word in a text that is not in an allowed phrase."""
    for phrase in ALLOWED:
        text = re.sub(phrase, lambda match: " " * len(match.group()), text, flags=re.IGNORECASE)
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        words = [(each.start(), each.group(), new) for rule, new in _PATTERNS.items() for each in rule.finditer(line)]
        for _, word, new in sorted(words):
            if not re.fullmatch(allowed, word, re.IGNORECASE):
                rows.append((number, word, new))
    return rows


def main() -> int:
    """Print each word, or how many there are of each, and return the exit code."""
    counts: Counter[str] = Counter()
    for path in files():
        name = path.relative_to(HOME).as_posix()
        for line, word, instead in matches(path.read_text(encoding="utf-8"), SAVED.get(name, "")):
            counts[word.lower()] += 1
            if "--count" not in sys.argv:
                print(f"{name}:{line}: {word!r}: write {instead}")
    if "--count" in sys.argv:
        print("\n".join(f"{word}: {count}" for word, count in counts.most_common()) or "none")
    return 1 if counts else 0


if __name__ == "__main__":
    sys.exit(main())
