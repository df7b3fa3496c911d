"""Processes in an image, contained as Kubernetes would with our manifests, but for the network.

They are the first process of their PID namespace, not root, without a right to become it, and
what they see of the image is read-only.
"""

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

# The mounts are in a namespace of their own, and gone with it.
_CONTAIN = """
set -e
root=$1 user=$2; shift 2
mount --bind "$root" "$root"
while [ "$1" != -- ]; do
    mount --bind "$1" "$root$2"
    shift 2
done
shift
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/tmp"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/dev/shm"
exec setpriv --no-new-privs chroot --userspec="$user" --groups= "$root" "$@"
"""
_NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--ipc", "--uts")


@dataclass(frozen=True)
class Image:
    """An image whose files lie in a folder."""

    root: Path
    user: str
    entrypoint: Sequence[str]
    environment: Mapping[str, str]
    labels: Mapping[str, str]


@contextmanager
def mounted(name: str) -> Iterator[Image]:
    """Lay an image of buildah's out, for as long as it is needed."""
    config = json.loads(_buildah("inspect", "--type", "image", name))["OCIv1"]["config"]
    container = _buildah("from", "--pull-never", name)
    try:
        yield Image(
            Path(_buildah("mount", container)),
            config["User"],
            config["Entrypoint"],
            dict(variable.split("=", 1) for variable in config["Env"]),
            config["Labels"],
        )
    finally:
        _buildah("rm", container)


@dataclass(frozen=True)
class Contained:
    """A process that runs in an image."""

    outside: "subprocess.Popen[bytes]"
    log: Path

    @property
    def first(self) -> psutil.Process:
        """What is process 1 in there."""
        [child] = psutil.Process(self.outside.pid).children()
        return child

    @property
    def has_ended(self) -> bool:
        """Whether it is gone."""
        return self.outside.poll() is not None

    def terminate(self, seconds: float) -> int:
        """Ask it to leave, as Kubernetes does, and give the status with which it left."""
        self.first.send_signal(signal.SIGTERM)
        return self.outside.wait(seconds)


@contextmanager
def running(
    image: Image,
    arguments: Sequence[str],
    variables: Mapping[str, str],
    volumes: Mapping[Path, str],
    log: Path,
) -> Iterator[Contained]:
    """Run an image with arguments; at the end nothing of it is left.

    `volumes` are folders out here by where they are in there, and belong to the image's user.
    """
    user, _, group = image.user.partition(":")
    mounts = []
    for folder, path in volumes.items():
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, int(user), int(group))
        (image.root / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
        mounts += [str(folder), path]
    script = ("sh", "-c", _CONTAIN, "sh", str(image.root), image.user, *mounts, "--")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*_NAMESPACES, *script, *image.entrypoint, *arguments],
            env={**image.environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield Contained(process, log)
    finally:
        _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Kill all that is in a PID namespace: its first process takes the others along."""
    with suppress(psutil.NoSuchProcess):
        for first in psutil.Process(process.pid).children():
            first.kill()
    process.wait()


def _buildah(*arguments: str) -> str:
    done = subprocess.run(["buildah", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
