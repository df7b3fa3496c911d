"""Model names for the shell to complete, where the server answers quickly."""

_PATIENCE = 1.0  # seconds


def complete_model(incomplete: str) -> list[str]:
    """Give the names of stored models that begin like a word; none where no server answers."""
    from cli.address import api_key, server_address
    from cli.complaints import ERRORS
    from cli.connection import Connection
    from common.errors import InvalidRequest

    try:
        with Connection(server_address(), api_key(), _PATIENCE) as connection:
            models = connection.get("/api/tags")["models"]
    except (*ERRORS, InvalidRequest):
        return []
    return [model["name"] for model in models if model["name"].startswith(incomplete)]
