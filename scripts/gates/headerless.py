# SPDX-License-Identifier: GPL-2.0-only
"""
Preprocessed C++ text without the bodies of functions that system headers define, for a second
compiler. clang reads what g++ has preprocessed, except for some inline functions of the kernel that
are C in C++'s clothing; and after any error it skips its thread-safety analysis. What our own code
sees of those functions is their declarations, and these stay.

Only bodies at namespace level are taken away, and only where the text comes from a system header
(the line markers say so); the overlay's own templates stay.
"""

import re

TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|\s+|\w+|.')
MARKER = re.compile(r'# \d+ "([^"]*)"((?: \d)*)$')

# What clang refuses in our own text, too, because a kernel macro brought it there: arithmetic on
# void * in container_of(), and bool's typedef, which the overlay cannot take away. No function can be
# in an address space, not even a signal handler in that of the user.
USER = "__attribute__((noderef, address_space(1)))"
REPLACED = (("void *__mptr = (void *)", "char *__mptr = (char *)"), ("typedef bool bool;", ""),
            ("__signalfn_t %s *" % USER, "__signalfn_t *"), ("__restorefn_t %s *" % USER, "__restorefn_t *"))

# The same arithmetic as 7.x writes container_of().
OFFSET = re.compile(r"\(\(void \*\)(?=(\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)) - __builtin_offsetof\()")

# clang knows what a move is by the name std::move alone, and without it says nothing of what was moved from.
MOVE = re.compile(r"template <class T>\s*\[\[nodiscard\]\] constexpr typename RemoveReference<T>::Type &&\s*move\(T &&value\)"
                  r"[^{}]*\{[^{}]*\}")
STD_MOVE = """} namespace std { template <class T>
[[nodiscard]] constexpr typename unidax::RemoveReference<T>::Type &&move(T &&value) noexcept
{ return static_cast<typename unidax::RemoveReference<T>::Type &&>(value);
} } namespace unidax { using std::move;"""


def transparent(declaration):
    """Whether the brace behind these tokens opens a scope at whose level functions are defined."""
    return declaration[:1] == ["namespace"] or declaration[:1] == ["extern"] and declaration[-1].startswith('"C')


def defines_function(declaration):
    return declaration[-1:] == [")"] and "=" not in declaration


def headerless(text):
    """(the text without those bodies, how many they were)"""
    out, bodies = [], 0
    system = False
    scopes = []		# for each open brace: whether it is transparent
    opaque = 0		# how many of them are not
    skipping = 0		# braces open in a body that is taken away
    declaration = []
    for line in text.split("\n"):
        marker = MARKER.match(line)
        if marker:
            system = " 3" in marker[2] and "/core/cxx/overlay/" not in marker[1]
            out.append(line)
            continue
        if line.startswith("#"):
            # A pragma, which is part of no declaration.
            out.append(line)
            continue
        kept = []
        for token in TOKEN.findall(line):
            if skipping:
                if token == "{":
                    skipping += 1
                elif token == "}":
                    skipping -= 1
                    if not skipping:
                        kept.append(";")
                        declaration = []
                continue
            if token.isspace():
                kept.append(token)
                continue
            if token == "{":
                if system and not opaque and defines_function(declaration):
                    skipping = 1
                    bodies += 1
                    continue
                scopes.append(not opaque and transparent(declaration))
                opaque += not scopes[-1]
                declaration = []
            elif token == "}":
                opaque -= not scopes.pop()
                declaration = []
            elif token == ";" and not opaque:
                declaration = []
            elif not opaque:
                declaration.append(token)
            kept.append(token)
        out.append("".join(kept))
    text = "\n".join(out)
    for what, instead in REPLACED:
        text = text.replace(what, instead)
    text = OFFSET.sub("((char *)", text)
    text, moves = MOVE.subn(lambda found: STD_MOVE.replace("\n", " ") + "\n" * found[0].count("\n"), text)
    if moves != 1:
        raise ValueError("core/cxx/utility.hpp has not one move(), but %d" % moves)
    return text, bodies
