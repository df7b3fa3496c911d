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
