"""Manifests in a folder that are listed again and again."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from common.names import ModelName
from store.folder_manifests import FolderManifests
from store.interface import Manifest

MODELS = [ModelName.parse(f"team{number % 2}/model-{number}:1") for number in range(6)]
LATER = 10_000_000_000  # nanoseconds


@pytest.fixture
def manifests(tmp_path: Path) -> FolderManifests:
    """Some that were written long enough ago to be trusted not to change in silence."""
    found = FolderManifests(tmp_path / "manifests", tmp_path, lambda: time.time_ns() + LATER)
    for model in MODELS:
        found.write(model, str(model).encode())
    return found


def listed(manifests: FolderManifests) -> dict[ModelName, Manifest]:
    return {manifest.name: manifest for manifest in manifests.read_all()}


def file(tmp_path: Path, model: ModelName) -> Path:
    return tmp_path / "manifests" / model.path


def test_what_has_not_changed_is_not_read_again(manifests: FolderManifests) -> None:
    first, second = listed(manifests), listed(manifests)
    assert set(first) == set(MODELS)
    assert all(second[model] is first[model] for model in MODELS)


def test_what_has_just_changed_is_read_again(tmp_path: Path) -> None:
    manifests = FolderManifests(tmp_path / "manifests", tmp_path)
    manifests.write(MODELS[0], b"x")
    first, second = listed(manifests), listed(manifests)
    assert first == second
    assert first[MODELS[0]] is not second[MODELS[0]]


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"replaced")
    os.utime(other, ns=(0, path.stat().st_mtime_ns))
    other.replace(path)


def write_in_place(path: Path) -> None:
    with path.open("r+b") as opened:
        opened.truncate()
        opened.write(b"replaced")


@pytest.mark.parametrize("change", [replace, write_in_place])
def test_a_change_by_others_is_seen(
    manifests: FolderManifests, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    before = listed(manifests)
    time.sleep(0.02)
    change(file(tmp_path, MODELS[2]))
    after = listed(manifests)
    assert after[MODELS[2]].content == b"replaced"
    assert [model for model in MODELS if after[model] is not before[model]] == [MODELS[2]]


def test_what_comes_and_goes_is_seen(manifests: FolderManifests, tmp_path: Path) -> None:
    assert set(listed(manifests)) == set(MODELS)
    time.sleep(0.02)
    new = ModelName.parse("elsewhere/team/new:1")
    manifests.write(new, b"new")
    manifests.delete(MODELS[0])
    file(tmp_path, MODELS[1]).unlink()
    assert set(listed(manifests)) == {new, *MODELS[2:]}
    time.sleep(0.02)
    manifests.write(MODELS[0], b"again")
    assert listed(manifests)[MODELS[0]].content == b"again"


def test_other_spellings_are_found_in_every_part(manifests: FolderManifests) -> None:
    model = ModelName.parse("Team1/MODEL-1:1")
    assert list(manifests.names_like(model)) == [MODELS[1]]
    manifests.write(model, b"another")
    assert set(manifests.names_like(model)) == {MODELS[1], model}
    assert list(manifests.names_like(ModelName.parse("team1/model-1:2"))) == []
