"""GGUF files: so far no more than telling that a file is one."""

from common.errors import Unsupported

MAGIC = b"GGUF"


def refuse_gguf(start: bytes) -> None:
    """Refuse a file that begins with these bytes, if it is GGUF.

    Raises:
        Unsupported: it is.
    """
    if start.startswith(MAGIC):
        raise Unsupported("creating from GGUF files is not supported yet")
