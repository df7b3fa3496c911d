"""Values as JSON, byte for byte as Go's `encoding/json` writes them."""

import base64
import math
from collections.abc import Iterable
from json.encoder import encode_basestring

from common.gotemplate.floats import json_float
from common.gotemplate.limits import EvaluationFailed, check_depth, join_bounded
from common.gotemplate.values import Bound, NilSlice, is_nil, joined

# Go escapes what would mean something to a browser, and bytes that are no UTF-8.
_ESCAPES = str.maketrans(
    {character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}
    | {chr(stray): "\\ufffd" for stray in range(0xDC80, 0xDD00)}
)


class NotJson(EvaluationFailed):
    """A value has no form in JSON."""


def to_json(value: object, depth: int = 0) -> str:
    """Write a value, without spaces, a map's keys sorted.

    Raises:
        NotJson: it holds an infinite number.
        EvaluationFailed: it is nested too deeply, or too long.
    """
    check_depth(depth)
    if isinstance(value, Bound):
        plain = value.json_value()
        if isinstance(plain, dict):
            return _object(plain.items(), depth)
        value = plain
    if isinstance(value, dict):
        return _object(sorted(value.items()), depth)
    if isinstance(value, list | tuple) and not isinstance(value, NilSlice):
        return f"[{join_bounded((to_json(item, depth + 1) for item in value), ',')}]"
    return _scalar(value)


def _object(items: Iterable[tuple[str, object]], depth: int) -> str:
    members = (f"{_string(key)}:{to_json(value, depth + 1)}" for key, value in items)
    return f"{{{join_bounded(members, ',')}}}"


def _scalar(value: object) -> str:
    if isinstance(value, str):
        return _string(value)
    if is_nil(value) or isinstance(value, bool):
        return "null" if is_nil(value) else str(value).lower()
    if isinstance(value, bytes):
        return f'"{base64.b64encode(value).decode()}"'
    if isinstance(value, float):
        if not math.isfinite(value):
            raise NotJson(f"json: unsupported value: {value}")
        return json_float(value)
    return str(value)


def _string(text: str) -> str:
    return encode_basestring(joined(text)).translate(_ESCAPES)
