from typing import Any

import pytest

from services.registry.capabilities import (
    infer_capabilities,
    infer_ollama_capabilities,
    replace_template,
    sees_images,
)
from services.registry.chat_template import parse_chat_template

LLAMA = ["LlamaForCausalLM"]


@pytest.mark.parametrize(
    ("architectures", "facts", "expected"),
    [
        (LLAMA, {}, ("completion",)),
        (["GPT2LMHeadModel"], {}, ("completion",)),
        (["LlavaForConditionalGeneration"], {"sees_images": True}, ("completion", "vision")),
        (LLAMA, {"chat_templates": ["{% if tools %}x{% endif %}"]}, ("completion", "tools")),
        (LLAMA, {"chat_templates": ["{{ messages }}<think>"]}, ("completion", "thinking")),
        (LLAMA, {"chat_templates": ["{{ enable_thinking }}"]}, ("completion", "thinking")),
        (LLAMA, {"chat_templates": ["a", "{{ tools }}"]}, ("completion", "tools")),
        (LLAMA, {"tokens": {"<|fim_prefix|>", "x"}}, ("completion", "insert")),
        (LLAMA, {"tokens": {"▁<PRE>"}}, ("completion", "insert")),
        (["BertModel"], {}, ("embedding",)),
        (["XLMRobertaForMaskedLM"], {}, ()),
        (["BertForMaskedLM"], {"is_sentence_transformer": True}, ("embedding",)),
        (["MistralModel"], {"chat_templates": ["{{ tools }}"]}, ("embedding",)),
        (["Qwen3ForCausalLM"], {"is_sentence_transformer": True}, ("embedding",)),
        (["BertForSequenceClassification"], {}, ()),
    ],
)
def test_capabilities_of_hugging_face_models(
    architectures: list[str], facts: dict[str, Any], expected: tuple[str, ...]
) -> None:
    templates = [parse_chat_template(text) for text in facts.get("chat_templates", ())]
    assert infer_capabilities(architectures, **{**facts, "chat_templates": templates}) == expected


@pytest.mark.parametrize(
    ("of_template", "families", "pools", "expected"),
    [
        ((), ["llama"], False, ("completion",)),
        (("tools",), ["llama"], False, ("completion", "tools")),
        (("thinking", "insert"), ["qwen2"], False, ("completion", "insert", "thinking")),
        ((), ["llama", "clip"], False, ("completion",)),
        (("tools",), ["qwen3"], True, ("embedding",)),
        (("tools",), ["nomic-bert"], False, ("embedding",)),
    ],
)
def test_capabilities_of_ollama_models(
    of_template: tuple[str, ...],
    families: list[str],
    pools: bool,
    expected: tuple[str, ...],
) -> None:
    assert infer_ollama_capabilities(of_template, families, pools=pools) == expected


@pytest.mark.parametrize(
    ("capabilities", "of_template", "expected"),
    [
        (("completion", "vision", "tools"), (), ("completion", "vision")),
        (("completion",), ("thinking", "tools"), ("completion", "tools", "thinking")),
        (("completion", "audio"), ("insert",), ("completion", "insert", "audio")),
        (("embedding",), ("tools",), ("embedding",)),
        ((), ("tools",), ()),
    ],
)
def test_a_go_template_decides_what_depends_on_templates(
    capabilities: tuple[str, ...], of_template: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert replace_template(capabilities, of_template) == expected


@pytest.mark.parametrize(
    ("config", "processors", "sees"),
    [
        ({}, [], False),
        ({"vision_config": {}}, [], True),
        ({}, [{"image_processor_type": "CLIPImageProcessor"}], True),
        ({}, [{"image_processor": {}}], True),
        ({}, [{"feature_extractor_type": "WhisperFeatureExtractor"}], False),
    ],
)
def test_models_with_eyes(
    config: dict[str, Any], processors: list[dict[str, Any]], sees: bool
) -> None:
    assert sees_images(config, processors) is sees
