import json

import pytest

from common.errors import InvalidModel, InvalidName, InvalidRequest, ModelNotFound, PaddockError
from common.modelfile.modelfile import parse_modelfile
from protos.paddock.v1.generation_pb2 import Message
from tests.services.registry.model_folders import CHAT_TEMPLATE, as_json, config, llama
from tests.services.registry.running import Registry, digest_of

TEMPLATE = "{{ if .Tools }}{{ .Tools }}{{ end }}{{ .Prompt }}\n"


async def test_a_model_in_full(registry: Registry) -> None:
    await registry.create(
        "me/Tiny:v1", llama(), system="Be brief.", parameters_json='{"stop":["END"],"num_ctx":512}'
    )
    shown = await registry.show("ME/tiny:V1")
    assert shown.summary.name == "me/Tiny:v1"
    assert len(shown.summary.digest) == 64
    assert shown.system == "Be brief."
    assert shown.template == CHAT_TEMPLATE
    assert shown.parameters == (
        'stop                           "END"\nnum_ctx                        512'
    )
    assert shown.modelfile.endswith(
        "# FROM me/Tiny:v1\n\nFROM me/Tiny:v1\nSYSTEM Be brief.\n"
        "PARAMETER stop END\nPARAMETER num_ctx 512\n"
    )
    assert [(tensor.name, tensor.type, list(tensor.shape)) for tensor in shown.tensors] == [
        ("model.embed_tokens.weight", "BF16", [256, 64]),
        ("lm_head.weight", "BF16", [256, 64]),
    ]
    assert json.loads(shown.model_info_json) == {
        "general.architecture": "llama",
        "general.file_type": 32,
        "general.parameter_count": 32768,
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 2,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.block_count": 2,
        "llama.context_length": 2048,
        "llama.embedding_length": 64,
        "llama.feed_forward_length": 128,
        "llama.rope.dimension_count": 16,
        "llama.rope.freq_base": 10000.0,
        "llama.vocab_size": 256,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.token_type": None,
        "tokenizer.ggml.tokens": None,
    }


async def test_verbose_adds_the_template_and_the_vocabulary(registry: Registry) -> None:
    model = {"type": "BPE", "vocab": {"a": 2, "b": 3, "ab": 4}, "merges": [["a", "b"]]}
    added = [{"id": 0, "content": "<s>", "special": True}, {"id": 1, "content": "<x>"}]
    tokenizer = as_json({"added_tokens": added, "model": model})
    await registry.create("x", llama(tokenizer__json=tokenizer))
    info = json.loads((await registry.show("x", verbose=True)).model_info_json)
    assert info["tokenizer.chat_template"] == CHAT_TEMPLATE
    assert info["tokenizer.ggml.tokens"] == ["<s>", "<x>", "a", "b", "ab"]
    assert info["tokenizer.ggml.token_type"] == [3, 4, 1, 1, 1]
    assert info["tokenizer.ggml.merges"] == ["a b"]
    brief = json.loads((await registry.show("x")).model_info_json)
    assert "tokenizer.chat_template" not in brief
    assert brief["tokenizer.ggml.merges"] is None


async def test_what_a_modelfile_sets_is_shown(registry: Registry) -> None:
    await registry.create(
        "x",
        llama(),
        template=TEMPLATE,
        renderer="qwen3-coder",
        parser="qwen3-coder",
        requires="v0.14.0",
        licenses=["MIT", "Apache"],
        messages=[Message(role="user", content="Hi")],
    )
    shown = await registry.show("x")
    assert shown.template == TEMPLATE
    assert (shown.renderer, shown.parser, shown.requires) == (
        "qwen3-coder",
        "qwen3-coder",
        "0.14.0",
    )
    assert list(shown.licenses) == ["MIT", "Apache"]
    assert [(message.role, message.content) for message in shown.messages] == [("user", "Hi")]
    modelfile = parse_modelfile(shown.modelfile)
    assert modelfile.sources == ("x:latest",)
    assert modelfile.template == TEMPLATE
    assert modelfile.parser == "qwen3-coder"
    assert modelfile.licenses == ("MIT", "Apache")


