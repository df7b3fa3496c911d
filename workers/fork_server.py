"""Imported by the fork server that engine processes are forked from, before anything else.

It makes a fork cheap, by importing vLLM once, and safe: the kernel kills the fork server
when the worker ends and every engine when the fork server ends, so that none outlives its
worker however that ends. (The fork server is started by the worker's main thread, which
lives as long as the worker; Linux ties the signal to the thread.)
"""

import ctypes
import logging
import os
import signal

from workers.vllm_environment import WORKER_VARIABLE

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def _end_with_parent(parent: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


_server = os.getpid()
_end_with_parent(int(os.environ[WORKER_VARIABLE]))
os.register_at_fork(after_in_child=lambda: _end_with_parent(_server))

logging.getLogger("vllm").setLevel(os.environ.get("VLLM_LOGGING_LEVEL", "INFO"))

# Slow, and what the forks are for; the tie to the worker has to come first.
import workers.engine_core  # noqa: E402, F401
