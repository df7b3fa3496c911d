import pytest

from common.errors import CapabilityMissing, InvalidRequest, TemplateError
from protos.paddock.v1 import generation_pb2, model_pb2
from protos.paddock.v1.generation_pb2 import Chat, Completion, Generation, Message, ToolCall
from tests.workers.letters import LetterEngine, Recorder
from workers.prompt import render

SPEC = model_pb2.ModelSpec(name="m:latest")
THINKER = model_pb2.ModelSpec(name="m:latest", capabilities=["thinking"])
FILL = ("<fim_prefix>", "<fim_suffix>", "<fim_middle>")
CHATML = (
    "{{ range .Messages }}<{{ .Role }}>{{ .Content }}{{ end }}<assistant>"
    "{{ if .Think }}+{{ .ThinkLevel }}{{ else if .IsThinkSet }}-{{ end }}"
)
OLD = "{{ if .System }}({{ .System }}){{ end }}{{ .Prompt }}|{{ .Response }}"
INSERT = "{{ if .Suffix }}<PRE>{{ .Prompt }}<SUF>{{ .Suffix }}<MID>{{ else }}{{ .Prompt }}{{ end }}"


def text(
    generation: Generation,
    engine: LetterEngine | None = None,
    spec: model_pb2.ModelSpec = SPEC,
) -> str:
    """Give the text of a prompt's tokens."""
    engine = engine or LetterEngine()
    return engine.tokenizer.decode(list(render(engine, spec, generation).tokens))


def chat(*messages: Message, **more: object) -> Generation:
    return Generation(chat=Chat(messages=messages), **more)  # type: ignore[arg-type]


def complete(prompt: str, **more: object) -> Generation:
    completion = Completion(prompt=prompt, **more)  # type: ignore[arg-type]
    return Generation(completion=completion)


USER = Message(role="user", content="Hi")
SYSTEM = Message(role="system", content="Be brief.")
LOOK = Message(role="user", content="look", images=[b"png"])


@pytest.mark.parametrize(
    ("generation", "expected"),
    [
        (complete("Hi"), "[user]Hi"),
        (complete("Hi", system="Be brief."), "[system]Be brief.[user]Hi"),
        (complete("Hi", system=""), "[user]Hi"),
        (complete("Hi", raw=True), "Hi"),
        (complete("Hi", raw=True, suffix="there"), "Hi"),
        (complete("Hi", context=[65, 66]), "AB[user]Hi"),
        (complete("Hi", context=[65, 66], system="New."), "AB[system]New.[user]Hi"),
        (
            complete("Hi", system="S", history=[Message(role="user", content="old")]),
            "[system]S[user]old[user]Hi",
        ),
    ],
)
def test_completion(generation: Generation, expected: str) -> None:
    assert text(generation) == expected


def test_what_the_tokens_were_made_from() -> None:
    generation = complete("Hi", context=[65, 66])
    assert render(LetterEngine(), SPEC, generation).text == "[user]Hi"


def test_chat() -> None:
    engine = LetterEngine(Recorder(bos_token="<s>"))
    assert text(chat(SYSTEM, USER), engine) == "[system]Be brief.[user]Hi"
    assert engine.tokenizer.arguments["add_generation_prompt"]


def test_without_a_template_the_texts_are_joined() -> None:
    engine = LetterEngine(Recorder(chat_template=None, bos_token="<s>"))
    assert text(chat(USER, SYSTEM), engine) == "<s>Be brief.Hi"
    assert text(complete("Hi", system="S. "), engine) == "<s>S. Hi"


def test_the_beginning_is_not_marked_twice() -> None:
    engine = LetterEngine(Recorder(bos_token="<s>"))
    assert text(complete("<s>Hi", raw=True), engine) == "<s>Hi"
    assert text(complete("Hi", raw=True), engine) == "<s>Hi"
    engine.tokenizer.chat_template = None
    assert text(complete("<s>Hi", context=[65]), engine) == "AHi"


@pytest.mark.parametrize(
    ("generation", "expected"),
    [
        (chat(SYSTEM, USER, template=CHATML), "<s><system>Be brief.<user>Hi<assistant>"),
        (chat(SYSTEM, USER, template=OLD), "<s>(Be brief.)Hi|"),
        (chat(SYSTEM, USER, template="<s>{{ .Prompt }}"), "<s>Hi"),
    ],
)
def test_go_templates(generation: Generation, expected: str) -> None:
    assert text(generation, LetterEngine(Recorder(bos_token="<s>"))) == expected


def test_a_go_template_for_a_completion() -> None:
    generation = complete("Hi", system="Be brief.", context=[65])
    generation.template = OLD
    assert text(generation) == "A(Be brief.)Hi|"


