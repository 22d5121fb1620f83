#!/usr/bin/env python3
"""Holds the rules of style that a compiler and a formatter do not.

For every .h and .cc file of the project:

  - no line is longer than 80 columns (a line with a URL, an #include, or an
    EXPECT pattern of a compile-fail case may be);
  - no tabs, no trailing white space, one newline at the end;
  - no reminders of unfinished work;
  - a public header has fewer than 300 lines, any other file fewer than 600,
    unless the first comment of the file says "long because" and why;
  - a header has the include guard WEFT_<PATH>_H_, has no using-directive, and
    defines only macros that start with WEFT_.

usage: style_test.py --root DIR
       style_test.py --self-test
"""

import argparse
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))

import toolbox  # pylint: disable=wrong-import-position

FOLDERS = ("runtime", "sync", "net", "backends", "tests", "bench", "examples")
LIBRARY = ("runtime/", "sync/", "net/", "backends/")
MAY_BE_LONG = re.compile(
    r"://|^\s*#\s*include|^// EXPECT: |^#(ifndef|define|endif).*_H_$")
REMINDER = re.compile(r"\b(TODO|FIXME|XXX)\b")
MACRO = re.compile(r"^\s*#\s*define\s+(\w+)")


def guard_of(path):
    return "WEFT_" + re.sub(r"\W", "_", path).upper() + "_"


def first_comment(lines):
    comment = []
    for line in lines:
        if not line.startswith("//"):
            break
        comment.append(line.lstrip("/ "))
    return " ".join(comment)


def line_limit(path):
    public = path.endswith(".h") and path.startswith(LIBRARY) \
        and "/internal/" not in path
    return 300 if public else 600


def line_problems(line):
    if len(line) > 80 and not MAY_BE_LONG.search(line):
        yield f"{len(line)} columns"
    if "\t" in line:
        yield "tab"
    if line != line.rstrip():
        yield "trailing white space"
    if REMINDER.search(line):
        yield "reminder of unfinished work"


def header_problems(path, lines):
    guard = guard_of(path)
    directives = [line for line in lines if line.startswith("#")]
    if directives[:2] != [f"#ifndef {guard}", f"#define {guard}"] \
            or not directives[-1].startswith("#endif"):
        yield 1, f"the include guard is not {guard}"
    for number, line in enumerate(lines, 1):
        if re.match(r"\s*using\s+namespace\b", line):
            yield number, "using namespace in a header"
        macro = MACRO.match(line)
        if macro and not macro.group(1).startswith("WEFT_"):
            yield number, f"macro {macro.group(1)} without WEFT_"


def problems_with(path, text):
    """Yields (line number, problem) for the file at `path`."""
    lines = text.split("\n")
    if lines[-1] != "" or text.endswith("\n\n"):
        yield len(lines), "not one newline at the end"
    lines = text.rstrip("\n").split("\n")
    for number, line in enumerate(lines, 1):
        for problem in line_problems(line):
            yield number, problem
    limit = line_limit(path)
    if len(lines) >= limit and "long because" not in first_comment(lines):
        yield len(lines), f"{limit} lines or more, and no word why"
    if path.endswith(".h"):
        yield from header_problems(path, lines)


def check_tree(root):
    for folder in FOLDERS:
        for where, names, files in os.walk(os.path.join(root, folder)):
            names.sort()
            for name in sorted(files):
                if not name.endswith((".h", ".cc")):
                    continue
                path = os.path.relpath(os.path.join(where, name), root)
                with open(os.path.join(root, path), encoding="utf-8") as file:
                    for number, problem in problems_with(path, file.read()):
                        yield f"{path}:{number}: {problem}"


def header(body="", guard="WEFT_SYNC_A_H_"):
    return f"#ifndef {guard}\n#define {guard}\n{body}#endif  // {guard}\n"


SELF_TEST = [
    # path, text, part of the one problem (None: there is none)
    ("sync/a.cc", "int a;\n", None),
    ("sync/a.cc", "x" * 80 + "\n", None),
    ("sync/a.cc", "x" * 81 + "\n", "81 columns"),
    ("sync/a.cc", "é" * 80 + "\n", None),
    ("sync/a.cc", "// https://" + "x" * 80 + "\n", None),
    ("tests/a.cc", "// EXPECT: " + "x" * 80 + "\n", None),
    ("sync/a.cc", '#include "weft/' + "x" * 80 + '.h"\n', None),
    ("sync/a.cc", "\tint a;\n", "tab"),
    ("sync/a.cc", "int a; \n", "trailing"),
    ("sync/a.cc", "int a;", "newline"),
    ("sync/a.cc", "int a;\n\n", "newline"),
    ("sync/a.cc", "// TODO: more\n", "reminder"),
    ("sync/a.cc", "// FIXME\n", "reminder"),
    ("sync/a.cc", "int XXX;\n", "reminder"),
    ("sync/a.cc", "int TODOS;\n", None),
    ("sync/a.cc", "a\n" * 599, None),
    ("sync/a.cc", "a\n" * 600, "600 lines"),
    ("sync/a.cc", "// A table, long because it is.\n" + "a\n" * 600, None),
    ("sync/a.cc", "a\n// long because it is\n" + "a\n" * 600, "600 lines"),
    ("sync/a.h", header(), None),
    ("sync/a.h", header("a\n" * 296), None),
    ("sync/a.h", header("a\n" * 297), "300 lines"),
    ("sync/internal/a.h", header("a\n" * 400, "WEFT_SYNC_INTERNAL_A_H_"), None),
    ("sync/a.h", "int a;\n" + header(), None),
    ("sync/a.h", "#define A\n#endif\n", "guard"),
    ("sync/a.h", "// Only words.\n", "guard"),
    ("sync/a.h", header(guard="WEFT_A_H_"), "guard"),
    ("sync/a.h", header("using namespace weft;\n"), "using namespace"),
    ("sync/a.cc", "using namespace weft;\n", None),
    ("sync/a.h", header("#define WEFT_A 1\n"), None),
    ("sync/a.h", header("#define A 1\n"), "macro A"),
    ("sync/a.h", header("#  define CHECK(x) x\n"), "macro CHECK"),
    ("sync/a.cc", "#define A 1\n", None),
]


def self_test():
    return toolbox.count_wrong(
        (f"{path}: {text[:60]!r}", wanted,
         [problem for _, problem in problems_with(path, text)])
        for path, text, wanted in SELF_TEST)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--root")
    options = parser.parse_args()
    if options.self_test:
        return 1 if self_test() else 0
    problems = list(check_tree(options.root))
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
