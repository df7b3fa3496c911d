import datetime
import json
import time

import pytest

from common.errors import InvalidRequest, TemplateError
from common.model_template import ModelTemplate
from protos.paddock.v1 import generation_pb2
from protos.paddock.v1.generation_pb2 import Chat, Completion, Generation, Message, ToolCall
from tests.workers.prompt_templates import BRACKETS, CHATML, HEADERS, THINKING, TURNS
from workers.template_prompt import render_insert, render_template

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Weather & wind",
        "parameters": {
            "type": "object",
            "required": ["city"],
            "properties": {
                "city": {"type": "string", "description": "Where"},
                "at": {"type": ["string", "null"]},
            },
        },
    },
}
# As Ollama prints it: what it knows of a tool, names in order, safe for HTML.
FUNCTION = (
    r'{"name":"weather","description":"Weather \u0026 wind","parameters":{"type":"object",'
    r'"required":["city"],"properties":{"at":{"type":["string","null"]},'
    r'"city":{"type":"string","description":"Where"}}}}'
)
TOOL = f'{{"type":"function","function":{FUNCTION}}}'
CALL = ToolCall(id="call_1", name="weather", arguments_json='{"city": "Oslo", "at": null, "n": 1}')
CLOCK = ToolCall(id="call_2", name="clock")


def system(content: str) -> Message:
    return Message(role="system", content=content)


def user(content: str, *images: bytes) -> Message:
    return Message(role="user", content=content, images=images)


def assistant(content: str, *calls: ToolCall, thinking: str = "") -> Message:
    return Message(role="assistant", content=content, tool_calls=calls, thinking=thinking)


def tool(content: str, name: str = "") -> Message:
    return Message(role="tool", content=content, tool_name=name, tool_call_id="call_1")


def rendered(
    text: str,
    *messages: Message,
    tools: tuple[object, ...] = (),
    think: generation_pb2.Think.ValueType = generation_pb2.THINK_UNSPECIFIED,
) -> str:
    generation = Generation(chat=Chat(tools_json=map(json.dumps, tools)), think=think)
    return render_template(ModelTemplate.parse(text), generation, messages)


CONVERSATIONS = {
    "question": [user("Hi")],
    "system": [system("Be brief."), user("Hi")],
    "history": [system("Be brief."), user("a"), assistant("b"), user("c")],
    "prefill": [user("a"), assistant("And so")],
    "merged": [system("One."), system("Two."), user("a"), user("b")],
    "called": [user("Rain?"), assistant("", CALL), tool('"dry"', "weather")],
    "twice": [
        *[user("Rain?"), assistant("", CALL, CLOCK), tool("1"), tool("2")],
        *[assistant("Dry."), user("Thanks")],
    ],
}


# Expected texts are what Ollama makes of these templates and messages, with bare structs as JSON.
@pytest.mark.parametrize(
    ("template", "conversation", "expected"),
    [
        (CHATML, "question", "<|start|>user\nHi<|end|>\n<|start|>assistant\n"),
        (
            CHATML,
            "history",
            "<|start|>system\nBe brief.<|end|>\n<|start|>user\na<|end|>\n"
            "<|start|>assistant\nb<|end|>\n<|start|>user\nc<|end|>\n<|start|>assistant\n",
        ),
        (
            CHATML,
            "merged",
            "<|start|>system\nOne.\n\nTwo.<|end|>\n<|start|>user\na\n\nb<|end|>\n"
            "<|start|>assistant\n",
        ),
        (TURNS, "question", "[USER] Hi [/USER] "),
        (TURNS, "system", "<<SYS>>Be brief.<</SYS>>\n\n[USER] Hi [/USER] "),
        (
            TURNS,
            "history",
            "<<SYS>>Be brief.<</SYS>>\n\n[USER] a [/USER] b</s>\n[USER] c [/USER] ",
        ),
        (TURNS, "prefill", "[USER] a [/USER] And so"),
        (TURNS, "called", "[USER] Rain? [/USER] "),
        (TURNS, "merged", "<<SYS>>One.\n\nTwo.<</SYS>>\n\n[USER] a\n\nb [/USER] "),
        (
            HEADERS,
            "prefill",
            "<|begin|><|head|>user<|/head|>\n\na<|turn|><|head|>assistant<|/head|>\n\nAnd so",
        ),
        (BRACKETS, "system", "[INST] Hi[/INST]"),
        (
            BRACKETS,
            "twice",
            '[INST] Rain?[/INST][CALLS] [{"name": "weather", "arguments": '
            '{"at":null,"city":"Oslo","n":1}}, {"name": "clock", "arguments": {}}]</s>'
            '[RESULTS] {"name": "", "content": 1}[/RESULTS]'
            '[RESULTS] {"name": "", "content": 2}[/RESULTS] Dry.</s>[INST] Thanks[/INST]',
        ),
    ],
)
def test_conversations(template: str, conversation: str, expected: str) -> None:
    assert rendered(template, *CONVERSATIONS[conversation]) == expected


