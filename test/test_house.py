"""The house of the code: what may import what, what the linter says, how long lines and files are.

These hold for every file; a new part of the package gets its place in LAYERS.
"""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from test_packaging import ROS

ROOT = Path(__file__).parents[1]
PACKAGE = "gaussvae_ros"

# Top row first. A part imports parts of lower rows, and itself: neither its own row nor a higher.
LAYERS = (
    ("client",),
    ("nodes",),  # above cli, since the replay evaluator prints what `gaussvae replay` prints
    ("cli",),
    ("agents", "bench", "demo"),
    ("fleet", "replay", "training"),
    ("compile", "evaluation", "exports", "maintenance", "timeline"),
    ("sequence",),
    ("codec", "volume"),
    ("encodable", "tiles"),
    ("vae",),
    ("fit", "sim"),
    ("bags", "looking"),
    ("entropy",),  # below fit: a descent weighs bits in the steps of a record
    ("bank", "raster"),  # bank is low: it stores bytes and knows no codec
    ("recognition",),
    ("gates", "images", "splats", "tiers"),
    ("lengths", "likeness", "model_files", "poses", "record", "volume_record"),
    ("kernels",),
    ("files",),
    ("device", "errors", "map_message", "problems", "remembered", "sessions", "threads"),
    ("extras",),
)
WITH_ROS = {"nodes", "client"}
WITH_TRAINING = {"cli"}  # in its verbs, when they run
LIGHT = {"client", "nodes", "cli", "demo", "replay", "codec", "bank", "bags"}  # nothing of HEAVY
HEAVY = {"torch", "triton", f"{PACKAGE}.training"}

COLUMNS, LINES = 100, 300
CODE = (".css", ".html", ".js", ".py")
FOLDERS = (PACKAGE, "cmake", "config", "docker", "docs", "examples", "launch", "models", "msg")
FOLDERS += ("srv", "test")
TEXTS = {
    ".css",
    ".html",
    ".in",
    ".js",
    ".md",
    ".msg",
    ".py",
    ".sh",
    ".srv",
    ".toml",
    ".txt",
    ".xml",
    ".yaml",
    "",
}


@dataclass(frozen=True)
class Import:
    """`module` imports `name`, both in full; `late`: inside a function, when that runs."""

    module: str
    name: str
    late: bool

    def __str__(self) -> str:
        return f"{self.module} imports {self.name}{' when it runs' * self.late}"


@cache
def modules() -> dict[str, Path]:
    """The package's modules and packages by their full names."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports() -> list[Import]:
    """All that the package imports, its own modules and others."""
    return [found for name, path in modules().items() for found in imports_of(name, path)]


def imports_of(module: str, path: Path) -> Iterator[Import]:
    waiting = [(ast.parse(path.read_text()), False)]
    while waiting:
        node, late = waiting.pop()
        late = late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        waiting += [(child, late) for child in ast.iter_child_nodes(node)]
        if isinstance(node, ast.Import):
            yield from (Import(module, alias.name, late) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}, line {node.lineno}: an import with dots"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield Import(module, inner if inner in modules() else node.module, late)


def part(module: str) -> str:
    """The part of the house that a module of ours is in; empty for the package itself."""
    return module.removeprefix(PACKAGE).removeprefix(".").partition(".")[0]


def is_ours(module: str) -> bool:
    return f"{module}.".startswith(f"{PACKAGE}.")


def is_ros(module: str) -> bool:
    interface = is_ours(module) and part(module) in ("msg", "srv")
    return interface or bool(ROS.fullmatch(module.partition(".")[0]))


def test_every_part_of_the_package_has_one_place():
    placed = [name for row in LAYERS for name in row]
    assert len(placed) == len(set(placed))
    assert set(placed) == {part(module) for module in modules()} - {""}


def test_no_import_climbs():
    height = {name: -row for row, names in enumerate(LAYERS) for name in names}
    height[""] = -len(LAYERS)
    climbing = []
    for found in imports():
        source, target = part(found.module), part(found.name)
        if is_ours(found.name) and not is_ros(found.name) and source != target:
            if height.get(target, 0) >= height.get(source, 0):
                climbing.append(f"{found}: {source} is not above {target}")
    assert not climbing, "\n".join(climbing)


def test_only_the_nodes_import_ros():
    strays = [str(i) for i in imports() if is_ros(i.name) and part(i.module) not in WITH_ROS]
    assert not strays, "\n".join(strays)


def test_nothing_at_run_time_imports_training():
    strays = [
        str(found)
        for found in imports()
        if part(found.name) == "training" != part(found.module) and is_ours(found.name)
        if part(found.module) not in WITH_TRAINING or not found.late
    ]
    assert not strays, "\n".join(strays)


def test_torch_is_not_imported_with_what_a_robot_runs():
    """The import of a part in LIGHT brings nothing of HEAVY, through however many modules."""
    at_once = {module: [] for module in modules()}
    for found in imports():
        if not found.late:
            at_once[found.module].append(found.name)
    for module in modules():
        if part(module) not in LIGHT:
            continue
        ways, seen = [(module,)], {module}
        while ways:
            way = ways.pop()
            for name in at_once.get(way[-1], ()):
                assert not any(f"{name}.".startswith(f"{h}.") for h in HEAVY), (
                    f"{' -> '.join(way)} imports {name}"
                )
                parents = [name[:end] for end, c in enumerate(f"{name}.") if c == "."]
                for loaded in set(parents) & modules().keys() - seen:
                    seen.add(loaded)
                    ways.append((*way, loaded))


def ruff(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "ruff", *arguments, "--no-cache", "."]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_the_linter_has_no_complaint():
    done = ruff("check", "--output-format", "json")
    assert done.returncode in (0, 1), done.stderr
    faults = [
        f"{Path(fault['filename']).relative_to(ROOT)}:{fault['location']['row']}: "
        f"{fault['code']} {fault['message']}"
        for fault in json.loads(done.stdout)
    ]
    assert not faults, "\n".join(faults)


def test_code_is_formatted():
    done = ruff("format", "--check")
    assert done.returncode == 0, done.stdout + done.stderr


def texts() -> Iterator[tuple[str, list[str]]]:
    """Path from the root, and lines, of every text file that is ours."""
    files = [file for file in ROOT.iterdir() if file.is_file()]
    files += [file for folder in FOLDERS for file in (ROOT / folder).rglob("*") if file.is_file()]
    for file in files:
        hidden = any(name.startswith((".", "__pycache__")) for name in file.parts)
        if file.suffix in TEXTS and not hidden:
            yield str(file.relative_to(ROOT)), file.read_text().splitlines()


def test_no_file_of_code_is_too_long():
    long = [
        f"{p}: {len(lines)} lines"
        for p, lines in texts()
        if len(lines) > LINES and p.endswith(CODE)
    ]
    assert not long, "\n".join(long)


def test_no_line_of_any_text_is_too_long():
    """But rows of tables, commands to copy in ```console, and words that are that long."""
    long = []
    for path, lines in texts():
        console = False
        for number, line in enumerate(lines, 1):
            console = line.startswith("```console") or console and not line.startswith("```")
            whole = " " not in line[: COLUMNS + 1].strip(" #-*")
            table = path.endswith(".md") and line.lstrip().startswith("|")
            if len(line) > COLUMNS and not (console or whole or table or path.endswith(".py")):
                long.append(f"{path}:{number}: {len(line)} columns")
    assert not long, "\n".join(long)
