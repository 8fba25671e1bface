"""Serve live scores of plays as they unfold: sbp serve RUN [--port 8000]; needs the extra `serve`.

The service has REST for complete plays, a WebSocket for frames, and documentation of both at /docs. The optional token
comes from a file or the environment variable SBP_TOKEN, never from the command line, which others on the machine can
read.
"""

import gc
import importlib.util
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from sbp_jax.cli.flags import parse
from sbp_jax.errors import InputError

if TYPE_CHECKING:
    from sbp_jax.live import LiveScorer

PACKAGES = ("fastapi", "prometheus_client", "pydantic", "uvicorn", "websockets")
TOKEN = "SBP_TOKEN"
PLAYS = 256
SWITCH_S = 0.0005  # interval after which the scorer's thread yields the interpreter to the I/O thread
INTERRUPTED = "interrupted; all connections are closed"


@dataclass(frozen=True)
class Options:
    """Serve scores of complete plays at POST /v1/plays and frame by frame on the WebSocket /v1/live; see /docs.

    Attributes:
        run: folder of a run, as printed by sbp train, or a folder written by sbp export.
        host: address to listen on; 0.0.0.0 is every address of the machine, which should not be used without a token.
        port: port to listen on; 0 is any free port.
        plays: number of plays that may be open at once, 256 by default; every step computes that many. For an exported
            folder, one of the numbers that it was exported for, by default the largest.
        connections: number of WebSockets that may be open at once.
        max_body_mb: maximum size of a request's body, in MB.
        idle_s: seconds without a frame after which a play is dropped.
        gather_ms: milliseconds that a step waits for frames of other plays.
        allow_origin: origin whose web pages may call, such as https://scores.example; repeatable; * allows all pages.
            The service also answers under the host name of an allowed origin. By default, only the service's own pages
            may call; without a token, it answers only under an IP address, localhost, this machine's name or a name
            without dots.
        token_file: file with the token that callers must send; the environment variable SBP_TOKEN is an alternative.
        step: step of the run's checkpoint; by default the newest.
        trust: import your own head, encoder or objective if the run's configuration names one.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    host: str = "127.0.0.1"
    port: int = 8000
    plays: int | None = None
    connections: int = 512
    max_body_mb: float = 1.0
    idle_s: float = 60.0
    gather_ms: float = 4.0
    allow_origin: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    token_file: Path | None = None
    step: int | None = None
    trust: bool = False


def token_of(file: Path | None) -> str | None:
    """Return the token from a file or the environment; None if there is neither.

    Raises:
        InputError: the token is missing, or cannot be sent in a header.
    """
    if file is None and TOKEN not in os.environ:
        return None
    try:
        token = os.environ[TOKEN] if file is None else file.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        raise InputError(f"{file}: expected a token as text") from None
    if not token:
        raise InputError(f"{file or TOKEN}: expected a token, got nothing")
    if not all("!" <= letter <= "~" for letter in token):
        raise InputError(f"{file or TOKEN}: expected a token of ASCII letters, digits and symbols, without spaces")
    return token


def scorer_of(options: Options) -> "LiveScorer":
    """Return the scorer of a run or of an exported folder."""
    from sbp_jax.live import LiveScorer
    from sbp_jax.live.exported import MANIFEST, load, read_manifest
    from sbp_jax.runs.run import load_run

    if (options.run / MANIFEST).is_file():
        if options.step is not None:
            raise InputError("step: an exported folder has only one")
        return load(options.run, options.plays or max(read_manifest(options.run)["batches"]))
    return LiveScorer.from_run(load_run(options.run, options.step, options.trust), options.plays or PLAYS)


def command(args: list[str]) -> None:
    """Serve until a signal arrives."""
    options = parse(Options, args, "sbp serve")
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"{', '.join(missing)}: not installed; install the extra serve: pip install 'sbp_jax[serve]'")
    from sbp_jax.service import Settings, create_app
    from sbp_jax.service.server import bind, serve

    if options.plays is not None and not 1 <= options.plays <= 4096:
        raise InputError(f"plays: expected from 1 to 4096, got {options.plays}")
    if not 0 < options.max_body_mb < 1024:
        raise InputError(f"max_body_mb: expected a positive number below 1024, got {options.max_body_mb}")
    if not 0 <= options.gather_ms <= 1000:
        raise InputError(f"gather_ms: expected from 0 to 1000, got {options.gather_ms}")
    settings = Settings(
        token=token_of(options.token_file),
        origins=options.allow_origin,
        max_body_bytes=max(1, round(options.max_body_mb * 2**20)),
        connections=options.connections,
        idle_s=options.idle_s,
        gather_s=options.gather_ms / 1000,
    )
    listener = bind(options.host, options.port)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # during startup and after shutdown
    scorer = scorer_of(options)
    host, port = listener.getsockname()[:2]
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def ready() -> None:
        print(f"{options.run}: http://{address} for up to {scorer.batch} plays at once; documentation at /docs")
        if not scorer.spec["per_frame"]:
            print("note: not trained at every frame (training.per_frame): calibrated only at the last frame of a play")
        if settings.token is None and not host.startswith(("127.", "::1")):
            print(f"note: anybody who reaches {address} may call; --token-file or {TOKEN} requires a token")
        sys.stdout.flush()

    sys.setswitchinterval(SWITCH_S)
    # exclude loaded objects from garbage collection, whose scan would stop all plays for a quarter of a second
    gc.collect()
    gc.freeze()
    serve(create_app(scorer, settings), listener, settings, ready)
