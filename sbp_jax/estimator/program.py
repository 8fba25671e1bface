"""From a network's raw outputs to the distribution and the loss of an outcome with atoms, a grid and censoring.

Everything that is chosen from the data is in `Values`: arrays that are arguments of a compiled program, so that fits of
equal sizes share one program.
"""

import functools
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int8

from sbp_jax.distributions import (
    Affine,
    Deterministic,
    GeneralizedPareto,
    Mixture,
    Quantized,
    Shifted,
    SplicedBinnedPareto,
)
from sbp_jax.distributions.base import Distribution
from sbp_jax.distributions.binned import Binned
from sbp_jax.distributions.heads import PARAMETERIZATIONS, Head, objective
from sbp_jax.distributions.heads.base import init_logits
from sbp_jax.distributions.heads.spliced import tail_inputs
from sbp_jax.errors import InputError
from sbp_jax.estimator.tables import as_array
from sbp_jax.estimator.target import Target

_MIN_CELL = 2.0**-18  # half the width of the narrowest cell in the likelihood, relative to the outcome: 64 roundings

_PEAK_DF = 4.0  # degrees of freedom of a peak
_PEAK_SCALE = 2.0  # its scale before training: hardly narrower than the marginal distribution
_MAX_NARROWING = 4.0  # its scale stays within a factor e^4 of that


class Values(NamedTuple):
    """The values that are chosen from the training outcomes, as arrays.

    Attributes:
        edges: edges of the bins, [K + 1], in units of the scale from the location; empty for other heads.
        tail_mass: probability of the lower and the upper tail, [2].
        loc, scale: unit of the outcome, scalars.
        step: width of the grid in the outcome's unit; unused for real outcomes.
        atoms: values of the atoms in the outcome's unit, from the same origin as `loc`, [A].
    """

    edges: Any
    tail_mass: Any
    loc: Any
    scale: Any
    step: Any
    atoms: Any

    @classmethod
    def of(cls, target: Target, dtype: Any = np.float32) -> "Values":
        """Return the values of a target; `loc` is 0, so that distributions are those of the outcome minus it."""
        return cls(
            edges=target.standardized(np.asarray(target.edges)).astype(dtype),
            tail_mass=np.asarray(target.tail_mass, dtype),
            loc=np.asarray(0.0, dtype),
            scale=np.asarray(target.scale, dtype),
            step=np.asarray(target.step, dtype),
            atoms=(np.asarray(target.atoms, np.float64) - target.loc).astype(dtype),
        )


class Rows(NamedTuple):
    """Training outcomes in units of the scale, one row each.

    Attributes:
        y: the outcome, [N].
        low, high: ends of the interval that contains the outcome, [N]: a cell of the grid, or the half-line of a
            censored outcome.
        interval: whether only the interval is known, [N]; otherwise the outcome is exact.
        covered: whether the outcome may be equal to each atom, [N, A].
        weight: weight of the row in the loss, [N]; 0 for padding.
    """

    y: Any
    low: Any
    high: Any
    interval: Any
    covered: Any
    weight: Any

    @classmethod
    def of(cls, target: Target, y: np.ndarray, censoring: np.ndarray, weight: np.ndarray) -> "Rows":
        """Return the rows of outcomes [N]; `censoring` [N] is -1 (at most y), 0 (equal to y) or 1 (at least y)."""
        atoms = np.asarray(target.atoms, np.float64)
        # the interval is open below: one float below y includes an atom at y, and no other
        below = y - 0.5 * target.step if target.step else np.nextafter(y, -np.inf)
        low = np.where(censoring < 0, -np.inf, below)
        high = np.where(censoring > 0, np.inf, y + 0.5 * target.step)
        covered = (low[:, None] < atoms) & (atoms <= high[:, None])
        if not target.step:
            low = np.where(censoring > 0, y, low)  # a continuous distribution
            covered = np.where(censoring[:, None] == 0, atoms == y[:, None], covered)
        y, low, high = (target.standardized(each) for each in (y, low, high))
        if target.step:  # float32 does not resolve the cells of outcomes far from the median: they are widened
            low, high = np.minimum(low, y - _MIN_CELL * np.abs(y)), np.maximum(high, y + _MIN_CELL * np.abs(y))
        y, low, high = (each.astype(np.float32) for each in (y, low, high))
        interval = (censoring != 0) | bool(target.step)
        return cls(y, low, high, np.broadcast_to(interval, y.shape), covered, np.asarray(weight, np.float32))


