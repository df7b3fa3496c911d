import pytest

from common.errors import InvalidRequest
from common.modelfile.version import check_version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("0.14.0", "0.14.0"),
        ("v0.14.0", "0.14.0"),
        ("1", "1"),
        ("1.2", "1.2"),
        ("1.2.3-rc.1+build.5", "1.2.3-rc.1+build.5"),
        ("", ""),
    ],
)
def test_versions(text: str, version: str) -> None:
    assert check_version(text) == version


@pytest.mark.parametrize("text", ["x", "v", "01.2", "1.2.3.4", "1.2-rc", "1.2.3-", "1.2.3 "])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        check_version(text)
    assert raised.value.message == "requires must be a valid semver (e.g. 0.14.0)"
