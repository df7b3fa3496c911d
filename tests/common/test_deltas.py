from common.deltas import append_delta
from protos.paddock.v1 import generation_pb2


def test_joining_loses_nothing() -> None:
    joined = generation_pb2.Delta(
        content="Why", tokens=[7], usage=generation_pb2.Usage(prompt_tokens=3)
    )
    append_delta(joined, generation_pb2.Delta(tokens=[-1]))
    later = generation_pb2.Delta(content=" not", thinking="Hm", tokens=[8, 9])
    later.logprobs.add(token=" not")
    later.tool_calls.add(name="add")
    append_delta(joined, later)
    assert (joined.content, joined.thinking) == ("Why not", "Hm")
    assert list(joined.tokens) == [7, -1, 8, 9]
    assert joined.usage.prompt_tokens == 3
    assert [it.token for it in joined.logprobs] == [" not"]
    assert [it.name for it in joined.tool_calls] == ["add"]


def test_usage_is_kept_whenever_it_comes() -> None:
    joined = generation_pb2.Delta(content="a")
    append_delta(joined, generation_pb2.Delta(usage=generation_pb2.Usage(load_duration=5)))
    assert joined.usage.load_duration == 5
