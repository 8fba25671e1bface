"""The console command `sbp`: its first word names a module of this package, and only that module is imported."""

import sys
from importlib import import_module

# name -> description, in the order of the help text
COMMANDS = {
    "demo": "simulate or read plays, train, evaluate, score quarterbacks, draw figures",
    "train": "train one network from a named configuration",
    "crossfit": "train one network per fold, so that no play is scored by one trained on its game",
    "sweep": "train every arm of an ablation grid with several seeds and compare them",
    "score": "score quarterbacks with a trained run",
    "report": "write an HTML report of a run",
    "replay": "replay a play in the terminal with its distribution at every tenth of a second",
    "serve": "serve live scores of plays as they unfold",
    "export": "export a run's scorer, which needs only jax and NumPy",
    "prepare": "convert tracking files, or lists of plays, to a prepared data set",
    "simulate": "simulate full seasons of passing plays with a known distribution, as files",
    "compare": "compare the configurations, training and metrics of runs",
    "thresholds": "diagnose where the tail of a sample begins, and how heavy it is",
    "gradients": "check values and gradients against 50-digit arithmetic",
}

# name -> extras that it always needs; options that need others report it themselves
NEEDS = {
    "compare": ("report",),
    "demo": ("report",),
    "gradients": ("check", "report"),
    "prepare": ("report",),
    "replay": ("report",),
    "report": ("report",),
    "sweep": ("report",),
    "thresholds": ("report",),
}


def usage() -> str:
    """Return the help text of `sbp` without a command."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {about}" for name, about in COMMANDS.items()]
    return "\n".join(["usage: sbp COMMAND [options]", "", *lines, "", "sbp COMMAND --help lists a command's options."])


def main(name: str | None = None) -> None:
    """Run a command with the words of the command line.

    Args:
        name: one of `COMMANDS`; by default the first word.
    """
    from sbp_jax.cli.terminal import terminal

    with terminal():
        _main(name, sys.argv[1:])


def _main(name: str | None, words: list[str]) -> None:
    if name is None:
        if not words or words[0] in ("-h", "--help"):
            print(usage())
            sys.exit(0 if words else 2)
        if words[0] == "--version":
            from sbp_jax import __version__

            print(__version__)
            return
        name, words = words[0], words[1:]
        if name not in COMMANDS:
            import difflib

            near = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(COMMANDS)}"
            print(f"error: unknown command {name!r}; {hint}", file=sys.stderr)
            sys.exit(2)
    module = import_module(f"{__name__}.{name}")
    from sbp_jax.cli.flags import run
    from sbp_jax.errors import needs

    def command(words: list[str]) -> None:
        if not {"-h", "--help"} & set(words):
            for extra in NEEDS.get(name, ()):
                needs(extra)
        module.command(words)

    run(command, words, getattr(module, "INTERRUPTED", None))
