"""The core's outputs on the way to their sequences, with a core that the test plays."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from vllm.v1.engine import EngineCoreOutput, EngineCoreOutputs, EngineCoreRequest, FinishReason
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError

from workers.vllm_outputs import Outputs


class Core:
    """The part of vLLM's client of its core that is used."""

    def __init__(self) -> None:
        self.outputs: asyncio.Queue[EngineCoreOutputs | Exception] = asyncio.Queue()
        self.added: list[str] = []
        self.aborted: list[str] = []

    async def add_request_async(self, request: EngineCoreRequest) -> None:
        self.added.append(request.request_id)

    async def abort_requests_async(self, numbers: list[str]) -> None:
        self.aborted += numbers

    async def get_output_async(self) -> EngineCoreOutputs:
        outputs = await self.outputs.get()
        if isinstance(outputs, Exception):
            raise outputs
        return outputs

    def step(self, *outputs: EngineCoreOutput) -> None:
        self.outputs.put_nowait(EngineCoreOutputs(outputs=list(outputs), timestamp=7.0))


class Engine:
    def __init__(self) -> None:
        self.core = Core()
        self.llm = SimpleNamespace(engine_core=self.core, output_handler=None, errored=False)
        self.outputs = Outputs(cast(AsyncLLM, self.llm))


@pytest.fixture
async def engine() -> Any:
    engine = Engine()
    yield engine
    await engine.outputs.aclose()


def request(number: str) -> EngineCoreRequest:
    return cast(EngineCoreRequest, SimpleNamespace(request_id=number))


def as_it_came(output: EngineCoreOutput, at: float) -> tuple[EngineCoreOutput, float]:
    return output, at


def output(number: str, token: int, reason: FinishReason | None = None) -> EngineCoreOutput:
    return EngineCoreOutput(number, [token], finish_reason=reason)


async def test_each_gets_its_own_in_order(engine: Engine) -> None:
    async with (
        engine.outputs.run(request("a"), as_it_came) as a,
        engine.outputs.run(request("b"), as_it_came) as b,
    ):
        engine.core.step(output("a", 1), output("b", 2), output("gone", 3))
        engine.core.step(output("a", 4))
        assert [(await a.next())[0].new_token_ids for _ in range(2)] == [[1], [4]]
        found, at = await b.next()
        assert (found.new_token_ids, at) == ([2], 7.0)


async def test_what_is_made_at_once_is_taken_only_while_it_is_waited_for(engine: Engine) -> None:
    order: list[str] = []

    def take(token: int) -> bool:
        if token % 2:
            order.append(f"taken {token}")
        return bool(token % 2)

    def token(output: EngineCoreOutput, at: float) -> int | None:
        return output.new_token_ids[0] or None

    async with engine.outputs.run(request("a"), token, take) as a:
        engine.core.step(output("a", 1))
        await asyncio.sleep(0.01)
        assert not order, "nobody waits yet"
        for number in (3, 0, 5, 2, 7, 4, 9, 6):
            engine.core.step(output("a", number))
        for _ in range(4):
            order.append(f"given {await a.next()}")
            await asyncio.sleep(0.01)
    assert order == ["given 1", "given 3", "given 5", "given 2"]


async def test_what_cannot_be_read_fails_that_sequence_alone(engine: Engine) -> None:
    def refuse(output: EngineCoreOutput, at: float) -> int:
        raise ValueError("not this")

    async with (
        engine.outputs.run(request("a"), refuse) as a,
        engine.outputs.run(request("b"), as_it_came) as b,
    ):
        engine.core.step(output("a", 1), output("b", 2))
        with pytest.raises(ValueError, match="not this"):
            await a.next()
        assert (await b.next())[0].new_token_ids == [2]
    assert sorted(engine.core.aborted) == ["a", "b"]


async def test_what_has_not_ended_is_aborted(engine: Engine) -> None:
    async with engine.outputs.run(request("a"), as_it_came) as a:
        engine.core.step(output("a", 1, FinishReason.STOP))
        await a.next()
    assert not engine.outputs.busy
    async with engine.outputs.run(request("b"), as_it_came):
        assert engine.outputs.busy
    assert not engine.outputs.busy
    assert engine.core.aborted == ["b"]


async def test_all_sequences_of_a_step_have_it_before_the_first_goes_on(engine: Engine) -> None:
    """Which makes one message of them; vLLM's own handler would stop after 128."""
    order: list[tuple[str, int]] = []
    numbers = [f"{number}" for number in range(300)]

    async def read(number: str) -> None:
        async with engine.outputs.run(request(number), as_it_came) as run:
            for turn in range(2):
                await run.next()
                order.append((number, turn))

    tasks = [asyncio.create_task(read(number)) for number in numbers]
    while len(engine.core.added) < len(numbers):
        await asyncio.sleep(0)
    for _ in range(2):
        engine.core.step(*(output(number, 1) for number in numbers))
        while engine.core.outputs.qsize():
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert [turn for _, turn in order] == [0] * 300 + [1] * 300


@pytest.mark.parametrize("error", [EngineDeadError(), ValueError("cannot be decoded")])
async def test_a_core_that_dies_fails_what_runs(engine: Engine, error: Exception) -> None:
    async with engine.outputs.run(request("a"), as_it_came) as a:
        engine.core.step(output("a", 1))
        engine.core.outputs.put_nowait(error)
        await a.next()
        with pytest.raises(EngineDeadError):
            await a.next()


async def test_closing_fails_what_runs() -> None:
    engine = Engine()
    async with engine.outputs.run(request("a"), as_it_came) as a:
        waiting = asyncio.create_task(a.next())
        await asyncio.sleep(0)
        await engine.outputs.aclose()
        with pytest.raises(EngineDeadError):
            await waiting


async def test_nothing_runs_on_a_dead_core(engine: Engine) -> None:
    engine.llm.errored = True
    with pytest.raises(EngineDeadError):
        async with engine.outputs.run(request("a"), as_it_came):
            pass
    assert not engine.core.added
