"""The config blob of a manifest: a summary of the model (Ollama's ConfigV2)."""

from typing import Annotated

import orjson
from pydantic import Field, ValidationError

from common.errors import InvalidModel
from protos.paddock.v1 import model_pb2
from services.registry.documents import Document, first_problem, not_json

_Length = Annotated[int, Field(ge=0, lt=2**63)]


class ModelConfig(Document):
    """What a list of models shows, without a look into the model itself."""

    model_format: str = ""
    model_family: str = ""
    model_families: tuple[str, ...] = ()
    model_type: str = ""
    """Size in parameters, such as "8.0B"."""

    file_type: str = ""
    """Type of most weights, such as "BF16"."""

    renderer: str = ""
    """Which of Ollama's built-in renderers makes the prompt; nothing here uses it."""

    parser: str = ""
    """Which parser reads the answers; empty: the worker finds out."""

    requires: str = ""
    """The least version of Ollama."""

    capabilities: tuple[str, ...] = ()
    context_length: _Length = 0
    embedding_length: _Length = 0
    base_name: str = ""
    remote_host: str = ""
    architecture: str = "amd64"
    os: str = "linux"

    @property
    def families(self) -> frozenset[str]:
        """Every kind of model that it names."""
        return frozenset({self.model_family, *self.model_families})

    def encode(self) -> bytes:
        """Write the blob; what is not set is left out."""
        fields = self.model_dump(mode="json")
        return orjson.dumps({name: value for name, value in fields.items() if value})

    def details(self, parent: str) -> model_pb2.ModelDetails:
        """Give the `details` of Ollama's API."""
        return model_pb2.ModelDetails(
            parent_model=parent,
            format=self.model_format,
            family=self.model_family,
            families=self.model_families,
            parameter_size=self.model_type,
            quantization_level=self.file_type,
            context_length=self.context_length,
            embedding_length=self.embedding_length,
        )


def parse_model_config(content: bytes) -> ModelConfig:
    """Read a config blob.

    Raises:
        InvalidModel: the bytes are no config blob.
    """
    try:
        return ModelConfig.model_validate(orjson.loads(content))
    except orjson.JSONDecodeError as error:
        raise InvalidModel(f"damaged config blob: {not_json(error)}") from error
    except ValidationError as error:
        raise InvalidModel(f"damaged config blob: {first_problem(error)}") from error
