import pytest

from common.gotemplate import Template
from tests.common.gotemplate.data import DATA

TEXT: list[tuple[str, str]] = [
    ("plain", "plain"),
    ("a }} b", "a }} b"),
    ('a {{- "x" -}}  b', "axb"),
    ("a\n {{- /* gone */ -}}\r\n\t b", "ab"),
    ("{{/* a\nb */}}x", "x"),
    ("{{.name}}", "abc"),
    ("{{- 3 }}|{{-3}}", "3|-3"),
    ('a {{ "b" -}}\n\n{{- "c" }}', "a bc"),
    ('\xa0{{- "x" -}}\xa0', "\xa0x\xa0"),
    ('{{"{{"}} {{"}}"}}', "{{ }}"),
    ("{{\n.name\n}}", "abc"),
]


@pytest.mark.parametrize(("text", "expected"), TEXT)
def test_text_and_trimming(text: str, expected: str) -> None:
    assert Template.parse(text).execute(DATA) == expected


LITERALS: list[tuple[str, str]] = [
    ('{{ "x" }}{{ `raw\\n"` }}{{ `a\r\nb` }}', 'xraw\\n"a\nb'),
    ('{{ "a\\tb\\x41\\u00e9\\101\\U0001F600\\"" }}', 'a\tbAéA😀"'),
    ("{{ 'a' }} {{ '\\n' }} {{ '\\'' }} {{ '\\x41' }} {{ 'é' }}", "97 10 39 65 233"),
    ("{{ 1 }} {{ -1 }} {{ +5 }} {{ 1_000 }}", "1 -1 5 1000"),
    ("{{ 0x1F }} {{ 0x_1f }} {{ 0o17 }} {{ 017 }} {{ 0b101 }}", "31 31 15 15 5"),
    ("{{ 1.5 }} {{ 1e3 }} {{ 1E-2 }} {{ .5 }} {{ 5. }} {{ 0x1p4 }}", "1.5 1000 0.01 0.5 5 16"),
    ("{{ true }} {{ false }}", "true false"),
    ('{{ "\\xc3" }}{{ "\\xa9" }}', "é"),
    ('{{ "\\xff" }}', "�"),
]


@pytest.mark.parametrize(("text", "expected"), LITERALS)
def test_literals(text: str, expected: str) -> None:
    assert Template.parse(text).execute(DATA) == expected


FIELDS: list[tuple[str, str]] = [
    ("{{ .map.a }} {{ .map.deep.x }}", "one y"),
    ("{{ .missing }} {{ .nothing }} {{ .map.missing }}", "<no value> <no value> <no value>"),
    ("{{ $.name }} {{ $ | len }}", "abc 16"),
    ("{{ (.map).a }} {{ (.map).deep.x }} {{ (index .rows 1).n }}", "one y 2"),
    ("{{ (.missing).x }}", "<no value>"),
    ("{{ $x := 1 }}{{ $x }}{{ $x = 2 }}{{ $x }}", "12"),
    ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", "2"),
    ("{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ $x }}{{ end }}{{ $x }}", "21"),
    ("{{ $x := .map }}{{ $x.a }}{{ $x.missing }}", "one<no value>"),
    ("{{ $x := .missing }}{{ $x.y.z }}", "<no value>"),
    ("{{ $x:=3 }}{{$x}}", "3"),
    ("{{ $ := 3 }}{{ $ }}", "3"),
]


@pytest.mark.parametrize(("text", "expected"), FIELDS)
def test_fields_and_variables(text: str, expected: str) -> None:
    assert Template.parse(text).execute(DATA) == expected


