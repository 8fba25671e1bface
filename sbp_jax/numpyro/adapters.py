"""The two adapters: outcomes on the real line, and outcomes rounded to a lattice."""

import copy
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as numpyro_dists
from jax.typing import ArrayLike
from jaxtyping import Array
from numpyro.distributions import constraints

from sbp_jax.distributions import (
    BlendedPareto,
    Distribution,
    HybridPareto,
    Quantized,
    TwoTailedHybridPareto,
)
from sbp_jax.distributions.base import broadcast_to
from sbp_jax.distributions.pytrees import is_traced
from sbp_jax.errors import InputError
from sbp_jax.numpyro.expansion import Expansion
from sbp_jax.numpyro.supports import Lattice, Span, fixed_support

A = TypeVar("A", bound="_Adapter")
_HYBRIDS = (HybridPareto, TwoTailedHybridPareto)
_POSITIVE = {"df", "scale"}
_PARAMETERS = {"dist": constraints.dependent}
_NAMES = list(_PARAMETERS)


class _Adapter(numpyro_dists.Distribution):
    """Common base of both adapters: shapes, parameter checks, and a pytree with the distribution's arrays as leaves.

    Shapes are read from the distribution each time, so they remain correct when `vmap` or `scan` changes an axis.
    `expand` returns an adapter: NumPyro's `ExpandedDistribution` assumes that the shape of its base does not change.
    """

    arg_constraints = _PARAMETERS
    pytree_data_fields = ("dist", "_named_support")
    _static = ("_validate_args", "_expansion")
    dist: Distribution
    _named_support: constraints.Constraint | None = None
    _expansion = Expansion()

    def __init__(
        self,
        dist: Distribution,
        *,
        support: constraints.Constraint | None = None,
        validate_args: bool | None = None,
    ) -> None:
        if not isinstance(dist, Distribution):
            raise InputError(f"dist must be a distribution of sbp_jax, got {type(dist).__name__}")
        if not isinstance(support, constraints.Constraint | None):
            raise InputError(f"support must be a constraint of NumPyro or None, got {type(support).__name__}")
        self.dist, self._named_support = dist, support
        super().__init__(dist.batch_shape, (), validate_args=validate_args)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self._expansion.batch_shape(self.dist)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return ()

    def expand(self: A, batch_shape: Sequence[int]) -> A:
        """Return the adapter of independent outcomes of a larger batch shape; the parameters are not copied.

        Raises:
            ValueError: `self.batch_shape` does not broadcast to `batch_shape`.
        """
        expanded = copy.copy(self)
        expanded.dist, expanded._expansion = self._expansion.expand(self.dist, tuple(batch_shape))
        return expanded

    def validate_args(self, strict: bool = True) -> None:
        """Reject invalid parameters; traced parameters cannot be checked.

        Raises:
            InputError: a concrete parameter is NaN or out of range, or the cdf of a published `BlendedPareto` falls.
            RuntimeError: `strict` is true and a parameter is traced.
        """
        with jax.ensure_compile_time_eval():
            if strict and any(is_traced(leaf) for leaf in jax.tree.leaves(self.dist)):
                raise RuntimeError("Cannot validate arguments inside jitted code.")
            for name, owner in reversed(list(_with_inner(self.dist))):  # the innermost message is the most specific
                _check_parameters(owner, name, type(self.dist).__name__)

    def tree_flatten(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        return (self.dist, self._named_support), tuple(self.__dict__.get(name) for name in self._static)

    @classmethod
    def tree_unflatten(cls, aux_data: tuple[Any, ...], params: tuple[Any, ...]) -> "_Adapter":
        self = cls.__new__(cls)
        self.dist, self._named_support = params
        for name, value in zip(cls._static, aux_data, strict=True):
            if value is not None:
                setattr(self, name, value)
        return self

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Array:
        """Return draws [*sample_shape, *batch_shape]: differentiable in the parameters unless rounded."""
        return self._expansion.sample(self._outcome(self.dist), key, tuple(sample_shape))

    def cdf(self, value: ArrayLike) -> Array:
        """Return P(Y <= value), broadcast; a step function if the outcome is rounded."""
        return self._result("cdf", value)

    def log_cdf(self, value: ArrayLike) -> Array:
        """Return the log of `cdf`, accurate where the probability underflows."""
        return self._result("log_cdf", value)

    def icdf(self, q: ArrayLike) -> Array:
        """Return the least outcome whose cdf is at least q, broadcast."""
        return self._result("icdf", q)

    @property
    def mean(self) -> Array:
        return self._result("mean")

    @property
    def variance(self) -> Array:
        return self._result("variance")

    def _outcome(self, dist: Distribution) -> Distribution:
        """The distribution of the outcome, given that of `dist`."""
        return dist

    def _result(self, method: str, *args: ArrayLike) -> Array:
        """The result of a method of the outcome's distribution, broadcast against the batch shape."""
        value = getattr(self._outcome(self._expansion.align(self.dist)), method)(*args)
        return jnp.broadcast_to(value, np.broadcast_shapes(value.shape, self.batch_shape))

    def _warn_outside(self, value: ArrayLike) -> None:
        # Only warn: NumPyro would also turn the log-density of a NaN outcome into -inf.
        if self._validate_args:
            with jax.ensure_compile_time_eval():  # concrete outcomes and supports inside a jit
                self._validate_sample(value)


def _with_inner(dist: Distribution, name: str = "") -> Iterator[tuple[str, Distribution]]:
    """A distribution and its nested distributions, each with the path of fields that leads to it."""
    yield name, dist
    for field in dataclasses.fields(cast(Any, dist)):
        value = getattr(dist, field.name)
        for i, each in enumerate(value) if isinstance(value, tuple) else [(None, value)]:
            if isinstance(each, Distribution):
                index = "" if i is None else f"[{i}]"
                yield from _with_inner(each, f"{name}{field.name.lstrip('_')}{index}.")


def _check_parameters(dist: Distribution, prefix: str, kind: str) -> None:
    """Raise an InputError for a concrete parameter that is invalid."""
    for field in dataclasses.fields(cast(Any, dist)):
        name = field.name.lstrip("_")
        for leaf in jax.tree.leaves(getattr(dist, field.name), is_leaf=lambda x: isinstance(x, Distribution)):
            if isinstance(leaf, Distribution) or is_traced(leaf):
                continue
            values, line = np.asarray(leaf), f"{prefix}{name} of {kind} must"
            if np.any(np.isnan(values)):
                raise InputError(f"{line} not be NaN")
            if name in _POSITIVE and not np.all(values > 0):
                raise InputError(f"{line} be positive")
            if isinstance(dist, _HYBRIDS) and name.endswith("shape") and not np.all(values > -1):
                raise InputError(f"{line} be above -1")
    missing = dist._missing()
    if not is_traced(missing) and np.any(missing):
        raise InputError(f"parameters of {kind} must define a distribution, got some that are out of range")
    if isinstance(dist, BlendedPareto) and dist.blend == "published":
        negative = dist.negative_mass()
        if not is_traced(negative) and np.any(np.asarray(negative) > 0):
            raise InputError(f"parameters of {kind} must define a distribution: its published cdf falls")


class Continuous(_Adapter):
    """A NumPyro distribution with the density of `dist`: univariate, one for each element of its batch.

    Its support runs from `dist.icdf(0)` to `dist.icdf(1)`: an interval, a half-line or the real line, elementwise,
    depending on the parameters. As a prior it is sampled through a bijection that covers all three cases. NumPyro's
    mixtures accept components whose support depends on no parameter: `Normal`, `StudentT`, `Binned` with constant
    edges, `Quantized` with a constant grid, and `Affine`, `Censored` and `Mixture` of these where the bounds are
    constants. Other distributions can be components if `support` is given.

    A distribution with atoms (`Censored`, `Mixture`, `Deterministic`) keeps its `log_prob`: a log-probability at an
    atom, a log-density elsewhere. Its dominating measure is Lebesgue measure plus counting measure at the atoms, so it
    is a likelihood of observed outcomes but not a prior of a latent site.

    Args:
        distribution: any distribution of `sbp_jax.distributions`, batch shape [...].
        support: a constraint that holds for every outcome of `dist`, such as `constraints.real` for unbounded tails;
            None derives it from `dist`. It is not checked and does not change `log_prob`.
        validate_args: check the parameters on construction, and warn of outcomes outside the support; None for
            NumPyro's default. Neither changes `log_prob`: it is -inf outside the support, and NaN for a NaN outcome.

    Raises:
        InputError: `dist` is not a distribution, `support` is not a constraint, or (when validating) concrete
            parameters are invalid.
    """

    reparametrized_params = _NAMES

    @property
    def has_rsample(self) -> bool:
        return not self.is_discrete

    @property
    def support(self) -> constraints.Constraint:
        support = fixed_support(self.dist) if self._named_support is None else self._named_support
        if support is not None:
            return support
        with jax.ensure_compile_time_eval():
            return Span(*(self._result("icdf", q) for q in (0.0, 1.0)))

    def log_prob(self, value: ArrayLike, intermediates: list[Any] | None = None) -> Array:
        """Return `dist.log_prob(value)`, broadcast."""
        self._warn_outside(value)
        return self._result("log_prob", value)

    @property
    def mode(self) -> Array:
        return _closed(lambda: self._result("mode"))

    def entropy(self) -> Array:
        """Return `dist.entropy()`; NotImplementedError, as in NumPyro, if there is no closed form."""
        return _closed(lambda: self._result("entropy"))


def _closed(method: Callable[[], Array]) -> Array:
    try:
        return method()
    except InputError as error:
        raise NotImplementedError(str(error)) from None


class Rounded(_Adapter):
    """A NumPyro distribution of outcomes of `dist` recorded to the nearest multiple of `width`: `Quantized(dist,
    width)`.

    At y = k width, k an integer, the probability is that of the interval that rounds to y:

        p(y) = P((k - 1/2) width < Y <= (k + 1/2) width)

    and 0 elsewhere: the likelihood of outcomes reported in multiples of a unit, for which a density can grow without
    bound.

    Args:
        distribution: any distribution of `sbp_jax.distributions`, batch shape [...].
        width: the rounding unit, one positive number, in the unit of the outcome.
        support, validate_args: as in `Continuous`.

    Raises:
        InputError: as in `Continuous`, or `width` is not a positive finite number.
    """

    _static = (*_Adapter._static, "width")
    width: float

    def __init__(
        self,
        dist: Distribution,
        width: ArrayLike = 1.0,
        *,
        support: constraints.Constraint | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self.width = _checked_width(width)
        super().__init__(dist, support=support, validate_args=validate_args)

    @property
    def quantized(self) -> Quantized:
        """The same distribution as one of sbp_jax, batch shape `batch_shape`."""
        return Quantized(broadcast_to(self._expansion.align(self.dist), self.batch_shape), self.width)

    @property
    def support(self) -> constraints.Constraint:
        return Lattice(self.width) if self._named_support is None else self._named_support

    @property
    def is_discrete(self) -> bool:
        return True  # whatever `support` was given

    def log_prob(self, value: ArrayLike, intermediates: list[Any] | None = None) -> Array:
        """Return log p(y); -inf with zero gradient off the multiples of `width` up to rounding, NaN for NaN."""
        self._warn_outside(value)
        return self._result("log_prob", value)

    def _outcome(self, dist: Distribution) -> Quantized:
        return Quantized(dist, self.width)


def _checked_width(width: Any) -> float:
    """The width as a number: NumPyro's mixtures need a support that depends on no traced value."""
    if is_traced(width):
        raise InputError("width must be a number known at compile time, got a traced value")
    number = np.asarray(width) if isinstance(width, int | float | np.number | np.ndarray | jax.Array) else np.zeros(1)
    if number.ndim or not (number > 0 and np.isfinite(number)):
        raise InputError(f"width must be a positive finite number, got {width}")
    return float(number)
