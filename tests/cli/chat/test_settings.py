"""Values of options, of `--format` and of `/set parameter`."""

import pytest

from cli.chat.model import ChatModel
from cli.chat.settings import Settings, parse_format, parse_option
from cli.failure import CommandFailed


@pytest.mark.parametrize(
    ("name", "texts", "value"),
    [
        ("temperature", ["0.5"], 0.5),
        ("num_ctx", ["4096"], 4096),
        ("seed", ["-1"], -1),
        ("stop", ["a", "b"], ["a", "b"]),
    ],
)
def test_parameters(name: str, texts: list[str], value: object) -> None:
    assert parse_option(name, texts) == value


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("warmth", "1", "unknown parameter 'warmth'"),
        ("temperature", "hot", r"invalid float value \[hot\]"),
        ("seed", "1.5", r"invalid int value \[1.5\]"),
    ],
)
def test_parameters_that_are_none(name: str, text: str, message: str) -> None:
    with pytest.raises(CommandFailed, match=message):
        parse_option(name, [text])


def test_formats() -> None:
    assert parse_format("") == ""
    assert parse_format("json") == "json"
    assert parse_format('{"type": "object"}') == {"type": "object"}
    for text in ("xml", "[1]", '"json"'):
        with pytest.raises(CommandFailed, match="neither json nor a JSON schema"):
            parse_format(text)


@pytest.mark.parametrize(
    ("capabilities", "asked", "sent"),
    [
        ({"completion"}, None, None),
        ({"completion"}, True, True),
        ({"thinking"}, None, True),
        ({"thinking"}, False, False),
        ({"thinking"}, "high", "high"),
    ],
)
def test_who_thinks(capabilities: set[str], asked: bool | str | None, sent: object) -> None:
    model = ChatModel("x", frozenset(capabilities))
    assert Settings(think=asked).fields(model)["think"] == sent
