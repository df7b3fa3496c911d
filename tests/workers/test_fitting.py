"""Prompts that are longer than the window."""

import pytest

from common.errors import InvalidRequest
from protos.paddock.v1 import model_pb2
from protos.paddock.v1.generation_pb2 import (
    Chat,
    Completion,
    Generation,
    Message,
    Options,
    ToolCall,
)
from tests.workers.letters import LetterEngine, Recorder
from workers.engine import Prompt
from workers.prompt import render

SPEC = model_pb2.ModelSpec(name="m:latest")
CHATML = "{{ range .Messages }}<{{ .Role }}>{{ .Content }}{{ end }}"


def fit(generation: Generation, window: int, **tokenizer: object) -> str:
    """Give the text of the tokens that a prompt has in a window."""
    engine = LetterEngine(Recorder(**tokenizer), window)  # type: ignore[arg-type]
    prompt = render(engine, SPEC, generation)
    assert len(prompt.tokens) < window
    assert prompt.text == engine.tokenizer.decode(list(prompt.tokens))
    return prompt.text


def conversation(*turns: str, **more: object) -> Generation:
    """Make a chat of contents that begin with their role's letter; C is a call of a tool."""
    roles = {"s": "system", "u": "user", "a": "assistant", "C": "assistant", "t": "tool"}
    messages = [
        Message(
            role=roles[turn[0]],
            content=turn,
            tool_calls=[ToolCall(name="f")] if turn[0] == "C" else [],
        )
        for turn in turns
    ]
    return Generation(chat=Chat(messages=messages), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (41, "[user]u1[assistant]a1[user]u2[assistant]a2[user]u3"),
        (40, "[assistant]a1[user]u2[assistant]a2[user]u3"),
    ],
)
def test_the_oldest_message_goes_first(window: int, expected: str) -> None:
    generation = conversation("u1", "a1", "u2", "a2", "u3")
    assert fit(generation, window + 10) == expected


@pytest.mark.parametrize(
    ("turns", "window", "expected"),
    [
        (("s1", "u1", "a1", "u2"), 30, "[system]s1[user]u2"),
        (("s1", "u1", "s2", "u2"), 30, "[system]s1[system]s2[user]u2"),
        (("u1", "C1", "t1", "u2"), 35, "[assistant]C1[tool]t1[user]u2"),
        (("u1", "C1", "t1", "u2"), 28, "[user]u2"),
        (("u1", "C1", "t1"), 25, "[assistant]C1[tool]t1"),
    ],
)
def test_what_stays(turns: tuple[str, ...], window: int, expected: str) -> None:
    assert fit(conversation(*turns), window) == expected


def test_a_go_template_s_conversation() -> None:
    generation = conversation("s", "u1", "a1", "u2", template=CHATML)
    assert fit(generation, 35) == "<system>s<assistant>a1<user>u2"
    assert fit(generation, 25) == "<system>s<user>u2"


def test_a_template_that_wants_a_user_to_begin() -> None:
    generation = conversation("u1", "a1", "u2", "a2", "u3")
    assert fit(generation, 50, refuses="a user begins") == "[user]u2[assistant]a2[user]u3"
    called = conversation("u" * 30, "C1", "t1")
    assert fit(called, 30, refuses="a user begins").startswith("[use")


def test_num_ctx_is_the_window_of_a_request() -> None:
    generation = conversation("u1", "a1", "u2", options=Options(num_ctx=12))
    assert fit(generation, 1000) == "[user]u2"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Options(), "0123" + "t" * 48),
        (Options(num_keep=0), "t" * 50),
        (Options(num_keep=10), "0123456789" + "t" * 45),
        (Options(num_keep=-1), "0123456789" + "t" * 89),
        (Options(num_ctx=20), "0123" + "t" * 8),
        (Options(num_ctx=1, num_keep=0), "tt"),
    ],
)
def test_a_long_text_keeps_its_ends(options: Options, expected: str) -> None:
    completion = Completion(prompt="0123456789" + "t" * 5000, raw=True)
    assert fit(Generation(completion=completion, options=options), 100) == expected


