"""Chooses the backend for a store's address."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from common.errors import InvalidRequest, Unsupported
from store.folder import FolderStore
from store.interface import Store

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{1,254}")  # older servers take more than Amazon
_PREFIX_PART = re.compile(r"(?!\.{1,2}$)[^\0-\x1f\x7f]+")
_LONGEST_PREFIX = 400  # bytes; a key has 1024, and a model's name needs the rest


def open_store(address: str) -> Store:
    """Open the store at a path, a `file://` or an `s3://bucket/prefix` URL.

    Nothing is read or created yet.

    Raises:
        InvalidRequest: the address names no place.
        Unsupported: no backend serves addresses of this kind.
    """
    scheme, separator, _ = address.partition("://")
    if not separator:
        return FolderStore(_folder(address, address))
    if scheme == "file":
        return FolderStore(_file_path(address))
    if scheme == "s3":
        return _s3_store(address)
    raise Unsupported(f'a store at "{scheme}://" is not supported, use a folder or s3://')


def _file_path(address: str) -> Path:
    url = urlsplit(address)
    if url.netloc not in ("", "localhost"):
        raise InvalidRequest(f'invalid store "{address}": a file URL names no host')
    return _folder(address, unquote(url.path))


def _s3_store(address: str) -> Store:
    """Read an address as other S3 tools do: nothing in it is quoted."""
    from store.s3 import S3Store  # half of the time that the import of this module would take

    bucket, _, path = address.removeprefix("s3://").partition("/")
    prefix = path.strip("/")
    parts = prefix.split("/") if prefix else []
    if not _BUCKET.fullmatch(bucket):
        raise InvalidRequest(f'invalid store "{address}": no bucket is named')
    if len(path) > _LONGEST_PREFIX or not all(_PREFIX_PART.fullmatch(part) for part in parts):
        raise InvalidRequest(f'invalid store "{address}": the prefix cannot be used')
    return S3Store(bucket, "".join(f"{part}/" for part in parts))


def _folder(address: str, path: str) -> Path:
    if not path or "\0" in path:
        raise InvalidRequest(f'invalid store "{address}": no folder is named')
    return Path(path).expanduser().absolute()
