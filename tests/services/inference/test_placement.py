"""Placement as a table: which worker is chosen for the model `m`."""

import pytest

from protos.paddock.v1 import model_pb2, worker_pb2
from services.inference.placement import (
    LOADING,
    READY,
    Candidate,
    Wanted,
    choose,
    may_find_room,
    room,
    slots,
)

M = Wanted("m")
TUNED = Wanted("m", adapter=True)


def model(
    weights: str, state: int = READY, *, adapter: bool = False, **fields: object
) -> worker_pb2.WorkerModel:
    spec = model_pb2.ModelSpec(weights=weights)
    if adapter:
        spec.adapter.rank = 8
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
    needs = {Wanted(weights): count for weights, count in (in_flight or {}).items()}
    return Candidate(address, status, needs)


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
    assert choose(candidates, M, excluded) == chosen


@pytest.mark.parametrize(
    ("wanted", "candidates", "chosen"),
    [
        (TUNED, [worker("a", model("m")), worker("b", model("m", adapter=True))], "b"),
        (TUNED, [worker("a", model("m")), worker("b", model("m", LOADING, adapter=True))], "b"),
        (TUNED, [worker("a", model("m"), used=50), worker("b")], "b"),
        (TUNED, [worker("a", model("x", adapter=True), used=50), worker("b")], "b"),
        (TUNED, [worker("a", in_flight={"m": 1}), worker("b")], "b"),
        (M, [worker("a"), worker("b", model("m", adapter=True))], "b"),
    ],
)
def test_an_adapter_goes_where_its_base_takes_adapters(
    wanted: Wanted, candidates: list[Candidate], chosen: str
) -> None:
    assert choose(candidates, wanted) == chosen


def test_an_adapter_waits_for_the_room_of_its_base() -> None:
    """It needs an engine of its own where the base's takes none."""
    assert may_find_room([worker("a", model("m", running=1))], TUNED)
    assert not may_find_room([worker("a", model("m", running=1, adapter=True))], TUNED)
    assert not may_find_room([worker("a", model("m", running=1, adapter=True))], M)


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
    assert may_find_room([worker("a", other)], M) is expected


def test_room_may_be_found_where_this_router_works_with_another_model() -> None:
    assert may_find_room([worker("a", model("x"), in_flight={"x": 1})], M)
    assert not may_find_room([worker("a", model("x"), in_flight={"m": 1})], M)


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
    assert (room(BUSY, M) != room(later, M)) is changed


def test_slots_are_summed_over_replicas() -> None:
    replicas = [worker(name, model("m", max_sequences=4)) for name in "abc"]
    assert slots([*replicas, worker("d", model("x", max_sequences=9))], "m") == 12
