"""One conversation with another registry, for a pull or a push."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager

import aiohttp
from yarl import URL

from common.errors import RegistryFailed
from services.registry.remote.authorization import Authorizer
from services.registry.remote.challenges import parse_challenges
from services.registry.remote.credentials import Credentials
from services.registry.remote.errors import connection_failure, refusal
from services.registry.remote.location import RegistryLocation
from services.registry.remote.transport import Body, Transport

_UNAUTHORIZED = 401
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 10


class RemoteSession:
    """Requests to the registry of one location, with its redirects and its credentials.

    `actions` is what is wanted of the repository: `pull`, or `pull,push`.

    A path goes to the registry. An absolute URL, such as one from a `Location` header, may
    lead to another host; credentials are sent to the registry alone, whatever redirects
    say. A session may be used by several tasks at once and need not be closed.

    Each request is sent once, and a second time when the registry asked for credentials.
    What may go well later raises `Transient`: wrap the whole `async with`, the reading of
    the answer included, in a function and hand that to `retries.with_retries`.
    """

    def __init__(
        self,
        location: RegistryLocation,
        transport: Transport,
        credentials: Credentials | None,
        actions: str = "pull",
    ) -> None:
        self.location = location
        self._transport = transport
        self._bases = [URL(base) for base in location.base_urls]
        scope = f"repository:{location.repository}:{actions}"
        self._authorizer = Authorizer(transport, credentials, scope)

    @asynccontextmanager
    async def request(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        data: Body | None = None,
        expect: Collection[int] = (200,),
        follow: bool | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request and give the answer, whose body is yet to be read.

        Args:
            method: the HTTP method.
            target: a path at the registry, or an absolute URL.
            headers: more of them; `Authorization` is added here.
            data: the body; a function makes it anew when it has to be sent again.
            expect: the statuses that are answers; any other raises.
            follow: whether redirects are followed, 10 at most. By default those of GET and
                HEAD are. The answer's `url` tells where that led.

        Raises:
            Unauthorized: the registry wants other credentials.
            RemoteNotFound: it answered 404.
            Transient: it cannot be reached, broke off, paused for too long or has too much
                to do; also raised while the body is being read inside of the `async with`.
            RegistryFailed: any other status, or redirects without end.
        """
        followed = method in ("GET", "HEAD") if follow is None else follow
        try:
            response = await self._answer(method, target, dict(headers or {}), data, followed)
            async with response:
                if response.status not in expect:
                    raise await refusal(response)
                yield response
        except (aiohttp.ClientError, ConnectionError) as error:
            raise connection_failure(self.location.host, error) from error

    def url(self, target: str) -> URL:
        """Give the whole URL of a path at the registry, or a URL as it is."""
        if "://" in target:
            return URL(target, encoded=True)
        base = self._bases[0]
        return URL(f"{str(base).rstrip('/')}{target}", encoded=True)

    async def _answer(
        self, method: str, target: str, headers: dict[str, str], data: Body | None, follow: bool
    ) -> aiohttp.ClientResponse:
        response = await self._first_answer(method, target, headers, data)
        for _ in range(_MAX_REDIRECTS):
            if not (follow and response.status in _REDIRECTS):
                return response
            url = self._redirection(response)
            response.close()
            response = await self._send(method, url, headers, data)
        if follow and response.status in _REDIRECTS:
            response.close()
            raise RegistryFailed(f"maximum redirects exceeded ({_MAX_REDIRECTS})")
        return response

    async def _first_answer(
        self, method: str, target: str, headers: dict[str, str], data: Body | None
    ) -> aiohttp.ClientResponse:
        """Send to the registry, which may turn out to speak plain HTTP only."""
        while True:
            base = self._bases[0]
            try:
                return await self._send(method, self.url(target), headers, data)
            except aiohttp.ClientConnectorError:
                if base == self._bases[-1]:
                    raise
                self._bases = [each for each in self._bases if each != base]

    async def _send(
        self, method: str, url: URL, headers: dict[str, str], data: Body | None
    ) -> aiohttp.ClientResponse:
        if url.origin() != self._bases[0].origin():
            return await self._transport.send(method, url, headers, data)
        used = self._authorizer.header
        response = await self._transport.send(method, url, _with(headers, used), data)
        if response.status != _UNAUTHORIZED:
            return response
        challenges = parse_challenges(response.headers.getall("WWW-Authenticate", []))
        if not await self._authorizer.answer(challenges, self._bases[0], used):
            return response
        response.close()
        return await self._transport.send(
            method, url, _with(headers, self._authorizer.header), data
        )

    def _redirection(self, response: aiohttp.ClientResponse) -> URL:
        location = response.headers.get("Location")
        if not location:
            raise RegistryFailed("http: no Location header in response")
        try:
            url = response.url.join(URL(location, encoded=True))
            _ = url.port  # which may be no port at all
        except ValueError as error:
            raise RegistryFailed("the registry redirects to no URL") from error
        downgraded = response.url.scheme == "https" and url.scheme == "http"
        allowed = ("https",) if downgraded and not self.location.insecure else ("http", "https")
        if url.scheme not in allowed or not url.host:
            raise RegistryFailed(f"the registry redirects to {url.scheme or 'no'} URLs")
        return url


def _with(headers: dict[str, str], authorization: str) -> dict[str, str]:
    return {**headers, "Authorization": authorization} if authorization else headers
