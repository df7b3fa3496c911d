"""The CPUs that a process answers on, and those that what it starts runs on."""

import json
import os
import subprocess
import sys

import pytest

from common.cpus import format_cpus, parse_cpus
from common.errors import InvalidRequest

# What each thread may run on, and how: two that were there before and one that came later.
PROGRAM = """
import json, os, subprocess, sys, threading, time
from common.cpus import answer_on, run_on_all
child = "--child" in sys.argv
if not child:
    threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
    answer_on(sys.argv[1])
    threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
def tell():
    threads = map(int, os.listdir("/proc/self/task"))
    return sorted([sorted(os.sched_getaffinity(it)), os.sched_getscheduler(it)] for it in threads)
if child:
    run_on_all()
    print(json.dumps(tell()))
else:
    print(json.dumps(tell()), flush=True)
    subprocess.run([sys.executable, "-c", sys.orig_argv[2], "--child"], check=True)
    os._exit(0)
"""

ALL = sorted(os.sched_getaffinity(0))


def placed(listed: str) -> list[list[list[object]]]:
    """Give the CPUs and the policy of each thread of a process that answers, and of its child."""
    command = [sys.executable, "-c", PROGRAM, listed]
    ran = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_all_threads_keep_to_the_cpus_and_children_do_not() -> None:
    answering, child = placed(str(ALL[0]))
    assert answering == [[[ALL[0]], os.SCHED_BATCH]] * 3
    assert child == [[ALL, os.SCHED_OTHER]]


@pytest.mark.parametrize("listed", ["", "9999"])
def test_without_cpus_that_are_there_nothing_changes(listed: str) -> None:
    answering, child = placed(listed)
    assert answering == [[ALL, os.SCHED_OTHER]] * 3
    assert child == [[ALL, os.SCHED_OTHER]]


@pytest.mark.parametrize(
    ("listed", "cpus"), [("", set()), ("3", {3}), ("0-2,5", {0, 1, 2, 5}), ("7,7-8", {7, 8})]
)
def test_lists(listed: str, cpus: set[int]) -> None:
    assert parse_cpus(listed) == cpus
    assert parse_cpus(format_cpus(cpus)) == cpus


@pytest.mark.parametrize("listed", ["x", "1-", "-1", "3-2", "1;2", "0x1"])
def test_what_is_no_list(listed: str) -> None:
    with pytest.raises(InvalidRequest, match="not a list of CPUs such as 0-2,5"):
        parse_cpus(listed)
