"""Score a play while it unfolds: `sbp.LiveScorer.from_run(path)`, `reset`, `push` a frame, `finish`.

Module-level imports are limited to jax and NumPy, because exported folders contain a copy of this file.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbp_jax.errors import InputError
from sbp_jax.live.answers import Distribution, Score, Summary
from sbp_jax.live.inputs import Inputs, finite

Static = Any  # numbers or None by name, or all numbers in order


class LiveScorer:
    """Score plays frame by frame, up to `batch` plays in parallel, each in its own row.

    Create one with `from_run` or, from an exported folder, with `load`. All programs are compiled on construction, so
    the first play is as fast as the others. Not thread-safe.

    Attributes:
        spec: inputs that the programs expect: names of features and static features, edges, and so on.
        batch: number of rows.
    """

    def __init__(self, functions: Mapping[str, Callable[..., Any]], spec: Mapping[str, Any], batch: int = 1) -> None:
        """Compile the pure functions of `programs.Programs`, with bound weights, and call each once."""
        if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
            raise InputError(f"batch: expected an integer of at least 1, got {batch!r}")
        self.spec, self.batch = dict(spec), batch
        self._inputs = Inputs(spec)
        self._edges = np.asarray(spec["edges"], np.float32)
        self._edges.flags.writeable = False
        self._levels = tuple(float(level) for level in spec["levels"])
        league = spec["league"]
        self._league = np.asarray(league or (np.nan, np.nan), np.float32)
        self._call = {name: jax.jit(call) for name, call in functions.items() if name != "start"}
        self._call["frame"] = jax.jit(functions["frame"], donate_argnums=0)
        self._stream = functions["start"](batch)
        num_players, columns = self._inputs.shape
        self._x = np.zeros((batch, num_players * columns), np.float32)
        self._present = np.zeros((batch, num_players), bool)
        self._all_present = jnp.ones((batch, num_players), bool)
        self._static = np.zeros((batch, len(spec["static"])), np.float32)
        self._marks = np.full((batch, 2), np.nan, np.float32)
        self._situation: tuple[jax.Array, jax.Array] | None = None  # static features and marks on the device
        self._every = jnp.ones(batch, bool)
        self._frames = [-1] * batch  # number of frames of the play in each row; -1 without a play
        self._raw: Any = None
        self._numbers = np.full((batch, len(self._levels) + 4), np.nan, np.float32)
        self._warm()

    @classmethod
    def from_run(cls, run: Any, batch: int = 1, step: int | None = None, league: Path | None = None) -> "LiveScorer":
        """Create a scorer from a run's network.

        Before the last frame, predictions are calibrated only if the run was trained with `training.per_frame`.

        Args:
            run: folder of the run, possibly one fold of a cross-fitting; or the run itself, restored by `load_run`.
            batch: number of plays scored in parallel.
            step: step of the checkpoint; by default the latest.
            league: file of the league for passing scores; by default the league of the run or of its cross-fitting.

        Raises:
            InputError: no such run, a run that uses no frames, or no such league.
        """
        try:
            from sbp_jax.live.programs import programs_of
            from sbp_jax.runs.run import load_run
        except ImportError as error:
            raise InputError(f"from_run: needs sbp_jax; load is for exported folders ({error})") from error
        programs = programs_of(load_run(run, step) if isinstance(run, str | Path) else run, league)
        bound = {name: partial(call, programs.weights) for name, call in programs.functions.items()}
        return cls(bound, programs.spec, batch)

    def reset(self, static: Static = (), row: int = 0) -> None:
        """Begin a play.

        Args:
            static: features known before the snap, by the names in `spec["static"]`; a missing name or None is
                unknown. Alternatively all of them as numbers, in order. `distance` and `yards_to_goal` also define
                first down and touchdown.
            row: row of the play; a play already in it is dropped.

        Raises:
            InputError: the row or a name is unknown, or a number is not valid.
        """
        self._check_row(row)
        self._static[row] = self._inputs.statics(static)
        self._marks[row] = self._inputs.marks(self._static[row])
        self._situation = None
        self._stream = self._call["begin"](self._stream, np.arange(self.batch) == row)
        self._frames[row] = 0

    def push(self, frame: Any, row: int = 0) -> Summary:
        """Add one frame to a row's play, a tenth of a second after the previous one.

        Args:
            frame: [22, F], one player per row in the order of the plays' slots, with the features of
                `spec["features"]`; NaN in all features of an absent player.
            row: row of the play.

        Raises:
            InputError: no play in the row, a wrong shape, or a number that is not finite.
        """
        return self.push_many({row: frame})[row]

    def push_many(self, frames: Mapping[int, Any]) -> dict[int, Summary]:
        """Add one frame to each of several plays in one step; frames and summaries are keyed by row.

        Raises:
            InputError: as in `push`; no frame is added then.
        """
        inputs = {}
        for row, frame in frames.items():
            self._check_play(row)
            inputs[row] = self._inputs.frame(frame, f"frame of row {row}" if self.batch > 1 else "frame")
        if not inputs:
            return {}
        complete = True
        for row, (x, present_row) in inputs.items():
            self._x[row], self._present[row] = x, present_row
            self._frames[row] += 1
            complete &= present_row is True
        # reuse the array on the device if it is unchanged: a transfer costs as much as a layer
        present = self._all_present if complete else self._present
        if self._situation is None:
            self._situation = jnp.array(self._static), jnp.array(self._marks)
        if len(inputs) == self.batch:
            self._stream, numbers, raw = self._call["frame"](
                self._stream, self._x, present, *self._situation, self._every
            )
            self._raw, self._numbers = raw, np.asarray(numbers)
        else:
            active = np.zeros(self.batch, bool)
            active[list(inputs)] = True
            self._stream, numbers, raw = self._call["frame"](self._stream, self._x, present, *self._situation, active)
            # rows without a frame keep their previous results
            self._raw = raw if self._raw is None else jnp.where(active[:, None], raw, self._raw)
            self._numbers = np.where(active[:, None], np.asarray(numbers), self._numbers)
        return {row: self._summary(self._numbers[row], self._frames[row]) for row in inputs}

    def summary(self, row: int = 0) -> Summary:
        """Return the latest summary of a row's play; InputError before its first frame."""
        self._check_frames(row)
        return self._summary(self._numbers[row], self._frames[row])

    def distribution(self, row: int = 0) -> Distribution:
        """Return the full distribution after the last frame of a row's play; InputError before its first frame."""
        self._check_frames(row)
        raw, marks = self._of_row(row)
        return Distribution(self._edges, np.asarray(self._call["cells"](raw, marks))[0])

    def finish(self, outcome: Any, row: int = 0, touchdown: bool | None = None) -> Score:
        """End a row's play with its outcome and free the row for the next play.

        Args:
            outcome: the outcome, in the run's unit; count an interception as the run does.
            row: row of the play.
            touchdown: whether the play ended at the goal line; by default, whether the gain reaches it.

        Raises:
            InputError: no play in the row, no frame yet, or an outcome that is not valid for the run.
        """
        self._check_frames(row)
        score = self._scored(*self._of_row(row), self._numbers[row], outcome, touchdown)
        self._frames[row] = -1
        return score

    def whole_play(self, frames: Any, static: Static = ()) -> Summary:
        """Return the summary after the last of a play's frames [T, 22, F], in one call; rows are unchanged.

        Raises:
            InputError: as in `reset` and `push`.
        """
        return self._complete(frames, static)[0]

    def score_play(
        self,
        frames: Any,
        static: Static,
        outcome: Any,
        touchdown: bool | None = None,
    ) -> Score:
        """Return the score of a complete play, equal to that of `reset`, `push` of every frame, and `finish`.

        Raises:
            InputError: as in `reset`, `push` and `finish`.
        """
        _, numbers, raw, marks = self._complete(frames, static)
        return self._scored(raw, marks, numbers, outcome, touchdown)

    def _complete(self, frames: Any, static: Any) -> tuple[Summary, np.ndarray, Any, np.ndarray]:
        window = int(self.spec["window"])
        count, frame_values, frame_present = self._inputs.play(frames, window)
        values = self._inputs.statics(static)[None]
        marks = self._inputs.marks(values[0])[None]
        x, present = (np.zeros((1, window, a.shape[1]), a.dtype) for a in (frame_values, frame_present))
        x[0, : len(frame_values)], present[0, : len(frame_values)] = frame_values, frame_present
        mask = np.arange(window)[None] < len(frame_values)
        numbers, raw = self._call["play"](x, mask, present, values, marks)
        numbers = np.asarray(numbers)[0]
        return self._summary(numbers, count), numbers, raw, marks

    def _of_row(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Raw outputs and marks of one row, [1, R] and [1, 2]."""
        return np.asarray(self._raw)[row : row + 1], self._marks[row : row + 1]

    def _scored(self, raw: Any, marks: np.ndarray, numbers: np.ndarray, outcome: Any, touchdown: bool | None) -> Score:
        y = finite(outcome, "outcome")
        if self.spec["integer"] and y != round(y):
            raise InputError(f"outcome: expected an integer, got {outcome!r}")
        marks, goal = marks.copy(), float(marks[0, 1])
        if touchdown is not None and bool(touchdown) != (y >= goal):
            marks[0, 1] = y if touchdown else np.nan  # trust the caller on where the goal line is
        outcome = min(y, goal) if touchdown is None and y >= goal else y
        values = self._call["score"](raw, np.full(1, outcome, np.float32), marks, self._league)
        low, high, z, passing = np.asarray(values)[0].tolist()
        median = float(numbers[self._levels.index(0.5)])
        return Score(y, median, low, (low + high) / 2, high, z, passing if self.spec["league"] else None)

    def _summary(self, numbers: np.ndarray, frames: int) -> Summary:
        *values, expected, first_down, touchdown, loss = numbers.tolist()
        quantiles = dict(zip(self._levels, values, strict=True))
        return Summary(
            frames=frames,
            seconds=round((frames - 1) * self.spec["frame_s"], 6),
            median=quantiles[0.5],
            quantiles=quantiles,
            expected=expected,
            first_down=None if first_down != first_down else first_down,
            touchdown=None if touchdown != touchdown else touchdown,
            loss=None if loss != loss else loss,
        )

    def _check_row(self, row: Any) -> None:
        if isinstance(row, bool) or not isinstance(row, int | np.integer) or not 0 <= row < self.batch:
            raise InputError(f"row: expected an integer from 0 to {self.batch - 1}, got {row!r}")

    def _check_play(self, row: Any) -> None:
        self._check_row(row)
        if self._frames[row] < 0:
            raise InputError(f"row {row}: has no play; call reset first")

    def _check_frames(self, row: Any) -> None:
        self._check_play(row)
        if not self._frames[row]:
            raise InputError(f"row {row}: its play has no frame yet")

    def _warm(self) -> None:
        """Compile everything with a play of zeros in every row, with and without an absent player."""
        zeros = np.zeros(self._inputs.shape, np.float32)
        fewer = zeros.copy()
        fewer[0] = np.nan
        for row in range(self.batch):
            self.reset((), row)
        for frame in (fewer, zeros):
            self.push_many(dict.fromkeys(range(self.batch), frame))
            if self.batch > 1:
                self.push(frame)
        self.distribution()
        self.finish(0.0)
        self.score_play(zeros[None], (), 0.0)
        self._frames = [-1] * self.batch
