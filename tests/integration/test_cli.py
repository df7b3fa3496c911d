"""The commands of `paddock` that look at models and manage them, before a real suite."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.cli.program import paddock
from tests.integration.suite import Suite, eventually

AGO = r"(Less than a second|1 second|\d+ seconds|About a minute|\d+ minutes) ago"


def run(suite: Suite, *arguments: str, text: str = "") -> str:
    """Run a command that has to succeed; give what it printed."""
    done = paddock(*arguments, url=suite.url, text=text)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture
def mario(suite: Suite) -> Iterator[str]:
    """A model with every section that `show` has for a text model."""
    suite.client.create(
        "mario",
        from_="demo",
        system="You are Mario.\nBe brief.\nBe kind.",
        parameters={"temperature": 0.5, "stop": ["a b", "c"]},
        license=["MIT", "Apache"],
        template="{{ .System }} {{ .Prompt }}",
    )
    yield "mario"
    suite.client.delete("mario")


def test_list(suite: Suite, mario: str) -> None:
    header, *rows = run(suite, "list").splitlines()
    assert header.split() == ["NAME", "ID", "SIZE", "MODIFIED"]
    assert any(row.startswith("demo:latest ") for row in rows)
    assert re.fullmatch(rf"mario:latest {{4,}}[0-9a-f]{{12}} {{4}}[0-9.]+ MB {{4,}}{AGO}", rows[0])
    assert header.index("SIZE") == rows[0].index(" MB") - len(rows[0].split()[2])


def test_list_by_prefix(suite: Suite, mario: str) -> None:
    assert len(run(suite, "ls", "MARIO:").splitlines()) == 2
    assert run(suite, "list", "nothing") == "NAME    ID    SIZE    MODIFIED\n"


def test_list_as_json(suite: Suite, mario: str) -> None:
    models = json.loads(run(suite, "list", "mario:", "--json"))["models"]
    assert models == suite.request("GET", "/api/tags")[1]["models"][:1]


def test_show(suite: Suite, mario: str) -> None:
    sections = {
        heading.strip(): [line.strip() for line in lines]
        for heading, *lines in map(str.splitlines, run(suite, "show", mario).split("\n\n")[:-1])
    }
    assert list(sections) == ["Model", "Capabilities", "Parameters", "System", "License"]
    assert "architecture        llama" in sections["Model"]
    assert "context length      2048" in sections["Model"]
    assert sections["Capabilities"] == ["completion"]
    assert 'stop           "a b"' in sections["Parameters"]
    assert sections["System"] == ["You are Mario.", "Be brief.", "..."]
    assert sections["License"] == ["MIT", "Apache"]


def test_show_of_one_part(suite: Suite, mario: str) -> None:
    shown = suite.request("POST", "/api/show", {"model": mario})[1]
    for part in ("license", "modelfile", "parameters"):
        assert run(suite, "show", mario, f"--{part}") == shown[part] + "\n"
    for part in ("system", "template"):
        assert run(suite, "show", mario, f"--{part}") == shown[part]
    assert json.loads(run(suite, "show", mario, "--json")) == shown
    assert json.loads(run(suite, "show", mario, "--json", "--system")) == {
        "system": shown["system"]
    }
    done = paddock("show", mario, "--system", "--template", url=suite.url)
    assert done.returncode == 1
    assert "only one of '--license'" in done.stderr


def test_show_verbosely(suite: Suite) -> None:
    lines = run(suite, "show", "demo", "-v").splitlines()
    assert re.search(r"^    llama\.block_count +4$", "\n".join(lines), re.MULTILINE)
    tensors = lines[lines.index("  Tensors") :]
    assert any(re.fullmatch(r"    model\.norm\.weight +BF16 +\[256\]", line) for line in tensors)


def test_show_of_a_model_that_sees(stocked: Suite) -> None:
    assert "    vision\n" in run(stocked, "show", "llava")


def test_the_shown_modelfile_makes_the_model_again(suite: Suite, mario: str) -> None:
    modelfile = run(suite, "show", mario, "--modelfile")
    done = paddock("create", "luigi", "-f", "-", url=suite.url, text=modelfile)
    assert done.returncode == 0
    again = run(suite, "show", "luigi", "--modelfile")
    assert again.replace("luigi", mario) == modelfile
    run(suite, "rm", "luigi")


def test_a_model_is_copied_and_removed(suite: Suite) -> None:
    assert run(suite, "cp", "demo", "me/copy:1") == "copied 'demo' to 'me/copy:1'\n"
    run(suite, "cp", "demo", "other")
    assert run(suite, "rm", "me/copy:1", "other") == "deleted 'me/copy:1'\ndeleted 'other'\n"
    done = paddock("rm", "other", "demo", url=suite.url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: model 'other' not found\n"
    assert "other" not in run(suite, "list")
    assert run(suite, "list", "demo:latest").count("\n") == 2


def test_a_running_model_is_seen_and_stopped(suite: Suite) -> None:
    suite.client.generate("demo", keep_alive=-1)
    header, row = run(suite, "ps", "demo:latest").splitlines()
    assert header.split() == ["NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL"]
    assert re.fullmatch(r"demo:latest +[0-9a-f]{12} +\d+ MB +100% CPU +\d+ +Forever", row)
    assert json.loads(run(suite, "ps", "--json", "demo:latest"))["models"][0]["worker"]
    assert run(suite, "stop", "demo") == ""
    eventually(lambda: "demo:latest" not in run(suite, "ps"))
    assert run(suite, "stop", "demo") == ""


def test_a_running_model_is_stopped_before_it_is_removed(suite: Suite) -> None:
    suite.client.copy("demo", "short")
    suite.client.create("short", from_="demo", system="short-lived")
    suite.client.generate("short", keep_alive=-1)
    assert run(suite, "rm", "short") == "deleted 'short'\n"
    eventually(lambda: "short:latest" not in run(suite, "ps"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "nope"), "model 'nope:latest' not found"),
        (("cp", "nope", "x"), "nope"),
        (("rm", "nope"), "model 'nope' not found"),
        (("stop", "nope"), 'couldn\'t find model "nope" to stop'),
        (("push", "nope"), "nope"),
        (("pull", "127.0.0.1:1/me/nope"), "127.0.0.1:1"),
    ],
)
def test_models_that_are_not_there(suite: Suite, arguments: tuple[str, ...], message: str) -> None:
    done = paddock(*arguments, url=suite.url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith("Error: ")
    assert message in done.stderr


def test_the_version(suite: Suite) -> None:
    assert re.fullmatch(r"paddock version is \d+\.\d+\.\d+\n", run(suite, "--version"))


def test_names_are_completed(suite: Suite, mario: str) -> None:
    assert complete(suite.url, "paddock show mari") == ["mario:latest"]
    assert "demo:latest" in complete(suite.url, "paddock rm ")
    assert complete("http://127.0.0.1:1", "paddock show ma") == []


def complete(url: str, words: str) -> list[str]:
    """Press Tab at the end of a line of bash."""
    done = paddock(url=url, _PADDOCK_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD="2")
    assert done.stderr == ""
    return done.stdout.split()
