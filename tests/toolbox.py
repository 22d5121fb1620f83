"""What the checks of sources and of code that is compiled have in common."""

import os
import shlex
import subprocess


def pkg_config(path, *arguments):
    """The flags of weft, as a consumer would get them with pkg-config."""
    environment = {**os.environ, "PKG_CONFIG_PATH": path}
    found = subprocess.run(["pkg-config", *arguments], env=environment,
                           capture_output=True, text=True, check=True)
    return shlex.split(found.stdout)


def execute(command, **options):
    """Runs a command in the C locale; returns (exit status, its output)."""
    done = subprocess.run(command, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**os.environ, "LC_ALL": "C"},
                          check=False, **options)
    return done.returncode, done.stdout


def count_wrong(cases):
    """How many cases of a self-test came out wrong; says which.

    A case is (what was checked, wanted, the problems found). Wanted is a part
    of one of the problems, or None if there is to be none.
    """
    wrong = 0
    for checked, wanted, found in cases:
        right = not found if wanted is None else \
            any(wanted in problem for problem in found)
        if not right:
            wrong += 1
            print(f"{checked}\nwanted {wanted}, got {found}\n")
    return wrong
