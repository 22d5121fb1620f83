#!/usr/bin/env python3
"""Uses weft as its users do: as a Meson subproject, and installed.

In a temporary folder outside the tree, subproject_consumer builds consumer.cc
against weft in its subprojects/ folder, and installs what it has built; then
pkgconfig_consumer builds the same program against the installed weft, with
pkg-config alone, first with the shared library and then with the static one.
Each program must print "ok".

usage: installed_test.py --compiler CXX --root DIR
"""

import argparse
import glob
import os
import shutil
import subprocess
import sys
import tempfile


def run(command, folder, environment):
    done = subprocess.run(command, cwd=folder, env=environment, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit status {done.returncode}\n"
                 f"{done.stdout}")
    return done.stdout


def expect_ok(what, command, folder, environment):
    output = run(command, folder, environment)
    if output != "ok\n":
        sys.exit(f"{what} prints {output!r}")
    print(f"{what}: ok")


def use_as_subproject(root, here, folder, prefix, environment):
    shutil.copytree(os.path.join(here, "subproject_consumer"), folder)
    shutil.copy(os.path.join(here, "consumer.cc"), folder)
    os.symlink(root, os.path.join(folder, "subprojects", "weft"))
    run(["meson", "setup", "build", f"--prefix={prefix}", "--libdir=lib",
         "--buildtype=debug", "-Dweft:default_library=both"],
        folder, environment)
    run(["meson", "compile", "-C", "build"], folder, environment)
    expect_ok("subproject", ["build/consumer"], folder, environment)
    run(["meson", "install", "-C", "build", "--no-rebuild"], folder,
        environment)


def use_installed(here, folder, prefix, environment):
    shutil.copytree(os.path.join(here, "pkgconfig_consumer"), folder)
    shutil.copy(os.path.join(here, "consumer.cc"), folder)
    environment = {
        **environment,
        "PKG_CONFIG_PATH": os.path.join(prefix, "lib", "pkgconfig"),
        "LD_LIBRARY_PATH": os.path.join(prefix, "lib"),
    }
    run(["make", "shared", "static"], folder, environment)
    expect_ok("installed, shared", ["./shared"], folder, environment)
    for library in glob.glob(os.path.join(prefix, "lib", "libweft.so*")):
        os.remove(library)
    expect_ok("installed, static", ["./static"], folder, environment)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--root", required=True)
    options = parser.parse_args()
    here = os.path.dirname(os.path.abspath(__file__))
    environment = {**os.environ, "CXX": options.compiler, "LC_ALL": "C"}
    with tempfile.TemporaryDirectory() as folder:
        prefix = os.path.join(folder, "prefix")
        use_as_subproject(options.root, here,
                          os.path.join(folder, "subproject_consumer"),
                          prefix, environment)
        use_installed(here, os.path.join(folder, "pkgconfig_consumer"),
                      prefix, environment)
    return 0


if __name__ == "__main__":
    sys.exit(main())
