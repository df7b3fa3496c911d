"""Kept uploads: multipart uploads that another process can go on with.

An object beside them says how far they have come: which parts are stored, and the state
of the SHA-256 after them. It is rewritten as parts arrive, and removed at the end. What
fills no part is not kept; and nothing is where this Python cannot export the state of a
hash (see `store.sha256`).
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from botocore.exceptions import ClientError

from common.errors import UploadMoved
from store.interface import UploadStatus
from store.s3_checkpoints import CheckpointedSha256
from store.s3_errors import is_aborted, is_invalid_part, s3_errors
from store.s3_kept_state import WRITERS, KeptState, KeptStates
from store.s3_multipart import Multipart
from store.s3_parts import part_size_for
from store.s3_upload import S3Upload, Transfers, leaving_the_rest_to_cleaning
from store.s3_wanted import blob_path
from store.sha256 import resumable_sha256
from store.upload import Bytes

_SAVE_INTERVAL = 1.0  # seconds


class KeptUploads:
    """Begins kept uploads and goes on with them."""

    def __init__(self, transfers: Transfers) -> None:
        self._transfers = transfers
        self._states = KeptStates(transfers.bucket)

    def status(self, digest: str, size: int) -> UploadStatus:
        """Tell how far an upload has come."""
        busy = self._writer(digest, size) in WRITERS
        return UploadStatus(self._state(digest, size).committed_size, busy)

    def begin(self, digest: str, size: int, offset: int) -> S3Upload | None:
        """Begin an upload at 0, in place of an earlier one, or go on with it.

        Gives None when it is to begin anew while somebody is writing it.

        Raises:
            UploadMoved: it is to go on, and has another length or another writer.
        """
        writer = self._writer(digest, size)
        if not WRITERS.enter(writer):
            if offset:
                raise UploadMoved("the blob is being written by another upload")
            return None
        with ExitStack() as unless_begun:
            unless_begun.callback(WRITERS.leave, writer)
            upload = self._go_on(digest, size, offset) if offset else self._anew(digest, size)
            unless_begun.pop_all()
            return upload

    def _anew(self, digest: str, size: int) -> "KeptS3Upload":
        self._states.discard(digest, self._states.path(digest, size))
        part_size = part_size_for(size, self._transfers.part_size)
        return self._upload(digest, size, KeptState("", part_size), None)

    def _go_on(self, digest: str, size: int, offset: int) -> "KeptS3Upload":
        state = self._state(digest, size)
        if state.committed_size != offset:
            raise UploadMoved(f"the upload has {state.committed_size} bytes instead of {offset}")
        multipart = Multipart(
            self._transfers.bucket,
            blob_path(digest),
            state.upload_id,
            self._transfers.senders,
            state.etags,
        )
        return self._upload(digest, size, state, multipart)

    def _state(self, digest: str, size: int) -> KeptState:
        state = self._states.load_usable(digest, size) if resumable_sha256() else None
        return state or KeptState("", 0)

    def _upload(
        self, digest: str, size: int, state: KeptState, multipart: Multipart | None
    ) -> "KeptS3Upload":
        writer = self._writer(digest, size)
        return KeptS3Upload(self._transfers, digest, size, state, multipart, writer)

    def _writer(self, digest: str, size: int) -> str:
        bucket = self._transfers.bucket
        path = bucket.key(self._states.path(digest, size))
        return f"{bucket.client.meta.endpoint_url}/{bucket.name}/{path}"


class KeptS3Upload(S3Upload):
    """An upload that is suspended rather than thrown away."""

    def __init__(
        self,
        transfers: Transfers,
        digest: str,
        size: int,
        state: KeptState,
        multipart: Multipart | None,
        writer: str,
    ) -> None:
        exported = bytes.fromhex(state.sha256) if state.etags else None
        sha256 = resumable_sha256(exported)
        parts = len(state.etags)
        self._checkpoints = CheckpointedSha256(sha256, state.part_size, parts) if sha256 else None
        super().__init__(
            transfers,
            digest,
            size,
            keep=True,
            offset=state.committed_size,
            sha256=self._checkpoints,
            multipart=multipart,
        )
        self._states = KeptStates(transfers.bucket)
        self._state_path = self._states.path(digest, size)
        self._kept_part_size = state.part_size
        self._writer = writer
        self._saved_at = time.monotonic()
        self._saved_parts = parts

    def _append(self, data: Bytes) -> None:
        super()._append(data)
        if self._multipart and time.monotonic() - self._saved_at > _SAVE_INTERVAL:
            with self._errors():
                self._save(self._multipart, len(self._multipart.stored()))

    def _publish(self, digest: str) -> None:
        super()._publish(digest)
        self._forget()
        WRITERS.leave(self._writer)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        with s3_errors():
            try:
                yield
            except ClientError as error:
                if not is_aborted(error):
                    self._keep = self._keep and not is_invalid_part(error)
                    raise
                self._keep = False
                text = "what was stored of the upload has been removed meanwhile"
                raise UploadMoved(text) from error

    def _suspend(self) -> None:
        try:
            with leaving_the_rest_to_cleaning():
                if self._multipart:
                    self._save(self._multipart, len(self._multipart.settle()))
            if not self._saved_parts:
                super()._discard()
        finally:
            WRITERS.leave(self._writer)

    def _discard(self) -> None:
        try:
            super()._discard()
            self._forget()
        finally:
            WRITERS.leave(self._writer)

    def _next_part_size(self) -> int:
        return self._kept_part_size

    def _save(self, multipart: Multipart, stored: int) -> None:
        """Note how far the upload has come, as far as it is hashed, too."""
        self._saved_at = time.monotonic()
        hashed = self._checkpoints.state_after(stored) if self._checkpoints else None
        if hashed is None or hashed[0] <= self._saved_parts:
            return
        parts, sha256 = hashed
        state = KeptState(
            multipart.upload_id,
            self._kept_part_size,
            list(multipart.stored()[:parts]),
            sha256.hex(),
        )
        self._states.save(self._state_path, state)
        self._saved_parts = parts

    def _forget(self) -> None:
        with leaving_the_rest_to_cleaning():
            if self._multipart and self._saved_parts:
                self._states.remove(self._state_path, self._multipart.upload_id)
