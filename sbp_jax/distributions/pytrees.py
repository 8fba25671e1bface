"""Parameters of a distribution as a pytree: constants and leaves, their dtype and batch shape, compiled methods."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.tree_util import GetAttrKey, register_pytree_with_keys, register_static
from jax.typing import ArrayLike
from jaxtyping import Array

from sbp_jax.errors import InputError

T = TypeVar("T", bound=type)
M = TypeVar("M", bound=Callable)


@register_static
class Constant:
    """A number or array known when the distribution is built: hashable, compared by value, not a pytree leaf."""

    __slots__ = ("_array", "_key")

    def __init__(self, value: ArrayLike | Sequence[float]) -> None:
        array = np.array(value, dtype=np.float64)
        array.setflags(write=False)
        self._array = array
        self._key = (array.shape, array.tobytes())

    @property
    def shape(self) -> tuple[int, ...]:
        return self._array.shape

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.array(self._array, dtype=dtype, copy=copy)

    def __float__(self) -> float:
        return float(self._array)

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Constant) and self._key == other._key)

    def __repr__(self) -> str:
        return f"Constant({self._array.tolist()})"


@register_static
class Name(str):
    """A string that is part of a distribution's structure: hashable, compared by value, not a pytree leaf."""

    __slots__ = ()


def as_array(value: Constant | Array) -> np.ndarray | Array:
    """Return a field as users see it: a constant as a read-only float64 NumPy array, a leaf unchanged."""
    return np.asarray(value) if isinstance(value, Constant) else value


def is_traced(value: object) -> bool:
    """Return whether a value is traced by a JAX transformation."""
    return isinstance(value, Tracer)


def float_dtype(*values: ArrayLike | Constant) -> jnp.dtype:
    """Return the widest float dtype of the arrays, at least float32, or JAX's default without any.

    Python numbers do not count.
    """
    dtypes = [jnp.asarray(v).dtype for v in values if isinstance(v, np.ndarray | np.generic | jax.Array)]
    dtypes = [d for d in dtypes if jnp.issubdtype(d, jnp.floating)]
    if not dtypes:
        return jnp.asarray(0.0).dtype
    with jax.numpy_dtype_promotion("standard"):
        return jnp.promote_types(jnp.result_type(*dtypes), jnp.float32)


def at_least_float32(value: Any) -> Any:
    """Return an array of a float type narrower than float32, such as bfloat16, as float32; anything else unchanged."""
    is_array = isinstance(value, jax.Array | np.ndarray | np.generic)
    return value.astype(jnp.float32) if is_array and _is_narrow(value.dtype) else value


@functools.cache
def _is_narrow(dtype: np.dtype) -> bool:
    return jnp.issubdtype(dtype, jnp.floating) and jnp.finfo(dtype).bits < 32


def pad_rank(x: Array | np.ndarray, ndim: int, event_ndim: int = 0) -> Array:
    """Return x with leading axes of length 1, so that it has `ndim` batch axes before its `event_ndim` event axes."""
    return jnp.asarray(x).reshape((1,) * (ndim + event_ndim - x.ndim) + x.shape)


def check_positive(value: ArrayLike, name: str) -> None:
    """Raise InputError if a Python or NumPy number is not positive; JAX arrays pass, to avoid a transfer."""
    if not isinstance(value, jax.Array) and not np.all(np.asarray(value) > 0):
        raise InputError(f"{name} must be positive, got {np.asarray(value).tolist()}")


def broadcast_batch(**shapes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the common batch shape of named parameters; raise an InputError that lists them if there is none."""
    try:
        return np.broadcast_shapes(*shapes.values())
    except ValueError:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise InputError(f"batch shapes do not broadcast against each other: {listed}") from None


def register(cls: T) -> T:
    """Register a dataclass as a pytree whose children are its fields.

    Unflattening bypasses the constructor: transformations put placeholders in place of the arrays, and a constructor
    that validates or converts would fail on them. Concrete parameters stay concrete inside a jit, so they can be
    checked there.
    """
    names = tuple(field.name for field in dataclasses.fields(cls))
    if "__init__" in vars(cls):
        cls.__init__ = _eager(cls.__init__)
    inherited = super(cls, cls).__repr__
    if inherited is not object.__repr__:
        cls.__repr__ = inherited  # the dataclass's own would print every number

    def flatten(self):
        return tuple(getattr(self, name) for name in names), None

    def flatten_with_keys(self):
        # a private field is read through its public property
        return tuple((GetAttrKey(name.lstrip("_")), getattr(self, name)) for name in names), None

    def unflatten(_, children):
        self = object.__new__(cls)
        # `jax.tree.map` can cast parameters to a narrower float type, which `Distribution.dtype` excludes
        set_fields(self, **{name: at_least_float32(child) for name, child in zip(names, children, strict=True)})
        return self

    register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    return cls


def _eager(init: Callable) -> Callable:
    """A constructor that evaluates operations on concrete numbers instead of tracing them."""

    @functools.wraps(init)
    def call(self, *args, **kwargs):
        with jax.ensure_compile_time_eval():
            init(self, *args, **kwargs)

    return call


def compiled(method: M) -> M:
    """Compile a method, so that a call outside of jit is a single dispatch instead of one per operation."""
    return _wrapped(method, jax.jit(method, inline=True))


def compiled_by(method: M) -> M:
    """Compile a method of an object that is hashable but not a pytree, once per distinct object; see `compiled`."""
    return _wrapped(method, jax.jit(method, static_argnums=0, inline=True))


def _wrapped(method: M, program: Callable) -> M:
    """A plain function that calls the program: `help` and `inspect` do not handle compiled functions."""

    @functools.wraps(method)
    def call(*args, **kwargs):
        return program(*args, **kwargs)

    return cast(M, call)


def set_fields(self: object, **fields: object) -> None:
    """Set fields of a frozen dataclass under construction."""
    for name, value in fields.items():
        object.__setattr__(self, name, value)


def set_parameters(self: object, **parameters: ArrayLike) -> None:
    """Set parameters as fields with their widest float dtype and common batch shape; InputError if there is none."""
    dtype = float_dtype(*parameters.values())
    arrays = {name: jnp.asarray(value, dtype=dtype) for name, value in parameters.items()}
    batch = broadcast_batch(**{name: array.shape for name, array in arrays.items()})
    # every leaf has the full batch shape, so that vmap over the distribution needs no in_axes
    set_fields(self, **{name: jnp.broadcast_to(array, batch) for name, array in arrays.items()})
