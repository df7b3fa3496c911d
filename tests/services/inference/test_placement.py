"""Placement as a table: which worker is chosen for the model `m`."""

import pytest

from protos.paddock.v1 import model_pb2, worker_pb2
from services.inference.placement import (
    LOADING,
    Candidate,
    Wanted,
    choose,
    may_find_room,
    memory_needed,
    room,
    slots,
    wanted_by,
)
from tests.services.inference.candidates import model, unused, worker

M = Wanted("m")
LARGE = Wanted("m", size=30)
"""It takes 36 bytes."""
TUNED = Wanted("m", adapter=True)


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
        ([worker("a", in_flight={"x": 3}), worker("b")], [], "b"),
        ([worker("a"), worker("b", in_flight={"m": 3})], [], "b"),
        ([worker("a", model("m")), worker("b", in_flight={"m": 1})], [], "a"),
        ([worker("a", model("m")), worker("b", model("m"))], ["a"], "b"),
    ],
)
def test_choose(candidates: list[Candidate], excluded: list[str], chosen: str | None) -> None:
    assert choose(candidates, M, excluded) == chosen


@pytest.mark.parametrize(
    ("candidates", "chosen"),
    [
        # Free memory before any eviction, even where little is left.
        ([worker("a", unused("x", 1, 90), used=90), worker("b", used=60)], "b"),
        # Engines share a worker's cores: a worker without any comes first.
        ([worker("a", unused("x", 1, 9), used=9), worker("b", used=60)], "b"),
        ([worker("a", in_flight={"x": 1}), worker("b", used=60)], "b"),
        # Models live side by side where there is room: a busy one beside, no idle one to go.
        (
            [
                worker("a", model("x", running=3, memory=40), used=40),
                worker("b", unused("y", 1, 90), used=90),
            ],
            "a",
        ),
        # Among equals the one where least is left: large ones stay free for large models.
        ([worker("a", budget=999), worker("b")], "b"),
        ([worker("a", used=10), worker("b", used=20)], "b"),
        ([worker("a", used=80), worker("b", used=20)], "b"),
        # The least recently used model goes, of all workers'.
        (
            [
                worker("a", unused("x", 5, 90), used=90),
                worker("b", unused("y", 3, 90), used=90),
                worker("c", unused("z", 7, 90), used=90),
            ],
            "b",
        ),
        # It is enough when some of a worker's models go, the older ones.
        (
            [
                worker("a", unused("x", 1, 40), unused("y", 9, 50), used=90),
                worker("b", unused("z", 3, 90), used=90),
            ],
            "a",
        ),
        (
            [
                worker("a", unused("x", 1, 20), unused("y", 9, 70), used=90),
                worker("b", unused("z", 3, 90), used=90),
            ],
            "b",
        ),
        # One that is in use cannot go, one that loads cannot either.
        (
            [
                worker("a", model("x", running=1, memory=90), used=90),
                worker("b", unused("y", 9, 90), used=90),
            ],
            "b",
        ),
        (
            [
                worker("a", model("x", LOADING, memory=90), used=90),
                worker("b", unused("y", 9, 90), used=90),
            ],
            "b",
        ),
        # A pinned one goes after all others, and rather than that the request fails.
        (
            [
                worker("a", unused("x", 1, 90, pinned=True), used=90),
                worker("b", unused("y", 9, 90), used=90),
            ],
            "b",
        ),
        (
            [
                worker("a", unused("x", 1, 90, pinned=True), used=90),
                worker("b", model("y", running=1, memory=90), used=90),
            ],
            "a",
        ),
        # A worker that is too small is asked last: estimates may be wrong.
        ([worker("a", budget=20), worker("b", model("y", running=1), used=99)], "b"),
        ([worker("a", budget=20)], "a"),
    ],
)
def test_a_model_goes_where_it_costs_least(candidates: list[Candidate], chosen: str) -> None:
    assert choose(candidates, LARGE) == chosen


def test_a_cold_model_goes_to_the_same_of_equal_workers_from_every_router() -> None:
    workers = [worker(name) for name in "abcdef"]
    choices = {Wanted(f"m{number}"): "" for number in range(50)}
    for wanted in choices:
        choices[wanted] = choose(workers, wanted) or ""
        assert choose(workers[::-1], wanted) == choices[wanted]
    assert set(choices.values()) == set("abcdef")


def test_memory_is_known_from_replicas_or_guessed_from_files() -> None:
    assert memory_needed([worker("a"), worker("b", model("m", memory=77))], LARGE) == 77
    assert memory_needed([worker("a", model("x", memory=77))], LARGE) == 36
    spec = model_pb2.ModelSpec(weights="m", files=[model_pb2.ModelFile(size=10)] * 3)
    assert wanted_by(spec) == LARGE


def test_manifests_that_share_an_engine_are_one() -> None:
    base = model("m", memory=40, running=2, max_sequences=4)
    tuned = model("m", memory=40, running=1, max_sequences=4, adapter=True)
    other = model("m", memory=30, running=1, max_sequences=4)
    assert [
        (held.memory, held.load, held.wanted.adapter) for held in worker("a", base, tuned).held
    ] == [(40, 3, True)]
    assert len(worker("a", base, other).held) == 2


def test_load_is_what_was_reported_and_what_was_sent_since() -> None:
    status = worker("a", model("m", running=5)).status
    sent = Candidate("a", status, {M: 4, Wanted("x"): 9}, {M: 1})
    assert sent.load("m") == 8
    ended = Candidate("a", status, {}, {M: 3})
    assert ended.load("m") == 2
    assert Candidate("a", worker("a").status, {M: 2}, {M: 2}).load("m") == 2


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
