"""Settings of the gateway process."""

from typing import Annotated

from aiohttp import web
from pydantic import AfterValidator, Field

from common.errors import InvalidRequest
from common.hosts import HostAddress
from common.settings import Duration, TokenPathSettings

MIB = 1024 * 1024


def _check_host(text: str) -> str:
    try:
        HostAddress.parse(text)
    except InvalidRequest as error:
        raise ValueError(error.message) from None
    return text


Host = Annotated[str, AfterValidator(_check_host)]


class GatewaySettings(TokenPathSettings):
    """Flags and variables of `python -m gateway`."""

    host: Host = "127.0.0.1:11434"
    """Address to listen on, as in OLLAMA_HOST: host, host:port, :port or http://host:port."""

    reuse_port: bool = False
    """Let other gateways listen on the same port; the kernel divides connections among them."""

    blob: str = "127.0.0.1:50051"
    """Address of the Blob service: host:port or unix:/path."""

    registry: str = "127.0.0.1:50052"
    """Address of the Registry service."""

    inference: str = "127.0.0.1:50053"
    """Address of the Inference service."""

    origins: str = ""
    """Comma-separated origins, * as wildcard, that browsers may call from besides local ones."""

    max_body: int = Field(default=64 * MIB, gt=0)
    """Largest JSON body of a request, in bytes. Blobs have no limit."""

    body_timeout: Duration = "5m"
    """How long a request's body may pause on its way here; 0s: for ever."""

    call_timeout: Duration = "30s"
    """How long a short call to a service may take (list, show, copy, delete and the like)."""

    write_timeout: Duration = "5m"
    """How long a client may take none of a streamed reply before it is dropped; 0s: for ever."""

    request_timeout: Duration = "0s"
    """How long a request to a model may take from its beginning to its end; 0s: for ever."""

    recovery_timeout: Duration = "30s"
    """How long a request whose Inference process is gone waits for another one."""

    client_header: str = ""
    """Header in which a proxy names its client, such as X-Forwarded-For; the last entry counts."""

    drain_delay: Duration = "0s"
    """How long to go on accepting after SIGTERM, while /readyz already answers 503."""

    drain_timeout: Duration = "30s"
    """How long running requests may take to finish after SIGTERM."""

    access_log: bool = False
    """Log each request."""


SETTINGS = web.AppKey("settings", GatewaySettings)
