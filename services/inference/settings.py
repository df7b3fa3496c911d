"""Settings of the Inference service."""

from typing import Literal

from pydantic import Field

from common.settings import Duration, ServiceSettings, TokenPathSettings


class InferenceSettings(ServiceSettings, TokenPathSettings):
    """Flags and variables of `python -m services.inference`."""

    listen: str = "127.0.0.1:50053"
    """Address to serve on: host:port or unix:/path."""

    registry: str = "127.0.0.1:50052"
    """Address of the Registry service."""

    worker_addresses: str = "127.0.0.1:50061"
    """Addresses of workers, separated by commas; dns:name:port: all addresses behind a name."""

    lookup_interval: Duration = "2s"
    """How often the names among the workers' addresses are looked up."""

    routing: Literal["affinity", "round-robin"] = "affinity"
    """How replicas share requests: affinity; round-robin takes turns and is there to compare."""

    replica_load: float = Field(default=0.5, gt=0, le=1)
    """Share of its sequences in use beyond which a model gets another replica."""

    replica_delay: Duration = "500ms"
    """How long a model must be that busy before it gets another replica."""

    max_replicas: int = Field(default=0, ge=0)
    """Replicas of one model at most; 0: as many as there are idle workers."""

    max_queue: int = Field(default=512, ge=0)
    """Requests that may wait for one model beyond those its engines can run at once."""

    queue_timeout: Duration = "0s"
    """How long a request may wait for its turn; 0s: for ever."""

    load_timeout: Duration = "5m"
    """How long a request waits for a worker that can take it."""

    drain_delay: Duration = "0s"
    """How long to go on accepting after SIGTERM, while health checks already say no."""

    drain_timeout: Duration = "30s"
    """How long running requests may take to finish here, before they go on elsewhere."""

    @property
    def workers(self) -> list[str]:
        """The workers' addresses as a list."""
        return [address.strip() for address in self.worker_addresses.split(",") if address.strip()]
