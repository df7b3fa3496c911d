import pytest

from common.errors import InvalidRequest
from common.hosts import HostAddress


@pytest.mark.parametrize(
    ("text", "host", "port", "url"),
    [
        ("", "127.0.0.1", 11434, "http://127.0.0.1:11434"),
        ("example.com", "example.com", 11434, "http://example.com:11434"),
        ("example.com:1", "example.com", 1, "http://example.com:1"),
        (":8080", "", 8080, "http://127.0.0.1:8080"),
        ("0.0.0.0", "0.0.0.0", 11434, "http://127.0.0.1:11434"),
        ("http://example.com:8080/", "example.com", 8080, "http://example.com:8080"),
        ("http://example.com", "example.com", 80, "http://example.com:80"),
        ("https://example.com", "example.com", 443, "https://example.com:443"),
        ("[::1]", "::1", 11434, "http://[::1]:11434"),
        ("[::1]:2", "::1", 2, "http://[::1]:2"),
        ("[::]", "::", 11434, "http://[::1]:11434"),
        ("::1", "::1", 11434, "http://[::1]:11434"),
        ("http://::1/x", "::1", 80, "http://[::1]:80"),
        (' " 10.0.0.1:0 " ', "10.0.0.1", 0, "http://10.0.0.1:0"),
    ],
)
def test_addresses(text: str, host: str, port: int, url: str) -> None:
    address = HostAddress.parse(text)
    assert (address.host, address.port, address.url) == (host, port, url)


@pytest.mark.parametrize("text", ["x:65536", "x:abc", "x:-1", "ftp://x", "[::1"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(InvalidRequest, match="invalid address"):
        HostAddress.parse(text)


@pytest.mark.parametrize(
    ("text", "loopback"),
    [
        ("127.0.0.1", True),
        ("[::1]:2", True),
        ("localhost", True),
        ("0.0.0.0", False),
        (":8080", False),
        ("example.com", False),
    ],
)
def test_loopback(text: str, loopback: bool) -> None:
    assert HostAddress.parse(text).is_loopback is loopback
