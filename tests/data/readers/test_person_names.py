"""Names in the league's text and in lists of players: who throws, and the parts of a name."""

import polars as pl
import pytest

from sbp_jax.data.readers.person_names import parse_passer, split_name, throws


@pytest.mark.parametrize(
    ("text", "passer"),
    [
        ("(9:59) (Shotgun) A.Back pass short right to B.End for 67 yards.", "A.Back"),
        ("R.Griffin III pass incomplete deep middle to B.End.", "R.Griffin III"),
        ("(:09) (No Huddle) Aa.St. Brown-O'Neil Jr. sacked at TEN 9 for -7 yards (D.End).", "Aa.St. Brown-O'Neil Jr."),
        ("A.Back scrambles left end to TEN 40 for 9 yards (D.End).", "A.Back"),
        ("B.Runner FUMBLES. A.Back pass deep left. The play was REVERSED. C.Other pass to B.End.", "C.Other"),
        ("A.Back pass incomplete deep left. TEN challenged the ruling, and the play was REVERSED.", "A.Back"),
        ("B.Runner up the middle to TEN 33 for 3 yards. Pass 3, YAC 0", None),
        ("", None),
        ("(Shotgun) EJ.Back pass incomplete.", "EJ.Back"),
        ("(Shotgun) A.J. McBack pass incomplete.", "A.J. McBack"),
        ("A.J.McBack spiked the ball to stop the clock.", "A.J.McBack"),
        ("Te.Back is sacked at TEN 9.", "Te.Back"),
        ("17-Jos.Back pass short left to 11-B.End.", "Jos.Back"),
        ("G.Back II scrambles for 4 yards.", "G.Back II"),
        ("D.St. Back pass to B.End for 4 yards.", "D.St. Back"),
        ("L.Vander Back pass to B.End for 4 yards.", "L.Vander Back"),
        ("D.O’Back-Smith pass to B.End for 4 yards.", "D.O’Back-Smith"),
        ("A.Núñez pass to B.End for 4 yards.", "A.Núñez"),
        ("Direct snap to B.Runner. C.Back pass deep left to B.End.", "C.Back"),
    ],
)
def test_the_passer_by_the_leagues_text(text, passer):
    assert parse_passer(text) == passer


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("J.Back", ("J.", "Back", "")),
        ("EJ.Back", ("EJ.", "Back", "")),
        ("A.J. McBack", ("A.J.", "McBack", "")),
        ("Te.Back", ("Te.", "Back", "")),
        ("G.Back II", ("G.", "Back", "II")),
        ("D.St. Back", ("D.", "St. Back", "")),
        ("Odd Back Jr.", ("Odd", "Back", "Jr.")),
        ("Amos-Ra St. Back", ("Amos-Ra", "St. Back", "")),
        ("Back, John", ("John", "Back", "")),
        ("John D. Back", ("John", "Back", "")),
        ("D.O’Back-Smith", ("D.", "O'Back-Smith", "")),
        ("Back", ("", "Back", "")),
    ],
)
def test_parts_of_a_name(name, parts):
    assert split_name(name) == parts


@pytest.mark.parametrize(
    ("one", "other", "may"),
    [
        ("J.Back", "Jos.Back", True),
        ("A.J. Back", "A.Back", True),
        ("EJ.Back", "E.J.Back", True),
        ("EJ Back", "E.Back", True),
        ("G.Back", "G.Back II", True),
        ("D.St. Back", "D.St.Back", True),
        ("D.O’Back", "Dan O'Back", True),
        ("Ja.Back", "Jos.Back", False),
        ("G.Back Jr.", "G.Back II", False),
        ("J.Back", "J.Backs", False),
        ("Back", "J.Back", False),
    ],
)
def test_names_that_may_be_one_man(one, other, may):
    assert split_name(one).may_be(split_name(other)) is may
    assert split_name(other).may_be(split_name(one)) is may


@pytest.mark.parametrize("name", ["EJ Back", "E.J. Back", "Elijah Back", "EJ Back Jr."])
def test_a_full_name_is_found_as_the_thrower(name):
    text = "(Shotgun) EJ.Back pass short left to J.Other." if name != "Elijah Back" else "E.Back pass to J.Other."
    assert throws(name, text)
    assert not throws("Jim Other", text)


def test_the_passers_of_the_leagues_text_are_the_listed_ones(real_data):
    table = pl.read_parquet(real_data / "play_by_play" / "dropbacks_2017_2019.parquet").drop_nulls("passer")
    parsed = pl.Series([parse_passer(text) for text in table["desc"]])
    assert (parsed == table["passer"]).sum() >= len(table) - 3