@dataclass(frozen=True)
class SplicedBuilder:
    """Head of a `SplicedBinnedPareto` whose edges and tail masses are arguments.

    A network has K + 6 outputs: the amplitudes of K `waves` of the logits; location and log-scale of a `peak`, which is
    added to them; and two outputs of each tail. `outputs` are the K logits and those of the tails.

    Attributes:
        bins: number of bins.
        parameterization: a name in `PARAMETERIZATIONS`.
        shape_bounds: (low, high) of the shapes.
    """

    bins: int
    parameterization: str
    shape_bounds: tuple[float, float]

    @property
    def num_outputs(self) -> int:
        """Number of a network's outputs, K + 6."""
        return self.bins + 6

    @property
    def continuous(self) -> bool:
        """Whether the density is continuous at the thresholds."""
        return PARAMETERIZATIONS[self.parameterization].continuous

    def outputs(self, raw: Float[Array, "*batch raw"], values: Values) -> Float[Array, "*batch outputs"]:
        """Return normalized logits and the tails' outputs, [..., K + 4], whose means over networks have a meaning."""
        amplitudes, place, tails = jnp.split(raw, [self.bins, self.bins + 2], axis=-1)
        logits = amplitudes @ jnp.asarray(waves(self.bins).T, raw.dtype) + peak(place, values.edges)
        return jnp.concatenate([jax.nn.log_softmax(logits, axis=-1), tails], axis=-1)

    def __call__(self, outputs: Float[Array, "*batch outputs"], values: Values) -> SplicedBinnedPareto:
        """Return the distributions of `outputs`, in units of the scale."""
        body = Binned(outputs[..., : self.bins], values.edges)
        tail = PARAMETERIZATIONS[self.parameterization].tail
        lower, upper = (tail(self._inputs(outputs, body, values, side)) for side in (False, True))
        return SplicedBinnedPareto(body.logits, body.edges, lower, upper, (values.tail_mass[0], values.tail_mass[1]))

    def _inputs(self, outputs: Any, body: Binned, values: Values, upper: bool) -> Any:
        lower_mass, upper_mass = jnp.asarray(values.tail_mass)
        return tail_inputs(outputs, body, (lower_mass, upper_mass), self.shape_bounds, None, upper)

    def init_from_data(self, y: np.ndarray, values: Values) -> np.ndarray:
        """Return a network's outputs for the marginal distribution of outcomes `y` in units of the scale."""
        logits = init_logits(y, np.asarray(values.edges, np.float64))
        rest = logits - np.asarray(peak(jnp.zeros(2), jnp.asarray(values.edges)), np.float64)
        raw = np.concatenate([np.linalg.solve(waves(self.bins), rest), np.zeros(6)]).astype(np.float32)
        outputs = np.concatenate([logits, np.zeros(4)]).astype(np.float32)
        low, high = (float(each) for each in _thresholds(self, outputs, values))
        body = Binned(jnp.asarray(logits, jnp.float32), values.edges)
        for upper, excess in enumerate((low - y[y < low], y[y > high] - high)):
            mean = max(float(np.mean(excess)) if excess.size else 0.0, 1e-3)
            first = self.bins + 2 + 2 * upper
            inputs = self._inputs(jnp.asarray(outputs), body, values, bool(upper))
            if values.tail_mass[upper] > 0:
                raw[first : first + 2] = PARAMETERIZATIONS[self.parameterization].init(mean, inputs)
        return raw


@functools.cache
def waves(bins: int) -> Float[np.ndarray, "bins waves"]:
    """Return the matrix from raw outputs to the logits of the bins: cosines, slower ones with larger amplitudes.

    A raw output thus changes the probabilities of all bins together: that of wave 1 shifts the distribution, and that
    of wave 2 widens it. With one raw output per bin, a network would learn each bin from its own few outcomes.
    """
    wave, position = np.arange(bins), np.arange(bins)[:, None] + 0.5
    return np.cos(np.pi * wave * position / bins) / np.maximum(wave, 1.0)


