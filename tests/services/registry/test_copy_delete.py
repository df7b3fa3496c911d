"""Copy, delete and list."""

import asyncio

import pytest

from common.errors import InvalidModel, InvalidName, InvalidRequest, ModelNotFound, PaddockError
from tests.services.registry.model_folders import config, llama
from tests.services.registry.running import Registry, digest_of

OTHER = llama(config__json=config(intermediate_size=300))


async def test_a_copy_is_the_same_model(registry: Registry) -> None:
    await registry.create("x", llama())
    await registry.copy("X", "me/y:v1")
    one, two = await registry.resolve("x"), await registry.resolve("me/y:v1")
    assert one.spec.digest == two.spec.digest
    await registry.delete("x")
    assert await registry.resolve("me/y:v1") == two
    await registry.delete("me/y:v1")
    assert registry.stored_blobs() == set()


async def test_a_copy_overwrites_in_silence(registry: Registry) -> None:
    await registry.create("x", llama())
    await registry.create("Y", OTHER)
    await registry.copy("x", "y")
    assert set(await registry.names()) == {"x:latest", "Y:latest"}
    assert (await registry.resolve("y")).spec.digest == (await registry.resolve("x")).spec.digest
    assert digest_of(OTHER["config.json"]) not in registry.stored_blobs()


async def test_a_copy_onto_itself(registry: Registry) -> None:
    await registry.create("x", llama())
    before = await registry.resolve("x")
    await registry.copy("x", "X:latest")
    assert await registry.resolve("x") == before
    assert await registry.names() == ["x:latest"]


@pytest.mark.parametrize(
    ("source", "destination", "error", "message"),
    [
        ("", "y", InvalidName, 'source "" is invalid'),
        ("a b", "y", InvalidName, 'source "a b" is invalid'),
        ("x", "", InvalidName, 'destination "" is invalid'),
        ("x", "a b", InvalidName, 'destination "a b" is invalid'),
        ("x", "y:cloud", InvalidName, 'destination "y:cloud" is invalid'),
        ("nobody", "y", ModelNotFound, 'model "nobody" not found'),
    ],
)
async def test_copies_that_fail(
    registry: Registry, source: str, destination: str, error: type[PaddockError], message: str
) -> None:
    await registry.create("x", llama())
    with pytest.raises(error) as raised:
        await registry.copy(source, destination)
    assert raised.value.message == message


async def test_an_incomplete_model_is_not_copied(registry: Registry) -> None:
    files = llama()
    await registry.create("x", files)
    registry.lose(digest_of(files["model.safetensors"]))
    with pytest.raises(InvalidModel, match="is not stored"):
        await registry.copy("x", "y")
    assert await registry.names() == ["x:latest"]


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("", InvalidRequest, "model is required"),
        ("a b", InvalidName, 'name "a b" is invalid'),
        ("x", ModelNotFound, "model 'x' not found"),
        ("x:cloud", ModelNotFound, "model 'x:cloud' not found"),
    ],
)
async def test_nothing_to_delete(
    registry: Registry, name: str, error: type[PaddockError], message: str
) -> None:
    with pytest.raises(error) as raised:
        await registry.delete(name)
    assert raised.value.message == message


async def test_deleting_keeps_what_others_need(registry: Registry) -> None:
    files = llama()
    await registry.create("x", files)
    await registry.create("y", OTHER)
    await registry.delete("Y")
    stored = registry.stored_blobs()
    assert {digest_of(content) for content in files.values()} < stored
    assert digest_of(OTHER["config.json"]) not in stored


@pytest.mark.parametrize("order", [("child", "parent"), ("parent", "child")])
async def test_the_last_that_needs_a_blob_takes_it_along(
    registry: Registry, order: tuple[str, str]
) -> None:
    await registry.create("parent", llama())
    await registry.create_from("child", "parent", system="You are a child.")
    await registry.delete(order[0])
    await registry.resolve(order[1])
    await registry.delete(order[1])
    assert registry.stored_blobs() == set()


async def test_grandchildren_free_their_blobs_in_any_order(registry: Registry) -> None:
    await registry.create("a", llama())
    await registry.create_from("b", "a", system="b")
    await registry.create_from("c", "b", system="c")
    await registry.copy("b", "d")
    for name in ("d", "b", "c"):
        await registry.delete(name)
    await registry.resolve("a")
    await registry.delete("a")
    assert registry.stored_blobs() == set()


async def test_two_deletes_at_once(registry: Registry) -> None:
    await registry.create("x", llama())
    results = await asyncio.gather(
        registry.delete("x"), registry.delete("x"), return_exceptions=True
    )
    assert any(result is None for result in results)
    assert all(result is None or isinstance(result, ModelNotFound) for result in results)
    assert await registry.names() == []


async def test_the_list_has_the_newest_first(registry: Registry) -> None:
    assert await registry.names() == []
    for name in ("b", "c", "a"):
        await registry.create(name, llama(), system=name)
    assert await registry.names() == ["a:latest", "c:latest", "b:latest"]
