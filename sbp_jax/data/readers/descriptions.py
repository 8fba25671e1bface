"""Parse the league's description of a play.

If a replay REVERSED the ruling, the text after the last such word counts.
"""

import re

import polars as pl

_GAIN = re.compile(r"for (?:(-?\d+) yards?|no gain)")
_BREAK = re.compile(r"FUMBLES|MUFFS|PENALTY|Penalty")
_REVERSED = "REVERSED"
_INTERCEPTED = "INTERCEPTED"
# initials and a surname, as in "D.Watson", "A.St. Brown" or "R.Griffin III", before what a passer does
_PASSER = re.compile(
    r"((?:[A-Z][a-z]{0,3}\.)+(?:St\. ?|(?:Van|Von|De|Del|La|Le) )?[A-Z][\w'-]*(?: (?:I{2,3}|IV|V|Jr\.?|Sr\.?))?)"
    r" (?:pass|passes|sacked|scrambles|spiked)\b"
)


def parse_description(text: str) -> tuple[str | None, float | None, bool, bool]:
    """Return `(result, yards, nullified, two_point)` of a play from the league's text.

    The gain is that of the pass and of laterals after it, up to a fumble or penalty. `result` is None if the text has
    no pass, sack or run.
    """
    two_point = "TWO-POINT CONVERSION" in text
    nullified = "No Play" in text
    final = text.rsplit(_REVERSED, 1)[-1]
    if _INTERCEPTED in final:
        return "IN", 0.0, nullified, two_point
    if re.search(r"pass (?:is )?incomplete|is incomplete", final):
        return "I", 0.0, nullified, two_point
    if "sacked" in final:
        return "S", None, nullified, two_point
    if "spiked the ball" in final or "scrambles" in final:
        return "R", None, nullified, two_point
    throw = re.search(r"\bpass(?:es)?\b", final)
    if throw is None:
        return None, None, nullified, two_point
    clause = _BREAK.split(final[throw.start() :], maxsplit=1)[0]
    first, *laterals = re.split(r"\. (?=Lateral|Pass back)", clause)
    gains = [_GAIN.search(part) for part in (first, *laterals)]
    if gains[0] is None:
        return "C", None, nullified, two_point
    return "C", float(sum(int(gain[1] or 0) for gain in gains if gain)), nullified, two_point


def is_reversed(text: str) -> bool:
    """Return whether a replay or a challenge changed the ruling."""
    return _REVERSED in text


def parse_passer(text: str) -> str | None:
    """Return the name of who passes, is sacked, scrambles or spikes the ball; None if the text names nobody so."""
    match = _PASSER.search(text.rsplit(_REVERSED, 1)[-1])
    return match[1] if match else None


def parse_return(text: str) -> float | None:
    """Return the yards of an interception's return, laterals included, up to a fumble or penalty.

    0 if the text has no return (a touchback, a catch out of bounds); None if it has no interception.
    """
    final = text.rsplit(_REVERSED, 1)[-1]
    if _INTERCEPTED not in final:
        return None
    after = _BREAK.split(final.split(_INTERCEPTED, 1)[1], maxsplit=1)[0]
    return float(sum(int(gain or 0) for gain in _GAIN.findall(after)))


def clock_seconds(clock: pl.Expr) -> pl.Expr:
    """Return the seconds left on a game clock "12:34", "12:34:00" or ":34"; null if it has another form."""
    minutes = clock.str.extract(r"^(\d*):\d\d", 1)
    seconds = clock.str.extract(r"^\d*:(\d\d)", 1).cast(pl.Int64)
    return pl.when(minutes == "").then(0).otherwise(minutes.cast(pl.Int64, strict=False)) * 60 + seconds
