"""Where the models of a name lie: which registry, and what they are called there."""

from dataclasses import dataclass

from yarl import URL

from common.errors import InvalidName, InvalidRequest
from common.names import DEFAULT_HOST, ModelName

HUB_HOSTS = frozenset({"hf.co", "huggingface.co"})


@dataclass(frozen=True)
class Endpoints:
    """Base URLs of the registries that are known by name."""

    default_registry: str
    """Of names without a host."""

    hub: str
    """Of names that begin with `hf.co` or `huggingface.co`."""


@dataclass(frozen=True)
class RegistryLocation:
    """A model's place in another registry."""

    base_urls: tuple[str, ...]
    """Where the registry may be, to be tried in this order until one can be connected to."""

    repository: str
    """Such as `library/llama3.2`."""

    tag: str

    insecure: bool = False
    """Plain HTTP, or a certificate that nobody vouches for, will do."""

    is_hub: bool = False
    """It is Hugging Face's, which makes manifests of what its repositories hold."""

    @property
    def host(self) -> str:
        """The registry's host and port, as credentials are kept by."""
        url = URL(self.base_urls[0])
        port = url.explicit_port
        return f"{url.host}:{port}" if port else f"{url.host}"

    @property
    def manifest_path(self) -> str:
        """Path of the manifest."""
        return f"/v2/{self.repository}/manifests/{self.tag}"

    def blob_path(self, digest: str) -> str:
        """Path of a blob."""
        return f"/v2/{self.repository}/blobs/{digest}"


def locate(text: str, *, insecure: bool, endpoints: Endpoints) -> RegistryLocation:
    """Find the registry that a name belongs to; the name is as a user wrote it.

    With `insecure` and no scheme, HTTPS is tried first.

    Raises:
        InvalidName: it is no name.
        InvalidRequest: it asks for plain HTTP, and `insecure` is not set.
    """
    name = ModelName.parse(text)
    scheme, separator, _ = text.strip().rpartition("://")
    scheme = scheme.lower() if separator else ""
    if scheme == "http" and not insecure:
        raise InvalidRequest("insecure protocol http")
    host = name.host.lower()
    if host == DEFAULT_HOST:
        return _at(name, endpoints.default_registry, insecure)
    if host in HUB_HOSTS:
        return _at(name, endpoints.hub, insecure, is_hub=True)
    schemes = [scheme] if scheme in ("http", "https") else ["https", "http"]
    bases = [f"{each}://{host}" for each in schemes if insecure or each == "https"]
    _check_host(bases[0])
    # The grammar of registries other than Ollama's knows no upper case.
    repository = f"{name.namespace}/{name.model}".lower()
    return RegistryLocation(tuple(bases), repository, name.tag, insecure)


def _check_host(base: str) -> None:
    """Hold a host, which may be written with colons anywhere, to be one."""
    try:
        usable = bool(URL(base).host)
    except ValueError:
        usable = False
    if not usable:
        raise InvalidName("invalid model name")


def _at(name: ModelName, base: str, insecure: bool, *, is_hub: bool = False) -> RegistryLocation:
    repository = f"{name.namespace}/{name.model}"
    return RegistryLocation((base.rstrip("/"),), repository, name.tag, insecure, is_hub)
