"""The programs of the switch suite: how they are built and what they answer."""

import os
import shlex
import shutil
import subprocess

from . import builds

# Its class is shown by AddressSanitizer.
SANITIZED = "s13_sanitizers"

# name: (header, type, what to link)
ADAPTERS = {
    "weft": ("weft.h", "WeftSwitch", []),
    "Boost.Context": ("fcontext.h", "FcontextSwitch", []),
    "Boost.Fiber": ("boost_fiber.h", "BoostFiberSwitch", ["-lboost_fiber"]),
    "ucontext": ("ucontext.h", "UcontextSwitch", []),
}

# What the runtime is made of, but for what is only for programs' flags.
RUNTIME = ["runtime", "runtime/internal", "runtime/fiber"]
NOT_RUNTIME = {"runtime/flags.cc"}
# Whose unnamed namespaces have names that others of their unit have, too.
APART = {"runtime/internal/dump_signal.cc",
         "runtime/internal/guarded_stacks.cc"}
BACKEND = ["backends/evented", "backends/evented/internal"]
# What the classes use of sync/.
SYNC = ["sync/internal/event_core.cc", "sync/internal/mutex_core.cc",
        "sync/internal/select_core.cc", "sync/internal/wait_list.cc",
        "sync/internal/wait_status.cc"]
COMPILE_LIMIT_S = 900
# Longer than the programs themselves give a class and each of its twins.
RUN_LIMIT_S = 300

RESULTS = {0: "pass", 1: "fail", 2: "not claimed", 3: "cannot"}
TWIN_RESULTS = {0: "caught", 1: "missed", 3: "cannot"}