def test_the_mark_of_the_beginning_stays_as_well() -> None:
    completion = Completion(prompt="0123456789" + "t" * 5000, raw=True)
    generation = Generation(completion=completion, options=Options(num_keep=2))
    assert fit(generation, 103, bos_token="<s>") == "<s>01" + "t" * 50


def test_a_last_message_that_is_too_long_alone() -> None:
    generation = conversation("u1", "a1", "u" * 100 + "end")
    assert fit(generation, 40) == "[use" + "u" * 15 + "end"


def test_a_context_is_cut_with_its_prompt() -> None:
    completion = Completion(prompt="Hi", context=[ord("c")] * 100)
    assert fit(Generation(completion=completion), 40) == "cccc" + "c" * 10 + "[user]Hi"


def test_text_around_a_hole() -> None:
    fill = ("<fim_prefix>", "<fim_suffix>", "<fim_middle>")
    completion = Completion(prompt="a" * 500 + "end", suffix="start" + "b" * 500)
    text = fit(Generation(completion=completion), 100, added=fill)
    prefix, _, suffix = text.removesuffix("<fim_middle>").partition("<fim_suffix>")
    assert prefix.startswith("<fim_prefix>a")
    assert prefix.endswith("aend")
    assert suffix.startswith("startb")
    assert 40 <= len(prefix) - len("<fim_prefix>") + len(suffix) <= 50


@pytest.mark.parametrize(
    "generation",
    [
        conversation("u1", "a1", "u2", truncate=False),
        Generation(completion=Completion(prompt="x" * 50, raw=True), truncate=False),
        Generation(completion=Completion(prompt="x" * 50, raw=True), shift=False),
        Generation(completion=Completion(prompt="x" * 50_000, raw=True), truncate=False),
        Generation(completion=Completion(prompt="x" * 50, suffix="y"), truncate=False),
        Generation(completion=Completion(prompt="x", context=[65] * 50), truncate=False),
    ],
)
def test_a_prompt_that_must_not_be_shortened(generation: Generation) -> None:
    engine = LetterEngine(
        Recorder(added=("<fim_prefix>", "<fim_suffix>", "<fim_middle>")), context_length=20
    )
    with pytest.raises(InvalidRequest, match="the prompt is longer than the context length"):
        render(engine, SPEC, generation)


def test_without_shift_messages_are_dropped_but_none_is_cut() -> None:
    assert fit(conversation("u1", "a1", "u2", shift=False), 12) == "[user]u2"


def see(*messages: Message, window: int) -> Prompt:
    engine = LetterEngine(Recorder(), window, image_placeholder="<image>")
    return render(engine, SPEC, Generation(chat=Chat(messages=messages)))


def test_images_go_with_their_messages() -> None:
    old = Message(role="user", content="old", images=[b"old"])
    new = Message(role="user", content="new", images=[b"new"])
    both = see(old, new, window=2000)
    assert (both.text, list(both.images)) == ("[user]<image>old[user]<image>new", [b"old", b"new"])
    last = see(old, new, window=1000)
    assert (last.text, list(last.images)) == ("[user]<image>new", [b"new"])
    # What an image takes is an estimate: for the last message the engine decides.
    assert see(old, new, window=100).text == "[user]<image>new"


def test_a_text_with_an_image_is_not_cut() -> None:
    long = Message(role="user", content="x" * 1000, images=[b"png"])
    with pytest.raises(InvalidRequest, match="the prompt is longer than the context length"):
        see(long, window=500)


def test_a_long_conversation_is_not_read_whole() -> None:
    turns = [f"{'ua'[number % 2]}{number}" for number in range(20_001)]
    engine = LetterEngine(context_length=200)
    prompt = render(engine, SPEC, conversation(*turns))
    assert prompt.text.endswith("[user]u19998[assistant]a19999[user]u20000")
    assert engine.tokenizer.read < 100_000
