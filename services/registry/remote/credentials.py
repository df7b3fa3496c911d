"""Credentials for other registries, as Docker's `config.json` holds them.

Format: docs.docker.com/reference/cli/docker/login. Programs that it may name
(`credsStore`, `credHelpers`) are not run.
"""

import base64
import binascii
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

logger = logging.getLogger(__name__)

_FILE = "config.json"


@dataclass(frozen=True)
class Credentials:
    """A user's name and password, or a token that takes the place of both."""

    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of an `Authorization` header with name and password."""
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


class CredentialStore:
    """Finds the credentials of a registry, first in a text, then in a folder's `config.json`.

    The file is read anew each time: people log in while this runs.
    """

    def __init__(self, text: str, folder: Path) -> None:
        self._text = text
        self._path = folder.expanduser() / _FILE

    def find(self, host: str) -> Credentials | None:
        """Give the credentials for `host` or `host:port`, if there are any. Blocks."""
        for entries in (_auths(self._text.encode(), "the setting"), self._from_file()):
            for key, entry in entries.items():
                if _host_of(key) == host.lower() and (found := _credentials(entry)):
                    return found
        return None

    def _from_file(self) -> dict[str, Any]:
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            logger.warning("%s cannot be read: %s", self._path, error.strerror)
            return {}
        return _auths(content, str(self._path))


def _auths(content: bytes, source: str) -> dict[str, Any]:
    if not content.strip():
        return {}
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        # Not quoted: it holds secrets.
        logger.warning("credentials in %s are not valid JSON", source)
        return {}
    auths = document.get("auths") if isinstance(document, dict) else None
    return auths if isinstance(auths, dict) else {}


def _host_of(key: str) -> str:
    """Reduce `https://host/v1/` to `host`: both spellings are in use."""
    return key.split("://", 1)[-1].split("/", 1)[0].lower()


def _credentials(entry: Any) -> Credentials | None:
    if not isinstance(entry, dict):
        return None
    fields = {key: value for key, value in entry.items() if isinstance(value, str)}
    if token := fields.get("registrytoken"):
        return Credentials(token=token)
    if username := fields.get("username"):
        return Credentials(username, fields.get("password", ""))
    try:
        pair = base64.b64decode(fields.get("auth", ""), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    username, colon, password = pair.partition(":")
    return Credentials(username, password.rstrip("\0")) if colon else None
