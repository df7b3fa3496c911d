"""Trains the byte-level BPE tokenizer and writes the files that `AutoTokenizer` loads."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from examples.demo_model.prompts import TEMPLATE

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
)
TAGS = (
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
)
# Words with their leading space or sign, single digits, runs of signs, line breaks, spaces.
PATTERN = (
    r"'(?:s|t|re|ve|m|ll|d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)


def train(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """Return a tokenizer whose merges come from the texts and that knows every byte."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(SPECIAL) - len(TAGS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    tokenizer.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in TAGS])
    return tokenizer


def token_ids(tokenizer: Tokenizer, *tokens: str) -> list[int]:
    """Return the numbers of tokens that the tokenizer is known to have."""
    vocabulary = tokenizer.get_vocab()
    return [vocabulary[token] for token in tokens]


def save(tokenizer: Tokenizer, folder: Path, length: int) -> None:
    """Write the tokenizer, its configuration and the chat template."""
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "additional_special_tokens": [*SPECIAL[1:2], *SPECIAL[3:]],
    }
    config = special | {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": length,
        "clean_up_tokenization_spaces": False,
        "added_tokens_decoder": {
            str(tokenizer.token_to_id(token)): _added_token(token) for token in SPECIAL + TAGS
        },
    }
    write_json(folder / "tokenizer_config.json", config)
    write_json(folder / "special_tokens_map.json", special)
    (folder / "chat_template.jinja").write_text(TEMPLATE.read_text("utf-8"), encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write the value as indented JSON."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _added_token(token: str) -> dict[str, Any]:
    flags = {"lstrip": False, "rstrip": False, "single_word": False, "normalized": False}
    return {"content": token, "special": token in SPECIAL} | flags
