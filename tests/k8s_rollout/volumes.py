"""The volumes of a pod: folders of this machine."""

from pathlib import Path

from tests.k8s.manifests import Manifests, Object
from tests.k8s_rollout.container_environment import MissingReference, content_of
from tests.k8s_rollout.sandbox import Mount

_CONTENTS = {"secret": ("Secret", "secretName"), "configMap": ("ConfigMap", "name")}


def mounts_of(
    container: Object, volumes: list[Object], manifests: Manifests, own: Path, claims: Path
) -> list[Mount]:
    """Make the folders of what a container mounts.

    `own` is the pod's, `claims` has those that outlive it.

    Raises:
        MissingReference: a volume names something that is not there.
    """
    by_name = {volume["name"]: volume for volume in volumes}
    return [
        Mount(
            _folder(by_name[mount["name"]], manifests, own, claims),
            mount["mountPath"],
            mount.get("readOnly", False),
        )
        for mount in container.get("volumeMounts", [])
    ]


def _folder(volume: Object, manifests: Manifests, own: Path, claims: Path) -> Path:
    if claim := volume.get("persistentVolumeClaim"):
        folder = claims / str(claim["claimName"])
    else:
        folder = own / "volumes" / str(volume["name"])
    folder.mkdir(parents=True, exist_ok=True)
    for source, (kind, key) in _CONTENTS.items():
        if source in volume:
            _write(kind, volume[source][key], manifests, folder)
    return folder


def _write(kind: str, name: str, manifests: Manifests, folder: Path) -> None:
    found = manifests.named(kind, name)
    if not found:
        raise MissingReference(f"{kind} {name}")
    for key, value in content_of(found).items():
        (folder / key).write_text(value)
