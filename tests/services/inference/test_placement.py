"""Placement as a table: which worker is chosen for the model `m`."""

import pytest

from protos.paddock.v1 import model_pb2, worker_pb2
from services.inference.placement import LOADING, READY, Candidate, choose, may_find_room, slots


def model(weights: str, state: int = READY, **fields: object) -> worker_pb2.WorkerModel:
    spec = model_pb2.ModelSpec(weights=weights)
    return worker_pb2.WorkerModel(spec=spec, state=state, **fields)  # type: ignore[arg-type]


def worker(
    address: str,
    *models: worker_pb2.WorkerModel,
    used: int = 0,
    in_flight: int = 0,
    draining: bool = False,
) -> Candidate:
    status = worker_pb2.WorkerStatus(
        memory_budget=100, memory_used=used, models=models, draining=draining
    )
    return Candidate(address, status, in_flight)


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
        ([worker("a", model("m"), in_flight=9), worker("b", model("m"), in_flight=1)], [], "b"),
        ([worker("a", used=80), worker("b", used=20)], [], "b"),
        ([worker("a", in_flight=3), worker("b")], [], "b"),
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


def test_slots_are_summed_over_replicas() -> None:
    replicas = [worker(name, model("m", max_sequences=4)) for name in "abc"]
    assert slots([*replicas, worker("d", model("x", max_sequences=9))], "m") == 12
