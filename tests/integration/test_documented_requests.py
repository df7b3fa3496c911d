"""Every example request of Ollama's API documentation, and the shape of what answers it.

The older forms of the documentation are here as well. Models have other names here than there,
and pictures are real.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.integration.models import picture
from tests.integration.suite import Suite

Shape = Mapping[str, Any]

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
HEX = re.compile(r"[0-9a-f]{64}")

STATED = {"model": str, "created_at": TIME}
METRICS = {
    "total_duration": int,
    "load_duration": int,
    "prompt_eval_count": int,
    "prompt_eval_duration": int,
    "eval_count": int,
    "eval_duration": int,
}
RESPONSE = {**STATED, "response": str, "done": False}
GENERATED = {
    **STATED,
    "response": str,
    "done": True,
    "done_reason": str,
    "context": [int],
    **METRICS,
}
UNTEMPLATED = {key: kind for key, kind in GENERATED.items() if key != "context"}
ANSWER = {"role": "assistant", "content": str}
MESSAGE = {**STATED, "message": ANSWER, "done": False}
CHATTED = {**STATED, "message": ANSWER, "done": True, "done_reason": str, **METRICS}
CALL = {"id": str, "function": {"index": int, "name": str, "arguments": dict}}
CALLED = CHATTED | {"message": {**ANSWER, "content": "", "tool_calls": [CALL]}}
DETAILS = {
    "parent_model": str,
    "format": str,
    "family": str,
    "families": [str],
    "parameter_size": str,
    "quantization_level": str,
}
LISTED = {
    "name": str,
    "model": str,
    "modified_at": TIME,
    "size": int,
    "digest": HEX,
    "details": {**DETAILS, "context_length": int, "embedding_length": int},
    "capabilities": [str],
}
RUNNING = {
    "name": str,
    "model": str,
    "size": int,
    "digest": HEX,
    "details": DETAILS,
    "expires_at": TIME,
    "size_vram": int,
    "context_length": int,
}
EMBEDDED = {"model": str, "embeddings": [[float]], "total_duration": int, "prompt_eval_count": int}

PICTURE = picture("orange")
DIGEST = f"sha256:{'0' * 64}"
SKY = "Why is the sky blue?"
LLAMA = "Ollama is 22 years old and is busy saving the world."
AGE = {
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
ALL_OPTIONS = {
    "num_keep": 5,
    "seed": 42,
    "num_predict": 100,
    "top_k": 20,
    "top_p": 0.9,
    "min_p": 0.0,
    "tfs_z": 0.5,
    "typical_p": 0.7,
    "repeat_last_n": 33,
    "temperature": 0.8,
    "repeat_penalty": 1.2,
    "presence_penalty": 1.5,
    "frequency_penalty": 1.0,
    "mirostat": 1,
    "mirostat_tau": 0.8,
    "mirostat_eta": 0.6,
    "penalize_newline": True,
    "stop": ["\n", "user:"],
    "numa": False,
    "num_ctx": 1024,
    "num_batch": 2,
    "num_gqa": 1,
    "num_gpu": 1,
    "main_gpu": 0,
    "low_vram": False,
    "f16_kv": True,
    "vocab_only": False,
    "use_mmap": True,
    "use_mlock": False,
    "rope_frequency_base": 1.1,
    "rope_frequency_scale": 0.8,
    "num_thread": 8,
}
HISTORY = [
    {"role": "user", "content": SKY},
    {"role": "assistant", "content": "due to rayleigh scattering."},
    {"role": "user", "content": "how is that different than mie scattering?"},
]


@dataclass(frozen=True)
class Example:
    """A request, and the shape of its reply: the last object, and those before it."""

    path: str
    body: Any
    last: Shape | None
    """None: the body is empty."""
    before: Shape | None = None
    """None: there is one object alone."""
    method: str = "POST"
    status: int = field(default=200)


def generate(last: Shape = GENERATED, before: Shape | None = None, **body: Any) -> Example:
    whole = {} if before or last.keys() < GENERATED.keys() else {"stream": False}
    return Example("/api/generate", {"model": "demo", **whole, **body}, last, before)


def chat(
    text: str = SKY, last: Shape = CHATTED, before: Shape | None = None, **more: Any
) -> Example:
    messages = more.pop("messages", [{"role": "user", "content": text}])
    whole = {} if before else {"stream": False}
    return Example(
        "/api/chat", {"model": "demo", "messages": messages, **whole, **more}, last, before
    )


def create(**body: Any) -> Example:
    return Example("/api/create", body, {"status": "success"}, {"status": str})


LOADED = {**STATED, "response": "", "done": True, "done_reason": "load"}
NOTHING = {"role": "assistant", "content": ""}
EMPTY_CHAT = {**STATED, "message": NOTHING, "done": True, "done_reason": "load"}

EXAMPLES = {
    "generate": generate(prompt=SKY, before=RESPONSE),
    "generate, whole": generate(prompt=SKY),
    "generate between": generate(
        prompt="def compute_gcd(a, b):", suffix="    return result", options={"temperature": 0}
    ),
    "generate with a schema": generate(prompt=f"{LLAMA} Respond using JSON", format=AGE),
    "generate JSON": generate(
        prompt="What color is the sky at different times of the day? Respond using JSON",
        format="json",
    ),
    "generate with a picture": generate(
        model="llava", prompt="What is in this picture?", images=[PICTURE]
    ),
    "generate raw": generate(
        UNTEMPLATED, prompt="[INST] why is the sky blue? [/INST]", raw=True, stream=False
    ),
    "generate with a seed": generate(prompt=SKY, options={"seed": 123}, before=RESPONSE),
    "generate with all options": generate(prompt=SKY, options=ALL_OPTIONS),
    "load": generate(LOADED),
    "unload": generate(LOADED | {"done_reason": "unload"}, keep_alive=0),
    "chat": chat(before=MESSAGE),
    "chat, whole": chat(),
    "chat with a schema": chat(
        f"{LLAMA} Return a JSON object with the age and availability.",
        format=AGE,
        options={"temperature": 0},
    ),
    "chat with history": chat(messages=HISTORY, before=MESSAGE),
    "chat with a picture": chat(
        model="llava",
        messages=[{"role": "user", "content": "what is in this image?", "images": [PICTURE]}],
        before=MESSAGE,
    ),
    "chat with a seed": chat("Hello!", options={"seed": 101, "temperature": 0}, before=MESSAGE),
    "chat with tools": chat(
        "What is the weather today in Paris?", CALLED, tools=[WEATHER], options={"temperature": 0}
    ),
    "chat, load": chat(messages=[], last=EMPTY_CHAT),
    "chat, unload": chat(messages=[], keep_alive=0, last=EMPTY_CHAT | {"done_reason": "unload"}),
    "create": create(
        model="mario", **{"from": "demo"}, system="You are Mario from Super Mario Bros."
    ),
    "create from a Modelfile": create(
        name="mario", modelfile="FROM demo\nSYSTEM You are mario from Super Mario Bros."
    ),
    "tags": Example("/api/tags", None, {"models": [LISTED]}, method="GET"),
    "show": Example(
        "/api/show",
        {"model": "llava"},
        {
            "modelfile": str,
            "template": str,
            "details": DETAILS,
            "model_info": dict,
            "capabilities": [str],
            "modified_at": TIME,
        },
    ),
    "show, older": Example("/api/show", {"name": "demo"}, {"modelfile": str, "details": DETAILS}),
    "copy": Example("/api/copy", {"source": "demo", "destination": "backup"}, None),
    "delete": Example("/api/delete", {"model": "doomed"}, None, method="DELETE"),
    "delete, older": Example("/api/delete", {"name": "doomed-too"}, None, method="DELETE"),
    "is there": Example(f"/api/blobs/{DIGEST}", None, None, method="HEAD", status=404),
    "embed": Example("/api/embed", {"model": "all-minilm", "input": SKY}, EMBEDDED),
    "embed several": Example(
        "/api/embed",
        {"model": "all-minilm", "input": [SKY, "Why is the grass green?"]},
        EMBEDDED,
    ),
    "embeddings": Example(
        "/api/embeddings",
        {"model": "all-minilm", "prompt": "Here is an article about llamas..."},
        {"embedding": [float]},
    ),
    "ps": Example("/api/ps", None, {"models": [RUNNING]}, method="GET"),
    "version": Example("/api/version", None, {"version": str}, method="GET"),
}


@pytest.fixture(scope="module")
def documented(stocked: Suite) -> Iterator[Suite]:
    """A suite with the models that the examples name, one of them running."""
    for name in ("doomed", "doomed-too"):
        stocked.client.copy("demo", name)
    stocked.client.embed("all-minilm", SKY)
    yield stocked
    for name in ("mario", "backup", "doomed", "doomed-too"):
        stocked.request("DELETE", "/api/delete", {"model": name})


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_answered_in_its_shape(documented: Suite, name: str) -> None:
    example = EXAMPLES[name]
    body = None if example.body is None else json.dumps(example.body).encode()
    status, text = documented.text(example.method, example.path, body)
    assert status == example.status, text
    if example.last is None:
        assert text == ""
        return
    *before, last = [json.loads(line) for line in text.splitlines()]
    check(last, example.last)
    assert bool(before) == bool(example.before)
    for item in before:
        check(item, example.before)


def check(value: Any, shape: Any, where: str = "") -> None:
    """Hold a value to a shape: a type, a pattern, a constant, a list, or keys with shapes."""
    match shape:
        case type():
            assert isinstance(value, shape), where
        case re.Pattern():
            assert shape.fullmatch(value), where
        case [each]:
            assert value, where
            for number, item in enumerate(value):
                check(item, each, f"{where}[{number}]")
        case Mapping():
            assert shape.keys() <= value.keys(), f"{where}: {shape.keys() - value.keys()} missing"
            for key, each in shape.items():
                check(value[key], each, f"{where}.{key}")
        case _:
            assert value == shape, where
