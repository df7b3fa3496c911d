"""Manifests that nobody vouches for."""

import json
from typing import Any

import pytest

from common.errors import RegistryFailed
from services.registry.remote.manifests import blobs_of, check_manifest
from tests.servers.fake_hub import CONFIG_TYPE, MANIFEST_TYPE, MODEL_TYPE

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
FILE_TYPE = "application/vnd.cncf.model.weight.v1.raw"


def layer(digest: str, size: int = 1, kind: str = MODEL_TYPE, **fields: Any) -> dict[str, Any]:
    return {"mediaType": kind, "digest": digest, "size": size, **fields}


def manifest(*layers: dict[str, Any], **fields: Any) -> bytes:
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": layer(C, kind=CONFIG_TYPE),
        "layers": layers,
    }
    return json.dumps(document | fields).encode()


def test_blobs_come_in_the_order_of_the_layers_and_once() -> None:
    checked = check_manifest(manifest(layer(B), layer(A), layer(B)))
    assert [blob.digest for blob in blobs_of(checked)] == [B, A, C]


@pytest.mark.parametrize("kind", [MANIFEST_TYPE, "application/vnd.oci.image.manifest.v1+json"])
def test_manifests_of_docker_and_oci_are_read(kind: str) -> None:
    assert check_manifest(manifest(layer(A), mediaType=kind)).layers


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "damaged manifest"),
        (b"<html>sign in first</html>", "damaged manifest"),
        (b"[1, 2]", "damaged manifest"),
        (b"[" * 100_000, "damaged manifest"),
        (manifest(layer(A), config=None), "damaged manifest: config is missing"),
        (manifest(layer("sha256:../../etc/passwd")), "invalid digest format"),
        (manifest(layer("md5:" + "a" * 32)), "invalid digest format"),
        (manifest(layer(A, -1)), "must be 0 or more"),
        (manifest(layer(A, 2**60)), "is larger than"),
        (manifest(layer(A, 10**30)), "damaged manifest"),
        (manifest(layer(A), config=layer(C, 2**30)), "the config blob is larger than"),
        (manifest(layer(A, 1), layer(A, 2)), "has two sizes"),
        (manifest(layer(A), mediaType="application/vnd.oci.image.index.v1+json"), "no model's"),
        (manifest(), "not that of a model"),
        (manifest(layer(A, kind="application/vnd.oci.image.layer.v1.tar")), "not that of a model"),
        (manifest(layer(A, kind=FILE_TYPE, name="../../x")), "file path must be relative"),
        (manifest(layer(A, kind=FILE_TYPE, name="/etc/x")), "file path must be relative"),
        (manifest(layer(A, kind=FILE_TYPE)), "file path must be relative"),
        (manifest(*(layer(d, kind=FILE_TYPE, name="x") for d in (A, B))), "two layers are the"),
    ],
)
def test_what_is_wrong_is_told(content: bytes, text: str) -> None:
    with pytest.raises(RegistryFailed, match=text):
        check_manifest(content)
