"""Which registry a name belongs to."""

import pytest

from common.errors import InvalidName, InvalidRequest
from services.registry.remote.location import Endpoints, locate

ENDPOINTS = Endpoints("https://registry.example", "https://hub.example")


@pytest.mark.parametrize(
    ("text", "bases", "manifest"),
    [
        ("x", ["https://registry.example"], "/v2/library/x/manifests/latest"),
        ("Ann/X:Q4", ["https://registry.example"], "/v2/Ann/X/manifests/Q4"),
        (
            "https://registry.ollama.ai/library/x",
            ["https://registry.example"],
            "/v2/library/x/manifests/latest",
        ),
        ("hf.co/Ann/X-GGUF:Q8_0", ["https://hub.example"], "/v2/Ann/X-GGUF/manifests/Q8_0"),
        ("huggingface.co/a/b", ["https://hub.example"], "/v2/a/b/manifests/latest"),
        ("HF.co/a/b", ["https://hub.example"], "/v2/a/b/manifests/latest"),
        ("reg.example:5000/A/B:C", ["https://reg.example:5000"], "/v2/a/b/manifests/C"),
    ],
)
def test_a_name_leads_to_a_manifest(text: str, bases: list[str], manifest: str) -> None:
    location = locate(text, insecure=False, endpoints=ENDPOINTS)
    assert list(location.base_urls) == bases
    assert location.manifest_path == manifest


@pytest.mark.parametrize(
    ("text", "bases"),
    [
        ("reg.example/a/b", ["https://reg.example", "http://reg.example"]),
        ("http://reg.example/a/b", ["http://reg.example"]),
        ("https://reg.example/a/b", ["https://reg.example"]),
    ],
)
def test_insecure_allows_plain_http(text: str, bases: list[str]) -> None:
    location = locate(text, insecure=True, endpoints=ENDPOINTS)
    assert list(location.base_urls) == bases
    assert location.insecure


@pytest.mark.parametrize("text", ["http://reg.example/a/b", "HTTP://reg.example/a/b", "http://x"])
def test_plain_http_is_asked_for_explicitly(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^insecure protocol http$"):
        locate(text, insecure=False, endpoints=ENDPOINTS)


@pytest.mark.parametrize(
    "text", ["reg.example/a/b/c d", "reg.example:99999/a/b", "a:b:c/a/b", "x:y/a/b", "reg:/a/b:c:d"]
)
def test_what_is_no_name_has_no_place(text: str) -> None:
    with pytest.raises(InvalidName, match="invalid model name"):
        locate(text, insecure=True, endpoints=ENDPOINTS)


@pytest.mark.parametrize(
    ("text", "host"), [("reg.example:5000/a/b", "reg.example:5000"), ("x", "registry.example")]
)
def test_credentials_are_kept_by_host_and_port(text: str, host: str) -> None:
    assert locate(text, insecure=False, endpoints=ENDPOINTS).host == host
