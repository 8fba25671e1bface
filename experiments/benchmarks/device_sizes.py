"""Sizes of the device benchmark: those of an accelerator, and tiny ones that show in seconds that everything runs."""

from dataclasses import dataclass, field

from sbp_jax.models.config import NetworkConfig


@dataclass(frozen=True)
class Sizes:
    """What each part of the device benchmark measures.

    Attributes:
        seconds: for each comparison; every call is timed at least nine times.
        network: of all parts that train or score.
        bins: of the likelihood.
        rows: of the likelihood, one row of results each.
        copy_floats: elements of the array whose copy gives the bandwidth.
        pipelined: calls between two waits for the device.
        plays, held_out, epochs: of the comparison of float32 with bfloat16.
        batch_sizes: at which plays/s are measured; the first is also that of the metrics.
        long_plays, long_epochs, long_validation: of the long training run.
        members, member_steps: of the sweep, and steps of a compiled call.
        rows_together, frames, calls: of live scoring: plays side by side, frames of a play, timed frames.
        tests: folders or files of tests.
    """

    seconds: float = 3.0
    network: NetworkConfig = field(default_factory=NetworkConfig)
    bins: int = 100
    rows: tuple[int, ...] = (131_072, 1_048_576)
    copy_floats: int = 2**28
    pipelined: int = 20
    plays: int = 16_384
    held_out: int = 8_192
    epochs: int = 8
    batch_sizes: tuple[int, ...] = (128, 1024, 4096)
    long_plays: int = 50_000
    long_epochs: int = 20
    long_validation: int = 5_000
    members: int = 16
    member_steps: int = 50
    rows_together: int = 32
    frames: int = 40
    calls: int = 500
    tests: tuple[str, ...] = ("tests/distributions", "tests/models", "tests/training")


FULL = Sizes()
SMOKE = Sizes(
    seconds=0.0,
    network=NetworkConfig(encoder="flat", channels=4, layers=1, hidden=(8,), dropout=0.1),
    bins=20,
    rows=(64, 128),
    copy_floats=1024,
    pipelined=2,
    plays=64,
    held_out=32,
    epochs=2,
    batch_sizes=(16, 32),
    long_plays=64,
    long_epochs=2,
    long_validation=32,
    members=2,
    member_steps=2,
    rows_together=2,
    frames=3,
    calls=6,
    tests=("tests/training/test_config.py",),
)
