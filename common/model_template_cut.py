"""Ending a template with its response: what is behind it is the model's to write."""

from collections.abc import Mapping
from dataclasses import replace

from common.gotemplate import nodes
from common.gotemplate.limits import MAXIMUM_DEPTH


def cut_after_response(trees: Mapping[str, nodes.Block]) -> Mapping[str, nodes.Block]:
    """Give a template without what comes after its first `.Response`.

    Each branch of an `if` ends with a response of its own, and so does a template that is
    called. A response that is only asked about, as in `if .Response`, is none.
    """
    cut = _Cut(trees)
    return {**trees, "": cut.block(trees[""]), **cut.called}


class _Cut:
    def __init__(self, trees: Mapping[str, nodes.Block]) -> None:
        self._trees = trees
        self._done = False
        self.called: dict[str, nodes.Block] = {}  # templates that had to be cut, by new names
        self._names: dict[str, str] = {}  # of called templates, as they are to be called
        self._depth = 0  # of templates that call each other; one that is deeper never runs

    def block(self, block: nodes.Block) -> nodes.Block:
        kept: list[nodes.TreeNode] = []
        for node in block.nodes:
            if self._done:
                break
            kept.append(self._node(node))
        return replace(block, nodes=tuple(kept))

    def _node(self, node: nodes.TreeNode) -> nodes.TreeNode:
        match node:
            case nodes.Action():
                return replace(node, pipe=self._pipe(node.pipe))
            case nodes.If() | nodes.With() | nodes.Range():
                return self._branch(node)
            case nodes.Call():
                return self._call(node)
        return node

    def _branch(
        self, node: nodes.If | nodes.With | nodes.Range
    ) -> nodes.If | nodes.With | nodes.Range:
        body, done = self.block(node.body), self._done
        self._done = False
        otherwise = self.block(node.otherwise) if node.otherwise else None
        self._done = self._done or done
        return replace(node, body=body, otherwise=otherwise)

    def _call(self, node: nodes.Call) -> nodes.Call:
        tree = self._trees.get(node.name)
        if tree is not None and node.name not in self._names and self._depth < MAXIMUM_DEPTH:
            self._names[node.name] = node.name  # while it is cut, a call of itself stays as it is
            self._depth += 1
            body = self.block(tree)
            self._depth -= 1
            if self._done:
                name = self._names[node.name] = f"{node.name} until the response"
                self.called[name] = body
        name = self._names.get(node.name, node.name)
        self._done = name != node.name
        return replace(node, name=name)

    def _pipe(self, pipe: nodes.Pipe) -> nodes.Pipe:
        return replace(pipe, commands=tuple(map(self._command, pipe.commands)))

    def _command(self, command: nodes.Command) -> nodes.Command:
        done_before = self._done
        kept: list[nodes.Operand] = []
        for operand in command.operands:
            if self._done and not done_before:
                break
            if isinstance(operand, nodes.Pipe):
                operand = self._pipe(operand)
            self._done = self._done or (
                isinstance(operand, nodes.Field) and "Response" in operand.fields
            )
            kept.append(operand)
        return replace(command, operands=tuple(kept))
