"""HTTP as all sessions with other registries use it."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from common.errors import RegistryFailed
from services.registry.remote.errors import connection_failure

Body: TypeAlias = bytes | Callable[[], AsyncIterator[bytes | memoryview]]
"""A request's body, or what makes it anew for each try."""

_READ_BUFFER = 256 * 1024
_HEADERS = {"User-Agent": "paddock", "Accept-Encoding": "identity"}


@dataclass(frozen=True)
class Transport:
    """Sends single requests: no redirects, no credentials but those given."""

    http: aiohttp.ClientSession
    insecure: bool
    stall_timeout: float
    """Seconds for a connection to be made, and between two pieces of an answer."""

    async def send(
        self, method: str, url: URL, headers: Mapping[str, str], data: Body | None = None
    ) -> aiohttp.ClientResponse:
        """Send a request and give the answer as soon as its header is there.

        Raises:
            aiohttp.ClientConnectorError: no connection could be made.
            Transient: the connection failed later, or nothing came for too long.
            RegistryFailed: the URL is none that can be asked.
        """
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=self.stall_timeout, sock_read=self.stall_timeout
        )
        plain = url.with_user(None).with_fragment(None)
        # A header may trickle in as well as a body can.
        patience = 2 * self.stall_timeout if data is None else None
        try:
            async with asyncio.timeout(patience):
                return await self.http.request(
                    method,
                    plain,
                    headers={**_HEADERS, **headers},
                    data=data() if callable(data) else data,
                    allow_redirects=False,
                    ssl=not self.insecure,
                    proxy=_proxy(plain),
                    timeout=timeout,
                )
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            raise connection_failure(url.authority, error) from error
        except ValueError as error:
            raise RegistryFailed("the registry names no usable address") from error

    async def read(self, response: aiohttp.ClientResponse, limit: int) -> bytes:
        """Read a small answer to its end, or so many bytes of it.

        Raises:
            Transient: it takes too long, or breaks off.
        """
        content = bytearray()
        try:
            async with asyncio.timeout(self.stall_timeout):
                async for piece in response.content.iter_any():
                    content += piece
                    if len(content) >= limit:
                        break
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            raise connection_failure(response.url.authority, error) from error
        return bytes(content[:limit])


def open_http() -> aiohttp.ClientSession:
    """Open what keeps the connections of all transports."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, limit_per_host=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        read_bufsize=_READ_BUFFER,
    )


def _proxy(url: URL) -> str | None:
    """Find the proxy that the environment names for a URL; this machine needs none."""
    if not url.host or _is_loopback(url.host) or proxy_bypass(url.host):
        return None
    return getproxies().get(url.scheme)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
