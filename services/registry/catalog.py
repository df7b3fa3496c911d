"""The stored models by name: found regardless of case, written safely, removed cleanly."""

import asyncio
import logging
from collections.abc import Collection

from google.protobuf.timestamp_pb2 import Timestamp

from common.errors import InvalidModel, NotFound, PaddockError
from common.names import ModelName
from services.registry.blob_client import BlobClient, StoredManifest
from services.registry.manifest import parse_manifest

logger = logging.getLogger(__name__)


class Catalog:
    """Names and manifests over BlobService.

    A manifest is written only once all its blobs are known to be stored and are kept
    from collection, so a model that can be found is complete.

    Args:
        blobs: the store.
        lease: seconds for which others may go by what a name stood for. A change ends only
            after that, so that whoever knows of it gets the new model from everybody.
    """

    def __init__(self, blobs: BlobClient, lease: float = 0.0) -> None:
        self._blobs = blobs
        self.lease = lease

    async def find(self, name: ModelName) -> StoredManifest | None:
        """Find a model; another spelling of its name in upper and lower case will do."""
        return await self._blobs.read_manifest(name, any_case=True)

    async def save(self, name: ModelName, content: bytes) -> None:
        """Store a manifest, then let go of what only its predecessor needed.

        Raises:
            InvalidModel: a blob that it names is not stored; nothing has changed then.
        """
        wanted = parse_manifest(content).digests
        _check_complete(await self._blobs.retain(wanted))
        previous = await self.find(name)
        target = previous.name if previous else name
        await self._blobs.write_manifest(target, content)
        try:
            # The service answers once nobody is deleting any of them: what is there now stays.
            # Without a touch, for blobs that are retained after their manifest was written
            # would outlive it by the whole grace period.
            _check_complete(await self._blobs.missing(wanted))
        except InvalidModel:
            await self._take_back(target, content, previous)
            raise
        if previous:
            await asyncio.sleep(self.lease)
            await self._release(_digests(previous) - wanted, previous.modified_at)

    async def remove(self, stored: StoredManifest) -> None:
        """Remove a model and the blobs that only it needed.

        Raises:
            NotFound: somebody else removed it first.
        """
        await self._blobs.delete_manifest(stored.name)
        await asyncio.sleep(self.lease)
        await self._release(_digests(stored), stored.modified_at)

    async def _take_back(
        self, name: ModelName, content: bytes, previous: StoredManifest | None
    ) -> None:
        """Undo a write, unless somebody has written over it in the meantime."""
        current = await self._blobs.read_manifest(name)
        if current is None or current.content != content:
            return
        if previous:
            await self._blobs.write_manifest(name, previous.content)
            return
        try:
            await self._blobs.delete_manifest(name)
        except NotFound:
            logger.info("%s is gone already", name)

    async def _release(self, digests: Collection[str], released_at: Timestamp) -> None:
        """Offer blobs for collection; if that fails the periodic collection finds them."""
        try:
            await self._blobs.collect(digests, released_at)
        except PaddockError as error:
            logger.warning("blobs are left for the next collection: %s", error.message)


def _check_complete(missing: Collection[str]) -> None:
    if missing:
        raise InvalidModel(f"blob {min(missing)} is not stored")


def _digests(stored: StoredManifest) -> set[str]:
    try:
        return parse_manifest(stored.content).digests
    except InvalidModel:
        return set()
