"""Folders that are not listed again, and what has to be found in them all the same."""

import time
from pathlib import Path

from store.folder_scan import FolderScan, Version


def in_an_hour() -> int:
    return time.time_ns() + 3600 * 10**9


def put(root: Path, path: str) -> str:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).touch()
    return path


def found(scan: FolderScan, root: Path, *, anew: bool = False) -> set[str]:
    return set(scan.files(str(root), 2, anew=anew))


def test_where_times_stay_new_files_are_found_anew(tmp_path: Path) -> None:
    """As on file systems that keep a folder's times whatever is made in it."""
    scan = FolderScan(in_an_hour, lambda path, _: Version(path, 0, 0, 0, 0))
    first = put(tmp_path, "a/1")
    assert found(scan, tmp_path) == {first}
    second = put(tmp_path, "a/2")
    assert found(scan, tmp_path) == {first}
    assert found(scan, tmp_path, anew=True) == {first, second}


def test_what_is_made_within_a_tick_of_a_coarse_clock_is_found(tmp_path: Path) -> None:
    tick = time.time_ns()
    scan = FolderScan(lambda: tick + 1, lambda path, _: Version(path, 0, 0, tick, tick))
    first = put(tmp_path, "a/1")
    assert found(scan, tmp_path) == {first}
    second = put(tmp_path, "a/2")
    assert found(scan, tmp_path) == {first, second}


def test_where_a_link_leads_may_come_later(tmp_path: Path) -> None:
    """As a disk that is mounted after the first look."""
    root, disk = tmp_path / "root", tmp_path / "disk"
    root.mkdir()
    (root / "link").symlink_to(disk / "models")
    scan = FolderScan(in_an_hour)
    assert found(scan, root) == set()
    put(disk, "models/1")
    assert found(scan, root) == {"link/1"}
