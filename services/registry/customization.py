"""What a Modelfile adds to a model's files: template, system, parameters, messages, licenses."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from protos.paddock.v1 import generation_pb2
from services.registry import media_types
from services.registry.contents import Contents
from services.registry.manifest import Manifest
from services.registry.messages import decode_messages


@dataclass(frozen=True)
class Customization:
    """The layers of a manifest that are no files, as values."""

    template: str
    system: str
    parameters: Mapping[str, Any]
    messages: tuple[generation_pb2.Message, ...]
    licenses: tuple[str, ...]


async def read_customization(contents: Contents, manifest: Manifest) -> Customization:
    """Read a manifest's layers; of a kind that can be there once, the last one counts.

    Raises:
        BlobNotFound: a layer is not stored.
        InvalidModel: a layer is damaged.
    """

    async def last(*kinds: str) -> str:
        layers = manifest.of_type(*kinds)
        return await contents.text(layers[-1].digest) if layers else ""

    parameters = manifest.of_type(media_types.PARAMETERS)
    messages = await last(media_types.MESSAGES)
    licenses = manifest.of_type(media_types.LICENSE)
    return Customization(
        template=await last(media_types.TEMPLATE, media_types.PROMPT),
        system=await last(media_types.SYSTEM),
        parameters=await contents.parameters(parameters[-1].digest) if parameters else {},
        messages=tuple(decode_messages(messages)) if messages else (),
        licenses=tuple([await contents.text(layer.digest) for layer in licenses]),
    )
