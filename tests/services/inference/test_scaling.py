"""Replicas as tables: which models get one more, where, and which replicas are needed."""

from collections.abc import Sequence

import pytest

from protos.paddock.v1.worker_pb2 import WorkerModel
from services.inference.placement import LOADING, Candidate, Replica, Wanted, replicas_of
from services.inference.scaling import Scaling, hot_models, in_order, needed, next_replica
from tests.services.inference.candidates import model, unused, worker

M = Wanted("m")
SCALING = Scaling(load=0.5)
NOW = 1000.0


def busy(load: int, weights: str = "m", slots: int = 10, memory: int = 30) -> WorkerModel:
    return model(weights, running=load, max_sequences=slots, memory=memory)


def names(replicas: Sequence[Replica]) -> set[str]:
    return {replica.candidate.address for replica in replicas}


def nobody(wanted: Wanted) -> int:
    return 0


def hot(candidates: list[Candidate], waiting: dict[Wanted, int], scaling: Scaling) -> list[str]:
    engines = hot_models(candidates, lambda wanted: waiting.get(wanted, 0), scaling)
    return [engine.wanted.weights for engine in engines]


@pytest.mark.parametrize(
    ("candidates", "waiting", "expected"),
    [
        ([], {}, []),
        ([worker("a", busy(5))], {}, []),
        ([worker("a", busy(6))], {}, ["m"]),
        ([worker("a", busy(1))], {M: 1}, ["m"]),
        ([worker("a", busy(1))], {Wanted("x"): 1}, []),
        ([worker("a", busy(1), in_flight={"m": 6})], {}, ["m"]),
        # The load of all replicas counts, against all their slots.
        ([worker("a", busy(9)), worker("b", busy(0))], {}, []),
        ([worker("a", busy(9)), worker("b", busy(2))], {}, ["m"]),
        # One that leaves does not count.
        ([worker("a", busy(6)), worker("b", busy(0), draining=True)], {}, ["m"]),
        # One at a time: while one loads, or is about to, there is no next one.
        ([worker("a", busy(9)), worker("b", model("m", LOADING))], {M: 9}, []),
        ([worker("a", busy(9)), worker("b", in_flight={"m": 1})], {M: 9}, []),
        # The hottest first.
        (
            [worker("a", busy(6), busy(9, "n"))],
            {},
            ["n", "m"],
        ),
        ([worker("a", busy(9), busy(6, "n"))], {Wanted("n"): 9}, ["n", "m"]),
    ],
)
def test_hot_models(
    candidates: list[Candidate], waiting: dict[Wanted, int], expected: list[str]
) -> None:
    assert hot(candidates, waiting, SCALING) == expected


@pytest.mark.parametrize(("most", "expected"), [(0, ["m"]), (2, []), (3, ["m"])])
def test_replicas_are_bounded(most: int, expected: list[str]) -> None:
    candidates = [worker("a", busy(9)), worker("b", busy(9)), worker("c")]
    assert hot(candidates, {}, Scaling(most=most)) == expected


@pytest.mark.parametrize(
    ("others", "chosen"),
    [
        ([], None),
        ([worker("b")], "b"),
        ([worker("b", draining=True)], None),
        ([worker("b", busy(1, "x"))], None),
        ([worker("b", model("x", LOADING))], None),
        ([worker("b", in_flight={"x": 1})], None),
        ([worker("b", used=80)], None),
        # An idle model gives way unless it was used just now, or is to stay.
        ([worker("b", unused("x", 900, 80), used=80)], "b"),
        ([worker("b", unused("x", 995, 80), used=80)], None),
        ([worker("b", unused("x", 995, 20), used=20)], "b"),
        ([worker("b", unused("x", 900, 80, pinned=True), used=80)], None),
        # Where nothing must go comes first.
        ([worker("b", unused("x", 900, 80), used=80), worker("c")], "c"),
    ],
)
def test_next_replica(others: list[Candidate], chosen: str | None) -> None:
    candidates = [worker("a", busy(9)), *others]
    (engine,) = hot_models(candidates, nobody, SCALING)
    found = next_replica(candidates, engine, NOW)
    assert (found.address if found else None) == chosen


def test_routers_choose_the_same_replica_next_and_another_where_that_refused() -> None:
    candidates = [worker("a", busy(9)), *(worker(name) for name in "bcdefg")]
    (engine,) = hot_models(candidates, nobody, SCALING)
    first = next_replica(candidates, engine, NOW)
    assert first is not None
    assert next_replica(candidates[::-1], engine, NOW) == first
    second = next_replica(candidates, engine, NOW, {first.address})
    assert second not in (None, first)


@pytest.mark.parametrize(
    ("loads", "count"),
    [
        # A quarter of the slots is easily served.
        ([0, 0, 0], 1),
        ([1, 1, 0], 1),
        ([1, 1, 1], 2),
        ([9, 0, 0], 3),
        ([3, 2, 0], 2),
        ([3, 3, 0], 3),
        ([2], 1),
        ([99], 1),
    ],
)
def test_needed_replicas(loads: list[int], count: int) -> None:
    candidates = [worker(name, busy(load)) for name, load in zip("abc", loads, strict=False)]
    replicas = replicas_of(candidates, M)
    chosen = needed(replicas, "m", SCALING)
    assert len(chosen) == count
    ordered = in_order(replicas[::-1], "m")
    assert names(chosen) == names(ordered[:count])


def test_a_replica_that_is_started_is_needed() -> None:
    """Right after a model was hot enough for one more, no replica is given up."""
    for count in range(1, 8):
        replicas = [worker(f"w{number}", busy(5)) for number in range(count)]
        replicas[0] = worker("w0", busy(6))
        assert hot(replicas, {}, SCALING) == ["m"]
        grown = [*replicas, worker("new", busy(0))]
        assert len(needed(replicas_of(grown, M), "m", SCALING)) == count + 1


def test_a_pinned_replica_is_the_last_to_go() -> None:
    for pinned in "abc":
        replicas = [worker(name, unused("m", 1, 30, pinned=name == pinned)) for name in "abc"]
        assert in_order(replicas_of(replicas, M), "m")[0].candidate.address == pinned
