"""Training state, step, fit and checkpoints; needs only the JAX packages and NumPy."""

from sbp_jax.training.batch_source import DeviceIndexPlan, HostBatchSource, ResidentBatchSource, WindowBatchSource
from sbp_jax.training.checkpoints import Checkpoints
from sbp_jax.training.diverged import DivergedError, DivergenceMonitor, Marginal
from sbp_jax.training.fit import Fitted, fit
from sbp_jax.training.marginal import fit_marginal
from sbp_jax.training.optimizer import Hyperparameters
from sbp_jax.training.resident import Resident, device_bytes, to_device
from sbp_jax.training.step import FrameWeights, Predictor, State, Trainer, arrays

__all__ = [
    "Checkpoints",
    "DeviceIndexPlan",
    "DivergedError",
    "DivergenceMonitor",
    "Fitted",
    "FrameWeights",
    "HostBatchSource",
    "Hyperparameters",
    "Marginal",
    "Predictor",
    "Resident",
    "ResidentBatchSource",
    "State",
    "Trainer",
    "WindowBatchSource",
    "arrays",
    "device_bytes",
    "fit",
    "fit_marginal",
    "to_device",
]
