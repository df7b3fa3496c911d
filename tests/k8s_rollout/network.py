"""The network of the cluster: a bridge, and for each pod a namespace with an address of its own.

Made with `ip`, in the namespace of this process, which is the node; there, Services have their
addresses.
"""

import asyncio
import itertools

BRIDGE = "10.244.0.1"
NAME_SERVER = "10.96.0.10"


class Network:
    """Gives pods and Services their addresses; none is given twice."""

    def __init__(self) -> None:
        self._pods = itertools.count(2)
        self._services = itertools.count(100)

    async def start(self) -> None:
        """Make the bridge, and the address of the name server."""
        await ip(
            "link add pods type bridge",
            f"address add {BRIDGE}/16 dev pods",
            "link set pods up",
            f"address add {NAME_SERVER}/32 dev lo",
        )

    async def add_service(self) -> str:
        """Give an address of this node to a Service, or to something outside of the cluster."""
        address = f"10.96.0.{next(self._services)}"
        await ip(f"address add {address}/32 dev lo")
        return address

    async def add_pod(self, namespace: str) -> str:
        """Make a network namespace; give its address."""
        number = next(self._pods)
        address = f"10.244.{number // 256}.{number % 256}"
        await ip(
            f"netns add {namespace}",
            f"link add pod{number} type veth peer name eth0 netns {namespace}",
            f"link set pod{number} master pods up",
        )
        await ip(
            "link set lo up",
            f"address add {address}/16 dev eth0",
            "link set eth0 up",
            f"route add default via {BRIDGE}",
            namespace=namespace,
        )
        return address

    async def remove_pod(self, namespace: str) -> None:
        """Remove a network namespace: packets to its address get no answer."""
        await ip(f"netns delete {namespace}")


async def ip(*commands: str, namespace: str = "") -> None:
    """Run commands of iproute2.

    Raises:
        RuntimeError: one is refused.
    """
    where = ("-n", namespace) if namespace else ()
    process = await asyncio.create_subprocess_exec(
        "ip",
        *where,
        *("-batch", "-"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate("\n".join(commands).encode())
    if process.returncode:
        raise RuntimeError(f"{commands}: {output.decode()}")
