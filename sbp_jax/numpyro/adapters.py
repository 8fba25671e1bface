"""The two adapters: outcomes on the line, and outcomes rounded to a lattice."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.typing import ArrayLike
from jaxtyping import Array
from numpyro.distributions import constraints

from sbp_jax.distributions import Distribution, Normal, Quantized, StudentT
from sbp_jax.distributions.base import is_traced
from sbp_jax.errors import InputError
from sbp_jax.numpyro.supports import Lattice, Span

# Families whose support is the whole line whatever their parameters; that of any other may depend on them.
_WHOLE_LINE = (Normal, StudentT)
_POSITIVE = {"df", "scale"}
_PARAMETERS = {"law": constraints.dependent}
_NAMES = list(_PARAMETERS)


class _Adapter(dist.Distribution):
    """What both adapters share: shapes, parameter checks, and a pytree with the law's arrays as its leaves.

    Shapes are read from the law each time: they stay true when `vmap` or `scan` adds or removes an axis.
    """

    arg_constraints = _PARAMETERS
    pytree_data_fields = ("law",)
    _static = ("_validate_args",)
    law: Distribution

    def __init__(self, law: Distribution, *, validate_args: bool | None = None) -> None:
        if not isinstance(law, Distribution):
            raise InputError(f"law must be a distribution of sbp_jax, got {type(law).__name__}")
        self.law = law
        super().__init__(law.batch_shape, (), validate_args=validate_args)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self.law.batch_shape

    @property
    def event_shape(self) -> tuple[int, ...]:
        return ()

    def validate_args(self, strict: bool = True) -> None:
        """Reject NaN parameters and scales that are not positive; traced ones cannot be checked.

        Raises:
            InputError: a parameter known now is invalid.
            RuntimeError: `strict`, and a parameter is traced.
        """
        for path, leaf in jax.tree.leaves_with_path(self.law):
            if is_traced(leaf):
                if strict:
                    raise RuntimeError("Cannot validate arguments inside jitted code.")
                continue
            name = jax.tree_util.keystr(path, simple=True, separator=".")
            if np.any(np.isnan(leaf)):
                raise InputError(f"{name} of {type(self.law).__name__} must not be NaN")
            if name.rpartition(".")[2] in _POSITIVE and not np.all(np.asarray(leaf) > 0):
                raise InputError(f"{name} of {type(self.law).__name__} must be positive")

    def tree_flatten(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        return (self.law,), tuple(self.__dict__.get(name) for name in self._static)

    @classmethod
    def tree_unflatten(cls, aux_data: tuple[Any, ...], params: tuple[Any, ...]) -> "_Adapter":
        self = cls.__new__(cls)
        (self.law,) = params
        for name, value in zip(cls._static, aux_data, strict=True):
            if value is not None:
                setattr(self, name, value)
        return self

    def _warn_outside(self, value: ArrayLike) -> None:
        # The warning only: NumPyro would also turn the score of a NaN outcome into -inf.
        if self._validate_args:
            self._validate_sample(value)


class Continuous(_Adapter):
    """A NumPyro distribution with the density of `law`: univariate, one for each element of its batch.

    Its support runs from `law.icdf(0)` to `law.icdf(1)`: an interval, a half-line or the whole line, element by
    element, as the parameters have it. As a prior it is sampled through a bijection that covers all three.

    A law with atoms (`Censored`, `Mixture`, `Deterministic`) has its own `log_prob`: the logarithm of a probability at
    an atom, of a density elsewhere. Its dominating measure is Lebesgue's plus a count at the atoms, so that it is a
    likelihood of observed outcomes, and no prior of a latent site.

    Args:
        law: any distribution of `sbp_jax.distributions`, batch shape [...].
        validate_args: check the parameters when built, and warn of outcomes outside the support; NumPyro's default
            if None. Neither changes a score: that is -inf outside the support, and NaN for a NaN outcome.
    Raises:
        InputError: `law` is not a distribution, or (validating) a known parameter is NaN or a known scale not positive.
    """

    reparametrized_params = _NAMES

    @property
    def support(self) -> constraints.Constraint:
        if isinstance(self.law, _WHOLE_LINE):
            return constraints.real
        return Span(*(jnp.broadcast_to(self.law.icdf(q), self.batch_shape) for q in (0.0, 1.0)))

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draws [*sample_shape, ...], differentiable in the parameters."""
        return self.law.sample(key, sample_shape)

    def log_prob(self, value: ArrayLike, intermediates: list[Any] | None = None) -> Array:
        """`law.log_prob(value)`, broadcast."""
        self._warn_outside(value)
        return self.law.log_prob(value)

    def cdf(self, value: ArrayLike) -> Array:
        """`law.cdf(value)`, broadcast."""
        return self.law.cdf(value)

    def icdf(self, q: ArrayLike) -> Array:
        """`law.icdf(q)`, broadcast."""
        return self.law.icdf(q)

    @property
    def mean(self) -> Array:
        return self.law.mean()

    @property
    def variance(self) -> Array:
        return self.law.variance()


class Rounded(_Adapter):
    """A NumPyro distribution of outcomes of `law` recorded to the nearest multiple of `width`: `Quantized(law, width)`.

    At y = k width, k an integer, the probability is that of the interval that is rounded to y:

        p(y) = P((k - 1/2) width < Y <= (k + 1/2) width)

    and 0 elsewhere: the likelihood of outcomes reported in whole units, where a density can grow without bound.

    Args:
        law: any distribution of `sbp_jax.distributions`, batch shape [...].
        width: the unit of recording, a positive number, in the unit of the outcome.
        validate_args: as for `Continuous`.
    Raises:
        InputError: as for `Continuous`, or `width` is not a positive finite number.
    """

    _static = ("_validate_args", "width")
    width: float

    def __init__(self, law: Distribution, width: float = 1.0, *, validate_args: bool | None = None) -> None:
        if not isinstance(width, int | float | np.number) or not (width > 0 and math.isfinite(width)):
            raise InputError(f"width must be a positive finite number, got {width}")
        self.width = float(width)
        super().__init__(law, validate_args=validate_args)

    @property
    def quantized(self) -> Quantized:
        """The same distribution of sbp_jax."""
        return Quantized(self.law, self.width)

    @property
    def support(self) -> constraints.Constraint:
        return Lattice(self.width)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draws [*sample_shape, ...], in the dtype of the law; their gradient is zero."""
        return self.quantized.sample(key, sample_shape)

    def log_prob(self, value: ArrayLike, intermediates: list[Any] | None = None) -> Array:
        """log p(y); -inf with zero gradient off the multiples of `width` (but for rounding), NaN for a NaN outcome."""
        self._warn_outside(value)
        return self.quantized.log_prob(value)

    def cdf(self, value: ArrayLike) -> Array:
        """P(rounded outcome <= y), a step at every multiple of `width`."""
        return self.quantized.cdf(value)

    def icdf(self, q: ArrayLike) -> Array:
        """The least multiple of `width` whose cdf is at least q."""
        return self.quantized.icdf(q)

    @property
    def mean(self) -> Array:
        return self.quantized.mean()

    @property
    def variance(self) -> Array:
        return self.quantized.variance()
