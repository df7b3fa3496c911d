"""How long presigned URLs live."""

from datetime import UTC, datetime, timedelta

import pytest
from botocore.credentials import Credentials, RefreshableCredentials

from store.s3_urls import remaining

HALF_A_DAY = timedelta(hours=12)


def of_a_role(lifetime: timedelta) -> RefreshableCredentials:
    return RefreshableCredentials(
        "key", "secret", "token", datetime.now(UTC) + lifetime, dict, "tests"
    )


def test_fixed_credentials_last() -> None:
    assert remaining(Credentials("key", "secret"), HALF_A_DAY) == HALF_A_DAY


@pytest.mark.parametrize("hours", [0.5, 6, 11])
def test_a_url_does_not_outlive_the_credentials(hours: float) -> None:
    lifetime = timedelta(hours=hours)
    found = remaining(of_a_role(lifetime), HALF_A_DAY)
    assert lifetime - timedelta(seconds=10) < found <= lifetime


def test_credentials_may_outlive_a_url() -> None:
    assert remaining(of_a_role(timedelta(hours=36)), HALF_A_DAY) == HALF_A_DAY
