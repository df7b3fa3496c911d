"""A template: parsed once, executed often."""

from collections.abc import Mapping
from dataclasses import dataclass

from common.gotemplate import nodes
from common.gotemplate.evaluator import Evaluator
from common.gotemplate.functions import BUILTINS, Function, ShortCircuit
from common.gotemplate.limits import Budget
from common.gotemplate.parser import parse


@dataclass(frozen=True)
class Template:
    """A parsed template: its own tree under `""`, and those that it defines under their names."""

    source: str
    trees: Mapping[str, nodes.Block]
    functions: Mapping[str, Function | ShortCircuit]

    @classmethod
    def parse(
        cls, text: str, functions: Mapping[str, Function | ShortCircuit] | None = None
    ) -> "Template":
        """Parse a template that may call Go's own functions and `functions`.

        Raises:
            TemplateError: it is wrong, or passes a limit.
        """
        known = {**BUILTINS, **(functions or {})}
        return cls(text, parse(text, known), known)

    @property
    def root(self) -> nodes.Block:
        """The template's own tree."""
        return self.trees[""]

    def execute(self, data: Mapping[str, object], budget: Budget | None = None) -> str:
        """Run the template with `data` as dot, and give what it prints.

        Runs that belong together share a budget.

        Raises:
            TemplateError: it does something that Go refuses, or passes a limit.
        """
        return Evaluator(self.source, self.trees, self.functions, budget or Budget()).run(data)
