"""Parse the names of people as the league and lists of players write them, and compare two of them."""

import re
import unicodedata
from typing import NamedTuple

from sbp_jax.data.readers.descriptions import final_ruling

_CAPITAL = r"[^\W\d_a-z]"
_LETTER = r"[^\W\d_]"
# initials with periods, "J.", "Jos.", "EJ.", "A.J. "; particles, "St. ", "Van "; one or two capitalized words; a suffix
_SUFFIX = r"II|III|IV|V|[Jj][Rr]\.?|[Ss][Rr]\.?"
_NAME = (
    rf"(?:(?:{_CAPITAL}\.\s?){{2,3}}|{_CAPITAL}{_LETTER}{{0,5}}\.\s?)"
    r"(?:St\.\s?|(?:[Vv]an|[Vv]on|[Vv]ander|[Dd]e|[Dd]el|[Dd]er|[Dd]en|[Dd]i|[Dd]u|[Ll]a|[Ll]e|[Ss]an)\s)*"
    rf"{_CAPITAL}[\w'’-]*(?:\s{_CAPITAL}[\w'’-]+)?(?:,?\s(?:{_SUFFIX}))?"
)
_BEGIN = r"(?<![\w.])"
_PASSER = re.compile(rf"{_BEGIN}({_NAME}) (?:pass|passes|(?:is )?sacked|scrambles|spiked)\b")
_THROWER = re.compile(rf"{_BEGIN}({_NAME}) (?:pass|spiked)")
_ENDING = re.compile(rf"[\s,]+({_SUFFIX})$")
_DOTTED = re.compile(rf"({_LETTER}{{1,6}})\.\s?(?=\S)")


class PersonName(NamedTuple):
    """Parts of a name.

    Attributes:
        initials: initials or first names as written, "J.", "Jos.", "A.J.", "EJ." or "Josh"; "" if there are none.
        surname: surname with its particles, "St. Brown", "O'Neil", "Smith-Schuster".
        suffix: "Jr.", "II" and the like; "" if there is none.
    """

    initials: str
    surname: str
    suffix: str

    @property
    def key(self) -> tuple[str, str, str]:
        """The parts as letters alone, without case, accents, periods, spaces, hyphens and apostrophes."""
        return _letters(self.initials), _letters(self.surname), _letters(self.suffix)

    def may_be(self, other: "PersonName") -> bool:
        """Return whether both names may belong to one person.

        The surnames are equal, the initials of one begin those of the other (J., Jos. and Joshua; A. and A.J.), and the
        suffixes are equal, or one has none.
        """
        initials, surname, suffix = self.key
        others, other_surname, other_suffix = other.key
        return (
            surname == other_surname
            and bool(initials and others)
            and (initials.startswith(others) or others.startswith(initials))
            and (suffix == other_suffix or not suffix or not other_suffix)
        )


def split_name(text: str) -> PersonName:
    """Return the parts of a name such as "J.Allen", "A.J. McCarron", "G.Minshew II" or "Amon-Ra St. Brown"."""
    rest = " ".join(text.replace("’", "'").split())
    ending = _ENDING.search(rest)
    suffix = ending[1] if ending else ""
    rest = rest[: ending.start()] if ending else rest
    last, comma, first = rest.partition(", ")
    rest = f"{first} {last}" if comma else rest
    initials = ""
    while (token := _DOTTED.match(rest)) and not (initials and token[1] == "St"):
        initials, rest = f"{initials}{token[1]}.", rest[token.end() :]
    if not initials and " " in rest:
        initials, rest = rest.split(" ", 1)
        rest = re.sub(rf"^{_CAPITAL}\.\s", "", rest)  # a middle initial
    return PersonName(initials, rest, suffix)


def parse_passer(text: str) -> str | None:
    """Return the name of the player who passes, is sacked, scrambles or spikes the ball; None if there is none.

    The final ruling counts, unless it names nobody.
    """
    match = _PASSER.search(final_ruling(text)) or _PASSER.search(text)
    return match[1] if match else None


def throws(name: str, text: str) -> bool:
    """Return whether the text names the thrower, and `name`, a full name, may be his."""
    thrower = _THROWER.search(final_ruling(text))
    return thrower is not None and split_name(thrower[1]).may_be(split_name(name))


def _letters(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text).casefold()
    return "".join(character for character in folded if character.isalpha())
