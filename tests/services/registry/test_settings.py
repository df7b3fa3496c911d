from pathlib import Path

import pytest

from common.settings import read_settings, seconds
from services.registry.settings import RegistrySettings


def test_a_drain_timeout_is_a_duration() -> None:
    settings = read_settings(RegistrySettings, "registry", ["--drain-timeout", "1m30s"])
    assert seconds(settings.drain_timeout) == 90


@pytest.mark.parametrize("text", ["soon", "-1s"])
def test_a_drain_timeout_that_is_none(text: str) -> None:
    with pytest.raises(SystemExit, match="registry: --drain-timeout: "):
        read_settings(RegistrySettings, "registry", [f"--drain-timeout={text}"])


def test_the_servers_own_modelfiles_are_off_unless_a_folder_is_named() -> None:
    assert read_settings(RegistrySettings, "registry", []).modelfiles is None
    settings = read_settings(RegistrySettings, "registry", ["--modelfiles", "/srv/models"])
    assert settings.modelfiles == Path("/srv/models")


def test_the_usual_variables_of_docker_and_hugging_face_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example")
    monkeypatch.setenv("HF_TOKEN", "hf_usual")
    monkeypatch.setenv("DOCKER_CONFIG", "/etc/docker-login")
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", "{}")
    remote = read_settings(RegistrySettings, "registry", []).remote
    assert (remote.hub, remote.hub_token) == ("https://mirror.example", "hf_usual")
    assert (remote.docker_config, remote.auths) == (Path("/etc/docker-login"), "{}")
    monkeypatch.setenv("PADDOCK_HF_TOKEN", "hf_ours")
    own = read_settings(RegistrySettings, "registry", ["--hf-endpoint", "http://own"]).remote
    assert (own.hub, own.hub_token) == ("http://own", "hf_ours")


@pytest.mark.parametrize("flag", ["--default-registry", "--hf-endpoint"])
def test_an_address_of_a_registry_is_a_url(flag: str) -> None:
    with pytest.raises(SystemExit, match="a URL begins with http"):
        read_settings(RegistrySettings, "registry", [flag, "registry.example"])


def test_secrets_are_not_shown() -> None:
    settings = read_settings(RegistrySettings, "registry", ["--hf-token", "hf_secret"])
    assert "hf_secret" not in repr(settings)
