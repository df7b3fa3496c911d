"""How large the parts of a multipart upload are.

S3 takes 10,000 parts of 5 MiB to 5 GiB, of which the last may be smaller.
"""

MIB = 1024 * 1024
MAX_PARTS = 10_000
MIN_PART_SIZE = 5 * MIB
MAX_PART_SIZE = 5 * 1024 * MIB
_DOUBLED_AFTER = 1000  # parts


def part_size_for(size: int, smallest: int) -> int:
    """Give the size of all parts of an object whose size is known, in bytes."""
    needed = -(-size // MAX_PARTS)
    return max(smallest, -(-needed // MIB) * MIB)


def growing_part_size(number: int, smallest: int) -> int:
    """Give the size of the part of a number, from 1, of an object of any size.

    It doubles every thousand parts, so that small objects need little memory and the
    largest that S3 stores do not need too many parts.
    """
    return min(MAX_PART_SIZE, smallest << (number - 1) // _DOUBLED_AFTER)


def ranges(size: int, length: int) -> list[tuple[int, int]]:
    """Cut a size into ranges of first and last byte, as HTTP writes them."""
    return [(first, min(first + length, size) - 1) for first in range(0, size, length)]
