"""Counters of the service in Prometheus' format."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 5.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Metrics:
    """Counters of one service in its own registry: two services in a process do not share them.

    Attributes:
        plays, connections: number open now.
        frames: frames received; a REST play scored in one call has none.
        scored: plays scored.
        errors: rejected messages, by code.
        step: seconds per step of all rows, other jobs included.
        latency: seconds from a frame's arrival until its summary is in the connection's buffer.
        fill: frames per step.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.plays = Gauge("sbp_open_plays", "Plays open now", registry=registry)
        self.connections = Gauge("sbp_connections", "WebSockets open now", registry=registry)
        self.frames = Counter("sbp_frames", "Frames received", registry=registry)
        self.scored = Counter("sbp_plays_scored", "Plays scored", registry=registry)
        self.errors = Counter("sbp_errors", "Messages rejected, by code", ["code"], registry=registry)
        self.step = Histogram("sbp_step_seconds", "Time of a step", buckets=_SECONDS, registry=registry)
        self.latency = Histogram("sbp_latency_seconds", "From frame to summary", buckets=_SECONDS, registry=registry)
        self.fill = Histogram("sbp_batch_fill", "Frames in a step", buckets=_ROWS, registry=registry)

    def page(self) -> bytes:
        """Return all counters as text."""
        return generate_latest(self.registry)