BRANCHES: list[tuple[str, str]] = [
    ("{{ if .name }}1{{ else }}2{{ end }}", "1"),
    ("{{ if .empty }}1{{ else if .zero }}2{{ else if .three }}3{{ else }}4{{ end }}", "3"),
    ("{{ range .mixed }}{{ if . }}t{{ else }}f{{ end }}{{ end }}", "ttftt"),
    ("{{ if .none }}1{{ end }}{{ if .nothing }}2{{ end }}{{ if .missing }}3{{ end }}", ""),
    ('{{ if 0.0 }}1{{ end }}{{ if "" }}2{{ end }}{{ if "0" }}3{{ end }}', "3"),
    ("{{ if $x := .name }}{{ $x }}{{ end }}", "abc"),
    ("{{ if $x := .empty }}{{ else }}[{{ $x }}]{{ end }}", "[]"),
    ("{{ with .map }}{{ .a }}{{ $.name }}{{ else }}none{{ end }}", "oneabc"),
    ("{{ with .empty }}1{{ else with .name }}2{{ . }}{{ else }}3{{ end }}", "2abc"),
    ("{{ with $x := .name }}{{ $x }}{{ . }}{{ end }}", "abcabc"),
    ("{{ with .nothing }}{{ else }}{{ .name }}{{ end }}", "abc"),
]


@pytest.mark.parametrize(("text", "expected"), BRANCHES)
def test_if_and_with(text: str, expected: str) -> None:
    assert Template.parse(text).execute(DATA) == expected


RANGES: list[tuple[str, str]] = [
    ("{{ range .letters }}{{ . }},{{ end }}", "a,b,c,"),
    ("{{ range $v := .letters }}{{ $v }}{{ end }}", "abc"),
    ("{{ range $i, $v := .letters }}{{ $i }}={{ $v }};{{ end }}", "0=a;1=b;2=c;"),
    ("{{ range $k, $v := .map }}{{ $k }}={{ $v }};{{ end }}", "a=one;b=2;deep=map[x:y];"),
    ("{{ range .map }}{{ . }};{{ end }}", "one;2;map[x:y];"),
    (
        "{{ range .none }}x{{ else }}none{{ end }}{{ range .missing }}x{{ else }}none{{ end }}",
        "nonenone",
    ),
    ("{{ range 3 }}{{ . }}{{ end }}", "012"),
    ("{{ range $i := .three }}{{ $i }}{{ end }}", "012"),
    ("{{ range -1 }}x{{ else }}none{{ end }}", "none"),
    ('{{ range .letters }}{{ if eq . "b" }}{{ continue }}{{ end }}{{ . }}{{ end }}', "ac"),
    ("{{ range 2 }}{{ range $.letters }}{{ . }}{{ break }}{{ end }}|{{ end }}", "a|a|"),
    ("{{ range .letters }}{{ range $.none }}{{ else }}{{ break }}{{ end }}x{{ end }}", "xxx"),
    ("{{ $i := 9 }}{{ $x := 0 }}{{ range $i, $x = .letters }}{{ end }}{{ $i }}{{ $x }}", "2c"),
    ("{{ range $i, $e := .letters }}{{ $i = 5 }}{{ $i }}{{ end }}", "555"),
    ("{{ range .rows }}{{ .n }}{{ .missing }}{{ end }}", "1<no value>2<no value>"),
    ("{{ range $i, $_ := .letters }}{{ len (slice $.letters $i) }}{{ end }}", "321"),
]


@pytest.mark.parametrize(("text", "expected"), RANGES)
def test_range(text: str, expected: str) -> None:
    assert Template.parse(text).execute(DATA) == expected


DEFINITIONS: list[tuple[str, str]] = [
    (
        '{{ define "x" }}<{{ . }}>{{ end }}{{ range .letters }}{{ template "x" . }}{{ end }}',
        "<a><b><c>",
    ),
    ('{{ template "x" .name }}{{ define "x" }}{{ . }}{{ $ }}{{ end }}', "abcabc"),
    ('{{ block "b" .name }}[{{ . }}]{{ end }}{{ template "b" "again" }}', "[abc][again]"),
    ('{{ define "x" }}1{{ end }}{{ define "x" }} {{ end }}{{ template "x" }}', "1"),
]


@pytest.mark.parametrize(("text", "expected"), DEFINITIONS)
def test_templates_that_call_templates(text: str, expected: str) -> None:
    assert Template.parse(text).execute(DATA) == expected