def peak(place: Float[Array, "*batch 2"], edges: Float[Any, " edges"]) -> Float[Array, "*batch bins"]:
    """Return the log-density of a Student-t distribution at the middle of each bin, up to a constant.

    It moves and narrows the distribution as a whole, for which the waves alone would need many large amplitudes.

    Args:
        place: location, and minus the logarithm of the scale; at 0 the peak is wide.
        edges: edges of the bins in units of the scale. The peak is one of their arcsinh, so that in long tails
            distances are relative.
    """
    middle = jnp.arcsinh(0.5 * (edges[1:] + edges[:-1])).reshape((1,) * (place.ndim - 1) + (-1,))
    narrowing = _MAX_NARROWING * jnp.tanh(place[..., 1:] / _MAX_NARROWING)
    z = (middle - place[..., :1]) * jnp.exp(narrowing) / _PEAK_SCALE
    return -0.5 * (_PEAK_DF + 1) * jnp.log1p(jnp.square(z) / _PEAK_DF)


@partial(jax.jit, static_argnums=0)
def _thresholds(builder: SplicedBuilder, outputs: Array, values: Values) -> tuple[Array, Array]:
    return builder(outputs, values).thresholds()


@dataclass(frozen=True)
class HeadBuilder:
    """Any head, which builds distributions in units of the scale."""

    head: Head
    continuous = True

    @property
    def num_outputs(self) -> int:
        """Number of raw outputs."""
        return self.head.num_outputs

    def outputs(self, raw: Array, values: Values) -> Array:
        """Return the raw outputs."""
        del values
        return raw

    def __call__(self, outputs: Array, values: Values) -> Distribution:
        """Return the distributions of raw outputs."""
        del values
        return self.head(outputs)

    def init_from_data(self, y: np.ndarray, values: Values) -> np.ndarray:
        """Return raw outputs of the marginal distribution of outcomes `y`."""
        del values
        return np.asarray(self.head.init_from_data(y), np.float32)


@dataclass(frozen=True)
class Program:
    """From a network's outputs to losses and distributions; static in compiled functions.

    A network's outputs are the logits of the continuous part and of each atom, if there are atoms, and then those of
    the builder.

    Attributes:
        builder: head.
        atoms: number of atoms.
        grid: whether the outcome is on a grid.
        censored: whether some training outcomes are censored.
    """

    builder: SplicedBuilder | HeadBuilder
    atoms: int
    grid: bool
    censored: bool = False

    @property
    def num_outputs(self) -> int:
        """Number of raw outputs."""
        return self.builder.num_outputs + (self.atoms + 1 if self.atoms else 0)

    def split(self, outputs: Array) -> tuple[Array, Array]:
        """Return the log-weights [..., A + 1] of the continuous part and the atoms, and the builder's outputs."""
        first = self.atoms + 1 if self.atoms else 0
        return jax.nn.log_softmax(outputs[..., :first], axis=-1), outputs[..., first:]

    def outputs(self, raw: Float[Array, "*batch raw"], values: Values) -> Float[Array, "*batch outputs"]:
        """Return the outputs that determine the distribution, and that are averaged over networks, of a network's."""
        first = raw.shape[-1] - self.builder.num_outputs
        return jnp.concatenate([raw[..., :first], self.builder.outputs(raw[..., first:], values)], axis=-1)

    def losses(self, outputs: Float[Array, "batch outputs"], rows: Rows, values: Values) -> Float[Array, " batch"]:
        """Return the negative log-likelihood of each row in nats, in units of the scale, without the weights.

        The density of exact outcomes is that of `objective("exact")`, whose gradient is right where a density jumps.
        """
        log_weights, own = self.split(outputs)
        dist = self.builder(own, values)
        log_likelihood = jnp.zeros(())
        is_atom = jnp.any(rows.covered, axis=-1) & ~rows.interval
        if self.grid or self.censored:
            low, high = jnp.where(rows.interval, rows.low, -1.0), jnp.where(rows.interval, rows.high, 1.0)
            log_likelihood = dist.interval_log_prob(low, high)
        if not self.grid:
            loss = objective("exact", continuous=self.builder.continuous)
            # an atom may lie where the density is not differentiable
            exact = -loss(dist, jnp.where(rows.interval | is_atom, 0.0, rows.y))
            log_likelihood = jnp.where(rows.interval, log_likelihood, exact) if self.censored else exact
        if self.atoms:
            rest = jnp.where(is_atom, -jnp.inf, log_weights[..., 0] + jnp.where(is_atom, 0.0, log_likelihood))
            parts = jnp.where(rows.covered, log_weights[..., 1:], -jnp.inf)
            log_likelihood = _log_total(jnp.concatenate([rest[..., None], parts], axis=-1))
        return -log_likelihood

    def distribution(
        self, outputs: Float[Array, "*batch outputs"], values: Values, members: bool = False
    ) -> Distribution:
        """Return the distributions of `outputs`, of the outcome minus the location if that of `values` is 0.

        Args:
            outputs: [..., outputs], or [..., M, outputs] if `members`.
            values: unit, bins and atoms; the edges are in units of the scale.
            members: return the `Mixture` of M members, the last axis of the batch.
        """
        log_weights, own = self.split(outputs)
        dist = in_unit(self.builder(own, values), values)
        if self.atoms:
            shape = own.shape[:-1]
            parts = [
                Deterministic(jnp.broadcast_to(jnp.asarray(values.atoms[i], own.dtype), shape))
                for i in range(self.atoms)
            ]
            if members:
                count = shape[-1]
                flat = [dist[..., i] for i in range(count)] + [part[..., 0] for part in parts]
                atoms = jax.nn.logsumexp(log_weights[..., 1:], axis=-2)
                logits = jnp.concatenate([log_weights[..., 0], atoms], axis=-1)
                return Mixture.from_logits(logits, flat)
            return Mixture.from_logits(log_weights, [dist, *parts])
        if members:
            dist = Mixture(None, dist)
        return Quantized(dist, values.step) if self.grid else dist


