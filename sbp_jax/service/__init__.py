"""A service that scores plays while they unfold: REST for whole plays, a WebSocket for frames; the extra `serve`."""

from sbp_jax.service.app import create_app
from sbp_jax.service.settings import Settings

__all__ = ["Settings", "create_app"]
