"""Clients of a service within the test's process."""

import time
from contextlib import contextmanager

from starlette.testclient import TestClient

from sbp_jax.service import Settings, create_app


@contextmanager
def serving(scorer, **settings):
    with TestClient(create_app(scorer, Settings(**{"gather_s": 0.0} | settings))) as client:
        yield client


def ask(socket, kind, play="a", **more):
    socket.send_json({"type": kind, "play": play} | more)
    return socket.receive_json()


def open_plays(client):
    return client.get("/health").json()["open_plays"]


def wait_until(condition, hang_s=600.0):
    end = time.monotonic() + hang_s  # only ends a test that hangs
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)
