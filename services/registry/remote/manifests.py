"""Manifests of other registries: fetched, and held to be a model's."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from common.errors import InvalidModel, InvalidRequest, RegistryFailed, Unauthorized
from services.registry import media_types
from services.registry.manifest import Descriptor, Manifest, parse_manifest
from services.registry.model_files import check_path
from services.registry.remote.errors import Transient
from services.registry.remote.retries import RetryPolicy, with_retries
from services.registry.remote.session import RemoteSession

_MANIFEST_SECONDS = 60.0
_MAX_MANIFEST = 4 * 1024 * 1024
_MAX_CONFIG = 16 * 1024 * 1024
_MAX_BLOB = 2**43  # 8 TiB

_MANIFEST_TYPES = frozenset({media_types.MANIFEST, "application/vnd.oci.image.manifest.v1+json"})
_MODEL_TYPES = ("application/vnd.ollama.image.", "application/vnd.cncf.model.")
_OK = 200
_BAD_REQUEST = 400
_NOT_FOUND = 404
_NO_GGUF = "not GGUF"


class NoGguf(Exception):
    """A repository of Hugging Face holds its model in another form than GGUF, if it exists."""


async def fetch_manifest(session: RemoteSession, policy: RetryPolicy) -> bytes:
    """Fetch the manifest of the session's model.

    Raises:
        NoGguf: Hugging Face makes none of what this repository holds.
        RemoteNotFound: there is no such model.
        RegistryFailed: the registry cannot be reached, refuses, or sends too much.
    """

    async def attempt() -> bytes:
        try:
            async with asyncio.timeout(_MANIFEST_SECONDS):
                return await _fetch(session)
        except TimeoutError as error:
            raise Transient(f"{session.location.host} takes too long") from error

    return await with_retries(attempt, policy)


async def _fetch(session: RemoteSession) -> bytes:
    location = session.location
    expect = (_OK, _BAD_REQUEST, _NOT_FOUND) if location.is_hub else (_OK,)
    headers = {"Accept": media_types.MANIFEST}
    async with session.request(
        "GET", location.manifest_path, headers=headers, expect=expect
    ) as response:
        content = bytearray()
        async for piece in response.content.iter_any():
            content += piece
            if len(content) > _MAX_MANIFEST:
                raise RegistryFailed(f"the manifest is larger than {_MAX_MANIFEST} bytes")
        if response.status == _OK:
            return bytes(content)
    if response.status == _NOT_FOUND:
        raise NoGguf("file does not exist")
    text = content[:500].decode(errors="replace")
    if _NO_GGUF.lower() in text.lower():
        raise NoGguf(f"{_BAD_REQUEST}: {text}")
    raise RegistryFailed(f"{_BAD_REQUEST}: {text}")


@contextmanager
def about_manifest() -> Iterator[None]:
    """Put Ollama's words before an error about a manifest."""
    try:
        yield
    except Unauthorized as error:
        raise Unauthorized(f"pull model manifest: {error.message}") from error
    except (RegistryFailed, InvalidModel) as error:
        raise RegistryFailed(f"pull model manifest: {error.message}") from error


def check_manifest(content: bytes) -> Manifest:
    """Read a manifest that nobody vouches for.

    Raises:
        RegistryFailed: it is damaged, is no model's, or contradicts itself.
    """
    try:
        manifest = parse_manifest(content)
    except InvalidModel as error:
        raise RegistryFailed(error.message) from error
    if manifest.media_type not in _MANIFEST_TYPES:
        raise RegistryFailed(f'a manifest of the type "{manifest.media_type:.100}" is no model\'s')
    if not any(layer.media_type.startswith(_MODEL_TYPES) for layer in manifest.layers):
        raise RegistryFailed("the manifest is not that of a model")
    if manifest.config.size > _MAX_CONFIG:
        raise RegistryFailed(f"the config blob is larger than {_MAX_CONFIG} bytes")
    _check_sizes(manifest)
    _check_paths(manifest)
    return manifest


def blobs_of(manifest: Manifest) -> list[Descriptor]:
    """List the blobs in the order of the layers, each once; the config is the last."""
    found = {blob.digest: blob for blob in _all(manifest)}
    return list(found.values())


def _all(manifest: Manifest) -> Iterator[Descriptor]:
    yield from manifest.layers
    yield manifest.config


def _check_sizes(manifest: Manifest) -> None:
    sizes: dict[str, int] = {}
    for blob in _all(manifest):
        if blob.size > _MAX_BLOB:
            raise RegistryFailed(f"{blob.digest} is larger than {_MAX_BLOB} bytes")
        if sizes.setdefault(blob.digest, blob.size) != blob.size:
            raise RegistryFailed(f"{blob.digest} has two sizes")


def _check_paths(manifest: Manifest) -> None:
    paths: set[str] = set()
    for layer in manifest.files:
        try:
            path = str(check_path(layer.name))
        except InvalidRequest as error:
            raise RegistryFailed(f"layer {layer.digest}: {error.message}") from error
        if path in paths:
            raise RegistryFailed(f'two layers are the file "{path}"')
        paths.add(path)
