"""Decides which blobs manifests keep, and which manifests have themselves become garbage.

A derived manifest (see `common.derived`) keeps its blobs only as long as its source is
wanted: an ordinary manifest names it, or it was stored or retained lately. One that was
written lately stays as well, for what it was made of may be about to get a name.
"""

from collections.abc import Collection, Iterable
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

    blobs: frozenset[str]
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
    named: set[str] = set()
    derived: list[Manifest] = []
    for manifest in manifests:
        if is_derived(manifest.name):
            derived.append(manifest)
        else:
            named |= _named(manifest)
    sources = named.union(young)
    forsaken = []
    for manifest in derived:
        if source_of(manifest.name) in sources or manifest.modified_at > since:
            named |= _named(manifest)
        else:
            forsaken.append(manifest.name)
    return Wanted(frozenset(named), tuple(forsaken))


def source_of(derived: ModelName) -> str:
    """Give the digest of the blob that something was derived from."""
    return f"sha256:{derived.model}"


def _named(manifest: Manifest) -> set[str]:
    try:
        return named_blobs(manifest.content)
    except InvalidRequest as error:
        raise InvalidModel(
            f"nothing is collected, for the manifest of {manifest.name} may name any blob: {error}"
        ) from error
