"""Credentials in Docker's form."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from services.registry.remote.credentials import Credentials, CredentialStore

HOST = "reg.example:5000"
ANN = Credentials("ann", "a:b")
AUTH = base64.b64encode(b"ann:a:b").decode()


def document(entry: Any, key: str = HOST) -> str:
    return json.dumps({"auths": {key: entry}})


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ({"auth": AUTH}, ANN),
        ({"username": "ann", "password": "a:b"}, ANN),
        ({"registrytoken": "abc"}, Credentials(token="abc")),
        ({"auth": "no base64!"}, None),
        ({"auth": base64.b64encode(b"no colon").decode()}, None),
        ({"auth": 7}, None),
        ({}, None),
        ("text", None),
    ],
)
def test_entries_of_all_kinds_are_read(
    tmp_path: Path, entry: Any, found: Credentials | None
) -> None:
    assert CredentialStore(document(entry), tmp_path).find(HOST) == found


@pytest.mark.parametrize("key", [HOST, f"https://{HOST}", f"https://{HOST}/v1/", HOST.upper()])
def test_keys_may_be_urls(tmp_path: Path, key: str) -> None:
    assert CredentialStore(document({"auth": AUTH}, key), tmp_path).find(HOST) == ANN


@pytest.mark.parametrize("host", ["reg.example", "reg.example:5001", "x.reg.example:5000"])
def test_credentials_are_for_one_host_only(tmp_path: Path, host: str) -> None:
    assert CredentialStore(document({"auth": AUTH}), tmp_path).find(host) is None


def test_the_file_is_read_anew_each_time(tmp_path: Path) -> None:
    store = CredentialStore("", tmp_path)
    assert store.find(HOST) is None
    (tmp_path / "config.json").write_text(document({"auth": AUTH}))
    assert store.find(HOST) == ANN


def test_the_text_goes_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(document({"username": "bob"}))
    assert CredentialStore(document({"auth": AUTH}), tmp_path).find(HOST) == ANN


@pytest.mark.parametrize("text", ["{", "[]", '{"auths": []}', '{"auths": null}', "{}"])
def test_a_damaged_file_has_no_credentials(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    assert CredentialStore("", tmp_path).find(HOST) is None
