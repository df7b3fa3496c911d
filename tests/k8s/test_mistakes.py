"""Mistakes that one could make in k8s/ are found: the checks can fail, each in several ways."""

import shutil
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.k8s.checks import CHECKS
from tests.k8s.manifests import Manifests, Object
from tests.k8s.mistakes import KEDA, LARGE, MISTAKES, PRODUCTION, Mistake
from tests.k8s.rendering import K8S, Combination, RenderingFailed, kustomize, render


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_it_is_found(mistake: Mistake, tmp_path: Path) -> None:
    shutil.copytree(K8S, tmp_path / "k8s")
    file = tmp_path / "k8s" / mistake.file
    text = file.read_text()
    assert mistake.right in text
    file.write_text(text.replace(mistake.right, mistake.wrong, 1))
    manifests = render(mistake.combination, tmp_path, tmp_path / "k8s")
    assert mistake.found in "\n".join(CHECKS[mistake.check](manifests))


def test_what_kubectl_refuses_is_told(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: [nothing.yaml]\n")
    with pytest.raises(RenderingFailed, match=r"nothing\.yaml"):
        kustomize(tmp_path)


def test_without_kubectl_the_check_fails_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RenderingFailed, match="kubectl is needed"):
        kustomize(K8S / "overlays" / "local")


def test_every_check_is_known_to_fail() -> None:
    assert {mistake.check for mistake in MISTAKES.values()} == CHECKS.keys()


@pytest.mark.parametrize("combination", [KEDA, LARGE, PRODUCTION], ids=str)
def test_no_field_may_be_invented_anywhere(combination: Combination, tmp_path: Path) -> None:
    manifests = render(combination, tmp_path)
    others = [found for found in manifests.objects if "." in found["apiVersion"]]
    assert others
    for found in others:
        for place in places(found["spec"], ()):
            wrong = deepcopy(found)
            at(wrong["spec"], place)["nonsense"] = "x"
            assert list(CHECKS["schemas"](Manifests([wrong]))), (found["kind"], place)


# Maps, and what Kubernetes's own schemas are for.
_FREE = {"labels", "annotations", "matchLabels", "leaderTemplate", "workerTemplate"}


def places(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    """Give the paths of all objects whose fields are not free."""
    if isinstance(value, dict):
        yield path
        for key in value.keys() - _FREE:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from places(item, (*path, number))


def at(value: Any, path: tuple[str | int, ...]) -> Object:
    """Give the object at a path."""
    for step in path:
        value = value[step]
    found: Object = value
    return found
