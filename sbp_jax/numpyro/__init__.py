"""Use any distribution of this library as a likelihood or prior in a NumPyro model (extra `numpyro`)."""

try:
    from sbp_jax.numpyro.adapters import Continuous, Rounded
except ModuleNotFoundError as error:
    if str(error.name).partition(".")[0] != "numpyro":
        raise
    raise ImportError("sbp_jax.numpyro needs NumPyro: pip install 'sbp_jax[numpyro]'") from None

__all__ = ["Continuous", "Rounded"]
