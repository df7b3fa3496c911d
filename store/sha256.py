"""SHA-256 whose state can be kept and taken up again, also by another process.

`hashlib` cannot give its state away. OpenSSL's low-level functions can: they keep it in a
`SHA256_CTX`, whose layout `openssl/sha.h` documents and has never changed. They are taken
from the library that Python's own `_hashlib` is linked to, and run the same machine code,
without holding the interpreter's lock. Where they cannot be found, as in a Python with
OpenSSL built in, `resumable_sha256` gives None.
"""

import ctypes
import ctypes.util
import hashlib
import struct
from contextlib import suppress
from functools import cache
from typing import Self

_BLOCK_SIZE = 64
_EXPORTED = struct.Struct(">8IQ")  # the chaining value (FIPS 180-4), then the bytes hashed


class _Context(ctypes.Structure):
    """`SHA256_CTX` of `openssl/sha.h`; Nl and Nh are the bits hashed, num is used of data."""

    _fields_ = (
        ("h", ctypes.c_uint32 * 8),
        ("Nl", ctypes.c_uint32),
        ("Nh", ctypes.c_uint32),
        ("data", ctypes.c_uint8 * _BLOCK_SIZE),
        ("num", ctypes.c_uint),
        ("md_len", ctypes.c_uint),
    )


class ResumableSha256:
    """As `hashlib.sha256`, and its state goes out and in as bytes.

    Made by `resumable_sha256`, which has the functions that it needs.
    """

    def __init__(self, library: ctypes.CDLL, exported: bytes | None = None) -> None:
        self._library = library
        self._context = _Context()
        library.SHA256_Init(ctypes.byref(self._context))
        if exported is not None:
            self._restore(exported)

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Hash more bytes."""
        view = memoryview(data).cast("B")
        if view.readonly:
            pointer: object = bytes(view) if not isinstance(data, bytes) else data
        else:
            pointer = (ctypes.c_char * len(view)).from_buffer(view)
        self._library.SHA256_Update(
            ctypes.byref(self._context), pointer, ctypes.c_size_t(len(view))
        )

    def hexdigest(self) -> str:
        """Give the digest of all bytes so far; more may follow."""
        finished = _Context.from_buffer_copy(self._context)
        digest = ctypes.create_string_buffer(hashlib.sha256().digest_size)
        self._library.SHA256_Final(digest, ctypes.byref(finished))
        return digest.raw.hex()

    def export(self) -> bytes:
        """Give the state, the same on every machine: chaining value, length, pending bytes."""
        context = self._context
        size = (context.Nh << 32 | context.Nl) // 8
        pending = bytes(context.data[: context.num])
        return _EXPORTED.pack(*context.h, size) + pending

    def _restore(self, exported: bytes) -> None:
        *chaining, size = _EXPORTED.unpack_from(exported)
        pending = exported[_EXPORTED.size :]
        if len(pending) != size % _BLOCK_SIZE:
            raise ValueError("not the state of a SHA-256")
        context = self._context
        context.h[:] = chaining
        context.Nl, context.Nh = size * 8 & 0xFFFFFFFF, size * 8 >> 32
        ctypes.memmove(context.data, pending, len(pending))
        context.num = len(pending)

    def copy(self) -> Self:
        """Give an independent hash that goes on from here."""
        return type(self)(self._library, self.export())


def resumable_sha256(exported: bytes | None = None) -> ResumableSha256 | None:
    """Start a hash, or take one up where `export` left it; None where that is impossible.

    Raises:
        ValueError: the bytes are no such state.
    """
    library = _library()
    if library is None:
        return None
    try:
        return ResumableSha256(library, exported)
    except struct.error as error:
        raise ValueError("not the state of a SHA-256") from error


@cache
def _library() -> ctypes.CDLL | None:
    for find in (_python_own, _system_wide):
        with suppress(ImportError, OSError, AttributeError):
            library = find()
            _declare(library)
            if _proves_right(library):
                return library
    return None


def _python_own() -> ctypes.CDLL:
    import _hashlib

    return ctypes.CDLL(_hashlib.__file__)


def _system_wide() -> ctypes.CDLL:
    name = ctypes.util.find_library("crypto")
    if name is None:
        raise OSError("there is no libcrypto")
    return ctypes.CDLL(name)


def _declare(library: ctypes.CDLL) -> None:
    context = ctypes.POINTER(_Context)
    arguments: dict[str, list[object]] = {
        "SHA256_Init": [context],
        "SHA256_Update": [context, ctypes.c_void_p, ctypes.c_size_t],
        "SHA256_Final": [ctypes.c_void_p, context],
    }
    for name, types in arguments.items():
        function = getattr(library, name)
        function.argtypes = types
        function.restype = ctypes.c_int


def _proves_right(library: ctypes.CDLL) -> bool:
    """Compare with `hashlib`, with a change of hands in the middle of a block."""
    text = bytes(range(200))
    first = ResumableSha256(library)
    first.update(text[:77])
    second = ResumableSha256(library, first.export())
    second.update(text[77:])
    return second.hexdigest() == hashlib.sha256(text).hexdigest()