@pytest.mark.parametrize(
    ("template", "conversation", "expected"),
    [
        (
            HEADERS,
            "question",
            "<|begin|><|head|>system<|/head|>\n\nYou may call functions.<|turn|>"
            "<|head|>user<|/head|>\n\nGiven these functions, answer with a call:\n"
            f"{TOOL}\n\n\nHi<|turn|><|head|>assistant<|/head|>\n\n",
        ),
        (
            HEADERS,
            "called",
            "<|begin|><|head|>system<|/head|>\n\nYou may call functions.<|turn|>"
            "<|head|>user<|/head|>\n\nRain?<|turn|><|head|>assistant<|/head|>\n\n"
            '{"name": "weather", "parameters": {"at":null,"city":"Oslo","n":1}}<|turn|>'
            '<|head|>tool<|/head|>\n\n"dry"<|turn|><|head|>assistant<|/head|>\n\n',
        ),
        (BRACKETS, "question", f"[TOOLS] [{TOOL}][/TOOLS][INST] Hi[/INST]"),
        (
            BRACKETS,
            "called",
            '[INST] Rain?[/INST][CALLS] [{"name": "weather", "arguments": '
            '{"at":null,"city":"Oslo","n":1}}]</s>'
            '[RESULTS] {"name": "weather", "content": "dry"}[/RESULTS]',
        ),
        (
            THINKING,
            "called",
            "<|start|>system\n\n# Tools\n"
            f'{{"type": "function", "function": {FUNCTION}}}<|end|>\n'
            "<|start|>user\nRain?<|end|>\n<|start|>assistant\n<call>\n"
            '{"name": "weather", "arguments": {"at":null,"city":"Oslo","n":1}}\n'
            '</call><|end|>\n<|start|>user\n<result>\n"dry"\n</result><|end|>\n'
            "<|start|>assistant\n",
        ),
    ],
)
def test_tools(template: str, conversation: str, expected: str) -> None:
    assert rendered(template, *CONVERSATIONS[conversation], tools=(WEATHER,)) == expected


@pytest.mark.parametrize(
    ("think", "switch", "values"),
    [
        (generation_pb2.THINK_UNSPECIFIED, "", "false false []"),
        (generation_pb2.THINK_OFF, " /no_think", "true false []"),
        (generation_pb2.THINK_ON, " /think (medium)", "true true [medium]"),
        (generation_pb2.THINK_LOW, " /think (low)", "true true [low]"),
        (generation_pb2.THINK_MEDIUM, " /think (medium)", "true true [medium]"),
        (generation_pb2.THINK_HIGH, " /think (high)", "true true [high]"),
        (generation_pb2.THINK_MAX, " /think (max)", "true true [max]"),
    ],
)
def test_thinking_is_switched(
    think: generation_pb2.Think.ValueType, switch: str, values: str
) -> None:
    prompt = rendered(THINKING, user("c"), think=think)
    assert prompt == f"<|start|>user\nc{switch}<|end|>\n<|start|>assistant\n"
    assert rendered("{{ .IsThinkSet }} {{ .Think }} [{{ .ThinkLevel }}]", think=think) == values


