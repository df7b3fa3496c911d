"""The tree of a parsed template: Go's node types, each of which prints as it was written.

TreeNode: Text Action If Range With Break Continue Call, in a Block
Pipe      a pipeline of Commands, which may declare or assign variables
Operand   Field Variable Chain Identifier Dot Nil Literal Number, or a Pipe in parentheses
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from common.gotemplate.quoting import quote


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a template, and its position in characters."""

    position: int


@dataclass(frozen=True, slots=True)
class Field(Node):
    """`.A.B`: a field of dot, and fields of that."""

    fields: tuple[str, ...]

    def __str__(self) -> str:
        return "".join(f".{name}" for name in self.fields)


@dataclass(frozen=True, slots=True)
class Variable(Node):
    """`$x.A.B`: a variable, whose name begins with the dollar sign, and fields of it."""

    name: str
    fields: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join((self.name, *self.fields))


@dataclass(frozen=True, slots=True)
class Dot(Node):
    """`.`: the current value."""

    def __str__(self) -> str:
        return "."


@dataclass(frozen=True, slots=True)
class Nil(Node):
    """`nil`."""

    def __str__(self) -> str:
        return "nil"


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A string or a truth value, and how it was written."""

    value: str | bool
    written: str

    def __str__(self) -> str:
        return self.written


@dataclass(frozen=True, slots=True)
class Number(Node):
    """An integer, a character or a floating-point number; None: too large for an int."""

    value: int | float | None
    written: str

    def __str__(self) -> str:
        return self.written


@dataclass(frozen=True, slots=True)
class Identifier(Node):
    """The name of a function."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Chain(Node):
    """`(pipeline).A.B`: fields of something that is neither dot nor a variable."""

    operand: "Operand"
    fields: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join((_in_parentheses(self.operand), *self.fields))


@dataclass(frozen=True, slots=True)
class Command(Node):
    """A value, or a function and its arguments."""

    operands: tuple["Operand", ...]

    def __str__(self) -> str:
        return " ".join(map(_in_parentheses, self.operands))


@dataclass(frozen=True, slots=True)
class Pipe(Node):
    """Commands, each the last argument of the next, and the variables that take the result."""

    variables: tuple[str, ...]
    assigns: bool  # to variables that exist, where others are declared
    commands: tuple[Command, ...]

    def __str__(self) -> str:
        commands = " | ".join(map(str, self.commands))
        if not self.variables:
            return commands
        return f"{', '.join(self.variables)} {'=' if self.assigns else ':='} {commands}"


Operand = Field | Variable | Dot | Nil | Literal | Number | Identifier | Chain | Pipe


def _in_parentheses(operand: Operand) -> str:
    return f"({operand})" if isinstance(operand, Pipe) else str(operand)


@dataclass(frozen=True, slots=True)
class Text(Node):
    """Text that is printed as it is."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Action(Node):
    """A pipeline whose result is printed, unless it goes into variables."""

    pipe: Pipe

    def __str__(self) -> str:
        return f"{{{{{self.pipe}}}}}"


@dataclass(frozen=True, slots=True)
class Block(Node):
    """A sequence of nodes."""

    nodes: tuple["TreeNode", ...]

    def __str__(self) -> str:
        return "".join(map(str, self.nodes))


@dataclass(frozen=True, slots=True)
class Branch(Node):
    """What `if`, `range` and `with` have in common."""

    pipe: Pipe
    body: Block
    otherwise: Block | None

    def __str__(self) -> str:
        rest = "" if self.otherwise is None else f"{{{{else}}}}{self.otherwise}"
        return f"{{{{{type(self).__name__.lower()} {self.pipe}}}}}{self.body}{rest}{{{{end}}}}"


@dataclass(frozen=True, slots=True)
class If(Branch):
    """`if`: the body where the value is true."""


@dataclass(frozen=True, slots=True)
class Range(Branch):
    """`range`: the body once for each element."""


@dataclass(frozen=True, slots=True)
class With(Branch):
    """`with`: the body with the value as dot, where it is true."""


@dataclass(frozen=True, slots=True)
class Break(Node):
    """`break`."""

    def __str__(self) -> str:
        return "{{break}}"


@dataclass(frozen=True, slots=True)
class Continue(Node):
    """`continue`."""

    def __str__(self) -> str:
        return "{{continue}}"


@dataclass(frozen=True, slots=True)
class Call(Node):
    """`template`: another template's text, with the pipeline's value as dot."""

    name: str
    pipe: Pipe | None

    def __str__(self) -> str:
        return f"{{{{template {quote(self.name)}{'' if self.pipe is None else f' {self.pipe}'}}}}}"


TreeNode = Text | Action | If | Range | With | Break | Continue | Call


def is_empty(node: Block | TreeNode) -> bool:
    """Tell whether a tree holds nothing but white space."""
    if isinstance(node, Block):
        return all(map(is_empty, node.nodes))
    return isinstance(node, Text) and not node.text.strip()


def children(node: Node) -> Sequence[Node]:
    """Give the parts of a node, in the order in which they stand."""
    match node:
        case Block(nodes=parts) | Pipe(commands=parts) | Command(operands=parts):
            return parts
        case Branch():
            otherwise = () if node.otherwise is None else (node.otherwise,)
            return (node.pipe, node.body, *otherwise)
        case Action(pipe=pipe) | Call(pipe=Pipe() as pipe):
            return (pipe,)
        case Chain():
            return (node.operand,)
    return ()


def visit(node: Node, ancestors: tuple[Node, ...] = ()) -> Iterator[tuple[Node, tuple[Node, ...]]]:
    """Give a node and everything in it, each with what it lies in, the outermost first."""
    yield node, ancestors
    within = (*ancestors, node)
    for child in children(node):
        yield from visit(child, within)
