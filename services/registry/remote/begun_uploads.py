"""Uploads that another registry has begun to take."""

from dataclasses import dataclass

from services.registry.remote.session import RemoteSession


@dataclass
class BegunUpload:
    """An upload that the registry has begun to take."""

    url: str
    """Where the next part goes."""

    offset: int = 0


class BegunUploads:
    """Where uploads that broke off can go on, as long as this process lives."""

    def __init__(self, most: int = 256) -> None:
        self._urls: dict[tuple[str, str], str] = {}
        self._most = most

    def remember(self, session: RemoteSession, digest: str, url: str) -> None:
        """Note where the next part of a blob goes."""
        self._urls.pop(self._key(session, digest), None)
        self._urls[self._key(session, digest)] = url
        if len(self._urls) > self._most:
            del self._urls[next(iter(self._urls))]

    def find(self, session: RemoteSession, digest: str) -> str | None:
        """Give where a blob's upload can go on."""
        return self._urls.get(self._key(session, digest))

    def forget(self, session: RemoteSession, digest: str) -> None:
        """Note that an upload is over, or that it cannot go on."""
        self._urls.pop(self._key(session, digest), None)

    @staticmethod
    def _key(session: RemoteSession, digest: str) -> tuple[str, str]:
        return session.url(session.location.blob_path(digest)).human_repr(), digest
