"""A models folder as Ollama leaves it, and what a store over it (or over a copy) must show."""

import json
from pathlib import Path

import pytest

from common.errors import BlobNotFound, ModelNotFound
from common.names import ModelName
from store.interface import Store
from tests.store.helpers import digest_of, distant_future, put, read

LLAMA = ModelName.parse("llama3.2:1b")
PRIVATE = ModelName.parse("localhost:5000/team/My-Model")
WEIGHTS = b"GGUF" + bytes(200_000)
CONFIG = b'{"model_format":"gguf","model_family":"llama"}'
LICENSE = b"Do what you like."
HALF = f"sha256:{'1' * 64}"

_FOREIGN = {
    f"blobs/sha256-{'1' * 64}-partial": WEIGHTS[:70_000],
    f"blobs/sha256-{'1' * 64}-partial-0": b'{"N":0,"Offset":0,"Size":200004,"Completed":70000}',
    f"blobs/sha256-{'A' * 64}": b"not how a digest is written",
    "blobs/sha256-123456789": b"a temporary file of an upload",
    "blobs/.DS_Store": b"",
    "manifests/.DS_Store": b"",
    "manifests/registry.ollama.ai/library/llama3.2/.DS_Store": b"",
    "manifests/registry.ollama.ai/library/two words/latest": b"{}",
    "manifests/README.txt": b"",
    "manifests-v2/registry.ollama.ai/library/llama3.2/1b": b"{}",
    "history": b"",
}


def manifest_of(*layers: bytes) -> bytes:
    """Write a manifest as Ollama does."""
    described = [
        {
            "mediaType": f"application/vnd.ollama.image.{kind}",
            "digest": digest_of(content),
            "size": len(content),
        }
        for kind, content in zip(("model", "license"), layers, strict=False)
    ]
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "digest": digest_of(CONFIG),
                "size": len(CONFIG),
            },
            "layers": described,
        },
        separators=(",", ":"),
    ).encode()


MANIFESTS = {LLAMA: manifest_of(WEIGHTS, LICENSE), PRIVATE: manifest_of(WEIGHTS)}
BLOBS = {digest_of(content): content for content in (WEIGHTS, CONFIG, LICENSE, b"")}


def build(root: Path) -> None:
    """Lay out two models that share their weights, a broken download and other litter."""
    files = {f"blobs/{digest.replace(':', '-')}": content for digest, content in BLOBS.items()}
    files |= {f"manifests/{name.path}": content for name, content in MANIFESTS.items()}
    for path, content in (files | _FOREIGN).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)


def foreign_files(root: Path) -> dict[str, bytes | None]:
    """Give what is left of the litter."""
    return {
        path: (root / path).read_bytes() if (root / path).exists() else None for path in _FOREIGN
    }


def assert_litter_is_untouched(root: Path) -> None:
    assert foreign_files(root) == _FOREIGN


def assert_is_a_store(store: Store) -> None:
    """Use everything that a service uses; the models are afterwards as they were."""
    store.check()
    assert {each.name: each.content for each in store.list_manifests()} == MANIFESTS
    for name, content in MANIFESTS.items():
        assert store.read_manifest(name).content == content
    assert {blob.digest: blob.size for blob in store.list_blobs()} == {
        digest: len(content) for digest, content in BLOBS.items()
    }
    for digest, content in BLOBS.items():
        assert read(store, digest) == content
        assert store.locate(digest).size == len(content)
        assert store.retain(digest).size == len(content)
    assert store.abort_uploads(distant_future()) == 0
    _assert_half_a_blob_is_none(store)
    _assert_it_can_be_changed(store)


def _assert_half_a_blob_is_none(store: Store) -> None:
    with pytest.raises(BlobNotFound):
        store.stat(HALF)
    assert store.upload_status(HALF, len(WEIGHTS)).committed_size == 0


def _assert_it_can_be_changed(store: Store) -> None:
    name = ModelName.parse("another")
    digest = put(store, b"new")
    store.write_manifest(name, manifest_of(b"new"))
    assert store.read_manifest(name).content == manifest_of(b"new")
    store.delete_manifest(name)
    assert store.delete_blob(digest, distant_future())
    with pytest.raises(ModelNotFound):
        store.read_manifest(name)
    assert {each.name for each in store.list_manifests()} == set(MANIFESTS)
