"""Rejections by the service: every kind of bad message, each with the name of its field."""

import json

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
pytest.importorskip("httpx")

from sbp_jax.errors import InputError
from sbp_jax.service import Settings
from sbp_jax.service.messages import MAX_NUMBER, Expected, frame_of
from tests.service.clients import ask, open_plays
from tests.service.scorers import PLAYERS, SPEC, array, frame, total

pytestmark = pytest.mark.unoptimized


def changed(place, column, value):
    message = frame()
    message[place] = list(message[place])
    message[place][column] = value
    return message


BAD = [
    ("no JSON", 400, "message"),
    ("", 400, "message"),
    ("[" * 60_000, 400, "message"),
    ('{"type": "frame", "play": "a", "seq": ' + "9" * 5000 + "}", 400, "message"),
    ("[1, 2]", 422, "message"),
    ("NaN", 422, "message"),
    ("x" * 70_000, 413, "message"),
    (b"\x00\x01", 415, "message"),
    ({"play": "a"}, 422, "type"),
    ({"type": "fly", "play": "a"}, 422, "type"),
    ({"type": ["frame"], "play": "a"}, 422, "type"),
    ({"type": "frame"}, 422, "play"),
    ({"type": "frame", "play": 7}, 422, "play"),
    ({"type": "frame", "play": "x" * 65}, 422, "play"),
    ({"type": "frame", "play": "other", "frame": frame()}, 404, "play"),
    ({"type": "frame", "play": "a", "frmae": frame()}, 422, "frmae"),
    ({"type": "frame", "play": "a"}, 422, "frame"),
    ({"type": "frame", "play": "a", "frame": "x"}, 422, "frame"),
    ({"type": "frame", "play": "a", "frame": {}}, 422, "frame"),
    ({"type": "frame", "play": "a", "frame": frame()[:-1]}, 422, "frame"),
    ({"type": "frame", "play": "a", "frame": [*frame()[:3], 7, *frame()[4:]]}, 422, "frame[3]"),
    ({"type": "frame", "play": "a", "frame": [[1.0, 2.0], *frame()[1:]]}, 422, "frame[0]"),
    ({"type": "frame", "play": "a", "frame": changed(3, 2, "1.0")}, 422, "frame[3][2]"),
    ({"type": "frame", "play": "a", "frame": changed(3, 2, True)}, 422, "frame[3][2]"),
    ({"type": "frame", "play": "a", "frame": changed(3, 2, None)}, 422, "frame[3][2]"),
    ({"type": "frame", "play": "a", "frame": changed(3, 2, [1.0])}, 422, "frame[3][2]"),
    ({"type": "frame", "play": "a", "frame": changed(20, 0, float("nan"))}, 422, "frame[20][0]"),
    ({"type": "frame", "play": "a", "frame": changed(20, 0, float("-inf"))}, 422, "frame[20][0]"),
    ({"type": "frame", "play": "a", "frame": changed(0, 1, 1e39)}, 422, "frame[0][1]"),
    ({"type": "frame", "play": "a", "frame": changed(0, 1, 10**400)}, 422, "frame[0][1]"),
    ({"type": "frame", "play": "a", "frame": frame(), "seq": 1.5}, 422, "seq"),
    ({"type": "frame", "play": "a", "frame": frame(), "seq": -1}, 422, "seq"),
    ({"type": "reset", "play": "a", "static": [1]}, 422, "static"),
    ({"type": "reset", "play": "a", "static": {"dwon": 1}}, 422, "static.dwon"),
    ({"type": "reset", "play": "a", "static": {"distance_missing": 1}}, 422, "static.distance_missing"),
    ({"type": "reset", "play": "a", "static": {"down": "1"}}, 422, "static.down"),
    ({"type": "reset", "play": "a", "static": {"down": float("inf")}}, 422, "static.down"),
    ({"type": "reset", "play": "a", "static": {"down": 2 * MAX_NUMBER}}, 422, "static.down"),
    ({"type": "finish", "play": "a"}, 422, "outcome"),
    ({"type": "finish", "play": "a", "outcome": True}, 422, "outcome"),
    ({"type": "finish", "play": "a", "outcome": 2.5}, 422, "outcome"),
    ({"type": "finish", "play": "a", "outcome": 10**400}, 422, "outcome"),
    ({"type": "finish", "play": "a", "outcome": 2, "touchdown": 1}, 422, "touchdown"),
]


