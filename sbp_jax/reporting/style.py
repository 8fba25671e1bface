"""A common style for all figures: color-blind safe, with the same color for a model everywhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sbp_jax.errors import needs

if TYPE_CHECKING:
    import matplotlib.figure

# Okabe and Ito's palette; a model has the same color in every figure.
COLORS = {
    "sbp": "#0072B2",
    "gaussian": "#D55E00",
    "marginal": "#777777",
    "oracle": "#009E73",
}
ACTUAL = "#CC79A7"


@contextmanager
def figure(path: Path, width: float, height: float) -> Iterator["matplotlib.figure.Figure"]:
    """Open a figure of the given size in inches and save it as PNG on exit, without a window system.

    Raises:
        InputError: the extra `report` is not installed.
    """
    needs("report")
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(
        {
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.alpha": 0.25,
            "axes.titlesize": 9,
            "legend.frameon": False,
        }
    ):
        drawing = Figure(figsize=(width, height), layout="constrained")
        yield drawing
        path.parent.mkdir(parents=True, exist_ok=True)
        drawing.savefig(path, dpi=130)
