"""The peer's training step: a TCN in PyTorch under the published loss, `gluonts.torch`'s Spliced Binned-Pareto."""

from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.properties.peer import Peer

LEARNING_RATE = 1e-7  # the one batch, fitted a thousand times, drives the peer's gradients to NaN
TAIL_MASS = 0.05


def training_step(
    peer: Peer, x: np.ndarray, mask: np.ndarray, yards: np.ndarray, layers: int, channels: int, kernel: int, bins: int
) -> Callable[[], float]:
    """A call that takes one step of Adam and returns its loss.

    Args:
        peer: the installed package.
        x: float32 `[B, T, features]`.
        mask: bool `[B, T]`; the state of the last True frame decides.
        yards: float32 `[B]`.
        layers, channels, kernel: of the TCN: residual blocks of two dilated causal convolutions, as ours.
        bins: of the law, between -10 and 60 yards.
    """
    torch, distributions = peer._torch, peer._distributions
    torch.manual_seed(0)
    network, head = _network(torch, x.shape[-1], layers, channels, kernel), torch.nn.Linear(channels, bins + 4)
    optimizer = torch.optim.Adam([*network.parameters(), *head.parameters()], lr=LEARNING_RATE)
    frames = torch.tensor(np.swapaxes(x, 1, 2).copy())
    last, outcome = torch.tensor(mask.sum(axis=1) - 1), torch.tensor(yards)
    rows = torch.arange(len(yards))
    positive = torch.nn.functional.softplus

    def step() -> float:
        optimizer.zero_grad()
        raw = head(network(frames)[rows, :, last])
        tails = [positive(raw[:, i : i + 1]) for i in range(bins, bins + 4)]
        law = distributions.SplicedBinnedPareto(
            -10.0, 60.0, raw[:, :bins], *tails, bins, TAIL_MASS, validate_args=False
        )
        loss = -law.log_prob(outcome).mean()
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


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
