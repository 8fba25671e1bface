"""A service that scores plays as they unfold: REST for complete plays, a WebSocket for frames; the extra `serve`."""

from sbp_jax.service.app import create_app
from sbp_jax.service.settings import Settings

__all__ = ["Settings", "create_app"]