async def test_a_model_made_of_its_own_modelfile_is_the_same(registry: Registry) -> None:
    await registry.create(
        "x",
        llama(),
        template=TEMPLATE,
        system='Be "brief".\n',
        parameters_json='{"stop":["<|im_end|>"," "],"temperature":0.6}',
        licenses=["MIT"],
        messages=[Message(role="user", content="Hi")],
    )
    modelfile = (await registry.show("x")).modelfile
    await registry.create("y", modelfile=modelfile)
    one, two = await registry.resolve("x"), await registry.resolve("y")
    assert two.system == one.system
    assert two.template == one.template
    assert two.parameters == one.parameters
    assert two.messages == one.messages
    assert (await registry.show("y")).modelfile == modelfile.replace("x:latest", "y:latest")


async def test_a_request_can_lay_its_own_over_the_models(registry: Registry) -> None:
    await registry.create("x", llama(), system="old", parameters_json='{"top_k":1}')
    shown = await registry.show(
        "x", system="new", parameters_json='{"top_k":2,"temperature":0.5,"odd":{"a":1}}'
    )
    assert shown.system == "new"
    assert shown.parameters == "top_k                          1"
    modelfile = parse_modelfile(shown.modelfile)
    assert modelfile.system == "new"
    assert modelfile.parameters == {"top_k": 2, "temperature": 0.5}
    assert (await registry.resolve("x")).system == "old"
    with pytest.raises(InvalidRequest, match="options must be a JSON object"):
        await registry.show("x", parameters_json="[]")


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("", InvalidRequest, "model is required"),
        (" ", InvalidRequest, "model is required"),
        ("a b", InvalidName, "invalid model name"),
        ("x", ModelNotFound, "model 'x:latest' not found"),
        ("x:local", ModelNotFound, "model 'x:latest' not found"),
        ("x:cloud", ModelNotFound, "model 'x:cloud' not found"),
    ],
)
async def test_names_that_show_nothing(
    registry: Registry, name: str, error: type[PaddockError], message: str
) -> None:
    with pytest.raises(error) as raised:
        await registry.show(name)
    assert raised.value.message == message


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("", ModelNotFound, "model '' not found"),
        ("a b", InvalidName, "invalid model name"),
        ("x", ModelNotFound, "model 'x' not found"),
        ("x:local", ModelNotFound, "model 'x:local' not found"),
        ("x:8b-cloud", ModelNotFound, "model 'x:8b-cloud' not found"),
        ("x:local:cloud", InvalidRequest, "use either :local or :cloud, not both"),
    ],
)
async def test_names_that_resolve_to_nothing(
    registry: Registry, name: str, error: type[PaddockError], message: str
) -> None:
    with pytest.raises(error) as raised:
        await registry.resolve(name)
    assert raised.value.message == message


async def test_a_model_that_lost_a_blob_is_damaged_not_absent(registry: Registry) -> None:
    files = llama(config__json=config(architectures=["LlamaForSequenceClassification"]))
    await registry.create("x", files, system="Be brief.")
    registry.lose(digest_of(b"Be brief."))
    with pytest.raises(InvalidModel, match="model 'x:latest' is damaged"):
        await registry.show("x")
    with pytest.raises(InvalidModel, match="model 'x:latest' is damaged"):
        await registry.resolve("x")


async def test_warm_answers_read_no_blob(registry: Registry) -> None:
    await registry.create("x", llama(), system="Be brief.", licenses=["MIT"])
    await registry.names()
    await registry.show("x")
    await registry.resolve("x")
    registry.blob_service.reads.clear()
    await registry.names()
    await registry.show("x")
    await registry.resolve("x")
    assert registry.blob_service.reads == []
