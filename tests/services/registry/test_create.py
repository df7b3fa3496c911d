"""Models made from uploaded files: what they are then."""

import json

from protos.paddock.v1.generation_pb2 import Message
from tests.services.registry.model_folders import (
    CHAT_TEMPLATE,
    as_json,
    config,
    llama,
    sentence_transformer,
    tokenizer,
)
from tests.services.registry.running import Registry, digest_of


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
