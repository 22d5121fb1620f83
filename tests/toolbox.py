"""What the checks that compile code have in common."""

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
