"""The terminal's screen of a play: everything where it should be, at any width, in UTF-8 and in ASCII."""

import dataclasses

import numpy as np
import pytest

from sbp_jax.reporting.field import Moment, View, draw_field, draw_moment, view_of
from sbp_jax.reporting.sketch import ASCII, DIST_EXTRA_ROWS, UNICODE, Axis, DrawnDistribution, draw_curve, draw_dist

ROWS, COLUMNS = 18, 36
EDGES = np.arange(-40, 102) - 0.5
GLYPHS = pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["utf-8", "ascii"])


def nobody(frames=1):
    return np.full((frames, 22, 2), np.nan)


def everybody(frames=1, seed=0):
    return np.random.default_rng(seed).normal(0, 8, (frames, 22, 2))


def dist_of(yards=(0, 5, 12), chances=(0.6, 0.3, 0.1), **changes):
    probability = np.zeros(141)
    probability[np.array(yards) + 40] = chances
    values = {"low": 0.0, "median": 4.0, "high": 12.0, "first_down": 10.0, "goal": 25.0}
    return DrawnDistribution(EDGES, probability, **{**values, **changes})


def moment_of(dist=None, **changes):
    values = {
        "head": ["José Ünlü (BUF) · 3rd & 10", "2018 · game 1"],
        "spots": everybody(20),
        "dist": dist or dist_of(),
        "seconds": 1.9,
        "expected": 3.7,
        "first_down": 0.1,
        "touchdown": 0.0,
        "loss": 0.02,
        "medians": list(np.linspace(2, 9, 20)),
        "first_downs": list(np.linspace(0.1, 0.6, 20)),
        "note": "Not trained at every frame ≥ 1.",
    }
    return Moment(**{**values, **changes})


def field(spots, first_down=None, goal=None, glyphs=UNICODE):
    """The rows between the sidelines, the top sideline, and the axis."""
    top, *inside, _, axis = (line.plain for line in draw_field(spots, first_down, goal, ROWS, COLUMNS, glyphs))
    assert len(inside) == ROWS
    return inside, top, axis


@GLYPHS
def test_players_stand_where_they_are(glyphs):
    spots = nobody()
    # a row is 53.3 / 18 yards, a column half of that, from 12 yards behind the ball on
    known = {0: (-5.0, 0.5), 3: (-1.0, 3.5), 6: (0.0, 22.0), 10: (10.2, -26.6), 11: (30.0, 26.6), 20: (38.0, -7.0)}
    for slot, spot in known.items():
        spots[0, slot] = spot
    inside, _, _ = field(spots, glyphs=glyphs)
    letters = {(row, column): letter for row, line in enumerate(inside) for column, letter in enumerate(line)}
    expected = {0: "Q", 3: "o", 6: "1", 10: "5", 11: "x", 20: "x"}
    for slot, (x, y) in known.items():
        place = int((53.3 / 2 - y) / (53.3 / 18)), int((x + 12) / (53.3 / 36))
        assert letters.pop(place) == expected[slot]
    assert not set(letters.values()) & set("Qo12345x")


def test_a_yard_is_as_long_both_ways():
    view = View(-12.0, ROWS, COLUMNS)
    wide, high = view.yards
    assert high == 2 * wide  # as a cell is
    assert high * ROWS == pytest.approx(53.3)


@GLYPHS
@pytest.mark.parametrize("spot", [(90.0, 0.0), (-40.0, 0.0), (3.0, 27.0), (3.0, -27.0), (np.nan, np.nan)])
def test_who_is_off_the_view_or_absent_is_not_drawn(spot, glyphs):
    spots = nobody(3)
    spots[:, 12] = spot
    assert not set("".join(field(spots, glyphs=glyphs)[0])) & set("Qo12345x")


def test_the_most_important_player_of_a_cell_is_seen():
    spots = np.full((1, 22, 2), (3.0, 1.0))
    assert sum(line.count("Q") for line in field(spots)[0]) == 1
    spots[0, 0] = -5.0
    assert "5" in "".join(field(spots)[0])


