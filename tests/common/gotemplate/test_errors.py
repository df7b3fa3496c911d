import pytest

from common.errors import InvalidRequest
from common.gotemplate import Template, TemplateError
from tests.common.gotemplate.data import DATA

PARSE_ERRORS: list[tuple[str, str]] = [
    ("{{ .a", "1: unclosed action"),
    ("{{ .a\n\n", "3: unclosed action started at :1"),
    ("a\n{{ if }}", "2: missing value for if"),
    ("{{ if .a }}", "1: unexpected EOF"),
    ("{{ end }}", "1: unexpected {{end}}"),
    ("{{ else }}", "1: unexpected {{else}}"),
    ("{{ if .a }}{{ else }}{{ else }}{{ end }}", "1: expected end; found {{else}}"),
    ("{{ with .a }}{{ else if .b }}{{ end }}", "1: unexpected <if> in input"),
    ("{{ range $i, $v, $w := .a }}{{ end }}", "1: too many declarations in range"),
    ("{{ range $i, 1 := .a }}{{ end }}", "1: range can only initialize variables"),
    ("{{ $i, $v := .a }}", "1: too many declarations in command"),
    ("{{ $x }}", '1: undefined variable "$x"'),
    ("{{ if true }}{{ $y := 2 }}{{ end }}{{ $y }}", '1: undefined variable "$y"'),
    ("{{ nofunc .a }}", '1: function "nofunc" not defined'),
    ("{{ }}", "1: missing value for command"),
    ("{{ | .a }}", '1: unexpected "|" in command'),
    ("{{ .a || .b }}", '1: unexpected "|" in command'),
    ("{{ .a | 1 }}", "1: non executable command in pipeline stage 2"),
    ("{{ .a ) }}", "1: unexpected right paren"),
    ("{{ ( .a }}", "1: unclosed left paren"),
    ("{{ () }}", "1: missing value for parenthesized pipeline"),
    ("{{ # }}", '1: unexpected "#" in command'),
    ("{{ .a# }}", "1: bad character U+0023 '#'"),
    ("{{ ☺ }}", "1: unrecognized character in action: U+263A '☺'"),
    ('{{ "\\q" }}', "1: invalid syntax"),
    ('{{ "open }}', "1: unterminated quoted string"),
    ("{{ 'ab' }}", "1: malformed character constant: 'ab'"),
    ("{{ 1a }}", '1: bad number syntax: "1a"'),
    ("{{ 08 }}", '1: integer overflow: "08"'),
    ("{{ 99999999999999999999 }}", '1: integer overflow: "99999999999999999999"'),
    ("{{ 1e400 }}", '1: illegal number syntax: "1e400"'),
    ("{{ 1__0 }}", '1: illegal number syntax: "1__0"'),
    ('{{ "\\ud800" }}', "1: invalid syntax"),
    ('{{ "\\U00110000" }}', "1: invalid syntax"),
    ("{{ range .a }}{{ end }}{{ break }}", "1: {{break}} outside {{range}}"),
    ("{{ 1+2 }}", '1: bad number syntax: "1+2"'),
    ("{{ true.x }}", '1: unexpected . after term "true"'),
    ('{{ "x".y }}', '1: unexpected . after term "\\"x\\""'),
    ("{{ .a. }}", "1: unexpected <.> in operand"),
    ("{{/* open", "1: unclosed comment"),
    ("{{/* x */ }}", "1: comment ends before closing delimiter"),
    ("{{ break }}", "1: {{break}} outside {{range}}"),
    ("{{ range .a }}{{ break 1 }}{{ end }}", '1: unexpected "1" in {{break}}'),
    (
        '{{ define "x" }}1{{ end }}{{ define "x" }}2{{ end }}',
        '1: template: multiple definition of template "x"',
    ),
    ("{{ define x }}{{ end }}", '1: unexpected "x" in define clause'),
    ('{{ if .a }}{{ define "x" }}1{{ end }}{{ end }}', "1: unexpected <define> in command"),
    ("{{ template .a }}", '1: unexpected ".a" in template clause'),
    ("{{ : }}", "1: expected :="),
    ('{{ .a "\n', "1: unterminated quoted string"),
    ("{{ print 1\n# }}", '2: unexpected "#" in operand'),
]


