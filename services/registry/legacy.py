"""The older forms of a create request: a Modelfile as a text, or by its path on the server."""

from collections.abc import Mapping
from pathlib import Path

import orjson

from common.digests import parse_digest
from common.errors import InvalidModel, InvalidRequest, Unsupported
from common.modelfile.modelfile import Modelfile, parse_modelfile
from protos.paddock.v1 import generation_pb2, registry_pb2
from services.registry.errors import unquoted
from services.registry.gguf import MAGIC, refuse_gguf
from services.registry.server_files import ServerFiles, open_file

_PATHS = ("/", ".", "~")
_OWN_FIELDS = ("model", "modelfile", "path")
_FIELD_NAMES = {
    "licenses": "license",
    "parameters_json": "parameters",
    "info_json": "info",
}


def is_legacy(message: registry_pb2.CreateRequest) -> bool:
    """Tell whether a request has one of the older forms."""
    return bool(message.modelfile or message.path)


def read_modelfile(
    message: registry_pb2.CreateRequest, server_files: ServerFiles
) -> tuple[registry_pb2.CreateRequest, Mapping[str, Path]]:
    """Turn an older form into today's; blocks.

    Gives the request, and the files of this machine that its FROM names, by their paths in
    the model's folder. Of `modelfile` and `path` the text counts, as it did in Ollama.

    Raises:
        InvalidRequest: the Modelfile is wrong, or names what it must not.
        Unsupported: it asks for what is not offered.
    """
    for field, _ in message.ListFields():
        if field.name not in _OWN_FIELDS:
            own = "modelfile" if message.modelfile else "path"
            other = _FIELD_NAMES.get(field.name, field.name)
            raise InvalidRequest(f"specify either '{own}' or '{other}', not both")
    place = None
    if message.modelfile:
        modelfile = parse_modelfile(message.modelfile)
    else:
        text, place = server_files.read_modelfile(message.path)
        with unquoted(message.path):
            modelfile = parse_modelfile(text)
    request = _to_request(message.model, modelfile)
    return request, _add_source(request, _only_source(modelfile), server_files, place)


def _to_request(model: str, modelfile: Modelfile) -> registry_pb2.CreateRequest:
    return registry_pb2.CreateRequest(
        model=model,
        template=modelfile.template,
        system=modelfile.system,
        parameters_json=orjson.dumps(dict(modelfile.parameters)).decode(),
        messages=[
            generation_pb2.Message(role=turn.role, content=turn.content)
            for turn in modelfile.messages
        ],
        licenses=modelfile.licenses,
        renderer=modelfile.renderer,
        parser=modelfile.parser,
        requires=modelfile.requires,
    )


def _only_source(modelfile: Modelfile) -> str:
    if modelfile.adapters:
        raise Unsupported("adapters are not supported yet")
    if modelfile.drafts:
        raise Unsupported("draft models are not supported")
    if len(modelfile.sources) > 1:
        raise InvalidRequest("a model is made FROM one other; this Modelfile names several")
    return modelfile.sources[0]


def _add_source(
    request: registry_pb2.CreateRequest, source: str, files: ServerFiles, place: Path | None
) -> Mapping[str, Path]:
    """Put what FROM names into the request, or give the local files that it means."""
    if digest := _digest_in(source):
        request.files["model"] = digest
        return {}
    if source.startswith(_PATHS) or (place and files.exists(source, place)):
        return _model_folder(files, source, place)
    setattr(request, "from", source)
    return {}


def _digest_in(source: str) -> str:
    """Read the digest of an uploaded blob; older clients put an `@` before it."""
    try:
        return parse_digest(source.removeprefix("@"))
    except InvalidRequest:
        if source.startswith("@"):
            raise
        return ""


def _model_folder(files: ServerFiles, source: str, place: Path | None) -> Mapping[str, Path]:
    path = files.find(source, place)
    if path.is_dir():
        if found := files.list_folder(path):
            return found
        raise InvalidModel("no files provided to convert")
    with open_file(path) as file:
        refuse_gguf(file.read(len(MAGIC)))
    raise InvalidModel(f'"{source}" is a file; FROM takes the folder of a safetensors model')
