"""Namespaces for a whole test run: a user who may do everything in them, and nothing outside."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

_UNSHARE = (
    "unshare",
    *("--user", "--map-root-user", "--net", "--mount", "--pid", "--fork"),
    *("--kill-child", "--mount-proc"),
)
# `ip netns` keeps its namespaces in /run.
_PREPARE = 'mount -t tmpfs tmpfs /run && ip link set lo up && exec "$@"'
# What a pod takes.
_TRY = (
    "ip link add pods type bridge && ip netns add pod"
    " && ip link add pod0 type veth peer name eth0 netns pod"
    " && nsenter --net=/run/netns/pod unshare --mount --pid --fork --uts --ipc true"
)


def command(arguments: Sequence[str]) -> list[str]:
    """Give what runs a command in namespaces of its own."""
    return [*_UNSHARE, "sh", "-c", _PREPARE, "sh", *arguments]


def refusal() -> str:
    """Say why this machine has no such namespaces; nothing where it has."""
    try:
        done = subprocess.run(command(("sh", "-c", _TRY)), capture_output=True, text=True)
    except FileNotFoundError as error:
        return str(error)
    return done.stderr.strip() or f"status {done.returncode}" if done.returncode else ""


def start(arguments: Sequence[str], folder: Path, output: Path) -> "subprocess.Popen[bytes]":
    """Start a command in there and in a folder; all that it says goes into a file."""
    with output.open("wb") as file:
        return subprocess.Popen(
            command(arguments), cwd=folder, stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )
