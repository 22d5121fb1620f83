#!/usr/bin/env python3
"""Checks that wrong code is refused, and refused with the right words.

A case is one file, compiled twice:

  - as it is: it must be refused, and every pattern of its EXPECT lines must
    be found in what the compiler says;
  - with WEFT_CONTROL defined: it must compile. This is the same use done
    right, so that a case cannot be refused for a reason of its own.

For example:

  // EXPECT: weft: this Mutex belongs to .*Threaded
  #include "weft/sync/mutex.h"
  #ifdef WEFT_CONTROL
  void Use(weft::Threaded& io, weft::Mutex<weft::Threaded>& m) { m.Lock(io); }
  #else
  void Use(weft::Evented& io, weft::Mutex<weft::Threaded>& m) { m.Lock(io); }
  #endif

A discarded [[nodiscard]] result counts as refused. A line "// FLAGS: ..." adds
flags of the compiler.

usage: compile_fail.py --compiler CXX --pkg-config-path DIR
           [--precompiled PCH] CASE
       compile_fail.py --compiler CXX --pkg-config-path DIR
           --precompile PCH --depfile FILE HEADER
       compile_fail.py --compiler CXX --self-test
"""

import argparse
import os
import re
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
sys.dont_write_bytecode = True
import toolbox  # pylint: disable=wrong-import-position

LANGUAGE = ["-std=c++20"]
CHECK = ["-fsyntax-only", "-Werror=unused-result"]


def problems_with(compile_command, case):
    """Why the case does not prove what it claims; empty if it does."""
    with open(case, encoding="utf-8") as file:
        text = file.read()
    patterns = re.findall(r"^// EXPECT: (.+)$", text, re.MULTILINE)
    if not patterns:
        return ["it has no EXPECT line"]
    if "WEFT_CONTROL" not in text:
        return ["it has no WEFT_CONTROL part"]

    for flags in re.findall(r"^// FLAGS: (.+)$", text, re.MULTILINE):
        compile_command = [*compile_command, *flags.split()]

    problems = []
    status, output = toolbox.execute([*compile_command, "-DWEFT_CONTROL", case])
    if status != 0:
        problems.append(f"the control does not compile:\n{output}")
    status, output = toolbox.execute([*compile_command, case])
    if status == 0:
        return problems + ["it compiles"]
    for pattern in patterns:
        if not re.search(pattern, output):
            problems.append(f"no match for EXPECT: {pattern}\nin:\n{output}")
    return problems


SELF_TEST = [
    # text, part of the one problem (None: there is none)
    ("// EXPECT: bad idea\n#ifndef WEFT_CONTROL\n"
     'static_assert(false, "bad idea");\n#endif\n', None),
    ("// EXPECT: bad idea\n// EXPECT: worse\n#ifndef WEFT_CONTROL\n"
     'static_assert(false, "bad idea, worse");\n#endif\n', None),
    ("// EXPECT: unused\n[[nodiscard]] int F();\n#ifdef WEFT_CONTROL\n"
     "int x = F();\n#else\nvoid G() { F(); }\n#endif\n", None),
    ("// EXPECT: bad idea\n// FLAGS: -DBAD -DIDEA\n#ifndef WEFT_CONTROL\n"
     '#if defined(BAD) && defined(IDEA)\n#error bad idea\n#endif\n#endif\n',
     None),
    ("// EXPECT: bad idea\n#ifndef WEFT_CONTROL\nint a;\n#endif\n",
     "it compiles"),
    ("// EXPECT: bad idea\n#ifndef WEFT_CONTROL\n"
     'static_assert(false, "another");\n#endif\n', "no match for EXPECT: bad"),
    ("// EXPECT: one\n// EXPECT: two\n#ifndef WEFT_CONTROL\n"
     'static_assert(false, "one");\n#endif\n', "no match for EXPECT: two"),
    ("// EXPECT: bad idea\n#ifdef WEFT_CONTROL\nint 1;\n#endif\n"
     'static_assert(false, "bad idea");\n', "the control does not compile"),
    ("// EXPECT: bad idea\n" 'static_assert(false, "bad idea");\n',
     "no WEFT_CONTROL"),
    ("#ifndef WEFT_CONTROL\n" 'static_assert(false, "bad");\n#endif\n',
     "no EXPECT"),
]


def self_test(compile_command):
    with tempfile.TemporaryDirectory() as folder:
        case = os.path.join(folder, "case.cc")

        def problems_in(text):
            with open(case, "w", encoding="utf-8") as file:
                file.write(text)
            return problems_with(compile_command, case)

        return toolbox.count_wrong((text, wanted, problems_in(text))
                                   for text, wanted in SELF_TEST)


def include_precompiled(compiler, path):
    if "clang" in compiler:
        return ["-include-pch", path]
    # GCC looks for <name>.gch where a header of that name would be.
    return ["-Winvalid-pch", "-include", os.path.splitext(path)[0]]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--pkg-config-path")
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--precompile", metavar="PCH")
    parser.add_argument("--depfile", metavar="FILE")
    parser.add_argument("--precompiled", metavar="PCH")
    parser.add_argument("source", nargs="?")
    options = parser.parse_args()
    if not shutil.which(options.compiler):
        print(f"{options.compiler} is missing")
        return 1
    command = [options.compiler, *LANGUAGE]
    if options.self_test:
        return 1 if self_test(command + CHECK) else 0
    command += toolbox.pkg_config(options.pkg_config_path, "--cflags", "weft_flags")
    if options.precompile:
        status, output = toolbox.execute(
            [*command, "-x", "c++-header", options.source,
             "-MD", "-MF", options.depfile, "-MT", options.precompile,
             "-o", options.precompile])
        print(output, end="")
        return status
    if options.precompiled:
        command += include_precompiled(options.compiler, options.precompiled)
    problems = problems_with(command + CHECK, options.source)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
