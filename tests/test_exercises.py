"""Exercises that check themselves: what a learner gets for every kind of answer."""

import gc
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import teams_lib.exercises as package
from teams_lib.exercises import Result, _learner, _registry, _runner, _store, check, exercise, hint, nb07, solution

import nbclient
import nbformat
import pytest

# Its own module, as in the course: the runner tells the learner's code from the check's by their globals.
SAMPLES = '''
"""Samples."""

import threading

import teams_lib  # before grpc
import grpc

from teams_lib.exercises import called, clean_up, exercise, expect_equal

CLEANED = []


@exercise("90.1", title="Double it", stub="""
          def double(x):
              ...
          """, solution="""
          def double(x):
              return 2 * x
          """, why="Two times x.", hints=("Look at `*`.", "2 * x"))
def _(answer):
    clean_up(lambda: CLEANED.append("90.1"))
    expect_equal(call="double(21)", expected=42, got=called(answer, 21))


@exercise("90.2", title="A class", stub="""
          class Greeter:
              def greet(self):
                  ...
          """, solution="class Greeter:\\n    def greet(self):\\n        return 'hi'", why="It greets.", hints=("hi",))
def _(answer):
    expect_equal(call="Greeter().greet()", expected="hi", got=called(answer).greet())


@exercise("90.3", title="A value", stub="kind = ...  # its name", solution="kind = 'unary'", why="One.", hints=("u",))
def _(answer):
    expect_equal(call="kind", expected="unary", got=answer)


@exercise("90.4", title="Two parts", stub="""
          names = ["Seattle", "x"]

          def first():
              return names[-1]
          """, solution="names = ['Seattle']\\n\\ndef first():\\n    return names[-1]", why="One.", hints=("x",))
def _(answer):
    expect_equal(call="first()", expected="Seattle", got=called(answer))


@exercise("90.5", title="Our mistake", stub="x = ...", solution="x = 1", why="-", hints=("-",))
def _(answer):
    {}["ours"]


@exercise("90.6", title="Waiting", stub="def wait(gate): ...", solution="wait = bool", why="-", hints=("-",))
def _(answer):
    gate = threading.Event()
    clean_up(gate.set)
    called(answer, gate)


@exercise("90.7", title="Threads", stub="def go(): ...", solution="go = int", why="-", hints=("-",), allow_threads=True)
def _(answer):
    called(answer)


@exercise("90.8", title="A call", stub="def call(channel): ...", solution="call = bool", why="-", hints=("-",))
def _(answer):
    with grpc.insecure_channel("127.0.0.1:1", options=[("grpc.enable_http_proxy", 0)]) as channel:
        called(answer, channel)
'''


@pytest.fixture(autouse=True)
def samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "nb90.py").write_text(SAMPLES.lstrip(), encoding="utf-8")
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    monkeypatch.setattr(_registry, "_known", {})
    monkeypatch.setattr(_learner, "_hints_shown", {})
    monkeypatch.setattr(_store, "_unsaved", set())
    monkeypatch.setenv("TEAMS_PROGRESS_DIR", str(tmp_path / "progress"))
    yield
    sys.modules.pop("teams_lib.exercises.nb90", None)


