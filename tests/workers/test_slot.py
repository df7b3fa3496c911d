import asyncio
import gc
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import cast

import pytest

from tests.workers.fakes import LetterTokenizer
from workers.engine import Engine, Tokenizer
from workers.slot import RenderThreads


@pytest.fixture(autouse=True)
def ended_threads() -> Iterator[None]:
    """They end with what they belong to; others count them."""
    before = threading.enumerate()
    yield
    gc.collect()
    for thread in threading.enumerate():
        if thread not in before:
            thread.join(5)


def threads() -> RenderThreads:
    return RenderThreads(cast(Engine, SimpleNamespace(tokenizer=LetterTokenizer())))


def here(tokenizer: Tokenizer) -> bool:
    return threading.current_thread() is threading.main_thread()


def fails(tokenizer: Tokenizer) -> bool:
    raise ValueError(here(tokenizer))


def works(seconds: float) -> Callable[[Tokenizer], bool]:
    def work(tokenizer: Tokenizer) -> bool:
        began = time.thread_time()
        while time.thread_time() - began < seconds:
            pass
        return here(tokenizer)

    return work


def waits(tokenizer: Tokenizer) -> bool:
    time.sleep(0.002)
    return here(tokenizer)


async def test_small_prompts_are_made_at_once_as_long_as_they_are_quick() -> None:
    made = threads()
    assert not await made.render(here, small=True)
    assert await made.render(here, small=True)
    assert not await made.render(here)
    assert await made.render(works(0.002), small=True)
    assert not await made.render(works(0.002), small=True)
    assert not await made.render(here, small=True)
    assert await made.render(here, small=True)


async def test_a_machine_that_is_busy_sends_no_prompt_to_the_thread() -> None:
    made = threads()
    await made.render(here, small=True)
    assert await made.render(waits, small=True)
    assert await made.render(here, small=True)


async def test_nobody_makes_one_while_the_thread_has_the_tokenizer() -> None:
    made = threads()
    await made.render(here, small=True)
    free, begun = threading.Event(), threading.Event()

    def hold(tokenizer: Tokenizer) -> bool:
        begun.set()
        return free.wait(10)

    holding = asyncio.create_task(made.render(hold))
    await asyncio.to_thread(begun.wait, 10)
    waiting = asyncio.create_task(made.render(here, small=True))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    free.set()
    assert await holding
    assert not await waiting


async def test_a_prompt_that_fails_leaves_the_tokenizer_free() -> None:
    made = threads()
    await made.render(here, small=True)
    for _ in range(2):
        try:
            await made.render(fails, small=True)
        except ValueError as error:
            assert error.args == (True,)  # noqa: PT017
    assert await made.render(here, small=True)
