"""Which server the commands talk to."""

import pytest

from cli.address import api_key, server_address


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PADDOCK_HOST", "OLLAMA_HOST", "PADDOCK_API_KEY", "OLLAMA_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("paddock", "ollama", "url"),
    [
        ("", "", "http://127.0.0.1:11434"),
        ("", "there:1", "http://there:1"),
        ("here:2", "there:1", "http://here:2"),
        ("0.0.0.0:3", "", "http://127.0.0.1:3"),
        (":4", "", "http://127.0.0.1:4"),
        ("https://models.example.com/team/", "", "https://models.example.com:443/team"),
    ],
)
def test_addresses(monkeypatch: pytest.MonkeyPatch, paddock: str, ollama: str, url: str) -> None:
    monkeypatch.setenv("PADDOCK_HOST", paddock)
    monkeypatch.setenv("OLLAMA_HOST", ollama)
    assert server_address().api_url == url
    assert server_address().is_loopback == ("127.0.0.1" in url)


def test_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    assert api_key() == ""
    monkeypatch.setenv("OLLAMA_API_KEY", "theirs")
    assert api_key() == "theirs"
    monkeypatch.setenv("PADDOCK_API_KEY", "ours")
    assert api_key() == "ours"
