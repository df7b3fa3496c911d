"""From tokens to a tree, by the grammar of Go's `text/template`; the messages are Go's too."""

from collections import Counter
from collections.abc import Container, Mapping

from common.errors import TemplateError
from common.gotemplate import nodes
from common.gotemplate.lexer import Kind, Token
from common.gotemplate.limits import MAXIMUM_SOURCE
from common.gotemplate.pipelines import STRINGS, PipelineParser
from common.gotemplate.quoting import quote


def parse(source: str, functions: Container[str]) -> Mapping[str, nodes.Block]:
    """Parse a template: under `""` the template itself, under other names those it defines.

    Raises:
        TemplateError: it is wrong, or passes a limit.
    """
    if len(source) > MAXIMUM_SOURCE:
        raise TemplateError(
            f"template error: the template is longer than {MAXIMUM_SOURCE} characters"
        )
    return _Parser(source, functions).parse()


class _Parser(PipelineParser):
    def __init__(self, source: str, functions: Container[str]) -> None:
        super().__init__(source, functions)
        self._trees: dict[str, nodes.Block] = {}
        self._ranges = 0

    def parse(self) -> Mapping[str, nodes.Block]:
        start = self.peek().position
        found: list[nodes.TreeNode] = []
        while self.peek().kind is not Kind.EOF:
            if self.peek().kind is Kind.LEFT_DELIMITER:
                delimiter = self.next()
                if self.peek_word().is_keyword("define"):
                    self.next()
                    self._definition()
                    continue
                self.push(delimiter)
            node = self._text_or_action()
            if isinstance(node, str):
                self.fail(f"unexpected {node}")
            found.append(node)
        self._add("", nodes.Block(start, tuple(found)))
        return self._trees

    def _add(self, name: str, tree: nodes.Block) -> None:
        known = self._trees.get(name)
        if known is None or nodes.is_empty(known):
            self._trees[name] = tree
        elif not nodes.is_empty(tree):
            self.fail(f"template: multiple definition of template {quote(name)}")

    def _definition(self) -> None:
        context = "define clause"
        name = self.unquoted(self.expect(STRINGS, context))
        self.expect((Kind.RIGHT_DELIMITER,), context)
        self._separate_template(name, context)

    def _separate_template(self, name: str, context: str) -> None:
        """Read the body of a template, which sees no variables but `$`, up to its end."""
        kept = self.declared, self.visible, self._ranges
        self.declared, self.visible, self._ranges = ["$"], Counter(["$"]), 0
        body, ending = self._block()
        if ending != "{{end}}":
            self.fail(f"unexpected {ending} in {context}")
        self.declared, self.visible, self._ranges = kept
        self._add(name, body)

    def _block(self) -> tuple[nodes.Block, str]:
        """Read nodes up to an `{{end}}` or `{{else}}`, and tell which it was."""
        start = self.peek_word().position
        found: list[nodes.TreeNode] = []
        with self.deeper():
            while not isinstance(node := self._text_or_action(), str):
                found.append(node)
        return nodes.Block(start, tuple(found)), node

    def _text_or_action(self) -> nodes.TreeNode | str:
        token = self.next_word()
        if token.kind is Kind.EOF:
            self.fail("unexpected EOF")
        if token.kind is Kind.TEXT:
            return nodes.Text(token.position, token.text)
        if token.kind is not Kind.LEFT_DELIMITER:
            self.unexpected(token, "input")
        self.action_line = token.line
        action = self._action()
        self.action_line = 0
        return action

    def _action(self) -> nodes.TreeNode | str:
        token = self.next_word()
        match token.text if token.kind is Kind.KEYWORD else "":
            case "if":
                return nodes.If(*self._control("if"))
            case "range":
                return nodes.Range(*self._control("range"))
            case "with":
                return nodes.With(*self._control("with"))
            case "else":
                return self._else()
            case "end":
                self.expect((Kind.RIGHT_DELIMITER,), "end")
                return "{{end}}"
            case "break" | "continue":
                return self._jump(token)
            case "template":
                return self._call()
            case "block":
                return self._block_call()
        self.push(token)
        return nodes.Action(token.position, self.pipeline("command", Kind.RIGHT_DELIMITER))

    def _control(self, keyword: str) -> tuple[int, nodes.Pipe, nodes.Block, nodes.Block | None]:
        mark = len(self.declared)
        pipe = self.pipeline(keyword, Kind.RIGHT_DELIMITER)
        self._ranges += keyword == "range"
        body, ending = self._block()
        self._ranges -= keyword == "range"
        otherwise = self._otherwise(keyword) if ending == "{{else}}" else None
        self.forget_from(mark)
        return pipe.position, pipe, body, otherwise

    def _otherwise(self, keyword: str) -> nodes.Block:
        """Read what follows `{{else}}`: a block, or for `else if` the next branch."""
        token = self.peek_word()
        if keyword in ("if", "with") and token.is_keyword(keyword):
            self.next_word()
            with self.deeper():
                branch = nodes.If if keyword == "if" else nodes.With
                return nodes.Block(token.position, (branch(*self._control(keyword)),))
        body, ending = self._block()
        if ending != "{{end}}":
            self.fail(f"expected end; found {ending}")
        return body

    def _else(self) -> str:
        if not self.peek_word().is_keyword("if", "with"):
            self.expect((Kind.RIGHT_DELIMITER,), "else")
        return "{{else}}"

    def _jump(self, token: Token) -> nodes.Break | nodes.Continue:
        shown = f"{{{{{token.text}}}}}"
        self.expect((Kind.RIGHT_DELIMITER,), shown)
        if not self._ranges:
            self.fail(f"{shown} outside {{{{range}}}}")
        kind = nodes.Break if token.text == "break" else nodes.Continue
        return kind(token.position)

    def _call(self) -> nodes.Call:
        context = "template clause"
        token = self.expect(STRINGS, context)
        name = self.unquoted(token)
        if self.peek_word().kind is Kind.RIGHT_DELIMITER:
            self.next_word()
            return nodes.Call(token.position, name, None)
        return nodes.Call(token.position, name, self.pipeline(context, Kind.RIGHT_DELIMITER))

    def _block_call(self) -> nodes.Call:
        context = "block clause"
        token = self.expect(STRINGS, context)
        name = self.unquoted(token)
        pipe = self.pipeline(context, Kind.RIGHT_DELIMITER)
        self._separate_template(name, context)
        return nodes.Call(token.position, name, pipe)