def test_thoughts_after_the_last_question_are_kept() -> None:
    first = [user("a"), assistant("b", thinking="old"), user("c")]
    assert "old" not in rendered(THINKING, *first)
    assert rendered(THINKING, *first, assistant("d", thinking="new")).endswith(
        "<|start|>assistant\n<think>new</think>\nd"
    )


def test_insert() -> None:
    completion = Completion(prompt="def add(", suffix="return c")
    assert (
        render_insert(ModelTemplate.parse(BRACKETS), completion)
        == "[SUFFIX]return c[PREFIX] def add("
    )


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([user("look", b"1")], "user: [img-0]look\n"),
        ([user("look", b"1", b"2")], "user: [img-0][img-1]look\n"),
        ([user("a [img] b [img] c", b"1", b"2")], "user: a [img-0] b [img-1] c\n"),
        ([user("a [img] b", b"1", b"2")], "user: [img-1]a [img-0] b\n"),
        ([user("a [img] b")], "user: a [img] b\n"),
        ([user("a", b"1"), user("b", b"2")], "user: [img-0]a\n\n[img-1]b\n"),
        (
            [user("a", b"1"), assistant("b"), user("c", b"2")],
            "user: [img-0]a\nassistant: b\nuser: [img-1]c\n",
        ),
    ],
)
def test_images_are_numbered_over_all_messages(messages: list[Message], expected: str) -> None:
    template = "{{ range .Messages }}{{ .Role }}: {{ .Content }}\n{{ end }}"
    assert rendered(template, *messages) == expected
    counted = rendered("{{ range .Messages }}{{ len .Images }}{{ end }}", messages[0])
    assert counted == str(len(messages[0].images))


@pytest.mark.parametrize(
    ("template", "messages", "expected"),
    [
        # What Ollama forgets, cuts away or cannot do; see docs/api.md.
        ("<{{ .Prompt }}|{{ .Response }}>", [user("a"), assistant(""), user("b")], "<a|><b|"),
        ("<{{ .Prompt }}|{{ .Response }}>", [user("a"), tool("t"), user("b")], "<a|><b|"),
        ("{{ json .Prompt }}", [user("a")], '"a"'),
        (
            '{{ define "turn" }}<{{ .Prompt }}|{{ .Response }}>{{ end }}{{ template "turn" . }};',
            [user("a"), assistant("b"), user("c")],
            "<a|b>;<c|",
        ),
        (
            "{{ if .System }}s{{ .Response }}e{{ else }}n{{ .Response }}e{{ end }}x",
            [user("a")],
            "n",
        ),
        ("{{ .Response | print }}x", [user("a"), assistant("b")], "b"),
        ("{{ if eq (index .Messages 0).Role `system` }}yes{{ end }}", [system("s")], "yes"),
    ],
)
def test_where_ollama_errs(template: str, messages: list[Message], expected: str) -> None:
    assert rendered(template, *messages) == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ .Prompt }}", "a b"),
        ("{{ .System }}: {{ .Prompt }}", "S: a b"),
        ('{{ print .Prompt .Response "!" }}', "a b"),
        ("{{ .Prompt }}{{ if .Response }}={{ .Response }};{{ end }}.", "a b"),
        ("{{ .Prompt }}{{ range .Nothing }}{{ .Response }}{{ end }}.", "a b"),
        ("{{ .Prompt }}{{ .Nothing }}{{ .Response }}.", "a b<no value>"),
    ],
)
def test_the_last_turn_ends_with_its_response(template: str, expected: str) -> None:
    assert rendered(template, system("S"), user("a b")) == expected


TOOLS_TEMPLATE = "{{ range .Messages }}{{ end }}{{ range .Tools }}%s{{ end }}"


