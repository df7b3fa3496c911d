"""Reads which blobs a manifest names.

The format is Docker's image manifest, version 2, as Ollama uses it: the blobs are
`config.digest` and each `layers[].digest`.
"""

import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from common.digests import parse_digest
from common.errors import InvalidModel

_REMEMBERED = 16384
_LARGEST_REMEMBERED = 8 * 1024  # bytes


@dataclass(frozen=True)
class NamedBlob:
    """A blob as a manifest describes it; the size is None where it states none."""

    digest: str
    size: int | None


def named_blobs(content: bytes) -> frozenset[str]:
    """Give the digests that a manifest names. Those of manifests of usual size are remembered.

    Raises:
        InvalidModel: it is no such manifest.
        InvalidDigest: what it gives as a digest is none.
    """
    return _remembered(content) if len(content) <= _LARGEST_REMEMBERED else _named(content)


def _named(content: bytes) -> frozenset[str]:
    # Models share most of their blobs, and so the texts that name these.
    return frozenset(sys.intern(blob.digest) for blob in described_blobs(content))


_remembered = lru_cache(_REMEMBERED)(_named)


def described_blobs(content: bytes) -> list[NamedBlob]:
    """Give what a manifest says of its blobs; raises as `named_blobs` does."""
    try:
        manifest = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise InvalidModel(f"invalid manifest: {error}") from error
    if not isinstance(manifest, dict) or not manifest.keys() & {"config", "layers"}:
        raise InvalidModel("invalid manifest: it has neither config nor layers")
    layers = manifest.get("layers")
    if not isinstance(layers, list | None):
        raise InvalidModel("invalid manifest: layers is not a list")
    descriptors = [*(layers or []), manifest.get("config") or {"digest": ""}]
    named = [(_digest(descriptor), _size(descriptor)) for descriptor in descriptors]
    return [NamedBlob(parse_digest(digest), size) for digest, size in named if digest]


def _digest(descriptor: Any) -> str:
    """Give a descriptor's digest; Ollama writes an empty one where there is no blob."""
    digest = descriptor.get("digest") if isinstance(descriptor, dict) else None
    if not isinstance(digest, str):
        raise InvalidModel("invalid manifest: a layer or the config has no digest")
    return digest


def _size(descriptor: dict[str, Any]) -> int | None:
    size = descriptor.get("size")
    return size if isinstance(size, int) and not isinstance(size, bool) else None
