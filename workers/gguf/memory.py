"""How much memory a conversion may take, whatever its file says.

A file can ask for any amount: with texts, with lists, with rows. A sound one has a vocabulary,
and is converted some rows at a time. The file itself, which is mapped, does not count.
"""

import resource
from contextlib import suppress
from pathlib import Path

LONGEST_ROW = 1 << 24
"""Values of the longest row of a matrix that is converted."""

_LIBRARIES = 3 << 30  # with the vocabulary; 0.4 GiB were seen with 256,000 tokens
_COPIES = 16  # of a row, as 32-bit floats
LIMIT = _LIBRARIES + _COPIES * 4 * LONGEST_ROW
"""Bytes that a converter may allocate."""

_OOM_SCORE = "500"


def limit_memory() -> None:
    """Make this process fail to allocate more, and the first to go where the machine is full.

    Call it before threads are started.
    """
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    limit = LIMIT if most == resource.RLIM_INFINITY else min(LIMIT, most)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, most))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE, encoding="ascii")