def test_the_paths_are_dots_that_absence_interrupts():
    spots = nobody(5)
    spots[:, 6, 0], spots[:, 6, 1] = np.arange(5) * 4.0 + 1, 10.0
    (line,) = [line for line in field(spots)[0] if "1" in line]
    assert sum(0x2800 < ord(letter) < 0x2900 for letter in line) == 4
    spots[1:3, 6] = np.nan
    (line,) = [line for line in field(spots)[0] if "1" in line]
    assert sum(0x2800 < ord(letter) < 0x2900 for letter in line) == 2


@GLYPHS
def test_lines_are_at_their_yards(glyphs):
    inside, top, axis = field(nobody(), first_down=8.0, goal=18.0, glyphs=glyphs)
    column = View(-12.0, ROWS, COLUMNS).column
    for line in inside:
        assert line[column(0.0)] == glyphs.line
        assert line[column(8.0)] == glyphs.first_down
        assert line[column(18.0)] == glyphs.goal
        assert line[column(22.0)] == glyphs.zone
    assert axis[column(10.0) - 1 :].startswith("+10")
    assert top[column(8.0) - 1 :].startswith("10")  # the number painted on the field
    assert column(28.0) + 2 < COLUMNS
    far = field(nobody(), goal=14.0, glyphs=glyphs)
    assert all(line[column(26.0) :].strip() == "" for line in (*far[0], far[1]))  # beyond the end zone is nothing


def test_a_goal_line_behind_and_one_that_is_not_known():
    inside, _, _ = field(nobody(), goal=96.0)
    column = View(-12.0, ROWS, COLUMNS).column
    assert inside[0][column(-4.0)] == UNICODE.goal
    assert not set("".join(field(nobody())[0])) & {UNICODE.goal, UNICODE.zone, UNICODE.first_down}
    inside, _, _ = field(nobody(), first_down=7.0, goal=7.0)
    assert {line[column(7.0)] for line in inside} == {UNICODE.goal}


def test_the_view_keeps_the_passer():
    spots = nobody()[0]
    assert view_of(spots, ROWS, COLUMNS).left == -12
    spots[0, 0], spots[6, 0] = -16.0, 60.0
    assert view_of(spots, ROWS, COLUMNS).left == -18
    spots[0, 0] = 20.0
    assert view_of(spots, ROWS, COLUMNS).left == np.ceil(62 - COLUMNS * 53.3 / 36)


def lines_of(dist, rows=6, width=42, glyphs=UNICODE):
    drawn = [line.plain for line in draw_dist(dist, rows, width, glyphs)]
    assert len(drawn) == rows + DIST_EXTRA_ROWS
    assert {len(line) for line in drawn} == {width}
    return drawn


@GLYPHS
@pytest.mark.parametrize("width", [42, 90, 130])
def test_bars_marks_and_outcome_are_in_their_columns(width, glyphs):
    dist = dist_of(actual=12.0)
    wide, lines = {42: 1, 90: 2, 130: 3}[width], lines_of(dist, width=width, glyphs=glyphs)
    lowest, span, last = lines[6], lines[9], lines[10]
    full = {column for column, letter in enumerate(lowest) if letter == glyphs.bars[-1]}

    def bar(yards):
        return set(range((yards + 10) * wide, (yards + 11) * wide))

    def middle(yards):
        return (yards + 10) * wide + (wide - 1) // 2

    assert full == bar(0) | bar(5) | bar(12)
    assert lines[1][10 * wide] == glyphs.bars[-1]
    assert "60%" in lines[1]  # the highest bar is truncated
    assert lines[2][middle(10)] == glyphs.first_down
    assert lines[2][middle(25)] == glyphs.goal
    assert last[middle(12)] == glyphs.actual
    assert "actual 12" in last
    assert (span.index(glyphs.median), span.index(glyphs.high)) == (middle(4), middle(12))
    assert span.index(glyphs.low) == middle(0)
    axis, labels = lines[7], lines[8]
    assert axis[middle(20)] == glyphs.tick
    assert labels[middle(20) - 1 :].startswith("20")


