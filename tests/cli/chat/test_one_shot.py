"""`paddock run` with one question, before a server that does what a test wants."""

import base64
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.chat.fake_ollama import Answer, FakeOllama, fake_ollama
from tests.cli.chat.test_images import PNG
from tests.cli.program import PROGRAM, environment, paddock, terminal
from tests.integration.suite import free_port

CTRL_C = "\x03"
THOUGHTS = Answer([{"thinking": "Two and "}, {"thinking": "two."}, {"content": "Four."}])


def run(fake: FakeOllama, *arguments: str, text: str = "") -> str:
    """Run a command that has to succeed; give what it printed."""
    done = paddock("run", "fake", *arguments, url=fake.url, text=text)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def asked(fake: FakeOllama) -> dict[str, Any]:
    return fake.bodies("/api/generate")[-1]


@pytest.mark.parametrize(
    ("arguments", "text", "prompt"),
    [
        (("why", "is it?"), "", "why is it?"),
        ((), "piped\n", "piped\n"),
        (("Summarize:",), "piped\n", "piped\n Summarize:"),
        (("--", "--think"), "", "--think"),
        (("gr\udcfcn",), "", "gr\ufffdn"),
    ],
)
def test_prompts(fake: FakeOllama, arguments: tuple[str, ...], text: str, prompt: str) -> None:
    assert run(fake, *arguments, text=text) == "Yes.\n\n"
    assert asked(fake)["prompt"] == prompt


def test_no_server() -> None:
    done = paddock("run", "fake", "x", url=f"http://127.0.0.1:{free_port()}")
    assert (done.returncode, done.stdout) == (1, "")
    assert "run 'paddock serve' to start it" in done.stderr


def test_no_input_at_all(fake: FakeOllama) -> None:
    command = " ".join([*PROGRAM, "run", "fake", "x", "<&-"])
    done = subprocess.run(["bash", "-c", command], env=environment(fake.url), capture_output=True)
    assert (done.returncode, done.stdout) == (0, b"Yes.\n\n")


def test_an_output_that_is_closed(fake: FakeOllama) -> None:
    for redirection, status in ((">&-", 0), ("| true; exit ${PIPESTATUS[0]}", 1)):
        command = " ".join([*PROGRAM, "run", "fake", "x", redirection])
        done = subprocess.run(
            ["bash", "-c", command], env=environment(fake.url), capture_output=True, check=False
        )
        assert (done.returncode, done.stderr) == (status, b"")


def test_nothing_to_ask_only_loads_the_model(fake: FakeOllama) -> None:
    assert run(fake) == ""
    assert "prompt" not in asked(fake) or not asked(fake)["prompt"]


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        (("--format", "json", "--think"), {"format": "json", "think": True}),
        (
            ("--format", '{"type": "object"}', "--think=false"),
            {"format": {"type": "object"}, "think": False},
        ),
        (("--think=high", "--keepalive", "5m"), {"think": "high", "keep_alive": "5m"}),
        ((), {}),
    ],
)
def test_options(fake: FakeOllama, options: tuple[str, ...], fields: dict[str, Any]) -> None:
    run(fake, *options, "high")
    names = ("format", "think", "keep_alive")
    assert {name: asked(fake)[name] for name in names if name in asked(fake)} == fields
    assert asked(fake)["prompt"] == "high"


def test_timings(fake: FakeOllama) -> None:
    done = paddock("run", "fake", "--verbose", "x", url=fake.url)
    assert done.stdout == "Yes.\n\n"
    assert done.stderr == (
        "total duration:       2s\n"
        "prompt eval count:    26 token(s)\n"
        "eval count:           10 token(s)\n"
        "eval duration:        500ms\n"
        "eval rate:            20.00 tokens/s\n"
    )


def test_thoughts_are_set_apart(fake: FakeOllama) -> None:
    fake.answers.append(THOUGHTS)
    assert run(fake, "x") == "Thinking...\nTwo and two.\n...done thinking.\n\nFour.\n\n"


def test_thoughts_are_hidden(fake: FakeOllama) -> None:
    fake.answers.append(THOUGHTS)
    assert run(fake, "--hidethinking", "x") == "Four.\n\n"


def test_thoughts_are_dimmed_on_a_terminal(fake: FakeOllama) -> None:
    fake.answers.append(THOUGHTS)
    with terminal("run", "fake", "x", url=fake.url) as running:
        assert running.wait() == 0
    assert "Thinking...\x1b[0m\r\n\x1b[2mTwo and two.\x1b[0m\r\n" in running.raw
    assert running.raw.endswith("...done thinking.\x1b[0m\r\n\r\nFour.\r\n\r\n")


@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
def test_an_answer_does_not_steer_the_terminal(fake: FakeOllama, term: str) -> None:
    fake.answers.append(Answer([{"content": "a\x1b]52;c;evil\x07b\x9bc\td\n"}]))
    with terminal("run", "fake", "x", url=fake.url, TERM=term) as running:
        assert running.wait() == 0
    assert running.raw.endswith("a]52;c;evilbc\td\r\n\r\n\r\n")


def test_pipes_get_what_the_model_says(fake: FakeOllama) -> None:
    text = "a\x1b[31mb\x07" + "word " * 100
    fake.answers.append(Answer([{"content": text}]))
    assert run(fake, "x") == text + "\n\n"


def test_an_encoding_that_lacks_a_character(fake: FakeOllama) -> None:
    fake.answers.append(Answer([{"content": "sun ☀"}]))
    done = paddock("run", "fake", "x", url=fake.url, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout) == (0, "sun ?\n\n")


