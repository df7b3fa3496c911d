"""Model names: `[host/][namespace/]model[:tag]`, by Ollama's rules."""

import re
from dataclasses import dataclass

from common.errors import InvalidName
from protos.paddock.v1 import model_pb2

DEFAULT_HOST = "registry.ollama.ai"
DEFAULT_NAMESPACE = "library"
DEFAULT_TAG = "latest"

_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}")
_NAMESPACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}")


@dataclass(frozen=True)
class ModelName:
    """A full model name with every part valid."""

    host: str
    namespace: str
    model: str
    tag: str

    def __post_init__(self) -> None:
        parts = (
            (_HOST, self.host),
            (_NAMESPACE, self.namespace),
            (_PART, self.model),
            (_PART, self.tag),
        )
        if not all(pattern.fullmatch(part) for pattern, part in parts):
            raise InvalidName("invalid model name")

    @classmethod
    def parse(cls, text: str) -> "ModelName":
        """Read a name as users write it and fill in the defaults.

        A leading `scheme://` is dropped, as is surrounding white space.

        Raises:
            InvalidName: a part is empty, too long or has a character that is not allowed.
        """
        rest = text.strip()
        if "://" in rest:
            rest = rest.split("://", 1)[1]
        path, colon, tag = rest.rpartition(":")
        if not colon or "/" in tag:
            path, tag = rest, DEFAULT_TAG
        parts = path.rsplit("/", 2)
        model = parts[-1]
        namespace = parts[-2] if len(parts) > 1 else DEFAULT_NAMESPACE
        host = parts[-3] if len(parts) > 2 else DEFAULT_HOST
        return cls(host, namespace, model, tag)

    @classmethod
    def from_proto(cls, name: model_pb2.ModelName) -> "ModelName":
        """Check and convert a name that came over the wire."""
        return cls(name.host, name.namespace, name.model, name.tag)

    def to_proto(self) -> model_pb2.ModelName:
        """Convert for the wire."""
        return model_pb2.ModelName(
            host=self.host, namespace=self.namespace, model=self.model, tag=self.tag
        )

    @property
    def path(self) -> str:
        """The name as a key: `host/namespace/model/tag`."""
        return f"{self.host}/{self.namespace}/{self.model}/{self.tag}"

    def folded(self) -> tuple[str, str, str, str]:
        """Give a key under which spellings that differ in case alone are equal."""
        return (
            self.host.lower(),
            self.namespace.lower(),
            self.model.lower(),
            self.tag.lower(),
        )

    def __str__(self) -> str:
        """Shortest form: defaults of host and namespace dropped, the tag kept."""
        name = f"{self.model}:{self.tag}"
        if self.host != DEFAULT_HOST:
            return f"{self.host}/{self.namespace}/{name}"
        if self.namespace != DEFAULT_NAMESPACE:
            return f"{self.namespace}/{name}"
        return name
