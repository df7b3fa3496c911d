"""Sessions before a server that does what a test wants: commands, keys, errors."""

import base64
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.chat.fake_ollama import Answer, FakeOllama, fake_ollama
from tests.cli.chat.talk import CTRL_C, CTRL_D, ENTER, PLACEHOLDER, talk
from tests.cli.chat.test_images import PNG
from tests.cli.program import terminal

YES = ("assistant", "Yes.")


@pytest.fixture
def fake() -> Iterator[FakeOllama]:
    with fake_ollama() as running:
        yield running


def test_the_conversation_is_kept_and_sent(fake: FakeOllama, tmp_path: Path) -> None:
    fake.answers += [Answer([{"content": "Hello "}, {"content": "Anna."}])]
    with talk(fake.url, tmp_path) as session:
        assert session.say("I am Anna.") == "Hello Anna."
        assert session.say("Am I?") == "Yes."
        session.say("/set system Be brief.")
        session.say("Sure?")
        assert session.say("/clear") == "Cleared session context"
        session.say("Who am I?")
        session.leave()
    anna = [("user", "I am Anna."), ("assistant", "Hello Anna.")]
    system = ("system", "Be brief.")
    assert fake.chats() == [
        anna[:1],
        [*anna, ("user", "Am I?")],
        [system, *anna, ("user", "Am I?"), YES, ("user", "Sure?")],
        [system, ("user", "Who am I?")],
    ]


def test_messages_of_several_lines(fake: FakeOllama, tmp_path: Path) -> None:
    with talk(fake.url, tmp_path) as session:
        session.terminal.type('"""one\r')
        session.terminal.wait_for("\n...")
        assert session.say('two"""').endswith("Yes.")
        session.terminal.type("three\x1b\rfour\nfive")
        session.begin("")
        assert session.rest().endswith("Yes.")
        session.terminal.type("\x1b[200~six\nseven\x1b[201~")
        session.begin("")
        session.rest()
        session.leave()
    assert [chat[-1][1] for chat in fake.chats()] == [
        "one\ntwo",
        "three\nfour\nfive",
        "six\nseven",
    ]


@pytest.mark.parametrize("leave", [CTRL_D, "/bye\r", "/exit\r"])
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


def test_ctrl_c_stops_the_answer(fake: FakeOllama, tmp_path: Path) -> None:
    fake.answers += [Answer([{"content": "It was a "}], "hold"), Answer([], "hold")]
    with talk(fake.url, tmp_path) as session:
        session.begin("A story?")
        session.terminal.wait_for("It was a ")
        session.terminal.type(CTRL_C)
        session.wait_for_prompt()
        assert fake.abandoned.wait(10)
        session.begin("Another?")
        session.terminal.wait_until(lambda: len(fake.chats()) == 2)
        session.terminal.type(CTRL_C)
        session.wait_for_prompt()
        assert session.say("Go on.") == "Yes."
        session.leave()
    assert "^C" not in session.terminal.text
    assert fake.chats()[-1] == [
        ("user", "A story?"),
        ("assistant", "It was a "),
        ("user", "Go on."),
    ]


@pytest.mark.parametrize(
    ("ending", "message"),
    [
        ("error", "Error: the worker is gone"),
        ("drop", "Error: the connection to"),
        ("short", "the answer ended too early"),
    ],
)
def test_errors_leave_the_conversation_unharmed(
    fake: FakeOllama, tmp_path: Path, ending: str, message: str
) -> None:
    fake.answers += [Answer([{"content": "First."}]), Answer([{"content": "Half"}], ending)]
    with talk(fake.url, tmp_path) as session:
        session.say("One?")
        output = session.say("Two?")
        assert output.startswith("Half\n")
        assert message in output
        fake.refusal = (404, "model 'fake' not found")
        assert session.say("Three?") == "Error: model 'fake' not found"
        assert session.say("Four?") == "Yes."
        session.leave()
    assert fake.chats()[-1] == [("user", "One?"), ("assistant", "First."), ("user", "Four?")]


def test_a_server_that_is_gone(tmp_path: Path) -> None:
    with fake_ollama() as fake:
        with_session = talk(fake.url, tmp_path)
        session = with_session.__enter__()
    try:
        for text in ("Hello", "/load other", "/show info"):
            assert "Error: could not connect to a Paddock server" in session.say(text)
        session.leave()
    finally:
        with_session.__exit__(None, None, None)


