"""The wheel's packages: `sbp_jax` with all below it, and the folder `configs` as `sbp_jax.configs`."""

from setuptools import find_packages, setup

# pyproject.toml can either find packages or map a folder to one, not both.
setup(
    packages=[*find_packages(include=["sbp_jax", "sbp_jax.*"]), "sbp_jax.configs"],
    package_dir={"sbp_jax": "sbp_jax", "sbp_jax.configs": "configs"},
)
