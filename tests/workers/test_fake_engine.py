from collections.abc import AsyncIterator

import pytest

from tests.workers.conformance import EngineConformance
from tests.workers.fakes import FakeEngine
from workers.engine import Engine, Limits


class TestFakeEngine(EngineConformance):
    @pytest.fixture
    async def engine(self) -> AsyncIterator[Engine]:
        limits = Limits(context_length=1000, max_sequences=8, accelerator=False)
        engine = FakeEngine(limits, pooling=False, pace=0.0, letters=1)
        yield engine
        await engine.aclose()
