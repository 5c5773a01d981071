"""package.xml, CMakeLists.txt and setup.py agree, as far as that is seen without ROS."""

import re
from xml.etree import ElementTree

import pytest
from test_packaging import DECLARED, PACKAGE, PACKAGE_OF, ROOT, ROS, imported, name

from gaussvae_ros import __version__

MANIFEST = ElementTree.parse(ROOT / "package.xml").getroot()
SETUP = (ROOT / "setup.py").read_text()
CMAKE = (ROOT / "CMakeLists.txt").read_text()
# packages that are named otherwise than what is imported from them
PACKAGES = {"tf2_ros": "tf2_ros_py", "yaml": "python3-yaml"}


def depends(*kinds: str) -> set[str]:
    return {element.text for kind in kinds for element in MANIFEST.findall(kind)}


def ros_packages(*folders: str) -> set[str]:
    modules = {
        module
        for folder in folders
        for module, _ in imported(ROOT / folder)
        if ROS.fullmatch(module)
    }
    return {PACKAGES.get(module, module) for module in modules}


@pytest.mark.parametrize("key", ["name", "version", "description", "license"])
def test_manifest_and_setup_agree(key):
    [stated] = re.findall(rf'^    {key}="(.*)",$', SETUP, re.MULTILINE)
    assert stated == MANIFEST.find(key).text.strip()
    assert key != "version" or stated == __version__


def test_the_maintainer_can_be_parsed():
    """Otherwise colcon takes the package for a plain Python one; the pattern is catkin_pkg's."""
    address = (
        r"[-a-zA-Z0-9_%+]+(\.[-a-zA-Z0-9_%+]+)*@[-a-zA-Z0-9%]+(\.[-a-zA-Z0-9%]+)*\.[a-zA-Z]{2,}"
    )
    assert re.fullmatch(address, MANIFEST.find("maintainer").get("email"))


def test_what_nodes_and_launch_files_import_is_declared():
    assert ros_packages("gaussvae_ros", "launch") <= depends("depend", "exec_depend")
    assert ros_packages("test/ros") <= depends("depend", "exec_depend", "test_depend")


def test_what_the_messages_hold_is_declared():
    texts = [file.read_text() for kind in ("msg", "srv") for file in (ROOT / kind).iterdir()]
    used = {name for text in texts for name in re.findall(r"^(\w+)/\w+", text, re.MULTILINE)} - {
        "gaussvae_ros"
    }
    assert used == depends("depend") == set(re.search(r"set\(uses (.*)\)", CMAKE)[1].split())


def test_every_launch_file_and_node_that_cmake_installs_is_there():
    for module in re.findall(r'"\w+ (gaussvae_ros[\w.]+)"', CMAKE):
        path = ROOT.joinpath(*module.split("."))
        assert path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def test_the_executables_ask_for_every_package_that_pip_would_bring():
    from gaussvae_ros.nodes.start import NEEDED

    assert NEEDED.keys() == DECLARED
    assert all(
        name(PACKAGE_OF.get(module, module)) == package for package, module in NEEDED.items()
    )


def test_build_files_of_colcon_stay_out_of_git():
    ignored = (ROOT / ".gitignore").read_text().split()
    assert {"build/", "install/", "log/"} <= set(ignored)
    assert (PACKAGE / "__init__.py").stat().st_size < 200  # rosidl writes one, too, which may win
