"""`paddock signin` and `paddock signout`: said by habit, of no use here."""

from cli.failure import CommandFailed


def refuse_account() -> None:
    """Say who has accounts, and what there is instead."""
    raise CommandFailed(
        "accounts are ollama.com's, and Paddock has none; the key that a server wants goes into "
        "PADDOCK_API_KEY, and a registry's credentials belong to the server"
    )
