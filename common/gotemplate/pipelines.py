"""The inner part of the grammar: pipelines, commands, operands and variables."""

from collections import Counter
from collections.abc import Container

from common.gotemplate import nodes
from common.gotemplate.lexer import Kind, Token
from common.gotemplate.number_literals import parse_number
from common.gotemplate.quoting import quote, unquote, unquote_character
from common.gotemplate.token_stream import TokenStream

STRINGS = (Kind.STRING, Kind.RAW_STRING)
_NUMBERS = (Kind.NUMBER, Kind.COMPLEX, Kind.CHARACTER_CONSTANT)
_OPERANDS = frozenset(
    {
        *STRINGS,
        *_NUMBERS,
        Kind.BOOL,
        Kind.DOT,
        Kind.FIELD,
        Kind.IDENTIFIER,
        Kind.VARIABLE,
        Kind.LEFT_PARENTHESIS,
    }
)
_VALUES = (nodes.Literal, nodes.Number, nodes.Dot, nodes.Nil)


class PipelineParser(TokenStream):
    """Reads what stands in an action."""

    def __init__(self, source: str, functions: Container[str]) -> None:
        super().__init__(source)
        self._functions = functions
        self.declared = ["$"]
        self.visible = Counter(self.declared)

    def pipeline(self, context: str, end: Kind) -> nodes.Pipe:
        """Read a pipeline up to and with the token that ends it."""
        position = self.peek_word().position
        variables, assigns = self._variables(context)
        commands: list[nodes.Command] = []
        while True:
            token = self.next_word()
            if token.kind is end:
                break
            if not _begins_operand(token):
                self.unexpected(token, context)
            self.push(token)
            commands.append(self._command())
        if not commands:
            self.fail(f"missing value for {context}")
        for stage, command in enumerate(commands[1:], 2):
            if isinstance(command.operands[0], _VALUES):
                self.fail(f"non executable command in pipeline stage {stage}")
        return nodes.Pipe(position, variables, assigns, tuple(commands))

    def _variables(self, context: str) -> tuple[tuple[str, ...], bool]:
        """Read `$x :=`, `$x =` or, for a range, `$i, $x :=`; tell whether it assigns."""
        names: list[str] = []
        while (variable := self.peek_word()).kind is Kind.VARIABLE:
            self.next()
            after = self.peek()
            operator = self.peek_word()
            if operator.kind in (Kind.ASSIGN, Kind.DECLARE):
                self.next_word()
                self._declare(variable.text)
                return (*names, variable.text), operator.kind is Kind.ASSIGN
            if operator.kind is not Kind.CHARACTER or operator.text != ",":
                if after.kind is Kind.SPACE:
                    self.push(after)
                self.push(variable)
                break
            self.next_word()
            self._declare(variable.text)
            names.append(variable.text)
            self._check_comma(context, len(names))
        return tuple(names), False

    def _check_comma(self, context: str, count: int) -> None:
        if context != "range" or count > 1:
            self.fail(f"too many declarations in {context}")
        following = self.peek_word().kind
        if following not in (Kind.VARIABLE, Kind.RIGHT_DELIMITER, Kind.RIGHT_PARENTHESIS):
            self.fail("range can only initialize variables")

    def _command(self) -> nodes.Command:
        position = self.peek_word().position
        operands: list[nodes.Operand] = []
        while True:
            self.peek_word()
            operand = self._operand()
            if operand is not None:
                operands.append(operand)
            token = self.next()
            if token.kind is Kind.SPACE:
                continue
            if token.kind in (Kind.RIGHT_DELIMITER, Kind.RIGHT_PARENTHESIS):
                self.push(token)
            elif token.kind is not Kind.PIPE:
                self.unexpected(token, "operand")
            break
        if not operands:
            self.fail("empty command")
        return nodes.Command(position, tuple(operands))

    def _operand(self) -> nodes.Operand | None:
        term = self._term()
        if term is None or self.peek().kind is not Kind.FIELD:
            return term
        position = self.peek().position
        names: list[str] = []
        while self.peek().kind is Kind.FIELD:
            names.append(self.next().text[1:])
        match term:
            case nodes.Field():
                return nodes.Field(position, (*term.fields, *names))
            case nodes.Variable():
                return nodes.Variable(position, term.name, tuple(names))
            case nodes.Literal() | nodes.Number() | nodes.Dot() | nodes.Nil():
                self.fail(f"unexpected . after term {quote(str(term))}")
        return nodes.Chain(position, term, tuple(names))

    def _term(self) -> nodes.Operand | None:
        token = self.next_word()
        position, text = token.position, token.text
        match token.kind:
            case Kind.IDENTIFIER:
                if text not in self._functions:
                    self.fail(f"function {quote(text)} not defined")
                return nodes.Identifier(position, text)
            case Kind.DOT:
                return nodes.Dot(position)
            case Kind.VARIABLE:
                if not self.visible[text]:
                    self.fail(f"undefined variable {quote(text)}")
                return nodes.Variable(position, text, ())
            case Kind.FIELD:
                return nodes.Field(position, (text[1:],))
            case Kind.BOOL:
                return nodes.Literal(position, text == "true", text)
            case Kind.STRING | Kind.RAW_STRING:
                return nodes.Literal(position, self.unquoted(token), text)
            case Kind.LEFT_PARENTHESIS:
                with self.deeper():
                    return self.pipeline("parenthesized pipeline", Kind.RIGHT_PARENTHESIS)
        if token.kind in _NUMBERS:
            return nodes.Number(position, self._number(token), text)
        if token.is_keyword("nil"):
            return nodes.Nil(position)
        self.push(token)
        return None

    # ---- literals and variables

    def unquoted(self, token: Token) -> str:
        """Give the text of a string literal."""
        try:
            return unquote(token.text)
        except ValueError as error:
            self.fail(str(error))

    def _number(self, token: Token) -> int | float | None:
        try:
            if token.kind is Kind.CHARACTER_CONSTANT:
                return unquote_character(token.text)
            return parse_number(token.text)
        except ValueError as error:
            self.fail(str(error))

    def _declare(self, name: str) -> None:
        self.declared.append(name)
        self.visible[name] += 1

    def forget_from(self, mark: int) -> None:
        """Forget the variables that were declared since `declared` had this length."""
        for name in self.declared[mark:]:
            self.visible[name] -= 1
        del self.declared[mark:]


def _begins_operand(token: Token) -> bool:
    return token.is_keyword("nil") or token.kind in _OPERANDS
