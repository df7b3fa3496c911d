"""What a multipart upload counts as stored when a part fails."""

from threading import Event
from typing import Any, cast

import pytest

from store.s3_bucket import Bucket
from store.s3_multipart import Multipart, PartSenders


class LossyClient:
    """An S3 that loses the second part, after the third one came."""

    def __init__(self) -> None:
        self.third_came = Event()

    def upload_part(self, **asked: Any) -> dict[str, str]:
        if asked["PartNumber"] == 2:
            self.third_came.wait(30)
            raise ConnectionError("lost")
        if asked["PartNumber"] == 3:
            self.third_came.set()
        return {"ETag": f"etag-{asked['PartNumber']}"}


class LossyBucket(Bucket):
    """A bucket at that server."""

    def __init__(self) -> None:
        super().__init__("models", "", 1)
        self._client = LossyClient()

    @property
    def client(self) -> Any:
        return cast(Any, self._client)


def test_nothing_after_a_lost_part_counts() -> None:
    multipart = Multipart(LossyBucket(), "blobs/x", "1", PartSenders(3))
    for content in (b"1", b"2", b"3"):
        multipart.send(content)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            multipart.finish()
    assert list(multipart.settle()) == ["etag-1"]
