from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.services.registry.running import Registry, running_registry


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[Registry]:
    async with running_registry(tmp_path) as running:
        yield running
