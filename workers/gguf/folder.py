"""The folder that vLLM loads, made from a GGUF model."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gguf import PoolingType, TokenType

from common.errors import InvalidModel
from workers.gguf.check import check_shapes
from workers.gguf.families import Family, family_of
from workers.gguf.paths import find_files
from workers.gguf.safetensors_files import write_weights
from workers.gguf.settings import refuse_unknown
from workers.gguf.source import GgufSource
from workers.gguf.tokenizer import build_tokenizer
from workers.gguf.vocabulary import Vocabulary, read_vocabulary
from workers.gguf.weights import Weight, list_weights, stored_type

_SHARD_SIZE = 2 << 30  # bytes

# As sentence-transformers names them.
_POOLINGS = {
    PoolingType.MEAN: "pooling_mode_mean_tokens",
    PoolingType.CLS: "pooling_mode_cls_token",
    PoolingType.LAST: "pooling_mode_lasttoken",
}

Progress = Callable[[int, int], None]


def convert(source: Path, target: Path, progress: Progress, *, weights: bool = True) -> None:
    """Convert the GGUF model in a folder, into another that is empty.

    Memory is bounded, whatever the model's size. Without `weights` the configuration and the
    tokenizer are made alone, for an engine that reads GGUF's weights itself.

    Args:
        source: the folder with `model.gguf`, or its shards.
        target: an empty folder.
        progress: told how many bytes of how many are written.
        weights: whether to convert them.

    Raises:
        InvalidModel: the files are damaged, or of a kind that is not supported.
        OSError: the target cannot be written.
    """
    opened = GgufSource(find_files(source))
    family = family_of(opened)
    config = family.settings(opened)
    refuse_unknown(opened.metadata)
    dtype = stored_type(opened)
    vocabulary = read_vocabulary(opened.metadata, config["vocab_size"])
    _write(target / "config.json", _common(family, dtype) | config | _token_ids(vocabulary))
    parts = list_weights(opened, family, config)
    check_shapes(target, family, {part.name: part.shape for part in parts})
    _write_tokenizer(target, opened, vocabulary, config["max_position_embeddings"])
    if family.pooling:
        _write_pooling(target, opened, config["hidden_size"])
    if weights:
        _write_weights(target, parts, dtype, progress)


def _write_weights(target: Path, parts: list[Weight], dtype: str, progress: Progress) -> None:
    total = sum(part.size(dtype) for part in parts)
    done = 0

    def advance(size: int) -> None:
        nonlocal done
        done += size
        progress(done, total)

    progress(0, total)
    write_weights(target, parts, dtype, _SHARD_SIZE, advance)


def _common(family: Family, dtype: str) -> dict[str, Any]:
    return {
        "architectures": [family.model_class],
        "model_type": family.model_type,
        "dtype": dtype,
    }


def _token_ids(vocabulary: Vocabulary) -> dict[str, Any]:
    return {
        "bos_token_id": vocabulary.special.get("bos"),
        "eos_token_id": vocabulary.special.get("eos"),
        "pad_token_id": vocabulary.special.get("pad"),
    }


def _write_tokenizer(
    target: Path, source: GgufSource, vocabulary: Vocabulary, longest: int
) -> None:
    build_tokenizer(vocabulary).save(str(target / "tokenizer.json"))
    named = {f"{name}_token": vocabulary.text(name) for name in vocabulary.special}
    others = set(vocabulary.of_kind(TokenType.CONTROL)) - set(vocabulary.special.values())
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": longest,
        "clean_up_tokenization_spaces": False,
        "additional_special_tokens": [vocabulary.tokens[number] for number in sorted(others)],
    }
    _write(target / "tokenizer_config.json", settings | named)
    generation = _token_ids(vocabulary) | {"eos_token_id": vocabulary.ends or None}
    _write(target / "generation_config.json", generation)
    template = source.metadata.find("tokenizer.chat_template")
    if isinstance(template, str):
        (target / "chat_template.jinja").write_text(template, encoding="utf-8")


def _write_pooling(target: Path, source: GgufSource, hidden: int) -> None:
    """Say how token vectors become one, in sentence-transformers' files."""
    kind = source.metadata.own("pooling_type")
    if kind not in _POOLINGS:
        raise InvalidModel(f"the GGUF file's pooling_type {kind} is not supported")
    modules = [
        ("0", "", "sentence_transformers.models.Transformer"),
        ("1", "1_Pooling", "sentence_transformers.models.Pooling"),
        ("2", "2_Normalize", "sentence_transformers.models.Normalize"),
    ]
    listed = [
        {"idx": int(name), "name": name, "path": path, "type": kind_of}
        for name, path, kind_of in modules
    ]
    _write(target / "modules.json", listed)
    (target / "1_Pooling").mkdir()
    modes = {name: mode == kind for mode, name in _POOLINGS.items()}
    _write(
        target / "1_Pooling" / "config.json",
        {"word_embedding_dimension": hidden} | modes,
    )


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
