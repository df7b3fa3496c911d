"""The Render RPC: a request's prompt, for looking at."""

import grpc
import pytest

from protos.paddock.v1 import generation_pb2, worker_pb2
from tests.workers.harness import Worker, completion, model


async def render(worker: Worker, generation: generation_pb2.Generation) -> str:
    request = worker_pb2.RenderSequenceRequest(spec=model(), generation=generation)
    rendered = await worker.stub.Render(request)
    assert rendered.images == 0
    return rendered.text


async def test_the_prompt_is_shown_and_nothing_generated(worker: Worker) -> None:
    assert await render(worker, completion("Hi", raw=False)) == "user: Hi\nassistant: "
    [engine] = worker.factory.engines
    assert not engine.generated


async def test_it_is_shown_as_it_is_shortened(worker: Worker) -> None:
    messages = [
        generation_pb2.Message(role=role, content=content)
        for role, content in [("system", "Be brief."), ("user", "x" * 1000), ("user", "Hi")]
    ]
    generation = generation_pb2.Generation(chat=generation_pb2.Chat(messages=messages))
    expected = "system: Be brief.\nuser: Hi\nassistant: "
    assert await render(worker, generation) == expected
    assert await render(worker, completion("y" * 5000)) == "y" * 502


async def test_what_was_said_before_is_shown_as_well(worker: Worker) -> None:
    earlier = [ord(letter) for letter in "said. "]
    generation = completion("Hi", raw=False)
    generation.completion.context.extend(earlier)
    assert await render(worker, generation) == "said. user: Hi\nassistant: "


async def test_a_request_that_is_refused(worker: Worker) -> None:
    generation = completion("Hi")
    generation.completion.images.append(b"png")
    with pytest.raises(grpc.aio.AioRpcError, match='"a" does not support images'):
        await render(worker, generation)
