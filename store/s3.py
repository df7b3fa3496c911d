"""A store in an S3 bucket, laid out as Ollama lays out its models folder.

    <prefix>blobs/sha256-<64 hex>                         a blob
    <prefix>manifests/<host>/<namespace>/<model>/<tag>    a manifest, byte for byte
    <prefix>retained/sha256-<64 hex>                      when a blob was last wanted
    <prefix>uploads/                                      what is not visible yet
    <prefix>changed/                                      which manifests were written lately

So a copy of such a folder is a store. Objects that it does not know are never touched.
Any S3 server will do: nothing here relies on conditional writes, on S3's checksums or on
listings that are up to date at once.
"""

from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

from common.errors import BlobNotFound, UploadMoved
from common.names import ModelName
from store.interface import Blob, Location, Manifest, Store, UploadStatus
from store.s3_bucket import Bucket
from store.s3_deletion import S3Deletion, deleting
from store.s3_errors import s3_errors
from store.s3_kept import KeptUploads
from store.s3_leftovers import Leftovers
from store.s3_manifests import S3Manifests
from store.s3_multipart import PartSenders
from store.s3_parts import MIB
from store.s3_reading import BlobReading
from store.s3_upload import S3Upload, Transfers
from store.s3_urls import presigned_url
from store.s3_wanted import WantedBlobs, blob_path
from store.upload import Upload

PART_SIZE = 16 * MIB
PARALLEL_PARTS = 8
_COPIED_PART_SIZE = 512 * MIB
_PARALLEL_REQUESTS = 16
_CONNECTIONS = 64  # parts, small requests, and the threads of a service
_URL_LIFETIME = timedelta(hours=12)


class S3Store(Store):
    """Blobs and manifests as objects in a bucket, which must be there.

    At most `parallel_parts` parts are on their way at a time, of all uploads together,
    so memory is bounded by (`parallel_parts` + uploads) x the size of a part. That is
    `part_size` bytes, or as much as makes do with S3's 10,000 parts: more than 16 MiB
    only for blobs of more than 156 GiB, or when 16 GiB of unknown size have passed.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        part_size: int = PART_SIZE,
        parallel_parts: int = PARALLEL_PARTS,
        copied_part_size: int = _COPIED_PART_SIZE,
        url_lifetime: timedelta = _URL_LIFETIME,
    ) -> None:
        self._threads = ThreadPoolExecutor(_PARALLEL_REQUESTS, thread_name_prefix="s3")
        self._bucket = Bucket(bucket, prefix, _CONNECTIONS)
        self._wanted = WantedBlobs(self._bucket, self._threads)
        self._manifests = S3Manifests(self._bucket, self._threads)
        self._transfers = Transfers(
            self._bucket, self._wanted, PartSenders(parallel_parts), part_size, copied_part_size
        )
        self._kept = KeptUploads(self._transfers)
        self._leftovers = Leftovers(self._bucket)
        self._url_lifetime = url_lifetime

    @s3_errors()
    def check(self) -> None:
        """List one object: the bucket is there, and the credentials open it. Tries once."""
        self._bucket.connection.hasty_client.list_objects_v2(
            Bucket=self._bucket.name, Prefix=self._bucket.key("manifests/"), MaxKeys=1
        )

    @s3_errors()
    def begin_upload(
        self,
        digest: str | None = None,
        size: int | None = None,
        *,
        keep: bool = False,
        offset: int = 0,
    ) -> Upload:
        """Start a multipart upload as soon as there is a part for it."""
        kept = None
        if keep and digest and size is not None:
            kept = self._kept.begin(digest, size, offset)
        elif offset:
            raise UploadMoved("only a kept upload can go on")
        return kept or S3Upload(self._transfers, digest, size)

    @s3_errors()
    def upload_status(self, digest: str, size: int) -> UploadStatus:
        """Count whole parts; what fills none is not kept."""
        return self._kept.status(digest, size)

    @s3_errors()
    def stat(self, digest: str) -> Blob:
        """Ask for the object and its marker."""
        return _found(self._wanted.find(digest), digest)

    def read(self, digest: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Read over one connection, and another when it breaks off."""
        return BlobReading(self._bucket, digest, offset, length).chunks()

    @s3_errors()
    def locate(self, digest: str) -> Location:
        """Give a presigned URL."""
        blob = self._bucket.find(blob_path(digest))
        if blob is None:
            raise _not_found(digest)
        url, expires_at = presigned_url(self._bucket, digest, self._url_lifetime)
        return Location(size=blob.size, url=url, expires_at=expires_at)

    @s3_errors()
    def retain(self, digest: str) -> Blob:
        """Rewrite the blob's marker."""
        return _found(self._wanted.retain(digest), digest)

    def deleting(self, digests: Collection[str]) -> AbstractContextManager[S3Deletion]:
        """Put up a notice for each blob, and take it down again."""
        return deleting(self._bucket, self._wanted, self._threads, digests)

    @s3_errors()
    def await_deletions(self, digests: Collection[str]) -> None:
        """Look for notices."""
        self._wanted.await_deletions(digests)

    def list_blobs(self) -> Iterator[Blob]:
        """List blobs and markers. Times are early by up to two seconds, unlike `stat`'s."""
        with s3_errors():
            yield from self._wanted.list()

    @s3_errors()
    def abort_uploads(self, idle_since: datetime) -> int:
        """Abort multipart uploads below the prefix, and remove what else is under `uploads/`."""
        aborted = self._leftovers.remove(idle_since)
        self._wanted.remove_leftovers(idle_since)
        self._manifests.remove_leftovers(idle_since)
        return aborted

    @s3_errors()
    def read_manifest(self, name: ModelName) -> Manifest:
        """Read the object."""
        return self._manifests.read(name)

    @s3_errors()
    def write_manifest(self, name: ModelName, content: bytes) -> Manifest:
        """Write the object."""
        return self._manifests.write(name, content)

    @s3_errors()
    def delete_manifest(self, name: ModelName) -> None:
        """Delete the object."""
        self._manifests.delete(name)

    def list_manifests(self) -> Iterator[Manifest]:
        """Read the objects whose path has as many parts as a name."""
        with s3_errors():
            yield from self._manifests.read_all()

    @s3_errors()
    def known_manifests(self) -> list[Manifest]:
        """Give what was last listed, with all changes that our processes have told since.

        What others have done shows half a minute after it, but not to him who asks first.
        """
        return self._manifests.known()

    @s3_errors()
    def names_like(self, name: ModelName) -> list[ModelName]:
        """Look among the known ones."""
        return self._manifests.names_like(name)


def _found(blob: Blob | None, digest: str) -> Blob:
    if blob is None:
        raise _not_found(digest)
    return blob


def _not_found(digest: str) -> BlobNotFound:
    return BlobNotFound(f'blob "{digest}" not found')