def test_colors_show_the_value_of_a_gain():
    dist = dist_of((-3, 5, 10, 25), (0.1, 0.5, 0.3, 0.1))
    line = draw_dist(dist, 6, 42, UNICODE)[6]
    styles = {span.start: str(span.style) for span in line.spans if line.plain[span.start] != " "}
    assert [styles[at] for at in (7, 15, 20, 35)] == ["#D55E00", "#56B4E9", "#009E73", "#E69F00"]


@pytest.mark.parametrize("actual", [-25.0, 3.0, 31.0, 44.0, 99.0, -60.0, 150.0])
def test_the_axis_reaches_the_outcome(actual):
    dist = dist_of(actual=actual)
    axis = Axis.of(dist, 42)
    assert axis.columns <= 42
    if -40 <= actual <= 100:
        assert lines_of(dist)[10][axis.column(actual)] == UNICODE.actual
    masses, beyond = axis.masses(dist)
    assert masses.sum() + beyond == pytest.approx(1)


def test_the_probability_beyond_the_axis_is_shown():
    assert "10% beyond" in lines_of(dist_of((0, 5, 60), (0.5, 0.4, 0.1), goal=80.0))[6]
    # over a bar, none of which it hides
    lines = lines_of(dist_of((0, 5, 31, 60), (0.4, 0.4, 0.1, 0.1), goal=80.0))
    (row,) = [row for row, line in enumerate(lines) if "10% beyond" in line]
    assert row < 6
    assert lines[6][41] == UNICODE.bars[-1]


def test_an_outcome_that_is_not_a_gain_in_yards():
    edges = np.linspace(0, 7, 141)
    dist = DrawnDistribution(edges, np.full(141 - 1, 1 / 140), 0.3, 3.5, 6.7, actual=6.0, in_yards=False)
    for width in (42, 70, 141, 300):
        axis, lines = Axis.of(dist, width), lines_of(dist, width=width)
        assert lines[10][axis.column(6.0)] == UNICODE.actual
        assert abs(axis.column(6.0) - 6 / 7 * axis.columns) <= axis.wide
        assert "2" in lines[8]


def test_curves():
    assert draw_curve([0.0, 0.5, 1.0], 1, 10, 0.0, 1.0, UNICODE) == ["▁▅█"]
    assert draw_curve([0.0, 1.0, 2.0], 2, 10, 0.0, 1.0, UNICODE) == [" ██", "▁██"]
    assert draw_curve([None, -1.0], 1, 10, 0.0, 1.0, UNICODE) == [" ▁"]
    many = draw_curve(list(np.linspace(0, 1, 61)), 1, 20, 0.0, 1.0, ASCII)[0]
    assert len(many) <= 20
    assert (many[0], many[-1]) == ("_", "#")


@GLYPHS
@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 24), (120, 40), (200, 60), (60, 10)])
def test_the_screen_fits(width, height, glyphs):
    result = ["actual 12 yards, PIT 0.912", "play score +1.353, passing score 94.0"]
    for dist, further in ((dist_of(), []), (dist_of(actual=44.0), result)):
        for moment in (moment_of(dist, result=further), moment_of(dist, first_down=None, loss=None, head=["x" * 300])):
            lines = draw_moment(moment, width, height, glyphs).plain.split("\n")
            assert len(lines) == max(height, 24)
            assert max(map(len, lines)) <= max(width, 80)
            if glyphs.ascii:
                assert "\n".join(lines).isascii()


def test_the_screen_has_the_numbers_with_their_units():
    text = draw_moment(moment_of(), 80, 24, ASCII).plain
    for words in ("Jose Unlu (BUF) | 3rd & 10", "4.0 yd", "3.7 yd", "0 to 12 yd", "10.0%", "2.0%", "1.9 s", ">= 1"):
        assert words in text
    other = dataclasses.replace(moment_of(), in_yards=False, first_down=None, touchdown=None, loss=None)
    text = draw_moment(other, 80, 24, ASCII).plain.split("since snap")[1]
    assert "P(" not in text
    assert "4.0 yd" not in text
