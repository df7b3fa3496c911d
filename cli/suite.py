"""The processes of a suite on one machine, and how they find each other."""

import hashlib
import os
import re
import socket
import stat
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp

from cli.child import ChildSpec
from cli.shares import Share
from common.errors import InvalidRequest
from common.hosts import HostAddress
from common.rpc import is_serving
from common.settings import seconds

# The kernel's limit for the path of a socket is 107 bytes, and names need some of it. gRPC
# reads the path as part of a URI.
_SOCKET_FOLDER = re.compile(r"[A-Za-z0-9_./+-]{1,80}", re.ASCII)


def default_store(home: Path) -> str:
    """Say where a suite's models are kept where nothing else was chosen."""
    return str(home / "models")


@dataclass(frozen=True)
class Suite:
    """Where a suite keeps its files and listens.

    All processes but the gateway listen on Unix sockets in a folder that only this
    user can enter, so that suites side by side never compete for ports.
    """

    host: HostAddress
    home: Path
    store: str
    log_level: str
    shares: Sequence[Share] = (Share(),)
    """What each worker has of this machine."""
    gateways: int = 1
    """Processes that share the port of the REST API."""
    serving_cpus: str = ""
    """CPUs that gateways, router and workers answer on; empty: the environment says."""
    drain_delay: str = "0s"
    drain_timeout: str = "30s"

    @property
    def logs(self) -> Path:
        """The folder of the processes' logs."""
        return self.home / "logs"

    @property
    def sockets(self) -> Path:
        """The folder of the processes' sockets: in the home, unless its path will not do."""
        folder = self.home / "run"
        if _SOCKET_FOLDER.fullmatch(str(folder)):
            return folder
        key = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"paddock-{os.getuid()}-{key}"

    def prepare(self) -> None:
        """Make the folders. The sockets' one is for this user alone.

        Raises:
            OSError: a folder cannot be made, or is not ours.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(exist_ok=True)
        self.sockets.mkdir(mode=0o700, exist_ok=True)
        status = self.sockets.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            raise PermissionError(f"{self.sockets} is not a folder of this user's own")
        self.sockets.chmod(0o700)

    def check_address(self) -> None:
        """Find out in time that somebody else listens where the gateway is to.

        Raises:
            InvalidRequest: it is no address to listen on.
            OSError: it is taken, or not one of this machine's.
        """
        if self.host.scheme != "http" or not self.host.port:
            raise InvalidRequest(f"cannot serve {self.host.url}: it takes http and a port")
        for family, kind, _, _, address in socket.getaddrinfo(
            self.host.host or None,
            self.host.port,
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        ):
            with socket.socket(family, kind) as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    listener.bind(address)
                except OSError as error:
                    raise OSError(f"cannot listen on {self.host.url}: {error.strerror}") from None

    def stages(self) -> list[list[ChildSpec]]:
        """Give the processes in stages, of which each needs only those before it."""
        store = self.store or default_store(self.home)
        blob, registry = self._address("blob"), self._address("registry")
        inference = self._address("inference")
        workers = ",".join(self._address(name) for name in self._worker_names)
        flags = ("--registry", registry, "--worker-addresses", workers, *self._token_path_flags)
        return [
            [self._service("blob", "services.blob", "--store", store)],
            [self._service("registry", "services.registry", "--blob", blob, *self._modelfiles)],
            [
                self._worker(name, share)
                for name, share in zip(self._worker_names, self.shares, strict=True)
            ],
            [self._service("inference", "services.inference", *flags)],
            [self._gateway(name, blob, registry, inference) for name in self._gateway_names],
        ]

    @property
    def _worker_names(self) -> list[str]:
        return _numbered("worker", len(self.shares))

    @property
    def _gateway_names(self) -> list[str]:
        return _numbered("gateway", self.gateways)

    @property
    def _common_flags(self) -> tuple[str, ...]:
        return "--log-level", self.log_level, "--drain-timeout", self.drain_timeout

    @property
    def _token_path_flags(self) -> tuple[str, ...]:
        return ("--serving-cpus", self.serving_cpus) if self.serving_cpus else ()

    @property
    def _modelfiles(self) -> tuple[str, ...]:
        """Let requests name files of this machine, where none but its own users can ask.

        Each of them may then name whatever the user who serves can read. The variable says
        otherwise: it names another folder or, when it is empty, none.
        """
        if not self.host.is_loopback or "PADDOCK_MODELFILES" in os.environ:
            return ()
        return "--modelfiles", "/"

    def _service(self, name: str, module: str, *flags: str) -> ChildSpec:
        address = self._address(name)
        return ChildSpec(
            name,
            ("-m", module, "--listen", address, *flags, *self._common_flags),
            _serving_at(address),
            drain=seconds(self.drain_timeout),
        )

    def _worker(self, name: str, share: Share) -> ChildSpec:
        cache = str(self.home / "cache")
        flags = ("--blob", self._address("blob"), "--cache", cache, *share.flags)
        flags += self._token_path_flags
        spec = self._service(name, "workers", *flags)
        return replace(spec, environment=share.environment)

    def _gateway(self, name: str, blob: str, registry: str, inference: str) -> ChildSpec:
        flags: tuple[str, ...] = ("--blob", blob, "--registry", registry, "--inference", inference)
        flags += self._token_path_flags
        if self.gateways > 1:
            flags += ("--reuse-port",)
        delay = ("--drain-delay", self.drain_delay)
        host = f"{self.host.host}:{self.host.port}"
        if ":" in self.host.host:
            host = f"[{self.host.host}]:{self.host.port}"
        return ChildSpec(
            name,
            ("-m", "gateway", "--host", host, *flags, *delay, *self._common_flags),
            _answering_at(f"{self.host.url}/readyz"),
            drain=seconds(self.drain_delay) + seconds(self.drain_timeout),
        )

    def _address(self, name: str) -> str:
        return f"unix:{self.sockets / name}.sock"


def _numbered(kind: str, number: int) -> list[str]:
    """Name processes of one kind."""
    return [kind] if number == 1 else [f"{kind}-{each}" for each in range(1, number + 1)]


def _serving_at(address: str) -> Callable[[], Awaitable[bool]]:
    return lambda: is_serving(address)


def _answering_at(url: str) -> Callable[[], Awaitable[bool]]:
    async def is_ready() -> bool:
        timeout = aiohttp.ClientTimeout(total=1)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(url) as answer,
            ):
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    return is_ready
