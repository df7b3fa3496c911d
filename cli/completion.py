"""Model names for the shell to complete, where the server answers quickly."""

_PATIENCE = 1.0  # seconds


def complete_model(incomplete: str) -> list[str]:
    """Give the names of stored models that begin like a word; none where no server answers."""
    from cli.failure import CommandFailed
    from cli.server import fetch_models
    from common.errors import InvalidRequest

    try:
        models = fetch_models("/api/tags", _PATIENCE)
    except (CommandFailed, InvalidRequest):
        return []
    return [model["name"] for model in models if model["name"].startswith(incomplete)]
