"""Files of this machine that a Modelfile names: which ones, and under which names they go."""

import re
from collections.abc import Iterable, Mapping
from os.path import abspath, commonpath
from pathlib import Path

from cli.failure import CommandFailed
from common.model_files import FileRole, file_role

NO_MODEL = "no Modelfile or safetensors files found"

_SHARD = re.compile(r"(.*)-\d{5}-of-(\d{5})\.gguf", re.ASCII)
_WEIGHTS = ".safetensors"
_GGUF = ".gguf"
_ADAPTER = ("adapter_config.json", "adapter_model.safetensors")


def find_path(text: str, folder: Path) -> Path | None:
    """Find what a Modelfile in a folder names; None: nothing is there.

    Raises:
        CommandFailed: it begins with the home of a user whom nobody knows.
    """
    try:
        path = folder / Path(text).expanduser()
        return path if path.exists() else None
    except RuntimeError as error:
        raise CommandFailed(f'"{text}": {error}') from None
    except OSError:  # no file can have such a name
        return None


def is_plainly_a_path(text: str) -> bool:
    """Tell whether a text can only be meant as a path, not as a model's name."""
    return (
        text in (".", "..")
        or text.startswith(("/", "./", "../", "~"))
        or text.endswith((_GGUF, _WEIGHTS))
    )


def model_files(path: Path) -> list[Path]:
    """List the files of a model: a file, the shards beside a shard, or a folder's.

    Raises:
        CommandFailed: the folder has no model in it.
    """
    if not path.is_dir():
        return _shards(path)
    files = _files_below(path)
    roles = {file: file_role(file.relative_to(path).as_posix()) for file in files}
    if weights := [file for file, role in roles.items() if role is FileRole.WEIGHTS]:
        beside = [file for file, role in roles.items() if role and role is not FileRole.WEIGHTS]
        return sorted([*_without_copies(weights), *beside])
    if gguf := [file for file in files if file.suffix == _GGUF and file.parent == path]:
        return sorted(gguf)
    raise CommandFailed(f"{NO_MODEL} in {path}")


def adapter_files(path: Path) -> list[Path]:
    """List the files of an adapter: a file, or a folder's.

    Raises:
        CommandFailed: the folder has no adapter in it.
    """
    if not path.is_dir():
        return [path]
    if (path / _ADAPTER[1]).exists():
        return [path / name for name in _ADAPTER if (path / name).exists()]
    if gguf := sorted(path.glob(f"*{_GGUF}")):
        return gguf
    raise CommandFailed(f"no adapter found in {path}: it needs {' and '.join(_ADAPTER)}, or GGUF")


def name_files(files: Iterable[Path]) -> Mapping[str, Path]:
    """Name files by their paths below the folder that all of them share."""
    absolute = [Path(abspath(file)) for file in files]  # noqa: PTH100 - links stay
    if not absolute:
        return {}
    shared = commonpath([file.parent for file in absolute])
    return {file.relative_to(shared).as_posix(): file for file in absolute}


def _shards(path: Path) -> list[Path]:
    match = _SHARD.fullmatch(path.name)
    if not match:
        return [path]
    pattern = re.compile(rf"{re.escape(match[1])}-\d{{5}}-of-{match[2]}\.gguf", re.ASCII)
    return sorted(file for file in path.parent.iterdir() if pattern.fullmatch(file.name))


def _files_below(folder: Path) -> list[Path]:
    """List the files in a folder and in its own folders, where sentence encoders have some."""
    found = [*folder.glob("*"), *folder.glob("*/*")]
    return [
        file
        for file in found
        if file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    ]


def _without_copies(weights: list[Path]) -> list[Path]:
    """Leave out Mistral's own form of weights that are there in the usual form, too."""
    usual = [file for file in weights if not file.name.startswith("consolidated")]
    return usual or weights
