#!/usr/bin/env python3
"""Compiles, and where it can be run runs, the C++ code in the documents.

Documents are README.md and docs/*.md. What happens to a fenced block is said
by the words after the opening ```:

  cpp, with an "int main"   a whole program: compiled and linked as it is. If
                            a block "text output" follows directly, the
                            program is run and must print exactly that.
  cpp                       declarations: compiled as they are, after an
                            #include of every public header.
  cpp body                  statements: the same, inside
                              absl::Status Snippet(B& io) { ... }
                            where B is weft::Threaded.
  cpp wrong                 declarations that must be refused.

usage: readme_test.py --compiler CXX --pkg-config-path DIR --root DIR
                      --headers FILE...
       readme_test.py --compiler CXX --self-test
"""

import argparse
import concurrent.futures
import dataclasses
import glob
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
sys.dont_write_bytecode = True
import toolbox  # pylint: disable=wrong-import-position

FENCE = re.compile(r"^```(.*)$")
RUN_TIMEOUT_S = 60


@dataclasses.dataclass
class Block:
    document: str
    line: int
    info: str
    text: str
    output: str = None  # of a program; None: do not run it


@dataclasses.dataclass
class Toolchain:
    compile: list
    link: list
    prologue: str


def blocks_in(document, text):
    """The fenced blocks, in order; a "text output" joins the one before it."""
    blocks = []
    block = None
    adjacent = False
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if block is None and fence:
            block = Block(document, number + 1, fence.group(1).strip(), "")
        elif block is None:
            adjacent = adjacent and not line.strip()
        elif not fence:
            block.text += line + "\n"
        elif block.info == "text output" and adjacent:
            blocks[-1].output = block.text
            block = None
            adjacent = False
        else:
            blocks.append(block)
            block = None
            adjacent = True
    if block is not None:
        blocks.append(block)
    return blocks


def source_of(block, prologue):
    position = f'#line {block.line} "{block.document}"\n'
    if re.search(r"\bint main\b", block.text):
        return position + block.text
    if block.info == "cpp body":
        return (f"{prologue}using B = weft::Threaded;\n"
                "absl::Status Snippet([[maybe_unused]] B& io) {\n"
                f"{position}{block.text}return absl::OkStatus();\n}}\n")
    return prologue + position + block.text


def problem_with(block, toolchain):
    """What is wrong with a block; None if nothing is."""
    where = f"{block.document}:{block.line}: "
    if block.info == "text output":
        return where + "no program stands directly before this output"
    if block.info.split(" ")[0] != "cpp":
        return None
    if block.info not in ("cpp", "cpp body", "cpp wrong"):
        return where + f'unknown kind of block "{block.info}"'
    program = re.search(r"\bint main\b", block.text)
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "block.cc")
        binary = os.path.join(folder, "block")
        with open(source, "w", encoding="utf-8") as file:
            file.write(source_of(block, toolchain.prologue))
        how = ["-o", binary, source, *toolchain.link] if program \
            else ["-fsyntax-only", source]
        status, output = toolbox.execute([*toolchain.compile, *how])
        if block.info == "cpp wrong":
            return where + "it compiles" if status == 0 else None
        if status != 0:
            return where + f"it does not compile:\n{output}"
        if block.output is None:
            return None
        return problem_with_run(block, where, binary, folder)


def problem_with_run(block, where, binary, folder):
    try:
        status, output = toolbox.execute([binary], cwd=folder,
                                         timeout=RUN_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return where + "the program does not end"
    if status != 0:
        return where + f"exit status {status}:\n{output}"
    if output != block.output:
        return where + f"it prints:\n{output}and not:\n{block.output}"
    return None


def problems_in(documents, toolchain):
    blocks = [block for name, text in documents
              for block in blocks_in(name, text)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda block: problem_with(block, toolchain), blocks)
        return [problem for problem in found if problem]


MAIN = "#include <cstdio>\nint main() { std::puts(\"hi\"); }\n"
SELF_TEST = [
    # document, part of the one problem (None: there is none)
    ("No code.\n", None),
    ("```sh\nls\n```\n", None),
    ("```cpp\nint a = kPrologue;\n```\n", None),
    ("```cpp\nint a = kUnknown;\n```\n", "doc.md:2: it does not compile"),
    ("```cpp body\nio.Use();\n```\n", None),
    ("```cpp body\nio.Misuse();\n```\n", "does not compile"),
    ("```cpp wrong\nint a = kUnknown;\n```\n", None),
    ("```cpp wrong\nint a = kPrologue;\n```\n", "it compiles"),
    ("```cpp nonsense\nint a;\n```\n", "unknown kind"),
    (f"```cpp\n{MAIN}```\n", None),
    (f"```cpp\n{MAIN}```\nprints\n", None),
    (f"```cpp\n{MAIN}```\n\n```text output\nhi\n```\n", None),
    (f"```cpp\n{MAIN}```\n\n```text output\nho\n```\n", "it prints:\nhi"),
    (f"```cpp\n{MAIN}```\nwords\n```text output\nhi\n```\n", "no program"),
    ("```cpp\nint main() { return 3; }\n```\n```text output\n```\n",
     "exit status 3"),
    ("```cpp\nint main() { return a; }\n```\n", "does not compile"),
]
SELF_TEST_PROLOGUE = """
inline constexpr int kPrologue = 1;
namespace absl { struct Status {}; inline Status OkStatus() { return {}; } }
namespace weft { struct Threaded { void Use(); }; }
"""


def self_test(compiler):
    toolchain = Toolchain([compiler, "-std=c++20"], [], SELF_TEST_PROLOGUE)
    return toolbox.count_wrong(
        (text, wanted, problems_in([("doc.md", text)], toolchain))
        for text, wanted in SELF_TEST)


def prologue_of(root, headers):
    lines = []
    for header in headers:
        path = os.path.relpath(os.path.realpath(header), os.path.realpath(root))
        lines.append(f'#include "weft/{path}"\n')
    return "".join(lines)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--pkg-config-path")
    parser.add_argument("--root")
    parser.add_argument("--headers", nargs="*", default=[])
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        return 1 if self_test(options.compiler) else 0

    path = options.pkg_config_path
    build = os.path.dirname(path)
    toolchain = Toolchain(
        [options.compiler, "-std=c++20",
         *toolbox.pkg_config(path, "--cflags", "weft_flags")],
        [*toolbox.pkg_config(path, "--libs", "weft_flags"),
         f"-Wl,-rpath,{build}", "-pthread"],
        prologue_of(options.root, options.headers))
    documents = []
    for name in [os.path.join(options.root, "README.md"),
                 *sorted(glob.glob(os.path.join(options.root, "docs/*.md")))]:
        if os.path.exists(name):
            with open(name, encoding="utf-8") as file:
                documents.append((os.path.relpath(name, options.root),
                                  file.read()))
    problems = problems_in(documents, toolchain)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
