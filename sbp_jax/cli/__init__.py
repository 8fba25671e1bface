"""The console command `sbp`: its first word names a job, which is a module of this package; no other is imported."""

import sys
from importlib import import_module

# name -> what it does, in the order of the help text
COMMANDS = {
    "demo": "simulate or read plays, train, evaluate, score quarterbacks, draw figures",
    "train": "train one network from a named configuration",
    "crossfit": "train a network a fold, so that no play is scored by one that saw its game",
    "sweep": "train every arm of an ablation grid with several seeds and compare them",
    "score": "score quarterbacks with a trained run",
    "report": "write one HTML file of a run",
    "replay": "replay a play in the terminal with its distribution at every tenth of a second",
    "serve": "serve a run's scores of plays while they unfold",
    "export": "export a run's scorer, to run with jax and NumPy alone",
    "prepare": "tracking files, or lists of plays, to a prepared data set",
    "simulate": "full seasons of passing plays with a known distribution, as files",
    "compare": "runs side by side: configurations, training, metrics",
    "thresholds": "where a sample's tail begins, and how heavy it is",
    "gradients": "check values and gradients against 50 digits",
}

# name -> extras that it needs whatever its options are; the others' lines are given where they are used
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
    """The help text of `sbp` alone."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {about}" for name, about in COMMANDS.items()]
    return "\n".join(["usage: sbp COMMAND [options]", "", *lines, "", "sbp COMMAND --help lists a command's options."])


def main(name: str | None = None) -> None:
    """Run the command that is named, by the command line's first word where no name is given, with the words after it.

    Args:
        name: one of `COMMANDS`.
    """
    words = sys.argv[1:]
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
