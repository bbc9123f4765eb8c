"""What runs in the box: the scripted model, and the steps of a scenario. ``inside.py SPEC.json`` writes result.json."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from tests.live import model

PATIENCE_S = 500
"""How long a session may take, and how long a file may be waited for: nothing that works takes so long, also on a busy
machine."""


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        spec = json.load(file)
    scripted = model.Model(spec["scripts"])
    model.serve(scripted, spec["port"])
    running: dict[str, subprocess.Popen[bytes]] = {}
    ended: dict[str, dict[str, Any]] = {}
    for step in spec["steps"]:
        what, name = next(iter(step.items()))
        began = time.monotonic()
        if what in ("run", "start"):
            running[name] = started(spec, name)
        if what in ("run", "join"):
            ended[name] = joined(spec, name, running.pop(name))
            ended[name]["seconds"] = round(time.monotonic() - began, 2)
        elif what == "until":
            while not os.path.exists(name) and time.monotonic() < began + PATIENCE_S:
                if all(process.poll() is not None for process in running.values()):
                    break  # nobody is left who could make the file
                time.sleep(0.02)
        elif what == "touch":
            open(name, "w").close()
        elif what == "sh":
            done = subprocess.run(
                ["/bin/sh", "-c", name], cwd=spec["cwd"], env={**spec["env"], **step.get("env", {})},
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            ended[step.get("name", name)] = {"code": done.returncode, "out": done.stdout, "err": done.stderr}
    with open(spec["result"], "w", encoding="utf-8") as file:
        json.dump({"ended": ended, "seen": scripted.seen, "said": scripted.said, "used": scripted.used}, file)


def started(spec: dict[str, Any], name: str) -> subprocess.Popen[bytes]:
    command = [word.replace("{prompt}", f"Please work on {name} now.") for word in spec["command"]]
    with open(f"{spec['directory']}/{name}.out", "wb") as out, open(f"{spec['directory']}/{name}.err", "wb") as err:
        return subprocess.Popen(
            command, cwd=spec["cwd"], env=spec["env"], stdin=subprocess.DEVNULL, stdout=out, stderr=err
        )


def joined(spec: dict[str, Any], name: str, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    try:
        code: int | str = process.wait(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        code = f"no end after {PATIENCE_S} s"
    told = {}
    for kind in ("out", "err"):
        with open(f"{spec['directory']}/{name}.{kind}", encoding="utf-8", errors="replace") as file:
            told[kind] = file.read()[-20_000:]
    return {"code": code, **told}


if __name__ == "__main__":
    main()
