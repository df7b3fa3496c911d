"""Evaluating what stands in an action: pipelines, function calls, fields and variables."""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from itertools import zip_longest
from typing import NoReturn

from common.errors import TemplateError
from common.gotemplate import nodes
from common.gotemplate.functions import Function, ShortCircuit
from common.gotemplate.lexer import column_of
from common.gotemplate.limits import Budget, EvaluationFailed, clip
from common.gotemplate.quoting import quote
from common.gotemplate.values import Bound, Struct, element, type_name
from common.gotemplate.variables import Variables


class _Absent(Enum):
    """No value comes down the pipeline: a command's own arguments are all it has."""

    ABSENT = 0


_ABSENT = _Absent.ABSENT


class Expressions:
    """The state of one run of a template, and the values of its expressions."""

    def __init__(
        self,
        source: str,
        trees: Mapping[str, nodes.Block],
        functions: Mapping[str, Function | ShortCircuit],
        budget: Budget,
    ) -> None:
        self._source = source
        self.trees = trees
        self._functions = functions
        self.name = ""
        self.node: nodes.Node = trees[""]  # where an error is said to be
        self.variables = Variables(None)
        self.budget = budget

    def fail(self, message: str) -> NoReturn:
        """Refuse to go on, naming the node that was come to last."""
        line, column = column_of(self._source, self.node.position)
        place = f"template: :{line}:{column}: executing {quote(self.name)} at "
        raise TemplateError(f"template error: {place}<{clip(str(self.node))}>: {clip(message)}")

    def pipeline(self, dot: object, pipe: nodes.Pipe) -> object:
        """Evaluate a pipeline, and give its value to the variables that it names."""
        self.node = pipe
        value: object = _ABSENT
        for command in pipe.commands:
            value = self._command(dot, command, value)
        for name in pipe.variables:
            if not pipe.assigns:
                self.variables.declare(name, value)
            elif not self.variables.assign(name, value):
                self.fail(f"undefined variable: {name}")
        return value

    def _command(self, dot: object, command: nodes.Command, last: object) -> object:
        first, arguments = command.operands[0], command.operands[1:]
        if isinstance(first, nodes.Identifier):
            self.node = first
            return self._call(dot, first.name, command, arguments, last)
        if not isinstance(first, nodes.Pipe):
            self.node = first
        if arguments or last is not _ABSENT:
            self._refuse_arguments(first)
        if isinstance(first, nodes.Nil):
            self.fail("nil is not a command")
        return _OPERANDS[type(first)](self, dot, first)

    def _refuse_arguments(self, first: nodes.Operand) -> NoReturn:
        if isinstance(first, nodes.Field | nodes.Variable | nodes.Chain) and first.fields:
            self.fail(f"{first.fields[-1]} is not a method but has arguments")
        self.fail(f"can't give argument to non-function {first}")

    def _call(
        self,
        dot: object,
        name: str,
        node: nodes.Node,
        arguments: Sequence[nodes.Operand],
        last: object,
    ) -> object:
        function = self._functions[name]
        count = len(arguments) + (last is not _ABSENT)
        if count < function.wanted or (count > function.wanted and not function.more):
            self._refuse_count(function, name, len(arguments), count)
        if isinstance(function, ShortCircuit):
            return self._short_circuit(dot, function.stops_at, arguments, last)
        values: list[object] = []
        for argument in arguments:
            self.node = argument
            values.append(_OPERANDS[type(argument)](self, dot, argument))
        if last is not _ABSENT:
            values.append(last)
        if function.strings:
            self._check_strings(arguments, values[: function.strings])
        try:
            result = function.call(*values)
        except EvaluationFailed as error:
            self.node = node
            self.fail(f"error calling {name}: {error}")
        self.budget.check_time()
        self.budget.take_value(result)
        return result

    def _refuse_count(
        self, function: Function | ShortCircuit, name: str, given: int, count: int
    ) -> NoReturn:
        wanted = f"at least {function.wanted}" if function.more else str(function.wanted)
        shown = given if function.more else count
        self.fail(f"wrong number of args for {name}: want {wanted} got {shown}")

    def _check_strings(self, arguments: Sequence[nodes.Operand], values: list[object]) -> None:
        for argument, value in zip_longest(arguments[: len(values)], values):
            if isinstance(value, str):
                continue
            self.node = argument or self.node
            match argument:
                case nodes.Nil():
                    self.fail("cannot assign nil to string")
                case nodes.Literal() | nodes.Number():
                    self.fail(f"expected string; found {argument}")
                case nodes.Field() if value is None:
                    self.fail("wrong type for value; expected string; got interface {}")
            if value is None:
                self.fail("invalid value; expected string")
            self.fail(f"wrong type for value; expected string; got {type_name(value)}")

    def _short_circuit(
        self, dot: object, stops_at: bool, arguments: Sequence[nodes.Operand], last: object
    ) -> object:
        value: object = None
        for argument in arguments:
            self.node = argument
            value = _OPERANDS[type(argument)](self, dot, argument)
            if bool(value) is stops_at:
                return value
        return value if last is _ABSENT else last

    # ---- operands

    def _dot(self, dot: object, _: nodes.Dot) -> object:
        return dot

    def _nil(self, _: object, __: nodes.Nil) -> None:
        return None

    def _literal(self, _: object, node: nodes.Literal) -> str | bool:
        return node.value

    def _number(self, _: object, node: nodes.Number) -> int | float:
        if node.value is None:
            self.node = node
            self.fail(f"{node.written} overflows int")
        return node.value

    def _identifier(self, dot: object, node: nodes.Identifier) -> object:
        return self._call(dot, node.name, node, (), _ABSENT)

    def _field(self, dot: object, node: nodes.Field) -> object:
        self.node = node
        return self._fields(dot, node.fields)

    def _variable(self, _: object, node: nodes.Variable) -> object:
        self.node = node
        try:
            value = self.variables.get(node.name)
        except LookupError:
            self.fail(f"undefined variable: {node.name}")
        return self._fields(value, node.fields) if node.fields else value

    def _chain(self, dot: object, node: nodes.Chain) -> object:
        self.node = node
        if isinstance(node.operand, nodes.Nil):
            self.fail(f"indirection through explicit nil in {node}")
        self.node = node.operand
        value = _OPERANDS[type(node.operand)](self, dot, node.operand)
        return self._fields(value, node.fields)

    def _fields(self, value: object, names: tuple[str, ...]) -> object:
        if value is None:  # what a pipeline gave that has no value: its fields have none either
            return None
        within = ""
        for name in names:
            if value is None:
                self.fail(f"nil pointer evaluating interface {{}}.{name}")
            if isinstance(value, Struct) and name in value.fields:
                value, within = value.fields[name], ""
            elif isinstance(value, dict):
                within = "" if isinstance(value, Bound) else "interface {}"
                value = element(value, name)
            else:
                self.fail(f"can't evaluate field {name} in type {within or type_name(value)}")
        return value


_OPERANDS: dict[type, Callable[..., object]] = {
    nodes.Dot: Expressions._dot,
    nodes.Nil: Expressions._nil,
    nodes.Literal: Expressions._literal,
    nodes.Number: Expressions._number,
    nodes.Identifier: Expressions._identifier,
    nodes.Field: Expressions._field,
    nodes.Variable: Expressions._variable,
    nodes.Chain: Expressions._chain,
    nodes.Pipe: Expressions.pipeline,
}
