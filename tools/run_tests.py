#!/usr/bin/env python3
"""Builds and tests weft in one configuration or several.

tools/test installs the packages and hands over to this script. Each
configuration has a build folder of its own, build/<config>. Every failure on
the way to a verdict (a missing compiler, a failed build, a crash, a run
without tests) counts as a failed test. The last line printed is
"N passed, N failed".
"""

import argparse
import dataclasses
import glob
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOURCE_SUITES = {"arrows", "style", "compile_fail", "codegen"}
USER_SUITES = {"readme", "installed"}
# Long searches on one thread.
SIM_SUITES = {"bugs"}
# Lines for backtraces, which is half of what -g writes.
SHORT_DEBUG = "-Dcpp_args=-g1"
SANITIZE = ["-Db_lundef=false", "-Doptimization=1"]
# The vptr check probes memory through a pipe, and so reports errors where tests
# leave the process without descriptors.
NO_VPTR = [SHORT_DEBUG + " -fno-sanitize=vptr"]
MAX_OUTPUT_LINES = 400
# How long the storm of the conformance suite lasts, in seconds.
STORM = "WEFT_TEST_STORM_SECONDS"


@dataclasses.dataclass
class Config:
    compiler: str
    setup: list
    # Suites that say nothing new here; they run if named on the command line.
    skip: set = dataclasses.field(default_factory=set)
    test: list = dataclasses.field(default_factory=list)
    # How much longer than on the first configuration a test may take.
    patience: int = 1
    environment: dict = dataclasses.field(default_factory=dict)
    fixed_addresses: bool = False


