"""The tokens of a template as the parser takes them, and how it complains about one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from common.errors import TemplateError
from common.gotemplate.lexer import Kind, Lexer, Token
from common.gotemplate.limits import MAXIMUM_DEPTH, clip


class TokenStream:
    """Takes tokens and gives them back; knows where an error is."""

    def __init__(self, source: str) -> None:
        self._lexed = iter(Lexer(source))
        self._pushed: list[Token] = []  # given back, the next one last
        self._line = 1  # of the last token lexed
        self._depth = 0
        self.action_line = 0  # where the action began that is being parsed

    def next(self) -> Token:
        """Take the next token."""
        if self._pushed:
            return self._pushed.pop()
        token = next(self._lexed, None) or Token(Kind.EOF, "", 0, self._line)
        self._line = token.line
        return token

    def push(self, token: Token) -> None:
        """Give a token back."""
        self._pushed.append(token)

    def peek(self) -> Token:
        """Look at the next token."""
        token = self.next()
        self.push(token)
        return token

    def next_word(self) -> Token:
        """Take the next token that is no space."""
        while (token := self.next()).kind is Kind.SPACE:
            pass
        return token

    def peek_word(self) -> Token:
        """Look at the next token that is no space; the spaces before it are gone."""
        token = self.next_word()
        self.push(token)
        return token

    def expect(self, kinds: tuple[Kind, ...], context: str) -> Token:
        """Take the next token that is no space, which must be of one of these kinds."""
        token = self.next_word()
        if token.kind not in kinds:
            self.unexpected(token, context)
        return token

    def fail(self, message: str) -> NoReturn:
        """Refuse the template, naming the line of the token that was read last."""
        raise TemplateError(f"template error: template: :{self._line}: {clip(message)}")

    def unexpected(self, token: Token, context: str) -> NoReturn:
        """Refuse a token; where it is an error of the lexer, with what that says."""
        if token.kind is not Kind.ERROR:
            self.fail(f"unexpected {token} in {context}")
        where = ""
        if self.action_line not in (0, token.line):
            word = "" if token.text.endswith(" action") else " in action"
            where = f"{word} started at :{self.action_line}"
        self.fail(f"{token}{where}")

    @contextmanager
    def deeper(self) -> Iterator[None]:
        """Go a level deeper, into a block or parentheses."""
        if self._depth >= MAXIMUM_DEPTH:
            self.fail("max expression depth exceeded")
        self._depth += 1
        yield
        self._depth -= 1
