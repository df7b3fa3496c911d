"""What the sequences of one Run call have produced and its caller has not read yet."""

import asyncio

from common.deltas import append_delta
from protos.paddock.v1 import generation_pb2, sequences_pb2


class Outbox:
    """Joins updates until they are taken, in the message that they are sent in.

    A reader that is slower than the engine gets fewer, larger messages: per sequence
    there is never more than one update, so what is kept is bounded by the texts
    themselves, and no sequence waits for the reader.
    """

    def __init__(self) -> None:
        self._message = sequences_pb2.RunResponse()
        self._pending: dict[int, sequences_pb2.SequenceUpdate] = {}
        self._texts: dict[int, tuple[str, int]] = {}  # of sequences that are not pending
        self._closed = False
        self._wake = asyncio.Event()

    def add_text(self, sequence: int, content: str, token: int) -> None:
        """Add a token and its content to what is pending for a sequence."""
        if sequence in self._texts or sequence in self._pending:
            delta = self.update(sequence).delta
            delta.content += content
            delta.tokens.append(token)
        else:
            self._texts[sequence] = content, token
            self._wake.set()

    def add(self, sequence: int, delta: generation_pb2.Delta) -> None:
        """Add a delta to what is pending for a sequence."""
        is_first = sequence not in self._texts and sequence not in self._pending
        pending = self.update(sequence).delta
        if is_first:
            pending.MergeFrom(delta)
        else:
            append_delta(pending, delta)

    def update(self, sequence: int) -> sequences_pb2.SequenceUpdate:
        """Give what is pending for a sequence, for more to be added at once."""
        update = self._pending.get(sequence)
        if update is None:
            update = self._pending[sequence] = self._message.updates.add(sequence=sequence)
            if text := self._texts.pop(sequence, None):
                update.delta.content = text[0]
                update.delta.tokens.append(text[1])
            self._wake.set()
        return update

    def discard(self, sequence: int) -> None:
        """Forget what is pending for a sequence nobody waits for any more."""
        self._texts.pop(sequence, None)
        if update := self._pending.pop(sequence, None):
            self._message.updates.remove(update)

    def close(self) -> None:
        """Let `take` end once everything was taken."""
        self._closed = True
        self._wake.set()

    async def take(self) -> sequences_pb2.RunResponse | None:
        """Wait for updates and give all that are pending; None once closed."""
        while not self._pending and not self._texts and not self._closed:
            self._wake.clear()
            await self._wake.wait()
            # Those whose last token has just come end before the event loop's next turn: a
            # message for both is half the work, and arrives earlier than a second one.
            await asyncio.sleep(0)
        message, pending, texts = self._message, self._pending, self._texts
        self._message, self._pending, self._texts = sequences_pb2.RunResponse(), {}, {}
        if texts:
            contents, tokens = zip(*texts.values(), strict=True)
            message.sequences.extend(texts)
            message.contents.extend(contents)
            message.tokens.extend(tokens)
        return message if pending or texts else None
