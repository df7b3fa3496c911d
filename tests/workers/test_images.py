import struct
from io import BytesIO
from zlib import crc32

import pytest
from PIL import Image

from common.errors import InvalidRequest
from workers.images import ImageLimits, decode_images

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decode(*files: bytes, **limits: int) -> list[Image.Image]:
    return decode_images(files, ImageLimits(**limits))


def red_and_blue() -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", (20, 10), RED)
    image.paste(BLUE, (10, 0, 20, 10))
    return image


def exif(*entries: tuple[int, int, bytes]) -> bytes:
    """Write the EXIF of a JPEG file: tags of one value (or text), their types, their bytes."""
    table = struct.pack("<H", len(entries))
    for tag, kind, value in entries:
        table += struct.pack("<HHI", tag, kind, len(value) if kind == ASCII else 1)
        table += value.ljust(4, b"\0")
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + table + bytes(4)


ASCII, SHORT = 2, 3
ORIENTATION, WIDTH = 0x112, 0x100


@pytest.mark.parametrize("kind", ["BMP", "GIF", "JPEG", "PNG", "WEBP"])
def test_formats(kind: str) -> None:
    [image] = decode(encode(red_and_blue(), kind))
    assert image.mode == "RGB"
    assert image.size == (20, 10)
    red, _, blue = image.getpixel((15, 5))  # type: ignore[misc]
    assert red < 60
    assert blue > 190


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_modes(mode: str) -> None:
    [image] = decode(encode(Image.new("L", (3, 2), 255).convert(mode)))
    assert image.mode == "RGB"
    assert image.getpixel((1, 1)) == WHITE


def test_colours_for_print() -> None:
    [image] = decode(encode(Image.new("CMYK", (8, 8), (0, 0, 0, 0)), "JPEG"))
    assert image.getpixel((1, 1)) == WHITE


def test_sixteen_bits_are_not_all_white() -> None:
    [image] = decode(encode(Image.new("I;16", (3, 2), 0x8000)))
    assert image.getpixel((1, 1)) == (128, 128, 128)


def test_transparency_is_white() -> None:
    clear = Image.new("RGBA", (3, 2), (255, 0, 0, 0))
    half = Image.new("RGBA", (3, 2), (255, 0, 0, 128))
    palette = Image.new("P", (3, 2))
    files = [encode(clear), encode(half), encode(palette, transparency=0)]
    found = [image.getpixel((1, 1)) for image in decode(*files)]
    assert found == [WHITE, (255, 127, 127), WHITE]


def test_an_animation_is_its_first_frame() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, BLUE)]
    for kind in ("GIF", "WEBP"):
        file = encode(frames[0], kind, save_all=True, append_images=frames[1:])
        red, _, blue = decode(file)[0].getpixel((1, 1))  # type: ignore[misc]
        assert red > 200 > 50 > blue


@pytest.mark.parametrize(
    ("orientation", "size", "red_at"),
    [(1, (20, 10), (2, 5)), (3, (20, 10), (17, 5)), (6, (10, 20), (5, 2)), (8, (10, 20), (5, 17))],
)
def test_orientation(orientation: int, size: tuple[int, int], red_at: tuple[int, int]) -> None:
    notes = exif((ORIENTATION, SHORT, struct.pack("<H", orientation)))
    [image] = decode(encode(red_and_blue(), "JPEG", exif=notes))
    assert image.size == size
    red, _, blue = image.getpixel(red_at)  # type: ignore[misc]
    assert red > 200 > 50 > blue


def test_exif_that_a_camera_got_wrong() -> None:
    notes = exif((WIDTH, ASCII, b"abc\0"), (ORIENTATION, SHORT, struct.pack("<H", 6)))
    [image] = decode(encode(red_and_blue(), "JPEG", exif=notes))
    assert image.size == (10, 20)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (b"", "none of BMP, GIF, JPEG, PNG, WEBP"),
        (b"no image at all", "none of BMP, GIF, JPEG, PNG, WEBP"),
        (encode(red_and_blue(), "TIFF"), "none of BMP, GIF, JPEG, PNG, WEBP"),
        (encode(red_and_blue())[:60], "damaged"),
        (encode(red_and_blue(), "JPEG")[:400], "damaged"),
        (encode(red_and_blue())[:45] + b"zzzz" + encode(red_and_blue())[49:], "damaged"),
    ],
)
def test_what_is_no_image(file: bytes, reason: str) -> None:
    good = encode(red_and_blue())
    with pytest.raises(InvalidRequest, match=f"^image 2: it is {reason}"):
        decode(good, file)


def test_a_decompression_bomb_is_refused_by_its_header() -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", crc32(header))
    end = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", crc32(b"IDAT"))
    with pytest.raises(InvalidRequest, match="60000x60000 pixels"):
        decode(b"\x89PNG\r\n\x1a\n" + chunk + end)


def test_limits() -> None:
    file = encode(red_and_blue())
    assert len(decode(file, file, images=2, size=len(file), pixels=400)) == 2
    with pytest.raises(InvalidRequest, match="too many images: 3, and the most is 2"):
        decode(file, file, file, images=2)
    with pytest.raises(InvalidRequest, match=f"image 1: it has {len(file)} bytes"):
        decode(file, size=len(file) - 1)
    with pytest.raises(InvalidRequest, match="image 2: it has 20x10 pixels, where 199 are left"):
        decode(file, file, pixels=399)


@pytest.mark.parametrize("size", [(1, 201), (402, 2)])
def test_a_strip_that_processors_would_blow_up(size: tuple[int, int]) -> None:
    with pytest.raises(InvalidRequest, match="200 times"):
        decode(encode(Image.new("RGB", size)))
    assert decode(encode(Image.new("RGB", (1, 200))))
