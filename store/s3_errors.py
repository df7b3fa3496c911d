"""The errors of S3 and of the way to it, as ours.

An outage, which may be over soon, is `Unavailable`; what only an operator can mend is
`StoreFailed`. Neither tells where the store lies or what S3 says of it, for that is
nobody's business but the operator's: it is logged.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    SSLError,
)
from botocore.exceptions import ConnectionError as NotConnectedError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from common.errors import PaddockError, StoreFailed, StoreFull, Unavailable

logger = logging.getLogger(__name__)

# Amazon has no end; these are Ceph's, MinIO's and the standard's ways to say it.
_FULL = frozenset({"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull"})
_FULL_SUFFIX = "QuotaExceeded"
_INSUFFICIENT_STORAGE = 507

# Said with a status that does not tell that it will pass.
_PASSING = frozenset({"InternalError", "RequestTimeout", "SlowDown", "ThrottlingException"})
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500
_NOT_IMPLEMENTED = 501

_RANGE_NOT_SATISFIABLE = 416
_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
_UNSUPPORTED = frozenset({"NotImplemented", "MethodNotAllowed"})
_UNKNOWN_OPERATION = (405, 501)
_INVALID_PARTS = frozenset({"InvalidPart", "InvalidPartOrder", "EntityTooSmall"})

_WRONG_SETTINGS = {
    "NoSuchBucket": "its bucket does not exist",
    "NoSuchUpload": "the upload was idle for too long and has been aborted",
    "RequestTimeTooSkewed": "this machine's clock and that of S3 differ too much",
    "ExpiredToken": "the S3 credentials have expired",
    "PermanentRedirect": "its bucket lies in another region than AWS_REGION says",
    "AuthorizationHeaderMalformed": "its bucket lies in another region than AWS_REGION says",
}
_REFUSED = (401, 403)
_CODE = re.compile(r"[A-Za-z0-9._]{1,64}")
_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
_LONGEST_TEXT = 500


def code_of(error: ClientError) -> str:
    """Give S3's code of an error; the HTTP status where it sent none, as for HEAD."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_missing(error: ClientError) -> bool:
    """Tell whether there is no such object, the bucket being there."""
    return code_of(error) in _MISSING


def is_beyond_the_end(error: ClientError) -> bool:
    """Tell whether a range begins where an object has ended."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status == _RANGE_NOT_SATISFIABLE or code_of(error) == "InvalidRange"


def is_aborted(error: ClientError) -> bool:
    """Tell whether a multipart upload is gone: aborted, or completed by another."""
    return code_of(error) == "NoSuchUpload"


def was_repeated(error: ClientError) -> bool:
    """Tell whether what was asked for had been asked before, without an answer or in vain."""
    return bool(error.response.get("ResponseMetadata", {}).get("RetryAttempts"))


def is_invalid_part(error: ClientError) -> bool:
    """Tell whether a multipart upload cannot be joined from the parts that were stated."""
    return code_of(error) in _INVALID_PARTS


def is_unsupported(error: ClientError) -> bool:
    """Tell whether the server does not know the operation at all, with or without S3's words."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status in _UNKNOWN_OPERATION or code_of(error) in _UNSUPPORTED


def is_failure_of_the_server(error: ClientError) -> bool:
    """Tell whether an operation failed, or may have been done all the same."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= _SERVER_ERROR or code_of(error) in _PASSING


@contextmanager
def s3_errors() -> Iterator[None]:
    """Turn what S3 refuses, and failures on the way to it, into errors of ours.

    Raises:
        StoreFull: S3 takes no more.
        Unavailable: it cannot be reached, or cannot answer now.
        StoreFailed: it refuses, or is not what the settings say.
    """
    try:
        yield
    except ClientError as error:
        raise _logged(_refusal(error), _told(error)) from error
    except (BotoCoreError, HTTPError, ResponseParserError, ValueError) as error:
        raise _logged(_failure(error), str(error)) from error


def _logged(error: PaddockError, details: str) -> PaddockError:
    logger.error("%s: %s", error.message, details[:_LONGEST_TEXT])
    return error


def _refusal(error: ClientError) -> PaddockError:
    code = code_of(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _FULL or code.endswith(_FULL_SUFFIX) or status == _INSUFFICIENT_STORAGE:
        return StoreFull("the store has no space left")
    if code in _WRONG_SETTINGS:
        return _unusable(_WRONG_SETTINGS[code])
    passing = status >= _SERVER_ERROR and status != _NOT_IMPLEMENTED
    if passing or status == _TOO_MANY_REQUESTS or code in _PASSING:
        return _outage()
    shown = code if _CODE.fullmatch(code) else str(status)
    if status in _REFUSED:
        return _unusable(f"S3 refuses the credentials: {shown}")
    return _unusable(f"S3 refuses a request: {shown}")


def _failure(error: Exception) -> PaddockError:
    """Tell an outage from wrong settings where S3 has not answered."""
    if isinstance(error, NoCredentialsError):
        wish = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        return _unusable(f"no S3 credentials are configured, {wish}")
    if isinstance(error, SSLError) and _UNTRUSTED in str(error):
        return _unusable("the certificate of S3 is not trusted")
    if isinstance(error, NotConnectedError | HTTPClientError | IncompleteReadError | HTTPError):
        return _outage()
    if isinstance(error, ResponseParserError):
        return _unusable("what answers at its address is no S3 server")
    if isinstance(error, BotoCoreError):
        return _unusable("the settings of S3 are wrong or incomplete")
    return _unusable("the address of S3 is malformed")


def _unusable(reason: str) -> StoreFailed:
    return StoreFailed(f"the store cannot be used: {reason}")


def _outage() -> Unavailable:
    return Unavailable("the store cannot be reached; try again in a moment")


def _told(error: ClientError) -> str:
    """Give code, message and operation; nothing else, for some servers answer with secrets."""
    message = error.response.get("Error", {}).get("Message", "")
    return f"{code_of(error)}: {message} ({error.operation_name})"
