"""A gateway on a free port, in front of fake services."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import ollama
import pytest

from common.server import Server
from gateway.server import Gateway
from gateway.settings import GatewaySettings
from protos.paddock.v1 import blob_pb2_grpc, inference_pb2_grpc, registry_pb2_grpc
from tests.gateway.fakes import FakeBlobs, FakeInference, FakeRegistry

# Small, so that tests reach the limits quickly.
MAX_BODY = 100_000


class Backend:
    """The three fake services behind one socket."""

    def __init__(self, inference: FakeInference | None = None) -> None:
        # RPCs that the gateway does not call are left to the base class: UNIMPLEMENTED.
        self.blobs = FakeBlobs()  # type: ignore[abstract]
        self.registry = FakeRegistry()
        self.inference = inference or FakeInference()
        self.server = Server()
        grpc_server = self.server.grpc
        blob_pb2_grpc.add_BlobServiceServicer_to_server(self.blobs, grpc_server)
        registry_pb2_grpc.add_RegistryServiceServicer_to_server(self.registry, grpc_server)
        inference_pb2_grpc.add_InferenceServiceServicer_to_server(self.inference, grpc_server)


@dataclass
class World:
    """What a test talks to."""

    url: str
    backend: Backend
    http: aiohttp.ClientSession
    ollama: ollama.AsyncClient

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        """Post JSON; give the status and the JSON of the reply."""
        async with self.http.post(path, json=body) as response:
            return response.status, await response.json()

    async def lines(self, path: str, body: Any) -> list[Any]:
        """Post JSON; give the JSON of each line of the reply."""
        async with self.http.post(path, json=body) as response:
            assert response.status == 200
            assert response.headers["Content-Type"] == "application/x-ndjson"
            content = await response.text()
        assert content.endswith("\n")
        return [json.loads(line) for line in content[:-1].split("\n")]


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[Backend]:
    backend = Backend()
    await backend.server.start(f"unix:{tmp_path}/backend")
    await backend.server.set_serving(True)
    yield backend
    await backend.server.stop(0)


@pytest.fixture
def settings(tmp_path: Path) -> GatewaySettings:
    address = f"unix:{tmp_path}/backend"
    return GatewaySettings(
        host="127.0.0.1:0",
        blob=address,
        registry=address,
        inference=address,
        max_body=MAX_BODY,
        origins="https://trusted.example,https://*.wild.example",
        drain_timeout="5s",
        recovery_timeout="1s",
    )


@pytest.fixture
async def gateway(
    settings: GatewaySettings, backend: Backend
) -> AsyncIterator[tuple[Gateway, str]]:
    gateway = Gateway(settings)
    address = await gateway.start()
    yield gateway, address.url
    await gateway.stop()


@pytest.fixture
async def world(gateway: tuple[Gateway, str], backend: Backend) -> AsyncIterator[World]:
    url = gateway[1]
    async with aiohttp.ClientSession(base_url=url) as http, ollama.AsyncClient(host=url) as client:
        yield World(url, backend, http, client)
