"""ggml's own quantiser, for the types that the `gguf` package reads and does not write."""

import ctypes
import functools
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType
from numpy.typing import NDArray


def quantize(weights: NDArray[np.float32], kind: GGMLQuantizationType) -> NDArray[Any]:
    """Quantise a matrix row by row; the result has the shape in bytes that GGUF states."""
    try:
        quantized: NDArray[Any] = gguf.quants.quantize(weights, kind)
    except NotImplementedError:
        return _quantize_with_ggml(weights, kind)
    return quantized


def _quantize_with_ggml(weights: NDArray[np.float32], kind: GGMLQuantizationType) -> NDArray[Any]:
    block, size = gguf.GGML_QUANT_SIZES[kind]
    columns = weights.shape[-1]
    rows = weights.size // columns
    source = np.ascontiguousarray(weights, dtype=np.float32)
    target = np.zeros((*weights.shape[:-1], columns // block * size), dtype=np.uint8)
    importance = np.ones(columns, dtype=np.float32)
    written = _library().ggml_quantize_chunk(
        ctypes.c_int(kind),
        source.ctypes.data_as(ctypes.c_void_p),
        target.ctypes.data_as(ctypes.c_void_p),
        ctypes.c_int64(0),
        ctypes.c_int64(rows),
        ctypes.c_int64(columns),
        importance.ctypes.data_as(ctypes.c_void_p),
    )
    assert written == target.nbytes
    return target


@functools.cache
def _library() -> ctypes.CDLL:
    package = find_spec("xllamacpp")
    assert package
    assert package.origin
    file = next(Path(package.origin).parent.glob("xllamacpp*.so"))
    library = ctypes.CDLL(str(file))
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    return library
