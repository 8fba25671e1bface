"""Conformance tests: properties that any implementation of the Spliced Binned-Pareto must have.

The exact values come from `Case`, which computes the distribution from its formulas in float64 NumPy. An implementation
is measured through the methods of `Implementation`; `Ours` is this package and `Reference` the published one (gluonts).
"""

from sbp_jax.evaluation.conformance.case import Case
from sbp_jax.evaluation.conformance.catalogue import PROPERTIES, Property, compare, measure
from sbp_jax.evaluation.conformance.implementation import Implementation
from sbp_jax.evaluation.conformance.measures import Finding
from sbp_jax.evaluation.conformance.ours import Ours
from sbp_jax.evaluation.conformance.reference import Reference

__all__ = ["PROPERTIES", "Case", "Finding", "Implementation", "Ours", "Property", "Reference", "compare", "measure"]
