"""Which browsers may call: CORS by `OLLAMA_ORIGINS`, and a check of the Host header.

The Host check guards a server that listens on loopback alone against DNS rebinding: a
web page whose name suddenly resolves to 127.0.0.1 still sends its own name.
"""

import ipaddress
import re
from functools import lru_cache

from aiohttp import web
from aiohttp.typedefs import Handler

_LOCAL_HOSTS = ("localhost", "127.0.0.1", "0.0.0.0", "[::1]")
BUILT_IN_ORIGINS = (
    *(f"{scheme}://{host}" for scheme in ("http", "https") for host in _LOCAL_HOSTS),
    *(f"{scheme}://{host}:*" for scheme in ("http", "https") for host in _LOCAL_HOSTS),
    "app://*",
    "file://*",
    "tauri://*",
    "vscode-webview://*",
    "vscode-file://*",
    "chrome-extension://*",
    "moz-extension://*",
    "safari-extension://*",
    "safari-web-extension://*",
    "ms-browser-extension://*",
)
_LOCAL_DOMAINS = (".localhost", ".local", ".internal")

_PREFLIGHT_HEADERS = {
    "Access-Control-Allow-Methods": "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS",
    "Access-Control-Allow-Headers": ",".join(
        (
            "Authorization",
            "Content-Type",
            "User-Agent",
            "Accept",
            "X-Requested-With",
            "OpenAI-Beta",
            "x-stainless-arch",
            "x-stainless-async",
            "x-stainless-custom-poll-interval",
            "x-stainless-helper-method",
            "x-stainless-lang",
            "x-stainless-os",
            "x-stainless-package-version",
            "x-stainless-poll-helper",
            "x-stainless-retry-count",
            "x-stainless-runtime",
            "x-stainless-runtime-version",
            "x-stainless-timeout",
        )
    ),
    "Access-Control-Max-Age": "43200",
}


class BrowserPolicy:
    """Decides by the Origin and Host headers; pure.

    Args:
        origins: comma-separated origins that may call besides the built-in ones.
        check_host: whether the server listens on loopback alone.
        own_name: this machine's name.
    """

    def __init__(self, origins: str, *, check_host: bool, own_name: str) -> None:
        extra = [origin.strip() for origin in origins.split(",") if origin.strip()]
        patterns = (_wildcards(origin) for origin in (*BUILT_IN_ORIGINS, *extra))
        self._pattern = re.compile("|".join(patterns), re.IGNORECASE)
        self._everybody = "*" in extra
        self._check_host = check_host
        self._own_name = own_name.lower()

    def allows_origin(self, origin: str, host: str) -> bool:
        """Whether a page of this origin may call; without one, or our own, it may."""
        if origin in ("", f"http://{host}", f"https://{host}"):
            return True
        return bool(self._pattern.fullmatch(origin))

    def shown_origin(self, origin: str) -> str:
        """Give the value of Access-Control-Allow-Origin for an origin that may call."""
        return "*" if self._everybody else origin

    def allows_host(self, host: str) -> bool:
        """Whether a Host header names this machine or something private, no public site."""
        if not self._check_host:
            return True
        name = _without_port(host).lower()
        nearby = _is_nearby(name)
        if nearby is None:
            return name in ("", "localhost", self._own_name) or name.endswith(_LOCAL_DOMAINS)
        return nearby


@lru_cache(maxsize=256)  # clients name the same few in every request
def _is_nearby(name: str) -> bool | None:
    """Tell whether an address is this machine's or a private network's; None: it is none."""
    try:
        address = ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return None
    return address.is_loopback or address.is_private or address.is_unspecified


def _wildcards(origin: str) -> str:
    return re.escape(origin).replace(r"\*", ".*")


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.rpartition(":")[0] if host.count(":") == 1 else host


BROWSER_POLICY = web.AppKey("browser_policy", BrowserPolicy)


@web.middleware
async def guard_browsers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse foreign hosts and origins with 403; answer preflight requests."""
    policy = request.app[BROWSER_POLICY]
    origin = request.headers.get("Origin", "")
    host = request.headers.get("Host", "")
    if not policy.allows_host(host) or not policy.allows_origin(origin, host):
        return web.Response(status=403)
    if request.method == "OPTIONS":
        return web.Response(status=204, headers=_PREFLIGHT_HEADERS if origin else None)
    return await handler(request)


async def allow_origin(request: web.Request, response: web.StreamResponse) -> None:
    """Tell the browser that the page may read the reply; for `on_response_prepare`."""
    origin = request.headers.get("Origin", "")
    host = request.headers.get("Host", "")
    policy = request.app[BROWSER_POLICY]
    if origin and policy.allows_origin(origin, host):
        response.headers["Access-Control-Allow-Origin"] = policy.shown_origin(origin)
        response.headers["Vary"] = "Origin"