@pytest.mark.parametrize(
    ("text", "schema", "expected"),
    [
        ("{{ .Function.Parameters.Properties }}", {}, "{}"),
        ("{{ .Function.Parameters }}", {}, '{"type":"","properties":null}'),
        (
            "{{ range $n, $p := .Function.Parameters.Properties }}{{ $n }}:{{ $p.Type }};{{ end }}",
            {"properties": {"b": {"type": "string"}, "a": {"type": ["integer", "null"]}}},
            "a:[integer null];b:string;",
        ),
        (
            "{{ range .Function.Parameters.Properties }}{{ toTypeScriptType . }};{{ end }}",
            {
                "properties": {
                    "a": {"type": ["string", "integer"]},
                    "b": {"anyOf": [{"type": "boolean"}, {"type": ["array", "null"]}]},
                    "c": {"type": "object"},
                    "d": {},
                    "e": {"type": "date"},
                }
            },
            "string | number;boolean | any[] | null;Record<string, any>;any;any;",
        ),
        (
            "{{ range .Function.Parameters.Properties }}{{ . }} {{ .Enum }}{{ end }}",
            {
                "properties": {
                    "x": {
                        "type": "object",
                        "description": "<d>",
                        "enum": ["u", 1],
                        "items": {"z": 1, "a": 2.5},
                        "properties": {"z": {"type": "string"}, "a": {"type": "number"}},
                        "required": ["z"],
                    }
                }
            },
            r'{"type":"object","items":{"a":2.5,"z":1},"description":"\u003cd\u003e",'
            '"enum":["u",1],"properties":{"z":{"type":"string"},"a":{"type":"number"}},'
            '"required":["z"]} [u 1]',
        ),
        (
            "{{ .Function.Parameters }}",
            {"type": "object", "$defs": {"b": 1, "a": {}}, "items": [], "title": "dropped"},
            '{"type":"object","$defs":{"a":{},"b":1},"items":[],"properties":null}',
        ),
    ],
)
def test_schemas(text: str, schema: object, expected: str) -> None:
    given = {"type": "function", "function": {"name": "f", "parameters": schema}}
    assert rendered(TOOLS_TEMPLATE % text, user("a"), tools=(given,)) == expected


@pytest.mark.parametrize("schema", [{}, {"properties": {"x": {"type": "string"}}}])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ .Function.Parameters.Properties.nope.Type }}", ""),
        ("{{ with .Function.Parameters.Properties }}{{ .nope.Description }}{{ end }}", ""),
        ('{{ (index .Function.Parameters.Properties "nope").Description }}', ""),
        ("{{ .Function.Parameters.Properties.nope.Enum }}", "[]"),
        ("{{ len .Function.Parameters.Properties.nope.Required }}", "0"),
        ("{{ .Function.Parameters.Properties.nope.Items }}", "<no value>"),
        ("{{ if .Function.Parameters.Properties.nope }}true{{ end }}", "true"),
        ("{{ toTypeScriptType .Function.Parameters.Properties.nope }}", "any"),
        ("{{ .Function.Parameters.Properties.nope }}", "{}"),
    ],
)
def test_a_property_that_is_missing_is_an_empty_one(
    schema: object, text: str, expected: str
) -> None:
    given = {"type": "function", "function": {"name": "f", "parameters": schema}}
    assert rendered(TOOLS_TEMPLATE % text, user("a"), tools=(given,)) == expected


def test_fields_that_no_property_has() -> None:
    with pytest.raises(TemplateError, match="can't evaluate field Nope in type"):
        rendered(
            TOOLS_TEMPLATE % "{{ .Function.Parameters.Properties.nope.Nope }}", tools=(WEATHER,)
        )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "{{ range $k, $v := .Function.Arguments }}{{ $k }}={{ $v }};{{ end }}",
            "at=<no value>;city=Oslo;n=1;",
        ),
        ("{{ .Function.Arguments.city }} {{ .Function.Arguments.none }}", "Oslo <no value>"),
        ('{{ index .Function.Arguments "none" }}', "<no value>"),
        ("{{ .ID }} {{ .Function.Name }} {{ .Function.Index }}", "call_1 weather 0"),
        ("{{ json .Function.Arguments }}", '{"at":null,"city":"Oslo","n":1}'),
        ("{{ eq .Function.Arguments.n 1.0 }}", "true"),
        ("{{ len .Function.Arguments }}", "3"),
    ],
)
def test_calls(text: str, expected: str) -> None:
    template = (
        f"{{{{ range .Messages }}}}{{{{ range .ToolCalls }}}}{text}{{{{ end }}}}{{{{ end }}}}"
    )
    assert rendered(template, assistant("", CALL)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "{{ json . }}",
            '[{"Role":"user","Content":"a","Thinking":"","Images":null,"ToolCalls":null,',
        ),
        ("{{ len . }}{{ eq (index . 0) (index . 0) }}", "1true"),
        ("{{ range . }}{{ if or .ToolCalls .Images .Thinking }}x{{ end }}{{ end }}", ""),
        (
            "{{ range . }}{{ .ToolCalls }}{{ .Images }}{{ .ToolName }}{{ .ToolCallID }}{{ end }}",
            "[][]",
        ),
    ],
)
def test_messages(text: str, expected: str) -> None:
    prompt = rendered(f"{{{{ with .Messages }}}}{text}{{{{ end }}}}", user("a"))
    assert prompt.startswith(expected)
    assert bool(prompt) == bool(expected)


