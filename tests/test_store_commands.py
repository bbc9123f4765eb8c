"""guard store: shown, saved, brought back and moved, and the hooks go on judging by what is there."""

from __future__ import annotations

from pathlib import Path

from tests.support.repositories import Repository


def test_saved_and_brought_back(repository: Repository, tmp_path: Path) -> None:
    repository.guard("reserve", "src", who="alice")
    shown = repository.guard("store", "show", "--json").json()
    assert (shown["kind"], shown["reservations"], shown["writable"]) == ("sqlite", 1, True)
    file = tmp_path / "saved.db"
    repository.guard("store", "backup", str(file))
    assert "exists" in repository.guard("store", "backup", str(file), expect=3).text
    repository.guard("reserve", "docs", who="alice")
    repository.guard("release", "src", who="alice")
    done = repository.guard("store", "restore", str(file), "--json").json()
    assert done["active"] == 1
    assert Path(done["kept"]).is_file()
    assert [row["pattern"] for row in repository.guard("list", "--json").json()["reservations"]] == ["/src"]
    repository.commit("src/b.py", who="bob", expect=1)
    repository.commit("docs/x.md", who="bob", expect=1)  # src/b.py is still staged


def test_a_damaged_store_is_brought_back(repository: Repository, tmp_path: Path) -> None:
    repository.guard("reserve", "src", who="alice")
    repository.guard("store", "backup", str(tmp_path / "saved.db"))
    store = Path(repository.guard("store", "show", "--json").json()["store"])
    store.write_bytes(b"no database at all, " * 500)
    repository.guard("list", expect=3)
    repository.guard("store", "restore", str(tmp_path / "saved.db"))
    assert b"/src" in repository.guard("list").out


def test_moved_while_others_are_at_the_old_place(repository: Repository, tmp_path: Path) -> None:
    repository.guard("reserve", "src", who="alice")
    target = tmp_path / "elsewhere" / "guard.db"
    done = repository.guard("store", "move", str(target), "--json").json()
    assert done["to"] == str(target)
    assert done["next"][0] == f"git config --global guard.db {target}"
    repository.commit("src/b.py", who="bob", expect=1)
    repository.guard("reserve", "docs", who="alice")
    assert repository.guard("store", "show", "--json", env={"GUARD_DB": str(target)}).json()["reservations"] == 2
    assert "exists" in repository.guard("store", "move", str(target), expect=3).text
