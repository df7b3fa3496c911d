"""The processes by what their settings say: variables, addresses, what they talk to."""

import re
from typing import get_type_hints

from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from common.settings import ServiceSettings, Settings
from common.tls import TlsSettings
from gateway.settings import GatewaySettings
from services.blob.settings import BlobSettings
from services.inference.settings import InferenceSettings
from services.registry.settings import RegistrySettings, Url
from workers.settings import WorkerSettings

SETTINGS: dict[str, type[Settings]] = {
    "gateway": GatewaySettings,
    "services.blob": BlobSettings,
    "services.inference": InferenceSettings,
    "services.registry": RegistrySettings,
    "workers": WorkerSettings,
}

LISTENING = {"host", "listen", *ServiceSettings.model_fields.keys() - Settings.model_fields.keys()}
"""Settings that say where a process listens."""

_ADDRESS = re.compile(r"127\.0\.0\.1:\d+")


def variables_of(module: str) -> dict[str, str]:
    """Give the names of the variables that a process reads, and the settings that they set."""
    kinds: dict[str, type[BaseSettings]] = {
        "PADDOCK_": SETTINGS[module],
        "PADDOCK_TLS_": TlsSettings,
    }
    return {
        prefix + field.upper(): field
        for prefix, kind in kinds.items()
        for field in kind.model_fields
    }


def peers_of(module: str) -> set[str]:
    """Give the settings of a process that are addresses of other processes."""
    fields = SETTINGS[module].model_fields.items()
    return {
        name
        for name, field in fields
        if name not in LISTENING and _ADDRESS.fullmatch(str(field.default))
    }


def asks_the_internet(module: str) -> bool:
    """Tell whether a process has settings that are URLs of the world outside."""
    hints = get_type_hints(SETTINGS[module], include_extras=True)
    fields = SETTINGS[module].model_fields
    return any(
        hints[name] == Url and field.default is not PydanticUndefined
        for name, field in fields.items()
    )
