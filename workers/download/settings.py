"""How blobs are read."""

from dataclasses import dataclass

_MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class DownloadLimits:
    """What a worker's downloads together may do, and how long they are patient."""

    parallel: int = 32
    """Ranges that are read at once. Each has at most a mebibyte in memory."""

    range_size: int = 8 * _MEBIBYTE
    """Bytes of a range; what is read of one when the process dies is read again."""

    connect_seconds: float = 10.0
    """For which a connection may take to be made."""

    stall_seconds: float = 15.0
    """After which a range of which nothing comes is asked for again."""

    slowest: int = 1024
    """Bytes a second under which, for as long as that, a range is asked for again as well."""

    attempts: int = 6
    """In a row of which nothing comes, before a way to the bytes is given up."""

    first_delay_seconds: float = 0.2
    """Before the second attempt; the next ones wait twice as long each, up to the longest."""

    longest_delay_seconds: float = 5.0

    def delay(self, failures: int) -> float:
        """Tell how many seconds to wait after that many failures in a row."""
        return min(self.first_delay_seconds * 2.0 ** (failures - 1), self.longest_delay_seconds)