@pytest.mark.parametrize(
    ("think", "spec", "enabled", "shown"),
    [
        (generation_pb2.THINK_UNSPECIFIED, SPEC, False, ""),
        (generation_pb2.THINK_UNSPECIFIED, THINKER, True, "+medium"),
        (generation_pb2.THINK_OFF, THINKER, False, "-"),
        (generation_pb2.THINK_ON, THINKER, True, "+medium"),
        (generation_pb2.THINK_HIGH, THINKER, True, "+high"),
    ],
)
def test_thinking(
    think: generation_pb2.Think.ValueType, spec: model_pb2.ModelSpec, enabled: bool, shown: str
) -> None:
    engine = LetterEngine(Recorder("{{ enable_thinking }}"))
    render(engine, spec, chat(USER, think=think))
    assert engine.tokenizer.arguments["enable_thinking"] is enabled
    by_go = chat(USER, think=think, template=CHATML)
    assert text(by_go, spec=spec) == f"<user>Hi<assistant>{shown}"


def test_tools_reach_the_template_as_objects() -> None:
    engine = LetterEngine()
    call = ToolCall(id="call_1", name="add", arguments_json='{"b": 1, "a": 2}')
    generation = chat(USER, Message(role="assistant", tool_calls=[call]))
    generation.chat.tools_json.append('{"type": "function", "function": {"name": "add"}}')
    render(engine, SPEC, generation)
    [tool] = engine.tokenizer.arguments["tools"]
    assert tool == {"type": "function", "function": {"name": "add"}}
    _, assistant = engine.tokenizer.conversation
    assert assistant["tool_calls"][0]["function"] == {"name": "add", "arguments": {"b": 1, "a": 2}}


def test_filling_in_the_middle() -> None:
    engine = LetterEngine(Recorder(added=FILL, bos_token="<s>"))
    generation = complete("def add(a, b):", suffix="return c")
    filled = "<s><fim_prefix>def add(a, b):<fim_suffix>return c<fim_middle>"
    assert text(generation, engine) == filled
    generation.template = "{{ .Prompt }}"
    assert text(generation, engine) == "<s>def add(a, b):"
    generation.template = INSERT
    assert text(generation, engine) == "<s><PRE>def add(a, b):<SUF>return c<MID>"
    assert text(generation) == "<PRE>def add(a, b):<SUF>return c<MID>"


@pytest.mark.parametrize(
    ("generation", "expected"),
    [
        (chat(LOOK, USER), "[user]<image>look[user]Hi"),
        (chat(LOOK, USER, template=CHATML), "<user><image>look\n\nHi<assistant>"),
        (complete("look", images=[b"png"]), "[user]<image>look"),
        (complete("look at [img-0].", images=[b"png"], raw=True), "look at <image>."),
        (complete("look", images=[b"png"], raw=True), "<image>look"),
    ],
)
def test_images(generation: Generation, expected: str) -> None:
    engine = LetterEngine(Recorder(added=("<image>",)), image_placeholder="<image>")
    prompt = render(engine, SPEC, generation)
    assert engine.tokenizer.decode(list(prompt.tokens)) == expected
    assert list(prompt.images) == [b"png"]


def test_images_without_a_template() -> None:
    engine = LetterEngine(Recorder(chat_template=None), image_placeholder="<image>")
    first = Message(role="system", content="S", images=[b"first"])
    prompt = render(engine, SPEC, chat(LOOK, first))
    assert prompt.text == "<image>S<image>look"
    assert list(prompt.images) == [b"first", b"png"]


def test_the_images_of_a_context_are_forgotten() -> None:
    engine = LetterEngine(Recorder(added=("<image>",)), image_placeholder="<image>")
    before = render(engine, SPEC, complete("look", images=[b"png"])).tokens
    assert text(complete("Hi", context=before), engine) == "[user]look[user]Hi"


@pytest.mark.parametrize(
    ("generation", "error", "words"),
    [
        (chat(), InvalidRequest, "no messages"),
        (chat(USER, template="{{ .Prompt"), TemplateError, "template error: "),
        (chat(USER, template="{{ .Prompt.More }}"), TemplateError, "template error: "),
        (
            complete("a", suffix="b"),
            CapabilityMissing,
            r"^registry\.ollama\.ai/library/m:latest does not support insert$",
        ),
        (chat(LOOK), CapabilityMissing, '^"m:latest" does not support images$'),
        (
            complete("look", images=[b"png"]),
            CapabilityMissing,
            '^"m:latest" does not support images$',
        ),
        (
            complete("look", images=[b"png"], raw=True),
            CapabilityMissing,
            '^"m:latest" does not support images$',
        ),
    ],
)
def test_what_is_refused(generation: Generation, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        render(LetterEngine(), SPEC, generation)


@pytest.mark.parametrize(
    "generation",
    [
        chat(Message(role="user", content="<image>")),
        chat(LOOK, Message(role="user", content="<image>")),
        chat(LOOK, Message(role="user", content="[img-0]"), template=CHATML),
        complete("<image>", raw=True),
    ],
)
def test_a_text_cannot_pass_for_an_image(generation: Generation) -> None:
    engine = LetterEngine(image_placeholder="<image>")
    with pytest.raises(InvalidRequest, match=r"placeholder of images|names its image"):
        render(engine, SPEC, generation)
