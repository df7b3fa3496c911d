"""Running a parsed template over data, by the rules of Go's `text/template`."""

from collections.abc import Callable, Iterable
from enum import Enum

from common.gotemplate import nodes
from common.gotemplate.expressions import Expressions
from common.gotemplate.limits import MAXIMUM_DEPTH, EvaluationFailed
from common.gotemplate.printing import NO_VALUE, to_text
from common.gotemplate.quoting import quote
from common.gotemplate.values import items_in_order, valid_text
from common.gotemplate.variables import Variables


class _Jump(Enum):
    """How a block ended before its end."""

    BREAK = 0
    CONTINUE = 1


class Evaluator(Expressions):
    """One run of a template."""

    def run(self, data: object) -> str:
        """Execute the template and give what it prints.

        Raises:
            TemplateError: it does something that Go refuses, or passes a limit.
        """
        self.variables = Variables(data)
        self._output: list[str] = []
        self._depth = 0
        try:
            self._walk(data, self.trees[""])
        except EvaluationFailed as error:
            self.fail(str(error))
        return valid_text("".join(self._output))

    def _print(self, text: str) -> None:
        self.budget.take_text(text)
        self._output.append(text)

    def _walk(self, dot: object, block: nodes.Block) -> _Jump | None:
        self.budget.check_time()
        self._depth += 1
        if self._depth > MAXIMUM_DEPTH:
            self.fail("exceeded maximum template depth")
        jump = None
        for node in block.nodes:
            self.node = node
            jump = _WALKERS[type(node)](self, dot, node)
            if jump is not None:
                break
        self._depth -= 1
        return jump

    def _text(self, _: object, node: nodes.Text) -> None:
        self._print(node.text)

    def _action(self, dot: object, node: nodes.Action) -> None:
        value = self.pipeline(dot, node.pipe)
        if node.pipe.variables:
            return
        self.node = node
        self._print(NO_VALUE if value is None else to_text(value))

    def _if(self, dot: object, node: nodes.If) -> _Jump | None:
        mark = self.variables.mark()
        if self.pipeline(dot, node.pipe):
            jump = self._walk(dot, node.body)
        else:
            jump = None if node.otherwise is None else self._walk(dot, node.otherwise)
        self.variables.forget_from(mark)
        return jump

    def _with(self, dot: object, node: nodes.With) -> _Jump | None:
        mark = self.variables.mark()
        value = self.pipeline(dot, node.pipe)
        if value:
            jump = self._walk(value, node.body)
        else:
            jump = None if node.otherwise is None else self._walk(dot, node.otherwise)
        self.variables.forget_from(mark)
        return jump

    def _break(self, _: object, __: nodes.Break) -> _Jump:
        return _Jump.BREAK

    def _continue(self, _: object, __: nodes.Continue) -> _Jump:
        return _Jump.CONTINUE

    def _range(self, dot: object, node: nodes.Range) -> _Jump | None:
        mark = self.variables.mark()
        value = self.pipeline(dot, node.pipe)
        jump = None
        if not self._iterate(node, self._elements(node, value)) and node.otherwise is not None:
            jump = self._walk(dot, node.otherwise)
        self.variables.forget_from(mark)
        return None if jump is _Jump.BREAK else jump  # in `else` too, it ends this range

    def _elements(self, node: nodes.Range, value: object) -> Iterable[tuple[object, object]]:
        """Give the index or key and the element of each iteration."""
        if value is None:
            return ()
        if isinstance(value, dict):
            return items_in_order(value)
        if isinstance(value, list | tuple | bytes):
            return enumerate(value)
        if type(value) is not int:
            self.fail(f"range can't iterate over {to_text(value)}")
        if len(node.pipe.variables) > 1:
            self.fail(f"can't use {value} to iterate over more than one variable")
        return ((None, number) for number in range(value))

    def _iterate(self, node: nodes.Range, elements: Iterable[tuple[object, object]]) -> bool:
        """Walk the body once for each element; tell whether there was one."""
        variables, names = self.variables, node.pipe.variables
        mark = variables.mark()
        walked = False
        for key, element in elements:
            walked = True
            for name, value in zip(names, (key, element)[-len(names) :], strict=False):
                variables.assign(name, value)
            jump = self._walk(element, node.body)
            variables.forget_from(mark)
            if jump is _Jump.BREAK:
                break
        return walked

    def _call_template(self, dot: object, node: nodes.Call) -> None:
        tree = self.trees.get(node.name)
        if tree is None:
            self.fail(f"template {quote(node.name)} not defined")
        value = None if node.pipe is None else self.pipeline(dot, node.pipe)
        kept = self.name, self.variables
        self.name, self.variables = node.name, Variables(value)
        self._walk(value, tree)
        self.name, self.variables = kept


_WALKERS: dict[type, Callable[..., _Jump | None]] = {
    nodes.Text: Evaluator._text,
    nodes.Action: Evaluator._action,
    nodes.If: Evaluator._if,
    nodes.With: Evaluator._with,
    nodes.Range: Evaluator._range,
    nodes.Break: Evaluator._break,
    nodes.Continue: Evaluator._continue,
    nodes.Call: Evaluator._call_template,
}
