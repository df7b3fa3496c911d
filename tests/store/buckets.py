"""A place in a bucket: stores on it, and a look at what they really put there."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from store.s3 import S3Store
from store.s3_parts import MIN_PART_SIZE

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

BUCKET = "models"
PARALLEL_PARTS = 2


@dataclass(frozen=True)
class Place:
    """A prefix of which a test may do as it likes."""

    client: "S3Client"
    prefix: str

    @property
    def address(self) -> str:
        return f"s3://{BUCKET}/{self.prefix}"

    def open(self) -> S3Store:
        """Open a store with the smallest parts that S3 takes."""
        return S3Store(BUCKET, self.prefix, part_size=MIN_PART_SIZE, parallel_parts=PARALLEL_PARTS)

    def keys(self, under: str = "") -> list[str]:
        """Give the keys of all objects, without the prefix."""
        listed = self.client.list_objects_v2(Bucket=BUCKET, Prefix=self.prefix + under)
        return [entry["Key"].removeprefix(self.prefix) for entry in listed.get("Contents", [])]

    def multiparts(self) -> list[tuple[str, str]]:
        """Give path and identity of the multipart uploads that are going on."""
        listed = self.client.list_multipart_uploads(Bucket=BUCKET, Prefix=self.prefix)
        return [
            (upload["Key"].removeprefix(self.prefix), upload["UploadId"])
            for upload in listed.get("Uploads", [])
        ]

    def get(self, path: str) -> bytes:
        """Read an object as somebody else would."""
        return self.client.get_object(Bucket=BUCKET, Key=self.prefix + path)["Body"].read()

    def put(self, path: str, content: bytes) -> None:
        """Write an object as somebody else would."""
        self.client.put_object(Bucket=BUCKET, Key=self.prefix + path, Body=content)
