import time
from typing import Any

import pytest

from common.gotemplate import Template, TemplateError
from common.gotemplate.limits import MAXIMUM_DEPTH, MAXIMUM_SOURCE, MAXIMUM_TEXT, Budget

DEEP: list[Any] = []
for _ in range(10_000):
    DEEP = [DEEP]

DATA: dict[str, Any] = {"items": list(range(10_000)), "long": "é" * 100_000, "deep": DEEP}


@pytest.mark.parametrize(
    "text",
    [
        "{{ range 2000000000 }}{{ end }}",
        "{{ range .items }}{{ range $.items }}{{ end }}{{ end }}",
        "{{ range .items }}{{ $x := print $.items }}{{ end }}",
    ],
)
def test_no_template_takes_long(text: str) -> None:
    started = time.monotonic()
    with pytest.raises(TemplateError, match="takes too long"):
        Template.parse(text).execute(DATA, Budget(seconds=0.1))
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ range .items }}{{ $.long }}{{ end }}", "output becomes too long"),
        ('{{ $x := "ab" }}{{ range 99 }}{{ $x = print $x $x }}{{ end }}', "text becomes too long"),
        ('{{ range 999 }}{{ $x := printf "%999999d" 1 }}{{ end }}', "too much memory"),
        ('{{ printf "%999999d" .items }}', "text becomes too long"),
        ("{{ .deep }}", "nested too deeply"),
        ("{{ html .deep }}", "nested too deeply"),
        ('{{ printf "%d" .deep }}', "nested too deeply"),
        ('{{ define "x" }}{{ template "x" }}{{ end }}{{ template "x" }}', "maximum template depth"),
        ("{{ if .items }}" * 5_000, "max expression depth exceeded"),
        ("{{" + "(" * 10_000, "max expression depth exceeded"),
        ("{{ if 1 }}" + "{{ else if 1 }}" * 100 + "{{ end }}", "max expression depth exceeded"),
        ("x" * (MAXIMUM_SOURCE + 1), "longer than"),
        (f"{{{{ 0x{'f' * 100_000} }}}}", "illegal number syntax"),
        (f"{{{{ {'9' * 100_000} }}}}", "illegal number syntax"),
    ],
    ids=range(14),
)
def test_no_template_takes_much(text: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message) as caught:
        Template.parse(text).execute(DATA)
    assert len(caught.value.message) < 1500


def test_what_lies_within_the_limits_works() -> None:
    depth = MAXIMUM_DEPTH - 1
    nested = "{{ if 1 }}" * depth + "{{ (1) }}" + "{{ end }}" * depth
    assert Template.parse(nested).execute({}) == "1"
    parentheses = "(" * depth + ".x" + ")" * depth
    assert Template.parse(f"{{{{ {parentheses} }}}}").execute({"x": "y"}) == "y"
    assert Template.parse('{{ printf "%999999d" 1 | len }}').execute({}) == "999999"


def test_runs_that_belong_together_share_their_limits() -> None:
    template = Template.parse("{{ .long }}")
    budget = Budget()
    for _ in range(MAXIMUM_TEXT // len(DATA["long"])):
        template.execute(DATA, budget)
    with pytest.raises(TemplateError, match="output becomes too long"):
        template.execute(DATA, budget)
    assert template.execute(DATA) == DATA["long"]
