"""The files that a client wants to make a model of: where they go and what they are."""

from collections.abc import Collection, Mapping
from os.path import commonpath
from pathlib import PurePosixPath

from common.digests import parse_digest
from common.errors import InvalidDigest, InvalidModel, InvalidRequest
from common.model_files import FileRole, file_role
from services.registry import media_types

_MAX_FILES = 4096
_MAX_PATH = 1024
_MAX_PATH_PART = 255
_MAX_NAMED = 3

_FOREIGN_WEIGHTS = frozenset(
    {".bin", ".ckpt", ".h5", ".msgpack", ".onnx", ".ot", ".pickle", ".pkl", ".pt", ".pth"}
)
_LAYERS = {
    FileRole.WEIGHTS: media_types.WEIGHT_FILE,
    FileRole.JSON: media_types.JSON_FILE,
    FileRole.CODE: media_types.CODE_FILE,
    FileRole.AUXILIARY: media_types.AUXILIARY_FILE,
    FileRole.DOCUMENT: media_types.DOCUMENT_FILE,
}


def check_files(files: Mapping[str, str]) -> dict[str, str]:
    """Check and normalise a map from path to digest.

    A folder that all paths share is dropped: it is the model's own.

    Raises:
        InvalidRequest: a path could leave the model's folder or the digest is none.
        InvalidModel: two files want the same place, or there are too many.
    """
    if len(files) > _MAX_FILES:
        raise InvalidModel(f"a model can have {_MAX_FILES} files, this one has {len(files)}")
    checked: dict[PurePosixPath, str] = {}
    for text, digest in sorted(files.items()):
        path = check_path(text)
        if path in checked:
            raise InvalidModel(f'file "{path}" is given twice')
        checked[path] = _check_digest(text, digest)
    _check_folders(checked)
    return _without_shared_folder(checked)


def check_path(text: str) -> PurePosixPath:
    """Hold a path to stay within the folder that it is relative to, on any system.

    Raises:
        InvalidRequest: it could lead elsewhere, or no file can have that name.
    """
    path = PurePosixPath(text)
    has_drive = len(text) > 1 and text[1] == ":"
    if path.is_absolute() or has_drive or "\\" in text or ".." in path.parts or not path.parts:
        raise InvalidRequest("file path must be relative")
    if len(text) > _MAX_PATH or not text.isprintable():
        raise InvalidRequest(f"invalid file path {text!r}")
    if any(len(part.encode()) > _MAX_PATH_PART for part in path.parts):
        raise InvalidRequest(f"invalid file path {text!r}")
    return path


def choose_files(paths: Collection[str]) -> dict[str, str]:
    """Choose which files become layers of a model, each with its media type.

    What no engine reads is left out, weights in other formats above all: folders often
    hold them beside the safetensors files, and they are as large.

    Raises:
        InvalidModel: no safetensors file is among them.
    """
    kinds = {path: kind for path in sorted(paths) if (kind := file_kind(path))}
    if media_types.WEIGHT_FILE not in kinds.values():
        raise _no_weights(paths)
    return kinds


def file_kind(path: str) -> str | None:
    """Choose the media type of a file's layer; None leaves the file out of the model."""
    role = file_role(path)
    return _LAYERS[role] if role else None


def gguf_candidates(paths: Collection[str]) -> list[str]:
    """List the files that may be GGUF, which only their contents tell.

    There are none beside safetensors files: those are the model then.
    """
    kinds = {path: file_kind(path) for path in sorted(paths)}
    if media_types.WEIGHT_FILE in kinds.values():
        return []
    return [path for path, kind in kinds.items() if not kind]


def _no_weights(paths: Collection[str]) -> InvalidModel:
    foreign = sorted(
        path for path in paths if PurePosixPath(path.lower()).suffix in _FOREIGN_WEIGHTS
    )
    if not foreign:
        return InvalidModel("unknown type: no .safetensors or GGUF file was given")
    more = f" and {len(foreign) - _MAX_NAMED} more" if len(foreign) > _MAX_NAMED else ""
    found = ", ".join(foreign[:_MAX_NAMED])
    return InvalidModel(
        f"unknown type: only safetensors and GGUF weights are read; found {found}{more}"
    )


def _check_digest(path: str, digest: str) -> str:
    try:
        return parse_digest(digest)
    except InvalidDigest as error:
        raise InvalidDigest(f'file "{path}": {error.message}') from error


def _check_folders(files: Mapping[PurePosixPath, str]) -> None:
    folders = {folder for path in files for folder in path.parents}
    if both := folders & files.keys():
        raise InvalidModel(f'"{min(both)}" is both a file and a folder')


def _without_shared_folder(files: Mapping[PurePosixPath, str]) -> dict[str, str]:
    shared = commonpath([path.parent for path in files]) if files else ""
    return {str(path.relative_to(shared)): digest for path, digest in files.items()}
