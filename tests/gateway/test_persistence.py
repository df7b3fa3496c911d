"""Requests that outlast the Inference process that serves them."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from common.errors import Interrupted, InvalidRequest, PaddockError
from common.mailbox import Event
from gateway.server import Gateway
from gateway.settings import GatewaySettings
from protos.paddock.v1 import generation_pb2, inference_pb2
from tests.gateway.conftest import Backend, World
from tests.gateway.fakes import Context, FakeInference

PROMPT = {"model": "tiny", "prompt": "one two three four"}
TEXT = "one two three four "


class Leaving(FakeInference):
    """Leaves after so many events, each time one of the list; then it stays."""

    def __init__(self, *leaves_after: int, error: PaddockError | None = None) -> None:
        super().__init__()
        self.leaves_after = list(leaves_after)
        self.error = error or Interrupted("the router is shutting down")
        self.embeds = 0

    async def generate(self, request: inference_pb2.GenerateRequest) -> AsyncGenerator[Event, None]:
        left = self.leaves_after.pop(0) if self.leaves_after else None
        position = 0
        async for event in super().generate(request):
            if position == left:
                raise self.error
            if isinstance(event, generation_pb2.Delta) and not position:
                event.usage.prompt_tokens = 4
            yield event
            position += 1

    async def Embed(
        self, request: inference_pb2.EmbedRequest, context: Context
    ) -> inference_pb2.EmbedResponse:
        self.embeds += 1
        await self.hold.wait()
        if self.leaves_after:
            self.leaves_after.pop()
            raise self.error
        return await super().Embed(request, context)


@pytest.fixture
def settings(settings: GatewaySettings) -> GatewaySettings:
    return settings.model_copy(update={"write_timeout": "300ms"})


async def start(backend: Backend, address: str) -> str:
    bound = await backend.server.start(address)
    await backend.server.set_serving(True)
    return bound


@pytest.fixture
async def leaving() -> Leaving:
    return Leaving()


@pytest.fixture
async def backend(leaving: Leaving, tmp_path: Path) -> AsyncIterator[Backend]:
    backend = Backend(leaving)
    await start(backend, f"unix:{tmp_path}/backend")
    yield backend
    await backend.server.stop(0)


def content(lines: list[Any]) -> str:
    return "".join(line["response"] for line in lines)


@pytest.mark.parametrize("leaves_after", [[0], [1], [4], [2, 0, 3, 1]])
async def test_an_answer_goes_on_where_it_was_interrupted(
    world: World, leaving: Leaving, leaves_after: list[int]
) -> None:
    leaving.leaves_after = list(leaves_after)
    lines = await world.lines("/api/generate", PROMPT)
    assert content(lines) == TEXT
    assert lines[-1]["done"]
    assert lines[-1]["done_reason"] == "stop"
    assert all(line["response"] or line["done"] for line in lines)
    *_, last = leaving.generated
    most = max(leaves_after)
    assert list(last.resumption.tokens) == list(range(most))
    assert last.resumption.usage.prompt_tokens == (4 if most else 0)


async def test_an_answer_in_one_piece_goes_on_as_well(world: World, leaving: Leaving) -> None:
    leaving.leaves_after = [3]
    status, answer = await world.post("/api/generate", {**PROMPT, "stream": False})
    assert (status, answer["response"]) == (200, TEXT)


async def test_who_is_interrupted_for_too_long_is_told(world: World, leaving: Leaving) -> None:
    leaving.leaves_after = [2] + [0] * 100
    lines = await world.lines("/api/generate", PROMPT)
    assert content(lines[:-1]) == "one two "
    assert lines[-1] == {"error": "the router is shutting down"}


async def test_what_is_only_told_again_gives_no_hope(world: World, leaving: Leaving) -> None:
    leaving.leaves_after = [2] * 100
    lines = await world.lines("/api/generate", PROMPT)
    assert content(lines[:-1]) == "one two "
    assert lines[-1] == {"error": "the router is shutting down"}


async def test_an_interruption_before_the_beginning_is_a_503(
    world: World, leaving: Leaving
) -> None:
    leaving.leaves_after = [0] * 100
    async with world.http.post("/api/generate", json=PROMPT) as response:
        assert response.status == 503
        assert response.headers["Retry-After"] == "1"
        assert await response.json() == {"error": "the router is shutting down"}


@pytest.mark.parametrize("path", ["/api/generate", "/api/embed"])
async def test_how_long_it_was_served_before_does_not_count(
    world: World, leaving: Leaving, path: str
) -> None:
    leaving.leaves_after = [0]
    leaving.hold.clear()
    asking = asyncio.create_task(world.post(path, {**PROMPT, "input": "abc", "stream": False}))
    await asyncio.sleep(1.3)  # longer than an interruption may last
    leaving.hold.set()
    status, _ = await asking
    assert status == 200
    assert not leaving.leaves_after


async def test_other_errors_are_final(world: World, leaving: Leaving) -> None:
    leaving.leaves_after, leaving.error = [2], InvalidRequest("bad luck")
    lines = await world.lines("/api/generate", PROMPT)
    assert lines[-1] == {"error": "bad luck"}
    assert len(leaving.generated) == 1


async def test_an_embedding_is_asked_for_again(world: World, leaving: Leaving) -> None:
    leaving.leaves_after = [0, 0]
    status, answer = await world.post("/api/embed", {"model": "tiny", "input": "abc"})
    assert (status, answer["embeddings"]) == (200, [[3.0, 0.5]])
    assert leaving.embeds == 3


async def test_another_router_goes_on_for_one_that_dies(settings: GatewaySettings) -> None:
    routers = [FakeInference(), FakeInference()]
    for router in routers:
        router.hold.clear()
    backends = [Backend(router) for router in routers]
    addresses = ",".join([await start(backend, "127.0.0.1:0") for backend in backends])
    gateway = Gateway(settings.model_copy(update={"inference": addresses}))
    url = (await gateway.start()).url
    async with aiohttp.ClientSession(base_url=url) as http:
        asking = asyncio.create_task(http.post("/api/generate", json=PROMPT))
        async with asyncio.timeout(10):
            while not any(router.active for router in routers):
                await asyncio.sleep(0.01)
        dying = routers.index(next(router for router in routers if router.active))
        routers[1 - dying].hold.set()
        await backends[dying].server.stop(0)
        answer = await asking
        lines = [json.loads(line) async for line in answer.content]
    assert content(lines) == TEXT
    await gateway.stop()
    await backends[1 - dying].server.stop(0)


async def test_a_client_that_reads_nothing_is_dropped(world: World, leaving: Leaving) -> None:
    leaving.endless, leaving.step = True, "x" * 10_000
    async with world.http.post("/api/generate", json=PROMPT):
        await asyncio.wait_for(leaving.canceled.wait(), 10)


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        ({}, "127.0.0.1"),
        ({"X-Forwarded-For": "10.0.0.1"}, "127.0.0.1"),
        ({"Authorization": "Bearer secret"}, "key "),
    ],
)
async def test_clients_are_told_apart(world: World, headers: dict[str, str], client: str) -> None:
    async with world.http.post("/api/generate", json=PROMPT, headers=headers) as response:
        assert response.status == 200
    (asked,) = world.backend.inference.generated
    assert asked.client.startswith(client)
    assert "secret" not in asked.client


async def test_a_proxy_names_its_clients(settings: GatewaySettings, backend: Backend) -> None:
    gateway = Gateway(settings.model_copy(update={"client_header": "X-Forwarded-For"}))
    url = (await gateway.start()).url
    async with aiohttp.ClientSession(base_url=url) as http:
        for forwarded in ("1.2.3.4, 10.0.0.1", "10.0.0.2", ""):
            headers = {"X-Forwarded-For": forwarded} if forwarded else {}
            body = {"model": "tiny", "input": "abc"}
            async with http.post("/api/embed", json=body, headers=headers):
                pass
    clients = [asked.client for asked in backend.inference.embedded]
    assert clients == ["10.0.0.1", "10.0.0.2", "127.0.0.1"]
    await gateway.stop()


async def test_who_drains_keeps_no_connection(settings: GatewaySettings, backend: Backend) -> None:
    gateway = Gateway(settings.model_copy(update={"drain_delay": "10s"}))
    url = (await gateway.start()).url
    stopping = asyncio.create_task(gateway.stop())
    async with aiohttp.ClientSession(base_url=url) as http:
        async with asyncio.timeout(5):
            while (await http.get("/readyz")).status == 200:
                await asyncio.sleep(0.01)
        async with http.post("/api/embed", json={"model": "tiny", "input": "a"}) as response:
            assert response.status == 200
            assert response.headers["Connection"] == "close"
    stopping.cancel()


@pytest.mark.parametrize("path", ["/api/generate", "/api/embed"])
async def test_a_request_that_takes_too_long_is_ended(
    settings: GatewaySettings, backend: Backend, path: str
) -> None:
    gateway = Gateway(settings.model_copy(update={"request_timeout": "300ms"}))
    url = (await gateway.start()).url
    backend.inference.hold.clear()
    async with (
        aiohttp.ClientSession(base_url=url) as http,
        http.post(path, json={**PROMPT, "input": "abc"}) as response,
    ):
        assert response.status == 504
        assert await response.json() == {"error": "the request took longer than 0.3 s"}
    if path == "/api/generate":
        await asyncio.wait_for(backend.inference.canceled.wait(), 5)
    await gateway.stop()
