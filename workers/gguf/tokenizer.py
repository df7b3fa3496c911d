"""A model's `tokenizer.json` from the vocabulary of its GGUF file.

It gives the tokens that the original tokenizer gives, and that llama.cpp gives.
"""

from gguf import TokenType
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

from common.errors import InvalidModel
from workers.gguf.splits import split_of
from workers.gguf.vocabulary import Vocabulary

_SPACE = "\u2581"
_NO_TOKEN = "[UNK]"


def build_tokenizer(vocabulary: Vocabulary) -> Tokenizer:
    """Build the tokenizer that a GGUF file describes.

    Raises:
        InvalidModel: it is of a kind that is not supported, or contradicts itself.
    """
    builders = {"gpt2": _byte_level, "llama": _sentencepiece, "bert": _wordpiece}
    if vocabulary.model not in builders:
        raise InvalidModel(
            f"GGUF tokenizers of the kind {vocabulary.model!r} are not supported; "
            f"supported: {', '.join(builders)}"
        )
    tokenizer = builders[vocabulary.model](vocabulary)
    control = vocabulary.of_kind(TokenType.CONTROL)
    tokenizer.add_special_tokens([_added(vocabulary, number) for number in control])
    own = vocabulary.of_kind(TokenType.USER_DEFINED)
    tokenizer.add_tokens([_added(vocabulary, number) for number in own])
    return tokenizer


def _added(vocabulary: Vocabulary, number: int) -> AddedToken:
    special = vocabulary.kinds[number] == TokenType.CONTROL
    return AddedToken(vocabulary.tokens[number], normalized=False, special=special)


def _byte_level(vocabulary: Vocabulary) -> Tokenizer:
    split = split_of(vocabulary.pre)
    merges = [_pair(merge) for merge in vocabulary.merges]
    tokenizer = _bpe(vocabulary, merges, ignore_merges=split.ignore_merges)
    steps = [pre_tokenizers.Split(Regex(it), "isolated") for it in split.expressions]
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*steps, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    add_bos = split.add_bos if vocabulary.add_bos is None else vocabulary.add_bos
    _frame(tokenizer, vocabulary, bos=add_bos, eos=bool(vocabulary.add_eos))
    return tokenizer


def _pair(merge: str) -> tuple[str, str]:
    # A space within one of the two is never the first character.
    left, space, right = merge[:1], *merge[1:].partition(" ")[1:]
    left += merge[1:].partition(" ")[0]
    if not space:
        raise InvalidModel(f"the GGUF file has the merge {merge!r}")
    return left, right


def _sentencepiece(vocabulary: Vocabulary) -> Tokenizer:
    tokenizer = _bpe(vocabulary, _implied_merges(vocabulary), byte_fallback=True)
    spaces = normalizers.Replace(" ", _SPACE)
    decoding = [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    if vocabulary.add_space_prefix:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(_SPACE), spaces])
        decoding.append(decoders.Strip(" ", 1, 0))
    else:
        tokenizer.normalizer = spaces
    tokenizer.decoder = decoders.Sequence(decoding)
    add_bos = True if vocabulary.add_bos is None else vocabulary.add_bos
    _frame(tokenizer, vocabulary, bos=add_bos, eos=bool(vocabulary.add_eos))
    return tokenizer


def _implied_merges(vocabulary: Vocabulary) -> list[tuple[str, str]]:
    """Give every way to cut a token into two, the best tokens' first.

    SentencePiece merges what gives the token with the best score, and of equal ones the first.
    """
    known = {
        vocabulary.tokens[number]: number
        for number in vocabulary.of_kind(TokenType.NORMAL, TokenType.UNUSED, TokenType.BYTE)
    }
    ranked = []
    for token, number in known.items():
        for cut in range(1, len(token)):
            left, right = token[:cut], token[cut:]
            if left in known and right in known:
                rank = (-vocabulary.scores[number], known[left], known[right])
                ranked.append((rank, left, right))
    ranked.sort()
    return [(left, right) for _, left, right in ranked]


def _wordpiece(vocabulary: Vocabulary) -> Tokenizer:
    tokens = {_with_continuation(token): n for n, token in enumerate(vocabulary.tokens)}
    unknown = vocabulary.text("unk") or _NO_TOKEN
    tokenizer = Tokenizer(models.WordPiece(tokens, unk_token=unknown))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    first = _marker(vocabulary, "cls", "bos", "[CLS]")
    last = _marker(vocabulary, "sep", "eos", "[SEP]")
    tokenizer.post_processor = processors.BertProcessing(last, first)
    return tokenizer


def _marker(vocabulary: Vocabulary, name: str, other: str, text: str) -> tuple[str, int]:
    """Find a token that BERT puts around text, which not all files name."""
    number = vocabulary.special.get(name, vocabulary.special.get(other))
    if number is None:
        if text not in vocabulary.tokens:
            raise InvalidModel(f"the GGUF file has no {name} token")
        number = vocabulary.tokens.index(text)
    return vocabulary.tokens[number], number


def _with_continuation(token: str) -> str:
    """Mark where words go on, where GGUF marks where they begin."""
    if token.startswith(_SPACE):
        return token.removeprefix(_SPACE)
    if token.startswith("[") and token.endswith("]"):
        return token
    return f"##{token}"


def _bpe(
    vocabulary: Vocabulary,
    merges: list[tuple[str, str]],
    *,
    ignore_merges: bool = False,
    byte_fallback: bool = False,
) -> Tokenizer:
    tokens = {token: number for number, token in enumerate(vocabulary.tokens)}
    try:
        model = models.BPE(
            tokens,
            merges,
            unk_token=vocabulary.text("unk") if byte_fallback else None,
            fuse_unk=byte_fallback,
            byte_fallback=byte_fallback,
            ignore_merges=ignore_merges,
        )
    except Exception as error:  # the library raises nothing more special
        raise InvalidModel("the GGUF file's merges do not fit its tokens") from error
    return Tokenizer(model)


def _frame(tokenizer: Tokenizer, vocabulary: Vocabulary, *, bos: bool, eos: bool) -> None:
    """Have text begin and end with the tokens that the model was trained on."""
    first = vocabulary.text("bos") if bos else None
    last = vocabulary.text("eos") if eos else None
    if not (first or last):
        return
    ids = {vocabulary.tokens[it]: it for it in vocabulary.special.values()}
    tokenizer.post_processor = processors.TemplateProcessing(
        single=[part for part in (first, "$A", last) if part],
        pair=[part for part in (first, "$A", last, first, "$B", last) if part],
        special_tokens=[(token, ids[token]) for token in {first, last} if token],
    )
