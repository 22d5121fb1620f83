"""Builds the peers, the same jobs on other runtimes, where they are there."""

import shutil
import subprocess

from benchmarks import children

# Name, source in bench/peers, and what goes to the linker.
BOOST = [
    ("asio", "boost/asio.cc", []),
    ("fiber", "boost/fiber.cc", ["-lboost_fiber", "-lboost_context"]),
]


def compile_peer(argv, what):
    try:
        subprocess.run(argv, check=True, capture_output=True, timeout=300)
    except (subprocess.SubprocessError, OSError) as error:
        raise children.Unavailable(f"{what} is missing or too old") from error


def build_go(options, folder):
    go = shutil.which("go")
    if go is None:
        raise children.Unavailable("no go; the package is golang-go")
    program = folder / "go"
    source = options.root / "bench/peers/go/main.go"
    compile_peer([go, "build", "-o", str(program), str(source)], "go")
    return program


def build_boost(options, folder, name, source, libraries):
    program = folder / name
    source = options.root / "bench/peers" / source
    argv = ["g++", "-std=c++20", "-O2", "-DNDEBUG", "-pthread"]
    argv += ["-include", "utility"]  # which Asio 1.74 forgets
    argv += ["-I", str(options.build_dir / "include")]
    argv += ["-o", str(program), str(source), *libraries]
    compile_peer(argv, f"Boost ({name})")
    return program


def build(options, report):
    """Those that could be built: name to program."""
    if options.no_peers:
        return {}
    folder = options.build_dir / "peers"
    folder.mkdir(exist_ok=True)
    built = {}
    makers = {"go": lambda: build_go(options, folder)}
    for boost in BOOST:
        makers[boost[0]] = lambda boost=boost: build_boost(
            options, folder, *boost
        )
    for name, make in makers.items():
        try:
            built[name] = make()
        except children.Unavailable as reason:
            report.unavailable(name, str(reason))
    return built
