"""A model that follows a script, in the four protocols that the programs speak. Standard library only.

A script is a list of turns. A turn is ``{"text": …}`` or ``{"calls": [{"name": …, "args": {…}}]}``; a call of a tool
that takes free text has "input" in place of "args". ``{"wait_for": FILE, …}`` answers only when that file exists, and
``{"touch": FILE, …}`` makes one when the turn has come: then all that the program was told before is done. The
script is chosen by a word that occurs in what the user says. A request that offers no tools (a title, a summary) is
answered "ok" and uses no turn up; after the last turn the answer is "done".
"""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]


def text_of(content: Any) -> str:
    """The text in any shape of content that the protocols have."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(map(text_of, content))
    if isinstance(content, dict):
        found = next((content[key] for key in ("text", "content", "parts", "output") if content.get(key)), "")
        return text_of(found)
    return ""


def new_id(prefix: str) -> str:
    return prefix + uuid.uuid4().hex[:20]


def events(pairs: list[tuple[str, Json]]) -> bytes:
    """Server-sent events, each with its type as its name."""
    lines = [
        f"event: {name}\ndata: {json.dumps({'type': name, 'sequence_number': number, **data})}\n\n"
        for number, (name, data) in enumerate(pairs)
    ]
    return "".join(lines).encode()


def chunks(parts: list[Json], *, done: bool = False) -> bytes:
    return ("".join(f"data: {json.dumps(part)}\n\n" for part in parts) + ("data: [DONE]\n\n" if done else "")).encode()


class Anthropic:
    """https://docs.anthropic.com/en/api/messages-streaming"""

    path = "/messages"

    def tools(self, body: Json) -> list[Any]:
        return body.get("tools") or []

    def said(self, body: Json) -> str:
        return text_of([message["content"] for message in body["messages"] if message["role"] == "user"])

    def results(self, body: Json) -> list[str]:
        last = body["messages"][-1]["content"]
        blocks = last if isinstance(last, list) else []
        return [text_of(block.get("content")) for block in blocks if block.get("type") == "tool_result"]

    def answer(self, turn: Json, body: Json) -> bytes:
        blocks: list[Json] = [{"type": "text", "text": turn["text"]}] if turn.get("text") else []
        blocks += [
            {"type": "tool_use", "id": new_id("toolu_"), "name": call["name"], "input": call.get("args", {})}
            for call in turn.get("calls", [])
        ]
        stop = "tool_use" if turn.get("calls") else "end_turn"
        message = {
            "id": new_id("msg_"), "type": "message", "role": "assistant", "model": body.get("model", ""),
            "content": blocks, "stop_reason": stop, "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }  # fmt: skip
        if not body.get("stream"):
            return json.dumps(message).encode()
        pairs: list[tuple[str, Json]] = [
            ("message_start", {"message": {**message, "content": [], "stop_reason": None}})
        ]
        for index, block in enumerate(blocks):
            if block["type"] == "text":
                start, delta = {**block, "text": ""}, {"type": "text_delta", "text": block["text"]}
            else:
                start = {**block, "input": {}}
                delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
            pairs += [
                ("content_block_start", {"index": index, "content_block": start}),
                ("content_block_delta", {"index": index, "delta": delta}),
                ("content_block_stop", {"index": index}),
            ]
        end = {"delta": {"stop_reason": stop, "stop_sequence": None}, "usage": {"output_tokens": 1}}
        return events([*pairs, ("message_delta", end), ("message_stop", {})])


class Responses:
    """https://platform.openai.com/docs/api-reference/responses-streaming"""

    path = "/responses"

    def tools(self, body: Json) -> list[Any]:
        return body.get("tools") or []

    def _items(self, body: Json) -> list[Json]:
        given = body.get("input") or []
        return [{"role": "user", "content": given}] if isinstance(given, str) else given

    def said(self, body: Json) -> str:
        return text_of([item.get("content") for item in self._items(body) if item.get("role") == "user"])

    def results(self, body: Json) -> list[str]:
        found: list[str] = []
        for item in reversed(self._items(body)):
            if str(item.get("type")).endswith("_call_output"):
                found.append(text_of(item.get("output")))
            elif str(item.get("type")).endswith("_call") or item.get("role") == "assistant":
                break
        return found[::-1]

    def answer(self, turn: Json, body: Json) -> bytes:
        items: list[Json] = []
        if turn.get("text"):
            part = {"type": "output_text", "text": turn["text"], "annotations": []}
            items.append(
                {"type": "message", "id": new_id("msg_"), "role": "assistant", "status": "completed", "content": [part]}
            )
        for call in turn.get("calls", []):
            given = (
                {"type": "custom_tool_call", "input": call["input"]}
                if "input" in call
                else {"type": "function_call", "arguments": json.dumps(call.get("args", {}))}
            )
            ids = {"id": new_id("fc_"), "call_id": new_id("call_"), "name": call["name"], "status": "completed"}
            if "namespace" in call:  # a tool of an MCP server
                ids["namespace"] = call["namespace"]
            items.append({**given, **ids})
        usage = {
            "input_tokens": 1, "output_tokens": 1, "total_tokens": 2,
            "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0},
        }  # fmt: skip
        response = {
            "id": new_id("resp_"), "object": "response", "created_at": int(time.time()), "status": "completed",
            "model": body.get("model", ""), "output": items, "usage": usage,
        }  # fmt: skip
        pairs: list[tuple[str, Json]] = [("response.created", {"response": {**response, "status": "in_progress"}})]
        for index, item in enumerate(items):
            pairs.append(("response.output_item.added", {"output_index": index, "item": item}))
            pairs.append(("response.output_item.done", {"output_index": index, "item": item}))
        return events([*pairs, ("response.completed", {"response": response})])


class Chat:
    """https://platform.openai.com/docs/api-reference/chat-streaming"""

    path = "/chat/completions"

    def tools(self, body: Json) -> list[Any]:
        return body.get("tools") or []

    def said(self, body: Json) -> str:
        return text_of([message.get("content") for message in body["messages"] if message["role"] == "user"])

    def results(self, body: Json) -> list[str]:
        found: list[str] = []
        for message in reversed(body["messages"]):
            if message["role"] == "assistant":
                break
            if message["role"] == "tool":
                found.append(text_of(message.get("content")))
        return found[::-1]

    def answer(self, turn: Json, body: Json) -> bytes:
        calls = [
            {
                "index": index, "id": new_id("call_"), "type": "function",
                "function": {"name": call["name"], "arguments": json.dumps(call.get("args", {}))},
            }
            for index, call in enumerate(turn.get("calls", []))
        ]  # fmt: skip
        message = {"role": "assistant", "content": turn.get("text"), **({"tool_calls": calls} if calls else {})}
        stop = "tool_calls" if calls else "stop"
        base = {"id": new_id("chatcmpl-"), "created": int(time.time()), "model": body.get("model", "")}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        if not body.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": stop}
            return json.dumps({**base, "object": "chat.completion", "usage": usage, "choices": [choice]}).encode()
        base["object"] = "chat.completion.chunk"
        first = {"index": 0, "delta": message, "finish_reason": None}
        last = {"index": 0, "delta": {}, "finish_reason": stop}
        parts = [{**base, "choices": [first]}, {**base, "choices": [last]}, {**base, "choices": [], "usage": usage}]
        return chunks(parts, done=True)


class Gemini:
    """https://ai.google.dev/api/generate-content"""

    path = "enerateContent"

    def tools(self, body: Json) -> list[Any]:
        return [one for group in body.get("tools") or [] for one in group.get("functionDeclarations") or []]

    def said(self, body: Json) -> str:
        return text_of([content.get("parts") for content in body.get("contents") or []])

    def results(self, body: Json) -> list[str]:
        last = (body.get("contents") or [{}])[-1]
        responses = [part["functionResponse"] for part in last.get("parts", []) if "functionResponse" in part]
        return [json.dumps(response.get("response"), ensure_ascii=False) for response in responses]

    def answer(self, turn: Json, body: Json) -> bytes:
        parts: list[Json] = [{"text": turn["text"]}] if turn.get("text") else []
        parts += [
            {"functionCall": {"name": call["name"], "args": call.get("args", {})}} for call in turn.get("calls", [])
        ]
        candidate = {"index": 0, "content": {"role": "model", "parts": parts}, "finishReason": "STOP"}
        usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
        return chunks([{"candidates": [candidate], "usageMetadata": usage, "modelVersion": "scripted"}])


PROTOCOLS = (Anthropic(), Responses(), Chat(), Gemini())


class Model:
    """Answers requests; ``seen`` collects, for each script, what its tools answered."""

    def __init__(self, scripts: dict[str, list[Json]]) -> None:
        self.scripts = scripts
        self.used = dict.fromkeys(scripts, 0)
        self.seen: dict[str, list[str]] = {name: [] for name in scripts}
        self.said: dict[str, str] = dict.fromkeys(scripts, "")
        self._lock = threading.Lock()

    def reply(self, path: str, body: Json) -> bytes:
        protocol = next((each for each in PROTOCOLS if each.path in path), None)
        if protocol is None:
            return b"{}"
        said = protocol.said(body)
        name = next((name for name in self.scripts if name in said), None)
        if name is None or not protocol.tools(body):
            return protocol.answer({"text": "ok"}, body)
        with self._lock:
            turn = (self.scripts[name][self.used[name] :] or [{"text": "done"}])[0]
            self.used[name] += 1
            self.seen[name] += protocol.results(body)
            self.said[name] = json.dumps(body, ensure_ascii=False)
        if turn.get("touch"):
            open(turn["touch"], "w").close()
        until = time.monotonic() + 1500
        while turn.get("wait_for") and not os.path.exists(turn["wait_for"]) and time.monotonic() < until:
            time.sleep(0.02)
        return protocol.answer(turn, body)


def serve(model: Model, port: int) -> ThreadingHTTPServer:
    """Starts answering on a port of the loopback, in threads of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            return

        def _send(self, data: bytes, kind: str = "application/json") -> None:
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            one = {"id": "scripted", "object": "model", "type": "model", "created": 0, "owned_by": "nobody"}
            self._send(json.dumps({"object": "list", "data": [one], "models": [], "has_more": False}).encode())

        do_HEAD = do_GET

        def do_POST(self) -> None:
            raw = self._body()
            try:
                body = json.loads(raw)
            except ValueError:
                return self._send(b"{}")
            data = model.reply(self.path, body)
            streamed = data.startswith((b"event:", b"data:"))
            return self._send(data, "text/event-stream" if streamed else "application/json")

        def _body(self) -> bytes:
            if self.headers.get("transfer-encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("content-length") or 0))
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            return b"".join(parts)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            return  # a program that ends drops its connections

    server = Server(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
