"""The first things a user does, with the official client and the demo model."""

import concurrent.futures
import json
import urllib.request
from typing import Any

import ollama
import pytest

from tests.integration.suite import Suite, eventually

SKY = [{"role": "user", "content": "Why is the sky blue?"}]
GREEDY = {"temperature": 0}


def test_the_demo_model_is_there_at_once(client: ollama.Client) -> None:
    [model] = [model for model in client.list().models if model.model == "demo:latest"]
    assert model.details
    assert model.details.format == "safetensors"
    assert model.details.family == "llama"
    shown = client.show("demo")
    assert "completion" in (shown.capabilities or [])
    assert shown.modelinfo
    assert shown.modelinfo["general.architecture"] == "llama"


def test_a_chat_streams_the_answer_piece_by_piece(client: ollama.Client) -> None:
    parts = list(client.chat("demo", SKY, stream=True, options=GREEDY))
    text = "".join(part.message.content or "" for part in parts)
    assert "scatter" in text
    assert len(parts) > 5
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    last = parts[-1]
    assert last.done_reason == "stop"
    assert last.model == "demo"
    assert last.eval_count
    assert last.prompt_eval_count
    assert last.total_duration
    assert last.eval_duration
    whole = client.chat("demo", SKY, options=GREEDY)
    assert whole.message.content == text
    assert whole.eval_count == last.eval_count


def test_generate_gives_what_chat_gives_and_a_context(client: ollama.Client) -> None:
    chat = client.chat("demo", SKY, options=GREEDY)
    generated = client.generate("demo", SKY[0]["content"], options=GREEDY)
    assert generated.response == chat.message.content
    assert generated.context


def test_the_system_prompt_is_obeyed(client: ollama.Client) -> None:
    mario = {"role": "system", "content": "You are Mario from Super Mario Bros."}
    who = {"role": "user", "content": "Who are you?"}
    plain = client.chat("demo", [who], options=GREEDY).message.content or ""
    answer = client.chat("demo", [mario, who], options=GREEDY).message.content or ""
    assert "Mario" in answer
    assert "Mario" not in plain


def test_stop_and_num_predict_end_the_answer(client: ollama.Client) -> None:
    whole = client.generate("demo", SKY[0]["content"], options=GREEDY).response or ""
    cut = client.generate("demo", SKY[0]["content"], options={**GREEDY, "num_predict": 5})
    assert cut.done_reason == "length"
    assert cut.eval_count == 5
    assert whole.startswith(cut.response or "nothing")
    stopped = client.generate("demo", SKY[0]["content"], options={**GREEDY, "stop": ["scatter"]})
    assert stopped.done_reason == "stop"
    assert stopped.response == whole.split("scatter")[0]


def test_format_constrains_the_answer(client: ollama.Client) -> None:
    schema = {
        "type": "object",
        "properties": {"age": {"type": "integer"}, "available": {"type": "boolean"}},
        "required": ["age", "available"],
    }
    prompt = "Ollama is 22 years old and is busy saving the world. Respond using JSON"
    generated = client.generate("demo", prompt, format=schema, options=GREEDY)
    answer = json.loads(generated.response or "")
    assert set(answer) == {"age", "available"}
    assert isinstance(answer["age"], int)


def test_load_ps_and_unload(suite: Suite, client: ollama.Client) -> None:
    assert client.generate("demo").done_reason == "load"
    [running] = [model for model in client.ps().models if model.model == "demo:latest"]
    assert running.size
    assert running.expires_at
    assert running.context_length
    assert client.generate("demo", keep_alive=0).done_reason == "unload"
    eventually(lambda: "demo:latest" not in suite.running())
    assert client.chat("demo", SKY, options=GREEDY).message.content


def test_a_short_keep_alive_expires(suite: Suite, client: ollama.Client) -> None:
    client.generate("demo", "Hello!", keep_alive="1s")
    assert "demo:latest" in suite.running()
    eventually(lambda: "demo:latest" not in suite.running())
    client.generate("demo", "Hello!", keep_alive="5m")


def test_64_concurrent_chats_all_come_back_right(client: ollama.Client) -> None:
    questions = [
        "Why is the sky blue?",
        "Hello!",
        "What is Paddock?",
        "How do rainbows form?",
    ]
    expected = {text: ask(client, text) for text in questions}
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        asked = [questions[number % len(questions)] for number in range(64)]
        answers = list(pool.map(lambda text: ask(client, text), asked))
    assert answers == [expected[text] for text in asked]


def ask(client: ollama.Client, text: str) -> str:
    parts = client.chat("demo", [{"role": "user", "content": text}], stream=True, options=GREEDY)
    return "".join(part.message.content or "" for part in parts)


def test_a_client_that_goes_away_frees_the_engine(suite: Suite, client: ollama.Client) -> None:
    client.generate("demo")
    body = json.dumps({"model": "demo", "prompt": "Tell me a long story"}).encode()
    request = urllib.request.Request(suite.url + "/api/generate", body)
    streams = [urllib.request.urlopen(request) for _ in range(20)]
    for stream in streams:
        assert stream.readline()
    assert suite.running()["demo:latest"]["running"] > 0
    for stream in streams:
        stream.close()
    eventually(lambda: suite.running()["demo:latest"] == {"running": 0, "waiting": 0}, timeout=2)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("POST", "/api/chat", {"model": "none", "messages": SKY}, 404, "model 'none' not found"),
        ("POST", "/api/chat", {"messages": SKY}, 400, "model is required"),
        ("POST", "/api/chat", b"", 400, "missing request body"),
        ("POST", "/api/chat", b"{nonsense", 400, None),
        ("POST", "/api/generate", {"model": "demo", "prompt": 1}, 400, None),
        ("POST", "/api/generate", {"model": "demo", "options": {"top_k": "x"}}, 400, None),
        ("POST", "/api/show", {"model": "none"}, 404, "model 'none:latest' not found"),
        ("DELETE", "/api/delete", {"model": "none"}, 404, "model 'none' not found"),
        ("POST", "/api/pull", {"model": "de mo"}, 400, "invalid model name"),
        ("GET", "/api/blobs/nonsense", None, 405, None),
    ],
)
def test_bad_requests_get_a_clear_error(
    suite: Suite, method: str, path: str, body: Any, status: int, text: str | None
) -> None:
    got, answer = suite.request(method, path, body)
    assert got == status
    if text:
        assert answer == {"error": text}
    elif status != 405:
        assert answer["error"]
