"""The service as an ASGI application."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastapi import FastAPI, Request, Response, WebSocket
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import RedirectResponse

from sbp_jax.live import LiveScorer
from sbp_jax.service import documentation, messages, schema
from sbp_jax.service.batcher import Batcher
from sbp_jax.service.gate import Gate, refused
from sbp_jax.service.live import Connection
from sbp_jax.service.messages import Expected, Refusal
from sbp_jax.service.metrics import Metrics
from sbp_jax.service.settings import Settings

_PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": schema.Problem, "description": why}
    for code, why in (
        (400, "Not JSON"),
        (401, "No token"),
        (403, "Foreign origin or host"),
        (413, "Too large"),
        (422, "Rejected"),
        (429, "Too many"),
    )
}


def create_app(scorer: LiveScorer, settings: Settings | None = None) -> FastAPI:
    """Create the service of a scorer and take ownership of the scorer; each of its rows holds one open play.

    Args:
        scorer: from a run or an exported folder.
        settings: limits and token of the service.
    """
    config = settings or Settings()
    metrics = Metrics()
    batcher = Batcher(scorer, metrics, config.gather_s)
    service = _Service(batcher, config, metrics, Expected.of(scorer.spec), set())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        batcher.start()
        sweep = asyncio.create_task(service.sweep())
        yield
        sweep.cancel()
        await batcher.close()

    app = FastAPI(
        title="Plays, scored while they unfold",
        description=schema.PROTOCOL,
        version="1",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's pages load scripts from the network
        redoc_url=None,
    )
    app.add_middleware(Gate, settings=config, metrics=metrics)

    @app.exception_handler(Refusal)
    async def refuse(_: Request, refusal: Refusal) -> Response:
        metrics.errors.labels(str(refusal.code)).inc()
        return refused(refusal)

    @app.exception_handler(HTTPException)
    async def refuse_http(request: Request, error: HTTPException) -> Response:
        metrics.errors.labels(str(error.status_code)).inc()
        field = "method" if error.status_code == 405 else "path"
        message = f"{request.method} {request.url.path}: {error.detail}"
        return refused(Refusal(error.status_code, field, message), error.headers)

    @app.get("/", include_in_schema=False)
    async def start() -> Response:
        return RedirectResponse("/docs")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return documentation.page(app.openapi())

    @app.get("/health", responses={200: {"model": schema.Health}, 503: {"model": schema.Health}})
    async def health() -> Response:
        """Report whether the service scores plays; needs no token."""
        status = {"status": batcher.broken or "ok", "open_plays": batcher.open_plays, "plays": scorer.batch}
        return _json(status, 503 if batcher.broken else 200)

    @app.get("/metrics")
    async def counted() -> Response:
        """Return counters and times in the Prometheus format."""
        return Response(metrics.page(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/v1/spec", responses={200: {"model": schema.Spec}})
    async def spec() -> Response:
        """Return the required content of messages."""
        names = ("players", "frame_s", "outcome", "integer", "in_yards", "levels", "per_frame")
        expected = {"features": service.expected.features, "static": service.expected.static}
        content = {name: scorer.spec[name] for name in names} | expected
        return _json(content | {"passing_score": bool(scorer.spec["league"])})

    body = {"required": True, "content": {"application/json": {"schema": schema.PlayRequest.model_json_schema()}}}
    answers = {200: {"model": schema.PlayAnswer}, **_PROBLEMS}

    @app.post("/v1/plays", responses=answers, openapi_extra={"requestBody": body})
    async def play(request: Request) -> Response:
        """Score a complete play."""
        return await service.play(request)

    @app.websocket("/v1/live")
    async def live(socket: WebSocket) -> None:
        connection = Connection(socket, batcher, config, metrics, service.expected)
        service.connections.add(connection)
        try:
            await connection.run()
        finally:
            service.connections.discard(connection)

    return app


@dataclass(eq=False)
class _Service:
    batcher: Batcher
    settings: Settings
    metrics: Metrics
    expected: Expected
    connections: set[Connection]
    requests: int = 0

    async def sweep(self) -> None:
        """Drop idle plays until cancelled."""
        while True:
            await asyncio.sleep(min(1.0, self.settings.idle_s / 4))
            for connection in tuple(self.connections):
                connection.drop_idle(time.perf_counter())

    async def play(self, request: Request) -> Response:
        """Answer a complete play."""
        if self.requests >= self.settings.requests:
            raise Refusal(429, "message", f"the limit of {self.settings.requests} plays in progress is reached")
        self.requests += 1
        try:
            message, frames, static, outcome = self._read(await self._body(request))
            if message.distribution or message.every_frame:
                content = await self._unfold(message, frames, static, outcome)
            else:
                content = await self._at_once(message, frames, static, outcome)
        finally:
            self.requests -= 1
        if outcome is not None:
            self.metrics.scored.inc()
        return _json(content)

    async def _body(self, request: Request) -> bytes:
        max_bytes = self.settings.max_body_bytes
        try:
            content_length = int(request.headers.get("content-length", "0"))
        except ValueError:
            content_length = 0
        parts, size = [], 0
        try:
            async with asyncio.timeout(self.settings.send_s):
                async for part in request.stream():
                    parts.append(part)
                    size += len(part)
                    if max(size, content_length) > max_bytes:
                        raise Refusal(413, "message", f"expected a body of at most {max_bytes:,} bytes")
        except TimeoutError:
            raise Refusal(408, "message", f"the body did not arrive within {self.settings.send_s:g} s") from None
        except ClientDisconnect:
            raise Refusal(400, "message", "the body did not arrive") from None
        return b"".join(parts)

    def _read(self, body: bytes) -> tuple[schema.PlayRequest, np.ndarray, dict[str, float], float | None]:
        value = messages.object_of(messages.parse(body))
        messages.check_keys(value, schema.PlayRequest.model_fields)
        try:
            message = schema.PlayRequest.model_validate(value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            raise Refusal(422, ".".join(map(str, first["loc"])), first["msg"]) from None
        frames = messages.frames_of(message.frames, self.expected)
        outcome = None if message.outcome is None else messages.number_of(message.outcome, "outcome")
        return message, frames, messages.static_of(message.static, self.expected), outcome

    async def _at_once(
        self, message: schema.PlayRequest, frames: np.ndarray, static: dict[str, float], outcome: float | None
    ) -> dict[str, Any]:
        def call(scorer: LiveScorer) -> tuple[Any, Any]:
            score = None if outcome is None else scorer.score_play(frames, static, outcome, message.touchdown)
            return scorer.whole_play(frames, static), score

        summary, score = await self.batcher.ask(self.batcher.aside(), "call", call)
        return _content(summary, score)

    async def _unfold(
        self, message: schema.PlayRequest, frames: np.ndarray, static: dict[str, float], outcome: float | None
    ) -> dict[str, Any]:
        """Score frame by frame in a row of the scorer, next to the plays of other clients."""
        slot = self.batcher.open()
        try:
            kinds: list[tuple[Any, Any]] = [("reset", static), *(("frame", frame) for frame in frames)]
            kinds += [("distribution", None)] if message.distribution else []
            kinds += [] if outcome is None else [("finish", (outcome, message.touchdown))]
            futures = [self.batcher.ask(slot, kind, value) for kind, value in kinds]
            results: list[Any] = await asyncio.gather(*futures, return_exceptions=True)
        finally:
            self.batcher.release(slot)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        self.metrics.frames.inc(len(frames))
        summaries, rest = results[1 : len(frames) + 1], results[len(frames) + 1 :]
        content = _content(summaries[-1], None if outcome is None else rest[-1])
        content["distribution"] = messages.distribution_of(rest[0]) if message.distribution else None
        content["every_frame"] = [messages.summary_of(each) for each in summaries] if message.every_frame else None
        return content


def _content(summary: Any, score: Any) -> dict[str, Any]:
    return {
        "summary": messages.summary_of(summary),
        "score": None if score is None else messages.score_of(score),
        "distribution": None,
        "every_frame": None,
    }


def _json(value: Any, code: int = 200) -> Response:
    return Response(messages.render(value), code, media_type="application/json")
