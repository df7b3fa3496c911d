"""All manifests as messages: in pages, each made once while it is the same."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from common.names import ModelName
from services.blob.manifest_pages import ManifestPages
from store.folder import FolderStore
from store.interface import Manifest

NOON = datetime(2026, 1, 1, 12, 0, 0, 250_000, UTC)


class Given(FolderStore):
    """Knows the manifests that a test gives it."""

    manifests: list[Manifest]

    def known_manifests(self) -> list[Manifest]:
        return list(self.manifests)


@pytest.fixture
def store(tmp_path: Path) -> Given:
    store = Given(tmp_path)
    store.manifests = [
        Manifest(ModelName.parse(f"team/m{number}:1"), b"%d" % number, NOON)
        for number in range(450)
    ]
    return store


def contents(pages: ManifestPages) -> list[list[bytes]]:
    return [[each.content for each in page.manifests] for page in pages.make()]


def test_every_manifest_is_in_a_page(store: Given) -> None:
    first, *_, last = ManifestPages(store).make()
    assert len(first.manifests) == 200
    assert len(last.manifests) == 50
    assert ModelName.from_proto(last.manifests[-1].name) == ModelName.parse("team/m449:1")
    assert last.manifests[-1].content == b"449"
    assert last.manifests[-1].modified_at.ToDatetime(UTC) == NOON


def test_pages_of_large_manifests_have_few(store: Given) -> None:
    store.manifests = [replace(each, content=bytes(700_000)) for each in store.manifests[:5]]
    assert [len(page) for page in contents(ManifestPages(store))] == [2, 2, 1]


def test_no_manifests_are_no_pages(store: Given) -> None:
    store.manifests = []
    assert contents(ManifestPages(store)) == []


def test_only_what_has_changed_is_made_again(store: Given) -> None:
    pages = ManifestPages(store)
    before = list(pages.make())
    store.manifests[210] = replace(store.manifests[210], content=b"changed")
    after = list(pages.make())
    assert [new is old for new, old in zip(after, before, strict=True)] == [True, False, True]
    assert after[1].manifests[10].content == b"changed"
    store.manifests.pop()
    assert contents(pages)[2][-1] == b"448"
    store.manifests = store.manifests[:100]
    assert [len(page) for page in contents(pages)] == [100]
