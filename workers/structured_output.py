"""Formats of answers that another engine began: what vLLM's core lacks for them.

A grammar has to have accepted what was generated, before it constrains what comes next; but
the core takes that for a part of the prompt. It comes in the request's extra arguments.
(vLLM 0.32: `vllm.v1.structured_output`.)
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import vllm.v1.engine.core
from vllm.v1.structured_output import StructuredOutputManager

if TYPE_CHECKING:
    from vllm.v1.request import Request
    from vllm.v1.structured_output.backend_types import StructuredOutputGrammar

_EXTRA_ARGUMENT = "paddock_accepted"


def accepted_arguments(generated: Sequence[int]) -> dict[str, Any]:
    """Give the extra argument for an answer of which these tokens are known."""
    return {_EXTRA_ARGUMENT: list(generated)}


class ContinuingManager(StructuredOutputManager):
    """Compiles grammars, and lets them accept what was generated before."""

    def _create_grammar(self, request: "Request") -> "StructuredOutputGrammar":
        grammar = super()._create_grammar(request)
        assert request.sampling_params is not None
        generated = (request.sampling_params.extra_args or {}).get(_EXTRA_ARGUMENT)
        if generated and not grammar.accept_tokens(request.request_id, generated):
            raise ValueError("the format does not allow what was generated of the answer")
        return grammar


def use_continuing_manager() -> None:
    """Let engine cores in this process, and in its forks, have that manager."""
    vllm.v1.engine.core.StructuredOutputManager = ContinuingManager  # type: ignore[attr-defined]
