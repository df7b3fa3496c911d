"""Creating as such: wrong requests, names that exist, clients and blobs that go."""

import gc
import sys
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from common.errors import (
    InvalidDigest,
    InvalidModel,
    InvalidName,
    InvalidRequest,
    PaddockError,
)
from protos.paddock.v1.generation_pb2 import Message
from protos.paddock.v1.registry_pb2 import CreateRequest
from services.registry.remote.client import RemoteClient, RemoteSettings
from services.registry.servicer import RegistryServicer
from tests.services.registry.model_folders import (
    config,
    llama,
)
from tests.services.registry.running import Registry, digest_of


async def test_a_client_that_leaves_abandons_no_generator(registry: Registry) -> None:
    files = await registry.upload(llama())
    abandoned: list[object] = []
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(finalizer=abandoned.append)
    try:
        request = CreateRequest(model="x", files=files)
        async with RemoteClient(RemoteSettings()) as remote:
            progress = aiter(RegistryServicer(registry.blobs, remote).Create(request, None))
            await anext(progress)
            assert isinstance(progress, AsyncGenerator)
            await progress.aclose()
        del progress
        gc.collect()
    finally:
        sys.set_asyncgen_hooks(*hooks)
    assert abandoned == []


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"model": ""}, InvalidName, "invalid model name"),
        ({"model": "a b"}, InvalidName, "invalid model name"),
        ({"model": "x:cloud"}, InvalidName, "invalid model name"),
        ({"model": "x:local:cloud"}, InvalidRequest, "use either :local or :cloud, not both"),
        ({}, InvalidRequest, "neither 'from' or 'files' was specified"),
        ({"from": "y", "files": {"a": "b"}}, InvalidRequest, "either 'from' or 'files', not both"),
        ({"files": {"/etc/passwd": "b"}}, InvalidRequest, "file path must be relative"),
        ({"files": {"../x": "b"}}, InvalidRequest, "file path must be relative"),
        ({"files": {"x.json": "b"}}, InvalidDigest, 'file "x.json": invalid digest format'),
        ({"from": "y", "parameters_json": '{"top_k":"x"}'}, InvalidRequest, 'option "top_k" must'),
        ({"from": "y", "parameters_json": '{"colour":1}'}, InvalidRequest, "unknown parameter"),
        ({"from": "y", "template": "{{ if"}, InvalidRequest, "^template error: "),
        ({"from": "y", "requires": "new"}, InvalidRequest, "requires must be a valid semver"),
        ({"from": "y", "info_json": '{"base_name":1}'}, InvalidRequest, 'info field "base_name"'),
        ({"from": "y", "messages": [Message(role="x")]}, InvalidRequest, "message role must be"),
    ],
)
async def test_requests_that_are_wrong(
    registry: Registry, fields: dict[str, Any], error: type[PaddockError], message: str
) -> None:
    with pytest.raises(error, match=message):
        await registry.create_of(**{"model": "x", "files": {}, **fields})
    assert await registry.names() == []
    assert registry.stored_blobs() == set()


async def test_an_existing_spelling_wins_and_its_old_blobs_go(registry: Registry) -> None:
    old, new = llama(), llama(config__json=config(intermediate_size=300))
    await registry.create("Tiny", old, system="old")
    await registry.create("tiny", new)
    assert await registry.names() == ["Tiny:latest"]
    stored = registry.stored_blobs()
    assert digest_of(old["config.json"]) not in stored
    assert digest_of(b"old") not in stored
    assert {digest_of(content) for content in new.values()} < stored
    assert len(stored) == len(new) + 1


async def test_making_it_again_changes_nothing(registry: Registry) -> None:
    await registry.create("x", llama())
    before = (await registry.resolve("x")).spec.digest
    lines = await registry.create("x", llama())
    assert not [line for line in lines if line.startswith("creating")]
    assert (await registry.resolve("x")).spec.digest == before


async def test_a_blob_that_goes_during_the_write_undoes_it(registry: Registry) -> None:
    await registry.create("x", llama(), system="first")
    before = await registry.resolve("x")
    changed = llama(config__json=config(intermediate_size=300))
    registry.blob_service.lose_after_write = digest_of(changed["config.json"])
    with pytest.raises(InvalidModel, match="is not stored"):
        await registry.create("x", changed)
    assert await registry.resolve("x") == before
    registry.blob_service.lose_after_write = digest_of(changed["config.json"])
    with pytest.raises(InvalidModel, match="is not stored"):
        await registry.create("y", changed)
    assert await registry.names() == ["x:latest"]
