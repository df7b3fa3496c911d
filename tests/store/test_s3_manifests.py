"""Manifests of a bucket as several processes know them, and what it takes to know them."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from common.names import ModelName
from store.s3_manifests import S3Manifests
from tests.store.memory_bucket import MemoryBucket

MANY = 300
NEW = ModelName.parse("team/New:1")


class Process:
    """Its own view of a bucket, and a clock."""

    def __init__(self, threads: ThreadPoolExecutor, other: "Process | None" = None) -> None:
        self.bucket: MemoryBucket = MemoryBucket(other.bucket if other else None)
        self.now = 0.0
        self.manifests = S3Manifests(self.bucket, threads, lambda: self.now)

    def known(self) -> dict[str, bytes]:
        self.now += 0.001
        return {str(each.name): each.content for each in self.manifests.known()}


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


@pytest.fixture
def processes(threads: ThreadPoolExecutor) -> tuple[Process, Process]:
    """Two, over a bucket that has many manifests, which both know."""
    first = Process(threads)
    for number in range(MANY):
        first.bucket.put(f"manifests/{name(number).path}", b"%d" % number)
    second = Process(threads, first)
    for process in (first, second):
        assert len(process.known()) == MANY
        process.bucket.counted()
    return first, second


def name(number: int) -> ModelName:
    return ModelName.parse(f"Model-{number:04d}")


def test_what_one_process_changes_the_other_knows_at_once(
    processes: tuple[Process, Process],
) -> None:
    first, second = processes
    first.manifests.write(NEW, b"new")
    first.manifests.write(name(7), b"changed")
    first.manifests.delete(name(8))
    for process in (second, first):
        known = process.known()
        assert known["team/New:1"] == b"new"
        assert known["Model-0007:latest"] == b"changed"
        assert "Model-0008:latest" not in known
        assert len(known) == MANY
    assert second.manifests.names_like(ModelName.parse("TEAM/new:1")) == [NEW]
    second.manifests.delete(NEW)
    assert first.manifests.names_like(ModelName.parse("TEAM/new:1")) == []


def test_nothing_is_read_twice(processes: tuple[Process, Process]) -> None:
    first, second = processes
    for _ in range(3):
        assert len(second.known()) == MANY
        assert second.manifests.names_like(ModelName.parse("nobody")) == []
    assert set(second.bucket.counted()) == {"list changed/"}
    first.manifests.write(NEW, b"new")
    second.known()
    told, journal, manifest = second.bucket.counted()
    assert (told, manifest) == ("list changed/", f"get manifests/{NEW.path}")
    assert journal.startswith("get changed/")
    second.known()
    assert second.bucket.counted() == ["list changed/"]


def test_a_listing_reads_what_has_changed_alone(processes: tuple[Process, Process]) -> None:
    _, second = processes
    second.bucket.put(f"manifests/{NEW.path}", b"by somebody else")
    second.bucket.counted()
    assert len(list(second.manifests.read_all())) == MANY + 1
    assert second.bucket.counted() == ["list manifests/", f"get manifests/{NEW.path}"]


def test_a_process_that_has_missed_too_much_lists_all(processes: tuple[Process, Process]) -> None:
    first, second = processes
    for number in range(MANY // 2):
        first.manifests.delete(name(number))
    second.bucket.counted()
    assert len(second.known()) == MANY - MANY // 2
    assert "list manifests/" in second.bucket.counted()


def test_a_process_lists_all_where_what_another_told_is_gone(
    processes: tuple[Process, Process],
) -> None:
    first, second = processes
    first.manifests.write(NEW, b"new")
    second.known()
    first.manifests.delete(NEW)
    (path,) = (path for path in first.bucket.objects if path.startswith("changed/"))
    first.bucket.delete(path)
    assert "team/New:1" not in second.known()


def test_what_was_told_stays_for_an_hour(processes: tuple[Process, Process]) -> None:
    first, second = processes
    first.manifests.write(NEW, b"new")
    second.manifests.remove_leftovers(datetime.now(UTC))
    assert "team/New:1" in second.known()
    assert second.bucket.counted().count("list manifests/") == 0


def test_a_change_while_all_are_listed_is_not_lost(processes: tuple[Process, Process]) -> None:
    first, second = processes
    listing = second.manifests.read_all()
    passed = next(listing).name
    first.manifests.write(passed, b"changed behind the listing")
    assert second.known()[str(passed)] == b"changed behind the listing"
    assert len(list(listing)) == MANY - 1
    assert second.known()[str(passed)] == b"changed behind the listing"


def test_a_listing_that_breaks_off_changes_nothing(processes: tuple[Process, Process]) -> None:
    _, second = processes
    listing = second.manifests.read_all()
    next(listing)
    listing.close()  # type: ignore[attr-defined]
    assert len(second.known()) == MANY


@pytest.mark.parametrize("failing", ["manifests/", "changed/"])
def test_what_could_not_be_read_is_read_the_next_time(
    processes: tuple[Process, Process], failing: str
) -> None:
    first, second = processes
    first.manifests.write(NEW, b"new")
    second.bucket.failing = failing
    with pytest.raises(TimeoutError):
        second.known()
    assert second.known()["team/New:1"] == b"new"


def test_what_others_do_shows_after_half_a_minute(processes: tuple[Process, Process]) -> None:
    _, second = processes
    second.bucket.put(f"manifests/{NEW.path}", b"copied into the bucket")
    assert "team/New:1" not in second.known()
    second.now += 31
    deadline = time.monotonic() + 10
    while "team/New:1" not in second.known():  # nobody waits for it, and so it comes later
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_after_a_long_time_it_shows_at_once(processes: tuple[Process, Process]) -> None:
    _, second = processes
    second.bucket.put(f"manifests/{NEW.path}", b"copied into the bucket")
    second.now += 601
    assert "team/New:1" in second.known()


def test_foreign_objects_beside_the_journal_are_passed_over(
    processes: tuple[Process, Process],
) -> None:
    _, second = processes
    second.bucket.put("changed/notes", b"not ours")
    assert len(second.known()) == MANY
    second.manifests.remove_leftovers(datetime.now(UTC))
    assert "changed/notes" in second.bucket.objects
