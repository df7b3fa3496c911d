"""Chooses the backend for a store's address."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from common.errors import InvalidRequest, Unsupported
from store.folder import FolderStore
from store.interface import Store


def open_store(address: str) -> Store:
    """Open the store at a path or a `file://` URL. Nothing is read or created yet.

    Raises:
        InvalidRequest: the address names no place.
        Unsupported: no backend serves addresses of this kind.
    """
    scheme, separator, _ = address.partition("://")
    if not separator:
        return FolderStore(_folder(address, address))
    if scheme == "file":
        return FolderStore(_file_path(address))
    raise Unsupported(f'a store at "{scheme}://" is not supported, use a folder')


def _file_path(address: str) -> Path:
    url = urlsplit(address)
    if url.netloc not in ("", "localhost"):
        raise InvalidRequest(f'invalid store "{address}": a file URL names no host')
    return _folder(address, unquote(url.path))


def _folder(address: str, path: str) -> Path:
    if not path or "\0" in path:
        raise InvalidRequest(f'invalid store "{address}": no folder is named')
    return Path(path).expanduser().absolute()
