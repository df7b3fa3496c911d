"""`paddock` in a terminal: bars, and Ctrl-C."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import ollama
import pytest

from tests.cli.program import PROGRAM, environment, paddock, terminal
from tests.integration.suite import Suite
from tests.servers.faulty_proxy import FaultyProxy, running_proxy

CTRL_C = "\x03"
DEMO = Path(__file__).parents[2] / "examples" / "demo_model" / "model"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a model, one of whose files is large and new to the server."""
    shutil.copytree(DEMO, tmp_path, dirs_exist_ok=True)
    with (tmp_path / "extra.txt").open("wb") as file:
        for _ in range(40):
            file.write(os.urandom(2**20))
    return tmp_path


@pytest.fixture
def made(suite: Suite) -> Iterator[str]:
    """The name of a model that a test makes, or does not."""
    yield "made"
    with suppress(ollama.ResponseError):
        suite.client.delete("made")


def test_bars(suite: Suite, made: str, folder: Path) -> None:
    with terminal("create", made, url=suite.url, cwd=folder) as running:
        assert running.wait() == 0
    final = running.text.splitlines()[-30:]
    assert any("copying extra.txt 100% ━" in line and "41 MB" in line for line in final)
    assert [line.strip() for line in final if line.strip()][-1] == "success"
    assert running.raw.rstrip().endswith("\x1b[?25h"), "the cursor is hidden"


def test_quiet_in_a_terminal(suite: Suite, made: str, folder: Path) -> None:
    with terminal("create", made, "--quiet", url=suite.url, cwd=folder) as running:
        assert running.wait() == 0
    assert running.raw == ""


def test_a_terminal_that_cannot_draw(suite: Suite, made: str) -> None:
    with terminal("create", made, "-f-", url=suite.url, TERM="dumb") as running:
        running.type("FROM demo\n\x04")
        assert running.wait() == 0
    assert "\x1b" not in running.raw
    assert running.text.splitlines()[-1] == "success"


async def test_ctrl_c_ends_an_upload(suite: Suite, folder: Path) -> None:
    async with running_proxy(suite.url.removeprefix("http://")) as proxy:
        proxy.hold_after(10 * 2**20)
        await asyncio.to_thread(interrupt_upload, proxy, folder)
    assert "made" not in paddock("list", url=suite.url).stdout


def interrupt_upload(proxy: FaultyProxy, folder: Path) -> None:
    with terminal("create", "made", url=f"http://{proxy.host}", cwd=folder) as running:
        running.wait_until(proxy.held.is_set)
        running.wait_for("copying extra.txt")
        running.type(CTRL_C)
        assert running.wait() == 130
    assert "Traceback" not in running.text
    assert running.raw.rstrip().endswith("\x1b[?25h")


def test_ctrl_c_ends_hashing(suite: Suite, tmp_path: Path) -> None:
    with (tmp_path / "model.gguf").open("wb") as file:
        file.truncate(20 * 2**30)
    (tmp_path / "Modelfile").write_text("FROM ./model.gguf")
    with terminal("create", "made", url=suite.url, cwd=tmp_path) as running:
        running.wait_for("gathering model components")
        running.type(CTRL_C)
        assert running.wait() == 130
    assert "Traceback" not in running.text


def test_output_that_nobody_reads(suite: Suite) -> None:
    command = " ".join([*PROGRAM, "list", "|", "true; echo ${PIPESTATUS[0]}"])
    done = subprocess.run(
        ["bash", "-c", command],
        env=environment(suite.url),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Traceback" not in done.stderr
