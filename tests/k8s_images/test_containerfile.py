"""The Containerfile fits the tree, the manifests and what installs into it."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import install
from tests.k8s_images.containerfile import ROOT, is_given, lineage, read_stages

K8S = ROOT / "k8s"
STAGES = read_stages()
TARGETS = [name for name in STAGES if name.startswith("paddock")]
PACKAGES = ("protos", "common", "store", "services", "workers", "gateway", "cli")


def manifests() -> list[Any]:
    texts = [path.read_text() for path in K8S.rglob("*.yaml")]
    return [document for text in texts for document in yaml.load_all(text, yaml.CSafeLoader)]


def found(value: Any, key: str) -> list[Any]:
    """Give every value that a key has, however deep."""
    if isinstance(value, list):
        return [inner for item in value for inner in found(item, key)]
    if not isinstance(value, dict):
        return []
    own = [value[key]] if key in value else []
    return own + [inner for item in value.values() for inner in found(item, key)]


@pytest.mark.parametrize("stage", STAGES)
def test_what_a_stage_copies_is_there(stage: str) -> None:
    for copied in STAGES[stage].of("COPY"):
        *words, _ = copied.split()
        if words[0].startswith("--from="):
            source = words.pop(0).removeprefix("--from=")
            assert list(STAGES).index(source) < list(STAGES).index(stage)
            continue
        for word in words:
            assert (ROOT / word).exists()
            assert is_given(word) or word == "."


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_is_not_root_and_starts_without_a_shell(target: str) -> None:
    [*_, user] = STAGES[target].of("USER")
    [entrypoint] = [words for stage in lineage(STAGES, target) for words in stage.of("ENTRYPOINT")]
    [folder] = STAGES["runtime"].of("WORKDIR")
    python = Path(folder) / install.PYTHON.relative_to(install.ROOT)
    assert user == "65532:65532"
    assert json.loads(entrypoint) == [str(python)]
    assert STAGES[target].instructions[-1][0] == "USER", "something after it runs as that user"


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_has_the_packages_that_were_pinned_for_it(target: str) -> None:
    packages = "core" if target == "paddock" else target.rpartition("-")[2]
    *_, command = STAGES[target].of("RUN")
    assert re.findall(r"k8s\.images\.install (\w+)", command) == [packages]
    assert f"requirements/{packages}.txt requirements/" in STAGES[target].of("COPY")


def test_the_manifests_name_images_that_are_built() -> None:
    names = {image["name"] for images in found(manifests(), "images") for image in images}
    new_names = {
        image["newName"].rpartition("/")[2]
        for images in found(manifests(), "images")
        for image in images
    }
    used = {image for image in found(manifests(), "image") if isinstance(image, str)}
    assert new_names == set(TARGETS)
    assert used <= names


def test_the_manifests_run_the_user_that_owns_the_cache() -> None:
    users = found(manifests(), "runAsUser") + found(manifests(), "runAsGroup")
    assert users
    assert set(users) == {65532}


@pytest.mark.parametrize("folder", PACKAGES)
def test_packages_are_given_to_the_build_with_all_that_they_need(folder: str) -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        packaged = tomllib.load(file)["tool"]["setuptools"]["packages"]["find"]["include"]
    assert f"{folder}*" in packaged
    assert is_given(folder)
    # A wheel leaves out what is no module.
    others = [
        path
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyi", ".pyc", ".proto")
    ]
    assert others == []


@pytest.mark.parametrize(
    "path",
    [
        ".venv",
        ".git",
        "tests/k8s",
        "common/__pycache__",
        "protos/paddock/v1/blob_pb2.py",
        "protos/paddock/v1/blob_pb2_grpc.py",
        "k8s/base/blob.yaml",
    ],
)
def test_nothing_else_is_given_to_the_build(path: str) -> None:
    assert not is_given(path)
