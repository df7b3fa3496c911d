"""What S3 says, and what becomes of it."""

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
)

from common.errors import PaddockError, StoreFailed, StoreFull
from store.s3_errors import s3_errors


def refusal(code: str, status: int, **details: str) -> ClientError:
    error = {"Code": code, "Message": "Because.", **details}
    answer = {"Error": error, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "UploadPart")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (refusal("QuotaExceeded", 403), StoreFull, r"QuotaExceeded: Because\. \(UploadPart\)"),
        (refusal("XMinioAdminBucketQuotaExceeded", 400), StoreFull, "QuotaExceeded"),
        (refusal("XMinioStorageFull", 507), StoreFull, "Full"),
        (refusal("507", 507), StoreFull, "507"),
        (refusal("NoSuchBucket", 404, BucketName="b"), StoreFailed, "the bucket b does not exist"),
        (refusal("NoSuchUpload", 404), StoreFailed, "has been aborted"),
        (refusal("AccessDenied", 403), StoreFailed, "refuses the credentials: AccessDenied"),
        (refusal("403", 403), StoreFailed, "refuses the credentials"),
        (refusal("SlowDown", 503), StoreFailed, "SlowDown: Because"),
        (NoCredentialsError(), StoreFailed, "set AWS_ACCESS_KEY_ID"),
        (EndpointConnectionError(endpoint_url="http://s3"), StoreFailed, "http://s3"),
        (ConnectTimeoutError(endpoint_url="http://s3"), StoreFailed, "http://s3"),
        (IncompleteReadError(actual_bytes=1, expected_bytes=2), StoreFailed, "2"),
    ],
)
def test_errors(error: Exception, kind: type[PaddockError], text: str) -> None:
    with pytest.raises(PaddockError, match=text) as raised, s3_errors():
        raise error
    assert type(raised.value) is kind


def test_an_answer_is_not_repeated_at_length() -> None:
    """Some servers answer a wrong signature with all that they signed."""
    with pytest.raises(StoreFailed) as raised, s3_errors():
        raise refusal("SignatureDoesNotMatch", 403, StringToSign="secret", Message="x" * 5000)
    assert "secret" not in str(raised.value)
    assert len(str(raised.value)) < 700


def test_our_own_errors_pass() -> None:
    error = StoreFull("ours")
    with pytest.raises(StoreFull) as raised, s3_errors():
        raise error
    assert raised.value is error
