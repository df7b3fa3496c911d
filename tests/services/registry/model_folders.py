"""Small Hugging Face model folders, made in memory."""

import json
from typing import Any

_SIZES = {"F32": 4, "BF16": 2, "F16": 2, "I32": 4, "U8": 1}

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}{% endfor %}"
)


def safetensors(tensors: dict[str, tuple[str, list[int]]]) -> bytes:
    """A file with tensors of zeros, given as name to type and shape."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    position = 0
    for name, (dtype, shape) in tensors.items():
        size = _SIZES[dtype]
        for length in shape:
            size *= length
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [position, position + size]}
        position += size
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(position)


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


def config(**fields: Any) -> bytes:
    return as_json(
        {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "intermediate_size": 128,
            "vocab_size": 256,
            "max_position_embeddings": 2048,
            "rms_norm_eps": 1e-5,
            "rope_theta": 10000.0,
            "bos_token_id": 1,
            "eos_token_id": [2, 3],
            **fields,
        }
    )


def tokenizer(*added: str) -> bytes:
    tokens = [{"id": number, "content": token} for number, token in enumerate(added)]
    return as_json({"version": "1.0", "added_tokens": tokens, "model": {"type": "BPE"}})


def llama(**changes: bytes | None) -> dict[str, bytes]:
    """A complete chat model; changes replace files, None takes one away.

    In the names of changes, `__` stands for the dot.
    """
    files: dict[str, bytes | None] = {
        "config.json": config(),
        "tokenizer.json": tokenizer("<s>", "</s>"),
        "tokenizer_config.json": as_json({"chat_template": CHAT_TEMPLATE}),
        "model.safetensors": safetensors(
            {
                "model.embed_tokens.weight": ("BF16", [256, 64]),
                "lm_head.weight": ("BF16", [256, 64]),
            }
        ),
    }
    files |= {name.replace("__", "."): content for name, content in changes.items()}
    return {name: content for name, content in files.items() if content is not None}


def sentence_transformer() -> dict[str, bytes]:
    """A complete embedding model with a folder of its own for pooling."""
    return {
        "config.json": config(
            architectures=["BertModel"], model_type="bert", max_position_embeddings=512
        ),
        "modules.json": as_json([{"idx": 0, "path": ""}, {"idx": 1, "path": "1_Pooling"}]),
        "1_Pooling/config.json": as_json({"word_embedding_dimension": 64}),
        "sentence_bert_config.json": as_json({"max_seq_length": 256}),
        "vocab.txt": b"[PAD]\n[UNK]\n",
        "model.safetensors": safetensors({"embeddings.weight": ("F32", [256, 64])}),
    }
