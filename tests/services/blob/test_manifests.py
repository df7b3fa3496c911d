"""Manifests through the service, and what they name."""

import pytest

from common.errors import InvalidModel, InvalidName, InvalidRequest, ModelNotFound, TooLarge
from common.rpc import rpc_errors
from protos.paddock.v1 import blob_pb2, model_pb2
from services.blob.manifest import named_blobs
from services.blob.servicer import MAX_MANIFEST_SIZE
from tests.services.blob.helpers import NAME, Blobs, digest_of, manifest

A, B, C = (digest_of(letter) for letter in (b"a", b"b", b"c"))


async def listed(blobs: Blobs) -> list[blob_pb2.StoredManifest]:
    pages = blobs.ListManifests(blob_pb2.ListManifestsRequest())
    return [manifest async for page in pages for manifest in page.manifests]


async def test_a_manifest_comes_back_as_it_went(blobs: Blobs) -> None:
    content = b"  " + manifest(A, B) + b"\n"
    request = blob_pb2.WriteManifestRequest(name=NAME, content=content)
    written = await blobs.WriteManifest(request)
    assert written.name == NAME
    assert written.content == content
    assert await blobs.ReadManifest(blob_pb2.ReadManifestRequest(name=NAME)) == written
    assert await listed(blobs) == [written]


async def test_a_deleted_manifest_is_gone(blobs: Blobs) -> None:
    await blobs.WriteManifest(blob_pb2.WriteManifestRequest(name=NAME, content=manifest(A)))
    await blobs.DeleteManifest(blob_pb2.DeleteManifestRequest(name=NAME))
    with pytest.raises(ModelNotFound), rpc_errors():
        await blobs.ReadManifest(blob_pb2.ReadManifestRequest(name=NAME))
    with pytest.raises(ModelNotFound), rpc_errors():
        await blobs.DeleteManifest(blob_pb2.DeleteManifestRequest(name=NAME))
    assert await listed(blobs) == []


async def test_what_is_refused(blobs: Blobs) -> None:
    with pytest.raises(InvalidModel, match="invalid manifest"), rpc_errors():
        await blobs.WriteManifest(blob_pb2.WriteManifestRequest(name=NAME, content=b"oops"))
    large = manifest(A) + b" " * MAX_MANIFEST_SIZE
    with pytest.raises(TooLarge), rpc_errors():
        await blobs.WriteManifest(blob_pb2.WriteManifestRequest(name=NAME, content=large))
    outside = model_pb2.ModelName(host="..", namespace="..", model="..", tag="passwd")
    with pytest.raises(InvalidName), rpc_errors():
        await blobs.ReadManifest(blob_pb2.ReadManifestRequest(name=outside))


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (manifest(A, B, C, C), {A, B, C}),
        (manifest(A), {A}),
        (b'{"layers": null, "config": {}}', set()),
        (b'{"layers": []}', set()),
        (b'{"config": {"mediaType": "", "digest": "", "size": 0}}', set()),
        (manifest(A.upper().replace("SHA256:", "sha256-")), {A}),
    ],
)
def test_named_blobs(content: bytes, named: set[str]) -> None:
    assert named_blobs(content) == named


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"manifests": []}',
        b'{"layers": {}}',
        b'{"layers": [1]}',
        b'{"layers": [{}]}',
        b'{"layers": [{"digest": "sha256:12"}]}',
        b'{"config": "sha256"}',
        manifest(A)[:-1],
        b"\xff",
    ],
)
def test_manifests_that_may_name_anything(content: bytes) -> None:
    with pytest.raises(InvalidRequest):
        named_blobs(content)
