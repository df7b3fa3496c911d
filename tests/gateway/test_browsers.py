"""Which browser pages may call."""

import aiohttp
import pytest

from gateway.origins import BrowserPolicy
from gateway.server import Gateway
from gateway.settings import GatewaySettings
from tests.gateway.conftest import Backend, World

# What the OpenAI SDKs send goes through a browser only if it is named.
ALLOWED_HEADERS = (
    *("authorization", "content-type", "user-agent", "accept", "x-requested-with", "openai-beta"),
    *("x-stainless-arch", "x-stainless-async", "x-stainless-custom-poll-interval"),
    *("x-stainless-helper-method", "x-stainless-lang", "x-stainless-os"),
    *("x-stainless-package-version", "x-stainless-poll-helper", "x-stainless-retry-count"),
    *("x-stainless-runtime", "x-stainless-runtime-version", "x-stainless-timeout"),
)

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
        ("vscode-file://vscode-app", True),
        ("chrome-extension://abc", True),
        ("moz-extension://abc", True),
        ("safari-web-extension://abc", True),
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


@pytest.mark.parametrize("origins", ["*", "https://trusted.example, *"])
def test_a_star_allows_every_origin(origins: str) -> None:
    policy = BrowserPolicy(origins, check_host=True, own_name="mine")
    assert policy.allows_origin("https://evil.example", "x")
    assert policy.shown_origin("https://evil.example") == "*"


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


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Host": "evil.example"}])
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/tags"), ("POST", "/api/chat"), ("OPTIONS", "/api/chat"), ("GET", "/nope")],
)
async def test_a_foreign_page_is_refused(
    world: World, headers: dict[str, str], method: str, path: str
) -> None:
    async with world.http.request(method, path, headers=headers) as response:
        assert (response.status, await response.read()) == (403, b"")
        assert "Access-Control-Allow-Origin" not in response.headers


async def test_a_server_on_all_addresses_takes_any_host(
    settings: GatewaySettings, backend: Backend
) -> None:
    gateway = Gateway(settings.model_copy(update={"host": "0.0.0.0:0", "origins": "*"}))
    address = await gateway.start()
    headers = {"Host": "paddock.example", "Origin": "https://evil.example"}
    url = f"http://127.0.0.1:{address.port}/api/tags"
    async with aiohttp.request("GET", url, headers=headers) as response:
        assert response.status == 200
        assert response.headers["Access-Control-Allow-Origin"] == "*"
    await gateway.stop()


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
        methods = response.headers["Access-Control-Allow-Methods"].split(",")
        assert {"GET", "POST", "DELETE", "HEAD"} <= set(methods)
        allowed = response.headers["Access-Control-Allow-Headers"].lower().split(",")
        assert set(ALLOWED_HEADERS) <= set(allowed)
        assert response.headers["Access-Control-Allow-Origin"] == headers["Origin"]


async def test_options_without_an_origin_is_answered(world: World) -> None:
    async with world.http.options("/api/chat") as response:
        assert (response.status, await response.read()) == (204, b"")
        assert "Access-Control-Allow-Origin" not in response.headers
