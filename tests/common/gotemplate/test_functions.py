import pytest

from common.gotemplate import Template
from tests.common.gotemplate.data import DATA

FUNCTIONS: list[tuple[str, str]] = [
    (
        '{{ and 1 0 }}{{ and 1 2 }}{{ or 0 "" "x" }}{{ or "" 0 }}|{{ not .none }}{{ not 1 }}',
        "02x0|truefalse",
    ),
    ("{{ and .empty .name.x }}{{ or .name .name.x }}", "abc"),
    ('{{ "x" | and .name }}{{ "x" | or .empty }}', "xx"),
    (
        '{{ eq 1 1 }} {{ eq "a" "b" "a" }} {{ eq .half 1.5 }} {{ eq true false }}',
        "true true true false",
    ),
    ('{{ eq .missing "x" }} {{ eq .missing nil }}', "false true"),
    ('{{ eq .letters nil }} {{ eq "a" nil }} {{ ne 1 2 }}', "false false true"),
    (
        '{{ lt 1 2 }} {{ le 2 2 }} {{ gt "b" "a" }} {{ ge 1.5 2.5 }} {{ lt "é" "z" }}',
        "true true true false false",
    ),
    ('{{ len .letters }} {{ len .accents }} {{ len .map }} {{ len "" }}', "3 6 3 0"),
    ('{{ index .letters 2 }} {{ index .map "deep" "x" }}', "c y"),
    ('{{ index .map "missing" }} {{ index .name 1 }}', "<no value> 98"),
    ("{{ slice .name 1 }} {{ slice .name 1 2 }} {{ slice .accents 3 }}", "bc b llo"),
    ("{{ slice .letters 1 }} {{ slice .letters 0 1 2 }}", "[b c] [a]"),
    ("{{ slice .accents 0 2 }}{{ slice .accents 2 }}", "héllo"),
    ("{{ slice .accents 0 2 }}", "h�"),
    (
        '{{ print 1 2 "a" 3 4 }}|{{ print "a" "b" }}|{{ print nil }}|{{ print .mixed .map }}',
        "1 2a3 4|ab|<nil>|[1 x <nil> true [y]] map[a:one b:2 deep:map[x:y]]",
    ),
    ('{{ println 1 "a" }}|{{ println }}', "1 a\n|\n"),
    ('{{ .name | len | printf "%d-%v" 1 }}', "1-3"),
    (
        '{{ html "<a href=\'x\'>\\"&" }} {{ urlquery "a b&é/~" }}',
        "&lt;a href=&#39;x&#39;&gt;&#34;&amp; a+b%26%C3%A9%2F~",
    ),
    ('{{ js "<a>\'\\"\\\\\\n=&é" }}', "\\u003Ca\\u003E\\'\\\"\\\\\\u000A\\u003D\\u0026é"),
    (
        "{{ .million }} {{ 1e20 }} {{ 1234567.5 }} {{ 0.00001 }} {{ 1.0 }} {{ .mixed }}",
        "1e+06 1e+20 1.2345675e+06 1e-05 1 [1 x <nil> true [y]]",
    ),
    ('{{ len (printf "a%*s" 4 "") }}', "5"),
    ("{{ ((((.name)))) }}", "abc"),
]


@pytest.mark.parametrize(("text", "expected"), FUNCTIONS)
def test_functions(text: str, expected: str) -> None:
    assert Template.parse(text).execute(DATA) == expected
