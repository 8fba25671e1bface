"""Replay a play in the terminal with its distribution at every tenth of a second: sbp replay RUN PLAY.

PLAY is GAME/PLAY_ID, a play_id, random, best or worst by play score, or list, which prints a sample of the plays.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sbp_jax.cli.flags import parse
from sbp_jax.data.prepared.splits import Of
from sbp_jax.errors import InputError

SLOWEST = 1e-3  # minimum speed: a play takes hours, and no clock overflows
INTERRUPTED = "interrupted; nothing was written"


@dataclass(frozen=True)
class Options:
    """Replay a play in real time: the field from above, the distribution of its yards, and the numbers.

    Attributes:
        run: folder of a run, as printed by sbp train, or of a cross-fitting.
        play: GAME/PLAY_ID, a play_id that only one game has, random, best or worst by play score, or list.
        of: which of the run's plays: all, or those of a split; "held-out" is validation and test.
        source: files of other plays to choose from instead, read by the run's rules.
        speed: speed of the replay; 1 is real time, 2 is twice as fast, 0 as fast as possible.
        plain: print one line of numbers per frame instead of the screen; the default if the output is not a terminal.
        svg: write the last screen as a picture to this file instead of showing the play.
        at: time of the picture, in seconds since the snap; by default after the play, with its score.
        seed: seed of random.
        trust: import your own head, encoder or objective if the run's configuration names one.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    play: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="PLAY")]
    of: Of = "all"
    source: tuple[str, ...] = ()
    speed: float = 1.0
    plain: bool = False
    svg: Path | None = None
    at: float | None = None
    seed: int = 0
    trust: bool = False


def check(options: Options) -> None:
    """Raise an InputError if an option is out of range."""
    if options.speed and not SLOWEST <= options.speed < math.inf:
        raise InputError(f"--speed: expected 0, or {SLOWEST:g} or more, got {options.speed:g}")
    if options.at is not None and options.svg is None:
        raise InputError("--at: sets the time of a picture; expected --svg FILE with it")
    if options.at is not None and not 0 <= options.at < math.inf:
        raise InputError(f"--at: expected 0 or more seconds, got {options.at:g}")
    if options.seed < 0:
        raise InputError(f"--seed: expected 0 or more, got {options.seed}")


def command(args: list[str]) -> None:
    """Replay the play selected on the command line."""
    options = parse(Options, args, "sbp replay")
    check(options)
    from contextlib import nullcontext

    from rich.console import Console

    from sbp_jax.live import LiveScorer
    from sbp_jax.live.replay import Replay, picture, show, show_plain
    from sbp_jax.reporting.sketch import ASCII, UNICODE
    from sbp_jax.runs.play_selection import find_play, list_plays, plays_of
    from sbp_jax.runs.score import open_target

    console = Console()
    glyphs = UNICODE if console.encoding.lower().replace("-", "").startswith("utf") else ASCII
    target = open_target(options.run, trust=options.trust)
    for run in target.runs:
        if run.model.tcn is None:
            raise InputError(f"{run.path}: expected a run that uses frames of plays; this one has none to replay")
    parts = plays_of(target, options.of, options.source)
    if options.play == "list":
        for line in list_plays(parts, options.seed):
            print(glyphs.text(line))
        return
    play = find_play(parts, options.play, options.seed, "the source" if options.source else options.of)
    with Console(stderr=True).status("compiling the network") if console.is_terminal else nullcontext():
        scorer = LiveScorer.from_run(play.run)
    replay = Replay(scorer, play)
    if options.svg is not None:
        picture(replay, options.at, options.svg)
        print(glyphs.text(f"{options.svg}: {', '.join(play.title)}"))
    elif options.plain or not console.is_terminal:
        show_plain(replay, options.speed, glyphs)
    else:
        show(replay, console, options.speed, glyphs)
