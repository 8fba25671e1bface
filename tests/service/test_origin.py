"""Which web pages may call, HEAD requests, and a documentation page that opens without a network."""

import re
import socket as sockets

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
pytest.importorskip("httpx")

from starlette.testclient import WebSocketDenialResponse

from sbp_jax.errors import InputError
from sbp_jax.service import Settings
from tests.service.clients import ask, open_plays, serving
from tests.service.scorers import frame

pytestmark = pytest.mark.unoptimized

PLAY = {"frames": [frame()]}
READ = ("/health", "/metrics", "/v1/spec", "/openapi.json", "/docs")


def refused_field(client, headers):
    """The field of the rejection of a WebSocket; None if it opens."""
    try:
        with client.websocket_connect("/v1/live", headers=headers) as socket:
            assert ask(socket, "reset")["type"] == "begun"
            return None
    except WebSocketDenialResponse as denied:
        return denied.json()["field"] if denied.status_code == 403 else denied.status_code


FOREIGN = [
    "https://evil.example",
    "http://evil.example:8000",
    "http://127.0.0.1:9999",
    "http://localhost.evil.example:8000",
    "https://127.0.0.1:8000.evil.example",
    "null",
    "",
    "file://",
    "http://[::1",
    "http://user@127.0.0.1:8000",
    "chrome-extension://abcdef",
]


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_page_of_another_origin_has_no_effect(client, origin):
    headers = {"Host": "127.0.0.1:8000", "Origin": origin}
    assert refused_field(client, headers) == "origin"
    answer = client.post("/v1/plays", json=PLAY, headers=headers)
    assert (answer.status_code, answer.json()["field"]) == (403, "origin")
    assert client.options("/v1/plays", headers=headers | {"Access-Control-Request-Method": "POST"}).status_code == 403
    reading = client.get("/v1/spec", headers=headers)
    assert not any(name.startswith("access-control") for name in reading.headers)
    assert open_plays(client) == 0


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("localhost:8000", "http://LOCALHOST:8000"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("192.0.2.7", "http://192.0.2.7:80"),
        ("scorer:8000", "http://scorer:8000"),
        ("scorer", "https://scorer"),
        ("app.localhost", None),
        (f"{sockets.gethostname()}:8000", None),
        ("127.0.0.1:8000", None),
    ],
)
def test_the_services_own_pages_and_programs_may_call(client, host, origin):
    headers = {"Host": host} | ({} if origin is None else {"Origin": origin})
    assert refused_field(client, headers) is None
    assert client.post("/v1/plays", json=PLAY, headers=headers).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "evil.example."])
def test_a_name_that_resolves_to_this_machine_is_refused(client, host):
    for headers in ({"Host": host}, {"Host": host, "Origin": f"http://{host}"}):
        assert refused_field(client, headers) == "host"
        for answer in (client.get("/v1/spec", headers=headers), client.post("/v1/plays", json=PLAY, headers=headers)):
            assert (answer.status_code, answer.json()["field"]) == (403, "host")
    assert client.get("/health", headers={"Host": host}).status_code == 200


def test_allowed_pages_may_call_and_read(scorer):
    with serving(scorer, origins=("https://scores.example", "http://Localhost:3000/")) as client:
        for origin in ("https://scores.example", "https://SCORES.example:443", "http://localhost:3000"):
            headers = {"Host": "127.0.0.1:8000", "Origin": origin}
            assert refused_field(client, headers) is None
            answer = client.post("/v1/plays", json=PLAY, headers=headers)
            assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, origin)
            assert answer.headers["vary"] == "Origin"
            asked = client.options("/v1/plays", headers=headers | {"Access-Control-Request-Method": "POST"})
            assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (204, origin)
            assert "Content-Type" in asked.headers["access-control-allow-headers"]
        assert refused_field(client, {"Host": "scores.example"}) is None
        for origin in ("http://scores.example", "https://scores.example:8443", "https://a.scores.example"):
            assert refused_field(client, {"Host": "127.0.0.1:8000", "Origin": origin}) == "origin"
        assert refused_field(client, {"Host": "evil.example"}) == "host"
    with serving(scorer, origins=("*",)) as client:
        assert refused_field(client, {"Host": "evil.example", "Origin": "null"}) is None


def test_with_a_token_the_host_is_free_and_the_page_is_not(scorer):
    bearer = {"Host": "scores.example", "Authorization": "Bearer sesame"}
    with serving(scorer, token="sesame") as client:
        assert refused_field(client, bearer) is None
        assert refused_field(client, bearer | {"Origin": "https://scores.example"}) is None
        assert refused_field(client, bearer | {"Origin": "https://evil.example"}) == "origin"
    with serving(scorer, token="sesame", origins=("https://page.example",)) as client:
        page = {"Origin": "https://page.example"}
        assert client.options("/v1/plays", headers=page).status_code == 204
        answer = client.post("/v1/plays", json=PLAY, headers=page)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, page["Origin"])


@pytest.mark.parametrize(
    "origin", ["scores.example", "https://", "https://a.example/path", "http://a.example:x", "", "**"]
)
def test_an_origin_that_is_none_is_named(origin):
    with pytest.raises(InputError, match="allow_origin: expected SCHEME://HOST"):
        Settings(origins=(origin,))


def test_head_is_get_without_its_body(client):
    for path in (*READ, "/"):
        got = client.get(path, follow_redirects=False)
        head = client.head(path, follow_redirects=False)
        assert (head.status_code, head.content) == (got.status_code, b""), path
        assert (
            head.headers["content-type" if path != "/" else "location"]
            == (got.headers["content-type" if path != "/" else "location"])
        )
    assert client.head("/health").headers["content-length"] == client.get("/health").headers["content-length"]
    assert client.head("/nowhere").status_code == 404
    assert client.head("/v1/plays").status_code == 405
    assert client.get("/v1/plays").headers["allow"] == "POST"


def test_the_documentation_loads_nothing(client):
    answer = client.get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    text = answer.text
    assert "<script" not in text
    assert not re.search(r"""(src|href)=["'](?!/openapi\.json|#|data:)""", text)
    assert "url(" not in text
    for words in ("POST /v1/plays", "GET /v1/spec", "/v1/live", "?token=TOKEN", "seq", "touchdown", "429"):
        assert words in text
    linked = set(re.findall(r'href="#(\w+)"', text))
    assert {"PlayAnswer", "Problem", "Spec"} <= linked <= set(re.findall(r'id="(\w+)"', text))
    assert client.get("/redoc").status_code == 404
