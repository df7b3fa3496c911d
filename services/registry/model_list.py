"""The list of all models, newest first, made of what little there is to say about each."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from itertools import chain
from operator import itemgetter
from typing import NamedTuple, Self

from google.protobuf.timestamp_pb2 import Timestamp

from common.derived import is_derived
from common.errors import InvalidModel, NotFound, PaddockError
from common.names import ModelName
from protos.paddock.v1 import blob_pb2
from protos.paddock.v1.registry_pb2 import ModelSummary
from services.registry.blob_client import BlobClient, StoredManifest, stored_manifest
from services.registry.cache import Cache, Loaded
from services.registry.coalesced import Coalesced
from services.registry.manifest import parse_manifest
from services.registry.model_config import ModelConfig
from services.registry.models import Models, bare_summary

logger = logging.getLogger(__name__)

_AT_A_TIME = 200
_MADE_AT_A_TIME = 25
_CACHE = 128 * 1024 * 1024


class _Key(NamedTuple):
    """What makes a summary what it is."""

    modified_at: int
    """Nanoseconds."""
    name: ModelName
    content: bytes

    @classmethod
    def of(cls, stored: StoredManifest) -> Self:
        """Take a manifest apart."""
        return cls(stored.modified_at.ToNanoseconds(), stored.name, stored.content)

    @property
    def stored(self) -> StoredManifest:
        """The manifest itself."""
        modified_at = Timestamp()
        modified_at.FromNanoseconds(self.modified_at)
        return StoredManifest(self.name, self.content, modified_at)


class _Listed(NamedTuple):
    """A model in its place in the list."""

    newest_first: int
    name: str
    summary: ModelSummary


class _Page(NamedTuple):
    """Manifests as they came, and what was made of them."""

    manifests: blob_pb2.ListManifestsResponse
    models: list[_Listed]
    is_whole: bool
    """Nothing is damaged, or missing now and there the next time."""


class ModelList:
    """Lists models.

    The manifests are asked for each time. What has come before is not looked at again: neither
    a page that is the same, nor in any other a manifest that is. Who asks while a list is being
    made shares the next one.
    """

    def __init__(self, blobs: BlobClient, models: Models) -> None:
        self._blobs = blobs
        self._models = models
        self._summaries: Cache[_Key, ModelSummary] = Cache(self._load, _CACHE)
        self._pages: list[_Page] = []
        self._lists = Coalesced(self._make)

    async def pages(self) -> AsyncGenerator[list[ModelSummary], None]:
        """Give the models, so few at a time that encoding them holds up nothing else."""
        models = await self._lists.get()
        for first in range(0, len(models), _AT_A_TIME):
            yield [model.summary for model in models[first : first + _AT_A_TIME]]

    async def prepare(self) -> None:
        """Read what the list is made of, so that whoever asks for it first need not wait."""
        try:
            await self._lists.get()
        except PaddockError as error:
            logger.info("the list of models could not be prepared: %s", error.message)

    async def _make(self) -> list[_Listed]:
        """Summarise all models; a damaged manifest is logged and left out."""
        pages: list[_Page] = []
        async for manifests in self._blobs.manifest_pages():
            known = self._pages[len(pages)] if len(pages) < len(self._pages) else None
            if known and known.is_whole and known.manifests == manifests:
                pages.append(known)
            else:
                pages.append(await self._page(manifests))
        self._pages = pages
        return sorted(chain.from_iterable(page.models for page in pages), key=itemgetter(0, 1))

    async def _page(self, manifests: blob_pb2.ListManifestsResponse) -> _Page:
        """Summarise some manifests; what was made of models' files is no model."""
        stored = [stored_manifest(each) for each in manifests.manifests]
        keys = [_Key.of(each) for each in stored if not is_derived(each.name)]
        found = [kept.value for key in keys if (kept := self._summaries.kept(key))]
        is_whole = len(found) == len(keys)
        if not is_whole:
            found = await self._summarize(keys)
            is_whole = all(map(self._summaries.kept, keys))
        models = [
            _Listed(-summary.modified_at.ToNanoseconds(), summary.name, summary)
            for summary in found
        ]
        return _Page(manifests, models, is_whole)

    async def _summarize(self, keys: Sequence[_Key]) -> list[ModelSummary]:
        """Summarise models, so few at a time that nothing else has to wait for long."""
        await self._models.read_configs(key.stored for key in keys if not self._summaries.kept(key))
        made: list[ModelSummary | None] = []
        for first in range(0, len(keys), _MADE_AT_A_TIME):
            some = keys[first : first + _MADE_AT_A_TIME]
            made += await asyncio.gather(*map(self._try_to_summarize, some))
        return [summary for summary in made if summary]

    async def _try_to_summarize(self, key: _Key) -> ModelSummary | None:
        try:
            return await self._summaries.get(key)
        except (InvalidModel, NotFound) as error:
            return _without_details(key.stored, error)

    async def _load(self, key: _Key) -> Loaded[ModelSummary]:
        summary = await self._models.summary(key.stored)
        return Loaded(summary, len(key.content) + summary.ByteSize())


def _without_details(stored: StoredManifest, error: PaddockError) -> ModelSummary | None:
    try:
        manifest = parse_manifest(stored.content)
    except InvalidModel:
        logger.warning("%s is left out of the list: %s", stored.name, error.message)
        return None
    logger.warning("%s is listed without details: %s", stored.name, error.message)
    return bare_summary(stored, manifest, ModelConfig())
