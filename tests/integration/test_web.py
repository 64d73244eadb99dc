"""A Pool in the views of Flask, Django and FastAPI, behind the servers that people use.

The views are those of examples/frameworks. Each asks a local HTTP server for ten prices at once.
"""

import signal
from pathlib import Path

import pytest

WSGI = str(Path(__file__).parent / "serve_wsgi.py")
GUNICORN = "-m gunicorn --bind fd://FD --threads 20 --log-level warning --no-control-socket".split()
UVICORN = "-m uvicorn --fd FD --log-level warning fastapi_app:app".split()
SERVERS = {
    "Flask on werkzeug": [WSGI, "flask_app", "werkzeug", "FD"],
    "Flask on gunicorn": [*GUNICORN, "flask_app:app"],
    "Django on its own server": [WSGI, "django_app", "runserver", "FD"],
    "Django on waitress": [WSGI, "django_app", "waitress", "FD"],
    "FastAPI on uvicorn": UVICORN,
}
VIEWS = [
    *((server, "/total") for server in SERVERS),
    ("Flask on gunicorn", "/shared-total"),
    ("FastAPI on uvicorn", "/async-total"),
    ("FastAPI on uvicorn", "/blocking-total"),
]
END = {"Flask on gunicorn": signal.SIGTERM}  # the others end on Ctrl-C


@pytest.mark.parametrize(("server", "path"), VIEWS)
def test_200_requests_of_20_clients_leave_no_thread_and_no_descriptor(
    server, path, start, clients, questions
):
    def ask(items):
        status, text = program.get(f"{path}?{'&'.join(f'item={item}' for item in items)}")
        if status == 502 and "404" in text:
            return None
        assert status == 200, text
        return int(text)

    program = start(*SERVERS[server])
    # All at once: so each thread that the server keeps has been in the view, and keeps its loop.
    blocks = path == "/blocking-total"
    at_once = 1 if blocks else 20
    assert set(clients.map(ask, [[f"gate-{at_once}"]] * at_once)) == {0}
    before = program.state()

    answers = list(clients.map(ask, [items for items, _ in questions]))

    assert answers == [total for _, total in questions]
    assert program.more_than(before) == {}
    program.signal(END.get(server, signal.SIGINT))
    assert program.wait() == 0
    warned = ["RuntimeWarning: this call blocks the event loop"] if blocks else []
    complaints = program.complaints()
    assert len(complaints) == len(warned)
    assert all(said in complaint for said, complaint in zip(warned, complaints, strict=True))


@pytest.fixture
def five_wait(prices, clients, eventually):
    """Five requests whose views wait until `prices.get("/price/gate-6")`."""

    def ask(program, path):
        five = [clients.submit(program.get, f"{path}?item=4&item=gate-6") for _ in range(5)]
        eventually(lambda: prices.get("/waiting/6") == (200, "5"))
        return five

    return ask


@pytest.mark.parametrize("server", ["Flask on werkzeug", "Django on its own server"])
def test_a_server_that_leaves_its_views_alone_ends_without_a_word(server, start, prices, five_wait):
    program = start(*SERVERS[server])
    waiting = five_wait(program, "/total")
    program.signal(signal.SIGINT)
    assert program.wait() == 0
    assert all(isinstance(answer.exception(), ConnectionError) for answer in waiting)
    assert program.complaints() == []
    prices.get("/price/gate-6")


@pytest.mark.parametrize(
    ("server", "path"),
    [
        ("Flask on gunicorn", "/total"),
        ("Flask on gunicorn", "/shared-total"),
        ("FastAPI on uvicorn", "/total"),
        ("FastAPI on uvicorn", "/async-total"),
    ],
)
def test_a_server_that_waits_for_its_views_gets_their_answers(
    server, path, start, prices, five_wait
):
    program = start(*SERVERS[server])
    waiting = five_wait(program, path)
    program.signal(END.get(server, signal.SIGINT))
    prices.get("/price/gate-6")
    assert [answer.result() for answer in waiting] == [(200, "16")] * 5
    assert program.wait() == 0
    assert program.complaints() == []
