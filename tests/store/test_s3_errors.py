"""What S3 says, and what becomes of it."""

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
    ReadTimeoutError,
    SSLError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import ProtocolError

from common.errors import PaddockError, StoreFailed, StoreFull, Unavailable
from store.s3_errors import s3_errors


def refusal(code: str, status: int, **details: str) -> ClientError:
    error = {"Code": code, "Message": "Because.", **details}
    answer = {"Error": error, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "UploadPart")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (refusal("QuotaExceeded", 403), StoreFull, "no space left"),
        (refusal("XMinioAdminBucketQuotaExceeded", 400), StoreFull, "no space left"),
        (refusal("XMinioStorageFull", 507), StoreFull, "no space left"),
        (refusal("507", 507), StoreFull, "no space left"),
        (refusal("NoSuchBucket", 404, BucketName="b"), StoreFailed, "its bucket does not exist"),
        (refusal("NoSuchUpload", 404), StoreFailed, "has been aborted"),
        (refusal("AccessDenied", 403), StoreFailed, "refuses the credentials: AccessDenied"),
        (refusal("403", 403), StoreFailed, "refuses the credentials: 403"),
        (refusal("RequestTimeTooSkewed", 403), StoreFailed, "clock"),
        (refusal("ExpiredToken", 400), StoreFailed, "have expired"),
        (refusal("PermanentRedirect", 301), StoreFailed, "another region"),
        (refusal("AuthorizationHeaderMalformed", 400), StoreFailed, "another region"),
        (refusal("InvalidRequest", 400), StoreFailed, "refuses a request: InvalidRequest"),
        (refusal("<see http://s3>", 400), StoreFailed, "refuses a request: 400$"),
        (refusal("NotImplemented", 501), StoreFailed, "refuses a request: NotImplemented"),
        (refusal("SlowDown", 503), Unavailable, "try again"),
        (refusal("SlowDown", 400), Unavailable, "try again"),
        (refusal("InternalError", 500), Unavailable, "try again"),
        (refusal("InternalError", 200), Unavailable, "try again"),
        (refusal("502", 502), Unavailable, "try again"),
        (refusal("TooManyRequests", 429), Unavailable, "try again"),
        (refusal("RequestTimeout", 400), Unavailable, "try again"),
        (NoCredentialsError(), StoreFailed, "set AWS_ACCESS_KEY_ID"),
        (NoRegionError(), StoreFailed, "settings of S3"),
        (ProfileNotFound(profile="p"), StoreFailed, "settings of S3"),
        (ValueError("Invalid endpoint: s3"), StoreFailed, "address of S3 is malformed"),
        (ResponseParserError("<html>"), StoreFailed, "no S3 server"),
        (EndpointConnectionError(endpoint_url="http://s3"), Unavailable, "cannot be reached"),
        (ConnectTimeoutError(endpoint_url="http://s3"), Unavailable, "cannot be reached"),
        (ReadTimeoutError(endpoint_url="http://s3"), Unavailable, "cannot be reached"),
        (ConnectionClosedError(endpoint_url="http://s3"), Unavailable, "cannot be reached"),
        (IncompleteReadError(actual_bytes=1, expected_bytes=2), Unavailable, "reached"),
        (ProtocolError("broken"), Unavailable, "cannot be reached"),
        (
            SSLError(endpoint_url="https://s3", error=OSError("EOF")),
            Unavailable,
            "cannot be reached",
        ),
        (
            SSLError(endpoint_url="https://s3", error=OSError("[SSL: CERTIFICATE_VERIFY_FAILED]")),
            StoreFailed,
            "certificate of S3 is not trusted",
        ),
    ],
)
def test_errors(
    error: Exception, kind: type[PaddockError], text: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(PaddockError, match=text) as raised, s3_errors():
        raise error
    assert type(raised.value) is kind
    assert "Because" not in raised.value.message
    assert "http" not in raised.value.message
    assert str(raised.value) in caplog.text


def test_the_log_tells_what_the_user_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Unavailable), s3_errors():
        raise EndpointConnectionError(endpoint_url="http://s3.internal:9000")
    with pytest.raises(StoreFailed), s3_errors():
        raise refusal("NoSuchBucket", 404)
    assert "http://s3.internal:9000" in caplog.text
    assert "NoSuchBucket: Because. (UploadPart)" in caplog.text


def test_an_answer_is_not_repeated_at_length(caplog: pytest.LogCaptureFixture) -> None:
    """Some servers answer a wrong signature with all that they signed."""
    with pytest.raises(StoreFailed), s3_errors():
        raise refusal("SignatureDoesNotMatch", 403, StringToSign="secret", Message="x" * 5000)
    assert "secret" not in caplog.text
    assert len(caplog.messages[0]) < 700


def test_our_own_errors_pass() -> None:
    error = StoreFull("ours")
    with pytest.raises(StoreFull) as raised, s3_errors():
        raise error
    assert raised.value is error
