"""The older forms of a create request: a Modelfile as a text, or by its path on the server."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson

from common.digests import parse_digest
from common.errors import InvalidModel, InvalidRequest, Unsupported
from common.modelfile.modelfile import Modelfile, parse_modelfile
from protos.paddock.v1 import generation_pb2, registry_pb2
from services.registry.errors import unquoted
from services.registry.local_import import is_gguf_file
from services.registry.server_files import ServerFiles

_SHARD = re.compile(r"(?P<stem>.+)-\d{5}-of-(?P<count>\d{5})\.gguf")
_PATHS = ("/", ".", "~")
_OWN_FIELDS = ("model", "modelfile", "path", "quantize")
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
) -> tuple[registry_pb2.CreateRequest, Mapping[str, Path], Mapping[str, Path]]:
    """Turn an older form into today's; blocks.

    Gives the request, and the files of this machine that its FROM and its ADAPTER name, by
    their paths in the model's folder and in the adapter's. Of `modelfile` and `path` the text
    counts, as it did in Ollama.

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
    if modelfile.drafts:
        raise Unsupported("draft models are not supported")
    request = _to_request(message.model, modelfile)
    request.quantize = message.quantize
    return (
        request,
        _add_sources(request, modelfile.sources, server_files, place),
        _add_adapters(request, modelfile.adapters, server_files, place),
    )


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


def _add_sources(
    request: registry_pb2.CreateRequest,
    sources: Sequence[str],
    server_files: ServerFiles,
    place: Path | None,
) -> Mapping[str, Path]:
    """Put what FROM names into the request, or give the local files that it means.

    Several may be named where they are files of one model, such as a GGUF and its projector.
    """
    local: dict[str, Path] = {}
    for source in sources:
        if digest := _digest_in(source):
            request.files[f"model-{len(request.files) + 1}"] = digest
        elif source.startswith(_PATHS) or (place and server_files.exists(source, place)):
            for path, found in _model_files(server_files, source, place).items():
                local[path if path not in local else f"{len(local)}-{path}"] = found
        else:
            setattr(request, "from", source)
    kinds = [bool(request.files), bool(local), bool(getattr(request, "from"))]
    if sum(kinds) > 1 or (kinds[-1] and len(sources) > 1):
        raise InvalidRequest("a model is made FROM one other; this Modelfile names several")
    return local


def _add_adapters(
    request: registry_pb2.CreateRequest,
    sources: Sequence[str],
    server_files: ServerFiles,
    place: Path | None,
) -> Mapping[str, Path]:
    """Put the digests that ADAPTER names into the request, or give the local files it means."""
    local: dict[str, Path] = {}
    for source in sources:
        if digest := _digest_in(source):
            request.adapters[f"adapter-{len(request.adapters) + 1}"] = digest
        elif local:
            raise InvalidRequest("only one adapter is currently supported")
        else:
            path = server_files.find(source, place)
            local = server_files.list_folder(path) if path.is_dir() else {path.name: path}
            if not local:
                raise InvalidModel("no files provided to convert")
    if local and request.adapters:
        raise InvalidRequest("only one adapter is currently supported")
    return local


def _digest_in(source: str) -> str:
    """Read the digest of an uploaded blob; older clients put an `@` before it."""
    try:
        return parse_digest(source.removeprefix("@"))
    except InvalidRequest:
        if source.startswith("@"):
            raise
        return ""


def _model_files(files: ServerFiles, source: str, place: Path | None) -> Mapping[str, Path]:
    path = files.find(source, place)
    if path.is_dir():
        if found := files.list_folder(path):
            return found
        raise InvalidModel("no files provided to convert")
    if is_gguf_file(path):
        return {each.name: each for each in _shards(files, path)}
    raise InvalidModel(f'"{source}" is neither a GGUF file nor the folder of a model')


def _shards(files: ServerFiles, path: Path) -> list[Path]:
    """Give all shards of the model that a file is one of, as llama.cpp takes them."""
    match = _SHARD.fullmatch(path.name)
    if not match:
        return [path]
    numbers = range(1, int(match["count"]) + 1)
    names = (f"{match['stem']}-{number:05}-of-{match['count']}.gguf" for number in numbers)
    return [files.find(name, path.parent) for name in names]
