"""Requests to other registries: credentials, redirects, failures."""

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from common.errors import RegistryFailed, Unauthorized
from services.registry.remote.client import RemoteClient, RemoteSettings
from services.registry.remote.errors import RemoteNotFound, Transient
from services.registry.remote.session import RemoteSession
from tests.servers.fake_hub import FakeHub

PASSWORD = "secret:with:colons"
BASIC = f"Basic {base64.b64encode(f'ann:{PASSWORD}'.encode()).decode()}"
MANIFEST = "/v2/library/x/manifests/latest"


@pytest.fixture
async def session(client: RemoteClient) -> RemoteSession:
    return await client.session(client.locate("x", insecure=False))


@pytest.fixture
async def logged_in(hub: FakeHub, settings: RemoteSettings) -> AsyncIterator[RemoteSession]:
    auths = json.dumps({"auths": {hub.host: {"username": "ann", "password": PASSWORD}}})
    async with RemoteClient(replace(settings, auths=auths)) as client:
        yield await client.session(client.locate("x", insecure=False))


async def get(session: RemoteSession, target: str = MANIFEST) -> bytes:
    async with session.request("GET", target) as response:
        return await response.read()


@pytest.fixture
def manifest(hub: FakeHub) -> bytes:
    return hub.add_model("library/x:latest", b"weights")


async def test_what_is_public_is_read_without_credentials(
    hub: FakeHub, session: RemoteSession, manifest: bytes
) -> None:
    assert await get(session) == manifest
    assert [seen.authorization for seen in hub.seen] == [""]


async def test_an_anonymous_token_is_fetched_once_and_used_again(
    hub: FakeHub, session: RemoteSession, manifest: bytes
) -> None:
    hub.auth = "bearer"
    assert await get(session) == manifest
    assert await get(session) == manifest
    assert len(hub.requests(host="tokens")) == 1
    assert hub.seen[-1].authorization == "Bearer token-1-repository:library/x:pull"
    assert hub.requests(host="tokens")[0].authorization == ""


async def test_a_token_that_has_expired_is_renewed(
    hub: FakeHub, session: RemoteSession, manifest: bytes
) -> None:
    hub.auth, hub.token_uses = "bearer", 1
    for _ in range(3):
        assert await get(session) == manifest
    assert len(hub.requests(host="tokens")) == 3


async def test_a_token_is_fetched_with_the_registrys_credentials(
    hub: FakeHub, logged_in: RemoteSession, manifest: bytes
) -> None:
    hub.auth, hub.users = "bearer", {"ann": PASSWORD}
    assert await get(logged_in) == manifest
    assert hub.requests(host="tokens")[0].authorization == BASIC


async def test_basic_credentials_are_sent_when_asked_for(
    hub: FakeHub, logged_in: RemoteSession, manifest: bytes
) -> None:
    hub.auth, hub.users = "basic", {"ann": PASSWORD}
    assert await get(logged_in) == manifest
    assert [seen.authorization for seen in hub.seen] == ["", BASIC]


@pytest.mark.parametrize("auth", ["basic", "bearer"])
async def test_without_the_right_credentials_access_is_denied(
    hub: FakeHub, session: RemoteSession, manifest: bytes, auth: str
) -> None:
    hub.auth, hub.users = auth, {"ann": PASSWORD}
    with pytest.raises(Unauthorized, match="unauthorized: access denied"):
        await get(session)


async def test_credentials_do_not_follow_a_redirect_to_another_host(
    hub: FakeHub, logged_in: RemoteSession
) -> None:
    digest = hub.add(b"weights")
    hub.auth, hub.users, hub.redirect = "basic", {"ann": PASSWORD}, 307
    assert await get(logged_in, f"/v2/library/x/blobs/{digest}") == b"weights"
    assert [seen.authorization for seen in hub.requests(host="registry")] == ["", BASIC]
    assert [seen.authorization for seen in hub.requests(host="files")] == [""]


