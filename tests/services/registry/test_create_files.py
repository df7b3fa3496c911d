"""Uploaded files: which of them make a model."""

import pytest

from common.errors import (
    InvalidModel,
)
from tests.services.registry.model_folders import (
    as_json,
    config,
    llama,
    safetensors,
)
from tests.services.registry.running import Registry, digest_of


def header_of(shape: list[int]) -> bytes:
    text = as_json({"a": {"dtype": "U8", "shape": shape, "data_offsets": [0, 1]}})
    return len(text).to_bytes(8, "little") + text + b"x"


async def test_one_blob_under_many_names_is_read_once(registry: Registry) -> None:
    document = as_json(["x"])
    await registry.create("x", {**llama(), **{f"{n}.json": document for n in range(50)}})
    assert registry.blob_service.reads.count(digest_of(document)) == 1


async def test_a_vocabulary_may_be_large(registry: Registry) -> None:
    vocabulary = b"{}" + b" " * (16 * 1024 * 1024)
    files = llama(vocab__json=vocabulary)
    assert (await registry.create("x", files))[-1] == "success"
    with pytest.raises(InvalidModel, match=r"other\.json: larger than 16777216 bytes"):
        await registry.create("y", {**files, "other.json": vocabulary})


async def test_shards_with_an_index(registry: Registry) -> None:
    shards = {
        "model-00001-of-00002.safetensors": safetensors({"wte": ("F16", [1000])}),
        "model-00002-of-00002.safetensors": safetensors({"b": ("F16", [1_000_000])}),
    }
    index = as_json({"weight_map": dict(zip(("wte", "b"), shards, strict=True))})
    files = {**llama(model__safetensors=None), **shards, "model.safetensors.index.json": index}
    await registry.create("sharded", files)
    details = (await registry.resolve("sharded")).spec.details
    assert (details.parameter_size, details.quantization_level) == ("1.00M", "F16")


async def test_a_header_longer_than_one_read(registry: Registry) -> None:
    many = safetensors({f"emb.{number}.weight": ("U8", [1]) for number in range(4000)})
    assert int.from_bytes(many[:8], "little") > 128 * 1024
    await registry.create("deep", llama(model__safetensors=many))
    assert len((await registry.show("deep", verbose=True)).tensors) == 4000


async def test_a_folder_that_all_files_share_is_dropped(registry: Registry) -> None:
    await registry.create("x", {f"snapshots/1/{path}": data for path, data in llama().items()})
    assert "config.json" in {file.path for file in (await registry.resolve("x")).spec.files}


async def test_documents_and_code_are_kept_and_not_served(registry: Registry) -> None:
    extra = {"README.md": b"# Tiny", "modeling_tiny.py": b"import os"}
    lines = await registry.create("x", {**llama(), **extra})
    assert "keeping README.md, which is not used to serve the model" in lines
    assert "keeping modeling_tiny.py, which is not used to serve the model" in lines
    served = {file.path for file in (await registry.resolve("x")).spec.files}
    assert not served & extra.keys()
    assert {digest_of(content) for content in extra.values()} <= registry.stored_blobs()


