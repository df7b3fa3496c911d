import pytest

from common.errors import InvalidRequest
from protos.paddock.v1.generation_pb2 import Chat, Completion, Generation, Message, Options
from workers.window import answer_limit, refuse_hopeless


@pytest.mark.parametrize(
    ("options", "prompt", "limit"),
    [
        (Options(), 10, 90),
        (Options(num_predict=-1), 10, 90),
        (Options(num_predict=-2), 10, 90),
        (Options(num_predict=0), 10, 90),
        (Options(num_predict=5), 10, 5),
        (Options(num_predict=500), 10, 90),
        (Options(num_ctx=50), 10, 40),
        (Options(num_ctx=5000), 10, 90),
        (Options(num_ctx=1), 3, 1),
    ],
)
def test_answer_limit(options: Options, prompt: int, limit: int) -> None:
    assert answer_limit(options, prompt, context_length=100) == limit


@pytest.mark.parametrize(("options", "prompt"), [(Options(), 100), (Options(num_ctx=8), 8)])
def test_a_prompt_without_room_for_an_answer(options: Options, prompt: int) -> None:
    with pytest.raises(InvalidRequest, match="longer than the context length"):
        answer_limit(options, prompt, context_length=100)


@pytest.mark.parametrize(
    "generation",
    [
        Generation(completion=Completion(prompt="x" * 200_000)),
        Generation(completion=Completion(prompt="x", suffix="x" * 200_000)),
        Generation(completion=Completion(history=[Message(content="x" * 200_000)])),
        Generation(chat=Chat(messages=[Message(content="x" * 60_000)] * 2)),
        Generation(chat=Chat(messages=[Message(content="x")] * 150)),
    ],
)
def test_a_text_that_cannot_fit_is_refused_unread(generation: Generation) -> None:
    with pytest.raises(InvalidRequest, match="the prompt is longer than the context length"):
        refuse_hopeless(generation, 100)
    refuse_hopeless(generation, 200)
