"""Answers a registry's challenges: Bearer tokens and Basic.

Tokens come from the place that the challenge names (distribution.github.io/distribution,
"Token Authentication Specification"). It may be another host: that is how registries
delegate, and the credentials that were given for the registry are meant for it.
"""

import asyncio
from typing import Any

import aiohttp
import orjson
from yarl import URL

from common.errors import RegistryFailed, Unauthorized
from services.registry.remote.challenges import Challenge
from services.registry.remote.credentials import Credentials
from services.registry.remote.errors import refusal
from services.registry.remote.transport import Transport

_OK = 200
_MAX_ANSWER = 256 * 1024


class Authorizer:
    """Knows what to put into `Authorization` for one registry and one repository."""

    def __init__(self, transport: Transport, credentials: Credentials | None, scope: str) -> None:
        self._transport = transport
        self._credentials = credentials
        self._scope = scope
        self._asking = asyncio.Lock()
        self.header = f"Bearer {credentials.token}" if credentials and credentials.token else ""
        """The value for the next request; empty for none."""

    async def answer(self, challenges: list[Challenge], base: URL, refused: str) -> bool:
        """Find another value for the header than the one that was refused.

        Gives False when there is none.

        Raises:
            RegistryFailed: the place that gives tokens fails, or may not be asked.
        """
        async with self._asking:
            if self.header != refused:
                return True  # another request has found one meanwhile
            found = await self._find(challenges, base)
            self.header = found or self.header
            return bool(found) and found != refused

    async def _find(self, challenges: list[Challenge], base: URL) -> str:
        for challenge in challenges:
            if challenge.scheme == "bearer" and "realm" in challenge.parameters:
                return f"Bearer {await self._token(challenge.parameters, base)}"
        if any(challenge.scheme == "basic" for challenge in challenges):
            return self._basic()
        return ""

    def _basic(self) -> str:
        return self._credentials.basic if self._credentials and self._credentials.username else ""

    async def _token(self, parameters: dict[str, str], base: URL) -> str:
        realm = _realm(parameters["realm"], base, self._transport.insecure)
        query = {"service": parameters.get("service", "")}
        query["scope"] = parameters.get("scope") or self._scope
        wanted = realm.update_query({key: value for key, value in query.items() if value})
        basic = self._basic()
        headers = {"Authorization": basic} if basic else {}
        async with await self._transport.send("GET", wanted, headers) as response:
            if response.status != _OK:
                raise await _token_refusal(response)
            return _read_token(await self._transport.read(response, _MAX_ANSWER))


def _realm(text: str, base: URL, insecure: bool) -> URL:
    try:
        realm = URL(text)
    except ValueError:
        realm = URL()
    if realm.scheme not in ("http", "https") or not realm.host:
        raise RegistryFailed("the registry names no place that gives tokens")
    if realm.scheme == "http" and base.scheme == "https" and not insecure:
        raise RegistryFailed("the registry wants credentials to be sent in the clear")
    return realm


async def _token_refusal(response: aiohttp.ClientResponse) -> Exception:
    error = await refusal(response)
    if response.status in (400, 403, 404):
        return Unauthorized(f"unauthorized: access denied ({error.message})")
    return error


def _read_token(content: bytes) -> str:
    try:
        answer: Any = orjson.loads(content)
    except orjson.JSONDecodeError:
        answer = None
    fields = answer if isinstance(answer, dict) else {}
    token = fields.get("token") or fields.get("access_token")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise RegistryFailed("the registry's token service answered with no token")
    return token
