"""Settings of the Registry service."""

from pathlib import Path

from common.settings import Duration, Settings


class RegistrySettings(Settings):
    """Flags and variables of `python -m services.registry`."""

    listen: str = "127.0.0.1:50052"
    """Address to serve on: host:port or unix:/path."""

    blob: str = "127.0.0.1:50051"
    """Address of the Blob service."""

    modelfiles: Path | None = None
    """Folder below which requests may name Modelfiles and models of this machine by path."""

    drain_timeout: Duration = "30s"
    """How long running calls may take to finish after SIGTERM."""
