"""What the blobs of models hold, read through BlobService and kept by digest."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import orjson

from common.errors import InvalidModel, PaddockError, TemplateError
from common.model_template import ModelTemplate
from services.registry.blob_client import BlobClient
from services.registry.cache import Cache, Loaded
from services.registry.documents import not_json
from services.registry.gguf.file import GgufFile, read_file
from services.registry.gguf.reading import read_header, read_start
from services.registry.gguf.values import Value
from services.registry.model_config import ModelConfig, parse_model_config
from services.registry.safetensors import (
    LENGTH_SIZE,
    Tensor,
    parse_header,
    parse_header_length,
)
from services.registry.tokenizer import Tokenizer, parse_tokenizer, read_vocabulary

logger = logging.getLogger(__name__)

MAX_PARAMETERS = 1024 * 1024
"""Bytes of a model's parameters as JSON; each of them is shown in a line of its own."""

_MAX_TEXT = 16 * 1024 * 1024
_MAX_JSON = 16 * 1024 * 1024
_MAX_LARGE_JSON = 128 * 1024 * 1024
_FIRST_READ = 64 * 1024
_CONCURRENT_READS = 16
_CONCURRENT_DOCUMENTS = 2  # parsed, JSON can take twenty times its size
_CACHE = 64 * 1024 * 1024
_CONFIGS = 8 * 1024 * 1024  # as many as a list reads at once; it has no use for them later


