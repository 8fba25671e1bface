"""The service: its endpoints, limits and token, and clients that leave, idle or stall."""

import asyncio
import json

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
pytest.importorskip("httpx")

from starlette.testclient import TestClient, WebSocketDenialResponse

from sbp_jax.service import Settings, create_app
from tests.service.clients import ask, open_plays, serving, wait_until
from tests.service.scorers import FEATURES, PLAYERS, SPEC, frame, sums, total

pytestmark = pytest.mark.unoptimized


def test_the_required_content_is_listed(client):
    spec = client.get("/v1/spec").json()
    assert (spec["players"], spec["features"], spec["static"]) == (PLAYERS, list(FEATURES), ["down", "distance"])
    assert (spec["outcome"], spec["frame_s"], spec["per_frame"]) == ("yards", 0.1, True)
    assert client.get("/health").json() == {"status": "ok", "open_plays": 0, "plays": 4}
    page = client.get("/openapi.json").json()
    assert page["paths"]["/v1/plays"]["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert "/v1/live" in page["info"]["description"]
    assert client.get("/docs").status_code == 200


def test_a_complete_play_is_scored_as_by_the_scorer(client):
    frames = [frame(value) for value in (1.0, 2.0, 4.0)]
    answer = client.post(
        "/v1/plays", json={"frames": frames, "static": {"down": 2, "distance": None}, "outcome": 7}
    ).json()
    assert answer["summary"]["median"] == pytest.approx(total(frames, 2))
    assert (answer["summary"]["frames"], answer["summary"]["seconds"]) == (3, 0.2)
    assert set(answer["summary"]["quantiles"]) == {"0.05", "0.25", "0.5", "0.75", "0.95"}
    assert (answer["score"]["outcome"], answer["score"]["passing_score"]) == (7.0, None)
    assert answer["score"]["score"] == pytest.approx(total(frames, 2))
    alone = client.post("/v1/plays", json={"frames": frames}).json()
    assert (alone["score"], alone["distribution"], alone["every_frame"]) == (None, None, None)


def test_a_complete_play_frame_by_frame_gives_the_same_and_its_distribution(client):
    frames = [frame(value) for value in (1.0, 2.0, 4.0)]
    asked = {"frames": frames, "static": {"down": 2}, "outcome": 7}
    at_once = client.post("/v1/plays", json=asked).json()
    answer = client.post("/v1/plays", json=asked | {"distribution": True, "every_frame": True}).json()
    assert answer["summary"] == at_once["summary"]
    assert answer["score"] == at_once["score"]
    assert [each["median"] for each in answer["every_frame"]] == [total(frames[:k], 2) for k in (1, 2, 3)]
    assert answer["distribution"] == {"edges": SPEC["edges"], "probability": [0.25, 0.75]}
    assert open_plays(client) == 0


def test_the_former_name_of_an_outcome_is_read(client):
    asked = {"frames": [frame(1.0)]}
    former = client.post("/v1/plays", json=asked | {"yards": 7}).json()
    assert former == client.post("/v1/plays", json=asked | {"outcome": 7}).json()
    assert client.post("/v1/plays", json=asked | {"yards": 7, "outcome": 7}).json()["field"] == "yards"
    with client.websocket_connect("/v1/live") as socket:
        ask(socket, "reset")
        ask(socket, "frame", frame=frame(1.0))
        assert ask(socket, "finish", yards=3)["outcome"] == 3.0


def test_a_play_over_a_websocket(client):
    frames = [frame(value) for value in (1.0, 2.0)]
    with client.websocket_connect("/v1/live") as socket:
        assert ask(socket, "reset", static={"down": 1}) == {"type": "begun", "play": "a"}
        first = ask(socket, "frame", frame=frames[0], seq=0)
        assert (first["type"], first["play"], first["seq"], first["frames"]) == ("summary", "a", 0, 1)
        second = ask(socket, "frame", frame=frames[1])
        assert "seq" not in second
        assert second["median"] == pytest.approx(total(frames, 1))
        assert ask(socket, "distribution")["probability"] == [0.25, 0.75]
        score = ask(socket, "finish", outcome=3, touchdown=False)
        assert (score["type"], score["outcome"]) == ("score", 3.0)
        assert open_plays(client) == 0
        assert ask(socket, "frame", frame=frames[0])["code"] == 404
        ask(socket, "reset")
        assert ask(socket, "drop") == {"type": "dropped", "play": "a"}
        assert open_plays(client) == 0
    page = client.get("/metrics").text
    for line in ("sbp_frames_total 2.0", "sbp_plays_scored_total 1.0", 'sbp_errors_total{code="404"} 1.0'):
        assert line in page
    for name in ("sbp_step_seconds_count", "sbp_latency_seconds_count 2.0", "sbp_batch_fill_sum 2.0"):
        assert name in page


def test_messages_that_do_not_wait_for_answers_are_processed_in_order(client):
    with client.websocket_connect("/v1/live") as socket:
        for play in (1, 2):
            socket.send_json({"type": "reset", "play": "a", "static": {"down": play}})
            for seq in range(5):
                socket.send_json({"type": "frame", "play": "a", "frame": frame(float(seq)), "seq": seq})
            socket.send_json({"type": "finish", "play": "a", "outcome": play})
        for play in (1, 2):
            assert socket.receive_json()["type"] == "begun"
            for seq in range(5):
                answer = socket.receive_json()
                frames = [frame(float(value)) for value in range(seq + 1)]
                assert (answer["seq"], answer["median"]) == (seq, pytest.approx(total(frames, play)))
            assert socket.receive_json()["outcome"] == play
    assert open_plays(client) == 0


def test_a_name_is_its_connections_own(client):
    with client.websocket_connect("/v1/live") as one, client.websocket_connect("/v1/live") as other:
        ask(one, "reset", static={"down": 1})
        ask(other, "reset", static={"down": 2})
        for seq in range(3):
            ask(one, "frame", frame=frame(1.0), seq=seq)
            ask(other, "frame", frame=frame(5.0), seq=seq)
        assert ask(one, "frame", frame=frame(1.0))["median"] == pytest.approx(total([frame(1.0)] * 4, 1))
        ask(one, "drop")
        assert ask(other, "frame", frame=frame(5.0))["median"] == pytest.approx(total([frame(5.0)] * 4, 2))


def test_no_more_plays_than_rows(client):
    with client.websocket_connect("/v1/live") as one, client.websocket_connect("/v1/live") as other:
        for number in range(4):
            assert ask(one, "reset", f"play {number}")["type"] == "begun"
        answer = ask(other, "reset")
        assert (answer["code"], answer["field"]) == (429, "play")
        assert client.post("/v1/plays", json={"frames": [frame()], "every_frame": True}).status_code == 429
        assert client.post("/v1/plays", json={"frames": [frame()]}).status_code == 200
        ask(one, "drop", "play 2")
        assert ask(other, "reset")["type"] == "begun"


def test_a_client_that_leaves_in_mid_play_frees_its_rows(client):
    with client.websocket_connect("/v1/live") as socket:
        for name in "abcd":
            ask(socket, "reset", name)
            socket.send_json({"type": "frame", "play": name, "frame": frame()})
    wait_until(lambda: open_plays(client) == 0)
    with client.websocket_connect("/v1/live") as socket:
        ask(socket, "reset")
        assert ask(socket, "frame", frame=frame(3.0))["median"] == pytest.approx(total([frame(3.0)]))


def test_an_idle_play_is_dropped_and_the_connection_stays(scorer):
    with serving(scorer, idle_s=0.2) as client, client.websocket_connect("/v1/live") as socket:
        ask(socket, "reset")
        answer = socket.receive_json()
        assert (answer["type"], answer["code"], answer["play"], answer["field"]) == ("error", 408, "a", "play")
        assert open_plays(client) == 0
        assert ask(socket, "reset")["type"] == "begun"


def test_no_more_connections_than_agreed(scorer):
    with serving(scorer, connections=1) as client:
        with client.websocket_connect("/v1/live"):
            with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect("/v1/live"):
                pass
            assert refused.value.status_code == 429
        with client.websocket_connect("/v1/live") as socket:
            assert ask(socket, "reset")["type"] == "begun"


def test_a_token_is_asked_for_everywhere_but_at_the_health(scorer):
    right, wrong = {"Authorization": "Bearer sesame"}, {"Authorization": "Bearer sésame".encode()}
    with serving(scorer, token="sesame") as client:
        assert client.get("/health").status_code == 200
        for path in ("/metrics", "/v1/spec", "/docs", "/openapi.json", "/nowhere"):
            refused = client.get(path)
            assert (refused.status_code, refused.json()["field"]) == (401, "token")
            assert client.get(path, headers=wrong).status_code == 401
            assert client.get(path, params={"token": "sesame"}).status_code == 401
            assert client.get(path, headers=right).status_code == (404 if path == "/nowhere" else 200)
        assert client.post("/v1/plays", json={"frames": [frame()]}).status_code == 401
        for path, headers in (("/v1/live", {}), ("/v1/live?token=open", {}), ("/v1/live", wrong)):
            with (
                pytest.raises(WebSocketDenialResponse) as denied,
                client.websocket_connect(path, headers=headers),
            ):
                pass
            assert denied.value.status_code == 401
        for path, headers in (("/v1/live?token=sesame", {}), ("/v1/live", right)):
            with client.websocket_connect(path, headers=headers) as socket:
                assert ask(socket, "reset")["type"] == "begun"
    assert "sesame" not in repr(Settings(token="sesame"))


class Stalled:
    """A client that sends without an end and never reads: what is sent to it never gets out."""

    def __init__(self, first):
        self.first, self.count, self.sent = first, 0, 0

    async def receive(self):
        self.count += 1
        if self.count == 1:
            return {"type": "websocket.connect"}
        text = {"type": "frame", "play": "a", "frame": frame()} if self.count > 2 else self.first
        return {"type": "websocket.receive", "text": json.dumps(text)}

    async def send(self, message):
        if message["type"] != "websocket.accept":
            self.sent += 1
            await asyncio.Event().wait()


def test_a_client_that_never_reads_is_cut_off_and_holds_up_nobody(scorer):
    app = create_app(scorer, Settings(waiting=16, send_s=0.3, gather_s=0.0))
    scope = {"type": "websocket", "path": "/v1/live", "headers": [], "query_string": b"", "app": app}
    stalled = Stalled({"type": "reset", "play": "a"})
    with TestClient(app) as client, client.websocket_connect("/v1/live") as socket:
        ask(socket, "reset")
        call = client.portal.start_task_soon(app, scope, stalled.receive, stalled.send)
        wait_until(lambda: stalled.sent)
        for seq in range(5):
            assert ask(socket, "frame", frame=frame(), seq=seq)["seq"] == seq
        call.result(600.0)
        assert stalled.count <= 16 + 3
        assert stalled.sent == 1
        wait_until(lambda: open_plays(client) == 1)


def test_a_failed_scorer_is_reported_in_its_health():
    broken = sums(2)
    with serving(broken) as client, client.websocket_connect("/v1/live") as socket:
        ask(socket, "reset")
        broken.push_many = lambda frames: 1 / 0
        assert ask(socket, "frame", frame=frame())["code"] == 500
        assert client.get("/health").status_code == 503
        assert client.post("/v1/plays", json={"frames": [frame()]}).status_code == 500
