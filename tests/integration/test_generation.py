"""What `/api/generate` and its options do, with the official Python client and the demo model."""

import concurrent.futures
import json
from collections.abc import Sequence
from typing import Any

import ollama
import pytest

from tests.integration.suite import Suite

SKY = "Why is the sky blue?"
GREEDY = {"temperature": 0}
CHATML = (
    "{{ if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n{{ end }}"
    "{{ if .Prompt }}<|im_start|>user\n{{ .Prompt }}<|im_end|>\n{{ end }}"
    "<|im_start|>assistant\n{{ .Response }}<|im_end|>\n"
)


def text(generated: ollama.GenerateResponse) -> str:
    return generated.response or ""


def test_the_middle_is_filled_in(client: ollama.Client) -> None:
    generated = client.generate(
        "demo", "def compute_gcd(a, b):", suffix="    return result", options=GREEDY
    )
    assert "while b:" in text(generated)
    assert "return result" not in text(generated)
    assert generated.done_reason == "stop"


def test_a_raw_prompt_goes_as_it_is(client: ollama.Client) -> None:
    prompt = f"<|im_start|>user\n{SKY}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    raw = client.generate("demo", prompt, raw=True, options=GREEDY)
    assert "scatter" in text(raw)
    assert raw.context is None


def test_a_template_of_the_request(suite: Suite, client: ollama.Client) -> None:
    body = {
        "model": "demo",
        "prompt": SKY,
        "system": "Be brief.",
        "template": "[{{ .System }}] {{ .Prompt }} >",
        "_debug_render_only": True,
    }
    status, answer = suite.request("POST", "/api/generate", body)
    assert status == 200
    assert answer["_debug_info"]["rendered_template"] == f"[Be brief.] {SKY} >"
    generated = client.generate("demo", SKY, template=CHATML, think=False, options=GREEDY)
    assert "scatter" in text(generated)


def test_a_template_of_a_model(suite: Suite, client: ollama.Client) -> None:
    client.create("templated", from_="demo", template=CHATML, system="You are Mario.")
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    body = {"model": "templated", "messages": messages * 2, "_debug_render_only": True}
    status, answer = suite.request("POST", "/api/chat", body)
    assert status == 200
    turn = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello<|im_end|>\n"
    rendered = answer["_debug_info"]["rendered_template"]
    assert rendered.startswith(f"<|im_start|>system\nYou are Mario.<|im_end|>\n{turn}")
    assert client.show("templated").template == CHATML
    client.delete("templated")


def test_the_context_goes_on(client: ollama.Client) -> None:
    first = client.generate("demo", "My name is Anna.", options=GREEDY, think=False)
    again = client.generate(
        "demo", "What is my name?", context=first.context, options=GREEDY, think=False
    )
    assert "Anna" in text(again)
    without = client.generate("demo", "What is my name?", options=GREEDY)
    assert "Anna" not in text(without)


def test_logprobs_of_every_token(client: ollama.Client) -> None:
    options = {**GREEDY, "num_predict": 5}
    arguments: dict[str, Any] = {"think": False, "logprobs": True, "top_logprobs": 3}
    whole = client.generate("demo", SKY, options=options, **arguments)
    assert whole.logprobs
    assert len(whole.logprobs) == whole.eval_count == 5
    for each in whole.logprobs:
        assert each.top_logprobs
        values = [top.logprob for top in each.top_logprobs]
        assert len(values) == 3
        assert values == sorted(values, reverse=True)
        assert (each.token, each.logprob) == (
            each.top_logprobs[0].token,
            each.top_logprobs[0].logprob,
        )
    parts = client.generate("demo", SKY, options=options, stream=True, **arguments)
    streamed = [each for part in parts for each in part.logprobs or ()]
    assert [each.token for each in streamed] == [each.token for each in whole.logprobs]


def test_a_seed_gives_the_same_text_alone_and_in_a_crowd(client: ollama.Client) -> None:
    def answer(seed: int) -> str:
        options = {"seed": seed, "temperature": 1.5, "top_k": 0, "top_p": 1.0, "num_predict": 60}
        return text(client.generate("demo", "Tell me a long story", options=options))

    seeds = list(range(32))
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        crowd = list(pool.map(answer, seeds))
    assert len(set(crowd)) > 5
    assert [answer(seed) for seed in seeds[:6]] == crowd[:6]


