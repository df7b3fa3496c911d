"""Models made from uploaded files."""

import gc
import json
import sys
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from common.errors import (
    InvalidDigest,
    InvalidModel,
    InvalidName,
    InvalidRequest,
    PaddockError,
    Unsupported,
)
from protos.paddock.v1.generation_pb2 import Message
from protos.paddock.v1.registry_pb2 import CreateRequest
from services.registry.servicer import RegistryServicer
from tests.services.registry.model_folders import (
    CHAT_TEMPLATE,
    as_json,
    config,
    llama,
    safetensors,
    sentence_transformer,
    tokenizer,
)
from tests.services.registry.running import Registry, digest_of


def header_of(shape: list[int]) -> bytes:
    text = as_json({"a": {"dtype": "U8", "shape": shape, "data_offsets": [0, 1]}})
    return len(text).to_bytes(8, "little") + text + b"x"


async def test_a_chat_model(registry: Registry) -> None:
    files = llama()
    lines = await registry.create("Tiny", files)
    assert lines[0] == "reading model metadata"
    assert lines[-2:] == ["writing manifest", "success"]
    assert {f"using existing layer {digest_of(content)}" for content in files.values()} < set(lines)
    assert sum(line.startswith("creating new layer sha256:") for line in lines) == 1
    resolved = await registry.resolve("tiny")
    assert resolved.spec.name == "Tiny:latest"
    assert {file.path: (file.digest, file.size) for file in resolved.spec.files} == {
        path: (digest_of(content), len(content)) for path, content in files.items()
    }
    assert list(resolved.spec.capabilities) == ["completion"]
    assert resolved.template == ""
    details = resolved.spec.details
    assert details.format == "safetensors"
    assert (details.family, list(details.families)) == ("llama", ["llama"])
    assert (details.parameter_size, details.quantization_level) == ("33K", "BF16")
    assert (details.context_length, details.embedding_length) == (2048, 64)


async def test_an_embedding_model_with_a_folder_for_pooling(registry: Registry) -> None:
    await registry.create("minilm", sentence_transformer())
    spec = (await registry.resolve("minilm")).spec
    assert list(spec.capabilities) == ["embedding"]
    assert "1_Pooling/config.json" in {file.path for file in spec.files}
    assert spec.details.context_length == 256
    assert spec.details.quantization_level == "F32"


async def test_capabilities_come_from_the_files(registry: Registry) -> None:
    files = llama(
        config__json=config(
            architectures=["QwenVLForConditionalGeneration"],
            vision_config={"depth": 1},
            text_config={"hidden_size": 32},
        ),
        chat_template__jinja=b"{% if tools %}<tools>{% endif %}<think>",
        tokenizer__json=tokenizer("<|fim_prefix|>"),
        preprocessor_config__json=as_json({"image_processor_type": "X"}),
    )
    await registry.create("all", files)
    spec = (await registry.resolve("all")).spec
    assert set(spec.capabilities) == {"completion", "vision", "tools", "insert", "thinking"}
    assert spec.details.embedding_length == 32


async def test_a_vision_model_as_processors_leave_it(registry: Registry) -> None:
    files = llama(
        config__json=config(
            architectures=["Idefics3ForConditionalGeneration"],
            model_type="idefics3",
            vision_config={"model_type": "idefics3_vision", "image_size": 32},
            text_config={"model_type": "llama", "hidden_size": 32, "num_hidden_layers": 1},
        ),
        processor_config__json=as_json({"processor_class": "Idefics3Processor"}),
        preprocessor_config__json=as_json({"image_processor_type": "Idefics3ImageProcessor"}),
        chat_template__json=as_json({"chat_template": "{{ messages }}<image>"}),
        tokenizer_config__json=as_json({}),
    )
    await registry.create("eyes", files)
    model = await registry.resolve("eyes")
    assert list(model.spec.capabilities) == ["completion", "vision"]
    assert {file.path for file in model.spec.files} == files.keys()
    assert "<image>" in (await registry.show("eyes")).template


async def test_a_model_for_another_task(registry: Registry) -> None:
    files = llama(config__json=config(architectures=["BertForMaskedLM"], model_type="bert"))
    lines = await registry.create("masked", files)
    assert "this model's architecture is for neither text generation nor embeddings" in lines
    assert not (await registry.resolve("masked")).spec.capabilities


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


async def test_a_go_template_decides_about_tools_insertion_and_thinking(
    registry: Registry,
) -> None:
    files = llama(
        chat_template__jinja=b"{% if tools %}<tools>{% endif %}<think>",
        tokenizer__json=tokenizer("<|fim_prefix|>"),
    )
    await registry.create("plain", files)
    assert set((await registry.resolve("plain")).spec.capabilities) == {
        "completion",
        "tools",
        "insert",
        "thinking",
    }
    await registry.create("go", files, template="{{ .Tools }}{{ .Prompt }}")
    model = await registry.resolve("go")
    assert list(model.spec.capabilities) == ["completion", "tools"]
    assert model.template == "{{ .Tools }}{{ .Prompt }}"


