import json

import pytest

from common.errors import InvalidModel, InvalidName, InvalidRequest, ModelNotFound, PaddockError
from tests.services.registry.model_folders import CHAT_TEMPLATE, config, llama
from tests.services.registry.running import Registry, digest_of


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
    assert not shown.tensors
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
        "llama.rope.freq_base": 10000.0,
        "llama.vocab_size": 256,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
    }


async def test_verbose_adds_tensors_and_the_template(registry: Registry) -> None:
    await registry.create("x", llama())
    shown = await registry.show("x", verbose=True)
    assert [(tensor.name, tensor.type, list(tensor.shape)) for tensor in shown.tensors] == [
        ("model.embed_tokens.weight", "BF16", [256, 64]),
        ("lm_head.weight", "BF16", [256, 64]),
    ]
    assert json.loads(shown.model_info_json)["tokenizer.chat_template"] == CHAT_TEMPLATE


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
    await registry.show("x", verbose=True)
    await registry.resolve("x")
    assert registry.blob_service.reads == []
