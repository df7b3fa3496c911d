"""The connection to S3: client, credentials, and how patient it is.

Endpoint, region and credentials are found as every AWS tool finds them: variables
(`AWS_ENDPOINT_URL_S3`, `AWS_ACCESS_KEY_ID`, ...), profiles, roles.
"""

import os
from dataclasses import dataclass
from datetime import datetime
from functools import cache, reduce
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import NoCredentialsError
from botocore.loaders import Loader, create_loader
from botocore.utils import parse_timestamp

if TYPE_CHECKING:  # the types are installed for development alone
    from mypy_boto3_s3.client import S3Client

_CONNECT_TIMEOUT = 5  # seconds
_READ_TIMEOUT = 60
_ATTEMPTS = 4  # with exponential backoff between them
_HASTY_TIMEOUT = 10  # seconds
_PATIENT_TIMEOUT = 3600
_AMAZON = (".amazonaws.com", ".amazonaws.com.cn")


@dataclass(frozen=True)
class Connection:
    """A client, which threads may share, and the credentials that it signs with."""

    client: "S3Client"
    hasty_client: "S3Client"
    """One that tries once and gives up within seconds, for what must not happen late."""

    patient_client: "S3Client"
    """One that asks once and waits long, for what the server is busy with and need not repeat."""

    credentials: Credentials


def connect(connections: int) -> Connection:
    """Make a client that keeps that many connections open. Asks S3 nothing.

    Buckets are named in the path of URLs where the endpoint is not Amazon's, for only
    there every bucket has a host name; `addressing_style` in AWS's own configuration
    file decides where it is set.

    Raises:
        NoCredentialsError: none are configured, or the source of a role's is unreachable.
        ValueError: the endpoint is no URL.
    """
    core = botocore.session.get_session()
    core.register_component("data_loader", _loader())
    core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_parse_time)
    # What AWS's other tools read; boto3 itself knows AWS_DEFAULT_REGION alone.
    region = os.environ.get("AWS_REGION")
    session = boto3.Session(region_name=region, botocore_session=core)
    credentials = session.get_credentials()
    if credentials is None:
        raise NoCredentialsError
    config = _config(connections)
    client = session.client("s3", config=config)
    is_chosen = "addressing_style" in (core.get_scoped_config().get("s3") or {})
    if not is_chosen:
        # Amazon's own default makes presigned URLs that lead to another region's servers.
        is_amazon = _is_amazon(client.meta.endpoint_url)
        addressing = Config(s3={"addressing_style": "virtual" if is_amazon else "path"})
        config = config.merge(addressing)
        client = session.client("s3", config=config)
    once = Config(retries={"total_max_attempts": 1})
    hasty, patient = (
        session.client("s3", config=config.merge(once).merge(Config(read_timeout=timeout)))
        for timeout in (_HASTY_TIMEOUT, _PATIENT_TIMEOUT)
    )
    return Connection(client, hasty, patient, credentials)


def _parse_time(text: Any) -> datetime:
    """Read a time as botocore does; those of listings, which are many, in a tenth of its time."""
    if isinstance(text, str) and text[10:11] == "T" and text.endswith("Z"):
        return datetime.fromisoformat(text)
    return parse_timestamp(text)


@cache
def _loader() -> Loader:
    """Share what describes S3, 10 MiB, between all clients of the process."""
    return create_loader(os.environ.get("AWS_DATA_PATH"))


def _config(connections: int) -> Config:
    config = Config(
        signature_version="s3v4",  # presigned URLs have another one by default
        max_pool_connections=connections,
        connect_timeout=_CONNECT_TIMEOUT,
        read_timeout=_READ_TIMEOUT,
        tcp_keepalive=True,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
    )
    # Servers of other makes stumble over checksums that they do not know, and ours are
    # better. Whoever wants them all the same says so in AWS's own way.
    wishes = {
        "AWS_REQUEST_CHECKSUM_CALCULATION": Config(request_checksum_calculation="when_required"),
        "AWS_RESPONSE_CHECKSUM_VALIDATION": Config(response_checksum_validation="when_required"),
    }
    defaults = [default for name, default in wishes.items() if name not in os.environ]
    return reduce(Config.merge, defaults, config)


def _is_amazon(endpoint: str) -> bool:
    return (urlsplit(endpoint).hostname or "").endswith(_AMAZON)
