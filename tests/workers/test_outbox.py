import asyncio

from protos.paddock.v1 import generation_pb2, worker_pb2
from workers.outbox import Outbox


def text(sequence: int, content: str) -> worker_pb2.SequenceUpdate:
    delta = generation_pb2.Delta(content=content)
    return worker_pb2.SequenceUpdate(sequence=sequence, delta=delta)


def end(sequence: int) -> worker_pb2.SequenceUpdate:
    completed = generation_pb2.Completed(reason=generation_pb2.FINISH_REASON_STOP)
    return worker_pb2.SequenceUpdate(sequence=sequence, completed=completed)


async def test_what_piles_up_is_joined() -> None:
    outbox = Outbox()
    for content in ("a", "b", "c"):
        outbox.put(text(1, content))
        outbox.put(text(2, content))
    outbox.put(end(2))
    first, second = await outbox.take()
    assert (first.sequence, first.delta.content, first.WhichOneof("end")) == (1, "abc", None)
    assert (second.delta.content, second.WhichOneof("end")) == ("abc", "completed")


async def test_take_waits() -> None:
    outbox = Outbox()
    taking = asyncio.create_task(outbox.take())
    await asyncio.sleep(0)
    assert not taking.done()
    outbox.put(text(1, "a"))
    assert len(await taking) == 1


async def test_nothing_after_the_end() -> None:
    outbox = Outbox()
    outbox.put(text(1, "a"))
    outbox.close()
    assert len(await outbox.take()) == 1
    assert await outbox.take() == []


async def test_a_cancelled_sequence_says_nothing() -> None:
    outbox = Outbox()
    outbox.put(text(1, "a"))
    outbox.discard(1)
    outbox.close()
    assert await outbox.take() == []
