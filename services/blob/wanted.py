"""Decides which blobs manifests keep, and which manifests have themselves become garbage.

A derived manifest (see `common.derived`) keeps its blobs only as long as its source is
wanted: an ordinary manifest names it, or it was stored or retained lately. One that was
written lately stays as well, for what it was made of may be about to get a name.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from common.derived import is_derived
from common.errors import InvalidModel, InvalidRequest
from common.names import ModelName
from services.blob.manifest import named_blobs
from store.interface import Manifest


@dataclass(frozen=True)
class Wanted:
    """What manifests name, and those derived ones that nobody needs."""

    blobs: Mapping[str, datetime]
    """Their digests, each with the time at which the oldest manifest that names it was written."""

    forsaken: tuple[ModelName, ...] = ()


def wanted(manifests: Iterable[Manifest], young: Collection[str], since: datetime) -> Wanted:
    """Read manifests.

    Args:
        manifests: all of them.
        young: digests of blobs that were stored or retained after `since`.
        since: derived manifests written after this time stay.

    Raises:
        InvalidModel: one cannot be read, and so may name any blob.
    """
    named: dict[str, datetime] = {}
    derived: list[Manifest] = []
    for manifest in manifests:
        if is_derived(manifest.name):
            derived.append(manifest)
        else:
            _add(manifest, named)
    sources = named.keys() | set(young)
    forsaken = []
    for manifest in derived:
        if source_of(manifest.name) in sources or manifest.modified_at > since:
            _add(manifest, named)
        else:
            forsaken.append(manifest.name)
    return Wanted(named, tuple(forsaken))


def source_of(derived: ModelName) -> str:
    """Give the digest of the blob that something was derived from."""
    return f"sha256:{derived.model}"


def named_among(manifests: Iterable[Manifest], digests: Collection[str]) -> dict[str, datetime]:
    """Tell which of some blobs manifests name, as `Wanted.blobs` does where none is forsaken.

    Raises:
        InvalidModel: one cannot be read, and so may name any blob.
    """
    asked = frozenset(digests)
    named: dict[str, datetime] = {}
    for manifest in manifests:
        for digest in _named_blobs(manifest) & asked:
            _note(digest, manifest, named)
    return named


def _add(manifest: Manifest, named: dict[str, datetime]) -> None:
    for digest in _named_blobs(manifest):
        _note(digest, manifest, named)


def _note(digest: str, manifest: Manifest, named: dict[str, datetime]) -> None:
    named[digest] = min(named.get(digest, manifest.modified_at), manifest.modified_at)


def _named_blobs(manifest: Manifest) -> frozenset[str]:
    try:
        return named_blobs(manifest.content)
    except InvalidRequest as error:
        raise InvalidModel(
            f"nothing is collected, for the manifest of {manifest.name} may name any blob: {error}"
        ) from error
