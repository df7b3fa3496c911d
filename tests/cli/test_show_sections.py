"""The sections of `paddock show`."""

from typing import Any

from cli.commands.show_sections import show_lines

SHOWN: dict[str, Any] = {
    "details": {"parameter_size": "4.3B", "quantization_level": "Q4_K_M", "family": "gemma3"},
    "model_info": {
        "general.architecture": "gemma3",
        "gemma3.context_length": 131072,
        "gemma3.embedding_length": 2560,
        "gemma3.rope.freq_base": 1e-06,
        "tokenizer.ggml.tokens": ["<pad>", "<eos>", "<bos>"],
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.chat_template": "{% if x %}\n  y\n{% endif %}",
    },
    "capabilities": ["completion", "vision"],
    "projector_info": {
        "general.architecture": "clip",
        "general.parameter_count": 420_000_000,
        "clip.vision.embedding_length": 1152,
        "clip.vision.projection_dim": 2560,
    },
    "parameters": 'stop    "<end of turn>"\ntemperature 1',
    "system": "\nBe brief.\n\nBe kind.\nBe quick.\n",
    "license": "Gemma terms",
    "tensors": [{"name": "a.weight", "type": "F16", "shape": [2, 3]}],
}

EXPECTED = """\
  Model
    architecture        gemma3
    parameters          4.3B
    context length      131072
    embedding length    2560
    quantization        Q4_K_M

  Capabilities
    completion
    vision

  Projector
    architecture        clip
    parameters          420M
    embedding length    1152
    dimensions          2560

  Parameters
    stop           "<end of turn>"
    temperature    1

  System
    Be brief.
    Be kind.
    ...

  License
    Gemma terms
"""


def test_sections() -> None:
    assert "\n".join(show_lines(SHOWN)) == EXPECTED


def test_verbose_sections() -> None:
    lines = list(show_lines(SHOWN, verbose=True))
    text = "\n".join(lines)
    assert "    gemma3.context_length           131072\n" in text
    assert "    gemma3.rope.freq_base           1e-06\n" in text
    assert "    tokenizer.ggml.tokens           [<pad> ...+2 more]\n" in text
    assert "    tokenizer.ggml.add_bos_token    true\n" in text
    assert "    tokenizer.chat_template         {% if x %} y {% endif %}\n" in text
    assert "  Tensors\n    a.weight    F16    [2 3]\n" in text


def test_a_model_of_which_little_is_known() -> None:
    shown = {"details": {"family": "bert", "quantization_level": "F32"}, "model_info": None}
    assert list(show_lines(shown)) == [
        "  Model",
        "    architecture    bert",
        "    quantization    F32",
        "",
    ]


def test_long_licences_are_wrapped_and_cut() -> None:
    lines = list(show_lines({"license": "word " * 50 + "\nsecond\nthird"}))
    text = lines[lines.index("  License") + 1 : -1]
    assert [len(line) <= 104 for line in text] == [True] * 5
    assert text[-2:] == ["    second", "    ..."]
