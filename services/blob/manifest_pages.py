"""All manifests as messages, made anew only where something has changed."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from protos.paddock.v1 import blob_pb2
from store.interface import Manifest, Store

_AT_A_TIME = 200  # few enough that sending them holds up nobody
_SIZE = 1024 * 1024  # bytes of them


class _Page(NamedTuple):
    """A message, and what it was made of."""

    manifests: tuple[Manifest, ...]
    message: blob_pb2.ListManifestsResponse


class ManifestPages:
    """The manifests of a store, page by page.

    A store gives the same object for what has not changed, so that most pages are found to
    be the same by a look at each manifest's identity.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pages: list[_Page] = []

    def make(self) -> Iterator[blob_pb2.ListManifestsResponse]:
        """Give all manifests that are known, each page as soon as it can be; blocks."""
        before = self._pages
        pages: list[_Page] = []
        for number, manifests in enumerate(_grouped(self._store.known_manifests())):
            if number < len(before) and before[number].manifests == manifests:
                page = before[number]
            else:
                page = _Page(manifests, _message(manifests))
            pages.append(page)
            yield page.message
        self._pages = pages


def _grouped(manifests: Iterable[Manifest]) -> Iterator[tuple[Manifest, ...]]:
    group: list[Manifest] = []
    size = 0
    for manifest in manifests:
        group.append(manifest)
        size += len(manifest.content)
        if len(group) == _AT_A_TIME or size > _SIZE:
            yield tuple(group)
            group, size = [], 0
    if group:
        yield tuple(group)


def _message(manifests: Iterable[Manifest]) -> blob_pb2.ListManifestsResponse:
    return blob_pb2.ListManifestsResponse(manifests=map(stored_manifest, manifests))


def stored_manifest(manifest: Manifest) -> blob_pb2.StoredManifest:
    """Put a manifest into a message."""
    return blob_pb2.StoredManifest(
        name=manifest.name.to_proto(),
        content=manifest.content,
        modified_at=timestamp(manifest.modified_at),
    )


def timestamp(moment: datetime) -> Timestamp:
    """Put a point in time into a message."""
    converted = Timestamp()
    converted.FromDatetime(moment)
    return converted
