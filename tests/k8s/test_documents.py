"""docs/kubernetes.md says what is there, and what it shows works."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.k8s.checks import CHECKS
from tests.k8s.manifests import Manifests
from tests.k8s.metric_names import exported_metrics
from tests.k8s.rendering import K8S, ROOT

PAGE = (ROOT / "docs" / "kubernetes.md").read_text()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of k8s/ with the reader's own overlay in it."""
    shutil.copytree(K8S, tmp_path / "k8s")
    [overlay] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    [folder] = re.findall(r"Copy this to\s+`(k8s/overlays/\w+)/kustomization\.yaml`", PAGE)
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "kustomization.yaml").write_text(overlay)
    return tmp_path


def test_what_it_renders_is_in_order(tree: Path) -> None:
    commands = re.findall(r"^kubectl kustomize .+$", PAGE, re.MULTILINE)
    assert commands
    for command in commands:
        done = subprocess.run(
            shlex.split(command), cwd=tree, capture_output=True, text=True, check=True
        )
        manifests = Manifests(list(yaml.load_all(done.stdout, yaml.CSafeLoader)))
        assert [problem for check in CHECKS.values() for problem in check(manifests)] == []
        assert "registry.example.com" not in done.stdout


def test_everything_that_it_applies_is_there(tree: Path) -> None:
    applied = re.findall(r"^kubectl apply -k (\S+)", PAGE, re.MULTILINE)
    assert applied
    assert all((tree / folder / "kustomization.yaml").exists() for folder in applied)


def test_every_overlay_and_component_is_described_and_no_other() -> None:
    described = re.findall(r"^\| `((?:base|overlays|components)\S*)` \|", PAGE, re.MULTILINE)
    found = {str(path.parent.relative_to(K8S)) for path in K8S.rglob("kustomization.yaml")}
    assert set(described) == found


def test_every_metric_is_described_and_no_other() -> None:
    described = re.findall(r"^\| `(paddock_\w+)` \|", PAGE, re.MULTILINE)
    exported = {
        series[0] if series[0].endswith("_total") else name
        for name, series in exported_metrics().items()
    }
    assert set(described) == exported


def test_every_metric_that_is_named_somewhere_exists() -> None:
    known = {name for series in exported_metrics().values() for name in series}
    known |= exported_metrics().keys()
    named = set(re.findall(r"`(paddock_\w+)`", PAGE))
    assert named <= known
