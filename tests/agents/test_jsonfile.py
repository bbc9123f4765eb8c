"""Entries into JSON files of others, and out again, with every other byte kept."""

from __future__ import annotations

import json

import pytest

from guard.agents import jsonfile
from guard.agents.jsonfile import Unreadable

ENTRY = {"matcher": "Write", "hooks": [{"type": "command", "command": "guard/agent 'x' \"y\""}]}
PATH = ("hooks", "PreToolUse")

TEXTS = {
    "empty object": "{}",
    "empty object and a newline": "{}\n",
    "two spaces": '{\n  "a": 1,\n  "b": [1, 2]\n}\n',
    "four spaces": '{\n    "a": {\n        "b": null\n    }\n}',
    "tabs": '{\n\t"z": true,\n\t"a": "x"\n}\n',
    "one line": '{"a": 1, "b": {"c": []}}',
    "one line, no blanks": '{"a":1}',
    "windows": '{\r\n  "a": 1\r\n}\r\n',
    "byte order mark": '\ufeff{\n  "a": 1\n}\n',
    "comments": '// head\n{\n  // one\n  "a": 1, /* two */\n  "b": 2 // three\n  // four\n}\n// foot\n',
    "trailing comma": '{\n  "a": 1,\n}\n',
    "hooks of another event": '{\n  "hooks": {\n    "Stop": [\n      {\n        "hooks": []\n      }\n    ]\n  }\n}\n',
    "another's": '{\n  "hooks": {\n    "PreToolUse": [\n      {\n        "matcher": "Bash"\n      }\n    ]\n  }\n}\n',
    "another's hook on one line": '{\n  "hooks": { "PreToolUse": [ {"matcher": "Bash"} ] },\n  "x": 1\n}\n',
    "array with a trailing comma": '{\n  "hooks": {\n    "PreToolUse": [\n      {"matcher": "a"},\n    ],\n  },\n}\n',
    "odd indentation": '{\n "a": 1,\n      "hooks": {\n  "Stop": []}}\n',
    "many letters": '{\n  "gr\u00fc\u00df": "\\u00e9 \\ud83d\\ude00 \u4e2d // no comment",\n  "u": "/* */"\n}\n',
    "big numbers": '{\n  "n": 12345678901234567890.1e5,\n  "m": -0.0\n}\n',
    "a key twice": '{\n  "a": 1,\n  "a": 2\n}\n',
}


def is_ours(entry: object) -> bool:
    return "guard/agent" in json.dumps(entry)


def made(text: str) -> set[str]:
    return {"/".join(path) for path in (PATH[:1], PATH) if jsonfile.at(text, path) is None}


@pytest.mark.parametrize("name", list(TEXTS))
def test_in_and_out_leaves_every_byte(name: str) -> None:
    text = TEXTS[name]
    with_it = jsonfile.with_entry(text, PATH, ENTRY)
    assert jsonfile.at(with_it, PATH)[-1] == ENTRY
    assert jsonfile.without_entries(with_it, PATH, is_ours, made(text)) == text


@pytest.mark.parametrize("name", list(TEXTS))
def test_only_lines_are_added(name: str) -> None:
    text = TEXTS[name]
    with_it = jsonfile.with_entry(text, PATH, ENTRY)
    if "\n" not in text.strip():
        return
    rest = iter(with_it.splitlines())
    for line in text.splitlines():
        assert any(each.replace(",", "").startswith(line.replace(",", "").rstrip("}] ")) for each in rest), (
            f"lost or out of order: {line!r}"
        )


@pytest.mark.parametrize("name", list(TEXTS))
def test_everything_else_keeps_its_value_and_its_order(name: str) -> None:
    text = TEXTS[name]
    with_it = jsonfile.parse(jsonfile.with_entry(text, PATH, ENTRY)).data
    before = jsonfile.parse(text).data
    assert [key for key in with_it if key != "hooks" or "hooks" in before] == list(before)
    for key in before:
        if key != "hooks":
            assert with_it[key] == before[key]


@pytest.mark.parametrize("name", list(TEXTS))
def test_a_second_event_and_an_entry_of_the_users_afterwards(name: str) -> None:
    text = TEXTS[name]
    once = jsonfile.with_entry(text, PATH, ENTRY)
    twice = jsonfile.with_entry(once, ("hooks", "SessionEnd"), ENTRY)
    users = jsonfile.with_entry(twice, PATH, {"matcher": "mine"})
    containers = made(text) | {"hooks/SessionEnd"}
    out = jsonfile.without_entries(users, ("hooks", "SessionEnd"), is_ours, containers)
    out = jsonfile.without_entries(out, PATH, is_ours, containers)
    assert jsonfile.at(out, PATH)[-1] == {"matcher": "mine"}
    assert not is_ours(jsonfile.parse(out).data)
    out = jsonfile.without_entries(out, PATH, lambda entry: entry == {"matcher": "mine"}, containers)
    assert out == text


def test_an_entry_that_is_replaced_stays_in_its_place() -> None:
    text = jsonfile.with_entry(jsonfile.with_entry("{}", PATH, ENTRY), PATH, {"matcher": "mine"})
    newer = {"matcher": "Write", "hooks": [{"type": "command", "command": "guard/agent newer"}]}
    changed = jsonfile.replaced_entry(text, PATH, is_ours, newer)
    assert changed is not None
    assert jsonfile.at(changed, PATH) == [newer, {"matcher": "mine"}]


@pytest.mark.parametrize(
    "text",
    ["{", '{"a" 1}', '{"a": 1 "b": 2}', "[1", '{"a": tru}', "{} {}", "/* no end", "{1: 2}", '{"a": "', "x", '{"a":}'],
)
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        jsonfile.with_entry(text, PATH, ENTRY)


@pytest.mark.parametrize("text", ["[]", '"x"', '{"hooks": []}', '{"hooks": {"PreToolUse": {}}}', '{"hooks": null}'])
def test_another_shape_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        jsonfile.with_entry(text, PATH, ENTRY)