def test_a_spinner_while_the_model_loads(fake: FakeOllama, tmp_path: Path) -> None:
    fake.may_load.clear()
    with terminal("run", "fake", url=fake.url, HOME=str(tmp_path)) as running:
        running.wait_for("⠹")
        assert PLACEHOLDER not in running.text
        running.type("typed ahead" + ENTER)
        fake.may_load.set()
        running.wait_for("Yes.")
    assert fake.chats() == [[("user", "typed ahead")]]


def test_ctrl_c_while_the_model_loads(fake: FakeOllama, tmp_path: Path) -> None:
    fake.may_load.clear()
    with terminal("run", "fake", url=fake.url, HOME=str(tmp_path)) as running:
        running.wait_for("⠹")
        running.type(CTRL_C)
        assert running.wait() == 130
    assert "Traceback" not in running.text


def test_a_model_that_cannot_be_loaded(fake: FakeOllama, tmp_path: Path) -> None:
    fake.refusal = (500, "too large")
    with terminal("run", "fake", url=fake.url, HOME=str(tmp_path)) as running:
        assert running.wait() == 1
    assert running.text.endswith("Error: too large\n")


def test_thinking(tmp_path: Path) -> None:
    with fake_ollama("thinking") as fake, talk(fake.url, tmp_path) as session:
        fake.answers += [Answer([{"thinking": "Well"}, {"content": "Yes."}])] * 2
        assert session.say("Is it?") == "Thinking...\nWell\n...done thinking.\n\nYes."
        assert "\x1b[2mWell\x1b[0m" in session.terminal.raw
        assert session.say("/set nothink") == "Set 'nothink' mode."
        session.say("Is it?")
        assert session.say("/set think low") == "Set 'think' mode to 'low'."
        session.say("Is it?")
        session.leave()
    assert [body["think"] for body in fake.bodies("/api/chat")] == [True, False, "low"]
    assert fake.bodies("/api/chat")[1]["messages"][1]["thinking"] == "Well"


def test_images(tmp_path: Path) -> None:
    (tmp_path / "my cat.png").write_bytes(PNG)
    (tmp_path / "text.png").write_text("no image")
    with fake_ollama("vision") as fake, talk(fake.url, tmp_path) as session:
        output = session.say(f"{tmp_path}/my\\ cat.png What is it?")
        assert output.replace("\n", "").startswith(f"Added image '{tmp_path}/my cat.png'")
        assert output.endswith("Yes.")
        assert "it is no JPEG, PNG or WebP image" in session.say("And './text.png'?")
        session.say("And?")
        assert session.say("/nothing.png") == "Unknown command '/nothing.png'. Type /? for help"
        assert ".webp images" in session.say("/?")
        session.leave()
    first = {
        "role": "user",
        "content": "What is it?",
        "images": [base64.b64encode(PNG).decode()],
    }
    assert fake.bodies("/api/chat")[-1]["messages"][0] == first
    assert len(fake.chats()) == 2


def test_variables(fake: FakeOllama, tmp_path: Path) -> None:
    with talk(fake.url, tmp_path, "--keepalive", "7m") as session:
        for text, said in (
            ("/set parameter temperature 0.5", "Set parameter 'temperature' to '0.5'"),
            ("/set parameter stop a b", "Set parameter 'stop' to 'a, b'"),
            ("/set parameter seed x", 'Couldn\'t set parameter: "invalid int value [x]"'),
            ("/set format json", "Set format to 'json' mode."),
            (
                "/set format xml",
                "Invalid or missing format. For 'json' mode use '/set format json'",
            ),
            ("/set verbose", "Set 'verbose' mode."),
            ("/set nowordwrap", "Set 'nowordwrap' mode."),
            ("/set nonsense", "Unknown command '/set nonsense'. Type /? for help"),
            ("/nonsense", "Unknown command '/nonsense'. Type /? for help"),
            (
                "/set think",
                "warning: model \"fake\" does not support thinking output\nSet 'think' mode.",
            ),
        ):
            assert session.say(text) == said
        assert "eval rate:            20.00 tokens/s" in session.say("Hello")
        assert session.say("/set quiet") == "Set 'quiet' mode."
        assert session.say("/set noformat") == "Disabled format."
        assert session.say("Hello") == "Yes."
        session.leave()
    first, second = fake.bodies("/api/chat")
    assert first["options"] == {"temperature": 0.5, "stop": ["a", "b"]}
    assert (first["format"], first["think"], first["keep_alive"]) == ("json", True, "7m")
    assert "format" not in second
    assert fake.bodies("/api/generate")[0]["keep_alive"] == "7m"


