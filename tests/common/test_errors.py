import grpc
import pytest

from common.errors import BY_REASON, BY_STATUS, Internal, PaddockError, error_for
from common.rpc import to_status

KINDS = list(BY_REASON.values())


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_survives_its_reason(kind: type[PaddockError]) -> None:
    error = error_for(kind.reason(), "text")
    assert type(error) is kind
    assert (error.message, str(error)) == ("text", "text")


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_the_statuses_of_a_failure(kind: type[PaddockError]) -> None:
    status = grpc.StatusCode[kind.grpc_status]
    assert status is not grpc.StatusCode.OK
    assert 400 <= kind.http_status < 600
    assert to_status(kind("text")).code is status


def test_an_unknown_reason_is_a_defect() -> None:
    assert type(error_for("Nonsense", "text")) is Internal


@pytest.mark.parametrize("status", BY_STATUS)
def test_a_bare_status_becomes_an_error_of_the_same_side(status: str) -> None:
    kind = BY_STATUS[status]
    client_side = {
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        "OUT_OF_RANGE",
        "RESOURCE_EXHAUSTED",
    }
    assert (kind.http_status < 500) == (status in client_side)
