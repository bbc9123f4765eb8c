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
    local IFS=$'\n' line=$COMP_LINE at cur found word parted='' quote='' breaks=${COMP_WORDBREAKS//[^@:=]/}
    local -a words=()
    for ((at = 0; at <= COMP_CWORD; at++)); do
        word=${COMP_WORDS[at]} cur=${line%%[![:space:]]*}
        if ((at)) && [[ -z $cur ]]; then words[${#words[@]} - 1]+=$word; else words+=("$word"); fi
        line=${line#"$cur"}
        line=${line#"$word"}
    done
    for ((at = 1; at < ${#words[@]}; at++)); do
        [[ $1 == guard || ${words[at - 1]} == guard ]] && break
    done
    ((at < ${#words[@]})) || return
    cur=${words[${#words[@]} - 1]}
    words=("${words[@]:at:${#words[@]}-at-1}")
    for at in "${!words[@]}"; do IFS= read 'words[at]' <<<"${words[at]//[\'\"]/}"; done
    case $cur in
    \'* | \"*) quote=${cur:0:1} cur=${cur:1} ;;
    *) parted=${breaks:+${cur%"${cur##*["$breaks"]}"}} parted=${parted%@} && IFS= read cur <<<"$cur" ;;
    esac
    found=$(guard complete-words -- "${words[@]}" "$cur" 2>/dev/null) || found=files
    COMPREPLY=()
    if [[ $found == files ]]; then
        compopt -o default 2>/dev/null && return
        found=$(compgen -f -- "$cur")
    fi
    while IFS= read -r word; do
        case $quote in
        \') word=${word//\'/\'\\\'\'} ;;
        \") word=${word//\\/\\\\} word=${word//\"/\\\"} word=${word//\$/\\\$} word=${word//\`/\\\`} ;;
        *) [[ -z $word ]] || printf -v word %q "$word" ;;
        esac
        [[ -z $word ]] || COMPREPLY+=("${word#"$parted"}")
    done <<<"$found"
}
_guard() { _guard_words guard; }
_git_guard() { _guard_words git; }
complete -F _guard guard git-guard
""",
    "zsh": r"""#compdef guard git-guard
_guard() {
    local -a found before
    local from=2 current=${(Q)PREFIX-$words[CURRENT]}
    [[ $words[1] == git ]] && from=3
    before=("${(@Q)words[from,CURRENT-1]}")
    found=("${(@f)$(guard complete-words -- "${(@)before}" "$current" 2>/dev/null)}")
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
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l from 2
    test "$words[1]" = git; and set from 3
    switch "$current"
        case '\'*' '"*'
            set current (string sub -s 2 -- $current)
        case '*'
            set current (string unescape -- $current)
    end
    guard complete-words -- $words[$from..-1] "$current" 2>/dev/null | string match -v files
end
function __guard_takes_files
    set -l words (commandline -opc)
    contains -- "$words[-1]" --path -C; and return
    for word in reserve check hold list store
        contains -- $word $words; and return
    end
    return 1
end
complete -c guard -f -a '(__guard_words)'
complete -c guard -n __guard_takes_files -F
complete -c git-guard -w guard
complete -c git -n '__fish_seen_subcommand_from guard' -f -a '(__guard_words)'
complete -c git -n '__fish_seen_subcommand_from guard; and __guard_takes_files' -F
""",
}
"""For each shell, functions that ask ``guard complete-words`` with the words up to the cursor, without their quotes.

What it answers are bare words, which others may have chosen: a holder may be called ``$(rm x)``. zsh and fish quote
what they put into the command line. bash does not, so its function does. bash also cuts words at the signs of
COMP_WORDBREAKS and replaces only the last piece; of these, "@" belongs to the piece behind it. Where files are wanted,
each shell completes them itself, as it does for any command.
"""

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
    while before[:1] == ["-C"] and len(before) > 1:
        before = before[2:]
    option, equals, value = current.partition("=")
    if equals and option.startswith("--"):
        found = (word for word in _candidates(context, group, [*before, option], value) if word != FILES)
        return print_words((f"{option}={word}" for word in found), current)
    return print_words(_candidates(context, group, before, current), current)


def _candidates(context: click.Context, group: click.Group, before: list[str], current: str) -> Iterator[str]:
    names = [name for name in before if not name.startswith("-")]
    if before == ["-C"]:
        yield FILES
        return
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
