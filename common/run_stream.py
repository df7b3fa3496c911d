"""The answering side of a Run call: commands in, the updates of all its sequences out."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from typing import Any, Generic, TypeVar

from common.outbox import Outbox
from protos.paddock.v1 import inference_pb2, sequences_pb2, worker_pb2

S = TypeVar("S", bound=inference_pb2.GenerateRequest | worker_pb2.StartSequence)


class RunStream(Generic[S]):
    """The sequences of one caller.

    When the caller sends no more commands, what runs may finish; when the call breaks, it is
    cancelled. Once this process takes no more work, the call ends after the last update.

    Args:
        run: runs a sequence to its end, whatever that is, and puts what comes of it into the
            outbox.
        left: set once this process takes no more work.
    """

    def __init__(
        self, run: Callable[[S, Outbox], Coroutine[Any, Any, None]], left: asyncio.Event
    ) -> None:
        self._run = run
        self._left = left
        self._outbox = Outbox()
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def responses(
        self, commands: AsyncIterator[Any]
    ) -> AsyncGenerator[sequences_pb2.RunResponse, None]:
        """Follow the commands, which start and cancel; give a message when anything is pending."""
        followers = [
            asyncio.create_task(self._follow(commands)),
            asyncio.create_task(self._leave()),
        ]
        try:
            while response := await self._outbox.take():
                yield response
        finally:
            running = [*followers, *self._tasks.values()]
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _follow(self, commands: AsyncIterator[Any]) -> None:
        try:
            async for message in commands:
                for start in message.starts:
                    self._start(start)
                for number in message.cancels:
                    self._cancel(number)
            await self._finish()
        finally:
            self._outbox.close()

    async def _leave(self) -> None:
        await self._left.wait()
        await self._finish()
        self._outbox.close()

    async def _finish(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks.values())

    def _start(self, start: S) -> None:
        number = start.sequence
        task = asyncio.create_task(self._run(start, self._outbox))
        self._tasks[number] = task
        task.add_done_callback(lambda _: self._tasks.pop(number, None))

    def _cancel(self, number: int) -> None:
        if task := self._tasks.get(number):
            task.cancel()
        self._outbox.discard(number)
