"""Parse the league's description of a play, and recognize the rows of play-by-play that are not plays."""

import re

import polars as pl

_GAIN = re.compile(r"for (?:(-?\d+) yards?|no gain)")
_BREAK = re.compile(r"FUMBLES|MUFFS|PENALTY|Penalty")
_REVERSED = "REVERSED"
_INTERCEPTED = "INTERCEPTED"
ADMINISTRATIVE = "not a play (timeout, end of a quarter, two-minute warning, start of a game)"
TYPE_COLUMNS = ("play_type", "play_type_nfl")
# types of rows that are not plays, as upper-case letters only
_TYPES = ("TIMEOUT", "TWOMINUTEWARNING", "ENDQUARTER", "QUARTEREND", "ENDHALF", "HALFEND", "ENDGAME", "ENDOFGAME")
_TYPES += ("ENDOFQUARTER", "ENDOFHALF", "GAMESTART", "STARTOFGAME", "COMMENT")
_NO_PLAY = (
    r"(?i)^(?:\(?\d*:\d\d\)?\s*)?(?:GAME$|(?:end|start) (?:of )?(?:the )?"
    r"(?:game|quarter|half|period|overtime|regulation|(?:1st|2nd|3rd|4th) quarter)"
    r"|(?:tv |official |injury )?time-?out\b|two[ -]minute warning)"
)


def parse_description(text: str) -> tuple[str | None, float | None, bool, bool]:
    """Return `(result, yards, nullified, two_point)` of a play from the league's text.

    The gain is that of the pass and of laterals after it, up to a fumble or penalty. `result` is None if the text has
    no pass, sack or run.
    """
    two_point = "TWO-POINT CONVERSION" in text
    nullified = "No Play" in text
    final = final_ruling(text)
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


def final_ruling(text: str) -> str:
    """Return the text after the last REVERSED of a replay, the whole text if there is none."""
    return text.rsplit(_REVERSED, 1)[-1]


def is_reversed(text: str) -> bool:
    """Return whether a replay or a challenge changed the ruling."""
    return _REVERSED in text


def parse_return(text: str) -> float | None:
    """Return the yards of an interception's return, laterals included, up to a fumble or penalty.

    0 if the text has no return (a touchback, a catch out of bounds); None if it has no interception.
    """
    final = final_ruling(text)
    if _INTERCEPTED not in final:
        return None
    after = _BREAK.split(final.split(_INTERCEPTED, 1)[1], maxsplit=1)[0]
    return float(sum(int(gain or 0) for gain in _GAIN.findall(after)))


def is_administrative(rows: pl.DataFrame, plays: pl.DataFrame) -> pl.Series:
    """Return which rows of a list of plays are not plays, by type or, if it is missing, by description.

    A row with a result is a play. So is a penalty without a snap, which is counted as nullified.

    Args:
        rows: the table with the publisher's names.
        plays: its plays under their common names, row by row: `result`, and `description` if the list has one.
    """
    flag = pl.lit(value=False)
    for name in (column for column in TYPE_COLUMNS if rows.schema.get(column) == pl.String):
        kind = pl.col(name).str.to_uppercase().str.replace_all(r"[^A-Z]", "")
        flag |= kind.is_in(_TYPES).fill_null(value=False)
    by_type = rows.with_columns(by_type=flag)["by_type"]
    text = pl.col("description") if "description" in plays.columns else pl.lit("")
    table = plays.select("result", text=text).with_columns(by_type)
    by_text = pl.col("text").str.strip_chars().str.contains(_NO_PLAY).fill_null(value=False)
    return table.select(flag=pl.col("result").is_null() & (pl.col("by_type") | by_text))["flag"]
