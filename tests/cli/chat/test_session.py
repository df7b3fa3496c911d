"""Sessions before a server that does what a test wants: answers, thoughts, images, errors."""

import base64
import time
from pathlib import Path

from tests.cli.chat.fake_ollama import Answer, FakeOllama, fake_ollama
from tests.cli.chat.talk import CTRL_C, ENTER, PLACEHOLDER, talk
from tests.cli.chat.test_images import PNG
from tests.cli.program import terminal

YES = ("assistant", "Yes.")


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


def test_ctrl_c_again_and_again(fake: FakeOllama, tmp_path: Path) -> None:
    fake.answers += [Answer([{"content": "It was a "}], "hold")]
    with talk(fake.url, tmp_path) as session:
        session.begin("A story?")
        session.terminal.wait_for("It was a ")
        for _ in range(40):
            session.terminal.type(CTRL_C)
            time.sleep(0.005)
        session.leave()
    assert "Traceback" not in session.terminal.text


def test_errors_leave_the_conversation_unharmed(fake: FakeOllama, tmp_path: Path) -> None:
    fake.answers += [Answer([{"content": "First."}])]
    with talk(fake.url, tmp_path) as session:
        session.say("One?")
        for ending, message in (
            ("error", "Error: the worker is gone"),
            ("drop", "Error: the connection to"),
            ("short", "the answer ended too early"),
        ):
            fake.answers.append(Answer([{"content": "Half"}], ending))
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


def test_a_terminal_that_is_resized(fake: FakeOllama, tmp_path: Path) -> None:
    fake.answers += [Answer([{"content": "word " * 29 + "word"}])] * 2
    with talk(fake.url, tmp_path) as session:
        for columns, count in ((120, 2), (40, 4)):
            session.resize(columns)
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