def test_long_lines_are_wrapped_on_a_terminal(fake: FakeOllama) -> None:
    text = "word " * 50
    for option, lines in (("--verbose", 3), ("--nowordwrap", 1)):
        fake.answers.append(Answer([{"content": text.strip()}]))
        with terminal("run", "fake", option, "x", url=fake.url) as running:
            assert running.wait() == 0
        assert len([line for line in running.text.splitlines() if "word" in line]) == lines


def test_parts_are_printed_at_once(fake: FakeOllama) -> None:
    fake.answers.append(Answer([{"content": "Here."}], "hold"))
    command = [*PROGRAM, "run", "fake", "x"]
    with subprocess.Popen(
        command, env=environment(fake.url), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdout.read(5) == b"Here."
        process.kill()


def test_a_spinner_turns_until_something_comes(fake: FakeOllama) -> None:
    fake.answers.append(Answer([], "hold"))
    with terminal("run", "fake", "x", url=fake.url) as running:
        running.wait_for("⠙")
        running.type(CTRL_C)
        assert running.wait() == 130
    assert running.raw.rstrip().endswith("\x1b[?25h\r\x1b[1A\x1b[2K")


def test_ctrl_c_ends_the_answer_and_the_command(fake: FakeOllama) -> None:
    fake.answers.append(Answer([{"thinking": "Hm"}], "hold"))
    with terminal("run", "fake", "x", url=fake.url) as running:
        running.wait_for("Hm")
        running.type(CTRL_C)
        assert running.wait() == 130
    assert running.raw.endswith("Hm^C\x1b[0m\r\n")
    assert fake.abandoned.wait(10)


@pytest.mark.parametrize(
    ("ending", "message"),
    [
        ("error", "the worker is gone"),
        ("drop", "the connection to {url} was lost"),
        ("short", "the connection to {url} was lost: the answer ended too early"),
    ],
)
def test_an_error_in_the_middle(fake: FakeOllama, ending: str, message: str) -> None:
    fake.answers.append(Answer([{"content": "Half"}], ending))
    done = paddock("run", "fake", "x", url=fake.url)
    assert (done.returncode, done.stdout) == (1, "Half\n")
    assert done.stderr.startswith("Error: " + message.format(url=fake.url))


def test_a_refusal(fake: FakeOllama) -> None:
    fake.refusal = (400, '"fake" does not support thinking')
    done = paddock("run", "fake", "--think", "x", url=fake.url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == 'Error: "fake" does not support thinking\n'


def test_what_is_missing_is_pulled(fake: FakeOllama) -> None:
    done = paddock("run", "other", "--insecure", "x", url=fake.url)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Yes.\n\n", "working\nsuccess\n")
    assert fake.bodies("/api/pull") == [{"model": "other", "insecure": True, "stream": True}]
    assert [path for path, _ in fake.asked] == [
        "/api/show",
        "/api/pull",
        "/api/show",
        "/api/generate",
    ]


def test_images(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(PNG)
    for capability, images in (("vision", [base64.b64encode(PNG).decode()]), ("insert", None)):
        with fake_ollama(capability) as fake:
            done = paddock("run", "fake", "What is it? ./cat.png", url=fake.url, cwd=tmp_path)
            assert done.returncode == 0
            assert done.stderr == ("Added image 'cat.png'\n" if images else "")
            assert asked(fake).get("images") == images
            assert asked(fake)["prompt"] == ("What is it?" if images else "What is it? ./cat.png")


def test_a_file_that_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_text("miaow")
    with fake_ollama("vision") as fake:
        done = paddock("run", "fake", "./cat.png", url=fake.url, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: couldn't process file cat.png: it is no JPEG, PNG or WebP image\n"


def test_vectors() -> None:
    with fake_ollama("embedding") as fake:
        output = run(fake, "--truncate=false", "--dimensions", "3", "--keepalive=1m", text="text")
        assert output == "[0.5,-1e-05,0.25]\n"
        assert fake.bodies("/api/embed") == [
            {
                "model": "fake",
                "input": "text",
                "truncate": False,
                "dimensions": 3,
                "keep_alive": "1m",
            }
        ]
        done = paddock("run", "fake", "--truncate", "--verbose", "text", url=fake.url)
        assert fake.bodies("/api/embed")[-1] == {"model": "fake", "input": "text", "truncate": True}
        assert done.stderr == "total duration:       15ms\nprompt eval count:    3 token(s)\n"
        done = paddock("run", "fake", url=fake.url)
    assert done.returncode == 1
    assert 'Usage: paddock run fake "your text here"' in done.stderr


@pytest.mark.parametrize(
    ("capability", "option", "kind"),
    [("embedding", "--think", "generative"), ("insert", "--truncate=false", "embedding")],
)
def test_options_for_another_kind_of_model(capability: str, option: str, kind: str) -> None:
    with fake_ollama(capability) as fake:
        done = paddock("run", "fake", option, "x", url=fake.url)
    name = option.partition("=")[0]
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f'Error: {name} is for {kind} models, and "fake" is none\n'


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("--think=maybe",), 2, "'maybe' is not one of"),
        (("--dimensions=0",), 2, "greater than or equal to 1"),
        (("--format", "xml"), 1, "neither json nor a JSON schema"),
        (("--keepalive", "soon"), 1, 'time: invalid duration "soon"'),
    ],
)
def test_wrong_options(arguments: tuple[str, ...], status: int, message: str) -> None:
    done = paddock("run", "fake", *arguments, "x", url="http://127.0.0.1:1")
    assert (done.returncode, done.stdout) == (status, "")
    assert message in done.stderr
