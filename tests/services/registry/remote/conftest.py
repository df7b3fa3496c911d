"""A fake hub, and a client that is soon out of patience with it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.registry.remote.client import RemoteClient, RemoteSettings
from services.registry.remote.retries import RetryPolicy
from tests.servers.fake_hub import FakeHub, running_hub


@pytest.fixture
async def hub() -> AsyncIterator[FakeHub]:
    async with running_hub() as hub:
        yield hub


@pytest.fixture
def settings(hub: FakeHub, tmp_path: Path) -> RemoteSettings:
    return RemoteSettings(
        default_registry=hub.url,
        hub=hub.url,
        docker_config=tmp_path / "docker",
        stall_timeout=2,
        window=4,
        retries=RetryPolicy(tries=3, first_pause=0.01),
        manifest_retries=RetryPolicy(tries=3, first_pause=0.01),
    )


@pytest.fixture
async def client(settings: RemoteSettings) -> AsyncIterator[RemoteClient]:
    async with RemoteClient(settings) as client:
        yield client
