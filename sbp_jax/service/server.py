"""Serve the application on a socket with uvicorn; close connections that it would leave open."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from sbp_jax.errors import InputError
from sbp_jax.service.settings import Settings

GRACE_S = 5.0  # for open connections when the service stops, and for the last message to a disconnected client


def bind(host: str, port: int) -> socket.socket:
    """Bind a socket to an address without listening yet; port 0 is any free port.

    Raises:
        InputError: unknown host, or a port that is in use or not allowed.
    """
    if not 0 <= port < 65536:
        raise InputError(f"port: expected from 0 to 65535, got {port}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise InputError(f"host: {host}: {error.strerror}") from None
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise InputError(f"port: {host}:{port}: {error.strerror}") from None
    return listener


def serve(app: FastAPI, listener: socket.socket, settings: Settings, ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT; WebSockets are then closed with code 1012, and the signal is raised again.

    Args:
        app: from `create_app`.
        listener: from `bind`.
        settings: settings of the application.
        ready: called when clients can connect.
    """
    config = uvicorn.Config(
        app,
        http=_protocol(settings.send_s),
        ws=_WebSocketProtocol,
        ws_max_size=max(settings.max_body_bytes, settings.max_message_bytes),
        ws_per_message_deflate=False,  # numbers compress poorly, and compressing them takes longer than scoring them
        access_log=False,  # an address may contain a token
        log_level="warning",
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=int(GRACE_S),
    )
    _Server(config, ready).run([listener])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


class _WebSocketProtocol(WebSocketsSansIOProtocol):
    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        super().on_task_complete(task)
        # a client that does not read would keep a closed connection and its buffer forever
        self.loop.call_later(GRACE_S, self.transport.abort)


def _protocol(patience_s: float) -> type[asyncio.Protocol]:
    """Return the HTTP protocol that closes a connection without a request within that time."""

    class Protocol(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.loop.call_later(patience_s, self._end_unless_asked)

        def _end_unless_asked(self) -> None:
            # a WebSocket uses another protocol by then
            if self.cycle is None and self.transport.get_protocol() is self:
                self.transport.abort()

    return Protocol
