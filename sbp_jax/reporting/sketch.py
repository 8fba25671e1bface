"""Text graphics for a terminal: a grid of characters, the distribution as a histogram, a curve over time."""

import itertools
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import rich.text

# Okabe and Ito's palette; text that must be readable on any background has the terminal's own color
OFFENSE, DEFENSE = "#56B4E9", "#D55E00"
LOSS, SHORT, FIRST_DOWN, TOUCHDOWN, ACTUAL = "#D55E00", "#56B4E9", "#009E73", "#E69F00", "#CC79A7"
DIST_EXTRA_ROWS = 5  # rows besides the histogram: names of the marks, axis, axis labels, range, outcome
_MIN_YARDS, _MAX_YARDS = -10, 31  # default range of the axis, extended to include the outcome
_WIDEST_BAR = 3
_MIN_APART = 6  # minimum number of columns between two axis labels


@dataclass(frozen=True)
class Glyphs:
    """The characters available on a terminal: UTF-8 or ASCII."""

    ascii: bool
    bars: str  # from an empty to a full cell
    curve: str
    across: str
    tick: str
    dashed: str
    line: str
    first_down: str
    goal: str
    zone: str
    dot: str
    low: str
    high: str
    median: str
    actual: str
    between: str

    def text(self, text: str) -> str:
        """Return a text in these characters: unavailable accents are dropped, other unknown characters become '?'."""
        if not self.ascii:
            return text
        plain = text.replace("≥", ">=").replace("·", "|")
        bare = "".join(c for c in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(c))
        return bare.encode("ascii", "replace").decode()


UNICODE = Glyphs(False, " ▁▂▃▄▅▆▇█", "▁▂▃▄▅▆▇█", "─", "┴", "┊", "│", "┃", "║", "░", "·", "├", "┤", "▲", "◆", "·")
ASCII = Glyphs(True, " .:#", "_.-=+*#", "-", "+", ":", "|", "!", "$", "/", ".", "[", "]", "^", "@", "|")


class Canvas:
    """A grid of styled characters; anything outside it is not drawn."""

    def __init__(self, rows: int, columns: int) -> None:
        self.letters = np.full((rows, columns), " ", dtype="<U1")
        self.styles = np.full((rows, columns), "", dtype=object)

    def put(self, row: int, column: int, text: str, style: str = "") -> None:
        """Write a text into a row, starting at a column."""
        rows, columns = self.letters.shape
        for at, letter in enumerate(text, column):
            if 0 <= row < rows and 0 <= at < columns:
                self.letters[row, at], self.styles[row, at] = letter, style

    def is_free(self, row: int, begin: int, end: int) -> bool:
        """Return whether a row's columns from `begin` to before `end` are empty and on the grid."""
        inside = begin >= 0 and end <= self.letters.shape[1]
        return inside and bool(np.all(self.letters[row, begin:end] == " "))

    def lines(self) -> list["rich.text.Text"]:
        """Return the rows as texts as wide as the grid."""
        from rich.text import Text

        lines = []
        for letters, styles in zip(self.letters, self.styles, strict=True):
            line = Text(no_wrap=True, overflow="crop", end="")
            at = 0
            for style, run in itertools.groupby(styles):
                length = len(list(run))
                line.append("".join(letters[at : at + length]), style or None)
                at += length
            lines.append(line)
        return lines


@dataclass(frozen=True, eq=False)
class DrawnDistribution:
    """A play's distribution in cells of equal width, with its marks.

    Attributes:
        edges: [C + 1], edges of the cells.
        probability: [C], probabilities of the cells.
        low, median, high: ends of the 90 % interval, and the median.
        first_down, goal: gains that reach them; None if unknown or if the outcome is not a gain in yards.
        actual: the outcome, after the play has ended.
        in_yards: whether the outcome is a gain in yards, with cells centered on integer yards.
    """

    edges: np.ndarray
    probability: np.ndarray
    low: float
    median: float
    high: float
    first_down: float | None = None
    goal: float | None = None
    actual: float | None = None
    in_yards: bool = True


