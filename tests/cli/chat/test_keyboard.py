"""Keys at the prompt of a session."""

import stat
from pathlib import Path

import pytest

from tests.cli.chat.fake_ollama import FakeOllama
from tests.cli.chat.talk import CTRL_C, talk


def test_messages_of_several_lines(fake: FakeOllama, tmp_path: Path) -> None:
    with talk(fake.url, tmp_path) as session:
        session.terminal.type('"""one\r')
        session.terminal.wait_for("\n...")
        assert session.say('two"""').endswith("Yes.")
        session.terminal.type("three\x1b\rfour\nfive")
        session.begin("")
        assert session.rest().endswith("Yes.")
        session.terminal.type("\x1b[200~/six\nseven\x1b[201~")
        session.begin("")
        session.rest()
        session.leave()
    assert [chat[-1][1] for chat in fake.chats()] == [
        "one\ntwo",
        "three\nfour\nfive",
        "/six\nseven",
    ]


@pytest.mark.parametrize("leave", ["/bye\r", "/exit\r"])
def test_leaving(fake: FakeOllama, tmp_path: Path, leave: str) -> None:
    with talk(fake.url, tmp_path) as session:
        session.terminal.type(leave)
        assert session.terminal.wait() == 0
        assert "Error" not in session.terminal.text


def test_ctrl_c_at_the_prompt(fake: FakeOllama, tmp_path: Path) -> None:
    with talk(fake.url, tmp_path) as session:
        session.terminal.type("never min")
        session.terminal.wait_for("never min")
        session.terminal.type(CTRL_C)
        session.wait_for_prompt()
        assert "Use Ctrl + d or /bye to exit." in session.terminal.text
        session.say("Hello")
        session.leave()
    assert fake.chats() == [[("user", "Hello")]]


def test_history(fake: FakeOllama, tmp_path: Path) -> None:
    up = "\x1b[A"
    with talk(fake.url, tmp_path) as session:
        session.say("remembered")
        session.say("/set nohistory")
        session.say("forgotten")
        session.leave()
    file = tmp_path / ".paddock" / "history"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with talk(fake.url, tmp_path, PADDOCK_NOHISTORY="1") as session:
        session.terminal.type(up)
        session.terminal.wait_for("/set nohistory")
        session.terminal.type(up)
        session.terminal.wait_for("remembered")
        session.say("")
        session.leave()
    assert [chat[-1][1] for chat in fake.chats()] == ["remembered", "forgotten", "remembered"]
    assert file.read_text().count("remembered") == 1
    assert "forgotten" not in file.read_text()


def test_no_color(fake: FakeOllama, tmp_path: Path) -> None:
    with talk(fake.url, tmp_path, NO_COLOR="1") as session:
        session.leave()
    assert "\x1b[0;38;" not in session.terminal.raw
    with talk(fake.url, tmp_path) as session:
        session.leave()
    assert "\x1b[0;38;" in session.terminal.raw


def test_a_home_that_cannot_be_written(fake: FakeOllama, tmp_path: Path) -> None:
    (tmp_path / ".paddock").write_text("no folder")
    with talk(fake.url, tmp_path) as session:
        assert session.say("Hello") == "Yes."
        session.leave()


def test_an_editor(fake: FakeOllama, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nprintf "edited" >> "$1"\n')
    editor.chmod(0o755)
    with talk(fake.url, tmp_path, PADDOCK_EDITOR=str(editor)) as session:
        session.terminal.type("to be \x07")
        session.terminal.wait_for("edited")
        session.say("")
        session.leave()
    assert fake.chats() == [[("user", "to be edited")]]
