"""Orders of workers that every router finds alike."""

from services.inference.rendezvous import key_of, score

WORKERS = [f"worker-{number}" for number in range(8)]


def order(key: str, workers: list[str]) -> list[str]:
    return sorted(workers, key=lambda worker: score(key_of(key), worker))


def test_the_order_is_the_same_in_every_process() -> None:
    assert key_of("model") == 2115528072153926170
    assert score(key_of("model"), "worker") == 11337579676790075597
    assert order("model", WORKERS) == order("model", WORKERS[::-1])


def test_keys_are_spread_over_workers_and_few_move_when_one_comes() -> None:
    keys = [f"key {number}" for number in range(4000)]
    before = {key: order(key, WORKERS)[0] for key in keys}
    for worker in WORKERS:
        share = sum(first == worker for first in before.values()) / len(keys)
        assert 0.1 < share < 0.15
    after = {key: order(key, [*WORKERS, "new"])[0] for key in keys}
    assert all(after[key] in (before[key], "new") for key in keys)
