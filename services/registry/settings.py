"""Settings of the Registry service."""

import os
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from common.settings import Duration, ServiceSettings, seconds
from services.registry.remote.client import RemoteSettings

DEFAULT_HUB = "https://huggingface.co"


def _check_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("a URL begins with http:// or https:// and has a host")
    return text


Url = Annotated[str, AfterValidator(_check_url)]
"""A setting that is the URL of a registry."""


class RegistrySettings(ServiceSettings):
    """Flags and variables of `python -m services.registry`."""

    listen: str = "127.0.0.1:50052"
    """Address to serve on: host:port or unix:/path."""

    blob: str = "127.0.0.1:50051"
    """Address of the Blob service."""

    modelfiles: Path | None = None
    """Folder below which requests may name Modelfiles and models of this machine by path."""

    default_registry: Url = "https://registry.ollama.ai"
    """URL of the registry that names without a host belong to."""

    docker_config: Path | None = None
    """Folder of Docker's config.json with credentials; unset: DOCKER_CONFIG, then ~/.docker."""

    registry_auth: SecretStr = SecretStr("")
    """Credentials that go first, as the text of a config.json; unset: DOCKER_AUTH_CONFIG."""

    hf_endpoint: Url | None = None
    """URL behind hf.co and huggingface.co; unset: HF_ENDPOINT, then https://huggingface.co."""

    hf_token: SecretStr = SecretStr("")
    """Token for Hugging Face; unset: HF_TOKEN."""

    pull_window: int = Field(default=16, ge=1)
    """Ranges of 8 MiB that all pulls of this process together hold in memory."""

    stall_timeout: Duration = "30s"
    """How long another registry may send nothing before the connection is given up."""

    slowest_pull: int = Field(default=1024, ge=0)
    """Bytes a second under which, for as long as that, a pull's connection is given up too."""

    name_lease: Duration = "250ms"
    """How long Inference may serve a name without asking again; to change one takes as long."""

    drain_timeout: Duration = "30s"
    """How long running calls may take to finish after SIGTERM."""

    @property
    def remote(self) -> RemoteSettings:
        """What pulls and pushes need, with the variables that others give these things by."""
        variables = os.environ.get
        folder = self.docker_config or Path(variables("DOCKER_CONFIG") or "~/.docker")
        return RemoteSettings(
            default_registry=self.default_registry,
            hub=self.hf_endpoint or variables("HF_ENDPOINT") or DEFAULT_HUB,
            hub_token=self.hf_token.get_secret_value() or variables("HF_TOKEN", ""),
            auths=self.registry_auth.get_secret_value() or variables("DOCKER_AUTH_CONFIG", ""),
            docker_config=folder,
            stall_timeout=seconds(self.stall_timeout),
            slowest_pull=self.slowest_pull,
            window=self.pull_window,
        )
