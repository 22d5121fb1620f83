#!/usr/bin/env python3
"""Compares docs/errors.md with the sources.

In its table of errors, `errno` and `code` of a row must go together in
runtime/status.cc, and the test that a row names must exist; every test of
tests/conformance/tcp_errors_test.cc must be named.

usage: errors_doc_test.py --root DIR
"""

import argparse
import os
import re
import sys

ROW = re.compile(r"^\| (?P<call>[^|]+) \| (?P<errno>[^|]+) \| (?P<code>[^|]+) "
                 r"\| [^|]+ \| [^|]+ \| (?P<test>[^|]+) \|$")
CODE = re.compile(r"\{(E[A-Z0-9]+), StatusCode::k(\w+),")
TEST = re.compile(r"^(?:TYPED_TEST|TEST_F)\((\w+),\s+(\w+)\)", re.MULTILINE)
NO_ERRNO = "–"
NOT_PROVOKED = "–"


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


def tests_in(root, path):
    return {f"{suite}.{name}" for suite, name in TEST.findall(read(root, path))}


def codes(root):
    """The code of each errno, spelled as in the table."""
    return {error: re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()
            for error, name in CODE.findall(read(root, "runtime/status.cc"))}


def problems(root):
    known = codes(root)
    conformance = os.path.join(root, "tests", "conformance")
    tests = set()
    for name in sorted(os.listdir(conformance)):
        if name.startswith("tcp_") and name.endswith("_test.cc"):
            tests |= tests_in(root, f"tests/conformance/{name}")
    named = set()
    rows = 0
    for number, line in enumerate(read(root, "docs/errors.md").split("\n"), 1):
        match = ROW.match(line)
        if not match or match["errno"] in ("errno", "---"):
            continue
        rows += 1
        where = f"docs/errors.md:{number}"
        for error in match["errno"].split(", "):
            if error != NO_ERRNO and known.get(error) != match["code"]:
                yield f"{where}: {error} is {known.get(error)}"
        if match["test"] == NOT_PROVOKED:
            continue
        test = match["test"].strip("`")
        named.add(test)
        if test not in tests:
            yield f"{where}: there is no test {test}"
    if rows == 0:
        yield "docs/errors.md: no row of the table was found"
    errors_test = "tests/conformance/tcp_errors_test.cc"
    for test in sorted(tests_in(root, errors_test) - named):
        yield f"{errors_test}: no row of docs/errors.md names {test}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", required=True)
    found = list(problems(parser.parse_args().root))
    for problem in found:
        print(problem)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
