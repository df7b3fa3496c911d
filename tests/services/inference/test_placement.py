"""Placement as a table: which worker is chosen for the model `m`."""

import pytest

from protos.paddock.v1 import model_pb2, worker_pb2
from services.inference.placement import (
    LOADING,
    READY,
    Candidate,
    choose,
    may_find_room,
    room,
    slots,
)


def model(weights: str, state: int = READY, **fields: object) -> worker_pb2.WorkerModel:
    spec = model_pb2.ModelSpec(weights=weights)
    return worker_pb2.WorkerModel(spec=spec, state=state, **fields)  # type: ignore[arg-type]


def worker(
    address: str,
    *models: worker_pb2.WorkerModel,
    used: int = 0,
    in_flight: dict[str, int] | None = None,
    draining: bool = False,
) -> Candidate:
    status = worker_pb2.WorkerStatus(
        memory_budget=100, memory_used=used, models=models, draining=draining
    )
    return Candidate(address, status, in_flight or {})


@pytest.mark.parametrize(
    ("candidates", "excluded", "chosen"),
    [
        ([], [], None),
        ([worker("a", draining=True)], [], None),
        ([worker("a")], ["a"], None),
        ([worker("a"), worker("b", model("m"))], [], "b"),
        ([worker("a", model("m", LOADING)), worker("b")], [], "a"),
        ([worker("a", model("m", LOADING)), worker("b", model("m"))], [], "b"),
        ([worker("a", model("m", running=5)), worker("b", model("m", running=2))], [], "b"),
        (
            [
                worker("a", model("m"), in_flight={"m": 9}),
                worker("b", model("m"), in_flight={"m": 1}),
            ],
            [],
            "b",
        ),
        ([worker("a", used=80), worker("b", used=20)], [], "b"),
        ([worker("a", in_flight={"x": 3}), worker("b")], [], "b"),
        ([worker("a"), worker("b", in_flight={"m": 3})], [], "b"),
        ([worker("a", model("m")), worker("b", in_flight={"m": 1})], [], "a"),
        ([worker("a", model("m")), worker("b", model("m"))], ["a"], "b"),
    ],
)
def test_choose(candidates: list[Candidate], excluded: list[str], chosen: str | None) -> None:
    assert choose(candidates, "m", excluded) == chosen


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (model("x"), False),
        (model("x", running=1), True),
        (model("x", waiting=1), True),
        (model("x", LOADING), True),
        (model("m", running=1), False),
    ],
)
def test_room_may_be_found_only_where_another_model_works(
    other: worker_pb2.WorkerModel, expected: bool
) -> None:
    assert may_find_room([worker("a", other)], "m") is expected


def test_room_may_be_found_where_this_router_works_with_another_model() -> None:
    assert may_find_room([worker("a", model("x"), in_flight={"x": 1})], "m")
    assert not may_find_room([worker("a", model("x"), in_flight={"m": 1})], "m")


BUSY = [worker("a", model("x", running=1), used=50)]


@pytest.mark.parametrize(
    ("later", "changed"),
    [
        ([worker("a", model("x", running=7), used=50)], False),
        ([worker("a", model("x", running=1), model("m", LOADING), used=50)], False),
        ([worker("a", model("x", running=1), model("y", LOADING), used=50)], False),
        ([worker("a", model("x"), used=50)], True),
        ([worker("a", model("x", running=1), used=40)], True),
        ([*BUSY, worker("b")], True),
        ([], True),
    ],
)
def test_a_refusal_holds_until_there_may_be_room(later: list[Candidate], changed: bool) -> None:
    assert (room(BUSY, "m") != room(later, "m")) is changed


def test_slots_are_summed_over_replicas() -> None:
    replicas = [worker(name, model("m", max_sequences=4)) for name in "abc"]
    assert slots([*replicas, worker("d", model("x", max_sequences=9))], "m") == 12
