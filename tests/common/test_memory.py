"""What a process keeps of the memory that it frees."""

import subprocess
import sys

BUFFERS = 50
PAGES = 4 * 1024 * 1024 // 4096  # of one buffer

# Two at a time, as a message that is received while another is written.
PROGRAM = f"""
import resource, sys
from common.memory import keep_freed_memory
if sys.argv[1:]:
    keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def pass_through():
    return [b"x" * (4 * 1024 * 1024), b"y" * (4 * 1024 * 1024)]
pass_through()
before = faults()
for _ in range({BUFFERS}):
    pass_through()
print(faults() - before)
"""


def faults(*arguments: str) -> int:
    """Count the pages that the kernel had to give to a process for its buffers."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, check=True, text=True
    )
    return int(ran.stdout)


def test_buffers_that_come_and_go_need_no_new_pages() -> None:
    assert faults("kept") < PAGES < BUFFERS * PAGES < faults()
