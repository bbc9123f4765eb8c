"""Each coding agent as a program to run: its package, how it is started offline, and what its tools are called."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.live import box

PORT = 8123
URL = f"http://127.0.0.1:{PORT}"
Json = dict[str, Any]


@dataclass(frozen=True)
class Harness:
    """A program: ``packages`` are pinned npm packages, each with the directory it is installed in."""

    name: str
    packages: tuple[str, ...]
    words: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    home: dict[str, str] = field(default_factory=dict)
    binary: str = ""

    def write(self, path: str, text: str) -> Json:
        """A call of the tool that writes a whole file."""
        if self.name == "claude":
            return {"name": "Write", "args": {"file_path": path, "content": text}}
        if self.name == "codex":
            lines = "".join(f"+{line}\n" for line in text.splitlines())
            return self.patch(f"*** Add File: {path}\n{lines}")
        if self.name == "copilot":
            return {"name": "create", "args": {"path": path, "file_text": text}}
        if self.name == "gemini":
            return {"name": "write_file", "args": {"file_path": path, "content": text}}
        return {"name": "write", "args": {"filePath": path, "content": text}}

    def edit(self, path: str, old: str, new: str) -> list[Json]:
        """Calls that change a line of a file; some programs want to have read it before."""
        if self.name == "claude":
            args = {"file_path": path, "old_string": old, "new_string": new}
            return [{"name": "Read", "args": {"file_path": path}}, {"name": "Edit", "args": args}]
        if self.name == "codex":
            return [self.patch(f"*** Update File: {path}\n@@\n-{old}\n+{new}\n")]
        if self.name == "copilot":
            return [{"name": "edit", "args": {"path": path, "old_str": old, "new_str": new}}]
        if self.name == "gemini":
            args = {"file_path": path, "old_string": old, "new_string": new, "instruction": "change it"}
            return [{"name": "replace", "args": args}]
        read = {"name": "read", "args": {"filePath": path}}
        return [read, {"name": "edit", "args": {"filePath": path, "oldString": old, "newString": new}}]

    def patch(self, body: str) -> Json:
        return {"name": "apply_patch", "input": f"*** Begin Patch\n{body}*** End Patch\n"}

    def shell(self, command: str) -> Json:
        """A call of the tool that runs a shell command."""
        if self.name == "codex":
            own = Path(sys.prefix) / "bin"  # its login shell forgets PATH
            return {"name": "exec_command", "args": {"cmd": f"export PATH={own}:$PATH; {command}"}}
        name = {"claude": "Bash", "gemini": "run_shell_command"}.get(self.name, "bash")
        return {"name": name, "args": {"command": command, "description": "run it"}}


_CODEX = f"""\
model = "gpt-5.5"
model_provider = "mock"
check_for_update_on_startup = false
[model_providers.mock]
name = "mock"
base_url = "{URL}/v1"
env_key = "MOCK_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
supports_websockets = false
[analytics]
enabled = false
[otel]
exporter = "none"
"""
_GEMINI = {
    "security": {"auth": {"selectedType": "gemini-api-key"}},
    "telemetry": {"enabled": False},
    "privacy": {"usageStatisticsEnabled": False},
    "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
}
_OPENCODE = {
    "$schema": "https://opencode.ai/config.json",
    "autoupdate": False,
    "share": "disabled",
    "model": "mock/scripted",
    "small_model": "mock/scripted",
    "provider": {
        "mock": {
            "npm": "@ai-sdk/openai-compatible",
            "name": "mock",
            "options": {"baseURL": f"{URL}/v1", "apiKey": "fake"},
            "models": {
                "scripted": {"name": "scripted", "tool_call": True, "limit": {"context": 100_000, "output": 8_000}}
            },
        }
    },
}
_CLAUDE_WORDS = ("-p", "{prompt}", "--model", "claude-sonnet-4-5", "--permission-mode", "acceptEdits")

HARNESSES = {
    each.name: each
    for each in (
        Harness(
            "claude",
            ("@anthropic-ai/claude-code@2.1.332",),
            (*_CLAUDE_WORDS, "--allowedTools", "Bash,Edit,Write,Read", "--output-format", "json"),
            {
                "ANTHROPIC_BASE_URL": URL,
                "ANTHROPIC_API_KEY": "sk-ant-fake",
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
                "DISABLE_TELEMETRY": "1",
                "DISABLE_ERROR_REPORTING": "1",
                "DISABLE_AUTOUPDATER": "1",
            },
        ),
        Harness(
            "codex",
            ("@openai/codex@0.169.0",),
            ("exec", "--dangerously-bypass-approvals-and-sandbox", "--dangerously-bypass-hook-trust", "{prompt}"),
            {"MOCK_KEY": "fake"},
            {".codex/config.toml": _CODEX},
        ),
        Harness(
            "copilot",
            ("@github/copilot@1.0.102",),
            ("-p", "{prompt}", "--allow-all-tools", "--no-auto-update", "--disable-builtin-mcps", "--no-color"),
            {
                "COPILOT_OFFLINE": "true",
                "COPILOT_PROVIDER_BASE_URL": f"{URL}/v1",
                "COPILOT_PROVIDER_API_KEY": "fake",
                "COPILOT_MODEL": "gpt-4.1",
                "COPILOT_AUTO_UPDATE": "false",
            },
        ),
        Harness(
            "gemini",
            ("@google/gemini-cli@0.61.0",),
            ("-m", "gemini-2.5-pro", "--approval-mode", "yolo", "-p", "{prompt}", "-o", "json"),
            {
                "GOOGLE_GEMINI_BASE_URL": URL,
                "GEMINI_API_KEY": "fake",
                "GEMINI_CLI_TRUST_WORKSPACE": "true",
                "NO_BROWSER": "1",
            },
            {".gemini/settings.json": json.dumps(_GEMINI, indent=2)},
        ),
        Harness(
            "opencode",
            ("opencode-ai@1.18.33", "@opencode-ai/plugin@1.18.33"),
            ("run", "--auto", "--print-logs", "{prompt}"),
            {
                "OPENCODE_DISABLE_AUTOUPDATE": "1",
                "OPENCODE_DISABLE_MODELS_FETCH": "1",
                "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
                "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
            },
            {".config/opencode/opencode.json": json.dumps(_OPENCODE)},
        ),
    )
}


def cache() -> Path:
    """Where packages are kept between runs: GUARD_LIVE_CACHE, else a directory of the account's cache."""
    own = os.environ.get("GUARD_LIVE_CACHE")
    return Path(own) if own else Path(os.path.expanduser("~")) / ".cache" / "git-guard-live"


