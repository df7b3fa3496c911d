"""Images of a request: from encoded files to pixels, within limits."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from common.errors import InvalidRequest

# What clients send. Pillow reads many more, some through programs of the system.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "WEBP")

# Of the long side to the short one. Models whose processor scales the short side up would make
# gigabytes of a file of some bytes.
_LONGEST = 200

_MEBIBYTE = 1 << 20

# Pillow has one limit for the whole process, and only warns at first; `ImageLimits` is checked
# before any pixel is decoded.
Image.MAX_IMAGE_PIXELS = None
# About what it read of a damaged file all the same.
warnings.filterwarnings("ignore", category=UserWarning, module="PIL")


@dataclass(frozen=True)
class ImageLimits:
    """What the images of one request may be."""

    images: int = 16
    """How many."""
    size: int = 32 * _MEBIBYTE
    """Bytes of one encoded file."""
    pixels: int = 100_000_000
    """Pixels of all together; each takes three bytes of memory, and more for a moment."""


def decode_images(files: Sequence[bytes], limits: ImageLimits) -> list[Image.Image]:
    """Decode files to RGB, upright as a camera's EXIF says, on white where they are transparent.

    Of an animation it takes the first frame. It computes for up to seconds.

    Raises:
        InvalidRequest: a file is no image, is damaged, or passes a limit.
    """
    if len(files) > limits.images:
        raise InvalidRequest(f"too many images: {len(files)}, and the most is {limits.images}")
    images: list[Image.Image] = []
    room = limits.pixels
    for number, file in enumerate(files, start=1):
        try:
            images.append(_decode(file, limits.size, room))
        except InvalidRequest as error:
            raise InvalidRequest(f"image {number}: {error.message}") from error
        room -= images[-1].width * images[-1].height
    return images


def _decode(file: bytes, most_bytes: int, most_pixels: int) -> Image.Image:
    if len(file) > most_bytes:
        raise InvalidRequest(f"it has {len(file)} bytes, more than {most_bytes}")
    try:
        image = Image.open(BytesIO(file), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise InvalidRequest(f"it is none of {', '.join(FORMATS)}, or damaged") from error
    except Exception as error:  # the formats' readers raise whatever a damaged file makes them
        raise InvalidRequest(f"it is damaged: {error}") from error
    short, long = sorted(image.size)
    if long > short * _LONGEST:
        raise InvalidRequest(
            f"it has {image.width}x{image.height} pixels, and one side may be {_LONGEST} times "
            "as long as the other at most"
        )
    if short * long > most_pixels:
        raise InvalidRequest(
            f"it has {image.width}x{image.height} pixels, where {most_pixels} are left of "
            "what one request may have"
        )
    try:
        image.load()
        return _to_rgb(_upright(image))
    except Exception as error:  # as above
        raise InvalidRequest(f"it is damaged: {error}") from error


def _upright(image: Image.Image) -> Image.Image:
    exif = image.getexif()
    for tag in exif.keys() - {ExifTags.Base.Orientation}:
        del exif[tag]  # Pillow writes the rest anew, and fails at what cameras got wrong
    ImageOps.exif_transpose(image, in_place=True)
    return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):  # the conversion would take all above 255 for white
        image = image.point(lambda value: value / 256, "L")
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image)
    return white