def in_unit(dist: Distribution, values: Values) -> Distribution:
    """Return the distribution of loc + scale Z, of the same family if Z is spliced."""
    if not isinstance(dist, SplicedBinnedPareto):
        return Affine(dist, values.loc, values.scale)
    lower, upper = (GeneralizedPareto(tail.shape, tail.scale * values.scale) for tail in (dist.lower, dist.upper))
    edges = values.edges * values.scale + values.loc
    return SplicedBinnedPareto(dist.logits, edges, lower, upper, (values.tail_mass[0], values.tail_mass[1]))


def in_outcome_unit(program: Program, outputs: Array, target: Target, members: bool) -> Distribution:
    """Return the distributions of the outcome, with constant bins; `Shifted` if float32 cannot resolve the outcomes."""
    values = Values.of(target, np.float64)._replace(atoms=np.asarray(target.atoms, np.float64))
    values = values._replace(scale=float(target.scale), step=float(target.step))
    largest = max(abs(target.edges[0]), abs(target.edges[-1]), abs(target.loc))
    if largest * 2.0**-24 > 1e-4 * target.scale or (target.step and largest >= 2.0**23 * target.step):
        values = values._replace(loc=0.0, atoms=values.atoms - target.loc)
        return Shifted(program.distribution(outputs, values, members), target.loc)
    return program.distribution(outputs, values._replace(loc=float(target.loc)), members)


def _log_total(terms: Float[Array, "... parts"]) -> Float[Array, "..."]:
    """logsumexp whose gradient is finite where all terms but one are -inf; -inf if all are."""
    largest = jax.lax.stop_gradient(jnp.max(terms, axis=-1, keepdims=True))
    largest = jnp.where(jnp.isfinite(largest), largest, 0.0)
    possible = terms > -jnp.inf
    total = jnp.sum(jnp.where(possible, jnp.exp(jnp.where(possible, terms - largest, 0.0)), 0.0), axis=-1)
    some = total > 0
    return jnp.where(some, jnp.log(jnp.where(some, total, 1.0)) + largest[..., 0], -jnp.inf)


def checked_censoring(censoring: Any, count: int) -> Int8[np.ndarray, " rows"]:
    """Return the censoring of each row as int8 [N]: zeros if None; InputError unless it has values -1, 0 and 1."""
    if censoring is None:
        return np.zeros(count, np.int8)
    array = as_array(censoring, "censoring")
    known = np.isin(array, (-1, 0, 1))
    if array.shape != (count,) or not np.all(known):
        rows = f", but row {np.argmin(known)} is {array[np.argmin(known)]}"
        raise InputError(
            f"censoring: expected {count} values of -1 (at most y), 0 (equal to y) or 1 (at least y)"
            + (rows if array.shape == (count,) else f", got shape {list(array.shape)}")
        )
    return array.astype(np.int8)
