import pytest

from common.errors import InvalidRequest
from services.registry.parameters import parse_parameters, show_parameters


def test_parameters_are_checked_and_tidied() -> None:
    parsed = parse_parameters(
        '{"stop":"x","seed":null,"temperature":0.5,"num_gpu":1.0,"num_predict":2.7}'
    )
    assert parsed == {"stop": ["x"], "temperature": 0.5, "num_gpu": 1, "num_predict": 2}
    assert parse_parameters("") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "parameters"),
        ("[]", "parameters must be a JSON object"),
        ('{"temperature":"hot"}', 'option "temperature" must be of type float32'),
        ('{"stop":[1]}', 'option "stop" must be of'),
        ('{"colour":"red"}', "unknown parameter 'colour'"),
        ('{"use_mmap":1}', 'option "use_mmap" must be of type boolean'),
    ],
)
def test_wrong_parameters(text: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        parse_parameters(text)


def test_columns() -> None:
    shown = show_parameters(
        {"stop": ["<|end|>", 'a"\n'], "temperature": 1.0, "top_p": 0.9, "use_mmap": True}
    )
    assert shown.split("\n") == [
        'stop                           "<|end|>"',
        'stop                           "a\\"\\n"',
        "temperature                    1",
        "top_p                          0.9",
        "use_mmap                       true",
    ]
