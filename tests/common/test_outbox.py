import asyncio

from common.outbox import Outbox
from protos.paddock.v1 import generation_pb2


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


async def test_deltas_are_added_to_what_is_pending() -> None:
    outbox = Outbox()
    for content in ("a", "b"):
        outbox.add(7, generation_pb2.Delta(content=content, tokens=[1]))
    outbox.update(7).completed.reason = generation_pb2.FINISH_REASON_STOP
    message = await outbox.take()
    assert message
    (update,) = message.updates
    assert (update.sequence, update.delta.content, list(update.delta.tokens)) == (7, "ab", [1, 1])
    assert update.completed.reason == generation_pb2.FINISH_REASON_STOP


async def test_single_tokens_share_columns() -> None:
    outbox = Outbox()
    outbox.add_text(1, "a", 10)
    outbox.add_text(2, "", 20)
    message = await outbox.take()
    assert message
    columns = list(message.sequences), list(message.contents), list(message.tokens)
    assert columns == ([1, 2], ["a", ""], [10, 20])
    assert not message.updates


async def test_each_sequence_is_in_one_place() -> None:
    outbox = Outbox()
    for number in range(1, 6):
        outbox.add_text(number, f"{number}a", number)
    outbox.add_text(1, "1b", 11)
    outbox.add(2, generation_pb2.Delta(thinking="2b", tokens=[12]))
    outbox.update(3).completed.reason = generation_pb2.FINISH_REASON_STOP
    outbox.discard(4)
    message = await outbox.take()
    assert message
    columns = list(message.sequences), list(message.contents), list(message.tokens)
    assert columns == ([5], ["5a"], [5])
    told = {update.sequence: update.delta for update in message.updates}
    assert (told[1].content, list(told[1].tokens)) == ("1a1b", [1, 11])
    assert (told[2].content, told[2].thinking, list(told[2].tokens)) == ("2a", "2b", [2, 12])
    assert (told[3].content, list(told[3].tokens)) == ("3a", [3])
    outbox.discard(5)
    outbox.close()
    assert await outbox.take() is None


async def test_an_end_goes_with_the_last_token_before_it() -> None:
    outbox = Outbox()
    last_token = asyncio.Event()

    async def run() -> None:
        await last_token.wait()
        outbox.update(1).completed.reason = generation_pb2.FINISH_REASON_STOP

    taking, running = asyncio.create_task(outbox.take()), asyncio.create_task(run())
    await asyncio.sleep(0)
    outbox.add_text(1, "the", 7)
    last_token.set()
    message = await taking
    assert message
    (update,) = message.updates
    assert (update.delta.content, update.WhichOneof("end")) == ("the", "completed")
    await running
