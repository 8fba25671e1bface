"""A family's distribution equals each head's, in value and gradient, for all bins, masses and parameterizations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbp_jax.distributions.heads import PARAMETERIZATIONS, SplicedBinnedParetoHead, SplicedFamily, objective
from sbp_jax.errors import InputError
from tests.slow import marked

pytestmark = pytest.mark.unoptimized

SUPPORT = (-110.0, 110.0)
BINS = dict(zip(PARAMETERIZATIONS, (40, 7, 25, 40, 30, 1, 12), strict=True))
_PAIRS = ((0.05, 0.05), (0.2, 0.01), (0.0, 0.1), (0.1, 0.0), (0.08, 0.15), (0.3, 0.3), (0.0, 0.0))
MASSES = dict(zip(PARAMETERIZATIONS, _PAIRS, strict=True))
HEADS = {
    name: SplicedBinnedParetoHead(
        tuple(np.linspace(-10.0, 60.0, bins + 1).tolist()), MASSES[name], name, support=SUPPORT
    )
    for name, bins in BINS.items()
}
FAMILY = SplicedFamily(list(HEADS.values()))
Y = np.array([-60.0, -10.0, -9.5, 0.0, 3.2, 20.0, 59.9, 60.0, 61.0, 105.0])


def losses_and_gradients(dist, raw):
    """Of every loss, its values [N] and the gradient of the sum of the finite ones."""

    def total(raw, cost):
        losses = cost(dist(raw), jnp.asarray(Y))
        return jnp.sum(jnp.where(jnp.isfinite(losses), losses, 0.0)), losses

    return [jax.grad(total, has_aux=True)(raw, objective(loss)) for loss in ("exact", "composite", "interval")]


# compiled once for all members: the purpose of a family
of_family = jax.jit(lambda wide, values: losses_and_gradients(lambda raw: FAMILY(raw, values), wide))


@pytest.mark.slow
@pytest.mark.parametrize("name", marked(PARAMETERIZATIONS, ["orthogonal", "exponential", "endpoint"]))
def test_a_member_is_its_head(name):
    head = HEADS[name]
    with jax.enable_x64(True):
        raw = jnp.asarray(np.random.default_rng(1).normal(size=(len(Y), head.num_outputs)))
        own = jax.jit(lambda raw: losses_and_gradients(head, raw))(raw)
        seen = of_family(FAMILY.widen(raw, head), FAMILY.values(head))
    for (expected, losses), (wide, member_s) in zip(own, seen, strict=True):
        np.testing.assert_allclose(member_s, losses, rtol=1e-12)
        np.testing.assert_allclose(FAMILY.narrow(wide, head), expected, rtol=1e-9, atol=1e-12)
        assert not np.any(wide[:, head.bins : FAMILY.bins])
        assert np.isfinite(losses[1:-2]).all()
    assert of_family._cache_size() == 1


def test_widen_and_narrow_are_inverse():
    head = HEADS["bounded"]
    raw = jnp.asarray(np.random.default_rng(0).normal(size=(3, head.num_outputs)))
    wide = FAMILY.widen(raw, head)
    assert wide.shape == (3, FAMILY.num_outputs) == (3, 44)
    np.testing.assert_array_equal(FAMILY.narrow(wide, head), raw)


def test_heads_of_another_support_are_refused():
    other = SplicedBinnedParetoHead((0.0, 1.0, 2.0), support=(-5.0, 5.0))
    with pytest.raises(InputError, match="support: expected the same in all heads"):
        SplicedFamily([other, HEADS["bounded"]])
