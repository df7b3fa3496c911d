"""Takes models to other registries (the push half of Docker's registry protocol 2)."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from common.errors import InvalidRequest, ModelNotFound
from protos.paddock.v1 import registry_pb2
from services.registry import media_types
from services.registry.blob_client import BlobClient
from services.registry.catalog import Catalog
from services.registry.manifest import Manifest, parse_manifest
from services.registry.references import parse_name
from services.registry.remote.begun_uploads import BegunUploads
from services.registry.remote.blob_upload import RemoteBlobUpload
from services.registry.remote.client import RemoteClient
from services.registry.remote.layers import LayerTransfers
from services.registry.remote.location import RegistryLocation
from services.registry.remote.manifests import blobs_of
from services.registry.remote.moving import moving
from services.registry.remote.retries import with_retries
from services.registry.remote.session import RemoteSession
from services.registry.remote.shared_transfers import SharedTransfers

_PUSHED = (200, 201, 202, 204)

# A registry reads a blob once more before it takes it.
_COMMIT_SECONDS = 900.0


class Pusher:
    """Pushes models; the manifest goes last, so that nobody pulls half a model.

    Pushes of this process share what they upload, and remember what broke off.
    """

    def __init__(self, blobs: BlobClient, catalog: Catalog, remote: RemoteClient) -> None:
        self._blobs = blobs
        self._catalog = catalog
        self._remote = remote
        self._uploads = SharedTransfers()
        self._begun = BegunUploads()

    async def push(
        self, model: str, *, insecure: bool
    ) -> AsyncGenerator[registry_pb2.Progress, None]:
        """Send a model, or what of it the registry lacks, and report each step.

        Raises:
            InvalidName, InvalidRequest: the name is none, or asks for plain HTTP.
            ModelNotFound: it is not stored here.
            RegistryFailed: the registry refuses or fails.
        """
        if not model.strip():
            raise InvalidRequest("model is required")
        name = parse_name(model)
        location = self._remote.locate(model, insecure=insecure)
        yield _line("retrieving manifest")
        stored = await self._catalog.find(name)
        if stored is None:
            yield _line("couldn't retrieve manifest")
            raise ModelNotFound(f"model '{model}' not found")
        manifest = parse_manifest(stored.content)
        session = await self._remote.session(location, "pull,push", answer_timeout=_COMMIT_SECONDS)
        transfers = self._transfers(manifest, session)
        async with aclosing(transfers.run(manifest.digests)) as lines:
            async for line in lines:
                yield line
        yield _line("pushing manifest")
        await self._push_manifest(session, stored.content)
        yield _line("success")

    def _transfers(self, manifest: Manifest, session: RemoteSession) -> LayerTransfers:
        settings = self._remote.settings
        upload = RemoteBlobUpload(
            self._blobs,
            session,
            self._begun,
            settings.retries,
            settings.stall_timeout,
            self._mounts(manifest, session.location),
        )
        wanted = blobs_of(manifest)
        return LayerTransfers("pushing", self._blobs, upload, self._uploads, session, wanted)

    def _mounts(self, manifest: Manifest, target: RegistryLocation) -> Mapping[str, str]:
        """Find out which blobs another repository of the same registry may have."""
        found = {}
        for layer in manifest.layers:
            try:
                parent = self._remote.locate(layer.parent, insecure=target.insecure)
            except InvalidRequest:  # a stranger may have written it
                continue
            if parent.host == target.host and parent.repository != target.repository:
                found[layer.digest] = parent.repository
        return found

    async def _push_manifest(self, session: RemoteSession, content: bytes) -> None:
        headers = {"Content-Type": _media_type(content)}
        settings = self._remote.settings
        path = session.location.manifest_path

        async def attempt() -> None:
            async with (
                moving(session.location.host, settings.stall_timeout),
                session.request("PUT", path, headers=headers, data=content, expect=_PUSHED),
            ):
                pass

        await with_retries(attempt, settings.retries)


def _media_type(content: bytes) -> str:
    return parse_manifest(content).media_type or media_types.MANIFEST


def _line(status: str) -> registry_pb2.Progress:
    return registry_pb2.Progress(status=status)
