"""What a container runtime does: a process in namespaces, with files where its manifest wants them.

Instead of an image it sees this machine's libraries, Python and the repository. The root is
read-only, and everything that can be written is a volume.
"""

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.k8s.rendering import ROOT
from tests.k8s_rollout.endpoints import DOMAIN
from tests.k8s_rollout.network import NAME_SERVER

_SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64", "usr")
_OF_ETC = ("passwd", "group", "ssl", "ld.so.cache", "localtime", "protocols", "services")
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NAMESPACES = ("--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc")

IMAGE_ENVIRONMENT = {
    "PATH": _PATH,
    "HOME": "/var/cache/paddock",
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONSAFEPATH": "1",
    "PYTHONPATH": str(ROOT),
}
"""As k8s/images sets it, but for where the code is."""


class Mount(NamedTuple):
    """A file or folder of this machine, and where the container sees it."""

    source: Path
    target: str
    read_only: bool = False


class Place(NamedTuple):
    """Where a pod's containers are."""

    folder: Path
    """Of its own, for what the kubelet writes."""
    network: str
    host_name: str
    domain: str
    """The namespace."""


class Process:
    """The first process of a container, and with it all others."""

    def __init__(self, outside: asyncio.subprocess.Process) -> None:
        self._outside = outside

    async def wait(self) -> int:
        """Wait until it has ended; give its status."""
        return await self._outside.wait()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; it may be gone."""
        pid = self._outside.pid
        with suppress(OSError):
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            for child in children:
                os.kill(int(child), number)


async def start_process(
    place: Place,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    volumes: Sequence[Mount],
    log: Path,
) -> Process:
    """Start a container's process, as Python, with arguments."""
    place.folder.mkdir(parents=True, exist_ok=True)
    script = "\n".join(_script(place, volumes))
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *("nsenter", f"--net=/run/netns/{place.network}", "unshare", *_NAMESPACES),
            *("sh", "-euc", script, "sh", sys.executable, *arguments),
            env={**IMAGE_ENVIRONMENT, "HOSTNAME": place.host_name, **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    return Process(process)


def _script(place: Place, volumes: Sequence[Mount]) -> Iterator[str]:
    """Lay the files out, and run what is given in there."""
    root = place.folder / "root"
    root.mkdir(exist_ok=True)
    yield f"mount -t tmpfs -o mode=755 tmpfs {root}"
    for mount in [*sorted(volumes, key=lambda it: it.target), *_image(place)]:
        target = shlex.quote(f"{root}{mount.target}")
        source = shlex.quote(str(mount.source))
        if mount.source.is_dir():
            yield f"mkdir -p {target}"
        else:
            yield f"mkdir -p {shlex.quote(str(Path(f'{root}{mount.target}').parent))}"
            yield f": >> {target}"
        yield f"mount --rbind {source} {target}"
        if mount.read_only:
            yield f"mount -o remount,bind,ro {target}"
    for name in _SYSTEM:
        if (link := Path("/") / name).is_symlink():
            yield f"ln -s {link.readlink()} {root}/{name}"
    yield f"mkdir -p {root}/proc"
    yield f"mount -t proc proc {root}/proc"
    yield f"echo {place.host_name} > /proc/sys/kernel/hostname"
    yield f"mount -o remount,ro {root}"
    yield f'exec chroot {root} "$@"'


def _image(place: Place) -> Iterator[Mount]:
    for path in [Path("/") / name for name in _SYSTEM] + [Path("/sys")]:
        if path.is_dir() and not path.is_symlink():
            yield Mount(path, str(path))
    for path in (ROOT, Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()):
        if not path.is_relative_to("/usr"):
            yield Mount(path, str(path))
    for name in _DEVICES:
        yield Mount(Path("/dev") / name, f"/dev/{name}")
    for name in _OF_ETC:
        if (path := Path("/etc") / name).exists():
            yield Mount(path.resolve(), str(path))
    files = {
        "resolv.conf": f"nameserver {NAME_SERVER}\n"
        f"search {place.domain}.svc.{DOMAIN} svc.{DOMAIN} {DOMAIN}\n"
        "options ndots:5\n",
        "hosts": f"127.0.0.1 localhost\n127.0.1.1 {place.host_name}\n",
        "nsswitch.conf": "hosts: files dns\n",
    }
    for name, text in files.items():
        written = place.folder / name
        written.write_text(text)
        yield Mount(written, f"/etc/{name}")
