"""What a service allows."""

from dataclasses import dataclass, field

from sbp_jax.errors import InputError


@dataclass(frozen=True)
class Settings:
    """Limits of a service; how many plays are open at once is the scorer's `batch`.

    Attributes:
        token: what callers must show; None: anybody may call.
        max_body_bytes: of a request's body.
        max_message_bytes: of a WebSocket's message, far more than a frame has.
        connections: WebSockets open at once.
        requests: REST plays that are read or scored at once.
        waiting: messages of one WebSocket that wait for their answer or for its being read; beyond, no more are read.
        idle_s: after so long without a message of it a play is dropped.
        send_s: after so long without reading its answers a client is cut off; within as long a body must arrive.
        gather_s: how long a step waits for frames of other plays; more is slower for one play and cheaper for many.

    Raises:
        InputError: a limit that is not positive, or an empty token.
    """

    token: str | None = field(default=None, repr=False)
    max_body_bytes: int = 1 << 20
    max_message_bytes: int = 1 << 16
    connections: int = 512
    requests: int = 32
    waiting: int = 256
    idle_s: float = 60.0
    send_s: float = 10.0
    gather_s: float = 0.004

    def __post_init__(self) -> None:
        for name in ("max_body_bytes", "max_message_bytes", "connections", "requests", "waiting", "idle_s", "send_s"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name}: expected a positive number, got {getattr(self, name)}")
        if not 0 <= self.gather_s <= 1:
            raise InputError(f"gather_s: expected from 0 to 1 second, got {self.gather_s}")
        if self.token is not None and not self.token:
            raise InputError("token: expected one that is not empty")
