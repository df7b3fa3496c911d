"""The tokens of simulated models: every byte, the end, and common words with and without a space.

All simulated models have the same ones, so that an answer means the same on every worker.
"""

from itertools import chain

END = 256
"""The token that ends an answer."""

END_TEXT = "<|end|>"

_TEXT = """
a about above across after again air all along also always an and animal answer any are around as
ask at away back be because been before began begin being below best better between big bird
black blue book both boy bring but by call came can car care carry chat children city clear close
cloud cold color come could country cut dark day deep did different do does done door down draw
each early earth east eat end enough even ever every example eye face fact fall family far farm
father feel few field find fire first fish five follow food foot for form found four friend from
front full gave get girl give go gold good got great green ground group grow had half hand hard
has have he head hear heart heat help her here high him his hold home horse hot hour house how
hundred i idea if important in into is island it its just keep kind king know land large last late
laugh learn leave left less let letter life light like line list little live long look love low
machine made make man many map mark may me mean measure men might mile mind minute moon more
morning most mother mountain move much music must my name near need never new next night no north
not note notice now number of off often old on once one only open or order other our out over own
page paper part pass people picture piece place plain plan plant play point problem pull put
question quick rain ran reach read ready real red rest right river road rock room round rule run
said same saw say school sea second see seem sentence set seven she ship short should show side
simple since sing six sky sleep slow small snow so some song soon sound south space speak stand
star start state stay step still stop story street strong study such summer sun sure surface
system table take talk tell ten than that the their them then there these they thing think this
those thought thousand three through time to together told too top toward town tree true try turn
two under until up us use user very voice walk want warm was watch water wave way we week well
went were west what wheel when where which while white who whole why will wind winter with
without wonder wood word work world would write year yellow yes yet you young your assistant
model content tool false null caf
"""

WORDS = tuple(dict.fromkeys(_TEXT.split()))
"""What answers are made of."""

_FIRST_WORD = END + 1
_PAIRS = [(f" {word}", word) for word in WORDS]

TOKENS: tuple[bytes, ...] = (
    *(bytes([byte]) for byte in range(256)),
    END_TEXT.encode(),
    *(text.encode() for text in chain.from_iterable(_PAIRS)),
)
"""The bytes of each token, by its id."""

IDS = {token.decode(): number for number, token in enumerate(TOKENS) if number > END}
"""The ids of words, by their texts."""

SPACED = tuple(range(_FIRST_WORD, len(TOKENS), 2))
"""The ids of words that begin with a space; the one without it comes next."""
