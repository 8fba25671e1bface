"""Properties that a Spliced Binned-Pareto distribution must have, measured on any implementation alike."""

from experiments.properties.case import Case
from experiments.properties.catalogue import PROPERTIES, Property, measure
from experiments.properties.measures import Finding
from experiments.properties.ours import Ours
from experiments.properties.peer import Peer
from experiments.properties.side import Side

__all__ = ["PROPERTIES", "Case", "Finding", "Ours", "Peer", "Property", "Side", "measure"]