async def test_what_is_not_used_is_left_out(registry: Registry) -> None:
    extra = {
        "pytorch_model.bin": b"pickle",
        "onnx/model.onnx": b"onnx",
        ".cache/huggingface/download/config.json.metadata": b"etag",
        ".gitattributes": b"*.safetensors filter=lfs",
        "model-Q8_0.gguf": b"GGUF",
    }
    lines = await registry.create("x", {**llama(), **extra})
    assert {f"leaving out {path}, which is not used to serve the model" for path in extra} < set(
        lines
    )
    await registry.create("y", llama())
    one, two = await registry.resolve("x"), await registry.resolve("y")
    assert one.spec.digest == two.spec.digest


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config__json": None}, "config.json is missing"),
        ({"config__json": b"{"}, "config.json: not valid JSON"),
        ({"config__json": b"[]"}, "config.json: not a JSON object"),
        ({"config__json": b"{}"}, 'config.json: "model_type" is missing'),
        ({"config__json": config(hidden_size=1e300)}, "config.json: hidden_size is too large"),
        ({"config__json": config(num_hidden_layers=2**63)}, "config.json: num_hidden_layers is"),
        (
            {"tokenizer__json": as_json({"added_tokens": 5, "model": {}})},
            'tokenizer.json: "added_tokens" is not a list',
        ),
        ({"other__json": b" " * (16 * 1024 * 1024 + 1)}, "other.json: larger than 16777216 bytes"),
        ({"model__safetensors": None}, "unknown type: no .safetensors or GGUF file was given"),
        (
            {"model__safetensors": safetensors({})},
            "the safetensors files hold no tensors",
        ),
        (
            {"model__safetensors": safetensors({"lm_head.weight": ("BF16", [256, 64])})},
            "the safetensors files do not hold a llama: none of their tensors makes vectors",
        ),
        (
            {"config__json": config(vocab_size=300)},
            "model.embed_tokens.weight is 256x64 where config.json says 300x64",
        ),
        ({"model__safetensors": b"short"}, "model.safetensors: not a safetensors file"),
        (
            {"model__safetensors": safetensors({"a": ("F32", [4])})[:-1]},
            "model.safetensors: truncated: 16 bytes of tensors expected, 15 found",
        ),
        (
            {"model__safetensors": safetensors({"a": ("F32", [4])})[:20]},
            "model.safetensors: truncated: the file ends within its header",
        ),
        (
            {"model__safetensors__index__json": as_json({"weight_map": {"x": "no.safetensors"}})},
            "model.safetensors.index.json: it names no.safetensors, which is missing",
        ),
        ({"tokenizer__json": None}, "no tokenizer was given"),
        ({"tokenizer__json": b"{}"}, 'tokenizer.json: "model" is missing'),
        ({"tokenizer__json": b"{"}, "tokenizer.json: not valid JSON"),
        ({"tokenizer_config__json": b"nope"}, "tokenizer_config.json: not valid JSON"),
        ({"generation_config__json": b"nope"}, "generation_config.json: not valid JSON"),
        (
            {"chat_template__jinja": b"{% if x %}\n\n{{ y"},
            "line 3 of the chat template: unexpected end of template",
        ),
        (
            {"chat_template__jinja": b" " * (256 * 1024 + 1)},
            "the chat template is longer than 262144 characters",
        ),
        (
            {"chat_template__jinja": b"{{" * 25_000},
            "the chat template is nested too deeply",
        ),
        (
            {"chat_template__jinja": b"{{ (" + b"(" * 5000},
            "the chat template is nested too deeply",
        ),
        (
            {"tokenizer_config__json": as_json({"chat_template": "{% for %}"})},
            "line 1 of the chat template: Expected an expression",
        ),
        ({"chat_template__jinja": b"\xff"}, "chat_template.jinja: not UTF-8 text"),
        (
            {"model__safetensors": None, "pytorch_model__bin": b"\x80"},
            "unknown type: only safetensors and GGUF weights are read; found pytorch_model.bin",
        ),
        (
            {"model__safetensors": header_of(shape=[1] * 17)},
            "model.safetensors: damaged safetensors header: tensor a: shape has more than 16 items",
        ),
    ],
)
async def test_files_that_make_no_model(
    registry: Registry, changes: dict[str, bytes | None], message: str
) -> None:
    with pytest.raises(InvalidModel) as error:
        await registry.create("broken", llama(**changes))
    assert error.value.message.startswith(message)
    assert await registry.names() == []


async def test_a_file_that_was_never_uploaded(registry: Registry) -> None:
    files = await registry.upload(llama())
    files["extra.json"] = f"sha256:{'0' * 64}"
    with pytest.raises(InvalidModel, match=f'file "extra.json": blob sha256:{"0" * 64}'):
        await registry.create_of("x", files)
    assert await registry.names() == []


async def test_weights_that_are_neither(registry: Registry) -> None:
    with pytest.raises(InvalidModel, match=r"unknown type: no \.safetensors or GGUF file"):
        await registry.create("x", {"model": b"something else", "config.json": b"{}"})
    with pytest.raises(InvalidModel, match=r'file "model": blob sha256:0+ is not stored'):
        await registry.create_of("x", {"model": f"sha256:{'0' * 64}"})
