"""Finding workers: addresses that are given, and names that stand for several.

`dns:workers:50061` (or `dns:///workers:50061`) stands for every address behind a name, such
as a headless service of Kubernetes. A name is looked up again and again.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable

from common.errors import InvalidRequest

logger = logging.getLogger(__name__)

_PREFIX = "dns:"
# Seconds: nobody's name server is to be asked all the time.
_SHORTEST_INTERVAL = 0.01

Lookup = Callable[[str, int], Awaitable[list[str]]]
"""Gives the addresses, as host:port, behind a name and a port; OSError: it cannot tell."""


async def resolve(name: str, port: int) -> list[str]:
    """Look a name up as the system does, IPv4 and IPv6."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return [
        f"[{address[0]}]:{port}" if family == socket.AF_INET6 else f"{address[0]}:{port}"
        for family, _, _, _, address in found
    ]


class Discovery:
    """Keeps the addresses of all workers.

    A lookup that fails or finds nothing changes nothing: workers outlive their name server.

    Raises:
        InvalidRequest: an address is wrong.
    """

    def __init__(self, addresses: Iterable[str], lookup: Lookup, interval: float) -> None:
        self._lookup = lookup
        self._interval = max(interval, _SHORTEST_INTERVAL)
        self._given: list[str] = []
        self._found: dict[tuple[str, int], list[str]] = {}
        for address in addresses:
            if address.startswith(_PREFIX):
                self._found[_split(address)] = []
            else:
                self._given.append(address)

    @property
    def named(self) -> list[str]:
        """The addresses of all workers, as far as they are known."""
        found = [address for addresses in self._found.values() for address in addresses]
        return list(dict.fromkeys([*self._given, *found]))

    async def follow(self, changed: Callable[[], None]) -> None:
        """Look the names up until cancelled, and tell of changes; of the beginning as well."""
        changed()
        async with asyncio.TaskGroup() as group:
            for name, port in self._found:
                group.create_task(self._follow(name, port, changed), name=f"look up {name}")

    async def _follow(self, name: str, port: int, changed: Callable[[], None]) -> None:
        failed = ""
        while True:
            failure = ""
            try:
                found = sorted(set(await self._lookup(name, port)))
                failure = "" if found else "no addresses"
            except (OSError, UnicodeError) as error:
                failure = str(error)
            if failure:
                if failure != failed:
                    logger.warning("cannot look up workers at %s: %s", name, failure)
            elif found != self._found[name, port]:
                logger.info("workers at %s: %s", name, ", ".join(found))
                self._found[name, port] = found
                changed()
            failed = failure
            await asyncio.sleep(self._interval)


def _split(address: str) -> tuple[str, int]:
    name, _, port = address.removeprefix(_PREFIX).lstrip("/").rpartition(":")
    if not name or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise InvalidRequest(f'invalid address "{address}": want dns:name:port')
    return name.strip("[]"), int(port)
