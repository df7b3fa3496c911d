"""What holds for any template, any value and any text."""

import json
from collections.abc import Mapping
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.gotemplate import Template, TemplateError
from common.gotemplate.functions import BUILTINS
from tests.common.gotemplate.data import DATA

SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)

# A grammar of templates that mostly parse: fields that exist and do not, functions with any
# number of arguments, blocks in each other.
ATOMS = st.sampled_from(
    [
        ".",
        "$",
        ".missing",
        ".missing.x",
        "nil",
        "true",
        "0",
        "-1",
        "2",
        "1.5",
        "'a'",
        '"a"',
        '"%d %v"',
    ]
    + [f".{name}" for name in DATA]
    + [".map.deep.x", "$.letters", "$v", "(index .letters 0)", "(len .name)"]
)
FUNCTIONS = st.sampled_from(sorted(BUILTINS))
CALLS = st.builds(
    lambda name, arguments: " ".join([name, *arguments]), FUNCTIONS, st.lists(ATOMS, max_size=4)
)
PIPES = st.builds(
    lambda first, rest: " | ".join([first, *rest]), ATOMS | CALLS, st.lists(CALLS, max_size=1)
)
TEXTS = st.sampled_from(["", " ", "x", "\n", "é", "}}", "{{/* c */}}", "{{break}}", "{{continue}}"])


def blocks(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    heads = st.sampled_from(["if", "with", "range", "range $v :=", "range $k, $v :=", "if $v :="])
    ends = st.sampled_from(["{{end}}", "{{else}}x{{end}}", "{{- else -}}{{.}}{{end}}"])
    branch = st.builds("{{{{{} {} -}}}}{}{}".format, heads, PIPES, inner, ends)
    return branch | st.builds("{}{}".format, inner, inner)


TEMPLATES = st.recursive(
    TEXTS
    | st.builds("{{{{ {} -}}}}".format, PIPES)
    | st.builds("{{{{ $v := {} }}}}".format, PIPES),
    blocks,
    max_leaves=6,
)


def run(text: str, data: Mapping[str, object]) -> str:
    return Template.parse(text).execute(data)


@given(st.text().filter(lambda text: "{{" not in text))
def test_text_without_actions_stays_as_it_is(text: str) -> None:
    assert run(text, {}) == text


@settings(deadline=None)
@given(st.text() | st.text("{}- .$()|\"'`\\/*:=,0aéif\n", max_size=30))
def test_parsing_raises_nothing_but_template_errors(text: str) -> None:
    with suppress(TemplateError):
        Template.parse(text)


@settings(deadline=None)
@given(TEMPLATES)
def test_running_raises_nothing_but_template_errors(text: str) -> None:
    with suppress(TemplateError):
        run(text, DATA)


@settings(deadline=None)
@given(TEMPLATES)
def test_a_tree_prints_as_a_template_of_the_same_meaning(text: str) -> None:
    try:
        first = Template.parse(text)
    except TemplateError:
        return
    if "{{break}}" in text or "{{continue}}" in text or "{{/*" in text:
        return
    again = Template.parse(str(first.root))
    assert str(again.root) == str(first.root)
    assert outcome(again) == outcome(first)


def outcome(template: Template) -> str:
    try:
        return template.execute(DATA)
    except TemplateError:
        return "error"


@settings(deadline=None)
@given(VALUES)
def test_any_value_can_be_printed(value: object) -> None:
    data = {"x": value}
    assert run("{{ .x }}", data) == (
        run("{{ print .x }}", data) if value is not None else "<no value>"
    )
    run('{{ printf "%s %d %q %v %t %5.1f %x" .x .x .x .x .x .x .x }}', data)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_a_quoted_string_is_json(text: str) -> None:
    assert json.loads(run('{{ printf "%q" .x }}', {"x": text})) == text


@given(st.text())
def test_a_quoted_string_is_a_literal_of_its_own(text: str) -> None:
    quoted = run('{{ printf "%q" .x }}', {"x": text})
    assert run(f"{{{{ {quoted} }}}}", {}) == text
    assert run('{{ printf "%+q" .x }}', {"x": text}).isascii()


@given(st.text(), st.integers(0, 20))
def test_pieces_of_a_string_join_again(text: str, cut: int) -> None:
    at = min(cut, len(text.encode()))
    data = {"x": text, "at": at}
    assert run("{{ slice .x 0 .at }}{{ slice .x .at }}", data) == text
    assert run("{{ len .x }}", data) == str(len(text.encode()))


@pytest.mark.parametrize(
    "kind", [st.integers(-(2**63), 2**63 - 1), st.text(), st.floats(allow_nan=False)]
)
def test_order(kind: st.SearchStrategy[object]) -> None:
    @given(kind, kind)
    def check(first: object, second: object) -> None:
        data = {"a": first, "b": second}
        less, equal, greater = run("{{ lt .a .b }} {{ eq .a .b }} {{ gt .a .b }}", data).split()
        assert [less, equal, greater].count("true") == 1
        assert run("{{ le .a .b }} {{ ge .a .b }} {{ ne .a .b }}", data).split() == [
            str("true" in (less, equal)).lower(),
            str("true" in (greater, equal)).lower(),
            str(equal == "false").lower(),
        ]
        assert run("{{ eq .a .a }} {{ eq .b .a .b }}", data) == "true true"

    check()


@given(SCALARS, SCALARS)
def test_equality_is_symmetric(first: object, second: object) -> None:
    data = {"a": first, "b": second}
    assert outcome_of("{{ eq .a .b }}", data) == outcome_of("{{ eq .b .a }}", data)


def outcome_of(text: str, data: Mapping[str, object]) -> str:
    try:
        return run(text, data)
    except TemplateError:
        return "error"


@settings(deadline=None)
@given(VALUES.filter(lambda value: value == value))
def test_truth_is_the_same_everywhere(value: object) -> None:
    data = {"x": value}
    truth = run("{{ if .x }}true{{ else }}false{{ end }}", data)
    assert run("{{ not (not .x) }}", data) == truth
    assert run("{{ with .x }}true{{ else }}false{{ end }}", data) == truth
    assert run('{{ if and .x "y" }}true{{ else }}false{{ end }}', data) == truth


@given(st.dictionaries(st.text(), st.integers(), max_size=5))
def test_range_goes_through_a_map_in_the_order_of_its_keys(value: dict[str, int]) -> None:
    printed = run('{{ range $k, $v := .x }}{{ printf "%q" $k }}{{ $v }},{{ end }}', {"x": value})
    in_order = {"x": [{"k": key, "v": value[key]} for key in sorted(value)]}
    assert printed == run('{{ range .x }}{{ printf "%q" .k }}{{ .v }},{{ end }}', in_order)
