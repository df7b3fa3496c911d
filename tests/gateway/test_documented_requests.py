"""The bodies that Ollama's documentation shows for generate and chat, older forms included."""

from typing import Any

import pytest

from tests.gateway.conftest import World

SKY = "Why is the sky blue?"
ASK = [{"role": "user", "content": SKY}]
PICTURE = "iVBORw0KGgo="
SCHEMA = {
    "type": "object",
    "properties": {"age": {"type": "integer"}, "available": {"type": "boolean"}},
    "required": ["age", "available"],
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_current_weather",
        "description": "Get the current weather for a location",
        "parameters": {
            "type": "object",
            "properties": {
                "location": {"type": "string", "description": "The location, e.g. Rome, IT"},
                "format": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            },
            "required": ["location", "format"],
        },
    },
}
COMMON_OPTIONS = {
    "num_keep": 5,
    "seed": 42,
    "num_predict": 100,
    "top_k": 20,
    "top_p": 0.9,
    "typical_p": 0.7,
    "repeat_last_n": 33,
    "temperature": 0.8,
    "repeat_penalty": 1.2,
    "presence_penalty": 1.5,
    "frequency_penalty": 1.0,
    "penalize_newline": True,
    "stop": ["\n", "user:"],
    "numa": False,
    "num_ctx": 1024,
    "num_batch": 2,
    "num_gpu": 1,
    "main_gpu": 0,
    "use_mmap": True,
    "num_thread": 8,
}
OPTIONS = COMMON_OPTIONS | {"min_p": 0.0}
OLDER_OPTIONS = COMMON_OPTIONS | {
    "tfs_z": 0.5,
    "mirostat": 1,
    "mirostat_tau": 0.8,
    "mirostat_eta": 0.6,
    "num_gqa": 1,
    "low_vram": False,
    "f16_kv": True,
    "vocab_only": False,
    "use_mlock": False,
    "rope_frequency_base": 1.1,
    "rope_frequency_scale": 0.8,
}
HISTORY = [
    *ASK,
    {"role": "assistant", "content": "due to rayleigh scattering."},
    {"role": "user", "content": "how is that different than mie scattering?"},
]
GENERATE: list[dict[str, Any]] = [
    {"prompt": SKY},
    {
        "prompt": "def compute_gcd(a, b):",
        "suffix": "    return result",
        "options": {"temperature": 0},
    },
    {"prompt": SKY, "format": SCHEMA},
    {"prompt": SKY, "format": "json"},
    {"prompt": "What is in this picture?", "images": [PICTURE]},
    {"prompt": "[INST] why is the sky blue? [/INST]", "raw": True},
    {"prompt": SKY, "options": {"seed": 123, "temperature": 0}},
    {"prompt": SKY, "options": OPTIONS},
    {"prompt": SKY, "options": OLDER_OPTIONS},
    {"prompt": SKY, "system": "s", "template": "{{ .Prompt }}", "context": [1, 2, 3]},
    {"prompt": SKY, "think": True, "logprobs": True, "top_logprobs": 3, "keep_alive": "5m"},
]
CHAT: list[dict[str, Any]] = [
    {"messages": ASK},
    {"messages": ASK, "format": SCHEMA, "options": {"temperature": 0}},
    {"messages": HISTORY},
    {"messages": [ASK[0] | {"images": [PICTURE]}]},
    {"messages": [ASK[0] | {"images": None}]},
    {"messages": ASK, "options": {"seed": 101, "temperature": 0}},
    {"messages": ASK, "tools": [WEATHER]},
    {"messages": ASK, "template": "{{ .Prompt }}"},
    {"messages": ASK, "think": "low", "keep_alive": 300},
]
EMPTY: list[tuple[str, dict[str, Any], str]] = [
    ("/api/generate", {}, "load"),
    ("/api/generate", {"keep_alive": 0}, "unload"),
    ("/api/chat", {"messages": []}, "load"),
    ("/api/chat", {"messages": [], "keep_alive": 0}, "unload"),
]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        *(("/api/generate", body) for body in GENERATE),
        *(("/api/chat", body) for body in CHAT),
    ],
)
async def test_a_documented_request_is_answered(
    world: World, path: str, body: dict[str, Any]
) -> None:
    *pieces, last = await world.lines(path, {"model": "tiny", **body})
    assert pieces
    assert (last["done"], last["done_reason"]) == (True, "stop")
    status, whole = await world.post(path, {"model": "tiny", "stream": False, **body})
    assert status == 200
    assert ("context" in whole) == (path == "/api/generate" and "raw" not in body)


@pytest.mark.parametrize(("path", "body", "reason"), EMPTY)
async def test_a_documented_request_without_a_question(
    world: World, path: str, body: dict[str, Any], reason: str
) -> None:
    status, answer = await world.post(path, {"model": "tiny", **body})
    assert (status, answer["done_reason"]) == (200, reason)
