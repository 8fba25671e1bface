"""The peer's network in PyTorch under the published distribution, `gluonts.torch`'s Spliced Binned-Pareto: steps and
calls."""

from collections.abc import Callable
from typing import Any

import numpy as np

from sbp_jax.evaluation.conformance.reference import Reference

LEARNING_RATE = 1e-7  # the one batch, fitted a thousand times, drives the peer's gradients to NaN
TAIL_MASS = 0.05


def training_step(
    peer: Reference,
    x: np.ndarray,
    mask: np.ndarray,
    yards: np.ndarray,
    layers: int,
    channels: int,
    kernel: int,
    bins: int,
) -> Callable[[], float]:
    """A call that takes one step of Adam and returns its loss.

    Args:
        peer: the installed package.
        x: float32 `[B, T, features]`.
        mask: bool `[B, T]`; the state of the last True frame decides.
        yards: float32 `[B]`.
        layers, channels, kernel: of the TCN: residual blocks of two dilated causal convolutions, as ours.
        bins: of the distribution, between -10 and 60 yards.
    """
    torch, distributions = peer._torch, peer._distributions
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


def live_call(peer: Reference, x: np.ndarray, traced: bool) -> Callable[[], Any]:
    """A call that says three quantiles of plays: network, distribution and its `icdf`, without gradients, on one
    thread.

    Args:
        peer: the installed package.
        x: float32 `[B, T, players, features]`.
        traced: the network is compiled by `torch.jit.trace`; the distribution cannot be.
    """
    torch, distributions = peer._torch, peer._distributions
    torch.set_num_threads(1)
    torch.manual_seed(0)
    frames = torch.tensor(np.swapaxes(x.reshape(*x.shape[:2], -1), 1, 2).copy())
    whole = torch.nn.Sequential(_network(torch, frames.shape[1], 4, 64, 3), _last(torch), torch.nn.Linear(64, 104))
    call = torch.jit.trace(whole, frames) if traced else whole
    levels = [torch.full((len(x),), level) for level in (0.05, 0.5, 0.95)]

    def quantiles() -> list[Any]:
        with torch.no_grad():
            dist = _dist(torch, distributions, call(frames), 100)
            return [dist.icdf(level) for level in levels]

    return quantiles


def _last(torch: Any) -> Any:
    """A module that takes the state of the last frame."""

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
