"""The step clock: what sequences share, what they wait for, and what the prefix cache saves."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from protos.paddock.v1 import generation_pb2
from workers.engine import Limits, Prompt, Step, Timing
from workers.simulated.batch import Counts
from workers.simulated.engine import SimulatedEngine
from workers.simulated.simulation import Simulation

STEP = 0.02
PROMPT = 0.0005


@pytest.fixture
async def engine() -> AsyncIterator[SimulatedEngine]:
    limits = Limits(context_length=4000, max_sequences=2, accelerator=False)
    simulation = Simulation(token_time=STEP, prompt_time=PROMPT)
    engine = SimulatedEngine("simulated", limits, simulation, Counts())
    yield engine
    await engine.aclose()


async def timed(engine: SimulatedEngine, prompt: Prompt, count: int) -> tuple[list[Step], float]:
    """Generate some tokens; give the steps and when the last one came."""
    options = generation_pb2.Options(num_predict=count, temperature=0)
    generation = generation_pb2.Generation(options=options)
    steps = [step async for step in engine.generate(prompt, generation)]
    return steps, time.monotonic()


def timing(steps: list[Step]) -> Timing:
    assert steps[-1].timing
    return steps[-1].timing


async def test_a_step_takes_its_time_for_all_together(engine: SimulatedEngine) -> None:
    began = time.monotonic()
    first, second = await asyncio.gather(
        timed(engine, Prompt([1]), 10), timed(engine, Prompt([2]), 10)
    )
    assert abs(first[1] - second[1]) < STEP
    assert 10 * STEP <= first[1] - began < 15 * STEP


async def test_those_beyond_the_most_wait_in_order(engine: SimulatedEngine) -> None:
    prompts = [Prompt([number]) for number in range(4)]
    ended = [end for _, end in await asyncio.gather(*(timed(engine, it, 5) for it in prompts))]
    assert ended == sorted(ended)
    assert ended[2] - ended[1] > 4 * STEP


async def test_a_prompt_takes_its_time_once(engine: SimulatedEngine) -> None:
    prompt = Prompt(list(range(200)))
    cold, _ = await timed(engine, prompt, 1)
    warm, _ = await timed(engine, prompt, 1)
    assert timing(cold).prompt >= 200 * PROMPT * 1e9
    assert timing(warm).prompt < timing(cold).prompt / 2


async def test_the_next_turn_computes_only_what_is_new(engine: SimulatedEngine) -> None:
    first, _ = await timed(engine, Prompt([1] * 100), 44)
    answer = [token for step in first for token in step.tokens]
    await timed(engine, Prompt([*[1] * 100, *answer, 5, 6, 7]), 1)
    assert engine._counts.cached_tokens == 144


async def test_what_another_engine_wrote_is_computed_as_part_of_the_prompt(
    engine: SimulatedEngine,
) -> None:
    whole, _ = await timed(engine, Prompt([1] * 10), 40)
    generated = [token for step in whole for token in step.tokens][:30]
    began = time.monotonic()
    again, ended = await timed(engine, Prompt([1] * 10, generated=generated), 40)
    assert again == whole
    assert 10 * STEP <= ended - began < 20 * STEP
    assert again[30].timing


async def test_nothing_is_computed_for_an_answer_that_has_ended(engine: SimulatedEngine) -> None:
    whole, _ = await timed(engine, Prompt([1]), 10)
    generated = [token for step in whole for token in step.tokens]
    computed = engine._counts.completion_tokens
    again, _ = await timed(engine, Prompt([1], generated=generated), 10)
    assert again == whole
    assert engine._counts.completion_tokens == computed
