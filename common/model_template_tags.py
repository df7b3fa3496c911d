"""What a template's texts tell about the answers of its model: tags of thoughts and tool calls."""

from collections.abc import Sequence

from common.gotemplate import nodes

# Where no text comes before a tool call, any JSON object may be one.
ANY_OBJECT = "{"


def thinking_tags(root: nodes.Block) -> tuple[str, str] | None:
    """Give what stands before and after a message's thought.

    Looks for `Thinking` of a message in a range over the messages; the tags are the first and
    the last text of the block around it, and the last such block counts.
    """
    over_messages = {id(node) for node, _ in nodes.visit(root) if _is_over_messages(node)}
    opening = closing = ""
    for node, ancestors in nodes.visit(root):
        if id(_range_of_thought(node, ancestors)) in over_messages:
            block = next(each for each in reversed(ancestors) if isinstance(each, nodes.Block))
            first, last = block.nodes[0], block.nodes[-1]
            opening = first.text if isinstance(first, nodes.Text) else opening
            closing = last.text if isinstance(last, nodes.Text) else closing
    opening, closing = opening.strip(), closing.strip()
    return (opening, closing) if opening and closing else None


def _is_over_messages(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Range) and any(
        isinstance(part, nodes.Field | nodes.Variable) and part.fields[:1] == ("Messages",)
        for part, _ in nodes.visit(node.pipe)
    )


def _range_of_thought(node: nodes.Node, ancestors: Sequence[nodes.Node]) -> nodes.Range | None:
    """Give the range whose element's `Thinking` this node is."""
    if not isinstance(node, nodes.Field | nodes.Variable) or node.fields[:1] != ("Thinking",):
        return None
    for each in reversed(ancestors):
        if isinstance(each, nodes.Range) and (
            isinstance(node, nodes.Field) or node.name in each.pipe.variables[-1:]
        ):
            return each
    return None


def tool_call_tag(root: nodes.Block) -> str:
    """Give the first text inside the first `if .ToolCalls`, up to a brace."""
    branch = _first_with_tool_calls(root)
    text = _first_text(branch.body) if branch else None
    return (text or "").partition(ANY_OBJECT)[0].strip() or ANY_OBJECT


def _first_with_tool_calls(block: nodes.Block) -> nodes.If | None:
    return next(
        (
            node
            for node, _ in nodes.visit(block)
            if isinstance(node, nodes.If) and _asks_for_tool_calls(node.pipe)
        ),
        None,
    )


def _asks_for_tool_calls(pipe: nodes.Pipe) -> bool:
    return any(
        isinstance(operand, nodes.Field | nodes.Variable) and "ToolCalls" in operand.fields
        for command in pipe.commands
        for operand in command.operands
    )


def _first_text(block: nodes.Block) -> str | None:
    """Give the first text that is not blank, unless something else is printed before it."""
    for node in block.nodes:
        match node:
            case nodes.Text(text=text) if text.strip():
                return text
            case nodes.Branch():
                blocks = (node.body, node.otherwise)
                return next(filter(None, (_first_text(each) for each in blocks if each)), None)
            case nodes.Action():
                return None
    return None
