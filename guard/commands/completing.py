"""``guard completion`` and what the shells' functions call: words that can stand where the cursor is.

Files are completed by the shell itself. guard adds the commands, their options, and for an argument what only it knows:
numbers and patterns of reservations, and holders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from guard.commands.cursor import ARGUMENTS, FILE_ARGUMENTS, FILES, VALUES, of_store, print_words
from guard.commands.shared import example
from guard.model import EXIT_DONE
from guard.work.here import Here

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


SCRIPTS = {
    "bash": r"""_guard_words() {
    local IFS=$'\n' cur=${COMP_WORDS[COMP_CWORD]} found word
    found=$(guard complete-words -- "${@:1}" 2>/dev/null) || found=files
    COMPREPLY=()
    while read -r word; do
        case $word in
        '') ;;
        files) compopt -o filenames 2>/dev/null; COMPREPLY+=($(compgen -f -- "$cur")) ;;
        *) COMPREPLY+=("$word") ;;
        esac
    done <<<"$found"
}
_guard() { _guard_words "${COMP_WORDS[@]:1:COMP_CWORD}"; }
_git_guard() {
    local at
    for ((at = 1; at < COMP_CWORD; at++)); do [[ ${COMP_WORDS[at]} == guard ]] && break; done
    _guard_words "${COMP_WORDS[@]:at+1:COMP_CWORD-at}"
}
complete -F _guard guard git-guard
""",
    "zsh": r"""#compdef guard git-guard
_guard() {
    local -a found
    local from=2
    [[ $words[1] == git ]] && from=3
    found=("${(@f)$(guard complete-words -- "${(@)words[from,CURRENT]}" 2>/dev/null)}")
    if (( ${found[(Ie)files]} )); then
        found=("${(@)found:#files}")
        _files
    fi
    found=("${(@)found:#}")
    (( $#found )) && compadd -- "${(@)found}"
}
_git-guard() { _guard; }
zstyle ':completion:*:*:git:*' user-commands guard:'reserve paths, ask who holds them'
compdef _guard guard git-guard
""",
    "fish": r"""function __guard_words
    set -l words (commandline -opc) (commandline -ct)
    set -l from 2
    test "$words[1]" = git; and set from 3
    set -l found (guard complete-words -- $words[$from..-1] 2>/dev/null)
    contains files $found; and __fish_complete_path (commandline -ct)
    string match -v files -- $found
end
complete -c guard -f -a '(__guard_words)'
complete -c git-guard -f -a '(__guard_words)'
complete -c git -n '__fish_seen_subcommand_from guard' -f -a '(__guard_words)'
""",
}
"""For each shell, functions that ask ``guard complete-words`` with the words up to the cursor."""

_FILES_TOO = (*FILE_ARGUMENTS, "log", "store")


@click.command()
@click.argument("shell", type=click.Choice(list(SCRIPTS)))
@example(
    'eval "$(guard completion bash)"             in ~/.bashrc',
    'eval "$(guard completion zsh)"              in ~/.zshrc, after compinit',
    "guard completion fish | source              in ~/.config/fish/config.fish",
)
def completion(shell: str) -> int:
    """Print what makes a shell complete guard's words: commands, options, and who and what is reserved."""
    click.echo(SCRIPTS[shell], nl=False)
    return EXIT_DONE


@click.command(hidden=True, name="complete-words", context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
@example("guard complete-words -- release ''")
def complete_words(context: click.Context, words: tuple[str, ...]) -> int:
    """Print the words that can stand in place of the last one; for the shells' functions."""
    group = context.parent.command if context.parent else None
    assert isinstance(group, click.Group)
    *before, current = words or ("",)
    while before[:1] == ["-C"]:
        before = before[2:]
    return print_words(_candidates(context, group, before, current), current)


def _candidates(context: click.Context, group: click.Group, before: list[str], current: str) -> Iterator[str]:
    names = [name for name in before if not name.startswith("-")]
    if not names:
        yield from group.list_commands(context)
        yield from ("--help", "--version", "-C") if current.startswith("-") else ()
        return
    command = group.get_command(context, names[0])
    if isinstance(command, click.Group):
        yield from _candidates(context, command, before[before.index(names[0]) + 1 :], current)
        return
    if command is None:
        yield FILES
        return
    options = [each for each in command.params if isinstance(each, click.Option)]
    waiting = [each for each in options if before[-1] in each.opts and not each.is_flag]
    if waiting:
        yield from _values(context.obj, waiting[0].opts, names[0], current)
    elif current.startswith("-"):
        yield from (name for each in options for name in each.opts if name.startswith("--"))
        yield "--help"
    else:
        yield from _arguments(context.obj, command, names[0], current)


def _values(here: Here, option: Sequence[str], command: str, current: str) -> Iterator[str]:
    """What can follow an option."""
    asked = next((VALUES[command, name] for name in option if (command, name) in VALUES), None)
    if asked:
        yield from of_store(here, *asked, current)
    elif "--event" in option:
        yield from ("reserved", "renewed", "released", "expired", "broken", "refused", "warned", "bypassed")
    elif "--path" in option:
        yield FILES


def _arguments(here: Here, command: click.Command, name: str, current: str) -> Iterator[str]:
    choices = [each.type for each in command.params if isinstance(each.type, click.Choice)]
    if choices:
        yield from map(str, choices[0].choices)
    elif name in ARGUMENTS:
        yield from of_store(here, *ARGUMENTS[name], current)
    if name in _FILES_TOO or command.name in ("backup", "restore", "move"):
        yield FILES
