"""Reads which blobs a manifest names.

The format is Docker's image manifest, version 2, as Ollama uses it: the blobs are
`config.digest` and each `layers[].digest`.
"""

from typing import Any

import orjson

from common.digests import parse_digest
from common.errors import InvalidModel


def named_blobs(content: bytes) -> set[str]:
    """Give the digests that a manifest names.

    Raises:
        InvalidModel: it is no such manifest.
        InvalidDigest: what it gives as a digest is none.
    """
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
    digests = {_digest(descriptor) for descriptor in descriptors}
    return {parse_digest(digest) for digest in digests if digest}


def _digest(descriptor: Any) -> str:
    """Give a descriptor's digest; Ollama writes an empty one where there is no blob."""
    digest = descriptor.get("digest") if isinstance(descriptor, dict) else None
    if not isinstance(digest, str):
        raise InvalidModel("invalid manifest: a layer or the config has no digest")
    return digest