@pytest.mark.parametrize(
    "options",
    [
        {"typical_p": 0.3},
        {"mirostat": 1, "mirostat_tau": 3.0},
        {"mirostat": 2, "mirostat_eta": 0.2},
        {"temperature": 5.0, "top_k": 5},
        {"repeat_penalty": 1.5, "repeat_last_n": 8},
        {"repeat_last_n": -1, "frequency_penalty": 3.0, "presence_penalty": -3.0},
        {"top_p": 0.0},
        {"min_p": 0.5, "top_k": -1},
        {"num_keep": 8, "num_ctx": 256, "num_thread": 4, "num_gpu": 0, "unknown": 1},
    ],
    ids=str,
)
def test_every_option_is_taken_and_a_seed_holds(
    client: ollama.Client, options: dict[str, Any]
) -> None:
    options = {"seed": 7, "num_predict": 24, **options}
    first = client.generate("demo", SKY, options=options, think=False)
    again = client.generate("demo", SKY, options=options, think=False)
    assert text(first)
    assert text(first) == text(again)


def test_a_penalty_keeps_an_answer_from_repeating_itself(client: ollama.Client) -> None:
    def words(**options: Any) -> Sequence[str]:
        options = {**GREEDY, "num_predict": 40, **options}
        generated = client.generate("demo", "la la la la la la la", raw=True, options=options)
        return text(generated).split()

    plain, penalised = words(), words(repeat_penalty=2.0, repeat_last_n=-1)
    assert plain != penalised


def test_a_prompt_beyond_the_window(suite: Suite, client: ollama.Client) -> None:
    long = "Why is the sky blue? " * 400
    options = {**GREEDY, "num_ctx": 256, "num_predict": 5}
    generated = client.generate("demo", long, options=options)
    assert generated.prompt_eval_count
    assert generated.prompt_eval_count < 256
    body = {"model": "demo", "prompt": long, "options": options, "truncate": False}
    status, answer = suite.request("POST", "/api/generate", body)
    assert status == 400
    assert answer["error"].startswith("the prompt is longer than the context length")


def test_a_conversation_beyond_the_window_keeps_its_system_prompt_and_its_end(
    suite: Suite,
) -> None:
    turns = [
        {"role": role, "content": f"{role} says {number}"}
        for number in range(100)
        for role in ("user", "assistant")
    ]
    messages = [{"role": "system", "content": "Be kind."}, *turns, {"role": "user", "content": SKY}]
    body = {"model": "demo", "messages": messages, "options": {"num_ctx": 256}}
    status, answer = suite.request("POST", "/api/chat", {**body, "_debug_render_only": True})
    assert status == 200
    rendered = answer["_debug_info"]["rendered_template"]
    assert "Be kind." in rendered
    assert SKY in rendered
    assert "user says 0" not in rendered
    assert "assistant says 99" in rendered


def test_an_answer_that_outgrows_the_window(client: ollama.Client) -> None:
    options = {**GREEDY, "num_ctx": 64, "num_predict": 150}
    arguments: dict[str, Any] = {"prompt": "Tell me a long story", "think": False}
    whole = client.generate("demo", **arguments, options=options)
    assert (whole.eval_count or 0) > 64
    kept = client.generate("demo", **arguments, options={**options, "num_predict": -2})
    assert kept.done_reason == "length"
    assert (kept.prompt_eval_count or 0) + (kept.eval_count or 0) == 64
    assert text(whole).startswith(text(kept))


def test_forms_of_keep_alive(suite: Suite) -> None:
    for keep_alive in (300, 300.5, "5m", "1h30m", -1, "-1m", None):
        body = {"model": "demo", "keep_alive": keep_alive}
        assert suite.request("POST", "/api/generate", body)[0] == 200, keep_alive
    status, answer = suite.request("POST", "/api/generate", {"model": "demo", "keep_alive": "5"})
    assert (status, answer) == (400, {"error": 'time: missing unit in duration "5"'})
    suite.request("POST", "/api/generate", {"model": "demo", "keep_alive": "5m"})


def test_images_on_a_text_model(suite: Suite) -> None:
    body = {"model": "demo", "prompt": "What is this?", "images": ["aGVsbG8="]}
    status, answer = suite.request("POST", "/api/generate", body)
    assert status == 400
    assert "image" in answer["error"]


def test_json_keeps_to_json(client: ollama.Client) -> None:
    prompt = "What color is the sky at different times of the day? Respond using JSON"
    generated = client.generate("demo", prompt, format="json", options=GREEDY)
    assert isinstance(json.loads(text(generated)), dict)