@pytest.mark.parametrize(("text", "message"), PARSE_ERRORS)
def test_what_is_no_template(text: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        Template.parse(text)
    assert caught.value.message == f"template error: template: :{message}"


# A template, and where, at which node and with which words it fails.
RUN_ERRORS: list[tuple[str, str, str, str]] = [
    ("{{ .name.x }}", "1:8", ".name.x", "can't evaluate field x in type interface {}"),
    ("{{ .three.x }}", "1:9", ".three.x", "can't evaluate field x in type interface {}"),
    ("{{ .map.a.b }}", "1:7", ".map.a.b", "can't evaluate field b in type interface {}"),
    ("{{ .missing.x }}", "1:11", ".missing.x", "nil pointer evaluating interface {}.x"),
    ("{{ nil }}", "1:3", "nil", "nil is not a command"),
    ("{{ .name 1 }}", "1:3", ".name", "name is not a method but has arguments"),
    ("{{ 1 2 }}", "1:3", "1", "can't give argument to non-function 1"),
    ("{{ $x := 1 }}{{ $x .name }}", "1:16", "$x", "can't give argument to non-function $x"),
    ("{{ $x = 2 }}", "1:8", "2", "undefined variable: $x"),
    ("{{ $x := $x }}", "1:9", "$x", "undefined variable: $x"),
    (
        "{{ 9223372036854775808 }}",
        "1:3",
        "9223372036854775808",
        "9223372036854775808 overflows int",
    ),
    ("a\né{{ .name.x }}", "2:10", ".name.x", "can't evaluate field x in type interface {}"),
    ("{{ range .name }}{{ end }}", "1:9", ".name", "range can't iterate over abc"),
    ("{{ range .half }}{{ end }}", "1:9", ".half", "range can't iterate over 1.5"),
    (
        "{{ range $i, $j := .three }}{{ end }}",
        "1:19",
        ".three",
        "can't use 3 to iterate over more than one variable",
    ),
    (
        '{{ eq "a" 1 }}',
        "1:3",
        'eq "a" 1',
        "error calling eq: incompatible types for comparison: string and int",
    ),
    (
        "{{ eq 1 1.5 }}",
        "1:3",
        "eq 1 1.5",
        "error calling eq: incompatible types for comparison: int and float64",
    ),
    ("{{ eq 1 }}", "1:3", "eq 1", "error calling eq: missing argument for comparison"),
    ("{{ eq }}", "1:3", "eq", "wrong number of args for eq: want at least 1 got 0"),
    (
        "{{ eq .letters .letters }}",
        "1:3",
        "eq .letters .letters",
        "error calling eq: non-comparable type [a b c]: []interface {}",
    ),
    ("{{ ne 1 }}", "1:3", "ne", "wrong number of args for ne: want 2 got 1"),
    (
        "{{ lt true false }}",
        "1:3",
        "lt true false",
        "error calling lt: invalid type for comparison",
    ),
    (
        "{{ lt 1 2.5 }}",
        "1:3",
        "lt 1 2.5",
        "error calling lt: incompatible types for comparison: int and float64",
    ),
    (
        "{{ lt .missing 1 }}",
        "1:3",
        "lt .missing 1",
        "error calling lt: invalid type for comparison",
    ),
    ("{{ len 3 }}", "1:3", "len 3", "error calling len: len of type int"),
    ("{{ len .missing }}", "1:3", "len .missing", "error calling len: len of nil pointer"),
    ("{{ not }}", "1:3", "not", "wrong number of args for not: want 1 got 0"),
    (
        "{{ index .letters 3 }}",
        "1:3",
        "index .letters 3",
        "error calling index: reflect: slice index out of range",
    ),
    (
        "{{ index .letters 4 }}",
        "1:3",
        "index .letters 4",
        "error calling index: index out of range: 4",
    ),
    (
        "{{ index .letters -1 }}",
        "1:3",
        "index .letters -1",
        "error calling index: index out of range: -1",
    ),
    (
        '{{ index .letters "a" }}',
        "1:3",
        'index .letters "a"',
        "error calling index: cannot index slice/array with type string",
    ),
    (
        "{{ index .map 1 }}",
        "1:3",
        "index .map 1",
        "error calling index: value has type int; should be string",
    ),
    (
        "{{ index .three 1 }}",
        "1:3",
        "index .three 1",
        "error calling index: can't index item of type int",
    ),
    (
        "{{ index .missing 1 }}",
        "1:3",
        "index .missing 1",
        "error calling index: index of untyped nil",
    ),
    ("{{ slice .name 4 }}", "1:3", "slice .name 4", "error calling slice: index out of range: 4"),
    (
        "{{ slice .name 2 1 }}",
        "1:3",
        "slice .name 2 1",
        "error calling slice: invalid slice index: 2 > 1",
    ),
    (
        "{{ slice .name 1 2 3 }}",
        "1:3",
        "slice .name 1 2 3",
        "error calling slice: cannot 3-index slice a string",
    ),
    (
        "{{ slice .map 1 }}",
        "1:3",
        "slice .map 1",
        "error calling slice: can't slice item of type map[string]interface {}",
    ),
    ("{{ printf 3 }}", "1:10", "3", "expected string; found 3"),
    (
        "{{ printf .missing }}",
        "1:10",
        ".missing",
        "wrong type for value; expected string; got interface {}",
    ),
    ('{{ template "none" }}', "1:12", '{{template "none"}}', 'template "none" not defined'),
    (
        "{{ if and true (index .letters 9) }}{{ end }}",
        "1:16",
        "index .letters 9",
        "error calling index: index out of range: 9",
    ),
    ("{{ call .missing }}", "1:3", "call .missing", "error calling call: call of nil"),
]


@pytest.mark.parametrize(("text", "place", "node", "message"), RUN_ERRORS)
def test_what_fails_over_data(text: str, place: str, node: str, message: str) -> None:
    template = Template.parse(text)
    with pytest.raises(TemplateError) as caught:
        template.execute(DATA)
    expected = f'template: :{place}: executing "" at <{node}>: {message}'
    assert caught.value.message == f"template error: {expected}"


def test_an_error_names_the_template_that_was_called() -> None:
    template = Template.parse('{{ define "x" }}{{ len 3 }}{{ end }}{{ template "x" .name }}')
    with pytest.raises(TemplateError, match='1:19: executing "x" at <len 3>: error calling len'):
        template.execute(DATA)


def test_a_wrong_template_is_the_users_fault() -> None:
    assert issubclass(TemplateError, InvalidRequest)
