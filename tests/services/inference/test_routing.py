"""Which of a model's replicas gets a request."""

import time
from collections import Counter
from dataclasses import replace

import pytest

from protos.paddock.v1 import generation_pb2, model_pb2
from services.inference.affinity import Mark, Prefix, prefix_of
from services.inference.placement import Replica, Wanted, replicas_of
from services.inference.routing import AffinityRouting, RoundRobin
from services.inference.scaling import Scaling
from tests.services.inference.candidates import model, worker

M = Wanted("m")
SPEC = model_pb2.ModelSpec(weights="m", digest="d")
# All replicas are always needed: how many are is tested by itself.
ALWAYS = Scaling(load=1e-9)


def replicas(**loads: int) -> list[Replica]:
    """Make workers with ten slots each, by how many sequences they have."""
    return replicas_of(
        [worker(name, model("m", running=load, max_sequences=10)) for name, load in loads.items()],
        M,
    )


def turn(number: int, of: str = "a", system: str = "") -> Prefix:
    """Describe a turn of a conversation, counted from 1."""
    messages = [generation_pb2.Message(role="system", content=system)] if system else []
    for past in range(1, number):
        messages.append(generation_pb2.Message(role="user", content=f"question {past} of {of}"))
        messages.append(generation_pb2.Message(role="assistant", content="answer " * 20))
    messages.append(generation_pb2.Message(role="user", content=f"question {number} of {of}"))
    chat = generation_pb2.Chat(messages=messages)
    return prefix_of(SPEC, generation_pb2.Generation(chat=chat))


def pair(prefix: Prefix, names: str = "abcdefgh") -> tuple[str, str]:
    """Name the two workers of a conversation that no router has seen, the first one first."""
    routing = AffinityRouting(ALWAYS)
    first = routing.choose(replicas(**dict.fromkeys(names, 1)), M, prefix).address
    loads = {name: 2 if name == first else 1 for name in names}
    return first, AffinityRouting(ALWAYS).choose(replicas(**loads), M, prefix).address


def test_the_next_turn_goes_where_the_last_one_was() -> None:
    routing = AffinityRouting(ALWAYS)
    idle = replicas(**dict.fromkeys("abcdefgh", 1))
    first, second = pair(turn(1))
    elsewhere = next(name for name in "abcdefgh" if name not in (first, second))
    routing.served(turn(1), elsewhere, 1.0)
    assert routing.choose(idle, M, turn(2)).address == elsewhere
    routing.served(turn(2), second, 1.0)
    assert routing.choose(idle, M, turn(3)).address == second


@pytest.mark.parametrize(
    ("load", "stays"),
    [(0, True), (3, True), (4, True), (6, False), (10, False), (30, False)],
)
def test_unless_that_worker_is_much_busier(load: int, stays: bool) -> None:
    """Half a request's time is what computing the prompt anew may cost."""
    routing = AffinityRouting(ALWAYS)
    routing.served(turn(5), "a", 1.0)
    chosen = routing.choose(replicas(a=load, b=0), M, turn(6))
    assert (chosen.address == "a") is stays


def test_a_conversation_of_which_little_is_known_moves_sooner() -> None:
    routing = AffinityRouting(ALWAYS)
    routing.served(turn(1), "a", 1.0)
    assert routing.choose(replicas(a=2, b=0), M, turn(1)).address == "a"
    long = generation_pb2.Message(role="user", content="another question " * 1000)
    chat = generation_pb2.Chat(
        messages=[generation_pb2.Message(role="user", content="question 1 of a"), long]
    )
    other = prefix_of(SPEC, generation_pb2.Generation(chat=chat))
    assert routing.choose(replicas(a=2, b=0), M, other).address == "b"


def test_two_routers_look_at_the_same_two_workers() -> None:
    """Of a conversation that another router has begun, and without a word between them."""
    for number in range(30):
        prefix = turn(1, of=str(number))
        first, second = pair(prefix)
        assert first != second
        here, there = AffinityRouting(ALWAYS), AffinityRouting(ALWAYS)
        idle = replicas(**dict.fromkeys("abcdefgh", 1))
        served = here.choose(idle, M, prefix)
        here.served(prefix, served.address, 1.0)
        assert there.choose(idle[::-1], M, turn(2, of=str(number))) == served


def test_of_the_two_the_less_loaded_one_is_chosen() -> None:
    prefix = turn(1)
    first, second = pair(prefix)
    loads = dict.fromkeys("abcdefgh", 2) | {first: 4, second: 3}
    assert AffinityRouting(ALWAYS).choose(replicas(**loads), M, prefix).address == second


