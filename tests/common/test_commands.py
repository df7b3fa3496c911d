"""What a peer is yet to be told."""

import asyncio

from common.commands import Commands
from protos.paddock.v1 import model_pb2, worker_pb2

Taken = tuple[list[int], list[int]]


async def taken(commands: Commands[worker_pb2.RunCommands]) -> Taken:
    """Give the numbers of the starts and of the cancellations in the next message."""
    message = await commands.take()
    assert message is not None
    return [start.sequence for start in message.starts], list(message.cancels)


def start(sequence: int, size: int = 0) -> worker_pb2.StartSequence:
    spec = model_pb2.ModelSpec(name="x" * size)
    return worker_pb2.StartSequence(sequence=sequence, spec=spec)


async def test_what_has_come_is_taken_at_once() -> None:
    commands = Commands(worker_pb2.RunCommands)
    for number in (1, 2):
        commands.start(number, start(number))
    assert await taken(commands) == ([1, 2], [])
    commands.cancel(1)
    commands.start(3, start(3))
    commands.cancel(2)
    assert len(commands) == 3
    assert await taken(commands) == ([3], [1, 2])
    assert len(commands) == 0


async def test_a_start_that_was_not_sent_is_taken_back() -> None:
    commands = Commands(worker_pb2.RunCommands)
    commands.start(1, start(1))
    commands.cancel(1)
    assert len(commands) == 0
    taking = asyncio.create_task(taken(commands))
    await asyncio.sleep(0)
    assert not taking.done()
    commands.start(2, start(2))
    assert await taking == ([2], [])


async def test_large_starts_go_alone() -> None:
    commands = Commands(worker_pb2.RunCommands)
    for number, size in enumerate((100_000, 100, 40_000, 40_000, 200_000)):
        commands.start(number, start(number, size))
    sent = [await taken(commands) for _ in range(4)]
    assert sent == [([0], []), ([1, 2], []), ([3], []), ([4], [])]


async def test_what_is_pending_is_taken_before_the_end() -> None:
    commands = Commands(worker_pb2.RunCommands)
    commands.start(1, start(1))
    commands.close()
    assert await commands.take() is not None
    assert await commands.take() is None