class Contents:
    """Reads blobs, each at most once while it is in use; results are shared and read-only.

    Every method raises `BlobNotFound` when the blob is not stored and `InvalidModel`
    when it does not hold what it should.
    """

    def __init__(self, blobs: BlobClient) -> None:
        self._blobs = blobs
        self._slots = asyncio.Semaphore(_CONCURRENT_READS)
        self._document_slots = asyncio.Semaphore(_CONCURRENT_DOCUMENTS)
        self._header_slots = asyncio.Semaphore(_CONCURRENT_DOCUMENTS)
        self._configs = Cache(self._load_config, _CONFIGS)
        self._texts = Cache(self._load_text, _CACHE)
        self._documents = Cache(self._load_document, _CACHE)
        self._template_capabilities = Cache(self._load_template_capabilities, _CACHE)
        self._tokenizers = Cache(self._load_tokenizer, _CACHE)
        self._tensors = Cache(self._load_tensors, _CACHE)
        self._gguf_files = Cache(self._load_gguf, _CACHE)
        self._gguf_starts = Cache(self._load_gguf_start, _CACHE)

    async def config(self, digest: str) -> ModelConfig:
        """Read a manifest's config blob."""
        return await self._configs.get(digest)

    async def read_configs(self, digests: Iterable[str]) -> None:
        """Read config blobs at once, up to 1,000 of them, so that `config` has them at hand.

        What cannot be read so is left to `config`, which says what is wrong with it.
        """
        wanted = [digest for digest in set(digests) if not self._configs.kept(digest)]
        try:
            read = await self._blobs.read_small(wanted) if wanted else {}
        except PaddockError as error:
            logger.info("config blobs are read one by one: %s", error.message)
            return
        for digest, content in read.items():
            with suppress(InvalidModel):
                self._configs.keep(digest, Loaded(parse_model_config(content), len(content)))

    async def text(self, digest: str) -> str:
        """Read a blob of UTF-8 text."""
        return await self._texts.get(digest)

    async def document(self, digest: str, *, large: bool = False) -> Mapping[str, Any]:
        """Read a JSON object; a large one lists tokens or tensors."""
        document = await self._documents.get((digest, _json_limit(large)))
        if not isinstance(document, dict):
            raise InvalidModel("not a JSON object")
        return document

    async def parameters(self, digest: str) -> Mapping[str, Any]:
        """Read a model's parameters."""
        document = await self._documents.get((digest, MAX_PARAMETERS))
        if not isinstance(document, dict):
            raise InvalidModel("not a JSON object")
        return document

    async def json(self, digest: str) -> Any:
        """Read JSON of any kind."""
        return await self._documents.get((digest, _MAX_JSON))

    async def check_json(self, digest: str, *, large: bool = False) -> None:
        """Hold a blob to be JSON, without keeping it: it may be a large vocabulary."""
        await self._load_document((digest, _json_limit(large)))

    async def template_capabilities(self, digest: str) -> frozenset[str]:
        """Tell what a Go template is for: tools, insertion, thinking.

        A template that cannot be used is for nothing.
        """
        return await self._template_capabilities.get(digest)

    async def tokenizer(self, digest: str) -> Tokenizer:
        """Read the little of a `tokenizer.json` that is worth keeping."""
        return await self._tokenizers.get(digest)

    async def vocabulary(self, digest: str) -> dict[str, list[Any]]:
        """Read all tokens of a `tokenizer.json`, which are too many to be kept."""
        document, _ = await self._load_document((digest, _MAX_LARGE_JSON))
        return await asyncio.to_thread(read_vocabulary, document)

    async def tensors(self, digest: str) -> tuple[Tensor, ...]:
        """Read the header of a safetensors file; its tensors themselves are not read."""
        return await self._tensors.get(digest)

    async def gguf(self, digest: str) -> GgufFile:
        """Read the header of a GGUF file, without its vocabulary."""
        return await self._gguf_files.get(digest)

    async def gguf_start(self, digest: str) -> Mapping[str, Value]:
        """Read of a GGUF file's metadata what comes before the vocabulary: little and quickly."""
        return await self._gguf_starts.get(digest)

    async def gguf_metadata(self, digest: str) -> Mapping[str, Value]:
        """Read all metadata of a GGUF file with its arrays, which are too long to be kept."""
        async with self._document_slots:
            return (await read_header(self._blobs, digest, lambda _: True)).metadata

    async def _read(self, digest: str, limit: int) -> bytes:
        async with self._slots:
            content = await self._blobs.read(digest, length=limit + 1)
        if len(content) > limit:
            raise InvalidModel(f"larger than {limit} bytes")
        return content

    async def _load_config(self, digest: str) -> Loaded[ModelConfig]:
        content = await self._read(digest, _MAX_TEXT)
        return Loaded(parse_model_config(content), len(content))

    async def _load_text(self, digest: str) -> Loaded[str]:
        content = await self._read(digest, _MAX_TEXT)
        try:
            return Loaded(content.decode(), len(content))
        except UnicodeDecodeError as error:
            raise InvalidModel(f"not UTF-8 text from byte {error.start} on") from error

    async def _load_document(self, key: tuple[str, int]) -> Loaded[Any]:
        """Read JSON, given its digest and the most bytes that it may have."""
        async with self._document_slots:
            content = await self._read(*key)
            try:
                return Loaded(await asyncio.to_thread(orjson.loads, content), len(content))
            except orjson.JSONDecodeError as error:
                raise InvalidModel(not_json(error)) from error

    async def _load_template_capabilities(self, digest: str) -> Loaded[frozenset[str]]:
        text, _ = await self._load_text(digest)
        try:
            template = await asyncio.to_thread(ModelTemplate.parse, text)
        except TemplateError as error:
            logger.warning("template %s: %s", digest, error.message)
            return Loaded(frozenset(), 0)
        return Loaded(frozenset(template.capabilities), 0)

    async def _load_tokenizer(self, digest: str) -> Loaded[Tokenizer]:
        document, _ = await self._load_document((digest, _MAX_LARGE_JSON))
        tokenizer = await asyncio.to_thread(parse_tokenizer, document)
        return Loaded(tokenizer, sum(map(len, tokenizer.added_tokens)))

    async def _load_tensors(self, digest: str) -> Loaded[tuple[Tensor, ...]]:
        async with self._slots:
            size = await self._blobs.size(digest)
            start = await self._blobs.read(digest, length=_FIRST_READ)
            end = LENGTH_SIZE + parse_header_length(start, size)
            if end > len(start):
                start += await self._blobs.read(digest, len(start), end - len(start))
            async with self._header_slots:
                tensors = await asyncio.to_thread(parse_header, start[LENGTH_SIZE:end], size)
        return Loaded(tensors, end)

    async def _load_gguf(self, digest: str) -> Loaded[GgufFile]:
        async with self._document_slots:
            file = await read_file(self._blobs, digest)
        return Loaded(file, file.memory)

    async def _load_gguf_start(self, digest: str) -> Loaded[dict[str, Value]]:
        async with self._slots:
            start = await read_start(self._blobs, digest)
        return Loaded(start, _FIRST_READ)


def _json_limit(large: bool) -> int:
    return _MAX_LARGE_JSON if large else _MAX_JSON
