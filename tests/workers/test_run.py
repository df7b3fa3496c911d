from pathlib import Path

from common.durations import SECOND
from protos.paddock.v1 import generation_pb2
from tests.workers.fakes import FakeFactory
from tests.workers.harness import Worker, completion, model, running_worker


async def test_one_sequence(worker: Worker) -> None:
    answer = await worker.ask(model(), completion("abc", num_predict=7))
    assert answer.text == "abcabca"
    assert answer.completed
    assert answer.completed.reason == generation_pb2.FINISH_REASON_LENGTH
    usage = answer.completed.usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (3, 7)
    assert (usage.prompt_duration, usage.completion_duration) == (1, 2)
    assert usage.total_duration >= usage.load_duration > 0


async def test_a_stop_string(worker: Worker) -> None:
    answer = await worker.ask(model(), completion("abcd", stop=["cd"]))
    assert answer.text == "ab"
    assert answer.completed
    assert answer.completed.reason == generation_pb2.FINISH_REASON_STOP


async def test_a_chat_goes_through_the_template(worker: Worker) -> None:
    chat = generation_pb2.Chat(messages=[generation_pb2.Message(role="user", content="Hi")])
    generation = generation_pb2.Generation(chat=chat)
    generation.options.num_predict = 9
    answer = await worker.ask(model(), generation)
    assert answer.text == "user: Hi\n"
    assert answer.completed
    assert not answer.completed.context


async def test_context_of_a_completion(worker: Worker) -> None:
    generation = completion("Hi", raw=False, num_predict=2)
    answer = await worker.ask(model(), generation)
    assert answer.completed
    context = "".join(map(chr, answer.completed.context))
    assert context == "user: Hi\nassistant: us"
    generation.completion.context.extend(answer.completed.context)
    answer = await worker.ask(model(), generation)
    assert answer.completed
    assert "".join(map(chr, answer.completed.context)).startswith(context + "user: Hi\n")


async def test_a_raw_completion_has_no_context(worker: Worker) -> None:
    answer = await worker.ask(model(), completion("Hi", num_predict=2))
    assert answer.completed
    assert not answer.completed.context


async def test_a_request_that_is_wrong(worker: Worker) -> None:
    answer = await worker.ask(model(), completion("abc", temperature=9))
    assert answer.failure
    assert (answer.failure.reason, answer.failure.message) == ("InvalidRequest", "too hot")


async def test_a_prompt_that_is_too_long(worker: Worker) -> None:
    generation = completion("a" * 1000)
    generation.truncate = False
    answer = await worker.ask(model(), generation)
    assert answer.failure
    assert "longer than the context length" in answer.failure.message


THINKS = "{{ range .Messages }}{{ .Content }}<think>{{ .Thinking }}</think>{{ end }}"


async def test_thoughts_come_apart(worker: Worker) -> None:
    generation = completion("<think>ab</think>cd", num_predict=19)
    generation.template = THINKS
    answer = await worker.ask(model("a", "", "completion", "thinking"), generation)
    assert (answer.thinking, answer.text) == ("ab", "cd")
    assert answer.completed
    assert answer.completed.usage.completion_tokens == 19


async def test_a_format_after_a_thought(worker: Worker) -> None:
    generation = completion("<think>ab</think>{}", num_predict=19)
    generation.template = THINKS
    generation.format.json = True
    answer = await worker.ask(model("a", "", "completion", "thinking"), generation)
    assert (answer.thinking, answer.text) == ("ab", "<t")
    assert answer.completed
    usage = answer.completed.usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (19, 19)
    assert (usage.prompt_duration, usage.completion_duration) == (1, 2 + 1 + 2)


async def test_an_answer_that_is_longer_than_the_window(worker: Worker) -> None:
    generation = completion("abc", num_predict=100, num_ctx=40)
    answer = await worker.ask(model(), generation)
    assert len(answer.text) == 100
    generation.shift = False
    answer = await worker.ask(model(), generation)
    assert answer.text == ("abc" * 13)[:37]
    assert answer.completed
    assert answer.completed.reason == generation_pb2.FINISH_REASON_LENGTH


