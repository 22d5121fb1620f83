"""The compilers, flags and processors that the switch suite is built for."""

import platform
import re
import shlex
import shutil
import subprocess

FLAGS = {
    "O0": ["-O0"],
    "O1": ["-O1"],
    "O2": ["-O2"],
    "O3": ["-O3"],
    "Os": ["-Os"],
    "native": ["-O3", "-march=native"],
    "lto": ["-O2", "-flto"],
    "pic": ["-O2", "-fPIC"],
    "hardened": ["-O2", "-D_FORTIFY_SOURCE=2", "-fstack-protector-strong",
                 "-fstack-clash-protection", "-fcf-protection=full"],
}
AARCH64_FLAGS = {
    **{name: flags for name, flags in FLAGS.items() if name != "native"},
    "sve": ["-O3", "-march=armv8.2-a+sve"],
    "hardened": [*FLAGS["hardened"][:-1], "-mbranch-protection=standard"],
}


class Host:
    """The processor of this machine."""

    compilers = {"gcc-12": ["g++-12"], "clang-14": ["clang++-14"],
                 "clang-16": ["clang++-16"]}
    flags = FLAGS
    prefix = ""
    # Whether Evented starts there.
    runs_evented = True
    asan_options = ["detect_stack_use_after_return=1"]
    # Compilers whose AddressSanitizer does not run there, and why.
    without_asan = {}

    def __init__(self, root):
        self.root = root
        self.compile_flags = []
        self.link_flags = []

    def check(self):
        """Raises OSError where something is missing."""

    def libraries(self):
        """What of Abseil and liburing weft is linked with."""
        # Quoted names in the list of what weft uses of Abseil.
        modules = re.search(r"absl_modules = \[(.*?)\]",
                            (self.root / "meson.build").read_text(), re.DOTALL)
        packages = [*re.findall(r"'(\w+)'", modules.group(1)), "liburing"]
        found = subprocess.run(["pkg-config", "--libs", *packages], check=True,
                               stdout=subprocess.PIPE, text=True).stdout
        return [*self.link_flags, *shlex.split(found), "-lboost_context",
                "-pthread"]

    def runner(self, sanitized):
        """What a program is run with."""
        # AddressSanitizer of these compilers needs a fixed address space.
        return ["setarch", platform.machine(), "-R"] if sanitized else []


class Msan(Host):
    """MemorySanitizer, which sees no library: not what Evented is made of."""

    compilers = {name: command for name, command in Host.compilers.items()
                 if name.startswith("clang")}
    flags = {"O1": ["-O1", "-fsanitize=memory"]}
    prefix = "msan-"
    runs_evented = False
    without_asan = dict.fromkeys(
        compilers, "there is nothing that MemorySanitizer has to be told")


class Aarch64(Host):
    """AArch64, cross-compiled, and run by qemu-user."""

    flags = AARCH64_FLAGS
    prefix = "aarch64-"
    # qemu-user has no io_uring, and no ptrace(2) to look for leaks with.
    runs_evented = False
    asan_options = [*Host.asan_options, "detect_leaks=0"]
    # An empty program keeps this machine's kernel busy for minutes.
    without_asan = {"clang-16": "AddressSanitizer of Clang 16 does not get "
                                "through its start under qemu-user 7.2"}

    def __init__(self, root):
        super().__init__(root)
        self.folder = root / "build/aarch64-root"
        libraries = self.folder / "usr/lib/aarch64-linux-gnu"
        target = "--target=aarch64-linux-gnu"
        # With the sanitizers for that processor.
        resources = self.folder / "usr/lib/llvm-14/lib/clang/14.0.6"
        self.compilers = {
            "gcc-12": ["aarch64-linux-gnu-g++-12"],
            "clang-14": ["clang++-14", target, "-resource-dir",
                         str(resources)],
            "clang-16": ["clang++-16", target]}
        self.compile_flags = ["-isystem", str(self.folder / "usr/include")]
        # As DT_RPATH, which the libraries among themselves heed, too.
        self.link_flags = [f"-L{libraries}", f"-Wl,-rpath,{libraries}",
                           "-Wl,--disable-new-dtags"]

    def check(self):
        for tool, package in [("qemu-aarch64", "qemu-user"),
                              ("aarch64-linux-gnu-g++-12",
                               "g++-12-aarch64-linux-gnu")]:
            if shutil.which(tool) is None:
                raise OSError(f"no {tool}: apt-get install {package}")
        if not (self.folder / "cross.ini").exists():
            raise OSError(f"no {self.folder}: run tools/aarch64-root")

    def runner(self, sanitized):
        # The programs of this machine's C library for that processor.
        return ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"]


class Build:
    """A compiler with flags, for a processor."""

    def __init__(self, target, compiler, flags):
        self.target = target
        self.command = [*target.compilers[compiler], *target.flags[flags],
                        *target.compile_flags]
        # Why there is no AddressSanitizer, if so.
        self.no_asan = target.without_asan.get(compiler)


def builds_of(target):
    return {f"{target.prefix}{compiler}-{flags}":
            Build(target, compiler, flags)
            for compiler in target.compilers for flags in target.flags}
