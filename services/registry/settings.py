"""Settings of the Registry service."""

from pydantic import field_validator

from common.durations import parse_duration
from common.errors import InvalidRequest
from common.settings import Settings


class RegistrySettings(Settings):
    """Flags and variables of `python -m services.registry`."""

    listen: str = "127.0.0.1:50052"
    """Address to serve on: host:port or unix:/path."""

    blob: str = "127.0.0.1:50051"
    """Address of the Blob service."""

    drain_timeout: str = "30s"
    """How long running calls may take to finish after SIGTERM."""

    @field_validator("drain_timeout")
    @classmethod
    def _is_duration(cls, value: str) -> str:
        try:
            parse_duration(value)
        except InvalidRequest as error:
            raise ValueError(error.message) from error
        return value
