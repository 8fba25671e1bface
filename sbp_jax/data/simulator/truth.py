"""`TrueDistribution`: the known conditional distribution of simulated plays, vectorized over plays."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from sbp_jax.data.simulator.course import CourseParameters
from sbp_jax.data.simulator.release import ReleaseParameters
from sbp_jax.data.simulator.streams import GameBlock, GameStreams, Purpose
from sbp_jax.data.simulator.throw import CATCH_REACH, MAX_LOSS, MAX_RETURN, Chances, Outcomes, Throw, return_survival
from sbp_jax.errors import InputError

Outcome = Literal["yards", "net_yards"]
Skill = float | int | Literal["true"] | None
_YARDS = np.arange(-MAX_LOSS, 100)
_NET_YARDS = np.arange(-MAX_RETURN, 100)
# 15 nodes integrate over the skill to 1e-13: the probabilities are smooth in it, with slopes of at most 0.145
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(15)


@dataclass(frozen=True)
class TrueDistribution:
    """Conditional distribution of yards of N simulated plays, a distribution over integers.

    The page `docs/explanation/simulator.md` has its terms.

    Attributes:
        game_id, play_id: [N].
        parameters: parameters at average skill.
        own_skill: skill of each play's quarterback, [N].
        outcome: "yards" as the league counts (an interception gains 0) or "net_yards" (an interception counts minus its
            return).
        skill: whose passes these are. None: a quarterback drawn from the league, z ~ N(0, 1), integrated by
            Gauss-Hermite quadrature with 15 nodes (error below 1e-12). This is the conditional distribution given
            frames and situation, the best that a network can learn. "true": each play's own quarterback. Or a number z.
    """

    game_id: np.ndarray
    play_id: np.ndarray
    parameters: ReleaseParameters | CourseParameters
    own_skill: np.ndarray
    outcome: Outcome = "yards"
    skill: Skill = None

    @classmethod
    def read(cls, folder: str | Path, outcome: Outcome = "yards", skill: Skill = None) -> "TrueDistribution":
        """Read the distribution of all plays of a folder written by `simulate`, in the order of its plays.

        Raises:
            InputError: the folder has no `truth/plays.parquet`, or the file is missing a column.
        """
        path = Path(folder) / "truth" / "plays.parquet"
        if not path.is_file():
            raise InputError(f"{path}: not found; expected the truth of a folder written by the simulator")
        table = pl.read_parquet(path)
        kind = CourseParameters if "target_probability" in table.columns else ReleaseParameters
        missing = {"gameId", "playId", "skill", *kind.names()} - set(table.columns)
        if missing:
            raise InputError(f"{path}: is missing the columns {', '.join(sorted(missing))}")
        return cls(
            game_id=table["gameId"].to_numpy(),
            play_id=table["playId"].to_numpy(),
            parameters=kind(**{name: table[name].to_numpy() for name in kind.names()}),
            own_skill=table["skill"].to_numpy(),
            outcome=outcome,
            skill=skill,
        )

    def __post_init__(self):
        if self.outcome not in ("yards", "net_yards"):
            raise InputError(f"outcome: expected 'yards' or 'net_yards', got {self.outcome!r}")
        if isinstance(self.skill, str) and self.skill != "true":
            raise InputError(f"skill: expected None, 'true' or a number, got {self.skill!r}")

    def __len__(self) -> int:
        return len(self.game_id)

    def given(self, skill: Skill = None, outcome: Outcome | None = None) -> "TrueDistribution":
        """Return the same plays with another `skill`, and another `outcome` if one is given."""
        return replace(self, skill=skill, outcome=outcome or self.outcome)

    def select(self, game_id: np.ndarray, play_id: np.ndarray) -> "TrueDistribution":
        """Return the plays `game_id`, `play_id` [M], in that order; InputError names a play that does not exist."""
        table = pl.DataFrame({"game": self.game_id, "play": self.play_id}).with_row_index("row")
        keys = pl.DataFrame({"game": np.asarray(game_id, np.int64), "play": np.asarray(play_id, np.int64)})
        rows = keys.join(table, on=["game", "play"], how="left", maintain_order="left")["row"]
        if rows.null_count():
            game, play = keys.row(int(rows.is_null().arg_max() or 0))
            raise InputError(f"play {play} of game {game}: not among the simulated plays")
        return self.take(rows.to_numpy().astype(np.int64))

    def pmf(self, values: np.ndarray) -> np.ndarray:
        """Return P(Y = value) for integer `values` [V] (yards), [N, V]; zero outside the support."""
        values = np.asarray(values)
        return self._cdf_at(values) - self._cdf_at(values - 1)

    def cdf(self, y: np.ndarray | float | int) -> np.ndarray:
        """Return P(Y <= y), right-continuous, for `y` a number, [N] or [N, V] (yards); broadcast against [N]."""
        y = np.asarray(y, dtype=float)
        table, first = self._table()
        index = np.clip(np.floor(y) - first, -1, table.shape[1] - 1).astype(np.int64) + 1
        padded = np.concatenate([np.zeros((len(self), 1)), table], axis=1)
        index = np.broadcast_to(index, (len(self),)) if index.ndim < 2 else index
        columns = index.reshape(len(self), -1)
        return np.take_along_axis(padded, columns, axis=1).reshape(index.shape)

    def quantile(self, q: np.ndarray | float | int) -> np.ndarray:
        """Return the smallest integer y with P(Y <= y) >= q: [N] for a number, [N, Q] for `q` [Q] or [N, Q]."""
        levels = np.asarray(q, dtype=float)
        if np.any(~((levels >= 0) & (levels <= 1))):
            raise InputError("q: expected probabilities in [0, 1]")
        table, first = self._table()
        wide = np.broadcast_to(np.atleast_1d(levels), (len(self), np.atleast_1d(levels).shape[-1]))
        # one level at a time: an [N, Q, V] comparison would not fit into memory for many levels
        below = np.stack([np.sum(table < wide[:, [k]], axis=1) for k in range(wide.shape[1])], axis=1)
        result = first + np.minimum(below, table.shape[1] - 1)
        return result[:, 0] if levels.ndim == 0 else result

    def median(self) -> np.ndarray:
        """Return the smallest median, [N] (yards)."""
        return self.quantile(0.5)

    def mean(self) -> np.ndarray:
        """Return the expected yards, [N]."""
        support = self.support()
        return self.pmf(support) @ support

    def support(self) -> np.ndarray:
        """Return all integers that any play can yield, [V] (yards)."""
        return _NET_YARDS if self.outcome == "net_yards" else _YARDS

    def result_probabilities(self) -> np.ndarray:
        """Return P(complete), P(incomplete), P(intercepted), [N, 3]."""
        complete, intercepted = np.zeros(len(self)), np.zeros(len(self))
        for probability, throw in self.parameters.throws():
            chances = self._chances(throw)
            complete, intercepted = complete + probability * chances[0], intercepted + probability * chances[1]
        return np.stack([complete, 1 - complete - intercepted, intercepted], axis=1)

    def take(self, rows: np.ndarray) -> "TrueDistribution":
        """Return the plays at positions `rows` [M], in that order."""
        return replace(
            self,
            game_id=self.game_id[rows],
            play_id=self.play_id[rows],
            parameters=type(self.parameters)(
                **{name: getattr(self.parameters, name)[rows] for name in self.parameters.names()}
            ),
            own_skill=self.own_skill[rows],
        )

    def redrawn(self, skill: np.ndarray, seed: int) -> Outcomes:
        """Draw new outcomes of the same plays for quarterbacks of `skill` [N]; no frame depends on the passer."""
        skill = np.asarray(skill, float)
        if skill.shape != (len(self),):
            raise InputError(f"skill: expected one for each of the {len(self)} plays, got shape {skill.shape}")
        all_plays = GameBlock([0], [len(self)], [np.arange(len(self))])
        streams = GameStreams(seed, Purpose.REDRAW, all_plays)
        return self.parameters.drawn(streams).draw(skill, streams)

    def _chances(self, throw: Throw) -> Chances:
        """P(complete), P(intercepted), P(complete and tackled), P(complete and breaks away), [N] each."""
        if self.skill is None:
            total = [np.zeros(len(self)) for _ in range(4)]
            for node, weight in zip(_NODES, _WEIGHTS / _WEIGHTS.sum(), strict=True):
                complete, intercepted, tackled, breakaway = throw.chances(node)
                terms = (complete, intercepted, complete * tackled, complete * breakaway)
                total = [sum_ + weight * term for sum_, term in zip(total, terms, strict=True)]
            return total[0], total[1], total[2], total[3]
        skill = self.own_skill if self.skill == "true" else np.full(len(self), float(self.skill))
        complete, intercepted, tackled, breakaway = throw.chances(skill)
        return complete, intercepted, complete * tackled, complete * breakaway

    def _cdf_at(self, values: np.ndarray) -> np.ndarray:
        table, first = self._table()
        index = np.clip(values - first, -1, table.shape[1] - 1).astype(np.int64) + 1
        return np.concatenate([np.zeros((len(self), 1)), table], axis=1)[:, index]

    def _table(self) -> tuple[np.ndarray, int]:
        """P(Y <= k) over the support, [N, V], and the first value of the support."""
        support = self.support()
        cdf = np.zeros((len(self), len(support)))
        for probability, throw in self.parameters.throws():
            cdf += np.reshape(probability, (-1, 1)) * self._throw_cdf(throw)
        # sums of the results may be off by rounding from the goal line on
        ended = support >= self.parameters.yards_to_goal[:, None]
        return np.where(ended, 1.0, np.minimum(cdf, 1.0)), int(support[0])

    def _throw_cdf(self, throw: Throw) -> np.ndarray:
        """P(Y <= k) of a throw over the support, [N, V]."""
        complete, intercepted, tackled, breakaway = self._chances(throw)
        # C <= k - center - j for all k and j: one grid of run yards per play, then 41 shifted sums
        reach = np.arange(_YARDS[0] - CATCH_REACH, _YARDS[-1] + CATCH_REACH + 1)
        runs = throw.run_cdfs((reach - throw.center[:, None]).astype(float))
        mixed = np.zeros(runs[0].shape)
        for weight, run in zip((tackled, complete - tackled - breakaway, breakaway), runs, strict=True):
            mixed += weight[:, None] * run
        width, yards, offset = len(_YARDS), _YARDS, throw.catch_offset_pmf()
        cdf = np.zeros((len(self), width))
        for j in range(2 * CATCH_REACH + 1):
            start = 2 * CATCH_REACH - j
            cdf += offset[:, [j]] * mixed[:, start : start + width]
        cdf = np.where(yards < -throw.largest_loss()[:, None], 0.0, cdf)
        cdf = np.where(yards >= throw.yards_to_goal[:, None], complete[:, None], cdf)
        cdf += np.where(yards >= 0, (1 - complete - intercepted)[:, None], 0.0)
        if self.outcome == "yards":
            return cdf + np.where(yards >= 0, intercepted[:, None], 0.0)
        lead = np.zeros((len(self), len(_NET_YARDS) - width))
        cdf = np.concatenate([lead, cdf], axis=1)
        # net <= k < 0 means a return of at least -k yards, possible only within the field
        length = -_NET_YARDS[None, :].astype(float)
        survival = np.where(length > 0, return_survival(np.maximum(length - 1, 0.0)), 1.0)
        survival = np.where(length > throw.return_limit_yards[:, None], 0.0, survival)
        return cdf + intercepted[:, None] * np.where(length <= 0, 1.0, survival)
