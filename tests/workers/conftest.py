from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.workers.fakes import FakeFactory
from tests.workers.harness import Worker, running_worker


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Worker]:
    async with running_worker(tmp_path, FakeFactory()) as running:
        yield running
