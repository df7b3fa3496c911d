import threading

import pytest

from common.errors import TemplateError
from common.model_template import ModelTemplate

MESSAGES = "{{ range .Messages }}%s{{ end }}"
CALLS = "{{ .Tools }}{{ range .Messages }}%s{{ end }}"
OVER = "{{ range $i, $m := .Messages }}%s{{ end }}"


@pytest.mark.parametrize(
    ("text", "capabilities"),
    [
        ("{{ .Prompt }}", set()),
        ("plain", set()),
        ("{{ .System }} {{ .Prompt }} {{ .Suffix }}", {"insert"}),
        ("{{ if .Suffix }}{{ end }}{{ range .Tools }}{{ end }}", {"insert", "tools"}),
        ("{{ range $.Tools }}{{ .Function }}{{ end }}", {"tools"}),
        ("{{ .tools }}", {"tools"}),
        ("{{ $t := .Tools }}{{ with $t }}{{ end }}", {"tools"}),
        ("{{ (index .Tools 0).Function }}", {"tools"}),
        ('{{ define "x" }}{{ .Tools }}{{ end }}{{ template "x" . }}', {"tools"}),
        (MESSAGES % "{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}", {"thinking"}),
        ("{{ .Think }}{{ .ThinkLevel }}", set()),
        ('{{ "Tools" }}{{/* .Tools */}} .Tools', set()),
    ],
)
def test_capabilities(text: str, capabilities: set[str]) -> None:
    assert ModelTemplate.parse(text).capabilities == capabilities


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        (
            MESSAGES % "{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}",
            ("<think>", "</think>"),
        ),
        (
            MESSAGES % "{{ if .Thinking }}\n <a b>\n{{ .Thinking }} </a>\n{{ end }}",
            ("<a b>", "</a>"),
        ),
        (OVER % "{{ if $m.Thinking }}<t>{{ $m.Thinking }}</t>{{ end }}", ("<t>", "</t>")),
        (OVER % "{{ range $m.ToolCalls }}<t>{{ $m.Thinking }}</t>{{ end }}", ("<t>", "</t>")),
        (
            "{{ range $i, $_ := slice $.Messages 1 }}<t>{{ .Thinking }}</t>{{ end }}",
            ("<t>", "</t>"),
        ),
        (MESSAGES % "<x>{{ .Content }}<t>{{ .Thinking }}</t>", ("<x>", "</t>")),
        (MESSAGES % "{{ .Thinking }}</t>", None),
        (MESSAGES % "<t>{{ .Thinking }} ", None),
        (MESSAGES % "{{ range .Others }}<t>{{ .Thinking }}</t>{{ end }}", None),
        (OVER % "{{ range .Others }}<t>{{ $i.Thinking }}</t>{{ end }}", None),
        ("<t>{{ .Thinking }}</t>", None),
        ("{{ range .Others }}<t>{{ .Thinking }}</t>{{ end }}", None),
        ("<think>{{ .Prompt }}</think>", None),
    ],
)
def test_thinking_tags(text: str, tags: tuple[str, str] | None) -> None:
    assert ModelTemplate.parse(text).thinking_tags == tags


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("{{ .Prompt }}", None),
        (MESSAGES % "{{ if .ToolCalls }}<call>{{ end }}", None),
        ("{{ .Tools }}", "{"),
        (CALLS % "{{ if .ToolCalls }}{{ end }}", "{"),
        (CALLS % "{{ if .ToolCalls }}<call>\n{{ end }}", "<call>"),
        (CALLS % "{{ if .ToolCalls }}\r\n [CALLS] [ {{ end }}", "[CALLS] ["),
        (CALLS % "{{ if .Content }}a{{ else if .ToolCalls }}<call>{{ end }}", "<call>"),
        (
            CALLS % '{{ if .ToolCalls }}{{ range .ToolCalls }}<c>{"name": "x"}{{ end }}{{ end }}',
            "<c>",
        ),
        (CALLS % '{{ if .ToolCalls }}{{ range .ToolCalls }}\n{"name": 1}{{ end }}{{ end }}', "{"),
        (CALLS % "{{ if .ToolCalls }}{{ .Content }}<call>{{ end }}", "{"),
        (CALLS % "{{ if .ToolCalls }}{{ range .ToolCalls }}{{ . }}{{ end }}]{{ end }}", "{"),
        (CALLS % "{{ if .ToolCalls }}{{ if .ID }}{{ else }}<c>{{ end }}{{ end }}", "<c>"),
        (CALLS % '{{ if and (eq .Role "a") .ToolCalls }}<call>{{ end }}', "<call>"),
        ("{{ .Tools }}" + OVER % "{{ if $m.ToolCalls }}<call>{{ end }}", "<call>"),
    ],
)
def test_tool_call_tag(text: str, tag: str | None) -> None:
    assert ModelTemplate.parse(text).tool_call_tag == tag


