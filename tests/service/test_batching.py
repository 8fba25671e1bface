"""Concurrent plays: neither mixed nor lost, and none waits for another's requests."""

import asyncio

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
pytest.importorskip("httpx")

from sbp_jax.service.batcher import Batcher
from sbp_jax.service.messages import Refusal
from sbp_jax.service.metrics import Metrics
from tests.service.clients import serving
from tests.service.scorers import FEATURES, PLAYERS, array, frame, network, total

pytestmark = pytest.mark.unoptimized


def test_concurrent_plays_of_a_network_are_as_each_alone():
    """Twelve plays over three connections, sent as they come, against a scorer that has one play."""
    random = np.random.default_rng(0)
    plays = [random.normal(size=(random.integers(3, 15), PLAYERS, len(FEATURES))).round(3) for _ in range(12)]
    alone = network(1)
    with serving(network(12), gather_s=0.005) as client:
        sockets = [client.websocket_connect("/v1/live") for _ in range(3)]
        for socket in sockets:
            socket.__enter__()
        for number, _ in enumerate(plays):
            static = {"down": number % 4 + 1}
            sockets[number % 3].send_json({"type": "reset", "play": f"{number}", "static": static})
        for seq in range(15):
            for number, frames in enumerate(plays):
                if seq < len(frames):
                    message = {"type": "frame", "play": f"{number}", "frame": frames[seq].tolist(), "seq": seq}
                    sockets[number % 3].send_json(message)
        for number, _ in enumerate(plays):
            sockets[number % 3].send_json({"type": "finish", "play": f"{number}", "outcome": number})
        answers = {number: [] for number in range(12)}
        for place, socket in enumerate(sockets):
            for _ in range(sum(len(plays[n]) + 2 for n in range(place, 12, 3))):
                answer = socket.receive_json()
                answers[int(answer["play"])].append(answer)
        page = client.get("/metrics").text
        for socket in sockets:
            socket.__exit__(None, None, None)
    for number, frames in enumerate(plays):
        begun, *summaries, score = answers[number]
        assert begun["type"] == "begun"
        alone.reset({"down": number % 4 + 1})
        for seq, (each, answer) in enumerate(zip(frames, summaries, strict=True)):
            expected = alone.push(each)
            assert (answer["seq"], answer["frames"]) == (seq, seq + 1)
            assert answer["median"] == pytest.approx(expected.median, abs=1e-4)
            assert answer["expected"] == pytest.approx(expected.expected, abs=1e-4)
            assert answer["touchdown"] is None
        assert score["pit"] == pytest.approx(alone.finish(float(number)).pit, abs=1e-5)
    steps = float(page.split("sbp_batch_fill_count ")[1].split()[0])
    assert steps < sum(map(len, plays)) / 2  # several plays per step


def test_a_play_that_asks_for_much_does_not_keep_others_waiting(scorer):
    """A hundred distributions of one play and a frame of another: the frame is in the first or second step."""

    async def both():
        batcher = Batcher(scorer, Metrics(), 0.0)
        batcher.start()
        greedy, other = batcher.open(), batcher.open()
        order = []
        for slot in (greedy, other):
            await batcher.ask(slot, "reset", {})
            await batcher.ask(slot, "frame", array(frame()))
        for _ in range(100):
            batcher.submit(greedy, "distribution", None, lambda _: order.append("dist"))
        batcher.submit(other, "frame", array(frame()), lambda _: order.append("frame"))
        last = batcher.ask(greedy, "frame", array(frame()))
        summary = await last
        await batcher.close()
        return order, summary

    order, summary = asyncio.run(both())
    assert order.index("frame") <= 2
    assert len(order) == 101
    assert summary.frames == 2


def test_a_row_given_back_while_its_frame_is_scored_goes_to_the_next_play_clean(scorer):
    async def both():
        batcher = Batcher(scorer, Metrics(), 0.0)
        batcher.start()
        slots = [batcher.open() for _ in range(4)]
        results = []
        batcher.submit(slots[0], "reset", {}, results.append)
        batcher.submit(slots[0], "frame", array(frame(9.0)), results.append)
        await asyncio.sleep(0)
        batcher.release(slots[0])
        fresh = batcher.open()
        await batcher.ask(fresh, "reset", {})
        summary = await batcher.ask(fresh, "frame", array(frame(1.0)))
        with pytest.raises(Refusal):
            batcher.open()
        await batcher.close()
        return results, fresh.row == slots[0].row, summary.median

    results, same_row, median = asyncio.run(both())
    assert (results, same_row) == ([], True)
    assert median == pytest.approx(total([frame(1.0)]))
