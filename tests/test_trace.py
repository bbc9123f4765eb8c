"""GUARD_TRACE: a verdict can be explained, and stdout is never touched."""

from __future__ import annotations

import os

import pytest

from tests.support.stage import Stage


def test_a_clear_commit_names_its_steps(stage: Stage) -> None:
    done = stage.hook("free.txt", GUARD_TRACE="1")
    assert done.code == 0 and done.out == b""
    lines = [line for line in done.err.decode().splitlines() if line.startswith("guard: trace: ")]
    assert any("is proven to be current" in line for line in lines), done.text
    assert any("clear: git has listed every change" in line for line in lines), done.text


def test_a_refusal_says_why_the_fast_way_was_left(stage: Stage) -> None:
    done = stage.hook("held/x.txt", GUARD_TRACE="1")
    assert done.code == 1
    assert "git proves no clear verdict" in done.text
    assert "1 changed paths, judged for 'bob'" in done.text
    assert "alice holds /held" in done.text


def test_a_stale_union_is_named(stage: Stage) -> None:
    (stage.slot / "current").unlink()
    done = stage.hook("free.txt", GUARD_TRACE="1")
    assert done.code == 0 and done.out == b""
    assert "Python makes it anew" in done.text
    assert "there is no union that can be read" in done.text
    assert "1 patterns of others than 'bob'" in done.text


def test_a_failure_comes_with_its_traceback(stage: Stage) -> None:
    stage.store.write_bytes(b"not a database at all, and long enough to be read as one" * 40)
    done = stage.hook("free.txt", GUARD_TRACE="1")
    assert done.code == 3
    assert "guard: trace: Traceback (most recent call last):" in done.text


def test_it_goes_to_a_file_too(stage: Stage) -> None:
    trace = stage.base / "trace.txt"
    trace.unlink(missing_ok=True)
    done = stage.hook("free.txt", GUARD_TRACE=str(trace))
    assert done.code == 0 and b"trace" not in done.err
    assert "guard: trace: pre-commit" in trace.read_text()


def test_a_trace_that_cannot_be_written_changes_no_verdict(stage: Stage) -> None:
    nowhere = str(stage.base / "missing" / "trace.txt")
    assert stage.hook("free.txt", GUARD_TRACE=nowhere).code == 0
    assert stage.hook("held/x.txt", GUARD_TRACE=nowhere).code == 1


@pytest.mark.parametrize("value", ["0", ""])
def test_it_is_silent_when_it_is_off(stage: Stage, value: str) -> None:
    done = stage.hook("free.txt", GUARD_TRACE=value)
    assert (done.code, done.out, done.err) == (0, b"", b"")


def test_nothing_reserved_is_explained_too(stage: Stage) -> None:
    stage.repository.guard("release", "--all", who="alice")
    stage.hook("free.txt")
    done = stage.hook("free.txt", GUARD_TRACE="1")
    assert done.code == 0
    assert "clear, for the state is empty" in done.text
    assert os.environ.get("GUARD_TRACE") is None
