"""Draw a play in a terminal of any width: the field from above, the distribution of yards, and the numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from sbp_jax.reporting.sketch import (
    ACTUAL,
    DEFENSE,
    DIST_EXTRA_ROWS,
    FIRST_DOWN,
    LOSS,
    OFFENSE,
    TOUCHDOWN,
    Canvas,
    DrawnDistribution,
    Glyphs,
    draw_curve,
    draw_dist,
)

if TYPE_CHECKING:
    import rich.text

WIDTH, HEIGHT = 80, 24  # minimum size of a screen
WIDTH_YARDS, LENGTH_YARDS, ZONE_YARDS = 53.3, 100.0, 10.0
BEHIND_YARDS, BEYOND_YARDS = 12.0, 40.0  # yards drawn around the ball if they fit
# the slots of a frame in the order of the plays; the slot drawn last is visible where several share a cell
PASSER, LINE, RECEIVERS = 0, range(1, 6), range(6, 11)
_LETTERS = "Q" + "o" * 5 + "12345" + "x" * 11
_STYLES = ("bold reverse", *[OFFENSE] * 5, *[f"bold {OFFENSE}"] * 5, *[DEFENSE] * 11)
_ORDER = (*LINE, *range(11, 22), *RECEIVERS, PASSER)
_FIRST_DOWN = "P(1st down)"
_LEGEND = "Q passer  1-5 receivers  o line  x defense"
_DIST_COLUMNS, _GAP = 42, 2
_FIELD_EXTRA_ROWS = 3  # the sidelines and the axis
_HEAD_ROWS, _FOOT_ROWS, _RESULT_ROWS = 2, 1, 2
_NUMBERS_ROWS = 3 + 4 + 1 + _RESULT_ROWS  # curves of one row each, numbers, legend, result
_MIN_BARS, _MAX_CURVE_ROWS = 6, 4
_BRAILLE = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


@dataclass(frozen=True, eq=False)
class Moment:
    """The state of a play at one of its frames.

    Attributes:
        head: lines that describe the play.
        spots: [T, 22, 2], positions at each frame so far: yards downfield from the ball at the snap, and yards from the
            middle of the field toward the offense's left; NaN where a player is absent.
        dist: distribution of the outcome.
        seconds: time since the snap.
        expected: mean of the outcome.
        first_down, touchdown, loss: probabilities, None where not defined.
        medians, first_downs: values at each frame so far.
        result: lines about the score, after the play has ended.
        note: line at the bottom of the screen.
        in_yards: whether the outcome is a gain in yards.
    """

    head: Sequence[str]
    spots: np.ndarray
    dist: DrawnDistribution
    seconds: float
    expected: float
    first_down: float | None
    touchdown: float | None
    loss: float | None
    medians: Sequence[float]
    first_downs: Sequence[float | None]
    result: Sequence[str] = field(default=())
    note: str = ""
    in_yards: bool = True


@dataclass(frozen=True)
class View:
    """The visible part of the field, from `left` yards downfield: `columns` by `rows` cells, twice as tall as wide."""

    left: float
    rows: int
    columns: int

    @property
    def yards(self) -> tuple[float, float]:
        """Yards per column and per row."""
        return WIDTH_YARDS / self.rows / 2, WIDTH_YARDS / self.rows

    def place(self, x: np.ndarray, y: np.ndarray, parts: tuple[int, int] = (1, 1)) -> np.ndarray:
        """Return row and column [2, ...] of spots, in cells or parts of them (rows, columns); -1 outside or for NaN."""
        wide, high = self.yards
        place = np.stack([(WIDTH_YARDS / 2 - y) / high * parts[0], (x - self.left) / wide * parts[1]])
        bounds = np.array([self.rows * parts[0], self.columns * parts[1]]).reshape(2, *[1] * np.ndim(x))
        inside = np.all((place >= 0) & (place < bounds), axis=0)
        return np.floor(np.where(inside, place, -1.0)).astype(int)

    def column(self, x: float) -> int:
        """Return the column of the line x yards from the ball; -1 outside the view."""
        return int(self.place(np.array(x), np.array(0.0))[1])


def view_of(spots: np.ndarray, rows: int, columns: int) -> View:
    """Return the view from behind the ball, moved back with the passer, and forward with the receivers if possible."""
    span = columns * WIDTH_YARDS / rows / 2
    passer = spots[PASSER, 0]
    behind = np.floor(passer - 2) if np.isfinite(passer) else -BEHIND_YARDS
    ahead = spots[list(RECEIVERS), 0]
    deepest = np.max(ahead[np.isfinite(ahead)], initial=0.0) + 2
    left = max(min(-BEHIND_YARDS, behind), min(behind, np.ceil(deepest - span)))
    return View(float(left), rows, columns)


def draw_field(
    spots: np.ndarray, first_down: float | None, goal: float | None, rows: int, columns: int, glyphs: Glyphs
) -> list["rich.text.Text"]:
    """Draw the field in `rows` rows between its sidelines, plus one row per sideline and one for the axis.

    Args:
        spots: [T, 22, 2] as in `Moment`; the last frame gives the players' positions, the others their paths.
        first_down, goal: yards from the line of scrimmage; None if unknown.
        rows, columns: numbers of cells, which are twice as tall as wide, so that yards have equal scales.
        glyphs: glyphs of the terminal.
    """
    view = view_of(spots[-1], rows, columns)
    inside = Canvas(rows, columns)
    border = Canvas(_FIELD_EXTRA_ROWS, columns)
    border.put(0, 0, glyphs.across * columns, "dim")
    border.put(1, 0, glyphs.across * columns, "dim")
    _put_lines(inside, border, view, first_down, goal, glyphs)
    _put_paths(inside, view, spots, glyphs)
    places = view.place(spots[-1, :, 0], spots[-1, :, 1]).T.tolist()
    for slot in _ORDER:
        row, column = places[slot]
        if row >= 0:
            inside.put(row, column, _LETTERS[slot], _STYLES[slot])
    top, bottom, axis = border.lines()
    return [top, *inside.lines(), bottom, axis]


def _put_lines(
    inside: Canvas, border: Canvas, view: View, first_down: float | None, goal: float | None, glyphs: Glyphs
) -> None:
    wide = view.yards[0]
    right = view.left + view.columns * wide
    begin, end = (-np.inf, np.inf) if goal is None else (goal - LENGTH_YARDS, goal)
    centers = view.left + (np.arange(view.columns) + 0.5) * wide
    for column, x in enumerate(centers):
        outside = max(begin - x, x - end)
        if outside > ZONE_YARDS:
            border.put(0, column, " ")
            border.put(1, column, " ")
        elif outside > 0:
            for row in range(view.rows):
                inside.put(row, column, glyphs.zone, "dim")
    for x in range(int(np.ceil(view.left / 5)) * 5, int(right) + 1, 5):
        column = view.column(float(x))
        if column >= 0 and begin < x < end:
            for row in range(0, view.rows, 1 if x % 10 == 0 else 2):
                inside.put(row, column, glyphs.dashed if x % 10 == 0 else glyphs.dot, "dim")
        if column >= 0 and x % 10 == 0:
            label = f"{x:+d}" if x else "0 yd"
            at = max(column - len(label) // 2, 0)
            if border.is_free(2, max(at - 1, 0), at + len(label)):
                border.put(2, at, label, "" if x else "bold")
    if goal is not None:
        # the yard numbers painted on the field
        for number in range(10, 100, 10):
            column = view.column(float(goal - number))
            if 0 < column < view.columns - 1:
                border.put(0, column - 1, str(min(number, 100 - number)), "dim")
    marks = [(0.0, glyphs.line, "bold"), (begin, glyphs.goal, TOUCHDOWN), (end, glyphs.goal, TOUCHDOWN)]
    if first_down is not None and first_down != goal:
        marks.insert(1, (first_down, glyphs.first_down, FIRST_DOWN))
    for x, letter, style in marks:
        column = view.column(x) if np.isfinite(x) else -1
        if column >= 0:
            for row in range(view.rows):
                inside.put(row, column, letter, style)


def _put_paths(inside: Canvas, view: View, spots: np.ndarray, glyphs: Glyphs) -> None:
    """Draw the paths of the passer and the receivers as dots, eight per cell if the glyphs allow."""
    parts = (1, 1) if glyphs.ascii else (4, 2)
    for slots, style in (([PASSER], "dim"), (list(RECEIVERS), f"dim {OFFENSE}")):
        dots: dict[tuple[int, int], int] = {}
        for row, column in view.place(spots[:, slots, 0], spots[:, slots, 1], parts).reshape(2, -1).T.tolist():
            if row >= 0:
                cell, bit = (row // parts[0], column // parts[1]), _BRAILLE[row % parts[0]][column % parts[1]]
                dots[cell] = dots.get(cell, 0) | bit
        for (row, column), bits in dots.items():
            inside.put(row, column, glyphs.dot if glyphs.ascii else chr(0x2800 + bits), style)


def draw_moment(moment: Moment, width: int, height: int, glyphs: Glyphs) -> "rich.text.Text":
    """Draw the screen, at least 80 by 24 cells: the play, the field next to distribution and numbers, and a note."""
    from rich.text import Text

    width, height = max(width, WIDTH), max(height, HEIGHT)
    body = height - _HEAD_ROWS - _FOOT_ROWS
    rows, dist = body - _FIELD_EXTRA_ROWS, moment.dist
    # nothing lies beyond the end zone
    beyond = BEYOND_YARDS if dist.goal is None else min(BEYOND_YARDS, dist.goal + ZONE_YARDS + 1)
    max_columns = int(np.ceil((BEHIND_YARDS + beyond) / (WIDTH_YARDS / rows / 2)))
    columns = min(max_columns, width - _GAP - _DIST_COLUMNS)
    panel, spare = width - _GAP - columns, body - DIST_EXTRA_ROWS - _NUMBERS_ROWS - _MIN_BARS
    curves = 1 + min(spare // 4, _MAX_CURVE_ROWS - 1)
    bars = min(_MIN_BARS + spare - (2 * curves - 1 if curves > 1 else 0), panel // 3)
    left = draw_field(moment.spots, dist.first_down, dist.goal, rows, columns, glyphs)
    right = [*draw_dist(dist, bars, panel, glyphs), *_curves(moment, glyphs, curves, panel), *_numbers(moment, glyphs)]
    right += [Text()] * (body - len(right))
    head = [_line(glyphs.text(line), "" if i else "bold") for i, line in enumerate(moment.head[:_HEAD_ROWS])]
    lines = [*head, *[Text()] * (_HEAD_ROWS - len(head))]
    lines += [Text.assemble(one, " " * _GAP, other) for one, other in zip(left, right, strict=True)]
    lines.append(_line(glyphs.text(moment.note), "dim"))
    for line in lines:
        line.truncate(width)
    return Text("\n", no_wrap=True, overflow="crop").join(lines)


def _line(text: str, style: str = "") -> "rich.text.Text":
    from rich.text import Text

    return Text(text, style, no_wrap=True, overflow="crop")


def _curves(moment: Moment, glyphs: Glyphs, rows: int, width: int) -> list["rich.text.Text"]:
    """Curves of the median and P(first down) so far, `rows` rows each, separated if tall, and an empty line."""
    from rich.text import Text

    gap = int(rows > 1)
    unit = "yd" if moment.in_yards else ""
    curves: list[tuple[str, Sequence[float | None], float, str, str]]
    curves = [("median", moment.medians, 10.0, f"{moment.dist.median:.1f} {unit}", "")]
    if moment.first_down is not None:
        curves.append((_FIRST_DOWN, moment.first_downs, 0.5, f"{moment.first_down:.0%}", FIRST_DOWN))
    lines = []
    for name, values, least, text, style in curves:
        finite = [value for value in values if value is not None]
        curve_lines = draw_curve(values, rows, min(width - 22, 60), min([*finite, 0.0]), max([*finite, least]), glyphs)
        for row, letters in enumerate(curve_lines):
            last = row == rows - 1
            lines.append(Text.assemble(f"{name if last else '':<12}", (letters, style), f" {text if last else ''}"))
        lines += [Text()] * gap
    return lines + [Text()] * (2 * (rows + gap) + 1 - gap - len(lines))


def _numbers(moment: Moment, glyphs: Glyphs) -> list["rich.text.Text"]:
    from rich.text import Text

    dist, unit = moment.dist, "yd" if moment.in_yards else ""
    values = [
        ("since snap", f"{moment.seconds:.1f} s"),
        ("median", f"{dist.median:.1f} {unit}"),
        ("expected", f"{moment.expected:.1f} {unit}"),
        ("5 to 95%", f"{_rounded(dist.low)} to {_rounded(dist.high)} {unit}"),
    ]
    chances = [
        ("", None, ""),
        (_FIRST_DOWN, moment.first_down, FIRST_DOWN),
        ("P(touchdown)", moment.touchdown, TOUCHDOWN),
        ("P(loss)", moment.loss, LOSS),
    ]
    lines = []
    for (name, text), (what, chance, style) in zip(values, chances, strict=True):
        line = Text.assemble(f"{name:<10}", (f"{text.strip():>12}", "bold"))
        if chance is not None:
            line.append(f"  {what:<12}", style).append(f"{chance:>6.1%}", "bold")
        lines.append(line)
    lines.append(_line(_LEGEND, "dim"))
    return lines + [_line(glyphs.text(line), f"bold {ACTUAL}") for line in moment.result[:_RESULT_ROWS]]


def _rounded(value: float) -> str:
    """The rounded value, without a minus sign for zero."""
    return f"{round(value) + 0:d}"