class Suite:
    """The suite of one source tree."""

    def __init__(self, root):
        self.root = root
        self.folder = root / "tests/switch"
        self.classes = sorted(
            path.stem for path in (self.folder / "classes").glob("s*.h"))
        # Those that run by default, and those that an option stands for.
        self.builds = builds.builds_of(builds.Host(root))
        self.more_builds = {
            "aarch64": builds.builds_of(builds.Aarch64(root)),
            "msan": builds.builds_of(builds.Msan(root))}
        self.all_builds = dict(self.builds)
        for more in self.more_builds.values():
            self.all_builds.update(more)
        self.build_dir = None
        self.sources = {}
        self.built = {}  # (library, build): (objects, what failed)

    def set_up(self, build_dir, names):
        """Makes the folder and looks for what these builds need."""
        for target in {self.all_builds[name].target for name in names}:
            target.check()
        self.build_dir = build_dir
        include = build_dir / "include/weft"
        subprocess.run([self.root / "tools/link_includes.py", self.root,
                        include, "runtime", "sync", "net", "backends", "tests"],
                       check=True)
        self.sources = {"runtime": self.find(RUNTIME),
                        "backend": [*self.find(BACKEND), *SYNC]}
        for name, sources in self.sources.items():
            # One translation unit of many sources compiles much faster.
            (build_dir / f"{name}.cc").write_text("".join(
                f'#include "{self.root / source}"\n'
                for source in sources if source not in APART))

    def find(self, folders):
        found = [str(path.relative_to(self.root)) for folder in folders
                 for path in sorted((self.root / folder).glob("*.cc"))]
        return [source for source in found if source not in NOT_RUNTIME]

    def needs_runtime(self, name):
        header = (self.folder / "classes" / f"{name}.h").read_text()
        return "weft/tests/switch/scheduler.h" in header

    def runs_evented(self, name, adapter, build):
        """Whether a class that needs a runtime has weft's own."""
        return (adapter == "weft" and self.needs_runtime(name)
                and self.all_builds[build].target.runs_evented)

    def compile(self, build, extra, output):
        """Runs the compiler; returns what it says if it fails."""
        cache = ["ccache"] if shutil.which("ccache") and "-c" in extra else []
        command = [*cache, *self.all_builds[build].command, "-std=c++20", "-g1",
                   f"-I{self.build_dir / 'include'}", *extra, "-o", str(output)]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, text=True,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, check=False,
                                  timeout=COMPILE_LIMIT_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        if done.returncode == 0:
            return None
        return shlex.join(map(str, command)) + "\n" + done.stdout

    def build_libraries(self, build):
        """weft at the flags of a build. What fails is seen when it is used."""
        (self.build_dir / build).mkdir(parents=True, exist_ok=True)
        wanted = [("runtime", "runtime", [])]
        if self.all_builds[build].no_asan is None:
            wanted.append(("sanitized", "runtime", ["-fsanitize=address"]))
        if self.all_builds[build].target.runs_evented:
            wanted.append(("backend", "backend", []))
        for name, sources, extra in wanted:
            units = [self.build_dir / f"{sources}.cc"]
            units += [self.root / source for source in self.sources[sources]
                      if source in APART]
            objects = []
            failure = None
            for unit in units:
                output = self.build_dir / build / f"{name}-{unit.stem}.o"
                failure = failure or self.compile(
                    build, ["-c", str(unit), *extra], output)
                objects.append(str(output))
            self.built[name, build] = (objects, failure)

    def build_program(self, name, adapter, build):
        """Returns (program, None), or (None, why there is none)."""
        header, switch, libraries = ADAPTERS[adapter]
        sanitized = name == SANITIZED
        no_asan = self.all_builds[build].no_asan
        if sanitized and no_asan is not None:
            return None, no_asan
        extra = [f"-DWEFT_SWITCH_CLASS={name}", f"-DWEFT_SWITCH={switch}"]
        if adapter == "weft":
            objects = ["sanitized" if sanitized else "runtime"]
            twins = "wrong_policies.h" if self.needs_runtime(name) \
                else "wrong_switches.h"
            if self.runs_evented(name, adapter, build):
                objects.append("backend")
                header = "evented.h"
            libraries = []
            for part in objects:
                found, failure = self.built[part, build]
                if failure is not None:
                    return None, failure
                libraries += found
            extra.append(f'-DWEFT_SWITCH_TWINS="weft/tests/switch/{twins}"')
        if sanitized:
            extra.append("-fsanitize=address")
        path = f"weft/tests/switch/adapters/{header}"
        extra.append(f'-DWEFT_SWITCH_ADAPTER="{path}"')
        extra += [str(self.folder / "alone.cc"), *libraries,
                  *self.all_builds[build].target.libraries()]
        program = self.build_dir / build / f"{name}-{adapter}"
        failure = self.compile(build, extra, program)
        return (None, failure) if failure else (program, None)

    def run(self, program, build, results, *arguments):
        """Returns (result, output)."""
        target = self.all_builds[build].target
        runner = target.runner(program.name.startswith(SANITIZED))
        environment = {**os.environ,
                       "ASAN_OPTIONS": ":".join(target.asan_options)}
        try:
            done = subprocess.run([*runner, str(program), *arguments],
                                  stdin=subprocess.DEVNULL, text=True,
                                  stdout=subprocess.PIPE, errors="replace",
                                  stderr=subprocess.STDOUT, check=False,
                                  env=environment, timeout=RUN_LIMIT_S)
        except subprocess.TimeoutExpired:
            return "timeout", f"{program.name} did not end\n"
        return results.get(done.returncode, "crash"), done.stdout

    def runtime_of(self, name, adapter, build):
        """Whose scheduler a class runs on, if it needs one."""
        needed = self.needs_runtime(name)
        own = not needed or self.runs_evented(name, adapter, build)
        return "own" if own else "suite"

    def run_cell(self, name, build):
        cell = {"class": name, "build": build,
                "runtime": self.runtime_of(name, "weft", build)}
        no_asan = self.all_builds[build].no_asan
        if name == SANITIZED and no_asan is not None:
            return {**cell, "weft": "cannot", "wrong_twin": "cannot",
                    "output": no_asan + "\n"}
        program, failure = self.build_program(name, "weft", build)
        if program is None:
            return {**cell, "weft": "not built", "wrong_twin": "not built",
                    "output": failure}
        right, right_output = self.run(program, build, RESULTS, "right")
        wrong, wrong_output = self.run(program, build, TWIN_RESULTS, "wrong")
        program.unlink()
        return {**cell, "weft": right, "wrong_twin": wrong,
                "output": right_output + wrong_output}

    def run_adapter(self, name, adapter, build):
        program, failure = self.build_program(name, adapter, build)
        if program is None:
            result, output = "not built", failure
        else:
            result, output = self.run(program, build, RESULTS, "right")
            program.unlink()
        return {"class": name, "adapter": adapter, "build": build,
                "result": result,
                "runtime": self.runtime_of(name, adapter, build),
                "output": output.strip()}
