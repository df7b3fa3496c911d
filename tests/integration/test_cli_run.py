"""`paddock run` before a real suite: questions, vectors, pictures, and a session."""

import base64
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import ollama
import pytest

from tests.cli.chat.talk import CTRL_C, Talk, talk
from tests.cli.program import paddock
from tests.integration.models import picture
from tests.integration.suite import Suite, eventually

PUZZLE = "How many legs do 3 cats have?"
SKY = "Rayleigh scattering"


def run(suite: Suite, *arguments: str, text: str = "") -> str:
    """Run a command that has to succeed; give what it printed."""
    done = paddock("run", *arguments, url=suite.url, text=text)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture
def session(suite: Suite, tmp_path: Path) -> Iterator[Talk]:
    with talk(suite.url, tmp_path, model="demo") as running:
        yield running


def test_a_question(suite: Suite) -> None:
    assert SKY in run(suite, "demo", "Why is the sky blue?")
    assert SKY in run(suite, "demo", text="Why is the sky blue?")
    assert SKY in run(suite, "demo", "the sky blue?", text="Why is")


def test_thoughts(suite: Suite) -> None:
    answer = run(suite, "demo", PUZZLE)
    assert re.fullmatch(
        r"Thinking\.\.\.\n.+\n\.\.\.done thinking\.\n\nThree cats have 12 legs\.\n\n", answer
    )
    for option in ("--think=false", "--hidethinking"):
        assert run(suite, "demo", option, PUZZLE) == "Three cats have 12 legs.\n\n"


def test_a_schema(suite: Suite) -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    question = "Ollama is 22 years old and is busy saving the world. Respond using JSON"
    assert json.loads(run(suite, "demo", "--format", json.dumps(schema), question))["age"] == 22


def test_timings(suite: Suite) -> None:
    done = paddock("run", "demo", "--verbose", "Hello!", url=suite.url)
    names = [line.split(":")[0] for line in done.stderr.splitlines()]
    assert names[0] == "total duration"
    assert names[-3:] == ["eval count", "eval duration", "eval rate"]


def test_a_vector(stocked: Suite) -> None:
    assert len(json.loads(run(stocked, "all-minilm", "Why is the sky blue?"))) == 384
    assert len(json.loads(run(stocked, "all-minilm", "--dimensions", "64", text="sky"))) == 64


def test_a_picture(stocked: Suite, tmp_path: Path) -> None:
    (tmp_path / "red.png").write_bytes(base64.b64decode(picture("red")))
    prompt = "What is in this picture? ./red.png"
    done = paddock("run", "llava", prompt, url=stocked.url, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "Added image 'red.png'\n")


def test_a_model_that_is_nowhere(suite: Suite) -> None:
    done = paddock("run", "127.0.0.1:1/me/nope", "Hello!", url=suite.url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith("Error: ")


@pytest.fixture
def saved(suite: Suite) -> Iterator[str]:
    """The name of a model that a test makes; it is taken away."""
    yield "anna"
    suite.client.delete("anna")


@pytest.fixture
def fickle(suite: Suite) -> Iterator[str]:
    """A model that a test may delete."""
    suite.client.copy("demo", "fickle")
    yield "fickle"
    with suppress(ollama.ResponseError):
        suite.client.delete("fickle")


def test_a_session(suite: Suite, session: Talk, saved: str, tmp_path: Path) -> None:
    session.say("My name is Anna.")
    assert "Anna" in session.say("What is my name?")
    session.say("/set parameter temperature 0")
    session.say("/set system You are Mario from Super Mario Bros.")
    assert "Mario" in session.say("Who are you?")
    assert session.say(f"/save {saved}") == "Created new model 'anna'"
    session.say("/clear")
    assert "Anna" not in session.say("What is my name?")
    session.leave()
    shown = suite.client.show(saved)
    assert "temperature" in str(shown.parameters)
    with talk(suite.url, tmp_path, model=saved) as again:
        assert ">>> My name is Anna." in again.terminal.text
        assert "Anna" in again.say("What is my name?")
        assert "Mario" in again.say("/show system")
        again.say("/load demo")
        assert "Anna" not in again.say("What is my name?")
        again.leave()


def test_ctrl_c_stops_the_answer(suite: Suite, tmp_path: Path) -> None:
    words = {"type": "array", "items": {"type": "string", "minLength": 4}, "minItems": 400}
    schema = json.dumps(words)
    with talk(suite.url, tmp_path, "--format", schema, model="demo") as session:
        session.begin("Tell me a long story")
        session.terminal.wait_until(lambda: session.terminal.text.count(" ") > 60)
        assert any(suite.running()["demo:latest"].values())
        session.terminal.type(CTRL_C)
        session.wait_for_prompt()
        eventually(lambda: not any(suite.running()["demo:latest"].values()))
        session.say("/clear")
        session.say("/set noformat")
        assert SKY in session.say("Why is the sky blue?")
        session.leave()


def test_a_model_that_goes_and_comes_back(suite: Suite, fickle: str, tmp_path: Path) -> None:
    with talk(suite.url, tmp_path, model=fickle) as session:
        session.say("My name is Anna.")
        suite.client.delete(fickle)
        assert session.say("Hello!") == "Error: model 'fickle' not found"
        suite.client.copy("demo", fickle)
        assert "Anna" in session.say("What is my name?")
        session.leave()
