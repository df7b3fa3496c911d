"""Adapters of an engine that nobody wants any more while they are being brought."""

import asyncio
from pathlib import Path

import pytest

from common.errors import LoadFailed
from protos.paddock.v1 import model_pb2
from tests.workers.fakes import FakeEngine, NoFiles
from workers.engine import Limits
from workers.lora.applied import AppliedAdapters
from workers.slot import ReadyEngine


class SlowEngine(FakeEngine):
    """Takes adapters when it is told to, and refuses those that are marked as bad."""

    def __init__(self) -> None:
        super().__init__(Limits(100, 1, False), False, 0.0, 1)
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()

    async def adapt(self, name: str, folder: Path) -> FakeEngine:
        self.asked.set()
        await self.gate.wait()
        if name == "bad":
            raise LoadFailed("the engine refused the adapter")
        return await super().adapt(name, folder)


def adapted(digest: str) -> model_pb2.ModelSpec:
    return model_pb2.ModelSpec(adapter=model_pb2.Adapter(digest=digest, rank=8))


async def test_letting_go_of_an_adapter_that_is_being_brought(tmp_path: Path) -> None:
    engine = SlowEngine()
    adapters = AppliedAdapters(ReadyEngine(engine), NoFiles(), tmp_path)
    for digest in ("good", "bad"):
        applying = asyncio.create_task(adapters.apply(adapted(digest)))
        await engine.asked.wait()
        adapters.keep(())
        assert adapters.has(digest)
        engine.gate.set()
        if digest == "bad":
            with pytest.raises(LoadFailed):
                await applying
        else:
            await applying
            adapters.keep(())
        assert not adapters.has(digest)
        engine.asked.clear()
        engine.gate.clear()
