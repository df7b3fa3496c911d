"""Quotes around messages and system messages."""

import pytest

from cli.chat.messages import is_command, is_unfinished, readable, system_message, unquote


@pytest.mark.parametrize(
    ("text", "unfinished"),
    [
        ("", False),
        ("hello", False),
        ('say """ now', False),
        ('"""', True),
        ('""""', True),
        ('"""hello', True),
        ('"""hello""" and', True),
        ('"""hello"""', False),
        ('"""hello\nworld""" ', False),
        ('""""""', False),
        ("/set system be brief", False),
        ('/set system """be', True),
        ('/set system """be\nbrief"""', False),
        ('/set  system  """be', True),
    ],
)
def test_whether_enter_begins_a_line(text: str, unfinished: bool) -> None:
    assert is_unfinished(text) == unfinished


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello", "hello"),
        (" two  blanks ", " two  blanks "),
        ('"""Hello,\nworld!"""', "Hello,\nworld!"),
        ('"""\nHello\n""" ', "\nHello\n"),
        ('""""""', ""),
        ('"""open', '"""open'),
    ],
)
def test_messages(text: str, message: str) -> None:
    assert unquote(text) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/set system be  brief", "be  brief"),
        ('/set system """be\nbrief"""', "be\nbrief"),
        ('/set system """"""', ""),
        ("/set system", None),
        ("/set systematic", None),
        ("hello", None),
    ],
)
def test_system_messages(text: str, message: str | None) -> None:
    assert system_message(text) == message


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/bye", True),
        ("/etc/hosts and\n/etc/group", False),
        ('/set system """be\nbrief"""', True),
        ("hello", False),
    ],
)
def test_commands(text: str, command: bool) -> None:
    assert is_command(text) == command


def test_bytes_that_are_no_text() -> None:
    assert readable("gr\udcfcn und grün") == "gr\ufffdn und grün"
