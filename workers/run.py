"""One Run stream: a router's commands in, the updates of all its sequences out."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from protos.paddock.v1 import worker_pb2
from workers.models import Models
from workers.outbox import Outbox
from workers.sequence import Sequence


class RunStream:
    """The sequences of one router.

    When the router sends no more commands, what runs may finish; when the stream breaks,
    it is cancelled. When the worker leaves, the stream ends after the last update.
    """

    def __init__(self, models: Models) -> None:
        self._models = models
        self._outbox = Outbox()
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def responses(
        self, commands: AsyncIterator[worker_pb2.RunRequest]
    ) -> AsyncGenerator[worker_pb2.RunResponse, None]:
        """Follow the commands; give a message whenever something is pending."""
        followers = [
            asyncio.create_task(self._follow(commands)),
            asyncio.create_task(self._leave()),
        ]
        try:
            while updates := await self._outbox.take():
                yield worker_pb2.RunResponse(updates=updates)
        finally:
            running = [*followers, *self._tasks.values()]
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _follow(self, commands: AsyncIterator[worker_pb2.RunRequest]) -> None:
        try:
            async for command in commands:
                match command.WhichOneof("command"):
                    case "start":
                        self._start(command.start)
                    case "cancel":
                        self._cancel(command.cancel.sequence)
            await self._finish()
        finally:
            self._outbox.close()

    async def _leave(self) -> None:
        """End the stream once the worker is drained."""
        await self._models.drained.wait()
        await self._finish()
        self._outbox.close()

    async def _finish(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks.values())

    def _start(self, start: worker_pb2.StartSequence) -> None:
        number = start.sequence
        sequence = Sequence(start, self._outbox.put)
        task = asyncio.create_task(sequence.run(self._models))
        self._tasks[number] = task
        task.add_done_callback(lambda _: self._tasks.pop(number, None))

    def _cancel(self, number: int) -> None:
        if task := self._tasks.get(number):
            task.cancel()
        self._outbox.discard(number)
