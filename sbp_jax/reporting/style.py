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

    The user's `matplotlibrc` and the session's settings do not change the figure, and are unchanged afterward.

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
    """Import Matplotlib whatever MPLBACKEND is: commands of a notebook inherit a backend that may not be installed."""
    if "matplotlib" in sys.modules:
        return sys.modules["matplotlib"]
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib as mpl
    except Exception as error:  # a settings file that is not text, or no folder for the cache
        raise InputError(f"Matplotlib cannot be imported ({error}); check matplotlibrc and MPLCONFIGDIR") from None
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if backend:
        with suppress(ValueError):  # Matplotlib does not have this backend; figures need none
            mpl.rcParams["backend"] = backend
    return mpl
