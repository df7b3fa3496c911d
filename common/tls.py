"""Mutual TLS between the processes: one private authority, one name for all of them.

Each process has a certificate of that authority for `paddock.internal`, shows it, and talks to
none who has none. What is authenticated is that a peer belongs to the suite, wherever it runs:
workers are known by addresses that no certificate could list.
"""

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import grpc
from pydantic_settings import BaseSettings, SettingsConfigDict

from common.errors import InvalidRequest

NAME = "paddock.internal"
"""The name in the certificates of all processes."""


class TlsSettings(BaseSettings):
    """Variables of every process; all three are set, or none."""

    model_config = SettingsConfigDict(
        env_prefix="PADDOCK_TLS_", env_ignore_empty=True, use_attribute_docstrings=True
    )

    certificate: Path | None = None
    """File with this process's certificate in PEM, and those between it and the authority."""

    key: Path | None = None
    """File with the certificate's key in PEM."""

    authority: Path | None = None
    """File with the certificates in PEM of who may vouch for a process."""

    @property
    def files(self) -> list[Path]:
        """The three files; none where TLS is off.

        Raises:
            InvalidRequest: only some are set.
        """
        wanted = (self.certificate, self.key, self.authority)
        files = [path for path in wanted if path is not None]
        if files and len(files) != len(wanted):
            raise InvalidRequest(
                "PADDOCK_TLS_CERTIFICATE, PADDOCK_TLS_KEY and PADDOCK_TLS_AUTHORITY go together"
            )
        return files


class Tls(NamedTuple):
    """What a process shows to others, and expects of them."""

    certificate: bytes
    key: bytes
    authority: bytes

    @classmethod
    def read(cls, settings: TlsSettings) -> "Tls | None":
        """Read the files that the settings name; None where they name none.

        Raises:
            InvalidRequest: one is missing or cannot be read.
        """
        try:
            contents = [path.read_bytes() for path in settings.files]
        except OSError as error:
            raise InvalidRequest(f"TLS: {error.filename}: {error.strerror}") from None
        return cls(*contents) if contents else None

    def server_credentials(self) -> grpc.ServerCredentials:
        """Give what a server listens with."""
        return grpc.ssl_server_credentials(
            [(self.key, self.certificate)], self.authority, require_client_auth=True
        )

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """Give what a client connects with."""
        return grpc.ssl_channel_credentials(self.authority, self.key, self.certificate)


CHANNEL_OPTIONS: list[tuple[str, Any]] = [("grpc.ssl_target_name_override", NAME)]
"""What a client expects in a server's certificate, whatever its address."""


@cache
def process_tls() -> Tls | None:
    """Give this process's TLS, by its environment when it first asked; None: without.

    Raises:
        InvalidRequest: see `Tls.read`.
    """
    return Tls.read(TlsSettings())
