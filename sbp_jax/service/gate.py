"""Access control: the origin of web pages, a token, and a limit on the number of WebSockets."""

import hmac
from collections.abc import Mapping
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from sbp_jax.service import messages, origin
from sbp_jax.service.messages import Refusal
from sbp_jax.service.metrics import Metrics
from sbp_jax.service.settings import Settings

OPEN = ("/health",)  # paths that need no token
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": "600",
}


def refused(refusal: Refusal, headers: Mapping[str, str] | None = None) -> Response:
    """Return a rejection as a REST response."""
    content = {"code": refusal.code, "field": refusal.field, "message": refusal.message}
    if refusal.code == 401:
        headers = {"WWW-Authenticate": "Bearer"}
    return Response(messages.render(content), refusal.code, headers, "application/json")


class Gate:
    """The application behind checks of the caller's origin and token.

    The token is in `Authorization: Bearer`, or in `?token=` of a WebSocket. A HEAD request gets the headers of GET.
    """

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics
        self._sockets = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a call or reject it."""
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        elif scope["type"] == "http":
            await self._request(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        page = origin.allowed_origin(scope, self._settings.origins)
        reply = _Reply(send, page, without_body=scope["method"] == "HEAD")
        refusal = self._refusal(scope)
        if page is not None and scope["method"] == "OPTIONS":  # a browser's preflight request, which has no token
            await Response(status_code=204, headers=PREFLIGHT)(scope, receive, reply)
        elif refusal is not None:
            await refused(refusal)(scope, receive, reply)
        else:
            await self._app({**scope, "method": "GET"} if reply.without_body else scope, receive, reply)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope)
        if refusal is None and self._sockets >= self._settings.connections:
            max_connections = self._settings.connections
            refusal = Refusal(429, "connection", f"the limit of {max_connections} open connections is reached")
            self._metrics.errors.labels("429").inc()
        if refusal is not None:
            socket = WebSocket(scope, receive, send)
            await socket.receive()
            if "websocket.http.response" in scope.get("extensions", {}):
                await socket.send_denial_response(refused(refusal))
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

    def _refusal(self, scope: Scope) -> Refusal | None:
        refusal = origin.refusal_of(scope, self._settings.origins, self._settings.token is not None)
        if refusal is None and scope["path"] not in OPEN and not self._is_authorized(scope):
            refusal = Refusal(401, "token", "expected this service's token, as Authorization: Bearer TOKEN")
        if refusal is not None:
            self._metrics.errors.labels(str(refusal.code)).inc()
        return refusal

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


class _Reply:
    """Send a response, with the header that lets an allowed page read it, and without a body if it is for HEAD."""

    def __init__(self, send: Send, page: str | None, without_body: bool) -> None:
        self._send, self._page, self.without_body = send, page, without_body

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [(b"vary", b"Origin")]  # a cache must not give one page's answer to another
            if self._page is not None:
                headers.append((b"access-control-allow-origin", self._page.encode("latin-1")))
            message = {**message, "headers": [*message.get("headers", []), *headers]}
        if message["type"] == "http.response.body" and self.without_body:
            message = {**message, "body": b""}
        await self._send(message)