def test_where_both_are_much_busier_the_least_loaded_is_chosen() -> None:
    prefix = turn(1)
    first, second = pair(prefix)
    idlest = next(name for name in "abcdefgh" if name not in (first, second))
    for busy, expected in ((4, first), (9, idlest)):
        loads = dict.fromkeys("abcdefgh", 5) | {first: busy, second: busy, idlest: 2}
        assert AffinityRouting(ALWAYS).choose(replicas(**loads), M, prefix).address == expected


def test_conversations_are_spread() -> None:
    routing = AffinityRouting(ALWAYS)
    idle = replicas(**dict.fromkeys("abcd", 1))
    counts = Counter(
        routing.choose(idle, M, turn(1, of=str(number), system="be brief")).address
        for number in range(400)
    )
    assert all(60 < counts[name] < 140 for name in "abcd")


def test_a_system_prompt_draws_no_crowd() -> None:
    """What all conversations share is soon everywhere."""
    routing = AffinityRouting(ALWAYS)
    loads = dict.fromkeys("abcd", 0)
    for number in range(40):
        prefix = turn(1, of=str(number), system="be brief " * 100)
        chosen = routing.choose(replicas(**loads), M, prefix).address
        routing.served(prefix, chosen, 1.0)
        loads[chosen] += 1
    assert max(loads.values()) - min(loads.values()) <= 6


def test_without_a_prompt_the_load_decides() -> None:
    routing = AffinityRouting(ALWAYS)
    counts = Counter(routing.choose(replicas(a=9, b=2, c=2), M, None).address for _ in range(200))
    assert counts["a"] == 0
    assert counts["b"] > 60
    assert counts["c"] > 60


def test_other_models_on_a_worker_count_as_load() -> None:
    shared = worker(
        "a",
        model("m", running=1, max_sequences=10),
        model("x", running=9, max_sequences=10),
    )
    alone = worker("b", model("m", running=2, max_sequences=10))
    both = replicas_of([shared, alone], M)
    assert AffinityRouting(ALWAYS).choose(both, M, None) == alone


def test_a_slow_worker_gets_less() -> None:
    routing = AffinityRouting(ALWAYS)
    for number in range(50):
        routing.served(turn(1, of=f"slow {number}"), "slow", 3.0)
        routing.served(turn(1, of=f"fast {number}"), "fast", 1.0)
    loads = {"slow": 0, "fast": 0}
    for _ in range(16):
        loads[routing.choose(replicas(**loads), M, None).address] += 1
    assert 3 <= loads["slow"] <= 5


def test_when_a_model_cools_only_the_needed_replicas_get_requests() -> None:
    routing = AffinityRouting()
    chosen = {
        routing.choose(replicas(**dict.fromkeys("abcd", 0)), M, turn(1, of=str(number))).address
        for number in range(50)
    }
    assert len(chosen) == 1


def test_round_robin_takes_turns_whatever_the_load() -> None:
    routing = RoundRobin()
    routing.served(turn(1), "c", 1.0)
    chosen = [routing.choose(replicas(a=9, b=0, c=3), M, turn(2)).address for _ in range(6)]
    assert chosen == ["a", "b", "c", "a", "b", "c"]


def test_what_was_served_long_ago_is_forgotten() -> None:
    routing = AffinityRouting(ALWAYS)
    idle = replicas(**dict.fromkeys("abcdefgh", 1))
    own = pair(turn(1))
    elsewhere = next(name for name in "abcdefgh" if name not in own)
    routing.served(turn(1), elsewhere, 1.0)
    assert routing.choose(idle, M, turn(1)).address == elsewhere
    others = tuple(Mark(number.to_bytes(8), number) for number in range(1 << 16))
    routing.served(replace(turn(1), marks=others), "a", 1.0)
    assert routing.choose(idle, M, turn(1)).address == own[0]


def test_a_choice_among_64_workers_is_quick() -> None:
    """It takes about 60 us; the limit leaves room for a busy machine."""
    routing = AffinityRouting(ALWAYS)
    workers = replicas(**{f"w{number}": number % 7 for number in range(64)})
    prefixes = [turn(number % 5 + 1, of=str(number)) for number in range(200)]
    began = time.process_time()
    for prefix in prefixes:
        routing.served(prefix, routing.choose(workers, M, prefix).worker, 1.0)
    assert (time.process_time() - began) / len(prefixes) < 0.001