def installed(harness: Harness, place: Path, environment: dict[str, str]) -> str:
    """Installs the packages where they are not there yet; returns why that failed, "" if it did not."""
    for package in harness.packages:
        directory = place / package.replace("/", "+")
        with open(f"{directory}.lock", "w") as lock:  # several workers of one test run, or several runs
            fcntl.flock(lock, fcntl.LOCK_EX)
            why = "" if (directory / "done").exists() else _install(package, directory, environment)
        if why:
            return why
    return ""


def _install(package: str, directory: Path, environment: dict[str, str]) -> str:
    if shutil.which("npm") is None:
        return "npm is not installed"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    done = subprocess.run(
        ["npm", "install", "--prefix", str(directory), "--no-audit", "--no-fund", package],
        env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        return f"npm install {package} failed: {done.stderr.strip()[-300:]}"
    (directory / "done").touch()
    return ""


class Scene:
    """A repository with guard in it, an account of its own with one program, and what is run there."""

    def __init__(self, harness: Harness, directory: Path, packages: Path) -> None:
        self.harness = harness
        self.directory = directory
        self.packages = packages
        self.home = directory / "home"
        self.repository = directory / "repo"
        for each in (self.home, self.repository, directory / "tmp", directory / "keep"):
            each.mkdir(parents=True)
        for name, text in harness.home.items():
            file = self.home / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self._prepare()
        self.settings_before = self.settings()
        names = {
            "a.txt": "one\ntwo\nthree\n",
            "b.txt": "alpha\nbeta\n",
            "c.txt": "c\n",
            "free.txt": "x\n",
            "AGENTS.md": "notes\n",
        }
        for name, text in names.items():
            (self.repository / name).write_text(text)
        self.sh("git init -q -b main . && git config user.name n && git config user.email n@example.com")
        self.sh("git add -A && git commit -qm first && guard install")
        self.sh(f"guard agent install --user {harness.name}")

    def _prepare(self) -> None:
        """Saves what a program would fetch or unpack anew in each home."""
        if self.harness.name == "copilot":  # it unpacks 235 MB
            shared = self.packages / "copilot-cache"
            shared.mkdir(exist_ok=True)
            (self.home / ".cache").mkdir()
            (self.home / ".cache" / "copilot").symlink_to(shared)
        if self.harness.name == "opencode":  # with a plugin beside it, it waits long for a registry
            plugin = self.packages / self.harness.packages[1].replace("/", "+")
            for name in ("package.json", "package-lock.json"):
                shutil.copy(plugin / name, self.home / ".config/opencode" / name)
            (self.home / ".config/opencode/node_modules").symlink_to(plugin / "node_modules")

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "PATH": f"{Path(sys.prefix) / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "TERM": "dumb",
            "LANG": "C.UTF-8",
            "TMPDIR": str(self.directory / "tmp"),
            "SHELL": "/bin/bash",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GUARD_PATIENCE": "60s",  # a busy machine is no reason for guard to give up earlier than it must
            **self.harness.environment,
        }

    def sh(self, command: str, *, who: str = "", expect: int | None = 0) -> str:
        """Runs a command of a person's, outside of the box."""
        named = {"GUARD_AGENT": who} if who else {}
        done = subprocess.run(
            ["/bin/sh", "-c", command], cwd=self.repository, env={**self.environment, **named},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert expect is None or done.returncode == expect, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def settings(self) -> dict[str, str]:
        """The settings of the program as they are."""
        names = [*self.harness.home, ".claude/settings.json", ".codex/hooks.json", ".copilot/hooks/guard.json"]
        names += [".gemini/settings.json", ".config/opencode/plugins/guard.js"]
        return {name: (self.home / name).read_text() for name in names if (self.home / name).exists()}

    @property
    def binary(self) -> str:
        """The program."""
        directory = self.packages / self.harness.packages[0].replace("/", "+")
        return str(directory / "node_modules" / ".bin" / self.harness.name)

    def play(self, scripts: dict[str, list[Json]], steps: list[Json], *, without: tuple[str, ...] = ()) -> Json:
        """Runs a scenario in the box. A step runs, starts or joins a session, waits for a file, makes one, or is sh.

        ``without`` are words that the program is not started with this time.
        """
        result = self.directory / "result.json"
        spec = {
            "scripts": scripts,
            "steps": steps,
            "port": PORT,
            "command": [self.binary, *(word for word in self.harness.words if word not in without)],
            "cwd": str(self.repository),
            "env": self.environment,
            "directory": str(self.directory),
            "result": str(result),
        }
        file = self.directory / "spec.json"
        file.write_text(json.dumps(spec))
        result.unlink(missing_ok=True)
        inside = str(Path(__file__).parent / "inside.py")
        python = os.path.realpath(sys.executable)
        needed = [str(self.packages), str(self.directory), *box.python_directories()]
        done = box.run(self.directory, [python, "-I", inside, str(file)], needed=needed, timeout=2400)
        assert result.exists(), f"the box failed: {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
        played: Json = json.loads(result.read_text())
        return played
