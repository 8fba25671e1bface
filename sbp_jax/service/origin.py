"""The web pages that may call the service: browsers send a page's origin and the host name to which they connected.

Without these checks any page that a browser opens could use a service on the same machine: a WebSocket is not subject
to the browser's same-origin policy, and a page whose domain name resolves to this machine (DNS rebinding) has the
service's own origin. Programs other than browsers send no origin.
"""

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from sbp_jax.errors import InputError
from sbp_jax.service.messages import Refusal

ANY = "*"
_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_SAFE = ("GET", "HEAD")  # methods without effects, whose answers a page of another origin cannot read


def checked_origins(origins: Iterable[str]) -> tuple[str, ...]:
    """Return origins in lower case and without default ports.

    Raises:
        InputError: not `*` or SCHEME://HOST[:PORT].
    """
    return tuple(origin if origin == ANY else _normalized(origin) for origin in origins)


def refusal_of(scope: Scope, origins: tuple[str, ...], has_token: bool) -> Refusal | None:
    """Return the reason to reject a call, None if it is allowed.

    Args:
        scope: of a request or WebSocket.
        origins: allowed origins, from `checked_origins`; the host of an allowed origin is an allowed host.
        has_token: whether callers must send a token; the host name is then not checked.
    """
    if ANY in origins:
        return None
    headers = Headers(scope=scope)
    host = headers.get("host", "").lower()
    # monitors call /health by names that the service does not know
    if host and not has_token and scope["path"] != "/health" and not _is_known(_name(host), origins):
        return Refusal(403, "host", f"{host[:100]}: not a name of this service; --allow-origin http://HOST allows it")
    origin = headers.get("origin")
    if origin is None or (scope["type"] == "http" and scope["method"] in _SAFE):
        return None
    try:
        origin = _normalized(origin)
    except InputError:
        return Refusal(403, "origin", "web pages without an origin may not call this service")
    parts = urlsplit(origin)
    if origin in origins or parts.netloc == _netloc(parts.scheme, host):
        return None
    return Refusal(403, "origin", f"pages of {origin[:100]} may not call this service; --allow-origin allows them")


def allowed_origin(scope: Scope, origins: tuple[str, ...]) -> str | None:
    """Return the caller's origin, unchanged, if `origins` allows it, for the header that lets it read the response."""
    origin = Headers(scope=scope).get("origin")
    if origin is None or ANY in origins:
        return origin
    try:
        return origin if _normalized(origin) in origins else None
    except InputError:
        return None


def _normalized(origin: str) -> str:
    message = f"allow_origin: expected SCHEME://HOST[:PORT], such as https://scores.example, or *, got {origin}"
    try:
        parts = urlsplit(origin.lower())
        complete = bool(parts.scheme and parts.hostname) and parts.port != 0
    except ValueError:
        raise InputError(message) from None
    if not complete or parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise InputError(message)
    return f"{parts.scheme}://{_netloc(parts.scheme, parts.netloc)}"


def _netloc(scheme: str, netloc: str) -> str:
    """A host and port without the scheme's default port."""
    return netloc.removesuffix(f":{_PORTS.get(scheme)}")


def _name(host: str) -> str:
    """The name in a Host header; empty for a malformed one."""
    try:
        return (urlsplit(f"//{host}").hostname or "").removesuffix(".")
    except ValueError:
        return ""


def _is_known(name: str, origins: tuple[str, ...]) -> bool:
    """Whether a name cannot be a domain that someone else registered and pointed at this machine."""
    if "." not in name and ":" not in name:  # localhost, or a name of the local network
        return bool(name)
    try:
        ipaddress.ip_address(name)
    except ValueError:
        known = {urlsplit(origin).hostname for origin in origins}
        local = socket.gethostname().lower()
        return name.endswith(".localhost") or name in known | {local, f"{local}.local"}
    return True