def running_cell(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Pretend that a notebook runs this cell."""
    shell = SimpleNamespace(get_parent=lambda: {"content": {"code": code}}, transform_cell=lambda text: text)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))


class TestNotAttempted:
    LINE = "90.1 · not attempted yet"

    def test_an_ellipsis_is_not_attempted(self) -> None:
        assert repr(check("90.1", ...)) == self.LINE

    def test_the_stub_is_not_attempted_and_comments_and_blank_lines_do_not_count(self) -> None:
        # fmt: off
        def double(x):  # type: ignore[no-untyped-def]  # what now?

            # I will think about it.
            ...
        # fmt: on
        assert repr(check("90.1", double)) == self.LINE

    def test_a_class_is_recognised_by_its_source(self) -> None:
        class Greeter:
            def greet(self): ...  # type: ignore[no-untyped-def]

        assert check("90.2", Greeter).status == "not attempted"

    def test_a_value_is_recognised_by_the_cell_that_runs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        running_cell(
            monkeypatch, 'names = ["Seattle", "x"]\ndef first(): return names[-1]\n# Hm.\n\ncheck("90.4", first)'
        )
        assert check("90.4", lambda: "x").status == "not attempted"

    def test_a_stub_of_two_parts_is_attempted_when_either_part_changes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        names = ["Seattle"]

        def first():  # type: ignore[no-untyped-def]
            return names[-1]

        running_cell(monkeypatch, 'names = ["Seattle"]\ndef first(): return names[-1]\ncheck("90.4", first)')
        assert check("90.4", first).status == "solved"

    def test_a_cell_that_is_no_python_does_not_matter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        running_cell(monkeypatch, "this is (not Python")
        assert check("90.3", "unary").status == "solved"


class TestVerdicts:
    def test_a_right_answer_is_solved(self) -> None:
        assert repr(check("90.1", lambda x: x + x)) == "90.1 · solved: Double it"

    def test_a_wrong_answer_learns_what_was_called_what_was_expected_and_what_came(self) -> None:
        result = check("90.1", lambda x: x)
        assert result == Result("90.1", "not yet", "I called double(21). Expected 42, but got 21.")

    def test_a_long_value_is_cut_and_shown_on_one_line(self) -> None:
        message = check("90.1", lambda x: "a" * 1000).message
        assert len(message) < 300
        assert message.endswith(" ….")

    def test_an_answer_that_is_no_function_is_told_so(self) -> None:
        assert check("90.1", "Seattle").message == "I expected a function to call, but got 'Seattle'."

    def test_an_answer_with_other_arguments_is_told_so(self) -> None:
        def double() -> int:
            return 42

        message = check("90.1", double).message
        assert message == "I called double with 1 argument, and it does not take that: too many positional arguments."

    def test_an_exception_comes_with_its_line_and_without_a_traceback(self) -> None:
        message = check("90.1", lambda x: x.city).message
        assert message.startswith("Your code raised AttributeError: 'int' object has no attribute 'city' in line ")
        assert message.endswith('`message = check("90.1", lambda x: x.city).message`')

    def test_an_exception_of_a_library_function_handed_in_is_the_answers_own(self) -> None:
        assert check("90.1", sum).message == "Your code raised TypeError: 'int' object is not iterable"

    def test_an_endless_recursion_is_a_message(self) -> None:
        def double(x: int) -> int:
            return double(x)

        assert "RecursionError" in check("90.1", double).message

    @pytest.mark.parametrize("error", [SystemExit("bye"), KeyboardInterrupt(), GeneratorExit()], ids=repr)
    def test_an_exception_that_ends_programs_does_not_end_the_kernel(self, error: BaseException) -> None:
        def double(x: int) -> int:
            raise error

        assert f"Your code raised {type(error).__name__}" in check("90.1", double).message

    def test_an_exception_that_can_not_be_printed_is_a_message(self) -> None:
        class Odd(Exception):  # noqa: N818
            def __str__(self) -> str:
                raise ValueError

        def double(x: int) -> int:
            raise Odd

        assert "Odd: <exception str() failed>" in check("90.1", double).message

    def test_a_failed_call_shows_code_and_details(self) -> None:
        def call(channel: Any) -> None:
            channel.unary_unary("/Teams/GetTeam")(b"", timeout=3)  # Windows tries a closed port for two seconds

        message = check("90.8", call).message
        assert message.startswith("A call ended with StatusCode.UNAVAILABLE in line ")
        assert "Its details: failed to connect" in message

    def test_a_mistake_in_the_check_is_not_blamed_on_the_learner(self) -> None:
        result = check("90.5", 1)
        assert result.status == "not yet"
        assert result.message.startswith("The check itself failed with KeyError: 'ours'.")


class TestDeadline:
    @pytest.fixture(autouse=True)
    def soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_runner, "DEADLINE", 0.2)

    def test_an_endless_loop_is_stopped_and_its_line_named(self) -> None:
        def double(x: int) -> int:
            while True:
                x += 1

        message = check("90.1", double).message
        assert message.startswith("This still ran after 0.2 seconds, in line ")
        assert "so I stopped it" in message
        assert not any(thread.name == "check 90.1" for thread in threading.enumerate())

    def test_a_loop_that_catches_exceptions_is_stopped(self) -> None:
        def double(x: int) -> int:
            while True:
                try:
                    x += 1
                except Exception:
                    continue

        assert "so I stopped it" in check("90.1", double).message

    def test_what_can_not_be_stopped_is_said(self) -> None:
        gate = threading.Event()

        def double(x: int) -> int:
            gate.wait()  # waits in C, where no exception arrives
            return x

        try:
            assert "restart the kernel" in check("90.1", double).message
        finally:
            gate.set()

    def test_clean_up_ends_what_an_answer_waits_for(self) -> None:
        def wait(gate: threading.Event) -> None:
            gate.wait()

        assert "so I stopped it" in check("90.6", wait).message


class TestThreads:
    def test_a_thread_left_running_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_runner, "GRACE", 0.1)
        gate = threading.Event()

        def double(x: int) -> int:
            threading.Thread(target=gate.wait, name="my poller").start()
            return 2 * x

        try:
            result = check("90.1", double)
        finally:
            gate.set()
        assert result.status == "not yet"
        assert result.message.startswith("The answer is right, but it leaves running: my poller. End what you start")

    def test_an_endless_loop_in_a_thread_is_named_and_stopped_in_silence(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(_runner, "GRACE", 0.1)
        monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)  # in place of pytest's

        def spin() -> None:
            while True:
                pass

        def double(x: int) -> int:
            threading.Thread(target=spin, name="my spinner", daemon=True).start()
            return 2 * x

        assert "my spinner" in check("90.1", double).message
        for thread in threading.enumerate():
            if thread.name == "my spinner":
                thread.join(5)
                assert not thread.is_alive()
        assert capsys.readouterr().err == ""

    def test_a_thread_that_ends_soon_is_no_leak(self) -> None:
        def double(x: int) -> int:
            threading.Timer(0.05, int).start()
            return 2 * x

        assert check("90.1", double).status == "solved"

    def test_an_exercise_may_allow_threads(self) -> None:
        gate = threading.Event()
        try:
            assert check("90.7", lambda: threading.Thread(target=gate.wait).start()).status == "solved"
        finally:
            gate.set()

    def test_grpcs_own_threads_are_no_leak(self) -> None:
        import grpc

        channels = []

        def double(x: int) -> int:
            channels.append(grpc.insecure_channel("127.0.0.1:1"))
            channels[0].unary_unary("/Teams/GetTeam").future(b"", timeout=5, wait_for_ready=True)
            return 2 * x

        assert check("90.1", double).status == "solved"
        channels[0].close()


def test_clean_up_runs_after_a_right_and_after_a_wrong_answer() -> None:
    check("90.1", lambda x: 2 * x)
    check("90.1", lambda x: x)
    assert sys.modules["teams_lib.exercises.nb90"].CLEANED == ["90.1", "90.1"]


def test_clean_up_outside_a_check_says_what_to_use() -> None:
    with pytest.raises(RuntimeError, match="use `with`"):
        package.clean_up(int)


def test_a_verdict_comes_within_five_seconds() -> None:
    assert _runner.DEADLINE + _runner.GRACE + _store._LOCK_TIMEOUT < 5


class TestHintsAndSolutions:
    def test_hints_come_one_by_one_and_the_last_one_repeats(self) -> None:
        assert repr(hint("90.1")) == "90.1 · hint 1 of 2\n\nLook at `*`."
        assert repr(hint("90.1")) == "90.1 · hint 2 of 2\n\n2 * x"
        assert repr(hint("90.1")).endswith('That was the last hint. `solution("90.1")` shows one way to do it.')

    def test_a_solution_is_code_and_a_reason(self) -> None:
        assert repr(solution("90.1")) == "90.1 · one solution\n\ndef double(x):\n    return 2 * x\n\nTwo times x."

    @pytest.mark.parametrize("ask", [hint, solution, lambda wrong: check(wrong, 1)], ids=["hint", "solution", "check"])
    def test_an_unknown_id_lists_the_ones_near_it(self, ask: Any) -> None:
        with pytest.raises(LookupError, match=r"There is no exercise '90\.99'\. Notebook 90 has 90\.1, 90\.2"):
            ask("90.99")

    @pytest.mark.parametrize("wrong", ["99.1", "", 90.1, None])
    def test_what_is_no_id_lists_the_notebooks(self, wrong: Any) -> None:
        with pytest.raises(LookupError, match=r"90"):
            hint(wrong)


class TestHtml:
    def test_what_the_learner_wrote_is_escaped(self) -> None:
        shown = check("90.1", lambda x: "<script>&")._repr_html_()
        assert "&lt;script&gt;&amp;" in shown
        assert "<script>" not in shown

    def test_code_in_hints_and_solutions_is_marked_and_escaped(self) -> None:
        assert "Look at <code>*</code>." in hint("90.1")._repr_html_()
        assert "<pre><code>def double(x):" in solution("90.1")._repr_html_()

    def test_it_has_no_background_and_takes_its_colours_from_the_theme(self) -> None:
        for status in ("not attempted", "not yet", "solved"):
            shown = Result("90.1", status, "text")._repr_html_()
            assert "background" not in shown
            assert "color: var(--jp-ui-font-color1, inherit)" in shown


class TestDefinitions:
    def define(self, **changes: Any) -> None:
        parts = {"title": "t", "stub": "x = ...", "solution": "x = 1", "why": "w", "hints": ("h",)} | changes
        exercise(parts.pop("id", "91.1"), **parts)(lambda answer: None)

    def test_the_name_that_the_stub_binds_last_is_checked(self) -> None:
        self.define(stub="  import grpc\n\n  def f(): ...\n")
        assert _registry.find("91.1").check_line == 'check("91.1", f)'

    def test_the_cell_is_spaced_as_ruff_formats_it(self) -> None:
        self.define(stub="def f(): ...")
        assert _registry.find("91.1").cell("STUB") == 'STUB\n\n\ncheck("91.1", f)'

    def test_the_cell_of_a_plain_value_needs_one_blank_line(self) -> None:
        self.define(stub="f = ...")
        assert _registry.find("91.1").cell("STUB") == 'STUB\n\ncheck("91.1", f)'

    def test_another_expression_can_be_checked(self) -> None:
        self.define(stub="print()", answer="[a, b]")
        assert _registry.find("91.1").check_line == 'check("91.1", [a, b])'

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"id": "5.1"}, "looks like '05.2'"),
            ({"hints": ()}, "one to three hints"),
            ({"why": ""}, "a title and a why"),
            ({"stub": "print()"}, "say answer="),
        ],
    )
    def test_an_incomplete_one_is_refused(self, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            self.define(**changes)

    def test_an_id_is_used_once(self) -> None:
        self.define()
        with pytest.raises(ValueError, match=r"two exercises 91\.1"):
            self.define()


def test_in_a_kernel_every_kind_of_stub_is_not_attempted_and_every_solution_is_solved(tmp_path: Path) -> None:
    exercises = [each for each in _registry.of_notebook("90") if each.id in {"90.1", "90.2", "90.3", "90.4"}]
    cells = [
        f"import teams_lib.exercises as e; e.__path__.append({str(tmp_path)!r})\nfrom teams_lib.exercises import check",
        *(each.cell("# Later.\n" + each.stub) for each in exercises),
        *(each.cell(each.solution) for each in exercises),
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    shown = [cell.outputs[0].data["text/plain"] for cell in notebook.cells[1:]]
    assert shown[:4] == [f"{each.id} · not attempted yet" for each in exercises]
    assert shown[4:] == [f"{each.id} · solved: {each.title}" for each in exercises]


def test_a_new_thread_of_grpc_counts_as_new_even_if_it_gets_the_ident_of_one_that_has_ended() -> None:
    def sender() -> tuple[threading.Thread, threading.Event]:
        running, over = threading.Event(), threading.Event()

        def consume_request_iterator() -> None:  # as the function of grpc is called
            running.set()
            over.wait(10)

        thread = threading.Thread(target=consume_request_iterator)
        thread.start()
        assert running.wait(10)
        return thread, over

    old, old_is_over = sender()
    before = nb07._senders()
    old_is_over.set()
    old.join()
    new, new_is_over = sender()
    assert nb07._senders() - before == {new}
    new_is_over.set()
    new.join()


def test_a_look_for_grpcs_threads_keeps_no_handler_alive_that_has_ended() -> None:
    ready, go, closed = threading.Event(), threading.Event(), threading.Event()

    def handler() -> Iterator[None]:
        try:
            yield
        finally:
            closed.set()

    def worker() -> None:  # as grpc does after a cancellation, it drops the handler at its yield
        running = handler()
        next(running)
        ready.set()
        go.wait(10)

    thread = threading.Thread(target=worker)
    gc.disable()
    try:
        thread.start()
        assert ready.wait(10)
        nb07._senders()
        go.set()
        thread.join()
        assert closed.is_set()
    finally:
        gc.enable()
