import pytest

from protos.paddock.v1 import generation_pb2
from tests.workers.scripted import ScriptedEngine
from workers.engine import Prompt
from workers.segments import Segments, shifted

LENGTH = generation_pb2.FINISH_REASON_LENGTH
STOP = generation_pb2.FINISH_REASON_STOP
LETTERS = "abcdefghijklmnopqrstuvwxyz" * 100


def endless(prompt: str, constrained: bool) -> str:
    """Go on with the alphabet where the prompt ends."""
    last = prompt[-1]
    return LETTERS[ord(last) - ord("a") + 1 :] if last.isalpha() else LETTERS


def prompted(text: str) -> Prompt:
    return Prompt([ord(letter) for letter in text])


def generation(**options: int) -> generation_pb2.Generation:
    return generation_pb2.Generation(options=generation_pb2.Options(**options))  # type: ignore[arg-type]


async def run(segments: Segments) -> tuple[str, int]:
    text, reason = "", 0
    async for step in segments.run():
        assert not reason
        text += step.text
        reason = step.reason
    return text, reason


@pytest.mark.parametrize(
    ("tokens", "keep", "size", "kept"),
    [
        ([*range(20)], 4, 20, [0, 1, 2, 3, *range(12, 20)]),
        ([*range(20)], 0, 20, [*range(10, 20)]),
        ([*range(20)], 100, 20, [*range(18), 19]),
        ([*range(20)], 18, 20, [*range(18), 19]),
        ([*range(4)], 4, 4, [0, 1, 3]),
        ([*range(30)], 4, 20, [0, 1, 2, 3, *range(22, 30)]),
    ],
)
def test_what_stays_when_the_window_is_full(
    tokens: list[int], keep: int, size: int, kept: list[int]
) -> None:
    assert shifted(tokens, keep, size) == kept


async def test_the_older_half_is_forgotten_and_the_answer_goes_on() -> None:
    engine = ScriptedEngine(endless, context_length=20)
    segments = Segments(engine, prompted("0123456789"), generation(num_predict=30, num_keep=2))
    assert await run(segments) == (LETTERS[:30], LENGTH)
    assert [each.prompt for each in engine.runs] == [
        "0123456789",
        "01bcdefghij",
        "01klmnopqrs",
        "01tuvwxyzab",
    ]
    assert segments.answered == 30
    assert segments.prompt_tokens == 10
    assert "".join(map(chr, segments.held)) == "01tuvwxyzab" + LETTERS[28:30]
    assert (segments.timing.prompt, segments.timing.completion) == (10, 100 + 3 * 110)


async def test_the_end_of_the_answer_after_a_shift() -> None:
    engine = ScriptedEngine(
        lambda prompt, _: "abcdefghijk" if prompt.endswith("9") else "l.", context_length=20
    )
    assert await run(Segments(engine, prompted("0123456789"), generation())) == (
        "abcdefghijl.",
        STOP,
    )


async def test_no_answer_goes_on_for_ever() -> None:
    for predict in (-1, 0, 5000):
        engine = ScriptedEngine(endless, context_length=20, letters=7)
        segments = Segments(engine, prompted("0123456789"), generation(num_predict=predict))
        text, reason = await run(segments)
        assert (len(text), reason) == (200, LENGTH)


async def test_num_ctx_is_the_window() -> None:
    engine = ScriptedEngine(endless, context_length=1000)
    segments = Segments(engine, prompted("0123456789"), generation(num_ctx=16, num_predict=12))
    text, _ = await run(segments)
    assert text == LETTERS[:12]
    assert len(engine.runs) == 2


async def test_where_nothing_may_be_forgotten() -> None:
    kept = generation(num_predict=30)
    kept.shift = False
    formatted = generation(num_predict=30)
    formatted.format.json = True
    for asked in (kept, formatted, generation(num_predict=-2)):
        segments = Segments(ScriptedEngine(endless, 20), prompted("0123456789"), asked)
        assert await run(segments) == (LETTERS[:10], LENGTH)
    seen = Prompt(prompted("0123456789").tokens, images=[b"PNG"])
    segments = Segments(ScriptedEngine(endless, 20), seen, generation(num_predict=30))
    assert await run(segments) == (LETTERS[:10], LENGTH)


async def test_a_negative_num_keep_is_the_whole_prompt() -> None:
    engine = ScriptedEngine(endless, context_length=20)
    segments = Segments(engine, prompted("0123456789"), generation(num_keep=-1, num_predict=12))
    await run(segments)
    assert engine.runs[1].prompt == "0123456789fghij"


async def test_it_goes_on_from_where_it_was_and_back_to_a_mark() -> None:
    engine = ScriptedEngine(lambda prompt, _: "more;" if ";" not in prompt else "end.")
    segments = Segments(engine, prompted("Say: "), generation(num_predict=20))
    assert await run(segments) == ("more;", STOP)
    mark = segments.mark()
    assert await run(segments) == ("end.", STOP)
    assert segments.answered == 9
    segments.go_back(mark)
    segments.append([ord("!")])
    assert await run(segments) == ("end.", STOP)
    assert [each.prompt for each in engine.runs] == ["Say: ", "Say: more;", "Say: more;!"]
    assert segments.answered == 9
    assert [each.generation.options.num_predict for each in engine.runs] == [20, 15, 15]


async def test_a_run_that_comes_when_nothing_is_left() -> None:
    engine = ScriptedEngine(lambda *_: "abc")
    segments = Segments(engine, prompted("Say: "), generation(num_predict=3))
    assert await run(segments) == ("abc", STOP)
    assert await run(segments) == ("", LENGTH)
    asked = generation(num_ctx=8)
    asked.shift = False
    segments = Segments(ScriptedEngine(lambda *_: "abc"), prompted("Say: "), asked)
    assert await run(segments) == ("abc", STOP)
    assert await run(segments) == ("", LENGTH)


async def test_the_engine_gets_options_and_format_but_no_texts() -> None:
    asked = generation(num_predict=5, seed=7)
    asked.chat.messages.add(role="user", content="a long text")
    asked.format.json_schema = "{}"
    asked.logprobs = 2
    engine = ScriptedEngine(lambda *_: "abc")
    segments = Segments(engine, prompted("Say: "), asked)
    await run(segments)
    async for _ in segments.run(constrained=False, stop="</think>"):
        pass
    first, second = (each.generation for each in engine.runs)
    assert (first.options.seed, first.logprobs, first.format.json_schema) == (7, 2, "{}")
    assert not first.HasField("chat")
    assert (list(second.options.stop), second.HasField("format")) == (["</think>"], False)
    assert asked.HasField("chat")
    assert not asked.options.stop


async def test_leaving_frees_the_engine() -> None:
    engine = ScriptedEngine(endless, context_length=20)
    steps = Segments(engine, prompted("0123456789"), generation(num_predict=50)).run()
    async for _ in steps:
        if len(engine.runs) == 2:
            break
    assert engine.running == 1
    await steps.aclose()
    assert engine.running == 0
