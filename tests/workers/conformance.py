"""What every engine behind the seam must do; one module of tests per engine runs it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from common.errors import CapabilityMissing, InvalidRequest
from protos.paddock.v1 import generation_pb2, model_pb2
from workers.engine import Engine, Prompt, Step
from workers.prompt import render

PROMPT = "Why is the sky blue?"

CUTS = [0, 1, 2, 5, 11, 12, 23, 24]
"""Numbers of tokens of an answer after which another engine goes on with it."""


def chat(engine: Engine, prompt: str = PROMPT) -> Prompt:
    message = generation_pb2.Message(role="user", content=prompt)
    conversation = generation_pb2.Chat(messages=[message])
    spec = model_pb2.ModelSpec(name="tested")
    return render(engine, spec, generation_pb2.Generation(chat=conversation))


def asked(**options: Any) -> generation_pb2.Generation:
    options = {"num_predict": 24, "temperature": 0.0} | options
    return generation_pb2.Generation(options=generation_pb2.Options(**options))


async def run(engine: Engine, prompt: str = PROMPT, **options: Any) -> list[Step]:
    return await go_on(engine, chat(engine, prompt), asked(**options))


async def go_on(
    engine: Engine,
    prompt: Prompt,
    generation: generation_pb2.Generation,
    generated: Sequence[int] = (),
) -> list[Step]:
    """Run to the end, after what another engine generated."""
    given = replace(prompt, generated=generated)
    async with aclosing(engine.generate(given, generation)) as steps:
        return [step async for step in steps]


def text(steps: list[Step]) -> str:
    return "".join(step.text for step in steps)


def tokens(steps: list[Step]) -> list[int]:
    return [token for step in steps for token in step.tokens]


async def assert_goes_on(
    engine: Engine,
    prompt: Prompt,
    generation: generation_pb2.Generation,
    cuts: Sequence[int] = CUTS,
) -> None:
    """Compare an answer that is gone on with, after so many tokens, with the undisturbed one."""
    whole = await go_on(engine, prompt, generation)
    for cut in {min(cut, len(tokens(whole))) for cut in cuts}:
        steps = await go_on(engine, prompt, generation, tokens(whole)[:cut])
        assert tokens(steps) == tokens(whole), f"after {cut} tokens"
        assert [list(step.tokens) for step in steps[:cut]] == [[it] for it in tokens(whole)[:cut]]
        assert text(steps) == text(whole), f"after {cut} tokens"
        assert steps[-1].reason == whole[-1].reason
        assert not any(step.reason for step in steps[:-1])
        shown, all_shown = logprobs(steps), logprobs(whole)
        assert len(shown) == len(all_shown)
        assert [it.token_bytes for it in shown] == [it.token_bytes for it in all_shown]
        assert steps[-1].prompt_tokens == whole[-1].prompt_tokens


def logprobs(steps: list[Step]) -> list[generation_pb2.TokenLogprob]:
    return [logprob for step in steps for logprob in step.logprobs]


async def _exhaust(steps: AsyncIterator[Step]) -> None:
    async for _ in steps:
        pass


class EngineConformance:
    """Subclasses give an `engine` fixture; their tests run on its event loop."""

    async def test_the_last_step_alone_has_a_reason(self, engine: Engine) -> None:
        *before, last = await run(engine)
        assert all(not step.reason for step in before)
        assert last.reason
        assert last.timing
        assert last.timing.prompt > 0

    async def test_the_first_step_tells_what_the_prompt_took(self, engine: Engine) -> None:
        first, *_, last = await run(engine)
        assert first.timing
        assert last.timing
        assert first.timing.prompt == last.timing.prompt
        assert first.prompt_tokens == last.prompt_tokens

    async def test_steps_that_are_taken_or_not(self, engine: Engine) -> None:
        """None is lost or changes its place."""
        steps: list[Step] = []

        def take(step: Step) -> bool:
            takes = len(steps) % 3 > 0 and not step.reason
            if takes:
                steps.append(step)
            return takes

        async with aclosing(engine.generate(chat(engine), asked(), take)) as given:
            async for step in given:
                steps.append(step)  # noqa: PERF401 - others are taken in between
        assert steps == await run(engine)

    async def test_leaving_what_is_taken(self, engine: Engine) -> None:
        taken: list[Step] = []

        def take(step: Step) -> bool:
            taken.append(step)
            return not step.reason

        steps = engine.generate(chat(engine), asked(num_predict=-1), take)
        reading = asyncio.create_task(_exhaust(steps))
        while not taken:
            await asyncio.sleep(0.001)
        reading.cancel()
        count = len(taken)
        await asyncio.gather(reading, return_exceptions=True)
        await run(engine, num_predict=3)
        assert len(taken) == count

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

    async def test_going_on_with_an_answer(self, engine: Engine) -> None:
        await assert_goes_on(engine, chat(engine), asked())

    async def test_going_on_with_what_it_would_not_have_said(self, engine: Engine) -> None:
        other = tokens(await run(engine, "Count to ten."))[:7][::-1]
        steps = await go_on(engine, chat(engine), asked(), other)
        assert tokens(steps)[:7] == other
        assert len(tokens(steps)) <= 24

    async def test_going_on_under_a_stop_string(self, engine: Engine) -> None:
        """Also where it lies across the place where the answer was left."""
        whole = text(await run(engine))
        for stop in (whole[7:11], whole[3:14], whole[-4:], whole[-4:] + "never"):
            stopped = asked(stop=["never in it", stop])
            await assert_goes_on(engine, chat(engine), stopped, range(24))

    async def test_going_on_by_chance(self, engine: Engine) -> None:
        hot = asked(temperature=1.5, seed=7, top_p=0.95, top_k=40, repeat_penalty=1.2)
        await assert_goes_on(engine, chat(engine), hot)

    async def test_going_on_to_the_window_s_end(self, engine: Engine) -> None:
        prompt = chat(engine)
        narrow = asked(num_predict=-1, num_ctx=len(prompt.tokens) + 5)
        await assert_goes_on(engine, prompt, narrow, range(6))

    async def test_going_on_with_log_probabilities(self, engine: Engine) -> None:
        generation = asked()
        generation.logprobs = 2
        await assert_goes_on(engine, chat(engine), generation)

    async def test_leaving_what_another_engine_generated(self, engine: Engine) -> None:
        prompt = replace(chat(engine), generated=tokens(await run(engine))[:12])
        async with aclosing(engine.generate(prompt, asked(num_predict=-1))) as steps:
            assert (await anext(steps)).tokens
        async with asyncio.timeout(5):
            assert await run(engine, num_predict=1)