@dataclass(frozen=True)
class Axis:
    """Mapping of values to columns: `grouped` cells of width `step` share `wide` columns, starting at `begin`."""

    begin: float
    step: float
    grouped: int
    wide: int
    count: int

    @classmethod
    def of(cls, dist: DrawnDistribution, width: int) -> "Axis":
        """Return the axis of a distribution for a width; it stays the same for all frames while the play continues."""
        first, last = 0, len(dist.probability) - 1
        begin, step = float(dist.edges[0]), float(dist.edges[1] - dist.edges[0])
        if dist.in_yards:
            reach = _MAX_YARDS if dist.actual is None else max(_MAX_YARDS, dist.actual + 1)
            least = _MIN_YARDS if dist.actual is None else min(_MIN_YARDS, dist.actual - 1)
            first, last = (min(max(round((at - begin) / step - 0.5), 0), last) for at in (least, reach))
        cells = last - first + 1
        grouped = -(-cells // width)
        wide = min(max(width // cells, 1), _WIDEST_BAR)
        return cls(begin + first * step, step, grouped, wide, min(width // wide, -(-cells // grouped)))

    @property
    def columns(self) -> int:
        """Number of columns."""
        return self.count * self.wide

    def column(self, value: float) -> int:
        """Return the column of a value, in the middle of its bar; negative or beyond `columns` if off the axis."""
        return int((value - self.begin) // (self.grouped * self.step)) * self.wide + (self.wide - 1) // 2

    def masses(self, dist: DrawnDistribution) -> tuple[np.ndarray, float]:
        """Return the probability of each bar, and the probability beyond the last bar."""
        first = round((self.begin - float(dist.edges[0])) / self.step)
        cells = np.asarray(dist.probability, np.float64)[first : first + self.count * self.grouped]
        padded = np.zeros(self.count * self.grouped)
        padded[: len(cells)] = cells
        beyond = float(np.sum(dist.probability[first + len(cells) :], dtype=np.float64))
        return padded.reshape(self.count, self.grouped).sum(axis=1), beyond

    def labels(self) -> list[float]:
        """Return round values for the labels, sufficiently far apart."""
        span = self.count * self.grouped * self.step
        least = span * _MIN_APART / self.columns
        power = 10.0 ** np.floor(np.log10(least))
        spacing = next(n * power for n in (1, 2, 5, 10) if n * power >= least * (1 - 1e-9))
        first = int(np.ceil(self.begin / spacing))
        return [n * spacing for n in range(first, first + self.columns) if n * spacing < self.begin + span]


def draw_dist(dist: DrawnDistribution, rows: int, width: int, glyphs: Glyphs) -> list["rich.text.Text"]:
    """Draw the distribution as a histogram of `rows` rows, with axis, 90 % interval, median, marks and outcome.

    A bar that dwarfs the others, such as that of no gain, is truncated at the top and labeled with its probability.
    """
    axis = Axis.of(dist, width)
    canvas = Canvas(rows + DIST_EXTRA_ROWS, width)
    masses, beyond = axis.masses(dist)
    heights = np.sort(masses)
    second = heights[-2] if len(heights) > 1 else heights[-1]
    top = min(heights[-1], max(1.5 * second, 1e-9))
    levels = np.minimum(masses / top, 1) * rows * (len(glyphs.bars) - 1) if top > 0 else masses
    _put_marks(canvas, dist, axis, rows, glyphs)
    for bar, (mass, level) in enumerate(zip(masses, levels, strict=True)):
        style = _color(dist, axis, bar)
        full, part = divmod(round(level) if level >= 0.5 or mass < 1e-4 else 1, len(glyphs.bars) - 1)
        for up in range(full + (part > 0)):
            letter = glyphs.bars[-1] if up < full else glyphs.bars[part]
            canvas.put(rows - up, bar * axis.wide, letter * axis.wide, style)
    if heights[-1] > top:
        peak = int(np.argmax(masses))
        canvas.put(1, (peak + 1) * axis.wide, f" {masses[peak]:.0%}", _color(dist, axis, peak))
    _put_axis(canvas, axis, rows + 1, beyond, glyphs)
    low, middle, high = (axis.column(value) for value in (dist.low, dist.median, dist.high))
    canvas.put(rows + 3, low, glyphs.low + glyphs.across * (high - low - 1) + glyphs.high)
    canvas.put(rows + 3, middle, glyphs.median, "bold")
    if dist.actual is not None:
        text = f"actual {dist.actual:g}"
        at = axis.column(dist.actual)
        canvas.put(rows + 4, at, glyphs.actual, f"bold {ACTUAL}")
        canvas.put(rows + 4, at + 2 if at + 2 + len(text) <= width else at - 1 - len(text), text, f"bold {ACTUAL}")
    return canvas.lines()


def draw_curve(
    values: Sequence[float | None], rows: int, width: int, low: float, high: float, glyphs: Glyphs
) -> list[str]:
    """Draw values over time, the latest last, filled down to `low`; several values share a column if necessary."""
    each = max(-(-len(values) // width), 1)
    last = [values[min(at + each, len(values)) - 1] for at in range(0, len(values), each)]
    letters = len(glyphs.curve)
    cells = np.full((rows, len(last)), " ", dtype="<U1")
    for column, value in enumerate(last):
        if value is not None:
            fraction = min(max((value - low) / (high - low), 0.0), 1.0)
            full, part = divmod(round(fraction * (rows * letters - 1)), letters)
            cells[rows - full :, column] = glyphs.curve[-1]
            cells[rows - 1 - full, column] = glyphs.curve[part]
    return ["".join(row) for row in cells]


def _color(dist: DrawnDistribution, axis: Axis, bar: int) -> str:
    if not dist.in_yards:
        return SHORT
    # color of the bar's midpoint: a bar of several yards may lie on both sides of a mark
    gain = axis.begin + (bar + 0.5) * axis.grouped * axis.step
    if dist.goal is not None and gain >= dist.goal:
        return TOUCHDOWN
    if dist.first_down is not None and gain >= dist.first_down:
        return FIRST_DOWN
    return LOSS if gain < 0 else SHORT


def _put_marks(canvas: Canvas, dist: DrawnDistribution, axis: Axis, rows: int, glyphs: Glyphs) -> None:
    for at, name, style, letter in (
        (dist.goal, "goal", TOUCHDOWN, glyphs.goal),
        (dist.first_down, "1st down", FIRST_DOWN, glyphs.first_down),
    ):
        column = -1 if at is None else axis.column(at)
        if not 0 <= column < axis.columns or (name != "goal" and dist.first_down == dist.goal):
            continue
        for row in range(1, rows + 1):
            canvas.put(row, column, letter, style)
        begin = min(max(column - len(name) // 2, 0), canvas.letters.shape[1] - len(name))
        if canvas.is_free(0, begin, begin + len(name)):
            canvas.put(0, begin, name, style)


def _put_axis(canvas: Canvas, axis: Axis, row: int, beyond: float, glyphs: Glyphs) -> None:
    canvas.put(row, 0, glyphs.across * axis.columns, "dim")
    for value in axis.labels():
        label, column = f"{value:g}", axis.column(value)
        canvas.put(row, column, glyphs.tick, "dim")
        begin = max(column - len(label) // 2, 0)
        if canvas.is_free(row + 1, max(begin - 1, 0), begin + len(label)):
            canvas.put(row + 1, begin, label)
    if beyond >= 0.005:
        text, width = f"{beyond:.0%} beyond", canvas.letters.shape[1]
        free = [above for above in range(row - 1, 0, -1) if canvas.is_free(above, width - len(text), width)]
        if free:
            canvas.put(free[0], width - len(text), text, "dim")
