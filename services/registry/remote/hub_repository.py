"""What a repository of Hugging Face's hub holds, at one revision: asked of `huggingface_hub`."""

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from common.errors import PaddockError, RegistryFailed, Unauthorized
from services.registry.remote.errors import SERVER_ERROR, TRANSIENT, RemoteNotFound, Transient

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

logger = logging.getLogger(__name__)

_UNAUTHORIZED = 401
_NOT_FOUND = 404


@dataclass(frozen=True)
class HubFile:
    """A file of a repository."""

    path: str
    size: int
    """In bytes."""
    digest: str
    """`sha256:...` of a large file; empty for those that lie in Git itself."""


@dataclass(frozen=True)
class HubRepository:
    """A repository at one revision."""

    endpoint: str
    name: str
    """Such as `Qwen/Qwen3-0.6B`."""
    revision: str
    """The commit, in 40 hexadecimal digits."""
    files: tuple[HubFile, ...]

    @property
    def url(self) -> str:
        """Where people find it."""
        return f"{self.endpoint}/{self.name}"

    def file_path(self, path: str) -> str:
        """Path below the endpoint at which a file can be read."""
        return f"/{self.name}/resolve/{self.revision}/{quote(path)}"


def describe_repository(endpoint: str, name: str, revision: str, token: str) -> HubRepository:
    """Ask the hub what a repository holds. Blocks.

    `revision` is a branch, a tag or a commit; `token` may be empty.

    Raises:
        RemoteNotFound: there is no such repository or revision, or not for this token.
        Unauthorized: its owners let in only those whom they know.
        RegistryFailed: the hub cannot be reached or refuses.
    """
    # Half a second, which a registry that pulls nothing from the hub need not take.
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi(endpoint=endpoint, token=token or False, library_name="paddock")
    try:
        info = api.model_info(name, revision=revision, files_metadata=True, timeout=30)
    except HfHubHTTPError as error:
        raise _refusal(error) from error
    except Exception as error:  # also of the HTTP client below, which is not in its interface
        logger.warning("%s cannot be asked: %r", endpoint, error)
        raise Transient(f"{endpoint} cannot be asked: {_what_failed(error)}") from error
    files = tuple(
        HubFile(each.rfilename, each.size or 0, f"sha256:{each.lfs.sha256}" if each.lfs else "")
        for each in info.siblings or ()
    )
    if not info.sha:
        raise RegistryFailed(f"{endpoint} does not say which revision of {name} it has")
    return HubRepository(endpoint, name, info.sha, files)


def _refusal(error: "HfHubHTTPError") -> PaddockError:
    from huggingface_hub.errors import (
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if isinstance(error, GatedRepoError):
        text = "its owners let in only those whom they know, with their token"
        return Unauthorized(f"unauthorized: access denied ({text})")
    status = error.response.status_code
    unknown = isinstance(error, RepositoryNotFoundError | RevisionNotFoundError)
    if unknown or status == _NOT_FOUND:
        return RemoteNotFound()
    if status == _UNAUTHORIZED:
        return Unauthorized("unauthorized: access denied (the token is not accepted)")
    reason = error.response.headers.get("X-Error-Message") or error.response.reason_phrase
    shown = f"{status}: {reason or 'no reason given'}"
    if status in TRANSIENT or status >= SERVER_ERROR:
        return Transient(shown)
    return RegistryFailed(shown)


def _what_failed(error: Exception) -> str:
    """Say what became of a request, without the library's own words."""
    seen: BaseException | None = error
    while seen:
        if isinstance(seen, TimeoutError) or "Timeout" in type(seen).__name__:
            return "it does not answer"
        if isinstance(seen, OSError) and seen.errno and seen.errno > 0:
            return os.strerror(seen.errno).lower()
        seen = seen.__cause__ or seen.__context__
    return "it cannot be connected to, or its answer is not the hub's"