async def test_what_the_config_blob_says_beyond_the_files(registry: Registry) -> None:
    await registry.create(
        "x",
        llama(),
        renderer="qwen3-coder",
        parser="qwen3-coder",
        requires="v0.14.0",
        info_json='{"parameter_size":"8B","context_length":4096,"capabilities":["tools"]}',
    )
    manifest = json.loads(
        (registry.folder / "manifests/registry.ollama.ai/library/x/latest").read_bytes()
    )
    stored = json.loads(await registry.blobs.read(manifest["config"]["digest"]))
    assert stored["renderer"] == stored["parser"] == "qwen3-coder"
    assert stored["requires"] == "0.14.0"
    spec = (await registry.resolve("x")).spec
    assert spec.parser == "qwen3-coder"
    assert (spec.details.parameter_size, spec.details.context_length) == ("8B", 4096)
    assert list(spec.capabilities) == ["completion", "tools"]


async def test_a_chat_template_with_everything_that_transformers_reads(registry: Registry) -> None:
    template = (
        b"{%- for m in messages -%}{% if loop.index > 9 %}{% break %}{% endif %}"
        b"{% generation %}{{ m.content | tojson | strftime_now }}{% endgeneration %}{% endfor %}"
    )
    await registry.create("x", llama(chat_template__jinja=template))
    assert (await registry.show("x")).template == template.decode()


async def test_shards_with_an_index(registry: Registry) -> None:
    shards = {
        "model-00001-of-00002.safetensors": safetensors({"a": ("F16", [1000])}),
        "model-00002-of-00002.safetensors": safetensors({"b": ("F16", [1_000_000])}),
    }
    index = as_json({"weight_map": dict(zip("ab", shards, strict=True))})
    files = {**llama(model__safetensors=None), **shards, "model.safetensors.index.json": index}
    await registry.create("sharded", files)
    details = (await registry.resolve("sharded")).spec.details
    assert (details.parameter_size, details.quantization_level) == ("1.00M", "F16")


async def test_a_header_longer_than_one_read(registry: Registry) -> None:
    many = safetensors({f"layer.{number}.weight": ("U8", [1]) for number in range(3000)})
    assert int.from_bytes(many[:8], "little") > 128 * 1024
    await registry.create("deep", llama(model__safetensors=many))
    assert len((await registry.show("deep", verbose=True)).tensors) == 3000


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


async def test_a_client_that_leaves_abandons_no_generator(registry: Registry) -> None:
    files = await registry.upload(llama())
    abandoned: list[object] = []
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(finalizer=abandoned.append)
    try:
        request = CreateRequest(model="x", files=files)
        progress = aiter(RegistryServicer(registry.blobs).Create(request, None))
        await anext(progress)
        assert isinstance(progress, AsyncGenerator)
        await progress.aclose()
        del progress
        gc.collect()
    finally:
        sys.set_asyncgen_hooks(*hooks)
    assert abandoned == []


