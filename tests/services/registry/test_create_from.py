"""Models made from other models."""

import pytest

from common.errors import InvalidModel, InvalidName, InvalidRequest, ModelNotFound
from protos.paddock.v1.generation_pb2 import Message
from tests.services.registry.model_folders import llama
from tests.services.registry.running import Registry, digest_of


async def test_it_takes_over_what_it_does_not_change(registry: Registry) -> None:
    await registry.create(
        "base",
        llama(),
        system="Be brief.",
        parameters_json='{"temperature":0.5,"stop":["A","B"]}',
        messages=[Message(role="user", content="Hi")],
        licenses=["MIT"],
    )
    base = await registry.resolve("base")
    lines = await registry.create_from("heir", "BASE")
    assert lines[0] == "reading model metadata"
    assert lines[-1] == "success"
    heir = await registry.resolve("heir")
    assert heir.spec.weights == base.spec.weights
    assert heir.spec.digest != base.spec.digest
    assert heir.spec.files == base.spec.files
    assert heir.spec.capabilities == base.spec.capabilities
    assert heir.spec.details.parent_model == "base:latest"
    assert heir.system == base.system
    assert heir.parameters == base.parameters
    assert heir.messages == base.messages


async def test_it_merges_what_it_changes(registry: Registry) -> None:
    await registry.create(
        "base",
        llama(),
        system="old",
        parameters_json='{"temperature":0.5,"stop":["A","B"]}',
        messages=[Message(role="user", content="old")],
        licenses=["MIT"],
    )
    await registry.create_from(
        "base",
        "base",
        system="new",
        parameters_json='{"top_k":7,"stop":["C"]}',
        messages=[Message(role="user", content="new")],
        licenses=["Apache", "MIT"],
    )
    resolved = await registry.resolve("base")
    assert resolved.system == "new"
    assert resolved.parameters.temperature == 0.5
    assert resolved.parameters.top_k == 7
    assert list(resolved.parameters.stop) == ["C"]
    assert [message.content for message in resolved.messages] == ["new"]
    assert list((await registry.show("base")).licenses) == ["MIT", "Apache"]
    assert digest_of(b"old") not in registry.stored_blobs()


async def test_it_keeps_or_replaces_what_the_config_blob_says(registry: Registry) -> None:
    await registry.create("base", llama(), renderer="a", parser="b", requires="0.1.0")
    await registry.create_from("heir", "base", parser="c")
    shown = await registry.show("heir")
    assert (shown.renderer, shown.parser, shown.requires) == ("a", "c", "0.1.0")
    assert (await registry.resolve("heir")).spec.parser == "c"


async def test_capabilities_follow_the_template(registry: Registry) -> None:
    files = llama(chat_template__jinja=b"{% if tools %}{{ tools }}{% endif %}")

    async def capabilities(name: str) -> list[str]:
        return list((await registry.resolve(name)).spec.capabilities)

    await registry.create("base", files)
    assert await capabilities("base") == ["completion", "tools"]
    await registry.create_from("inserting", "base", template="{{ .Prompt }}{{ .Suffix }}")
    assert await capabilities("inserting") == ["completion", "insert"]
    await registry.create_from("again", "inserting", system="Be brief.")
    assert await capabilities("again") == ["completion", "insert"]
    await registry.create_from("own", "again", template="")
    assert await capabilities("own") == ["completion", "tools"]
    assert (await registry.resolve("own")).template == ""


async def test_a_template_that_is_wrong_changes_nothing(registry: Registry) -> None:
    await registry.create("base", llama())
    before = registry.stored_blobs()
    with pytest.raises(InvalidRequest, match=r"^template error: "):
        await registry.create_from("heir", "base", template="{{ if .X }}{{")
    assert await registry.names() == ["base:latest"]
    assert registry.stored_blobs() == before


async def test_an_empty_system_takes_it_away(registry: Registry) -> None:
    await registry.create("base", llama(), system="old")
    await registry.create_from("heir", "base", system="")
    assert (await registry.resolve("heir")).system == ""


async def test_the_base_can_go(registry: Registry) -> None:
    files = llama()
    await registry.create("base", files)
    await registry.create_from("heir", "base", system="Be brief.")
    await registry.delete("base")
    assert {digest_of(content) for content in files.values()} < registry.stored_blobs()
    assert (await registry.show("heir")).system == "Be brief."
    await registry.delete("heir")
    assert registry.stored_blobs() == set()


async def test_a_base_that_is_not_stored(registry: Registry) -> None:
    with pytest.raises(ModelNotFound, match="model 'nobody' not found"):
        await registry.create_from("x", "nobody")
    with pytest.raises(ModelNotFound, match="model 'x:cloud' not found"):
        await registry.create_from("x", "x:cloud")
    with pytest.raises(InvalidName, match="invalid model name"):
        await registry.create_from("x", "a b")


async def test_a_base_that_lost_a_blob(registry: Registry) -> None:
    files = llama()
    await registry.create("base", files)
    registry.lose(digest_of(files["tokenizer.json"]))
    with pytest.raises(InvalidModel, match="model 'base' is incomplete"):
        await registry.create_from("heir", "base")
    assert await registry.names() == ["base:latest"]
