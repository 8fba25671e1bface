"""The reference network in PyTorch under the published distribution, `gluonts.torch`'s Spliced Binned-Pareto."""

from collections.abc import Callable
from typing import Any

import numpy as np

from sbp_jax.evaluation.conformance.reference import Reference

LEARNING_RATE = 1e-7  # a thousand fits of one batch drive the gradients of gluonts to NaN
TAIL_MASS = 0.05


def training_step(
    reference: Reference, x: np.ndarray, mask: np.ndarray, yards: np.ndarray, sizes: tuple[int, int, int], bins: int
) -> Callable[[], float]:
    """Return a call that takes one step of Adam and returns its loss.

    Args:
        reference: the installed package.
        x: float32 `[B, T, features]`.
        mask: bool `[B, T]`; the prediction uses the state of the last True frame.
        yards: float32 `[B]`.
        sizes: layers, channels and kernel size of the TCN: residual blocks of two dilated causal convolutions, as ours.
        bins: number of bins of the distribution, between -10 and 60 yards.
    """
    torch, distributions = reference._torch, reference._distributions
    layers, channels, kernel = sizes
    torch.manual_seed(0)
    network, head = _network(torch, x.shape[-1], layers, channels, kernel), torch.nn.Linear(channels, bins + 4)
    optimizer = torch.optim.Adam([*network.parameters(), *head.parameters()], lr=LEARNING_RATE)
    frames = torch.tensor(np.swapaxes(x, 1, 2).copy())
    last, outcome = torch.tensor(mask.sum(axis=1) - 1), torch.tensor(yards)
    rows = torch.arange(len(yards))

    def step() -> float:
        optimizer.zero_grad()
        dist = _dist(torch, distributions, head(network(frames)[rows, :, last]), bins)
        loss = -dist.log_prob(outcome).mean()
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def live_call(reference: Reference, x: np.ndarray, traced: bool) -> Callable[[], Any]:
    """Return a call that computes three quantiles of plays by network and `icdf`, without gradients, on one thread.

    Args:
        reference: the installed package.
        x: float32 `[B, T, players, features]`.
        traced: compile the network by `torch.jit.trace`; the distribution cannot be compiled.
    """
    torch, distributions = reference._torch, reference._distributions
    torch.set_num_threads(1)
    torch.manual_seed(0)
    frames = torch.tensor(np.swapaxes(x.reshape(*x.shape[:2], -1), 1, 2).copy())
    model = torch.nn.Sequential(_network(torch, frames.shape[1], 4, 64, 3), _last(torch), torch.nn.Linear(64, 104))
    call = torch.jit.trace(model, frames) if traced else model
    levels = [torch.full((len(x),), level) for level in (0.05, 0.5, 0.95)]

    def quantiles() -> list[Any]:
        with torch.no_grad():
            dist = _dist(torch, distributions, call(frames), 100)
            return [dist.icdf(level) for level in levels]

    return quantiles


def _last(torch: Any) -> Any:
    """A module that selects the state of the last frame."""

    class Last(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return x[:, :, -1]

    return Last()


def _dist(torch: Any, distributions: Any, raw: Any, bins: int) -> Any:
    tails = [torch.nn.functional.softplus(raw[:, i : i + 1]) for i in range(bins, bins + 4)]
    return distributions.SplicedBinnedPareto(-10.0, 60.0, raw[:, :bins], *tails, bins, TAIL_MASS, validate_args=False)


def _network(torch: Any, features: int, layers: int, channels: int, kernel: int) -> Any:
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self, inputs: int, dilation: int) -> None:
            super().__init__()
            self.pad = ((kernel - 1) * dilation, 0)
            self.first = nn.Conv1d(inputs, channels, kernel, dilation=dilation)
            self.second = nn.Conv1d(channels, channels, kernel, dilation=dilation)
            self.around = nn.Conv1d(inputs, channels, 1) if inputs != channels else nn.Identity()

        def forward(self, x: Any) -> Any:
            h = torch.relu(self.first(nn.functional.pad(x, self.pad)))
            h = torch.relu(self.second(nn.functional.pad(h, self.pad)))
            return torch.relu(h + self.around(x))

    blocks = [Block(features if i == 0 else channels, 2**i) for i in range(layers)]
    return nn.Sequential(*blocks)
