"""Uploads and pulls, against hashing and writing the same bytes: `python -m bench.transfers`.

Everything runs on this machine: the suite over a folder store, the client, and the registry to
pull from. They share its cores, so that a client or a registry slows down what it measures. For
comparison, one program fetches the bytes from the same registry, hashes and writes them. All files
stay to the end, for some disks are faster where something was deleted before.
"""

import argparse
import hashlib
import http.client
import itertools
import json
import tempfile
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from bench.limit import CHUNK, chunks, digest, hash_and_write
from bench.measure import MEGABYTE, in_turn, print_rates, timed
from tests.integration.suite import Suite, running_suite
from tests.servers.docker_registry import DockerRegistry, running_registry

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = b'{"model_format": "gguf", "model_family": "llama"}'
_LIMIT, _UPLOAD = "hash and write", "POST /api/blobs"
_PULL = "POST /api/pull"
_seeds = itertools.count(1)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=512, help="megabytes")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    size, rounds = arguments.size * MEGABYTE, arguments.rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running_suite(folder / "home") as suite, running_registry(folder / "r") as registry:
            own = {_LIMIT: lambda: hash_and_keep(chunks(size, next(_seeds)), folder)}
            uploads = {**own, _UPLOAD: lambda: upload(suite, size)}
            print_rates("Upload", in_turn(uploads, rounds), size, _LIMIT, {_UPLOAD: 0.8})
            pulls = {
                **own,
                "one program": lambda: download(registry, size, folder),
                _PULL: lambda: pull(suite, registry, size),
            }
            print_rates("Pull", in_turn(pulls, rounds), size, _LIMIT, {_PULL: 0.9})


def hash_and_keep(pieces: Iterable[bytes], folder: Path) -> float:
    """Hash pieces and write them to a new file; give the seconds."""
    target = folder / f"limit-{next(_seeds)}"
    return timed(lambda: hash_and_write(pieces, target))


def upload(suite: Suite, size: int) -> float:
    """Upload new bytes as one blob; give the seconds."""
    seed = next(_seeds)
    wanted = digest(size, seed)
    server = urlsplit(suite.url).netloc

    def send() -> None:
        connection = http.client.HTTPConnection(server)
        headers = {"Content-Length": str(size)}
        connection.request("POST", f"/api/blobs/{wanted}", chunks(size, seed), headers)
        answer = connection.getresponse()
        assert answer.status == 201, answer.read()
        connection.close()

    return timed(send)


def download(registry: DockerRegistry, size: int, folder: Path) -> float:
    """Fetch new bytes from the registry over one connection, hash and write them; give seconds."""
    seed = next(_seeds)
    target = folder / f"limit-{seed}"
    repository = f"bench/model-{seed}"
    wanted = publish(registry, repository, size, seed)

    def bring() -> None:
        connection = http.client.HTTPConnection(registry.host)
        connection.request("GET", f"/v2/{repository}/blobs/{wanted}")
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        hash_and_write(iter(lambda: answer.read(CHUNK), b""), target)
        connection.close()

    return timed(bring)


def pull(suite: Suite, registry: DockerRegistry, size: int) -> float:
    """Pull a model of new bytes from the registry; give the seconds."""
    seed = next(_seeds)
    repository = f"bench/model-{seed}"
    publish(registry, repository, size, seed)
    name = f"http://{registry.host}/{repository}:latest"

    def bring() -> None:
        status, answer = suite.request(
            "POST", "/api/pull", {"model": name, "insecure": True, "stream": False}
        )
        assert (status, answer) == (200, {"status": "success"}), answer

    return timed(bring)


def publish(registry: DockerRegistry, repository: str, size: int, seed: int) -> str:
    """Put a model whose one layer is `size` new bytes into the registry; give its digest."""
    layer = digest(size, seed)
    put_blob(registry, repository, layer, size, chunks(size, seed))
    config = f"sha256:{hashlib.sha256(_CONFIG).hexdigest()}"
    put_blob(registry, repository, config, len(_CONFIG), [_CONFIG])
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "digest": config,
            "size": len(_CONFIG),
        },
        "layers": [
            {"mediaType": "application/vnd.ollama.image.license", "digest": layer, "size": size}
        ],
    }
    request = urllib.request.Request(
        f"{registry.url}/v2/{repository}/manifests/latest",
        json.dumps(manifest).encode(),
        {"Content-Type": _MANIFEST},
        method="PUT",
    )
    urllib.request.urlopen(request).close()
    return layer


def put_blob(
    registry: DockerRegistry, repository: str, wanted: str, size: int, content: Iterable[bytes]
) -> None:
    """Put bytes into the registry under their digest."""
    begun = urllib.request.Request(f"{registry.url}/v2/{repository}/blobs/uploads/", method="POST")
    with urllib.request.urlopen(begun) as answer:
        location = urlsplit(answer.headers["Location"])
    connection = http.client.HTTPConnection(registry.host)
    connection.request(
        "PUT",
        f"{location.path}?{location.query}&digest={wanted}",
        content,
        {"Content-Length": str(size), "Content-Type": "application/octet-stream"},
    )
    answer = connection.getresponse()
    assert answer.status == 201, answer.read()
    connection.close()


if __name__ == "__main__":
    main()