def test_a_bad_message_gets_its_field_and_changes_nothing(client):
    with client.websocket_connect("/v1/live") as socket:
        ask(socket, "reset", static={"down": 1})
        ask(socket, "frame", frame=frame(1.0))
        for message, code, field in BAD:
            if isinstance(message, bytes):
                socket.send_bytes(message)
            else:
                socket.send_text(message if isinstance(message, str) else json.dumps(message))
            answer = socket.receive_json()
            assert (answer["type"], answer["code"], answer["field"]) == ("error", code, field), message
            assert "\n" not in answer["message"]
            assert len(answer["message"]) < 300
        assert ask(socket, "frame", frame=frame(2.0))["median"] == pytest.approx(total([frame(1.0), frame(2.0)], 1))


def test_a_number_in_a_digit_too_many_is_refused_without_being_read(client):
    with client.websocket_connect("/v1/live") as socket:
        ask(socket, "reset")
        row = "[1e999, 1, 1]"
        socket.send_text('{"type": "frame", "play": "a", "frame": [' + ", ".join([row] * PLAYERS) + "]}")
        assert socket.receive_json()["field"] == "frame[0][0]"


def test_a_play_without_a_frame_has_no_score_and_no_distribution(client):
    with client.websocket_connect("/v1/live") as socket:
        ask(socket, "reset")
        for kind, more in (("distribution", {}), ("finish", {"outcome": 1})):
            answer = ask(socket, kind, **more)
            assert (answer["code"], answer["field"]) == (409, "play")
        assert ask(socket, "frame", frame=frame())["frames"] == 1


def test_a_name_with_half_a_character_comes_back(client):
    with client.websocket_connect("/v1/live") as socket:
        socket.send_text('{"type": "reset", "play": "\\ud800"}')
        assert socket.receive_json() == {"type": "begun", "play": "\ud800"}


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (b"no JSON", 400, "message"),
        (b"\xff\xfe", 400, "message"),
        (b"[" * 100_000, 400, "message"),
        (b"[]", 422, "message"),
        (b"{}", 422, "frames"),
        ({"frames": []}, 422, "frames"),
        ({"frames": [frame(), frame()[:-1]]}, 422, "frames[1]"),
        ({"frames": [frame(), changed(3, 2, float("nan"))]}, 422, "frames[1][3][2]"),
        ({"frames": [frame()], "frame": 1}, 422, "frame"),
        ({"frames": [frame()], "\ud800": 1}, 422, "\ud800"),
        ({"frames": [frame()], "static": {"week": 1}}, 422, "static.week"),
        ({"frames": [frame()], "outcome": "3"}, 422, "outcome"),
        ({"frames": [frame()], "outcome": 2.5}, 422, "outcome"),
        ({"frames": [frame()], "outcome": 2.5, "every_frame": True}, 422, "outcome"),
        ({"frames": [frame()], "distribution": 1}, 422, "distribution"),
        ({"frames": [frame()], "touchdown": "yes"}, 422, "touchdown"),
        (b" " * (1 << 20) + b"{}", 413, "message"),
    ],
)
def test_a_bad_body_gets_its_field(client, body, code, field):
    answer = client.post("/v1/plays", content=body if isinstance(body, bytes) else json.dumps(body))
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (code, code, field)
    assert "\n" not in answer.json()["message"]
    assert open_plays(client) == 0


def test_a_body_without_a_length_is_cut_off(client):
    answer = client.post("/v1/plays", content=(b" " * 65536 for _ in range(100)))
    assert answer.status_code == 413


def test_unknown_paths_and_methods(client):
    assert (client.get("/v2").status_code, client.get("/v2").json()["field"]) == (404, "path")
    answer = client.get("/v1/plays")
    assert (answer.status_code, answer.json()["field"]) == (405, "method")


@pytest.mark.parametrize(
    ("name", "value"), [("max_body_bytes", 0), ("connections", -1), ("idle_s", 0.0), ("gather_s", -1.0), ("token", "")]
)
def test_invalid_limits_are_rejected(name, value):
    with pytest.raises(InputError, match=name):
        Settings(**{name: value})


def test_frames_are_read_as_numpy_would():
    message = changed(4, 1, 7)
    read = frame_of(message, Expected.of(SPEC))
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, array(message))
