"""What all pulls and pushes of this process share."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from services.registry.remote.credentials import Credentials, CredentialStore
from services.registry.remote.location import Endpoints, RegistryLocation, locate
from services.registry.remote.pace import StallPolicy
from services.registry.remote.retries import RetryPolicy
from services.registry.remote.session import RemoteSession
from services.registry.remote.transport import Transport, open_http
from services.registry.remote.window import Window


@dataclass(frozen=True)
class RemoteSettings:
    """How other registries are found and talked to."""

    default_registry: str = "https://registry.ollama.ai"
    hub: str = "https://huggingface.co"
    hub_token: str = field(default="", repr=False)
    auths: str = field(default="", repr=False)
    """A JSON text like Docker's `config.json`."""

    docker_config: Path = Path("~/.docker")
    stall_timeout: float = 30.0
    """Seconds without a byte after which a connection counts as dead."""

    slowest_pull: int = 1024
    """Bytes a second under which, for as long as that, it counts as dead as well."""

    window: int = 16
    """Ranges of 8 MiB that all pulls together hold in memory."""

    retries: RetryPolicy = field(default_factory=RetryPolicy)
    """For each range of a blob."""

    manifest_retries: RetryPolicy = field(default_factory=lambda: RetryPolicy(tries=3))

    @property
    def stalls(self) -> StallPolicy:
        """When a connection over which blobs come counts as dead."""
        return StallPolicy(self.stall_timeout, self.slowest_pull)


class RemoteClient:
    """Opens sessions with other registries. An asynchronous context manager."""

    def __init__(self, settings: RemoteSettings) -> None:
        self.settings = settings
        self._endpoints = Endpoints(settings.default_registry, settings.hub)
        self._credentials = CredentialStore(settings.auths, settings.docker_config)
        self._http = open_http()
        self.window = Window(settings.window)
        """What all pulls together hold in memory."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.close()

    def locate(self, text: str, *, insecure: bool) -> RegistryLocation:
        """Find the registry of a name as a user wrote it; see `location.locate`."""
        return locate(text, insecure=insecure, endpoints=self._endpoints)

    async def session(
        self,
        location: RegistryLocation,
        actions: str = "pull",
        answer_timeout: float | None = None,
    ) -> RemoteSession:
        """Begin a conversation; see `RemoteSession`.

        The registry may take `answer_timeout` seconds for an answer, else `stall_timeout`.
        """
        timeout = answer_timeout or self.settings.stall_timeout
        transport = Transport(self._http, location.insecure, timeout)
        return RemoteSession(location, transport, await self._find(location), actions)

    async def _find(self, location: RegistryLocation) -> Credentials | None:
        if location.is_hub:
            token = self.settings.hub_token
            return Credentials(token=token) if token else None
        return await asyncio.to_thread(self._credentials.find, location.host)
