"""What prompts have in common: marks that the turns of a conversation share."""

import pytest

from protos.paddock.v1 import generation_pb2, model_pb2
from services.inference.affinity import Prefix, prefix_of

SPEC = model_pb2.ModelSpec(weights="w", digest="d")


def chat(*turns: str, spec: model_pb2.ModelSpec = SPEC, **fields: object) -> Prefix:
    """Describe a chat, each turn written as role:text."""
    messages = [
        generation_pb2.Message(role=turn.partition(":")[0], content=turn.partition(":")[2])
        for turn in turns
    ]
    asked = generation_pb2.Chat(messages=messages, **fields)  # type: ignore[arg-type]
    return prefix_of(spec, generation_pb2.Generation(chat=asked))


def text(prompt: str = "", **fields: object) -> Prefix:
    completion = generation_pb2.Completion(prompt=prompt, **fields)  # type: ignore[arg-type]
    return prefix_of(SPEC, generation_pb2.Generation(completion=completion))


def common(one: Prefix, other: Prefix) -> int:
    """Count the bytes of `other` that `one` has as well."""
    keys = {mark.key for mark in one.marks}
    return max((mark.length for mark in other.marks if mark.key in keys), default=0)


FIRST = ["system:be brief", "user:hello"]
SECOND = [*FIRST, "assistant:hi", "user:how are you?"]


def test_the_next_turn_begins_with_the_whole_of_the_last_one() -> None:
    first, second = chat(*FIRST), chat(*SECOND)
    assert common(first, second) == first.length < second.length
    assert first.opening == second.opening
    assert (first.asked, first.answered) == (0, 0)
    assert second.asked == first.length < second.answered < second.length


@pytest.mark.parametrize(
    "other",
    [
        chat("system:be long", "user:hello"),
        chat("user:hello"),
        chat(*FIRST, tools_json=["{}"]),
        chat(*FIRST, spec=model_pb2.ModelSpec(weights="w", digest="another")),
    ],
)
def test_another_beginning_has_nothing_in_common(other: Prefix) -> None:
    assert common(chat(*FIRST), other) == 0
    assert chat(*FIRST).opening != other.opening


def test_conversations_with_one_system_prompt_share_it_and_part_after_it() -> None:
    one, other = chat(*FIRST), chat("system:be brief", "user:goodbye")
    assert 0 < common(one, other) < other.length
    assert one.opening != other.opening


def test_thoughts_are_no_part_of_it_and_images_are() -> None:
    plain = generation_pb2.Message(role="user", content="x")
    thoughtful = generation_pb2.Message(role="user", content="x", thinking="hm")
    seen = generation_pb2.Message(role="user", content="x", images=[b"1" * 5000])
    other = generation_pb2.Message(role="user", content="x", images=[b"2" * 5000])
    keys = [
        prefix_of(
            SPEC, generation_pb2.Generation(chat=generation_pb2.Chat(messages=[message]))
        ).opening
        for message in (plain, thoughtful, seen, other)
    ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_a_text_that_grows_has_most_of_it_in_common() -> None:
    short, long = text("word " * 4000), text("word " * 6000)
    assert common(short, long) > short.length / 2
    assert short.opening == long.opening
    assert common(text("word " * 4000), text("other " * 4000)) < 50


def test_a_message_that_grows_has_most_of_it_in_common() -> None:
    document = "word " * 4000
    short, long = chat(f"user:{document}why?"), chat(f"user:{document}{document}how?")
    assert common(short, long) > short.length / 2


def test_a_context_goes_on_from_the_answer_before() -> None:
    first = text("tell me")
    context = list(range(1000))
    second = text("and then?", context=context)
    known = {mark.key for mark in first.followed_by(context)}
    assert max(mark.length for mark in second.marks if mark.key in known) == 4000
    third = text("and then?", context=[*context, *range(500)])
    assert common(second, third) >= 3000
    assert second.opening == third.opening
    assert first.followed_by([]) == ()


@pytest.mark.parametrize(
    "prefix", [chat(), text(), text("", raw=True), chat("user:"), text(context=[1])]
)
def test_an_empty_prompt_has_a_mark(prefix: Prefix) -> None:
    assert prefix.marks
    assert prefix.opening in prefix.marks


def test_long_conversations_keep_both_ends() -> None:
    turns = [f"{role}:{number}" for number in range(200) for role in ("user", "assistant")]
    long, longer = chat(*turns), chat(*turns, "user:more")
    assert len(long.marks) <= 64
    assert common(long, longer) == long.length
    assert long.opening == longer.opening == chat(*turns[:1]).opening


def test_what_lies_beyond_a_megabyte_is_not_looked_at() -> None:
    assert chat("user:" + "x" * 3_000_000).length == 1 << 20
