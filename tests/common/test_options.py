import logging
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvalidRequest
from common.options import (
    FLOATS,
    INTEGERS,
    WITHOUT_EFFECT,
    default_options,
    merge_options,
    parse_options,
)
from protos.paddock.v1.generation_pb2 import Options

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("given", "parsed"),
    [
        ({}, Options()),
        ({"num_predict": 5, "seed": -1}, Options(num_predict=5, seed=-1)),
        ({"num_predict": 2.7}, Options(num_predict=2)),
        ({"num_predict": -2.7}, Options(num_predict=-2)),
        ({"seed": 2**63 - 1}, Options(seed=2**63 - 1)),
        ({"seed": 2**64}, Options(seed=2**63 - 1)),
        ({"seed": -(10**400)}, Options(seed=-(2**63))),
        ({"seed": 1e30}, Options(seed=2**63 - 1)),
        ({"top_k": 2**40}, Options(top_k=2**31 - 1)),
        ({"num_predict": -1e300}, Options(num_predict=-(2**31))),
        ({"mirostat": 2, "mirostat_tau": 4}, Options(mirostat=2, mirostat_tau=4.0)),
        ({"temperature": 0}, Options(temperature=0.0)),
        ({"top_p": 0.5, "temperature": None}, Options(top_p=0.5)),
        ({"stop": "x"}, Options(stop=["x"])),
        ({"stop": ["x", "y"]}, Options(stop=["x", "y"])),
        ({"stop": []}, Options()),
        ({"num_gpu": 1, "use_mmap": True, "num_thread": 0.5}, Options()),
        ({"tfs_z": 0.5, "num_gqa": 8, "rope_frequency_base": 1e6, "logits_all": False}, Options()),
        ({"Temperature": 1}, Options()),
    ],
)
def test_options(given: dict[str, Any], parsed: Options) -> None:
    assert parse_options(given) == parsed


@pytest.mark.parametrize("name", sorted(INTEGERS | FLOATS))
def test_every_option_is_a_field_of_the_proto(name: str) -> None:
    assert parse_options({name: 7}).HasField(name)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"temperature": "hot"}, 'option "temperature" must be of type float32'),
        ({"temperature": True}, 'option "temperature" must be of type float32'),
        ({"temperature": float("inf")}, 'option "temperature" is out of range'),
        ({"temperature": 10**400}, 'option "temperature" is out of range'),
        ({"temperature": 1e39}, 'option "temperature" is out of range'),
        ({"top_k": "1"}, 'option "top_k" must be of type integer'),
        ({"top_k": False}, 'option "top_k" must be of type integer'),
        ({"stop": 5}, 'option "stop" must be of type array'),
        ({"stop": ["a", 5]}, 'option "stop" must be of an array of strings'),
        ({"use_mmap": 1}, 'option "use_mmap" must be of type boolean'),
        ({"num_gpu": "all"}, 'option "num_gpu" must be of type integer'),
        ({"tfs_z": True}, 'option "tfs_z" must be of type float32'),
        ({"mirostat": "2"}, 'option "mirostat" must be of type integer'),
    ],
)
def test_values_of_the_wrong_type(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_options(given)
    assert caught.value.message == complaint


def test_an_unknown_option_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert parse_options({"nonsense": 1}) == Options()
    assert "nonsense" in caplog.text


@given(
    st.dictionaries(
        st.sampled_from(sorted(INTEGERS | FLOATS | WITHOUT_EFFECT.keys() | {"stop"})), ANY_JSON
    )
)
def test_any_json_is_read_or_refused(given: dict[str, Any]) -> None:
    try:
        parse_options(given)
    except InvalidRequest as error:
        assert error.message.startswith('option "')  # noqa: PT017


def test_later_options_win_and_stop_is_replaced_as_a_whole() -> None:
    merged = merge_options(
        Options(temperature=1, top_k=1, stop=["a", "b"]),
        Options(temperature=0, stop=["c"]),
        Options(seed=3),
    )
    assert merged == Options(temperature=0, top_k=1, stop=["c"], seed=3)


def test_nothing_is_lost_from_the_layers() -> None:
    layer = Options(stop=["a"])
    merge_options(default_options(), layer, Options(stop=["b"]))
    assert layer == Options(stop=["a"])


def test_every_option_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "options.md").read_text()
    table, rest = page.split("Accepted for clients' sake")
    documented = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    assert documented == INTEGERS | FLOATS | {"stop"}
    assert set(re.findall(r"`(\w+)`", rest.split("\n## ")[0])) == WITHOUT_EFFECT.keys()


def test_the_documented_defaults_are_the_defaults() -> None:
    page = (Path(__file__).parents[2] / "docs" / "options.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (-?[\d.]+) \|", page, re.MULTILINE)
    documented = parse_options({name: float(value) for name, value in rows})
    assert documented == default_options()
