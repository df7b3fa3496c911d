import hashlib
import json

import pytest

from common.errors import InvalidModel
from services.registry import media_types
from services.registry.manifest import (
    Descriptor,
    Layer,
    Manifest,
    manifest_digest,
    parse_manifest,
    weights_digest,
)

A, B, C = (f"sha256:{digit * 64}" for digit in "abc")


def layer(kind: str, digest: str, name: str = "", parent: str = "") -> Layer:
    return Layer(media_type=kind, digest=digest, size=10, name=name, parent=parent)


def test_a_manifest_of_ollama_is_read() -> None:
    content = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": media_types.MANIFEST,
            "config": {"mediaType": media_types.CONFIG, "digest": A, "size": 5},
            "layers": [
                {"mediaType": media_types.GGUF, "digest": B, "size": 100, "from": "base:latest"},
                {
                    "mediaType": media_types.PARAMETERS,
                    "digest": C.upper().replace("SHA", "sha"),
                    "size": 3,
                },
            ],
        }
    ).encode()
    manifest = parse_manifest(content)
    assert manifest.size == 103
    assert manifest.digests == {A, B, C}
    assert manifest.parent == "base:latest"
    assert manifest.files == []
    assert [found.size for found in manifest.of_type(media_types.PARAMETERS)] == [3]


def test_what_is_not_known_is_kept() -> None:
    document = {
        "schemaVersion": 2,
        "mediaType": media_types.MANIFEST,
        "config": {"mediaType": media_types.CONFIG, "digest": A, "size": 5, "urls": ["x"]},
        "runner": "other",
        "layers": [
            {"mediaType": "text/new", "digest": B, "size": 1, "annotations": {"key": "value"}}
        ],
    }
    assert json.loads(parse_manifest(json.dumps(document).encode()).encode()) == document


def test_what_is_written_has_ollamas_form() -> None:
    manifest = Manifest(
        config=Descriptor(media_type=media_types.CONFIG, digest=A, size=5),
        layers=(
            layer(media_types.WEIGHT_FILE, B, "model.safetensors", "base:latest"),
            layer(media_types.SYSTEM, C),
        ),
    )
    content = manifest.encode()
    assert content == (
        b'{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"%s","digest":"%s","size":5},'
        b'"layers":[{"mediaType":"%s","digest":"%s","size":10,"from":"base:latest",'
        b'"name":"model.safetensors"},{"mediaType":"%s","digest":"%s","size":10}]}'
        % tuple(
            text.encode()
            for text in (
                media_types.MANIFEST,
                media_types.CONFIG,
                A,
                media_types.WEIGHT_FILE,
                B,
                media_types.SYSTEM,
                C,
            )
        )
    )
    assert parse_manifest(content) == manifest
    assert manifest_digest(content) == hashlib.sha256(content).hexdigest()


def test_nulls_count_as_absent() -> None:
    content = b'{"config":{"mediaType":"x","digest":"%s","size":1},"layers":null}' % A.encode()
    assert parse_manifest(content).layers == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged manifest"),
        (b"[]", "damaged manifest"),
        (b"{}", "config is missing"),
        (b'{"config":{"mediaType":"x","digest":"y","size":1}}', "config.digest"),
        (b'{"config":{"mediaType":"x","digest":"%s","size":-1}}' % A.encode(), "config.size"),
    ],
)
def test_damaged_manifests(content: bytes, message: str) -> None:
    with pytest.raises(InvalidModel, match=message) as error:
        parse_manifest(content)
    assert "\n" not in error.value.message


def test_weights_are_known_by_their_paths_and_digests() -> None:
    one, two = layer("x", A, "a"), layer("x", B, "b")
    assert weights_digest([one, two]) == weights_digest([two, one])
    assert weights_digest([one, two]) != weights_digest([one])
    assert weights_digest([one]) != weights_digest([layer("x", A, "b")])
    assert weights_digest([one]) == weights_digest([layer("x", A, "a", parent="other:latest")])
