"""Commands of a session, beginning with a slash."""

from pathlib import Path

from tests.cli.chat.fake_ollama import FakeOllama, fake_ollama
from tests.cli.chat.talk import talk

YES = ("assistant", "Yes.")


def test_variables(fake: FakeOllama, tmp_path: Path) -> None:
    with talk(fake.url, tmp_path, "--keepalive", "7m") as session:
        for text, said in (
            ("/set parameter temperature 0.5", "Set parameter 'temperature' to '0.5'"),
            ("/set parameter stop a b", "Set parameter 'stop' to 'a, b'"),
            ("/set parameter top_k 5 6", "Set parameter 'top_k' to '5'"),
            ("/set parameter seed x", 'Couldn\'t set parameter: "invalid int value [x]"'),
            ("/set format json", "Set format to 'json' mode."),
            (
                "/set format xml",
                "Invalid or missing format. For 'json' mode use '/set format json'",
            ),
            ("/set verbose", "Set 'verbose' mode."),
            ("/set nowordwrap", "Set 'nowordwrap' mode."),
            ("/set nonsense", "Unknown command '/set nonsense'. Type /? for help"),
            ("/nonsense", "Unknown command '/nonsense'. Type /? for help"),
            (
                "/set think",
                "warning: model \"fake\" does not support thinking output\nSet 'think' mode.",
            ),
        ):
            assert session.say(text) == said
        assert "eval rate:            20.00 tokens/s" in session.say("Hello")
        assert session.say("/set quiet") == "Set 'quiet' mode."
        assert session.say("/set noformat") == "Disabled format."
        assert session.say("Hello") == "Yes."
        session.leave()
    first, second = fake.bodies("/api/chat")
    assert first["options"] == {"temperature": 0.5, "stop": ["a", "b"], "top_k": 5}
    assert (first["format"], first["think"], first["keep_alive"]) == ("json", True, "7m")
    assert "format" not in second
    assert fake.bodies("/api/generate")[0]["keep_alive"] == "7m"


def test_help(fake: FakeOllama, tmp_path: Path) -> None:
    with talk(fake.url, tmp_path) as session:
        assert "/load <model>   Load a session or model" in session.say("/?")
        assert "/set parameter ...     Set a parameter" in session.say("/? set")
        assert "/show info         Show details" in session.say("/help /show")
        assert "Ctrl + c            Stop the model" in session.say("/? shortcuts")
        assert "/set system <string>" in session.say("/set")
        assert "/show template" in session.say("/show")
        assert "top_k <int>" in session.say("/set parameter")
        assert session.say("/load") == "Usage:\n  /load <modelname>"
        assert session.say("/save") == "Usage:\n  /save <modelname>"
        session.leave()
    assert fake.chats() == []


def test_show(tmp_path: Path) -> None:
    shown = {
        "parameters": 'stop "x"',
        "system": "Be kind.",
        "license": "MIT",
        "modelfile": "FROM x",
    }
    with fake_ollama(**shown) as fake, talk(fake.url, tmp_path) as session:
        session.say("/set parameter top_k 5")
        assert "Capabilities\n    completion" in session.say("/show info")
        assert session.say("/show license") == "MIT"
        assert session.say("/show template") == "No prompt template was specified for this model."
        assert session.say("/show system") == "Be kind."
        session.say('/set system """Be\rbrief."""')
        assert session.say("/show system") == "Be\nbrief."
        assert session.say("/show modelfile") == "FROM x"
        assert session.say("/show parameters").splitlines() == [
            "Model defined parameters:",
            '  stop "x"',
            "",
            "User defined parameters:",
            "  top_k                          5",
        ]
        assert session.say('/set system """"""') == "Set system message."
        assert session.say("/show system") == "Be kind."
        assert session.say("/show it") == "Unknown command '/show it'. Type /? for help"
        session.leave()
    described = [body for body in fake.bodies("/api/show") if "system" in body]
    assert [(body["system"], body["options"]) for body in described] == [
        ("Be\nbrief.", {"top_k": 5})
    ]


def test_save_and_load(fake: FakeOllama, tmp_path: Path) -> None:
    earlier = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
    fake.models["earlier"] = {"capabilities": ["completion"], "messages": earlier}
    with talk(fake.url, tmp_path) as session:
        session.say("/set parameter seed 1")
        session.say("Hello")
        assert (
            session.say("/load nothing") == "Loading model 'nothing'\nCouldn't find model 'nothing'"
        )
        fake.refusal = (500, "too large")
        assert session.say("/load earlier").endswith("Error: too large")
        session.say("Still there?")
        assert session.say("/load earlier").endswith(">>> Hi\nHo")
        session.say("And you?")
        session.say("/set system Be brief.")
        assert session.say("/save later") == "Created new model 'later'"
        session.leave()
    assert fake.chats()[1][:2] == [("user", "Hello"), YES]
    assert fake.chats()[2] == [("user", "And you?")]
    assert fake.bodies("/api/create") == [
        {
            "model": "later",
            "from": "earlier",
            "system": "Be brief.",
            "parameters": {"seed": 1},
            "messages": [
                *earlier,
                *[{"role": r, "content": c} for r, c in [("user", "And you?"), YES]],
            ],
            "stream": True,
        }
    ]
