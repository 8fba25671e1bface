"""How the published tables are made: what the command line of `experiments.reproduce` says."""

from dataclasses import dataclass
from pathlib import Path

from sbp_jax.errors import InputError


@dataclass(frozen=True)
class Options:
    """How a table is made.

    Attributes:
        seeds: of the data, where they are drawn, and of the training runs.
        quick: an epoch or two of one seed, SBP and the Gaussian alone: shows that it works, not what comes out.
        out: folder of the results; without, runs/reproduce/TABLE, where the runs are.
        play_by_play: list of real plays of the seasons 2017 to 2019, for the tables "mae" and "winning".
        team_seasons: table of team-seasons with win percentage, playoffs and listed ratings, for the table "winning".
        counts: folder of CSV files, each a series of counts, for the tables "twitter" and "detectors".
    """

    seeds: int = 3
    quick: bool = False
    out: Path | None = None
    play_by_play: Path | None = None
    team_seasons: Path | None = None
    counts: Path | None = None

    def path(self, name: str) -> Path:
        """Return the path that a field holds.

        Raises:
            InputError: it is not given, or nothing is there; the line names the flag.
        """
        path, flag = getattr(self, name), f"--{name.replace('_', '-')}"
        if path is None:
            raise InputError(f"{flag}: expected a path, got none")
        if not path.exists():
            raise InputError(f"{path}: not found; say where it is with {flag} PATH")
        return path
