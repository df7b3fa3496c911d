"""ggml's own quantiser, out of the shared library that the package `xllamacpp` brings."""

import ctypes
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from numpy.typing import NDArray

from common.errors import Internal
from services.registry.quantize.floats import Floats


def quantize_blocks(weights: Floats, kind: GGMLQuantizationType) -> bytes:
    """Quantise rows to one of ggml's types; other threads go on meanwhile.

    Args:
        weights: rows that divide into blocks of the type.
        kind: a type that needs no importance matrix.
    """
    rows, columns = weights.shape
    block, size = GGML_QUANT_SIZES[kind]
    source = np.ascontiguousarray(weights, np.float32)
    target: NDArray[np.uint8] = np.empty(rows * (columns // block) * size, np.uint8)
    written = _library().ggml_quantize_chunk(
        int(kind), source.ctypes.data, target.ctypes.data, 0, rows, columns, None
    )
    if written != target.nbytes:
        raise Internal(f"ggml wrote {written} bytes of {kind.name}, not {target.nbytes}")
    return target.tobytes()


@cache
def _library() -> ctypes.CDLL:
    """Load the library, without the Python module that it is."""
    spec = find_spec("xllamacpp")
    folders = spec.submodule_search_locations if spec else None
    files = [file for folder in folders or () for file in Path(folder).glob("xllamacpp*.so")]
    if not files:
        raise Internal("the package xllamacpp is not installed")
    library = ctypes.CDLL(str(files[0]))
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = [
        ctypes.c_int,
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_int64,
        ctypes.c_int64,
        ctypes.c_int64,
        ctypes.c_void_p,
    ]
    return library
