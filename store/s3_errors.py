"""The errors of S3 and of the way to it, as ours."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from urllib3.exceptions import HTTPError

from common.errors import PaddockError, StoreFailed, StoreFull

# Amazon has no end; these are Ceph's, MinIO's and the standard's ways to say it.
_FULL = frozenset({"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull"})
_FULL_SUFFIX = "QuotaExceeded"
_INSUFFICIENT_STORAGE = 507
_REFUSED = (401, 403)
_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
_INVALID_PARTS = frozenset({"InvalidPart", "InvalidPartOrder", "EntityTooSmall"})
_LONGEST_TEXT = 500


def code_of(error: ClientError) -> str:
    """Give S3's code of an error; the HTTP status where it sent none, as for HEAD."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_missing(error: ClientError) -> bool:
    """Tell whether there is no such object, the bucket being there."""
    return code_of(error) in _MISSING


def is_aborted(error: ClientError) -> bool:
    """Tell whether a multipart upload is gone: aborted, or completed by another."""
    return code_of(error) == "NoSuchUpload"


def is_invalid_part(error: ClientError) -> bool:
    """Tell whether a multipart upload cannot be joined from the parts that were stated."""
    return code_of(error) in _INVALID_PARTS


@contextmanager
def s3_errors() -> Iterator[None]:
    """Turn what S3 refuses, and failures on the way to it, into `StoreFull` or `StoreFailed`."""
    try:
        yield
    except ClientError as error:
        raise _refusal(error) from error
    except NoCredentialsError as error:
        text = "no S3 credentials are configured, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        raise StoreFailed(f"the store cannot be used: {text}") from error
    except (BotoCoreError, HTTPError, ValueError) as error:  # the last: a malformed endpoint
        raise StoreFailed(f"the store cannot be used: {error}"[:_LONGEST_TEXT]) from error


def _refusal(error: ClientError) -> PaddockError:
    code = code_of(error)
    details = error.response.get("Error", {})
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code in _FULL or code.endswith(_FULL_SUFFIX) or status == _INSUFFICIENT_STORAGE:
        return StoreFull(f"the store cannot be used: {_told(error)}")
    if code == "NoSuchBucket":
        name = details.get("BucketName", "")
        return StoreFailed(f"the store cannot be used: the bucket {name} does not exist")
    if code == "NoSuchUpload":
        return StoreFailed("the upload was idle for too long and has been aborted")
    if status in _REFUSED:
        return StoreFailed(f"the store cannot be used: S3 refuses the credentials: {_told(error)}")
    return StoreFailed(f"the store cannot be used: {_told(error)}")


def _told(error: ClientError) -> str:
    """Give code, message and operation; nothing else, for some servers answer with secrets."""
    message = error.response.get("Error", {}).get("Message", "")
    return f"{code_of(error)}: {message} ({error.operation_name})"[:_LONGEST_TEXT]
