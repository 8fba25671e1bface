"""Limits of the service."""

from dataclasses import dataclass, field

from sbp_jax.errors import InputError
from sbp_jax.service.origin import checked_origins


@dataclass(frozen=True)
class Settings:
    """Limits of a service; the number of plays open at once is the scorer's `batch`.

    Attributes:
        token: token that callers must send; None lets anyone call.
        origins: web pages that may call, in addition to the service's own: SCHEME://HOST[:PORT], or * for all.
        max_body_bytes: maximum size of a request's body.
        max_message_bytes: maximum size of a WebSocket message, far more than a frame needs.
        connections: maximum number of open WebSockets.
        requests: maximum number of REST plays that are read or scored at once.
        waiting: maximum number of unanswered messages of one WebSocket; beyond it no more are read.
        idle_s: seconds without a message after which a play is dropped.
        send_s: seconds without reading answers after which a client is disconnected; also the time limit of a body.
        gather_s: seconds that a step waits for frames of other plays; more is slower for one play and cheaper for many.

    Raises:
        InputError: a limit is not positive, the token is empty, or an origin is invalid.
    """

    token: str | None = field(default=None, repr=False)
    origins: tuple[str, ...] = ()
    max_body_bytes: int = 1 << 20
    max_message_bytes: int = 1 << 16
    connections: int = 512
    requests: int = 32
    waiting: int = 256
    idle_s: float = 60.0
    send_s: float = 10.0
    gather_s: float = 0.004

    def __post_init__(self) -> None:
        object.__setattr__(self, "origins", checked_origins(self.origins))
        for name in ("max_body_bytes", "max_message_bytes", "connections", "requests", "waiting", "idle_s", "send_s"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name}: expected a positive number, got {getattr(self, name)}")
        if not 0 <= self.gather_s <= 1:
            raise InputError(f"gather_s: expected from 0 to 1 second, got {self.gather_s}")
        if self.token is not None and not self.token:
            raise InputError("token: expected a nonempty one")
