import pytest

from common.errors import InvalidRequest
from common.modelfile.instructions import Instruction
from common.modelfile.parameters import collect_parameters, parse_parameter, single_values


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("num_ctx", "4096", 4096),
        ("seed", "-1", -1),
        ("num_gpu", "+1", 1),
        ("temperature", "1", 1.0),
        ("top_p", ".5", 0.5),
        ("min_p", "5e-2", 0.05),
        ("use_mmap", "T", True),
        ("numa", "0", False),
        ("mirostat", "2", 2),
        ("tfs_z", "1", 1.0),
    ],
)
def test_values(name: str, text: str, value: object) -> None:
    parsed = parse_parameter(name, text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("num_ctx", "many", "invalid int value [many]"),
        ("num_ctx", "1.5", "invalid int value [1.5]"),
        ("num_ctx", "1_000", "invalid int value [1_000]"),
        ("num_ctx", "\u0661", "invalid int value [\u0661]"),
        ("seed", "9223372036854775808", "invalid int value [9223372036854775808]"),
        ("temperature", "hot", "invalid float value [hot]"),
        ("temperature", "nan", "invalid float value [nan]"),
        ("temperature", "1e999", "invalid float value [1e999]"),
        ("temperature", "", "invalid float value []"),
        ("use_mmap", "yes", "invalid bool value [yes]"),
        ("colour", "red", "unknown parameter 'colour'"),
    ],
)
def test_what_is_no_value_is_named_in_ollamas_words(name: str, text: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        parse_parameter(name, text)
    assert raised.value.message == message


def test_stop_strings_are_collected_and_other_values_replaced() -> None:
    pairs = [("stop", "a"), ("top_k", "1"), ("stop", ""), ("top_k", "2")]
    instructions = [Instruction("parameter", name, text) for name, text in pairs]
    assert collect_parameters(instructions) == {"stop": ["a", ""], "top_k": 2}


def test_a_list_is_one_line_a_value_and_what_is_no_value_is_left_out() -> None:
    parameters = {"stop": ["a", None, "b", []], "temperature": 1.0, "x": {"y": 1}, "z": None}
    values = list(single_values(parameters))
    assert values == [("stop", "a"), ("stop", "b"), ("temperature", 1.0)]
