"""Selection of plays: every play that is left out is counted, with its reason."""

from dataclasses import dataclass

import polars as pl

from sbp_jax.data.plays import PLAY
from sbp_jax.data.readers.files import Place
from sbp_jax.data.readers.report import ReadReport
from sbp_jax.data.readers.rules import Rules
from sbp_jax.errors import InputError


@dataclass
class Screen:
    """Leave out plays, and count each with its reason.

    Args:
        path: the file or frame being read, for messages.
        rules: what to do with malformed plays.
        report: counts the plays.
    """

    path: Place
    rules: Rules
    report: ReadReport

    def reject(self, frame: pl.DataFrame, bad: pl.DataFrame, reason: str) -> pl.DataFrame:
        """Count the plays of `bad` that are still in `frame` and return `frame` without them."""
        bad = _still_in(frame, bad).select(PLAY).unique().sort(PLAY)
        self.report.reject(reason, bad.iter_rows())
        return frame.join(bad, on=PLAY, how="anti") if len(bad) else frame

    def malformed(self, frame: pl.DataFrame, bad: pl.DataFrame, reason: str) -> pl.DataFrame:
        """Raise InputError at the first play of `bad`, whose column `detail` describes it, or count and drop them."""
        bad = _still_in(frame, bad)
        if len(bad) and self.rules.malformed == "raise":
            first = bad.sort(PLAY).row(0, named=True)
            path = self.path if self.rules.tracking else first["file"]
            raise InputError(
                f"{path}: game {first['game_id']} play {first['play_id']}: {reason}: {first['detail']} "
                "(to leave such plays out and count them: malformed = drop)"
            )
        return self.reject(frame, bad, f"malformed: {reason}")


def _still_in(frame: pl.DataFrame, bad: pl.DataFrame) -> pl.DataFrame:
    return bad.join(frame, on=PLAY, how="semi") if len(bad) else bad
