"""Conversions in the store: one worker makes a model's, and the others find it.

The form is that of models made of safetensors folders: a manifest with a layer per file
(`services/registry/manifest.py`).
"""

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from common.client_stream import send_all
from common.derived import derived_name
from common.digests import hex_digits
from common.errors import NotFound
from common.names import ModelName
from common.rpc import rpc_errors
from protos.paddock.v1 import blob_pb2, blob_pb2_grpc, model_pb2

VERSION = 1
"""Raise it when the same source gives another result: old conversions are not looked at then."""

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_JSON = "application/vnd.ollama.image.json"
_WEIGHTS = "application/vnd.cncf.model.weight.v1.raw"
_AUXILIARY = "application/vnd.cncf.model.weight.config.v1.raw"

_PIECE = 4 << 20  # bytes of a message


def conversion_name(files: Sequence[model_pb2.ModelFile]) -> ModelName:
    """Name the conversion of a model's GGUF files, after the first one's content.

    Args:
        files: the file, or all shards in order.
    """
    maker = f"gguf-{VERSION}"
    if rest := files[1:]:
        digest = hashlib.sha256("".join(file.digest for file in rest).encode())
        maker = f"{maker}-{digest.hexdigest()[:16]}"
    return derived_name(hex_digits(files[0].digest), maker)


async def find_conversion(
    blobs: blob_pb2_grpc.BlobServiceStub, name: ModelName
) -> list[model_pb2.ModelFile] | None:
    """Find the files of a conversion; None where there is none, or not all of it.

    Raises:
        PaddockError: the store cannot be read.
    """
    try:
        with rpc_errors():
            request = blob_pb2.ReadManifestRequest(name=name.to_proto())
            stored = await blobs.ReadManifest(request)
            files = _parse(stored.content)
            digests = [file.digest for file in files]
            retained = await blobs.Retain(blob_pb2.RetainRequest(digests=digests))
    except (NotFound, ValueError, KeyError, TypeError):
        return None
    return None if retained.missing or not files else files


async def share_conversion(
    blobs: blob_pb2_grpc.BlobServiceStub, name: ModelName, folder: Path
) -> None:
    """Store a conversion's files, and then the manifest that names them.

    Raises:
        PaddockError: the store cannot be written.
    """
    paths = await asyncio.to_thread(_list_files, folder)
    with rpc_errors():
        config = await send_all(blobs.Write(), _content(b'{"model_format":"safetensors"}'))
        layers = []
        for path in paths:
            written = await send_all(blobs.Write(), _file(path))
            layer = {"mediaType": _media_type(path), "name": path.relative_to(folder).as_posix()}
            layers.append(layer | _descriptor(written))
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": {"mediaType": _CONFIG} | _descriptor(config),
            "layers": layers,
        }
        content = json.dumps(manifest, separators=(",", ":")).encode()
        request = blob_pb2.WriteManifestRequest(name=name.to_proto(), content=content)
        await blobs.WriteManifest(request)


def _list_files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def _parse(content: bytes) -> list[model_pb2.ModelFile]:
    return [
        model_pb2.ModelFile(path=layer["name"], digest=layer["digest"], size=layer["size"])
        for layer in json.loads(content)["layers"]
    ]


def _descriptor(written: blob_pb2.WriteResponse) -> dict[str, object]:
    return {"digest": written.digest, "size": written.size}


def _media_type(path: Path) -> str:
    if path.suffix == ".safetensors":
        return _WEIGHTS
    return _JSON if path.suffix == ".json" else _AUXILIARY


async def _content(content: bytes) -> AsyncGenerator[blob_pb2.WriteRequest, None]:
    yield blob_pb2.WriteRequest(header=blob_pb2.WriteHeader(size=len(content)))
    yield blob_pb2.WriteRequest(data=content)


async def _file(path: Path) -> AsyncGenerator[blob_pb2.WriteRequest, None]:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        yield blob_pb2.WriteRequest(header=blob_pb2.WriteHeader(size=size))
        while data := await asyncio.to_thread(file.read, _PIECE):
            yield blob_pb2.WriteRequest(data=data)