CONFIGS = {
    # The library as users build it, the tests as they build faster.
    "gcc": Config("g++",
                  ["-Dwerror=true", "-Dtest_optimization=1", SHORT_DEBUG]),
    "clang": Config("clang++-14",
                    ["-Dwerror=true", "-Dtest_optimization=0", SHORT_DEBUG],
                    skip=SOURCE_SUITES | SIM_SUITES),
    "clang16": Config("clang++-16", ["-Dwerror=true"], skip=SOURCE_SUITES),
    "asan": Config(
        "clang++-14",
        ["-Db_sanitize=address,undefined", *SANITIZE, *NO_VPTR],
        skip=SOURCE_SUITES | USER_SUITES,
        patience=3,
        environment={
            "ASAN_OPTIONS": "detect_stack_use_after_return=1",
            "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        },
        fixed_addresses=True,
    ),
    "tsan": Config(
        "clang++-14",
        ["-Db_sanitize=thread", *SANITIZE, SHORT_DEBUG],
        skip=SOURCE_SUITES | USER_SUITES | SIM_SUITES,
        patience=5,
        environment={
            # Children that tests fork start threads, too.
            "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1:"
                            "die_after_fork=0",
        },
        fixed_addresses=True,
    ),
    "valgrind": Config(
        "g++",
        ["-Dwerror=true"],
        skip=SOURCE_SUITES | USER_SUITES,
        test=["--wrapper", os.path.join(ROOT, "tools", "on_valgrind")],
        patience=20,
        environment={"WEFT_TEST_TIME_LIMIT": "600"},
    ),
}
ALL = ["gcc", "clang", "asan", "tsan"]


class Failure(Exception):
    """Why a configuration could not be tested."""


@dataclasses.dataclass
class Total:
    passed: int = 0
    failed: list = dataclasses.field(default_factory=list)
    skipped: int = 0

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def line(self):
        return f"{self.passed} passed, {len(self.failed)} failed"


def run(command, failure, environment=None):
    if subprocess.run(command, cwd=ROOT, env=environment,
                      stdin=subprocess.DEVNULL, check=False).returncode != 0:
        raise Failure(failure)


def build(name, quiet):
    """Configures (once) and builds; returns the build folder."""
    config = CONFIGS[name]
    for tool in (config.compiler, "meson", "ninja"):
        if not shutil.which(tool):
            raise Failure(f"{tool} is missing")
    folder = os.path.join(ROOT, "build", name)
    stamp = os.path.join(folder, "setup.json")
    setup = ["meson", "setup", folder, *config.setup]
    if not same_setup(stamp, [config.compiler, *setup]):
        shutil.rmtree(folder, ignore_errors=True)
        run(setup, "meson setup failed",
            {**os.environ, "CXX": config.compiler, "CC": c_compiler(config)})
        with open(stamp, "w", encoding="utf-8") as file:
            json.dump([config.compiler, *setup], file)
    jobs = str(len(os.sched_getaffinity(0)))
    run(["ninja", "-C", folder, "-j", jobs] + (["--quiet"] if quiet else []),
        "the build failed")
    return folder


def c_compiler(config):
    return config.compiler.replace("clang++", "clang").replace("g++", "gcc")


def same_setup(stamp, setup):
    try:
        with open(stamp, encoding="utf-8") as file:
            return json.load(file) == setup
    except (OSError, ValueError):
        return False


def tests_of(name, folder, suites):
    """The tests to run: {"weft:<suite> / <test>": description}."""
    found = subprocess.run(["meson", "introspect", "--tests", folder],
                           cwd=ROOT, check=True, capture_output=True).stdout
    tests = {}
    known = set()
    for test in json.loads(found):
        suite = test["suite"][0].removeprefix("weft:")
        known.add(suite)
        wanted = suite in suites if suites else suite not in CONFIGS[name].skip
        if wanted and test["suite"][0].startswith("weft:"):
            tests[f"weft:{suite} / {test['name']}"] = {**test, "suite": suite}
    for suite in suites:
        if suite not in known:
            raise Failure(f"there is no suite {suite}; the suites are "
                          + ", ".join(sorted(known)))
    return tests


def environment_of(name, test=None):
    extra = test["env"] if test else {}
    return {**os.environ, **CONFIGS[name].environment, **extra}


def launcher_of(name):
    """Sanitizer run times older than the kernel need a fixed address space."""
    if not CONFIGS[name].fixed_addresses:
        return []
    launcher = ["setarch", platform.machine(), "-R"]
    try:
        usable = subprocess.run([*launcher, "true"], check=False,
                                capture_output=True).returncode == 0
    except OSError:
        usable = False
    return launcher if usable else []


def list_tests(name, suites):
    folder = build(name, quiet=True)
    for test in tests_of(name, folder, suites).values():
        if test["protocol"] != "gtest":
            print(f"{test['suite']}: {test['name']}")
            continue
        listing = subprocess.run(
            [*launcher_of(name), *test["cmd"], "--gtest_list_tests"],
            env=environment_of(name, test), cwd=folder,
            capture_output=True, text=True, check=False)
        if listing.returncode != 0:
            raise Failure(f"{test['name']} cannot list its tests")
        group = ""
        for line in listing.stdout.splitlines():
            line = line.split("#")[0].rstrip()
            if line.startswith("  "):
                print(f"{test['suite']}: {group}{line.strip()}")
            elif line.endswith("."):
                group = line


def logs(folder, kind):
    """Meson's logs of the last run; their names tell the wrapper, if any."""
    return glob.glob(os.path.join(folder, "meson-logs", f"testlog*.{kind}"))


def gtest_cases(folder, name):
    """The cases that the finished GoogleTest program reported."""
    prefix = f"weft.{name}."
    for path in logs(folder, "junit.xml"):
        for suite in ElementTree.parse(path).getroot().iter("testsuite"):
            if suite.get("name").startswith(prefix):
                group = suite.get("name").removeprefix(prefix)
                for case in suite.iter("testcase"):
                    yield f"{group}.{case.get('name')}", case


def count_cases(folder, name, total):
    for case_name, case in gtest_cases(folder, name):
        if case.find("failure") is not None or case.find("error") is not None:
            total.failed.append(f"{name}: {case_name}")
        elif case.find("skipped") is not None:
            total.skipped += 1
        elif case.get("status") != "notrun":
            total.passed += 1


def count_unfinished(test, total):
    """Counts from its output a GoogleTest program that did not end well."""
    output = test.get("stdout", "")
    total.passed += len(re.findall(r"^\[       OK \]", output, re.MULTILINE))
    for case in re.findall(r"^\[  FAILED  \] (\S+) \(", output, re.MULTILINE):
        total.failed.append(f"{test['name']}: {case}")
    started = re.findall(r"^\[ RUN      \] (\S+)", output, re.MULTILINE)
    where = f" in or after {started[-1]}" if started else ""
    total.failed.append(f"{test['name']}: {how_it_ended(test)}{where}")


def how_it_ended(test):
    code = test["returncode"]
    if test["result"] == "TIMEOUT":
        return "timed out"
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit status {code}"


def count(folder, protocol, test):
    total = Total()
    result = test["result"]
    if protocol != "gtest":
        if result == "SKIP":
            total.skipped += 1
        elif result == "OK":
            total.passed += 1
        else:
            total.failed.append(f"{test['name']}: {how_it_ended(test)}")
        return total
    count_cases(folder, test["name"], total)
    if result not in ("OK", "SKIP") and not total.failed:
        total = Total()
        count_unfinished(test, total)
    elif total == Total():
        total.failed.append(f"{test['name']}: has no test cases")
    return total


def show_output(test):
    output = test.get("stdout", "") + test.get("stderr", "")
    lines = output.rstrip().split("\n")
    print(f"\n--- {test['name']}: {how_it_ended(test)}")
    if len(lines) > MAX_OUTPUT_LINES:
        print(f"(the last {MAX_OUTPUT_LINES} of {len(lines)} lines)")
    print("\n".join(lines[-MAX_OUTPUT_LINES:]), flush=True)


def forget_last_run(folder):
    """A crashed test leaves no report, so an old one must not speak for it."""
    reports = glob.glob(os.path.join(folder, "*_test.xml"))
    for path in reports + logs(folder, "json") + logs(folder, "junit.xml"):
        os.remove(path)


def patience_of(name):
    """The storm takes as long as it is told to, on every backend in turn."""
    storm = os.environ.get(STORM, "0")
    more = int(storm) // 10 if storm.isdecimal() else 0
    return CONFIGS[name].patience + more


def run_config(name, suites, repeat):
    print(f"=== {name}", flush=True)
    folder = build(name, quiet=False)
    tests = tests_of(name, folder, suites)
    if not tests:
        raise Failure("there is no test to run")
    total = Total()
    for turn in range(1, repeat + 1):
        if repeat > 1:
            print(f"=== {name}, {turn} of {repeat}", flush=True)
        total.add(run_once(name, folder, tests))
        if repeat > 1:
            print(f"{name}, {turn} of {repeat}: {total.line()}", flush=True)
    return total


def run_once(name, folder, tests):
    """One turn of all tests. Meson can repeat them, too, but keeps only the
    last report of each GoogleTest program."""
    forget_last_run(folder)
    config = CONFIGS[name]
    chosen = sorted({test["suite"] for test in tests.values()})
    command = [*launcher_of(name), "meson", "test", "-C", folder,
               "--no-rebuild", *config.test,
               "--timeout-multiplier", str(patience_of(name))]
    for suite in chosen:
        command += ["--suite", f"weft:{suite}"]
    subprocess.run(command, cwd=ROOT, env=environment_of(name),
                   stdin=subprocess.DEVNULL, check=False)

    total = Total()
    ran = set()
    for log in logs(folder, "json"):
        with open(log, encoding="utf-8") as file:
            for test in map(json.loads, file):
                ran.add(test["name"])
                counted = count(folder, tests[test["name"]]["protocol"], test)
                if counted.failed:
                    show_output(test)
                total.add(counted)
    for missing in sorted(set(tests) - ran):
        total.failed.append(f"{missing}: did not run")
    return total


def test_config(name, suites, repeat):
    try:
        total = run_config(name, suites, repeat)
    except Failure as failure:
        total = Total(failed=[str(failure)])
    if total.passed == 0 and not total.failed:
        total.failed.append("no test ran")
    for failed in total.failed:
        print(f"FAILED {name}: {failed}")
    if total.skipped:
        print(f"{name}: {total.skipped} skipped")
    return total


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def main():
    parser = argparse.ArgumentParser(
        prog="tools/test",
        description="Builds and tests weft; installs what is missing.")
    parser.add_argument("suites", nargs="*", metavar="suite",
                        help="run only these suites, such as net or conformance")
    parser.add_argument("--config", default="gcc",
                        choices=[*CONFIGS, "all"],
                        help="what to build (default gcc); all: "
                        + ", ".join(ALL))
    parser.add_argument("--repeat", type=positive, default=1, metavar="N",
                        help="run the tests N times; every turn counts")
    parser.add_argument("--list", action="store_true",
                        help="print every test case with its suite")
    options = parser.parse_args()

    names = ALL if options.config == "all" else [options.config]
    if options.list:
        try:
            list_tests(names[0], options.suites)
        except Failure as failure:
            sys.exit(str(failure))
        return 0

    totals = {name: test_config(name, options.suites, options.repeat)
              for name in names}
    if len(totals) > 1:
        print()
        for name, total in totals.items():
            print(f"{name}: {total.line()}")
    everything = Total()
    for total in totals.values():
        everything.add(total)
    print(everything.line())
    return 1 if everything.failed else 0


if __name__ == "__main__":
    sys.exit(main())
