"""The address of the REST API, read as Ollama reads `OLLAMA_HOST`."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from common.errors import InvalidRequest

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 11434
_SCHEME_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class HostAddress:
    """Where the REST API listens, or where a client finds it."""

    scheme: str
    host: str
    port: int
    path: str = ""
    """What a proxy puts before the API's own paths, without slashes at its ends."""

    @classmethod
    def parse(cls, text: str) -> "HostAddress":
        """Read `[scheme://][host][:port][/path]`; IPv6 addresses before a port stand in brackets.

        The port is 11434 by default, or the scheme's own where a scheme is given. A port
        without a host means every interface: the host is empty.

        Raises:
            InvalidRequest: the text is no such address.
        """
        stripped = text.strip().strip("\"'").strip()
        scheme, separator, rest = stripped.rpartition("://")
        scheme = scheme if separator else "http"
        if scheme not in _SCHEME_PORTS:
            raise InvalidRequest(f'invalid address "{text}": the scheme must be http or https')
        default_port = _SCHEME_PORTS[scheme] if separator else DEFAULT_PORT
        try:
            parts = urlsplit(f"//{_bracketed(rest)}")
            port = default_port if parts.port is None else parts.port
        except ValueError as error:
            raise InvalidRequest(f'invalid address "{text}": {error}') from None
        every_interface = rest.startswith(":")
        host = parts.hostname or ("" if every_interface else DEFAULT_HOST)
        return cls(scheme, host, port, parts.path.strip("/"))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine itself can reach who listens there."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def url(self) -> str:
        """The address as a URL without a trailing slash, usable by a client on this machine."""
        host = {"": DEFAULT_HOST, "0.0.0.0": DEFAULT_HOST, "::": "::1"}.get(self.host, self.host)
        bracketed = f"[{host}]" if ":" in host else host
        return f"{self.scheme}://{bracketed}:{self.port}"

    @property
    def api_url(self) -> str:
        """Where a client finds the API: the URL with the path."""
        return f"{self.url}/{self.path}".rstrip("/")


def _bracketed(text: str) -> str:
    """Put an IPv6 address without a port into brackets; leave anything else."""
    host, slash, path = text.partition("/")
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return text
    return f"[{host}]{slash}{path}"