async def test_what_a_modelfile_adds(registry: Registry) -> None:
    await registry.create(
        "x",
        llama(),
        system="Be brief.",
        parameters_json='{"temperature":0.5,"stop":"END"}',
        messages=[Message(role="user", content="Hi")],
        licenses=["MIT", "Apache"],
    )
    resolved = await registry.resolve("x")
    assert resolved.system == "Be brief."
    assert resolved.parameters.temperature == 0.5
    assert list(resolved.parameters.stop) == ["END"]
    assert [message.content for message in resolved.messages] == ["Hi"]
    assert list((await registry.show("x")).licenses) == ["MIT", "Apache"]


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
        ({"model__safetensors": None}, "unknown type: no .safetensors file was given"),
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
            "unknown type: only safetensors weights are read; found pytorch_model.bin",
        ),
        (
            {"model__safetensors": header_of(shape=[1] * 17)},
            "model.safetensors: damaged safetensors header: tensor a: shape: Tuple should have",
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


async def test_gguf_is_for_later(registry: Registry) -> None:
    with pytest.raises(Unsupported, match="creating from GGUF files is not supported yet"):
        await registry.create("x", {"model.gguf": b"GGUF"})


async def test_gguf_is_noticed_under_any_name(registry: Registry) -> None:
    with pytest.raises(Unsupported, match="creating from GGUF files is not supported yet"):
        await registry.create("x", {"model": b"GGUF...", "config.json": b"{}"})
    with pytest.raises(InvalidModel, match=r"unknown type: no \.safetensors file was given"):
        await registry.create("x", {"model": b"something else", "config.json": b"{}"})
    with pytest.raises(InvalidModel, match=r'file "model": blob sha256:0+ is not stored'):
        await registry.create_of("x", {"model": f"sha256:{'0' * 64}"})


async def test_a_file_that_was_never_uploaded(registry: Registry) -> None:
    files = await registry.upload(llama())
    files["extra.json"] = f"sha256:{'0' * 64}"
    with pytest.raises(InvalidModel, match=f'file "extra.json": blob sha256:{"0" * 64}'):
        await registry.create_of("x", files)
    assert await registry.names() == []


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"model": ""}, InvalidName, "invalid model name"),
        ({"model": "a b"}, InvalidName, "invalid model name"),
        ({"model": "x:cloud"}, InvalidName, "invalid model name"),
        ({"model": "x:local:cloud"}, InvalidRequest, "use either :local or :cloud, not both"),
        ({}, InvalidRequest, "neither 'from' or 'files' was specified"),
        ({"from": "y", "files": {"a": "b"}}, InvalidRequest, "either 'from' or 'files', not both"),
        ({"files": {"/etc/passwd": "b"}}, InvalidRequest, "file path must be relative"),
        ({"files": {"../x": "b"}}, InvalidRequest, "file path must be relative"),
        ({"files": {"x.json": "b"}}, InvalidDigest, 'file "x.json": invalid digest format'),
        ({"from": "y", "parameters_json": '{"top_k":"x"}'}, InvalidRequest, 'option "top_k" must'),
        ({"from": "y", "parameters_json": '{"colour":1}'}, InvalidRequest, "unknown parameter"),
        ({"from": "y", "template": "{{ if"}, InvalidRequest, "^template error: "),
        ({"from": "y", "requires": "new"}, InvalidRequest, "requires must be a valid semver"),
        ({"from": "y", "info_json": '{"base_name":1}'}, InvalidRequest, 'info field "base_name"'),
        ({"from": "y", "messages": [Message(role="x")]}, InvalidRequest, "message role must be"),
    ],
)
async def test_requests_that_are_wrong(
    registry: Registry, fields: dict[str, Any], error: type[PaddockError], message: str
) -> None:
    with pytest.raises(error, match=message):
        await registry.create_of(**{"model": "x", "files": {}, **fields})
    assert await registry.names() == []
    assert registry.stored_blobs() == set()


async def test_an_existing_spelling_wins_and_its_old_blobs_go(registry: Registry) -> None:
    old, new = llama(), llama(config__json=config(vocab_size=300))
    await registry.create("Tiny", old, system="old")
    await registry.create("tiny", new)
    assert await registry.names() == ["Tiny:latest"]
    stored = registry.stored_blobs()
    assert digest_of(old["config.json"]) not in stored
    assert digest_of(b"old") not in stored
    assert {digest_of(content) for content in new.values()} < stored
    assert len(stored) == len(new) + 1


async def test_making_it_again_changes_nothing(registry: Registry) -> None:
    await registry.create("x", llama())
    before = (await registry.resolve("x")).spec.digest
    lines = await registry.create("x", llama())
    assert not [line for line in lines if line.startswith("creating")]
    assert (await registry.resolve("x")).spec.digest == before


async def test_a_blob_that_goes_during_the_write_undoes_it(registry: Registry) -> None:
    await registry.create("x", llama(), system="first")
    before = await registry.resolve("x")
    changed = llama(config__json=config(vocab_size=300))
    registry.blob_service.lose_after_write = digest_of(changed["config.json"])
    with pytest.raises(InvalidModel, match="is not stored"):
        await registry.create("x", changed)
    assert await registry.resolve("x") == before
    registry.blob_service.lose_after_write = digest_of(changed["config.json"])
    with pytest.raises(InvalidModel, match="is not stored"):
        await registry.create("y", changed)
    assert await registry.names() == ["x:latest"]


async def test_the_config_blob_is_one_that_ollama_reads(registry: Registry) -> None:
    await registry.create("x", llama())
    manifest = json.loads(
        (registry.folder / "manifests/registry.ollama.ai/library/x/latest").read_bytes()
    )
    assert manifest["schemaVersion"] == 2
    assert manifest["config"]["mediaType"] == "application/vnd.docker.container.image.v1+json"
    assert json.loads(await registry.blobs.read(manifest["config"]["digest"])) == {
        "model_format": "safetensors",
        "model_family": "llama",
        "model_families": ["llama"],
        "model_type": "33K",
        "file_type": "BF16",
        "capabilities": ["completion"],
        "context_length": 2048,
        "embedding_length": 64,
        "architecture": "amd64",
        "os": "linux",
    }
    kinds = {layer["name"]: layer["mediaType"] for layer in manifest["layers"]}
    assert kinds == {
        "config.json": "application/vnd.ollama.image.json",
        "tokenizer.json": "application/vnd.ollama.image.json",
        "tokenizer_config.json": "application/vnd.ollama.image.json",
        "model.safetensors": "application/vnd.cncf.model.weight.v1.raw",
    }
    assert (await registry.show("x")).template == CHAT_TEMPLATE
