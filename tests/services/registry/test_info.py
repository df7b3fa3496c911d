import pytest

from common.errors import InvalidRequest
from services.registry.info import apply_info, parse_info
from services.registry.model_config import ModelConfig


def test_it_lies_over_the_config_blob() -> None:
    info = parse_info(
        '{"model_family":"qwen3","base_name":"q","quantization_level":"FP8",'
        '"parameter_size":"8B","context_length":4096.0,"embedding_length":64,'
        '"capabilities":["tools","audio"],"colour":"red","x":null}'
    )
    config = apply_info(ModelConfig(capabilities=("completion", "thinking")), info)
    assert config.model_family == "qwen3"
    assert config.model_families == ("qwen3",)
    assert config.base_name == "q"
    assert (config.file_type, config.model_type) == ("FP8", "8B")
    assert (config.context_length, config.embedding_length) == (4096, 64)
    assert config.capabilities == ("completion", "tools", "thinking", "audio")


def test_nothing_said_changes_nothing() -> None:
    config = ModelConfig(model_family="llama", model_families=("llama",))
    assert apply_info(config, parse_info("")) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "info must be a JSON object"),
        ('{"model_family":1}', 'info field "model_family" must be a string'),
        ('{"context_length":"x"}', 'info field "context_length" must be a number'),
        ('{"context_length":true}', 'info field "context_length" must be a number'),
        ('{"context_length":-1}', 'info field "context_length" must be a non-negative integer'),
        ('{"embedding_length":1.5}', 'info field "embedding_length" must be a non-negative'),
        ('{"capabilities":"tools"}', 'info field "capabilities" must be a list of strings'),
    ],
)
def test_wrong_fields(text: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        parse_info(text)
