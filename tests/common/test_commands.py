"""What a peer is yet to be told."""

import asyncio

from common.commands import Commands
from protos.paddock.v1 import worker_pb2


async def taken(commands: Commands[worker_pb2.RunRequest]) -> worker_pb2.RunRequest:
    command = await commands.take()
    assert command is not None
    return command


def start(sequence: int) -> worker_pb2.RunRequest:
    return worker_pb2.RunRequest(start=worker_pb2.StartSequence(sequence=sequence))


async def test_a_start_that_was_not_sent_is_taken_back() -> None:
    commands = Commands(worker_pb2.RunRequest)
    commands.start(1, start(1))
    commands.start(2, start(2))
    assert (await taken(commands)).start.sequence == 1
    commands.cancel(2)
    assert len(commands) == 0
    commands.cancel(1)
    taking = asyncio.create_task(taken(commands))
    assert (await taking).cancel.sequence == 1
    waiting = asyncio.create_task(taken(commands))
    await asyncio.sleep(0)
    assert not waiting.done()
    commands.start(3, start(3))
    assert (await waiting).start.sequence == 3


async def test_what_is_pending_is_taken_before_the_end() -> None:
    commands = Commands(worker_pb2.RunRequest)
    commands.start(1, start(1))
    commands.close()
    assert await commands.take() is not None
    assert await commands.take() is None