def test_help(fake: FakeOllama, tmp_path: Path) -> None:
    with talk(fake.url, tmp_path) as session:
        assert "/load <model>   Load a session or model" in session.say("/?")
        assert "/set parameter ...     Set a parameter" in session.say("/? set")
        assert "/show info         Show details" in session.say("/help /show")
        assert "Ctrl + c            Stop the model" in session.say("/? shortcuts")
        assert "/set system <string>" in session.say("/set")
        assert "/show template" in session.say("/show")
        assert "top_k <int>" in session.say("/set parameter")
        assert session.say("/load") == "Usage:\n  /load <modelname>"
        assert session.say("/save") == "Usage:\n  /save <modelname>"
        session.leave()
    assert fake.chats() == []


def test_show(tmp_path: Path) -> None:
    shown = {
        "parameters": 'stop "x"',
        "system": "Be kind.",
        "license": "MIT",
        "modelfile": "FROM x",
    }
    with fake_ollama(**shown) as fake, talk(fake.url, tmp_path) as session:
        session.say("/set parameter top_k 5")
        assert "Capabilities\n    completion" in session.say("/show info")
        assert session.say("/show license") == "MIT"
        assert session.say("/show template") == "No prompt template was specified for this model."
        assert session.say("/show system") == "Be kind."
        session.say('/set system """Be\rbrief."""')
        assert session.say("/show system") == "Be\nbrief."
        assert session.say("/show modelfile") == "FROM x"
        assert session.say("/show parameters").splitlines() == [
            "Model defined parameters:",
            '  stop "x"',
            "",
            "User defined parameters:",
            "  top_k                          5",
        ]
        assert session.say("/show it") == "Unknown command '/show it'. Type /? for help"
        session.leave()
    described = [body for body in fake.bodies("/api/show") if "system" in body]
    assert [(body["system"], body["options"]) for body in described] == [
        ("Be\nbrief.", {"top_k": 5})
    ]


def test_save_and_load(fake: FakeOllama, tmp_path: Path) -> None:
    earlier = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
    fake.models["earlier"] = {"capabilities": ["completion"], "messages": earlier}
    with talk(fake.url, tmp_path) as session:
        session.say("/set parameter seed 1")
        session.say("Hello")
        assert (
            session.say("/load nothing") == "Loading model 'nothing'\nCouldn't find model 'nothing'"
        )
        fake.refusal = (500, "too large")
        assert session.say("/load earlier").endswith("Error: too large")
        session.say("Still there?")
        assert session.say("/load earlier").endswith(">>> Hi\nHo")
        session.say("And you?")
        session.say("/set system Be brief.")
        assert session.say("/save later") == "Created new model 'later'"
        session.leave()
    assert fake.chats()[1][:2] == [("user", "Hello"), YES]
    assert fake.chats()[2] == [("user", "And you?")]
    assert fake.bodies("/api/create") == [
        {
            "model": "later",
            "from": "earlier",
            "system": "Be brief.",
            "parameters": {"seed": 1},
            "messages": [
                *earlier,
                *[{"role": r, "content": c} for r, c in [("user", "And you?"), YES]],
            ],
            "stream": True,
        }
    ]


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


def test_a_terminal_that_is_resized(fake: FakeOllama, tmp_path: Path) -> None:
    fake.answers += [Answer([{"content": "word " * 29 + "word"}])] * 2
    with talk(fake.url, tmp_path) as session:
        for columns, count in ((100, 2), (40, 4)):
            session.terminal.resize(columns)
            lines = session.say("Long?").splitlines()
            assert max(map(len, lines)) < columns
            assert len(lines) == count
        session.leave()


def test_tool_calls_are_told(fake: FakeOllama, tmp_path: Path) -> None:
    call = {"function": {"name": "add", "arguments": {"a": 1}}}
    fake.answers.append(Answer([{"tool_calls": [call]}]))
    with talk(fake.url, tmp_path) as session:
        assert session.say("1 + 1?") == (
            "Model called a non-existent function 'add()' with arguments: {\"a\": 1}"
        )
        session.leave()
