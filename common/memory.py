"""How the C library keeps the memory that large buffers leave (mallopt(3)).

glibc gives a buffer's pages back to the kernel as soon as it is freed, and has every page
cleared and mapped anew for the next one. Where buffers of a megabyte come and go, as they do
while a blob passes through, that costs more than all the rest.
"""

import ctypes

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3

KEPT_BYTES = 32 * 1024 * 1024
"""Bytes of freed memory that a process keeps; also the largest threshold that glibc takes."""


def keep_freed_memory() -> None:
    """Keep up to `KEPT_BYTES` of what is freed for the next buffers, in this process.

    Does nothing where the C library has no such setting.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, KEPT_BYTES)
