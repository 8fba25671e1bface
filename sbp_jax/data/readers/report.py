"""Report of a reading: plays read, kept, rejected and repaired, by reason."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

EXAMPLES = 5


@dataclass
class ReadReport:
    """Counts of the plays that were read, by what became of them; reports of parts add up with `+`.

    Args:
        read: number of plays read, copies included.
        kept: number of plays kept; `read == kept + sum(rejected.values())`.
        rejected: number of plays left out, by reason; the reason of damaged data begins with "malformed: ".
        examples: the first few plays of each reason as "game/play".
        repaired: number of rows or plays corrected, or of rows dropped without losing a play, by kind.
        identified: number of plays, players or passers identified without an id, by kind.
        unknown: number of kept plays without a value, by column of the situation.
        reasons_unknown: reason for missing values, by column of the situation; a later part replaces an earlier one.
        formats: number of files read, by format.
        ignored: files that are not a tracking, outcome, player or game table.
    """

    read: int = 0
    kept: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    repaired: dict[str, int] = field(default_factory=dict)
    identified: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)
    reasons_unknown: dict[str, str] = field(default_factory=dict)
    formats: dict[str, int] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)

    def reject(self, reason: str, plays: Iterable[tuple[int, int]]) -> None:
        """Count `(game, play)` ids as rejected for `reason`."""
        ids = [f"{game}/{play}" for game, play in plays]
        if ids:
            self.rejected[reason] = self.rejected.get(reason, 0) + len(ids)
            self.examples[reason] = [*self.examples.get(reason, []), *ids][:EXAMPLES]

    def repair(self, kind: str, count: int) -> None:
        """Count `count` repairs of a kind; a count of 0 leaves no entry."""
        if count:
            self.repaired[kind] = self.repaired.get(kind, 0) + int(count)

    def identify(self, kind: str, count: int) -> None:
        """Count `count` plays, players or passers identified without an id; a count of 0 leaves no entry."""
        if count:
            self.identified[kind] = self.identified.get(kind, 0) + int(count)

    def mostly_unknown(self) -> dict[str, str]:
        """Return the columns of the situation without a value in most kept plays, each with the reason."""
        return {
            column: self.reasons_unknown.get(column, "no reason recorded")
            for column, count in self.unknown.items()
            if 2 * count > self.kept
        }

    def __add__(self, other: "ReadReport") -> "ReadReport":
        return ReadReport(
            read=self.read + other.read,
            kept=self.kept + other.kept,
            rejected=_add(self.rejected, other.rejected),
            examples={
                reason: [*self.examples.get(reason, []), *other.examples.get(reason, [])][:EXAMPLES]
                for reason in {**self.examples, **other.examples}
            },
            repaired=_add(self.repaired, other.repaired),
            identified=_add(self.identified, other.identified),
            unknown=_add(self.unknown, other.unknown),
            reasons_unknown={**self.reasons_unknown, **other.reasons_unknown},
            formats=_add(self.formats, other.formats),
            ignored=self.ignored + other.ignored,
        )

    def to_markdown(self) -> str:
        """Return the report as a Markdown table, one row per reason, with example plays."""
        lines = ["| what | count | examples |", "| --- | ---: | --- |"]
        lines += [f"| plays read | {self.read} | |", f"| plays kept | {self.kept} | |"]
        for reason, count in _by_count(self.rejected):
            lines.append(f"| rejected: {reason} | {count} | {', '.join(self.examples[reason])} |")
        lines += [f"| repaired: {kind} | {count} | |" for kind, count in _by_count(self.repaired)]
        lines += [f"| identified: {kind} | {count} | |" for kind, count in _by_count(self.identified)]
        lines += [
            f"| unknown for most plays: {column} | {self.unknown[column]} | {reason} |"
            for column, reason in self.mostly_unknown().items()
        ]
        lines += [f"| files: {name} | {count} | |" for name, count in _by_count(self.formats)]
        if self.ignored:
            names = ", ".join(Path(name).name for name in self.ignored[:EXAMPLES])
            lines.append(f"| files: ignored | {len(self.ignored)} | {names} |")
        return "\n".join(lines)

    def reasons(self) -> str:
        """Return the rejections on one line, most frequent first."""
        return ", ".join(f"{reason} {count}" for reason, count in _by_count(self.rejected)) or "none read"


def _add(left: dict[str, int], right: dict[str, int]) -> dict[str, int]:
    return {key: left.get(key, 0) + right.get(key, 0) for key in {**left, **right}}


def _by_count(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
