import pytest

from common.errors import TemplateError
from common.model_template import ModelTemplate

ANSWER = '{{ define "x" }}{{ .Prompt }}A{{ .Response }}<END>{{ end }}'
CALL = '{{ template "x" . }}'
LEVELS = 40


def last_turn(text: str, **said: str) -> str:
    data = {"System": "", "Prompt": "p", "Response": "r", **said}
    return ModelTemplate.parse(text).until_response.execute(data)


@pytest.mark.parametrize(("system", "expected"), [("s", "SpAr"), ("", "pAr")])
@pytest.mark.parametrize(
    "text",
    [
        f"{ANSWER}{{{{ if .System }}}}S{CALL}TAIL{{{{ else }}}}{CALL}{{{{ end }}}}",
        f"{ANSWER}{{{{ if .System }}}}S{CALL}TAIL{{{{ else }}}}{CALL}TAIL{{{{ end }}}}TAIL",
        f'{ANSWER}{{{{ define "y" }}}}{CALL}Y{{{{ end }}}}'
        f'{{{{ if .System }}}}S{CALL}TAIL{{{{ else }}}}{{{{ template "y" . }}}}TAIL{{{{ end }}}}',
    ],
)
def test_each_call_of_a_template_ends_with_its_response(
    text: str, system: str, expected: str
) -> None:
    assert last_turn(text, System=system) == expected


def test_a_template_without_a_response_is_called_each_time() -> None:
    text = '{{ define "x" }}[{{ .Prompt }}]{{ end }}'
    assert last_turn(f"{text}{CALL}{CALL}{{{{ .Response }}}}{CALL}") == "[p][p]r"


def test_a_template_that_calls_itself() -> None:
    text = (
        '{{ define "x" }}{{ if eq . "p" }}({{ template "x" "q" }}){{ end }}{{ . }};{{ end }}'
        '{{ template "x" .Prompt }}{{ .Response }}TAIL'
    )
    assert last_turn(text) == "(q;)p;r"


def test_a_template_that_calls_itself_ends_with_its_response() -> None:
    again = f"{{{{ if .Suffix }}}}{CALL}{{{{ end }}}}"
    text = f'{{{{ define "x" }}}}{again}{{{{ .Response }}}}<END>{{{{ end }}}}{CALL}TAIL'
    assert last_turn(text, Suffix="") == "r"


@pytest.mark.timeout(20)
@pytest.mark.parametrize(("last", "expected"), [("", "r"), ("{{ .Response }}<END>", "")])
@pytest.mark.parametrize("between", ["", "{{ else if .Suffix }}"])
def test_templates_that_call_the_next_one_twice(between: str, last: str, expected: str) -> None:
    define = '{{ define "t%d" }}{{ if .System }}%s{{ end }}{{ end }}'
    call = '{{ template "t%d" . }}'
    levels = (define % (level, between.join([call % (level + 1)] * 2)) for level in range(LEVELS))
    end = f'{{{{ define "t{LEVELS}" }}}}{last}{{{{ end }}}}'
    text = f'{"".join(levels)}{end}{{{{ template "t0" . }}}}{{{{ .Response }}}}'
    assert last_turn(text) == expected


def test_a_long_chain_of_calls() -> None:
    links = [
        f'{{{{ define "{number}" }}}}{{{{ template "{number + 1}" . }}}}{{{{ end }}}}'
        for number in range(400)
    ]
    last = '{{ define "400" }}{{ .Response }}{{ end }}{{ template "0" . }}'
    template = ModelTemplate.parse("".join(links) + last)
    with pytest.raises(TemplateError):
        template.until_response.execute({"Response": "Hi."})
