"""A model's prompt template: Ollama's use of Go templates, and what one tells about a model.

Shape and heuristics follow Ollama's `template`, `thinking` and `tools` packages.
"""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from common.errors import TemplateError
from common.gotemplate import Template, nodes
from common.model_template_cut import cut_after_response
from common.model_template_functions import FUNCTIONS
from common.model_template_tags import thinking_tags, tool_call_tag

# A parsed template takes up to eighty times the memory of its text: what is kept is bounded
# by count and by length. No template in use is longer.
_KEPT = 32
_LONGEST_KEPT = 32 * 1024


@dataclass(frozen=True, eq=False)
class ModelTemplate:
    """A parsed prompt template."""

    template: Template

    @classmethod
    def parse(cls, text: str) -> "ModelTemplate":
        """Parse a template; where it prints neither messages nor a response, one is appended.

        Raises:
            TemplateError: it is wrong, or passes a limit.
        """
        return _parse_kept(text) if len(text) <= _LONGEST_KEPT else _parse(text)

    def uses(self, name: str) -> bool:
        """Tell whether a field of this name is used, whatever its case and whatever it is of."""
        return name.lower() in self._names

    @property
    def capabilities(self) -> frozenset[str]:
        """What the template lets its model do, of `tools`, `insert` and `thinking`."""
        found = {
            "tools": self.uses("tools"),
            "insert": self.uses("suffix"),
            "thinking": self.thinking_tags is not None,
        }
        return frozenset(name for name, can in found.items() if can)

    @cached_property
    def thinking_tags(self) -> tuple[str, str] | None:
        """The texts that stand around a thought."""
        return thinking_tags(self.template.root)

    @cached_property
    def tool_call_tag(self) -> str | None:
        """The text that a tool call begins with, `{` at least; None: there are no tools."""
        return tool_call_tag(self.template.root) if self.uses("tools") else None

    @cached_property
    def until_response(self) -> Template:
        """The template for the turn that the model is to complete: it ends with the response."""
        return replace(self.template, trees=cut_after_response(self.template.trees))

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(
            field.lower()
            for tree in self.template.trees.values()
            for node, _ in nodes.visit(tree)
            if isinstance(node, nodes.Field | nodes.Variable | nodes.Chain)
            for field in node.fields
        )


def _parse(text: str) -> ModelTemplate:
    parsed = ModelTemplate(Template.parse(text, FUNCTIONS))
    if parsed.uses("messages") or parsed.uses("response"):
        return parsed
    return ModelTemplate(_with_response(parsed.template))


_parse_kept = lru_cache(_KEPT)(_parse)


def _with_response(template: Template) -> Template:
    end = len(template.source)
    command = nodes.Command(end, (nodes.Field(end, ("Response",)),))
    action = nodes.Action(end, nodes.Pipe(end, (), False, (command,)))
    root = nodes.Block(template.root.position, (*template.root.nodes, action))
    return replace(template, trees={**template.trees, "": root})


__all__ = ["ModelTemplate", "TemplateError"]
