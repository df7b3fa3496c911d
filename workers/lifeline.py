"""Ties processes to each other, so that none outlives what it works for, however that ends."""

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def end_with(parent: int) -> None:
    """Let the kernel kill this process when its parent ends, or now if it has ended.

    Linux ties that to the thread that made this process.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def end_forks() -> None:
    """Tie every fork to the process that it is forked from, from now on, and forks of forks."""
    parent = 0

    def note_parent() -> None:
        nonlocal parent
        parent = os.getpid()

    os.register_at_fork(before=note_parent, after_in_child=lambda: end_with(parent))
