import pytest

from common.errors import InvalidRequest
from protos.paddock.v1.generation_pb2 import Message
from tests.workers.letters import Recorder
from workers.image_places import Placed, Placeholder, split_at_images

IMAGE = Placeholder("<image>")
A, B = b"first", b"second"


@pytest.mark.parametrize(
    ("content", "images", "pieces"),
    [
        ("look", [], ["look"]),
        ("look", [A], [None, "look"]),
        ("look", [A, B], [None, None, "look"]),
        ("look [img] here", [A], ["look ", None, " here"]),
        ("look [img] here", [A, B], [None, "look ", None, " here"]),
        ("[img] and [img]", [A, B], [None, " and ", None]),
        ("[img] and [img]", [A], [None, " and [img]"]),
        ("no [img]", [], ["no [img]"]),
        ("", [A], [None]),
        ("", [], []),
    ],
)
def test_where_images_belong(content: str, images: list[bytes], pieces: list[str | None]) -> None:
    assert split_at_images(Message(content=content, images=images)) == pieces


@pytest.mark.parametrize(
    ("text", "images", "placed"),
    [
        ("look", [], Placed("look")),
        ("[img-0]look", [], Placed("[img-0]look")),
        ("[img-0]look", [A], Placed("<image>look", [A])),
        ("[img-1]and[img-0]", [A, B], Placed("<image>and<image>", [B, A])),
        ("only [img-1]", [A, B], Placed("only <image>", [B])),
        ("[img-0] not [img-7]", [A], Placed("<image> not [img-7]", [A])),
        ("[img-0] not [img-" + "9" * 5000 + "]", [A], None),
    ],
)
def test_tags(text: str, images: list[bytes], placed: Placed | None) -> None:
    expected = placed or Placed(text.replace("[img-0]", "<image>"), images)
    assert IMAGE.replace_tags(text, images) == expected


def test_a_tag_must_not_occur_twice() -> None:
    with pytest.raises(InvalidRequest, match=r"names its image \[img-0\] twice"):
        IMAGE.replace_tags("[img-0] [img-0]", [A])


@pytest.mark.parametrize(
    ("text", "images", "placed"),
    [
        ("look", [A], "<image>look"),
        ("see [img-0]", [A], "see <image>"),
        ("see [img]", [A], "see <image>"),
        ("see <image>", [A], "see <image>"),
        ("see [img-0]", [A, B], "<image><image>see [img-0]"),
    ],
)
def test_a_prompt_written_by_hand(text: str, images: list[bytes], placed: str) -> None:
    assert IMAGE.place_by_hand(text, images) == Placed(placed, images)
    assert IMAGE.place_by_hand(text, []).text == text


def test_a_model_that_finds_the_places_itself() -> None:
    nothing = Placeholder("")
    assert nothing.replace_tags("[img-0]look", [A]) == Placed("look", [A])
    assert nothing.place_by_hand("look", [A]) == Placed("look", [A])
    assert nothing.insert(Message(content="look", images=[A])) == "look"
    nothing.check(Recorder(), "anything", [1, 2], 3)


TOKENIZER = Recorder(added=("<start>", "<pad>", "<end>"))
SEVERAL = Placeholder("<start><pad><end>")


@pytest.mark.parametrize(
    ("text", "images", "good"),
    [
        ("look", 0, True),
        ("<start><pad><end>look", 1, True),
        ("<start><pad><end>look<start><pad><end>", 2, True),
        ("<start><pad><end>look", 0, False),
        ("look", 1, False),
        ("<start><pad><end>look<start><pad><end>", 1, False),
        ("<start><pad><end>look<pad>", 1, False),
        ("look<pad>", 0, False),
    ],
)
def test_texts_with_places_of_their_own(text: str, images: int, good: bool) -> None:
    tokens = TOKENIZER.encode(text)
    if good:
        SEVERAL.check(TOKENIZER, text, tokens, images)
        return
    with pytest.raises(InvalidRequest, match="must not have the placeholder of images, <start>"):
        SEVERAL.check(TOKENIZER, text, tokens, images)
