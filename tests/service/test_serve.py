"""The service as a command: on a socket, with clients that stall or send too much, until SIGTERM; one-line errors."""

import asyncio
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("websockets")

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from sbp_jax.cli import serve
from sbp_jax.errors import InputError
from tests.service.scorers import frame, total

pytestmark = pytest.mark.unoptimized

HANG_S = 600  # only ends a test that hangs
CODE = """
import sys
from sbp_jax.cli import serve
from sbp_jax.cli.flags import run
from tests.service.scorers import sums
serve.scorer_of = lambda options: sums(options.plays)
run(serve.command, sys.argv[1:])
"""


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    token = tmp_path_factory.mktemp("token") / "token"
    token.write_text("sesame\n")
    words = ["nowhere", "--port", "0", "--plays", "8", "--token-file", str(token)]
    process = subprocess.Popen([sys.executable, "-c", CODE, *words], stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def address(process):
    line = process.stdout.readline()
    assert "http://127.0.0.1:" in line
    return line.split("http://")[1].split()[0]


def opened(address):
    return connect(f"ws://{address}/v1/live?token=sesame", compression=None, max_queue=1, ping_interval=None)


async def ask(socket, kind, play="a", **more):
    await socket.send(json.dumps({"type": kind, "play": play} | more))
    return json.loads(await asyncio.wait_for(socket.recv(), HANG_S))


@pytest.mark.slow
def test_one_who_stalls_and_one_who_sends_too_much_do_not_reach_the_others(address):
    async def all_of_them():
        good, stalled, greedy = [await opened(address) for _ in range(3)]
        await ask(good, "reset")
        await stalled.send(json.dumps({"type": "reset", "play": "a"}))
        flood = asyncio.create_task(send_without_end(stalled))
        with pytest.raises(ConnectionClosed) as closed:
            await send_too_much(greedy)
        for seq in range(10):
            answer = await ask(good, "frame", frame=frame(2.0), seq=seq)
            assert answer["median"] == pytest.approx(total([frame(2.0)] * (seq + 1)))
        flood.cancel()
        for one in (good, stalled, greedy):
            one.transport.abort()
        return closed.value.rcvd.code

    async def send_too_much(socket):
        await socket.send("x" * 2**22)
        await asyncio.wait_for(socket.recv(), HANG_S)

    async def send_without_end(socket):
        text = json.dumps({"type": "frame", "play": "a", "frame": frame()})
        while True:
            await socket.send(text)

    assert asyncio.run(all_of_them()) == 1009


@pytest.mark.slow
def test_what_is_no_http_does_no_harm(address):
    host, port = address.split(":")
    for rubbish in (b"\x00" * 1000, b"GET / HTTP/9.9\r\n\r\n", b"POST /v1/plays HTTP/1.1\r\nContent-Length: x\r\n\r\n"):
        with socket.create_connection((host, int(port)), timeout=HANG_S) as one:
            one.sendall(rubbish)
            assert one.recv(100).startswith((b"HTTP/1.1 400", b"HTTP/1.1 401", b""))
    with urllib.request.urlopen(f"http://{address}/health", timeout=HANG_S) as answer:
        assert json.load(answer)["status"] == "ok"


def test_sigterm_closes_the_connections_and_ends_it_well(process, address):
    async def in_mid_play():
        async with opened(address) as socket:
            await ask(socket, "reset")
            await ask(socket, "frame", frame=frame())
            process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as closed:
                await asyncio.wait_for(socket.recv(), HANG_S)
            return closed.value.rcvd.code

    assert asyncio.run(in_mid_play()) == 1012
    assert process.wait(timeout=HANG_S) == 0


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--plays", "0"], "plays: expected"),
        (["--port", "70000"], "port: expected"),
        (["--idle-s", "nan"], "idle_s: expected"),
        (["--max-body-mb", "inf"], "max_body_mb: expected"),
        (["--gather-ms", "-1"], "gather_ms: expected"),
        (["--connections", "0"], "connections: expected"),
        (["--host", "nowhere.invalid"], "host: nowhere.invalid"),
        (["--token", "sesame"], "unknown argument '--token'"),
        ([], "there is no config.json"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, words, line):
    with pytest.raises(InputError, match=line) as caught:
        serve.command([str(tmp_path), "--port", "0", *words])
    assert "\n" not in str(caught.value)


def test_a_port_in_use_is_one_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(InputError, match=f"port: 127.0.0.1:{port}: "):
            serve.command([str(tmp_path), "--port", str(port)])


def test_without_the_extra_it_is_named(tmp_path, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "uvicorn" else find_spec(name))
    with pytest.raises(InputError, match="uvicorn: not installed; install the extra serve"):
        serve.command([str(tmp_path)])


def test_a_token_comes_from_a_file_before_the_environment(tmp_path, monkeypatch):
    file = tmp_path / "token"
    file.write_text("one\n")
    monkeypatch.setitem(os.environ, serve.TOKEN, "other")
    assert serve.token_of(file) == "one"
    assert serve.token_of(None) == "other"
    monkeypatch.delitem(os.environ, serve.TOKEN)
    assert serve.token_of(None) is None
    file.write_text(" \n")
    with pytest.raises(InputError, match="got nothing"):
        serve.token_of(file)
