"""`python -m tests.peak_memory FOLDER SOURCE OUT`: train on a prepared data set, print the peak of RssAnon in bytes.

RssAnon is memory that belongs to no file (Linux, /proc/self/status); it is sampled every few milliseconds.
"""

import json
import sys
import threading
from pathlib import Path


def rss_anon() -> int:
    """Return the anonymous memory of this process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return 1024 * int(line.split()[1])
    raise RuntimeError("no RssAnon in /proc/self/status")


class Peak:
    """The maximum of RssAnon inside the block."""

    def __init__(self) -> None:
        self.value, self._ended = rss_anon(), threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(0.005):
            self.value = max(self.value, rss_anon())


def main() -> None:
    """Train one epoch and predict the test plays."""
    folder, source, out = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    import sbp_jax as sbp
    from sbp_jax.data.prepared.dataset import describe, load
    from sbp_jax.runs.datasets import PlayDataset
    from sbp_jax.runs.train import train_folder

    config = sbp.Config(
        network=sbp.NetworkConfig(encoder="flat", channels=4, layers=5, hidden=(8,)),
        training=sbp.TrainingConfig(epochs=1, batch_size=32, batch_source=source),
    )
    with Peak() as peak:
        before = peak.value
        trained = train_folder(config, PlayDataset(describe(folder), None), out, progress=False)
        after_training = peak.value
        run = sbp.load_run(trained)
        run.predict(load(folder, "test", mapped=source != "memory")).median().block_until_ready()
    print(json.dumps({"before": before, "training": after_training, "peak": peak.value, "run": str(trained)}))


if __name__ == "__main__":
    main()