async def test_cancelling_after_a_shift_frees_the_engine(tmp_path: Path) -> None:
    async with running_worker(tmp_path, FakeFactory(pace=0.002)) as worker:
        router = worker.router()
        router.start(1, model(), completion("abc", num_ctx=16))
        while len(router.answers[1].text) < 50:
            await router.read()
        router.cancel(1)
        await worker.until(lambda status: not status.models[0].running)
        assert worker.factory.engines[0].running == 0
        router.hang_up()


async def test_many_sequences_on_one_stream(worker: Worker) -> None:
    router = worker.router()
    for number in range(100):
        router.start(number, model(), completion(f"<{number}>", num_predict=20))
    await router.finish()
    for number, answer in router.answers.items():
        assert answer.text == (f"<{number}>" * 20)[:20]
    router.hang_up()


async def test_a_step_of_all_sequences_is_one_message(tmp_path: Path) -> None:
    async with running_worker(tmp_path, FakeFactory(pace=0.01)) as worker:
        router = worker.router()
        for number in range(50):
            router.start(number, model(), completion("abc", num_predict=20))
        await router.finish()
        assert router.messages < 3 * 20
        router.hang_up()


async def test_streams_of_two_routers_are_apart(worker: Worker) -> None:
    one, two = worker.router(), worker.router()
    one.start(1, model(), completion("abc", num_predict=6))
    two.start(1, model(), completion("xyz", num_predict=6))
    assert [answer.text for answer in await one.finish()] == ["abcabc"]
    assert [answer.text for answer in await two.finish()] == ["xyzxyz"]
    one.hang_up()
    two.hang_up()


async def test_cancel_frees_the_engine_and_leaves_the_others(tmp_path: Path) -> None:
    async with running_worker(tmp_path, FakeFactory(pace=0.01)) as worker:
        router = worker.router()
        router.start(1, model(), completion("abc"))
        router.start(2, model(), completion("xyz", num_predict=50))
        await router.read()
        router.cancel(1)
        [answer] = await router.finish(2)
        assert len(answer.text) == 50
        assert worker.factory.engines[0].running == 0
        assert not router.answers[1].completed
        router.hang_up()


async def test_the_end_of_the_call_cancels_everything(tmp_path: Path) -> None:
    async with running_worker(tmp_path, FakeFactory(pace=0.01)) as worker:
        router = worker.router()
        for number in range(5):
            router.start(number, model(), completion("abc"))
        await router.read()
        router.hang_up()
        status = await worker.until(lambda status: not status.models[0].running)
        assert worker.factory.engines[0].running == 0
        assert status.models[0].HasField("expires_at")


async def test_commands_may_end_before_the_answers(worker: Worker) -> None:
    router = worker.router()
    router.start(1, model(), completion("abc", num_predict=30))
    router.end()
    assert len((await router.finish())[0].text) == 30
    assert not await router.read()


async def test_a_slow_reader_gets_fewer_messages_and_holds_up_nobody(tmp_path: Path) -> None:
    steps = 2_500
    factory = FakeFactory(context_length=10_000_000, letters=999)
    async with running_worker(tmp_path, factory) as worker:
        slow, quick = worker.router(), worker.router()
        slow.start(1, model(), completion("abc", num_predict=999 * steps))
        quick.start(1, model(), completion("xyz", num_predict=999 * 1000))
        await quick.finish()
        await worker.until(lambda status: not status.models[0].running)
        [answer] = await slow.finish()
        assert answer.text == "abc" * 333 * steps
        assert slow.messages < 0.9 * steps  # gRPC itself holds some megabytes
        slow.hang_up()
        quick.hang_up()


async def test_an_engine_that_dies(tmp_path: Path) -> None:
    async with running_worker(tmp_path, FakeFactory(pace=0.01)) as worker:
        router = worker.router()
        router.start(1, model(), completion("abc"))
        await router.read()
        worker.factory.engines[0].kill()
        [answer] = await router.finish()
        assert answer.failure
        assert answer.failure.reason == "WorkerLost"
        again = await worker.ask(model(), completion("abc", num_predict=3))
        assert again.text == "abc"
        assert len(worker.factory.engines) == 2
        router.hang_up()


async def test_keep_alive_of_a_sequence(worker: Worker) -> None:
    await worker.ask(model(), completion("abc", num_predict=3), keep_alive=SECOND // 10)
    await worker.until(lambda status: not status.models)
    assert worker.factory.engines[0].closed
