"""A common style for all figures: color-blind safe, with the same color for a model everywhere."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sbp_jax.errors import InputError, needs

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


# changes to Matplotlib's own defaults
STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.titlesize": 9,
    "legend.frameon": False,
}


@contextmanager
def figure(path: Path, width: float, height: float) -> Iterator["matplotlib.figure.Figure"]:
    """Open a figure of the given size in inches and save it as PNG on exit, without a window system.

    The figure is the same whatever the user's `matplotlibrc` or the session's settings are, which stay as they were.

    Raises:
        InputError: the extra `report` is not installed, or Matplotlib cannot be imported.
    """
    needs("report")
    mpl = _matplotlib()
    from matplotlib.figure import Figure

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        drawing = Figure(figsize=(width, height), layout="constrained")
        yield drawing
        path.parent.mkdir(parents=True, exist_ok=True)
        drawing.savefig(path, dpi=130)


def _matplotlib() -> Any:
    """Import Matplotlib whatever MPLBACKEND names: a notebook's commands inherit a backend they may not have."""
    if "matplotlib" in sys.modules:
        return sys.modules["matplotlib"]
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib as mpl
    except Exception as error:  # a file of settings that is no text, or no folder for its cache
        raise InputError(f"Matplotlib cannot be imported ({error}); check matplotlibrc and MPLCONFIGDIR") from None
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if backend:
        with suppress(ValueError):
            mpl.rcParams["backend"] = backend
    return mpl
