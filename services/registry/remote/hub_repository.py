"""What a repository of Hugging Face's hub holds, at one revision: asked of `huggingface_hub`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from common.errors import PaddockError, RegistryFailed, Unauthorized
from services.registry.remote.errors import SERVER_ERROR, TRANSIENT, RemoteNotFound, Transient

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

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
    except (OSError, ValueError) as error:
        raise Transient(f"{endpoint} cannot be asked: {error}") from error
    except Exception as error:  # of the HTTP client below, which is not part of its interface
        raise Transient(f"{endpoint} cannot be asked: {type(error).__name__}: {error}") from error
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

    text = str(error).strip().splitlines()
    if isinstance(error, GatedRepoError):
        return Unauthorized(f"unauthorized: access denied ({text[-1] if text else error})")
    status = error.response.status_code
    unknown = isinstance(error, RepositoryNotFoundError | RevisionNotFoundError)
    if unknown or status == _NOT_FOUND:
        return RemoteNotFound()
    shown = text[0] if text else type(error).__name__
    if status in TRANSIENT or status >= SERVER_ERROR:
        return Transient(shown)
    return RegistryFailed(shown)
