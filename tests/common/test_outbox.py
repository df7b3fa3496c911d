import asyncio

from common.outbox import Outbox
from protos.paddock.v1 import generation_pb2, sequences_pb2


async def test_what_piles_up_is_joined() -> None:
    outbox = Outbox()
    for content in ("a", "b", "c"):
        outbox.update(1).delta.content += content
        outbox.update(2).delta.content += content
    outbox.update(2).completed.reason = generation_pb2.FINISH_REASON_STOP
    message = await outbox.take()
    assert message
    first, second = message.updates
    assert (first.sequence, first.delta.content, first.WhichOneof("end")) == (1, "abc", None)
    assert (second.sequence, second.delta.content) == (2, "abc")
    assert second.WhichOneof("end") == "completed"


async def test_what_was_taken_does_not_come_again() -> None:
    outbox = Outbox()
    outbox.update(1).delta.content = "a"
    first = await outbox.take()
    outbox.update(1).delta.content += "b"
    second = await outbox.take()
    assert first
    assert second
    assert [message.updates[0].delta.content for message in (first, second)] == ["a", "b"]


async def test_take_waits() -> None:
    outbox = Outbox()
    taking = asyncio.create_task(outbox.take())
    await asyncio.sleep(0)
    assert not taking.done()
    outbox.update(1).delta.content = "a"
    message = await taking
    assert message
    assert len(message.updates) == 1


async def test_nothing_after_the_end() -> None:
    outbox = Outbox()
    outbox.update(1).delta.content = "a"
    outbox.close()
    assert await outbox.take() is not None
    assert await outbox.take() is None


async def test_a_cancelled_sequence_says_nothing() -> None:
    outbox = Outbox()
    for sequence in (1, 2, 3):
        outbox.update(sequence).delta.content = "a"
    outbox.discard(2)
    message = await outbox.take()
    assert message
    assert [update.sequence for update in message.updates] == [1, 3]
    outbox.update(1).delta.content = "a"
    outbox.discard(1)
    outbox.close()
    assert await outbox.take() is None


async def test_updates_are_added_to_what_is_pending() -> None:
    outbox = Outbox()
    for content in ("a", "b"):
        delta = generation_pb2.Delta(content=content, tokens=[1])
        outbox.put(sequences_pb2.SequenceUpdate(sequence=7, delta=delta))
    reason = generation_pb2.FINISH_REASON_STOP
    completed = generation_pb2.Completed(reason=reason)
    outbox.put(sequences_pb2.SequenceUpdate(sequence=7, completed=completed))
    message = await outbox.take()
    assert message
    (update,) = message.updates
    assert (update.sequence, update.delta.content, list(update.delta.tokens)) == (7, "ab", [1, 1])
    assert update.completed.reason == reason
