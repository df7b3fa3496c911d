"""Who asks: clients take turns where requests have to wait."""

from hashlib import sha256

from aiohttp import web

from gateway.settings import SETTINGS


def client_of(request: web.Request) -> str:
    """Name a request's client: by its API key, else by its address.

    The key itself goes no further than this process.
    """
    if key := request.headers.get("Authorization"):
        return f"key {sha256(key.encode(errors='surrogateescape')).hexdigest()[:32]}"
    header = request.app[SETTINGS].client_header
    named = request.headers.get(header, "") if header else ""
    return named.rpartition(",")[2].strip() or request.remote or ""
