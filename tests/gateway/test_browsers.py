"""Which browser pages may call."""

import pytest

from gateway.origins import BrowserPolicy, is_loopback
from tests.gateway.conftest import World

POLICY = BrowserPolicy(
    "https://trusted.example, https://*.wild.example", check_host=True, own_name="Mine"
)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("", True),
        ("http://localhost", True),
        ("https://localhost:3000", True),
        ("http://127.0.0.1:8080", True),
        ("http://0.0.0.0", True),
        ("app://x", True),
        ("file://", True),
        ("tauri://localhost", True),
        ("vscode-webview://abc", True),
        ("chrome-extension://abc", True),
        ("https://trusted.example", True),
        ("https://a.wild.example", True),
        ("http://api.example:11434", True),  # our own
        ("http://trusted.example", False),
        ("https://evil.example", False),
        ("https://trusted.example.evil.example", False),
        ("http://localhost.evil.example", False),
        ("null", False),
    ],
)
def test_origins(origin: str, allowed: bool) -> None:
    assert POLICY.allows_origin(origin, "api.example:11434") is allowed


def test_a_star_allows_every_origin() -> None:
    policy = BrowserPolicy("*", check_host=True, own_name="mine")
    assert policy.allows_origin("https://evil.example", "x")


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost:11434", True),
        ("127.0.0.1:11434", True),
        ("[::1]:11434", True),
        ("10.0.0.7", True),
        ("0.0.0.0:11434", True),
        ("mine:11434", True),
        ("printer.local", True),
        ("host.docker.internal:11434", True),
        ("", True),
        ("evil.example", False),
        ("8.8.8.8:11434", False),
        ("localhost.evil.example:80", False),
    ],
)
def test_hosts(host: str, allowed: bool) -> None:
    assert POLICY.allows_host(host) is allowed


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("", False)],
)
def test_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


async def test_a_foreign_page_is_refused(world: World) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
        async with world.http.get("/api/tags", headers=headers) as response:
            assert (response.status, await response.read()) == (403, b"")
            assert "Access-Control-Allow-Origin" not in response.headers


async def test_a_trusted_page_may_read_replies_streams_and_errors(world: World) -> None:
    headers = {"Origin": "https://trusted.example"}
    prompt = {"model": "tiny", "prompt": "x"}
    for body, status in ((prompt, 200), ({"model": "nope", "prompt": "x"}, 404)):
        async with world.http.post("/api/generate", json=body, headers=headers) as response:
            assert response.status == status
            assert response.headers["Access-Control-Allow-Origin"] == headers["Origin"]


@pytest.mark.parametrize("path", ["/api/chat", "/nope"])
async def test_a_preflight_request_is_answered(world: World, path: str) -> None:
    headers = {
        "Origin": "http://localhost:3000",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    async with world.http.options(path, headers=headers) as response:
        assert response.status == 204
        assert "POST" in response.headers["Access-Control-Allow-Methods"]
        assert "Content-Type" in response.headers["Access-Control-Allow-Headers"]
        assert response.headers["Access-Control-Allow-Origin"] == headers["Origin"]
