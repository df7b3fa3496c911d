"""What the files of a Hugging Face model say about it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.errors import InvalidModel
from services.registry.capabilities import infer_capabilities, sees_images
from services.registry.chat_template import DEFAULT
from services.registry.chat_template_files import read_chat_templates
from services.registry.contents import Contents
from services.registry.errors import in_file
from services.registry.huggingface import HuggingFaceConfig, parse_config
from services.registry.model_config import ModelConfig
from services.registry.parameter_size import format_parameter_size
from services.registry.safetensors import Tensor
from services.registry.weights import (
    Files,
    count_parameters,
    name_file_type,
    read_tensors,
    served_tensors,
)

# Numbers of `general.file_type` in GGUF files.
_FILE_TYPES = {"F32": 0, "F16": 1, "BF16": 32}

_TOKENIZERS = ("tokenizer.json", "vocab.txt", "tekken.json")
_TOKENIZER_SUFFIXES = (".model", ".tiktoken")

_LARGE_DOCUMENTS = ("vocab.json", "tekken.json", "index.json")
_MAX_LENGTH = 2**63


@dataclass(frozen=True)
class Metadata:
    """Everything about a model that its files tell."""

    config: HuggingFaceConfig
    context_length: int
    tensors: tuple[Tensor, ...]
    parameter_count: int
    file_type: str
    capabilities: tuple[str, ...]
    chat_template: str

    def summary(self) -> ModelConfig:
        """Give the config blob of the model's manifest."""
        return ModelConfig(
            model_format="safetensors",
            model_family=self.config.family,
            model_families=(self.config.family,),
            model_type=format_parameter_size(self.parameter_count),
            file_type=self.file_type,
            capabilities=self.capabilities,
            context_length=self.context_length,
            embedding_length=self.config.embedding_length,
        )

    def model_info(self) -> dict[str, Any]:
        """Give the `model_info` of Ollama's API, without the vocabulary."""
        info = {
            "general.architecture": self.config.family,
            "general.parameter_count": self.parameter_count,
            **self.config.model_info(),
        }
        if self.context_length:
            info[f"{self.config.family}.context_length"] = self.context_length
        if self.file_type in _FILE_TYPES:
            info["general.file_type"] = _FILE_TYPES[self.file_type]
        return info


async def read_model_info(
    contents: Contents, files: Files, metadata: Metadata, *, verbose: bool
) -> dict[str, Any]:
    """Give the `model_info` of Ollama's API; what is long is null unless verbose."""
    info = metadata.model_info()
    if verbose and metadata.chat_template:
        info["tokenizer.chat_template"] = metadata.chat_template
    if "tokenizer.json" in files:
        with in_file("tokenizer.json"):
            tokenizer = await contents.tokenizer(files["tokenizer.json"])
            lists: dict[str, Any] = dict.fromkeys(tokenizer.lists)
            if verbose:
                lists = dict(await contents.vocabulary(files["tokenizer.json"]))
        if tokenizer.kind:
            lists["model"] = tokenizer.kind
        info |= {f"tokenizer.ggml.{name}": value for name, value in lists.items()}
    return dict(sorted(info.items()))


async def read_metadata(contents: Contents, files: Files) -> Metadata:
    """Read the metadata of a model's files, given as path to digest.

    Raises:
        InvalidModel: the files do not make a model; the message names the culprit.
    """
    if "config.json" not in files:
        raise InvalidModel("config.json is missing")
    with in_file("config.json"):
        config = parse_config(await contents.json(files["config.json"]))
    by_file = await read_tensors(contents, files)
    tensors = tuple(served_tensors(by_file))
    templates = await read_chat_templates(contents, files)
    return Metadata(
        config=config,
        context_length=await _context_length(contents, files, config),
        tensors=tensors,
        parameter_count=count_parameters(tensors, config.quantization),
        file_type=name_file_type(tensors, config.quantization),
        capabilities=infer_capabilities(
            config.architectures,
            chat_templates=templates.values(),
            tokens=await _added_tokens(contents, files),
            sees_images=sees_images(config.document, await _processors(contents, files)),
            is_sentence_transformer=_is_sentence_transformer(files),
        ),
        chat_template=templates[DEFAULT].text if DEFAULT in templates else "",
    )


async def check_documents(contents: Contents, files: Files) -> None:
    """Hold a model to have a tokenizer, and its JSON files to be JSON.

    Raises:
        InvalidModel: one is missing or damaged; the message names it.
    """
    has_merges = "vocab.json" in files and "merges.txt" in files
    if not has_merges and not any(
        path in _TOKENIZERS or path.endswith(_TOKENIZER_SUFFIXES) for path in files
    ):
        raise InvalidModel(
            "no tokenizer was given: tokenizer.json, tokenizer.model, vocab.txt, "
            "or vocab.json with merges.txt"
        )
    # The tokenizer's own file is large, and was read with the metadata.
    documents = [path for path in files if path.endswith(".json") and path != "tokenizer.json"]
    # Of several names for one blob, the strictest counts.
    documents.sort(key=lambda path: path.endswith(_LARGE_DOCUMENTS), reverse=True)
    by_digest = {files[path]: path for path in documents}
    await asyncio.gather(*(_check_json(contents, *item) for item in by_digest.items()))


async def _check_json(contents: Contents, digest: str, path: str) -> None:
    with in_file(path):
        await contents.check_json(digest, large=path.endswith(_LARGE_DOCUMENTS))


async def _context_length(contents: Contents, files: Files, config: HuggingFaceConfig) -> int:
    """Find how many tokens the model takes; a sentence transformer may take fewer."""
    path = "sentence_bert_config.json"
    if path in files:
        limit = (await _document(contents, files, path)).get("max_seq_length")
        if isinstance(limit, int) and 0 < limit < _MAX_LENGTH:
            return min(limit, config.context_length or limit)
    return config.context_length


async def _added_tokens(contents: Contents, files: Files) -> frozenset[str]:
    tokens: set[str] = set()
    if "tokenizer.json" in files:
        with in_file("tokenizer.json"):
            tokens |= (await contents.tokenizer(files["tokenizer.json"])).added_tokens
    settings = await _document(contents, files, "tokenizer_config.json")
    added = settings.get("added_tokens_decoder")
    for token in added.values() if isinstance(added, dict) else ():
        if isinstance(token, dict):
            tokens.add(str(token.get("content")))
    return frozenset(tokens)


async def _processors(contents: Contents, files: Files) -> list[Mapping[str, Any]]:
    paths = ("preprocessor_config.json", "processor_config.json")
    return [await _document(contents, files, path) for path in paths if path in files]


async def _document(contents: Contents, files: Files, path: str) -> Mapping[str, Any]:
    if path not in files:
        return {}
    with in_file(path):
        return await contents.document(files[path])


def _is_sentence_transformer(files: Files) -> bool:
    return "modules.json" in files or any(path.startswith("1_Pooling/") for path in files)
