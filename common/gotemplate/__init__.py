"""Go's `text/template` in Python: a lexer, a parser and an evaluator, with Go's semantics.

Knows nothing of models or prompts. What Go's package documentation describes is here except
complex numbers and methods; what a template may use up is bounded (`limits`).
https://pkg.go.dev/text/template
"""

from common.errors import TemplateError
from common.gotemplate.template import Template

__all__ = ["Template", "TemplateError"]