async def test_credentials_are_not_sent_to_another_hosts_url(
    hub: FakeHub, logged_in: RemoteSession, manifest: bytes
) -> None:
    hub.auth, hub.users = "basic", {"ann": PASSWORD}
    await get(logged_in)
    with pytest.raises(RemoteNotFound):
        await get(logged_in, f"{hub.tokens_url}/elsewhere")
    await get(logged_in, f"{hub.url}{MANIFEST}")
    assert hub.seen[-1].authorization == BASIC


async def test_a_challenge_of_another_host_is_not_answered(
    hub: FakeHub, logged_in: RemoteSession
) -> None:
    digest = hub.add(b"weights")
    hub.redirect, hub.link_uses = 307, 1
    link = hub.link(digest)
    assert await get(logged_in, link) == b"weights"
    with pytest.raises(RegistryFailed, match="403: Request has expired"):
        await get(logged_in, link)


async def test_redirects_without_end_are_refused(hub: FakeHub, session: RemoteSession) -> None:
    digest = hub.add(b"weights")
    target = f"/v2/library/x/blobs/{digest}"
    hub.redirect, hub.redirect_to = 302, f"{hub.url}{target}"
    with pytest.raises(RegistryFailed, match="maximum redirects exceeded"):
        await get(session, target)
    assert len(hub.seen) == 11


@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x"])
async def test_redirects_to_what_is_no_place_are_refused(
    hub: FakeHub, session: RemoteSession, place: str
) -> None:
    digest = hub.add(b"weights")
    hub.redirect, hub.redirect_to = 307, place
    with pytest.raises(RegistryFailed, match="redirects to"):
        await get(session, f"/v2/library/x/blobs/{digest}")


@pytest.mark.parametrize("realm", ["http://[", "file:///etc/passwd", "/token", ""])
async def test_tokens_come_from_no_odd_place(
    hub: FakeHub, session: RemoteSession, realm: str
) -> None:
    hub.auth, hub.realm = "bearer", realm
    with pytest.raises(RegistryFailed, match="names no place that gives tokens"):
        await get(session)


async def test_a_refusal_comes_with_the_registrys_own_words(
    hub: FakeHub, session: RemoteSession
) -> None:
    hub.manifest_status, hub.manifest_text = 412, "this model requires\n\x1b[31m a newer version"
    with pytest.raises(RegistryFailed, match=r"^412: this model requires \[31m a newer version$"):
        await get(session)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_registry_in_trouble_may_be_asked_again(
    hub: FakeHub, session: RemoteSession, status: int
) -> None:
    hub.manifest_status = status
    with pytest.raises(Transient) as caught:
        await get(session)
    assert caught.value.reason() == "RegistryFailed"


async def test_what_is_not_there_is_said_as_ollama_says_it(session: RemoteSession) -> None:
    with pytest.raises(RemoteNotFound, match=r"^file does not exist$"):
        await get(session)


async def test_a_registry_that_cannot_be_reached_is_named(client: RemoteClient) -> None:
    location = client.locate("http://127.0.0.1:1/library/x", insecure=True)
    with pytest.raises(Transient, match=r"127\.0\.0\.1:1"):
        await get(await client.session(location))


async def test_a_body_can_be_sent_again_behind_a_challenge(
    hub: FakeHub, logged_in: RemoteSession
) -> None:
    hub.auth, hub.users = "basic", {"ann": PASSWORD}

    async def body() -> AsyncIterator[bytes]:
        yield b"some "
        yield b"bytes"

    async with logged_in.request(
        "PUT", MANIFEST, data=body, expect=(201,), headers={"Content-Type": "x/y"}
    ):
        pass
    assert hub.manifests["library/x:latest"] == b"some bytes"


async def test_insecure_tries_tls_first_and_then_goes_without(
    hub: FakeHub, client: RemoteClient
) -> None:
    hub.add_model("library/x:latest", b"weights")
    session = await client.session(client.locate(f"{hub.host}/library/x", insecure=True))
    assert await get(session) == hub.manifests["library/x:latest"]
    secure = await client.session(client.locate(f"{hub.host}/library/x", insecure=False))
    with pytest.raises(Transient):
        await get(secure)
