"""Every line that could hold a request is answered by ``guard mcp``, so that no client waits for ever."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, NoReturn

import anyio
import mcp_types as types
import pytest
from mcp.shared.message import SessionMessage

from guard.mcp.lines import Read, read, too_long
from guard.mcp.transport import Incoming, Outgoing
from guard.mcp.wire import Wire
from tests.support.mcp_client import CLAUDE, PATIENCE_S, Raw, environment
from tests.support.repositories import GUARD, Repository

PARSE, REQUEST, PARAMS = -32700, -32600, -32602

PING = b'{"jsonrpc":"2.0","id":7,"method":"ping"}'


def with_path(text: bytes) -> bytes:
    return (
        b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"guard_check","arguments":{"paths":["%b"]}}}'
        % text
    )


NESTED = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
DEEP = b'{"jsonrpc":"2.0","method":"tools/call","params":{"arguments":%b},"id":7}' % NESTED

REFUSED: list[tuple[bytes, int, list[int | str | None], str]] = [
    # Text that is none
    (with_path(rb"a\ud800"), PARSE, [7], "half of a surrogate pair"),
    (with_path(rb"\udc80b"), PARSE, [7], "half of a surrogate pair"),
    (with_path(rb"\uDE00\uD83D"), PARSE, [7], "half of a surrogate pair"),
    (b'{"jsonrpc":"2.0","id":7,"method":"ping","params":{"\\ud800":1}}', PARSE, [7], "half of a surrogate pair"),
    (b'{"jsonrpc":"2.0","id":"\\ud800","method":"ping"}', PARSE, [None], "half of a surrogate pair"),
    (with_path(b"caf\xe9"), PARSE, [7], "is not UTF-8"),
    (with_path(b"\xed\xa0\x80"), PARSE, [7], "is not UTF-8"),
    (PING.decode().encode("utf-16"), PARSE, [None], "is not UTF-8"),
    # JSON that is none
    (b"not JSON", PARSE, [None], "no JSON"),
    (PING[:-1], PARSE, [7], "no JSON"),
    (PING + b"x", PARSE, [7], "no JSON"),
    (PING + PING.replace(b"7", b'"b"'), PARSE, [7, "b"], "no JSON"),
    (with_path(b"tab\there"), PARSE, [7], "no JSON"),
    (with_path(rb"\x41"), PARSE, [7], "no JSON"),
    (b"{'jsonrpc':'2.0','id':7,'method':'ping'}", PARSE, [None], "no JSON"),
    (b'{"jsonrpc":"2.0","id":7,"method":"ping","params":{"a":NaN}}', PARSE, [7], "NaN is no JSON"),
    (b'{"jsonrpc":"2.0","id":7,"method":"ping","params":{"a":-Infinity}}', PARSE, [7], "-Infinity is no JSON"),
    (b'{"jsonrpc":"2.0","id":7,"method":"ping","params":{"a":%b}}' % (b"9" * 5000), PARSE, [7], "number"),
    (b'{"jsonrpc":"2.0","id":7,"method":"ping","id":8}', PARSE, [7, 8], "two members called 'id'"),
    (with_path(b'a"],"paths":["b'), PARSE, [7], "two members called 'paths'"),
    (b"[" * 100_000, PARSE, [None], "nested too deeply"),
    (DEEP, PARSE, [7], "nested too deeply"),
    # Requests that are none
    (b"{}", REQUEST, [None], "jsonrpc"),
    (b"null", REQUEST, [None], "no JSON object"),
    (b"7", REQUEST, [None], "no JSON object"),
    (b'{"id":7,"method":"ping"}', REQUEST, [7], "jsonrpc"),
    (b'{"jsonrpc":"1.0","id":7,"method":"ping"}', REQUEST, [7], "jsonrpc"),
    (b'{"jsonrpc":2.0,"id":7,"method":"ping"}', REQUEST, [7], "jsonrpc"),
    (b'{"jsonrpc":"2.0","id":7}', REQUEST, [7], "method"),
    (b'{"jsonrpc":"2.0","id":7,"method":null}', REQUEST, [7], "method"),
    (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', REQUEST, [None], '"id"'),
    (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', REQUEST, [None], '"id"'),
    (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', REQUEST, [None], '"id"'),
    (b'{"jsonrpc":"2.0","id":[7],"method":"ping"}', REQUEST, [None], '"id"'),
    (b'{"jsonrpc":"2.0","id":7,"method":"ping","params":[]}', PARAMS, [7], "params"),
    (b'{"jsonrpc":"2.0","id":7,"method":"ping","params":"x"}', PARAMS, [7], "params"),
    # Batches
    (b"[]", REQUEST, [None], "batch"),
    (b"[1]", REQUEST, [None], "batch"),
    (b"[%b,%b]" % (PING, PING.replace(b"7", b'"b"')), REQUEST, [7, "b"], "batch"),
]

SERVED = [
    PING,
    PING + b"\r",
    b"  " + PING + b"\t",
    b"\xef\xbb\xbf" + PING,
    PING.replace(b"7", b'"text"'),
    PING.replace(b"7", b"0"),
    PING.replace(b"7", b"-1"),
    PING.replace(b"7", b"99999999999999999999999"),
    PING.replace(b"7", b'""'),
    PING.replace(b'"ping"', b'"ping","params":null'),
    PING.replace(b'"ping"', b'"ping","strange":1'),
    with_path("é 😀".encode()),
    with_path(rb"\u00e9 \ud83d\ude00"),
    with_path(rb"\\ud800"),
    with_path(rb"\u0000"),
]

SILENT = [
    b"",
    b"\r",
    b" \t",
    b"\xef\xbb\xbf",
    b'{"jsonrpc":"2.0","method":7}',
    b'{"method":"notifications/cancelled"}',
    b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":[]}',
    b'{"jsonrpc":"2.0","id":7,"result":7}',
    b'{"jsonrpc":"2.0","result":{}}',
    b'[{"jsonrpc":"2.0","method":"notifications/initialized"}]',
]
"""Nobody waits for an answer to these."""

HANDED_ON = [
    b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":99}}',
    b'{"jsonrpc":"2.0","id":7,"result":{}}',
    b'{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"x"}}',
]


@pytest.mark.parametrize(("line", "code", "ids", "words"), REFUSED)
def test_a_request_that_cannot_be_served_is_answered_by_an_error(
    line: bytes, code: int, ids: list[int | str | None], words: str
) -> None:
    found = read(line)
    assert found.message is None
    assert [error.id for error in found.errors] == ids
    for error in found.errors:
        assert error.error.code == code and words in error.error.message and len(error.error.message) < 300
        error.model_dump_json().encode()


@pytest.mark.parametrize("line", SERVED)
def test_what_is_a_request_is_served_with_its_own_id(line: bytes) -> None:
    found = read(line)
    assert found.errors == () and found.message is not None
    sent = json.loads(line.decode("utf-8-sig"))
    assert found.message.model_dump(include={"id", "method", "params"}) == {"params": None} | {
        name: value for name, value in sent.items() if name in ("id", "method", "params")
    }


@pytest.mark.parametrize("line", SILENT)
def test_nothing_is_said_to_what_no_one_waits_for(line: bytes) -> None:
    assert read(line) == Read()


@pytest.mark.parametrize("line", HANDED_ON)
def test_notifications_and_answers_are_handed_on(line: bytes) -> None:
    found = read(line)
    assert found.message is not None and found.errors == ()


def test_a_server_answers_each_of_them_and_goes_on(repository: Repository) -> None:
    with Raw(repository.path, CLAUDE) as client:
        client.shake_hands()
        for line in SILENT:
            client.write(line + b"\n")
        for line, code, ids, words in REFUSED:
            if b"\n" in line:
                continue  # two lines to the server
            client.write(line + b"\n")
            for number in ids:
                answer = client.line()
                assert answer["id"] == number and answer["error"]["code"] == code, (line[:200], answer)
                assert words in answer["error"]["message"]
        assert client.ask("ping")["result"] == {}


def test_arguments_nested_as_deeply_as_can_be_read_are_answered(repository: Repository) -> None:
    """What the parser reads, the rest of the server must bear."""
    with Raw(repository.path, CLAUDE) as client:
        client.shake_hands()
        for depth in (50, 150, 250, 400, 800, 980, 2000, 5000, 20_000):
            nested: bytes = b"[" * depth + b"]" * depth
            client.write(
                b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"guard_check","arguments":{"paths":%b}}}\n'
                % (depth, nested)
            )
            answer = client.answer_to(depth)
            assert "error" in answer or answer["result"]["isError"], depth
        assert client.tool("guard_check", {"paths": ["a.txt"]})["verdict"] == "clear"


def test_messages_may_come_in_pieces_and_several_at_once(repository: Repository) -> None:
    with Raw(repository.path, CLAUDE) as client:
        client.shake_hands()
        for piece in (PING[:1], PING[1:20], PING[20:], b"\n"):
            client.write(piece)
        assert client.line()["id"] == 7
        client.write(b"\n".join(PING.replace(b"7", b"%d" % number) for number in range(10, 60)) + b"\n")
        assert {client.line()["id"] for _ in range(50)} == set(range(10, 60))


def test_a_client_may_write_a_file_and_read_one(repository: Repository, tmp_path: Path) -> None:
    """Regular files cannot be waited for as pipes can. The last line may lack its end."""
    hello: dict[str, Any] = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "x", "version": "0"},
    }
    told = tmp_path / "told"
    told.write_text(
        json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}) + "\n" + PING.decode()
    )
    with told.open() as said, (tmp_path / "answers").open("w") as answers:
        done = subprocess.run(
            [*GUARD, "mcp"],
            cwd=repository.path,
            env=environment(CLAUDE),
            stdin=said,
            stdout=answers,
            timeout=PATIENCE_S,
            check=False,
        )
    assert done.returncode == 0
    ids = [json.loads(line)["id"] for line in (tmp_path / "answers").read_text().splitlines()]
    assert ids == [1, 7]


def test_a_client_that_reads_nothing_is_outlived_by_no_server(repository: Repository) -> None:
    """Its answers fill the pipe, and then it leaves: the server does not wait for it for ever."""
    with Raw(repository.path, CLAUDE) as client:
        client.shake_hands()
        for number in range(100, 180):
            client.send({"jsonrpc": "2.0", "id": number, "method": "tools/list"})
        client.leave()
        assert client.ends() == 0


def test_a_sender_that_is_cancelled_leaves_no_half_of_a_line() -> None:
    """The pipe is full in the middle of an answer when its call is cancelled: the rest of the line still follows."""
    reading, writing = os.pipe()

    def gone() -> NoReturn:
        raise AssertionError("the reader is there")

    outgoing = Outgoing(Wire(reading, writing, gone))

    def message(number: int) -> SessionMessage:
        result = {"text": "x" * 300_000}
        return SessionMessage(types.JSONRPCResponse(jsonrpc="2.0", id=number, result=result))

    async def run() -> list[bytes]:
        async with anyio.create_task_group() as group:
            group.start_soon(outgoing.write_what_waits)
            with anyio.CancelScope() as scope:
                group.start_soon(cancel_when_it_waits, scope)
                await outgoing.send(message(1))
            assert scope.cancelled_caught
            group.start_soon(outgoing.send, message(2))
            found = b""
            while found.count(b"\n") < 2:
                await anyio.wait_readable(reading)
                found += os.read(reading, 1 << 16)
            await outgoing.all_written()
            group.cancel_scope.cancel()
        return found.splitlines()

    async def cancel_when_it_waits(scope: anyio.CancelScope) -> None:
        while not outgoing._waiting:
            await anyio.sleep(0)
        scope.cancel()

    try:
        lines = anyio.run(run)
    finally:
        os.close(reading)
        os.close(writing)
    assert [json.loads(line)["id"] for line in lines] == [1, 2]


def test_what_is_sent_after_the_end_is_an_error() -> None:
    async def run() -> None:
        outgoing = Outgoing(Wire(0, 1, lambda: os._exit(1)))
        async with outgoing:
            pass
        with pytest.raises(anyio.ClosedResourceError):
            await outgoing.send(SessionMessage(too_long(1)))
        async with Incoming(0, outgoing) as incoming:
            pass
        with pytest.raises(anyio.ClosedResourceError):
            await incoming.receive()

    anyio.run(run)
