"""Replay a play through a scorer frame by frame: on the terminal screen, in plain lines, or as a picture."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.live import Live

from sbp_jax.data.plays import FRAME_S
from sbp_jax.errors import InputError
from sbp_jax.live.scorer import LiveScorer
from sbp_jax.reporting.field import Moment, draw_moment
from sbp_jax.reporting.sketch import UNICODE, DrawnDistribution, Glyphs
from sbp_jax.runs.play_selection import Found, head_of

LEVELS = (0.05, 0.95)  # ends of the interval on display
_MAX_WAIT_S = 0.25  # between two screens when the terminal or the computation is late
_PICTURE = (100, 30)
_FONT = "DejaVu Sans Mono, Menlo, Consolas, monospace"


def paced(
    frames: int,
    speed: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[tuple[int, Callable[[], bool]]]:
    """Yield each frame's number, not before its time, with a function that decides, after scoring, whether to draw it.

    The first and the last frame are always drawn. If all frames are late, one is drawn every quarter of a second.
    """
    begin, last_drawing = clock(), -np.inf
    step = FRAME_S / speed if speed else 0.0

    def should_draw(frame: int) -> bool:
        nonlocal last_drawing
        now = clock()
        due = now < begin + (frame + 1) * step or now - last_drawing >= _MAX_WAIT_S
        if due or frame in (0, frames - 1):
            last_drawing = now
            return True
        return False

    for frame in range(frames):
        early = begin + frame * step - clock()
        if early > 0:
            sleep(early)
        yield frame, lambda frame=frame: should_draw(frame)


class Replay:
    """A play replayed through a scorer frame by frame, and its display.

    Attributes:
        scorer: scorer with one row.
        selection: the play.
        frames: [T, 22, F], NaN where a player is absent.
    """

    def __init__(self, scorer: LiveScorer, selection: Found) -> None:
        plays, play = selection.plays, selection.index
        self.scorer, self.selection = scorer, selection
        self.frames = plays.unfolded(play)
        self._summaries: list[Any] = []
        self._score: Any = None
        scorer.reset(plays.static[play])

    def push(self, frame: int) -> None:
        """Score one more frame."""
        self._summaries.append(self.scorer.push(self.frames[frame]))

    def moment(self) -> Moment:
        """Return the display after the last scored frame."""
        summary, spec = self._summaries[-1], self.scorer.spec
        dist, facts = self.scorer.distribution(), self.selection.facts
        marks = {name: facts.get(name) for name in ("distance", "yards_to_goal")} if spec["in_yards"] else {}
        note = ""
        if not spec["per_frame"]:
            note = "Not trained at every frame: calibrated at the last frame of the play only."
        return Moment(
            head=head_of(self.selection),
            spots=self.frames[: len(self._summaries), :, :2],
            dist=DrawnDistribution(
                edges=dist.edges,
                probability=dist.probability,
                low=summary.quantiles[LEVELS[0]],
                median=summary.median,
                high=summary.quantiles[LEVELS[1]],
                first_down=marks.get("distance"),
                goal=marks.get("yards_to_goal"),
                in_yards=spec["in_yards"],
            ),
            seconds=summary.seconds,
            expected=summary.expected,
            first_down=summary.first_down,
            touchdown=summary.touchdown,
            loss=summary.loss,
            medians=[each.median for each in self._summaries],
            first_downs=[each.first_down for each in self._summaries],
            note=note,
            in_yards=spec["in_yards"],
        )

    def line(self) -> str:
        """Return the numbers of the last frame in one line."""
        summary = self._summaries[-1]
        low, high = (summary.quantiles[level] for level in LEVELS)
        unit = " yd" if self.scorer.spec["in_yards"] else ""
        parts = [f"{summary.seconds:4.1f} s", f"median {summary.median:5.1f}{unit}"]
        parts += [f"expected {summary.expected:5.1f}{unit}", f"90 % {low:5.1f} to {high:5.1f}{unit}"]
        for name in ("first_down", "touchdown", "loss"):
            chance = getattr(summary, name)
            parts += [] if chance is None else [f"P({name.replace('_', ' ')}) {chance:6.1%}"]
        return "  ".join(parts)

    def end(self) -> Moment:
        """End the play with its outcome; return the last display with the score."""
        moment = self.moment()
        self._score = self.scorer.finish(float(self.selection.plays.outcome[self.selection.index]))
        return dataclasses.replace(
            moment, dist=dataclasses.replace(moment.dist, actual=self._score.outcome), result=self.result()
        )

    def result(self) -> list[str]:
        """Return the outcome and its score in two lines, after the play has ended."""
        score = self._score
        unit = "yards" if self.scorer.spec["in_yards"] else self.scorer.spec["outcome"].replace("_", " ")
        passing = "" if score.passing_score is None else f", passing score {score.passing_score:.1f}"
        return [f"actual {score.outcome:g} {unit}, PIT {score.pit:.3f}", f"play score {score.score:+.3f}{passing}"]


def show_plain(replay: Replay, speed: float, glyphs: Glyphs) -> None:
    """Print a line for the play, one per frame, and one for the score."""
    print(glyphs.text(" · ".join(replay.selection.title)), flush=True)
    for frame, _ in paced(len(replay.frames), speed):
        replay.push(frame)
        print(replay.line(), flush=True)
    replay.end()
    print(", ".join(replay.result()), flush=True)


def show(replay: Replay, console: Console, speed: float, glyphs: Glyphs) -> None:
    """Show the play on the terminal screen; the last screen remains visible."""
    with Live(console=console, screen=True, auto_refresh=False) as live:
        for frame, should_draw in paced(len(replay.frames), speed):
            replay.push(frame)
            if should_draw():
                live.update(draw_moment(replay.moment(), *console.size, glyphs), refresh=True)
    console.print(draw_moment(replay.end(), console.width, console.height - 1, glyphs))


def picture(replay: Replay, at: float | None, path: Path) -> None:
    """Write the screen at a given time, or after the play, as a self-contained SVG file.

    Raises:
        InputError: the play has no frame at that time.
    """
    last = len(replay.frames) - 1
    frame = last if at is None else round(at / FRAME_S)
    if not 0 <= frame <= last:
        raise InputError(f"--at: expected 0 to {last * FRAME_S:.1f} seconds, the duration of the play, got {at:g}")
    for each in range(frame + 1):
        replay.push(each)
    width, height = _PICTURE
    console = Console(
        file=StringIO(), record=True, width=width, height=height, force_terminal=True, color_system="truecolor"
    )
    console.print(draw_moment(replay.end() if at is None else replay.moment(), width, height, UNICODE))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(svg_of(console, "sbp replay RUN PLAY"), encoding="utf-8")


def svg_of(console: Console, title: str) -> str:
    """Return a console's recording as SVG with a local font: rich's template would download one."""
    from rich._export_format import CONSOLE_SVG_FORMAT

    begin, end = CONSOLE_SVG_FORMAT.index("@font-face"), CONSOLE_SVG_FORMAT.index(".{unique_id}-matrix")
    template = CONSOLE_SVG_FORMAT[:begin] + CONSOLE_SVG_FORMAT[end:]
    # letters as tall as a line, so that bars have no seams
    template = template.replace("Fira Code, monospace", _FONT).replace("font-size: {char_height}px", "font-size: 21px")
    return console.export_svg(title=title, code_format=template)
