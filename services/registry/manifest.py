"""Manifests: which blobs make up a model (Docker's image manifest 2.2, as Ollama uses it)."""

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Annotated

import orjson
from pydantic import AfterValidator, Field, ValidationError

from common.digests import parse_digest
from common.errors import InvalidDigest, InvalidModel
from services.registry import media_types
from services.registry.documents import Document, first_problem, not_json


def _checked_digest(text: str) -> str:
    try:
        return parse_digest(text)
    except InvalidDigest as error:
        raise ValueError(error.message) from error


Digest = Annotated[str, AfterValidator(_checked_digest)]


class Descriptor(Document):
    """A blob with its kind and size in bytes."""

    media_type: str = Field(validation_alias="mediaType", serialization_alias="mediaType")
    digest: Digest
    size: int = Field(ge=0, strict=True)


class Layer(Descriptor):
    """A blob of a model: a file, or one of the things a Modelfile sets."""

    parent: str = Field(default="", validation_alias="from", serialization_alias="from")
    """Name of the model that the layer was taken over from."""

    name: str = ""
    """Path in the model's folder, for layers that are files."""


class Manifest(Document):
    """The blobs of one model."""

    schema_version: int = Field(
        default=2, validation_alias="schemaVersion", serialization_alias="schemaVersion"
    )
    media_type: str = Field(
        default=media_types.MANIFEST,
        validation_alias="mediaType",
        serialization_alias="mediaType",
    )
    config: Descriptor
    layers: tuple[Layer, ...] = ()
    annotations: dict[str, str] = Field(default_factory=dict)
    """As OCI has them (github.com/opencontainers/image-spec, annotations.md)."""

    def of_type(self, *kinds: str) -> list[Layer]:
        """Layers of the given media types, in order."""
        return [layer for layer in self.layers if layer.media_type in kinds]

    @property
    def files(self) -> list[Layer]:
        """Layers that are files of the model's folder and that an engine reads."""
        return [layer for layer in self.layers if layer.media_type in media_types.SERVED_FILES]

    @property
    def size(self) -> int:
        """Bytes of all layers."""
        return sum(layer.size for layer in self.layers)

    @property
    def digests(self) -> set[str]:
        """Every blob that the manifest keeps alive."""
        return {self.config.digest, *(layer.digest for layer in self.layers)}

    @property
    def parent(self) -> str:
        """Name of the model that this one was made from, or nothing."""
        kinds = (*media_types.SERVED_FILES, media_types.GGUF, media_types.TENSOR)
        return next((layer.parent for layer in self.of_type(*kinds) if layer.parent), "")

    def encode(self) -> bytes:
        """Write the manifest; the bytes' digest is the model's."""
        document = self.model_dump(mode="json", by_alias=True, exclude={"layers", "annotations"})
        document["layers"] = [
            layer.model_dump(mode="json", by_alias=True, exclude_defaults=True)
            for layer in self.layers
        ]
        if self.annotations:
            document["annotations"] = self.annotations
        return orjson.dumps(document)


@lru_cache(maxsize=512)  # of many objects each, which the garbage collector would go through
def parse_manifest(content: bytes) -> Manifest:
    """Read a manifest.

    Raises:
        InvalidModel: the bytes are no manifest.
    """
    try:
        return Manifest.model_validate(orjson.loads(content))
    except orjson.JSONDecodeError as error:
        raise InvalidModel(f"damaged manifest: {not_json(error)}") from error
    except ValidationError as error:
        raise InvalidModel(f"damaged manifest: {first_problem(error)}") from error


def manifest_digest(content: bytes) -> str:
    """Give the 64 hexadecimal digits that users know a model by."""
    return hashlib.sha256(content).hexdigest()


def weights_digest(files: Iterable[Layer]) -> str:
    """Identify a set of files by their paths and digests, whatever their order."""
    lines = sorted(f"{file.name} {file.digest}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
