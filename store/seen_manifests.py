"""Manifests that were read before, so that only what has changed is read again."""

from collections.abc import Hashable
from typing import Generic, TypeVar

from store.interface import Manifest

V = TypeVar("V", bound=Hashable)

_LARGEST = 64 * 1024
_ALL = 256 * 1024 * 1024


class SeenManifests(Generic[V]):
    """What one listing has seen, for the next one.

    A version is whatever cannot stay the same when a manifest's bytes change. Kept are
    manifests of 64 KiB at most, and 256 MiB of them; what is beyond is read each time.
    """

    def __init__(self) -> None:
        self._manifests: dict[V, Manifest] = {}
        self._size = 0

    def get(self, version: V) -> Manifest | None:
        """Give the manifest of a version, where it is kept."""
        return self._manifests.get(version)

    def keep(self, version: V, manifest: Manifest) -> None:
        """Keep a manifest, if there is room."""
        size = len(manifest.content)
        if size <= _LARGEST and self._size + size <= _ALL:
            self._manifests[version] = manifest
            self._size += size
