"""What a model is to be made of: a create request, checked before anything is looked at."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.errors import InvalidRequest
from common.model_template import ModelTemplate
from common.modelfile.version import check_version
from common.names import ModelName
from protos.paddock.v1 import generation_pb2, registry_pb2
from services.registry.adapters.files import choose_files
from services.registry.info import parse_info
from services.registry.messages import check_messages
from services.registry.model_files import check_files, check_path
from services.registry.parameters import parse_parameters
from services.registry.quantize.file_type import FileType, parse_file_type
from services.registry.references import parse_new_name


@dataclass(frozen=True)
class Template:
    """A Go template, and what it is for: tools, insertion, thinking."""

    text: str
    capabilities: frozenset[str]


@dataclass(frozen=True)
class CreationRequest:
    """A request whose fields are all known to be good."""

    name: ModelName
    base: str
    """The model to start from; empty: the files."""

    files: Mapping[str, str]
    """Path in the model's folder to digest of an uploaded blob."""

    template: Template | None
    system: str | None
    parameters: Mapping[str, Any]
    messages: tuple[generation_pb2.Message, ...]
    licenses: tuple[str, ...]
    fields: Mapping[str, str]
    """Of the config blob, as they were given: renderer, parser, requires."""

    info: dict[str, Any]
    quantize: FileType | None = None
    """The type that the weights are to have; None: their own."""

    local_files: Mapping[str, Path] = field(default_factory=dict)
    """Like `files`, of this machine; they are to become blobs first."""

    adapters: Mapping[str, str] = field(default_factory=dict)
    """Path in an adapter's folder to digest of an uploaded blob."""

    local_adapters: Mapping[str, Path] = field(default_factory=dict)
    """Like `adapters`, of this machine."""


def check_request(
    message: registry_pb2.CreateRequest,
    local_files: Mapping[str, Path],
    local_adapters: Mapping[str, Path],
) -> CreationRequest:
    """Check a request's fields.

    Raises:
        InvalidName: it is no name for a model.
        InvalidRequest: another field is wrong, or they contradict each other.
    """
    base = getattr(message, "from")
    name = parse_new_name(message.model)
    if message.files and base:
        raise InvalidRequest("specify either 'from' or 'files', not both")
    if not message.files and not base and not local_files:
        raise InvalidRequest("neither 'from' or 'files' was specified")
    check_messages(message.messages)
    fields = {
        "renderer": message.renderer,
        "parser": message.parser,
        "requires": check_version(message.requires),
    }
    return CreationRequest(
        name=name,
        base=base,
        files=check_files(message.files),
        template=parse_template(message.template) if message.HasField("template") else None,
        system=message.system if message.HasField("system") else None,
        parameters=parse_parameters(message.parameters_json),
        messages=tuple(message.messages),
        licenses=tuple(text for text in message.licenses if text),
        fields={name: text for name, text in fields.items() if text},
        info=parse_info(message.info_json),
        quantize=parse_file_type(message.quantize) if message.quantize else None,
        local_files={str(check_path(path)): place for path, place in local_files.items()},
        adapters=check_files(message.adapters),
        local_adapters=choose_files(local_adapters) if local_adapters else {},
    )


def parse_template(text: str) -> Template:
    """Read a Go template.

    Raises:
        TemplateError: it cannot be used.
    """
    return Template(text, frozenset(ModelTemplate.parse(text).capabilities))
