"""Settings of the Inference service."""

from pydantic import Field

from common.settings import Duration, Settings


class InferenceSettings(Settings):
    """Flags and variables of `python -m services.inference`."""

    listen: str = "127.0.0.1:50053"
    """Address to serve on: host:port or unix:/path."""

    registry: str = "127.0.0.1:50052"
    """Address of the Registry service."""

    worker_addresses: str = "127.0.0.1:50061"
    """Addresses of the workers, separated by commas."""

    max_queue: int = Field(default=512, ge=0)
    """Requests that may wait for one model beyond those its engines can run at once."""

    load_timeout: Duration = "5m"
    """How long a request waits for a worker that can take it."""

    drain_timeout: Duration = "30s"
    """How long running requests may take to finish after SIGTERM."""

    @property
    def workers(self) -> list[str]:
        """The workers' addresses as a list."""
        return [address.strip() for address in self.worker_addresses.split(",") if address.strip()]