@pytest.mark.parametrize(
    ("text", "name", "used"),
    [
        ("{{ .Prompt }}", "Prompt", True),
        ("{{ .Prompt }}", "prompt", True),
        ("{{ .Prompt }}", "System", False),
        ("{{ .Prompt }}", "Response", True),
        ("{{ .Response }}", "Prompt", False),
        ("{{ (index .Messages 0).Role }}", "Messages", True),
        ("{{ (index .Messages 0).Role }}", "Role", True),
        ("{{ (index .Messages 0).Role }}", "Response", False),
        ("{{ if eq 1 (len (slice $.Messages 1)) }}{{ end }}", "Messages", True),
        ("{{ .Prompt | printf `%s` .System }}", "System", True),
        ("{{ range .Messages }}{{ else }}{{ .Suffix }}{{ end }}", "Suffix", True),
        ("{{ with $m := .Messages }}{{ $m.Other }}{{ end }}", "other", True),
        ("{{ .Function.Name }}", "Name", True),
        ("{{ `.Suffix` }} .Suffix {{/* .Suffix */}}", "Suffix", False),
    ],
)
def test_uses(text: str, name: str, used: bool) -> None:
    assert ModelTemplate.parse(text).uses(name) is used


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ .Prompt }} ", "p r"),
        ("{{ .Prompt }} {{ .Response }}!", "p r!"),
        ("{{ range .Messages }}{{ .Content }}{{ end }}", "m"),
        ("", "r"),
    ],
)
def test_a_response_is_appended_where_nothing_prints_one(text: str, expected: str) -> None:
    data = {"Prompt": "p", "Response": "r", "Messages": [{"Content": "m"}]}
    assert ModelTemplate.parse(text).template.execute(data) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ .Prompt", "template error: template: :1: unclosed action"),
        ("a\n{{ if .Prompt }}", "template error: template: :2: unexpected EOF"),
        ("{{ nope .Prompt }}", 'template error: template: :1: function "nope" not defined'),
    ],
)
def test_what_is_no_template(text: str, message: str) -> None:
    for _ in range(2):
        with pytest.raises(TemplateError) as caught:
            ModelTemplate.parse(text)
        assert caught.value.message == message


def test_a_template_is_parsed_once() -> None:
    text = "{{ .Prompt }} once"
    assert ModelTemplate.parse(text) is ModelTemplate.parse(text)


def test_a_very_long_template_is_not_kept() -> None:
    text = "{{ .Prompt }}" + " " * 40_000
    assert ModelTemplate.parse(text) is not ModelTemplate.parse(text)


def test_threads_share_a_template() -> None:
    template = ModelTemplate.parse("{{ range $i, $_ := .Messages }}{{ $x := $i }}{{ $x }}{{ end }}")
    outputs: list[str] = []

    def render() -> None:
        outputs.append(template.template.execute({"Messages": list(range(2000))}))

    threads = [threading.Thread(target=render) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(outputs) == {"".join(map(str, range(2000)))}
