"""State, step, fit, checkpoints; runs where only the jax family and NumPy are installed."""

from sbp_jax.training.checkpoints import Checkpoints
from sbp_jax.training.diverged import DivergedError, Marginal, Watch
from sbp_jax.training.feed import HostFeed, ResidentFeed, Schedule, WindowFeed
from sbp_jax.training.fit import Fitted, fit
from sbp_jax.training.marginal import fit_marginal
from sbp_jax.training.optimizer import Hyperparameters
from sbp_jax.training.resident import Resident, device_bytes, to_device
from sbp_jax.training.step import FrameWeights, Predictor, State, Trainer, arrays

__all__ = [
    "Checkpoints",
    "DivergedError",
    "Fitted",
    "FrameWeights",
    "HostFeed",
    "Hyperparameters",
    "Marginal",
    "Predictor",
    "Resident",
    "ResidentFeed",
    "Schedule",
    "State",
    "Trainer",
    "Watch",
    "WindowFeed",
    "arrays",
    "device_bytes",
    "fit",
    "fit_marginal",
    "to_device",
]
