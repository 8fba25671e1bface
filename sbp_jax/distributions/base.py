"""The interface of all distributions, and the broadcasting of outcomes."""

import abc
import dataclasses
import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, PRNGKeyArray, UInt32

from sbp_jax.distributions.cells import Sums, cell_areas
from sbp_jax.distributions.pytrees import Constant, compiled, is_traced, pad_rank
from sbp_jax.errors import InputError

Key = PRNGKeyArray | UInt32[Array, "2"]
D = TypeVar("D", bound="Distribution")


def broadcast_to(dist: D, batch: tuple[int, ...]) -> D:
    """Return the distribution broadcast to a larger batch shape; the leaves keep their axes after the batch."""
    own = len(dist.batch_shape)
    if dist.batch_shape == batch:
        return dist
    return jax.tree.map(
        lambda leaf: jnp.broadcast_to(pad_rank(leaf, len(batch), leaf.ndim - own), (*batch, *leaf.shape[own:])), dist
    )


class Distribution(abc.ABC):
    """A batch of distributions on the real line: continuous, or with atoms where the class docstring states it.

    Outcomes `y` of any real dtype are cast to the parameters' dtype and broadcast against `batch_shape` as in NumPy.
    If the shapes do not broadcast, an InputError names both. A NaN outcome gives NaN; y = -inf and y = +inf give the
    limits. Every method is a pure function. `d[index]` is the distribution of part of the batch.
    """

    @property
    @abc.abstractmethod
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the batch of distributions."""

    @property
    @abc.abstractmethod
    def dtype(self) -> jnp.dtype:
        """Float type of the parameters and of every result: float32, or float64 where JAX enables it.

        Parameters in float16 or bfloat16 become float32, in constructors, heads and `jax.tree.map`: with 8 to 11 bits,
        tail probabilities, quantiles and sums over bins would have no correct digit. Gradients with respect to such a
        parameter have its own type.
        """

    @property
    def _has_atoms(self) -> bool:
        """Whether a single outcome may have positive probability; such a distribution has `_atom_below`."""
        return False

    @abc.abstractmethod
    def log_prob(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return the log-density at y, the log-probability at an atom; -inf with zero gradient outside the support."""

    @abc.abstractmethod
    def cdf(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return P(Y <= y)."""

    @abc.abstractmethod
    def log_cdf(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log P(Y <= y), accurate where the probability underflows."""

    @abc.abstractmethod
    def survival_function(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return P(Y > y), accurate in the upper tail."""

    @abc.abstractmethod
    def log_survival_function(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log P(Y > y), accurate where the probability underflows."""

    @abc.abstractmethod
    def interval_log_prob(self, low: ArrayLike, high: ArrayLike) -> Float[Array, "..."]:
        """Return log P(low < Y <= high) without subtracting cdfs; -inf with zero gradient where low >= high.

        Either bound may be infinite: with high = inf it is `log_survival_function(low)`, in value and gradient.
        """

    @abc.abstractmethod
    def mean(self) -> Float[Array, "..."]:
        """Return the expected value, shape `batch_shape`."""

    @abc.abstractmethod
    def variance(self) -> Float[Array, "..."]:
        """Return the variance, shape `batch_shape`."""

    @abc.abstractmethod
    def _squared_cdf_area(self, low: Float[Array, "..."], high: Float[Array, "..."]) -> Float[Array, "..."]:
        """Integral of F^2 over [low, high]; low <= high have the same rank, and either may be infinite."""

    @abc.abstractmethod
    def _squared_survival_area(self, low: Float[Array, "..."], high: Float[Array, "..."]) -> Float[Array, "..."]:
        """Integral of (1 - F)^2 over [low, high]; low <= high have the same rank, and either may be infinite."""

    @abc.abstractmethod
    def _quantile(self, mass: Float[Array, "..."], upper: Bool[Array, "..."]) -> Float[Array, "..."]:
        """The point with probability `mass` in [0, 1/2] beyond it, on the upper side where `upper` is true."""

    def cdf_left(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return P(Y < y), the left limit of `cdf`; the two are equal where the distribution has no atom."""
        return self.cdf(y)

    def log_cdf_left(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log P(Y < y), accurate where the probability underflows."""
        return self.log_cdf(y)

    def log_survival_left(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log P(Y >= y), accurate where the probability underflows."""
        return self.log_survival_function(y)

    def pit_bounds(self, y: ArrayLike) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """Return (P(Y < y), P(Y <= y)), the bounds of the randomized PIT of y, which is uniform between them.

        Both are F(y) where there is no atom. To compute their midpoint from the nearer tail, use `log_cdf_left`,
        `log_cdf`, `log_survival_function` and `log_survival_left`.
        """
        return self.cdf_left(y), self.cdf(y)

    def _tail_areas(self, near: Array, far: Array, upper: bool) -> tuple[Array, Array]:
        """Integrals of T and of |x - near| T from a finite `near` outward to `far`, which may be infinite.

        If `upper`, T is 1 - F and outward is up; otherwise T is F and outward is down. inf where an integral diverges.
        """
        raise InputError(f"{type(self).__name__} does not implement cdf integrals: no mean, variance or grid sums")

    def _knots(self, ndim: int) -> list[Array]:
        """Points with `ndim` axes, in increasing order, between which the cdf is smooth."""
        raise InputError(f"{type(self).__name__} does not list the points between which its cdf is smooth")

    def _cell_areas(self, near: Array, step: Array, length: Array, upper: bool) -> Sums:
        """The sums of `cells` for T over the window of that length outward from `near`, which is finite."""
        sign = 1 if upper else -1

        def tail(distance):
            return (self.survival_function if upper else self.cdf)(pad_rank(near, distance.ndim) + sign * distance)

        knots = [sign * (knot - near) for knot in self._knots(near.ndim)[::sign]]
        return cell_areas(tail, lambda low, high: self._window_areas(near, low, high, upper), knots, step, length)

    def _window_areas(self, near: Array, low: Array, high: Array, upper: bool) -> Sums:
        """Integrals of T, T^2 and (d - low) T over distances d in [low, high] outward from `near`."""
        sign = 1 if upper else -1
        start, stop = (pad_rank(near, low.ndim) + sign * d for d in (low, high))
        first, moment = self._tail_areas(start, stop, upper)
        square = self._squared_survival_area(start, stop) if upper else self._squared_cdf_area(stop, start)
        return first, square, moment

    def _breaks(self, ndim: int) -> list[Array]:
        """Points with `ndim` axes between which the cdf is smooth and each tail falls by at most a factor of 4."""
        levels = [0.5 * 4.0**-k for k in range(int(-math.log2(float(jnp.finfo(self.dtype).eps)) / 2.6))]
        masses = [jnp.full((1,) * ndim, level, self.dtype) for level in levels]
        return self._knots(ndim) + [
            self._quantile(mass, jnp.asarray(side)) for mass in masses for side in (False, True)
        ]

    def _at_grid(self, y: Array) -> Array:
        """y, snapped to the outcome grid where it lies on the grid up to rounding."""
        return y

    def _atom_below(self, y: Array) -> Array:
        """The largest possible atom at or below y, without gradient; -inf where there is none."""
        return jnp.full_like(y, -jnp.inf)

    def __getitem__(self: D, index: Any) -> D:
        """Return the distribution of part of the batch.

        Args:
            index: any NumPy index for an array of shape `batch_shape`: integers, slices, None, Ellipsis, integer
                arrays and boolean masks. Integers may be traced; an index out of range is then clamped, as in JAX.
        Returns:
            The distribution, of batch shape `numpy.empty(batch_shape)[index].shape`.
        Raises:
            InputError: the index is out of range, has too many axes for `batch_shape`, or is a traced mask.
        Example:
            >>> Normal(jnp.arange(3.0), 1.0)[1:].mean()
            Array([1., 2.], dtype=float32)
        """
        batch = self.batch_shape
        parts = _index_parts(index)
        try:
            np.broadcast_to(np.False_, batch)[tuple(_concrete(part) for part in parts)]
        except IndexError as error:
            raise InputError(f"index: expected a valid index for batch shape {batch}, got {index!r}: {error}") from None
        if not any(part is Ellipsis for part in parts):
            parts = (*parts, Ellipsis)

        def part_of(leaf):
            return leaf[(*parts, *[slice(None)] * (np.ndim(leaf) - len(batch)))]

        return jax.tree.map(part_of, self)

    def __iter__(self: D) -> Iterator[D]:
        """Yield the distributions along the first batch axis; raise InputError if there is none."""
        if not self.batch_shape:
            raise InputError("iteration: expected a batch of distributions, got batch shape ()")
        return (self[i] for i in range(self.batch_shape[0]))

    def __repr__(self) -> str:
        """Return one line of at most 120 characters: constants, scalar parameters, batch shape and dtype."""
        try:
            ends = [f"batch_shape={self.batch_shape}", f"dtype={self.dtype}"]
        except AttributeError:  # a pytree of placeholders
            ends = []
        lines = (_line(self, ends, depth, count) for depth, count in [(2, 99), (1, 99), (0, 99), *_FEWER])
        return next(line for line in lines if len(line) <= 120)

    @compiled
    def prob(self, low: ArrayLike, high: ArrayLike) -> Float[Array, "..."]:
        """Return P(low < Y <= high) = exp(interval_log_prob(low, high)), without subtracting cdfs.

        Args:
            low: lower end, excluded, broadcast against `batch_shape`; may be -inf.
            high: upper end, included; may be inf.
        Returns:
            The probability; 0 with zero gradient where low >= high.
        Example:
            >>> Normal(0.0, 1.0).prob(-1.0, 1.0)
            Array(0.6826895, dtype=float32)
        """
        return jnp.exp(self.interval_log_prob(low, high))

    @compiled
    def std(self) -> Float[Array, "..."]:
        """Return the standard deviation, the square root of `variance`, shape `batch_shape`.

        Infinite or NaN where the variance is; 0 with zero gradient where the variance is 0.
        """
        variance = self.variance()
        finite = (variance > 0) & (variance < jnp.inf)
        rest = jnp.where(variance == 0, 0.0, variance)
        return jnp.where(finite, jnp.sqrt(jnp.where(finite, variance, 1.0)), rest)

    def entropy(self) -> Float[Array, "..."]:
        """Return the differential entropy -E[log f(Y)] in nats, shape `batch_shape`, where it has a closed form.

        Raises:
            InputError: no closed form for this distribution.
        """
        raise InputError(f"entropy: no closed form for {type(self).__name__}")

    def mode(self) -> Float[Array, "..."]:
        """Return a point where the density is largest, shape `batch_shape`, where it has a closed form.

        Raises:
            InputError: no closed form for this distribution.
        """
        raise InputError(f"mode: no closed form for {type(self).__name__}")

    @compiled
    def icdf(self, q: ArrayLike) -> Float[Array, "..."]:
        """Return the q-quantile, the y with P(Y <= y) = q, computed from the nearer tail.

        Args:
            q: probability in [0, 1], broadcast against `batch_shape`. Near 1, 1 - q has few digits in float32: use
                `isf` where the upper tail matters.
        Returns:
            The quantile; the ends of the support where q is 0 or 1; NaN where q is not a probability.
        """
        (q,) = self._outcomes(q)
        return self._from_nearer_side(q, q > 0.5)

    @compiled
    def isf(self, s: ArrayLike) -> Float[Array, "..."]:
        """Return the inverse survival function, the y with P(Y > y) = s: `icdf(1 - s)` without loss of digits."""
        (s,) = self._outcomes(s)
        return self._from_nearer_side(s, s <= 0.5)

    @compiled
    def crps(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return the continuous ranked probability score, the integral over x of (F(x) - 1{x >= y})^2, in y's unit.

        Source: Gneiting and Raftery (2007), equation 20. Infinite for infinite y. The derivative in y is
        F(y)^2 - S(y)^2, where S = 1 - F.
        """
        (y,) = self._outcomes(y)
        below, above = jnp.full_like(y, -jnp.inf), jnp.full_like(y, jnp.inf)
        at = jnp.where(jnp.isnan(y), 0.0, y)
        return self._known(self._squared_cdf_area(below, at) + self._squared_survival_area(at, above), y)

    @compiled
    def twcrps(self, y: ArrayLike, threshold: ArrayLike, end: ArrayLike = np.inf) -> Float[Array, "..."]:
        """Return the threshold-weighted CRPS: the integral of (F(x) - 1{x >= y})^2 over x in [threshold, end].

        By default it scores the upper tail alone, as in Gneiting and Ranjan (2011), equation 6, with the weight
        1{x >= threshold}. `twcrps(y, -inf, t)` scores the lower tail, `twcrps(y, -inf, inf)` is `crps(y)`, and the
        scores of adjacent windows add up.

        Args:
            y: outcomes.
            threshold: lower end of the window; may be -inf.
            end: upper end of the window; may be inf.
        Returns:
            The score in the unit of y, broadcast; 0 where the window is empty; NaN where any argument is NaN.
        """
        y, low, high = self._outcomes(y, threshold, end)
        empty = ~(low < high)
        at = jnp.where(y > low, y, low)
        at = jnp.where(at < high, at, high)
        missing = jnp.isnan(y) | jnp.isnan(low) | jnp.isnan(high)
        low, at, high = (jnp.where(empty | missing, 0.0, x) for x in (low, at, high))
        value = self._squared_cdf_area(low, at) + self._squared_survival_area(at, high)
        return self._known(jnp.where(missing, jnp.nan, jnp.where(empty, 0.0, value)))

    @compiled
    def median(self) -> Float[Array, "..."]:
        """Return the 0.5-quantile, shape `batch_shape`."""
        return jnp.broadcast_to(self.icdf(0.5), self.batch_shape)

    def sample(self, key: Key, sample_shape: Sequence[int] = ()) -> Float[Array, "..."]:
        """Return independent draws, shape sample_shape + batch_shape, by inverting the nearer tail.

        The draws are differentiable in the parameters (reparameterized). Both tails are resolved down to a probability
        of a quarter of the float type's epsilon.
        """
        return self._draw(key, tuple(sample_shape))

    @functools.partial(jax.jit, static_argnums=2)
    def _draw(self, key, sample_shape):
        shape = (*sample_shape, *self.batch_shape)
        side_key, mass_key = jax.random.split(key)
        # the midpoint of each generator step: never 0, whose quantile may be infinite
        uniform = jax.random.uniform(mass_key, shape, self.dtype) + 0.5 * float(jnp.finfo(self.dtype).eps)
        return self._quantile(0.5 * uniform, jax.random.bernoulli(side_key, 0.5, shape))

    def _from_nearer_side(self, p, upper):
        valid = (p >= 0) & (p <= 1)
        mass = jnp.where(valid, jnp.where(p <= 0.5, p, 1 - p), 0.25)
        return self._known(jnp.where(valid, self._quantile(mass, upper), jnp.nan))

    def _missing(self) -> Bool[Array, "..."]:
        """Mask of the distributions with invalid parameters, NaN or out of range, shape `batch_shape`."""
        ndim = len(self.batch_shape)
        missing = jnp.zeros(self.batch_shape, bool)
        for leaf in jax.tree.leaves(self):
            missing |= jnp.isnan(leaf if leaf.ndim == ndim else jnp.max(leaf, axis=-1))
        return missing

    def _known(self, value: Float[Array, "..."], *ys: Float[Array, "..."]) -> Float[Array, "..."]:
        """`value`, but NaN without gradient where a parameter is invalid or an outcome is NaN."""
        missing = pad_rank(self._missing(), value.ndim)
        for y in ys:
            missing |= jnp.isnan(y)
        return jnp.where(missing, jnp.nan, value)

    def _outcomes(self, *ys: ArrayLike) -> tuple[Array, ...]:
        """Outcomes in the parameters' dtype, all with the same rank, at least that of the batch."""
        arrays = [jnp.asarray(y).astype(self.dtype) for y in ys]
        try:
            np.broadcast_shapes(self.batch_shape, *(a.shape for a in arrays))
        except ValueError:
            shapes = " and ".join(str(a.shape) for a in arrays)
            raise InputError(
                f"outcomes of shape {shapes} do not broadcast against batch shape {self.batch_shape}"
            ) from None
        ndim = max(len(self.batch_shape), *(a.ndim for a in arrays))
        return tuple(pad_rank(a, ndim) for a in arrays)


def _index_parts(index):
    """The parts of an index, with arrays in place of lists, as JAX expects."""
    parts = index if isinstance(index, tuple) else (index,)
    return tuple(np.asarray(part) if isinstance(part, list) else part for part in parts)


def _concrete(part):
    """A part of an index in a form that NumPy can check: zeros in place of traced values."""
    if not is_traced(part):
        return np.asarray(part) if isinstance(part, jax.Array) else part
    if part.dtype == bool:
        raise InputError("index: expected a mask known at compile time, got a traced one")
    return np.zeros(part.shape, int)


# without nested distributions, and with as many fields as fit
_FEWER = [(-1, count) for count in reversed(range(9))]


def _line(dist: Distribution, ends: Sequence[str], depth: int, max_fields: int = 99) -> str:
    """One line with a distribution's constants and numbers, nested down to `depth`, followed by `ends`."""
    texts = {field.name: _field_text(getattr(dist, field.name), depth) for field in dataclasses.fields(cast(Any, dist))}
    parts = [f"{name.lstrip('_')}={text}" for name, text in texts.items() if text is not None]
    return f"{type(dist).__name__}({', '.join([*parts[:max_fields], *ends])})"


def _field_text(value: Any, depth: int) -> str | None:
    """A field as text; None for an array over a batch or over bins."""
    if isinstance(value, Constant):
        numbers = [f"{number:.6g}" for number in np.ravel(np.asarray(value))]
        if not value.shape:
            return numbers[0]
        return f"[{', '.join(numbers if len(numbers) <= 4 else [numbers[0], '...', numbers[-1]])}]"
    if isinstance(value, Distribution):
        return None if depth < 0 else _line(value, (), depth - 1).removesuffix("()") if depth else type(value).__name__
    if isinstance(value, tuple):
        parts = [_field_text(each, depth) for each in value]
        return None if None in parts else f"({', '.join(cast(list[str], parts))})"
    if isinstance(value, jax.Array | np.ndarray):
        return f"{float(value):.6g}" if np.ndim(value) == 0 and not is_traced(value) else None
    return None if value is None else repr(value)