def test_what_is_missing() -> None:
    assert rendered("{{ .Messages }}{{ .Tools }}{{ .Prompt }}") == "[]null<no value>"


def test_today() -> None:
    before = datetime.date.today()
    prompt = rendered('{{ currentDate }} {{ yesterdayDate "2006-01-02" }} {{ .Prompt }}', user("a"))
    day = before if prompt.startswith(str(before)) else datetime.date.today()
    assert prompt == f"{day} {day - datetime.timedelta(days=1)} a"


@pytest.mark.parametrize(
    ("template", "messages", "words"),
    [
        (
            "{{ range .Messages }}{{ .Name }}{{ end }}",
            [user("a")],
            "can't evaluate field Name in type",
        ),
        (
            "{{ range .Messages }}{{ .ToolCalls.ID }}{{ end }}",
            [user("a")],
            "can't evaluate field ID",
        ),
        ("{{ slice .Prompt 3 }}", [user("a")], "index out of range: 3"),
    ],
)
def test_templates_that_fail(template: str, messages: list[Message], words: str) -> None:
    with pytest.raises(TemplateError, match=words):
        rendered(template, *messages)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "invalid tool: not a JSON object"),
        ({"function": []}, "invalid tool: function must be an object"),
        ({"function": {"name": 1}}, "invalid tool.function: name must be a string"),
        ({"function": {"parameters": {"required": [1]}}}, "required must be a list of strings"),
        (
            {"function": {"parameters": {"properties": {"x": {"type": 5}}}}},
            "invalid tool.function.parameters.properties.x: type must be a list",
        ),
    ],
)
def test_tools_that_are_none(given: object, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        rendered(BRACKETS, user("a"), tools=(given,))


@pytest.mark.parametrize("arguments", ["[]", "{", "NaN", '{"x": Infinity}', "[" * 100_000])
def test_arguments_that_are_no_object(arguments: str) -> None:
    with pytest.raises(InvalidRequest, match="invalid tool call arguments"):
        rendered(BRACKETS, assistant("", ToolCall(name="f", arguments_json=arguments)))


def test_a_schema_that_is_nested_without_end() -> None:
    schema: dict[str, object] = {}
    for _ in range(200):
        schema = {"properties": {"x": schema}}
    with pytest.raises(InvalidRequest, match="nested too deeply"):
        rendered(BRACKETS, user("a"), tools=({"function": {"parameters": schema}},))


def test_a_long_conversation_takes_milliseconds() -> None:
    messages = [each for _ in range(150) for each in (user("a question"), assistant("an answer"))]
    started = time.process_time()
    prompt = rendered(THINKING, *messages, tools=(WEATHER,))
    assert time.process_time() - started < 0.5
    assert prompt.count("a question") == 150


def test_a_template_that_does_too_much_each_turn_ends() -> None:
    messages = [each for _ in range(1000) for each in (user("a"), assistant("b"))]
    with pytest.raises(TemplateError, match="output becomes too long"):
        rendered('{{ printf "%99999d" 1 }}{{ .Prompt }}{{ .Response }}', *messages)
