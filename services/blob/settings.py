"""Settings of the Blob service."""

from pydantic import field_validator

from common.durations import SECOND, parse_duration
from common.errors import InvalidRequest
from common.settings import Settings


class BlobSettings(Settings):
    """Flags and variables of `python -m services.blob`."""

    listen: str = "127.0.0.1:50051"
    """Address to serve on: host:port or unix:/path."""

    store: str
    """Where models are kept: a folder's path or a file:// URL."""

    collect_interval: str = "10m"
    """Time between two searches for garbage; 0 leaves the one at start-up."""

    collect_grace: str = "1h"
    """Age under which no blob and no unfinished upload is garbage."""

    noprune: bool = False
    """Never search for garbage unasked, at start-up or later."""

    drain_timeout: str = "30s"
    """How long running requests may take to finish after SIGTERM."""

    @field_validator("collect_interval", "collect_grace", "drain_timeout")
    @classmethod
    def _is_duration(cls, value: str) -> str:
        try:
            nanoseconds = parse_duration(value)
        except InvalidRequest as error:
            raise ValueError(error.message) from error
        if nanoseconds < 0:
            raise ValueError("a negative duration")
        return value


def seconds(duration: str) -> float:
    """Give a setting's duration in seconds."""
    return parse_duration(duration) / SECOND
