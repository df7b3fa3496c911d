"""What every engine behind the seam must do; one module of tests per engine runs it."""

import asyncio
from contextlib import aclosing

import pytest

from common.errors import CapabilityMissing, InvalidRequest
from protos.paddock.v1 import generation_pb2, model_pb2
from workers.engine import Engine, Prompt, Step
from workers.prompt import render

PROMPT = "Why is the sky blue?"


def chat(engine: Engine, prompt: str = PROMPT) -> Prompt:
    message = generation_pb2.Message(role="user", content=prompt)
    conversation = generation_pb2.Chat(messages=[message])
    spec = model_pb2.ModelSpec(name="tested")
    return render(engine, spec, generation_pb2.Generation(chat=conversation))


async def run(engine: Engine, prompt: str = PROMPT, **options: object) -> list[Step]:
    options.setdefault("num_predict", 24)
    options.setdefault("temperature", 0.0)
    generation = generation_pb2.Generation(
        options=generation_pb2.Options(**options)  # type: ignore[arg-type]
    )
    async with aclosing(engine.generate(chat(engine, prompt), generation)) as steps:
        return [step async for step in steps]


def text(steps: list[Step]) -> str:
    return "".join(step.text for step in steps)


class EngineConformance:
    """Subclasses give an `engine` fixture; their tests run on its event loop."""

    async def test_the_last_step_alone_has_a_reason(self, engine: Engine) -> None:
        *before, last = await run(engine)
        assert all(not step.reason for step in before)
        assert last.reason
        assert last.timing
        assert last.timing.prompt > 0

    async def test_num_predict(self, engine: Engine) -> None:
        steps = await run(engine, num_predict=5)
        assert sum(len(step.tokens) for step in steps) == 5
        assert steps[-1].reason == generation_pb2.FINISH_REASON_LENGTH

    async def test_temperature_zero_gives_the_same_text_again(self, engine: Engine) -> None:
        assert text(await run(engine)) == text(await run(engine))

    async def test_a_stop_string_ends_the_text_before_it(self, engine: Engine) -> None:
        whole = text(await run(engine))
        stop = whole[7:11]
        steps = await run(engine, stop=["never in it", stop])
        assert text(steps) == whole[: whole.index(stop)]
        assert steps[-1].reason == generation_pb2.FINISH_REASON_STOP

    async def test_text_that_began_like_a_stop_string_is_not_lost(self, engine: Engine) -> None:
        whole = text(await run(engine))
        assert text(await run(engine, stop=[whole[-3:] + "never"])) == whole

    async def test_num_ctx_caps_prompt_and_answer(self, engine: Engine) -> None:
        prompt = len(chat(engine).tokens)
        steps = await run(engine, num_predict=-1, num_ctx=prompt + 3)
        assert sum(len(step.tokens) for step in steps) <= 3

    async def test_a_prompt_that_is_too_long(self, engine: Engine) -> None:
        prompt = Prompt([1] * engine.limits.context_length)
        with pytest.raises(InvalidRequest, match="longer than the context length"):
            await anext(engine.generate(prompt, generation_pb2.Generation()))

    async def test_many_at_once(self, engine: Engine) -> None:
        prompts = [f"{PROMPT} {number}" for number in range(64)]
        answers = await asyncio.gather(*(run(engine, prompt) for prompt in prompts))
        assert all(steps[-1].reason for steps in answers)

    async def test_what_is_closed_frees_its_place(self, engine: Engine) -> None:
        """Twice as many as run at once, all left early: the next one must not wait for them."""
        generation = generation_pb2.Generation()
        prompt = chat(engine)

        async def leave() -> None:
            async with aclosing(engine.generate(prompt, generation)) as steps:
                await anext(steps)

        await asyncio.gather(*(leave() for _ in range(2 * engine.limits.max_sequences)))
        async with asyncio.timeout(5):
            assert await run(engine, num_predict=1)

    async def test_a_cancelled_task_frees_its_place(self, engine: Engine) -> None:
        tasks = [asyncio.create_task(run(engine, num_predict=-1)) for _ in range(20)]
        await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(5):
            assert await run(engine, num_predict=1)

    async def test_it_does_not_embed(self, engine: Engine) -> None:
        with pytest.raises(CapabilityMissing, match="does not support embeddings"):
            await engine.embed([[1, 2, 3]])
