"""What `kubectl kustomize` makes of the folders in k8s/, alone and combined."""

import os
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import yaml

from tests.k8s.manifests import Manifests

ROOT = Path(__file__).parents[2]
K8S = ROOT / "k8s"

# What may be added to each of the two that stand alone. KEDA's is an overlay of its own.
COMPONENTS = {
    "local": ["ingress", "monitoring", "tls"],
    "gpu": [
        "autoscaling",
        "ingress",
        "monitoring",
        "multi-gpu",
        "multi-node",
        "tls",
        "workload-identity",
    ],
}


class Combination(NamedTuple):
    """An overlay and the components that are added to it."""

    overlay: str
    components: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "+".join((self.overlay, *self.components))


def combinations_to_check() -> list[Combination]:
    """Give every overlay, and with each of the two basic ones no, each, every two, all components.

    The order of components is the alphabet's.
    """
    found = {Combination(path.parent.name) for path in K8S.glob("overlays/*/kustomization.yaml")}
    for overlay, components in COMPONENTS.items():
        for count in (1, 2, len(components)):
            found.update(Combination(overlay, chosen) for chosen in combinations(components, count))
    return sorted(found)


def render(combination: Combination, folder: Path, k8s: Path = K8S) -> Manifests:
    """Render a combination, with an overlay of its own in a folder where it needs one.

    Raises:
        RenderingFailed: kubectl is not there, or refuses.
    """
    overlay = k8s / "overlays" / combination.overlay
    if combination.components:
        overlay = _overlay(combination, folder, k8s)
    return Manifests(list(yaml.load_all(kustomize(overlay), yaml.CSafeLoader)))


class RenderingFailed(AssertionError):
    """Manifests cannot be rendered."""


def kustomize(folder: Path) -> str:
    """Give the text that `kubectl kustomize` prints.

    Raises:
        RenderingFailed: see `render`.
    """
    kubectl = shutil.which("kubectl")
    if not kubectl:
        raise RenderingFailed(
            "kubectl is needed to check the manifests: https://kubernetes.io/docs/tasks/tools/"
        )
    done = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True)
    if done.returncode:
        raise RenderingFailed(f"{folder} cannot be rendered: {done.stderr}")
    return done.stdout


def _overlay(combination: Combination, folder: Path, k8s: Path) -> Path:
    made = folder.resolve() / str(combination)
    made.mkdir()
    above = os.path.relpath(k8s.resolve(), made)
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "paddock",
        "resources": [f"{above}/overlays/{combination.overlay}"],
        "components": [f"{above}/components/{name}" for name in combination.components],
    }
    (made / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return made
