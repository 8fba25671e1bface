"""Access control: a token, and a limit on the number of WebSockets."""

import hmac
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from sbp_jax.service import messages
from sbp_jax.service.messages import Refusal
from sbp_jax.service.metrics import Metrics
from sbp_jax.service.settings import Settings

OPEN = ("/health",)  # paths that need no token


def refused(refusal: Refusal) -> Response:
    """Return a rejection as a REST response."""
    content = {"code": refusal.code, "field": refusal.field, "message": refusal.message}
    headers = {"WWW-Authenticate": "Bearer"} if refusal.code == 401 else None
    return Response(messages.render(content), refusal.code, headers, "application/json")


class Gate:
    """The application behind a token check: `Authorization: Bearer`, or `?token=` of a WebSocket."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics
        self._sockets = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a call or reject it."""
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        elif scope["type"] != "http" or scope["path"] in OPEN or self._is_authorized(scope):
            await self._app(scope, receive, send)
        else:
            await self._refused()(scope, receive, send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = None
        if not self._is_authorized(scope):
            refusal = self._refused()
        elif self._sockets >= self._settings.connections:
            self._metrics.errors.labels("429").inc()
            max_connections = self._settings.connections
            refusal = refused(Refusal(429, "connection", f"the limit of {max_connections} open connections is reached"))
        if refusal:
            socket = WebSocket(scope, receive, send)
            await socket.receive()
            if "websocket.http.response" in scope.get("extensions", {}):
                await socket.send_denial_response(refusal)
            else:
                await socket.close(1008)
            return
        self._sockets += 1
        self._metrics.connections.set(self._sockets)
        try:
            await self._app(scope, receive, send)
        finally:
            self._sockets -= 1
            self._metrics.connections.set(self._sockets)

    def _refused(self) -> Response:
        self._metrics.errors.labels("401").inc()
        return refused(Refusal(401, "token", "expected this service's token, as Authorization: Bearer TOKEN"))

    def _is_authorized(self, scope: Scope) -> bool:
        token = self._settings.token
        if token is None:
            return True
        kind, _, credentials = Headers(scope=scope).get("authorization", "").partition(" ")
        candidates = [credentials.strip()] if kind.lower() == "bearer" else []
        if scope["type"] == "websocket":
            candidates += parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [])
        # compare in constant time
        return any(hmac.compare_digest(each.encode(), token.encode()) for each in candidates)
