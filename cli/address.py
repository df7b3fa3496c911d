"""Where the server is that the commands talk to, and the key that it wants."""

import os

from common.hosts import HostAddress

_HOST_VARIABLES = ("PADDOCK_HOST", "OLLAMA_HOST")
_KEY_VARIABLES = ("PADDOCK_API_KEY", "OLLAMA_API_KEY")


def server_address() -> HostAddress:
    """Read the address from the environment; by default this machine's.

    An address that stands for every interface, as servers have it, means this machine.

    Raises:
        InvalidRequest: what stands there is no address.
    """
    return HostAddress.parse(HostAddress.parse(_first(_HOST_VARIABLES)).api_url)


def api_key() -> str:
    """Read the API key from the environment; empty: none is sent."""
    return _first(_KEY_VARIABLES)


def _first(names: tuple[str, ...]) -> str:
    return next((text for name in names if (text := os.environ.get(name, "").strip())), "")
