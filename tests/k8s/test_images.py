"""The images that overlays name are those that k8s/images makes, of this version."""

import re
import tomllib

import pytest

from tests.k8s.rendering import K8S, ROOT, Combination, render

IMAGES = K8S / "images" / "Containerfile"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


@pytest.mark.parametrize("overlay", sorted(path.name for path in (K8S / "overlays").iterdir()))
def test_every_image_has_a_target_and_this_version(
    overlay: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    targets = set(re.findall(r"^FROM .+ AS (\S+)$", IMAGES.read_text(), re.MULTILINE))
    manifests = render(Combination(overlay), tmp_path_factory.mktemp("overlay"))
    for image in {container.spec["image"] for container in manifests.containers}:
        path, _, tag = image.rpartition(":")
        assert path.rpartition("/")[2] in targets
        assert tag == VERSION


def test_images_run_python_as_who_the_pods_are() -> None:
    text = IMAGES.read_text()
    assert re.search(r'^ENTRYPOINT \["\S*python[\d.]*"\]$', text, re.MULTILINE)
    assert set(re.findall(r"^USER (\S+)$", text, re.MULTILINE)) <= {"65532", "65532:65532"}
