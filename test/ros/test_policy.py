"""config/sros2_policy.xml allows what the two nodes do on the graph, and nothing else."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from ament_index_python import get_package_share_directory
from graph import until

NODES = ("visual_memory", "visual_recall")
# What a rule of the policy is about, and how the graph calls those who do it.
RULES = {
    ("topic", "publish"): "publisher",
    ("topic", "subscribe"): "subscriber",
    ("service", "reply"): "service",
    ("service", "request"): "client",
}


def policy() -> ElementTree.Element:
    share = Path(get_package_share_directory("gaussvae_ros"))
    return ElementTree.parse(share / "config" / "sros2_policy.xml").getroot()


def allowed(node: str) -> set[tuple[str, str, str]]:
    """(kind, rule, full name) of all that the policy lets a node do."""
    [enclave] = policy().findall(f"enclaves/enclave[@path='/{node}']")
    [profile] = enclave.findall(f"profiles/profile[@ns='/'][@node='{node}']")
    found = set()
    for group in profile:
        assert set(group.attrib.values()) == {"ALLOW"}
        for expression in group:
            name = expression.text.replace("~", f"/{node}")
            full = name if name.startswith("/") else f"/{name}"
            found |= {(expression.tag, rule, full) for rule in group.attrib}
    return found


def done(ros, node: str) -> set[tuple[str, str, str]]:
    """The same of what a node does on the graph; nobody knows of actions but by their topics."""
    found = set()
    for (kind, rule), who in RULES.items():
        ask = getattr(ros.node, f"get_{who}_names_and_types_by_node")
        found |= {(kind, rule, name) for name, _ in ask(node, "/")}
    return found


@pytest.fixture(scope="module")
def nodes(shared_ros):
    shared_ros.launch("memory.launch.py", f"bank:={shared_ros.folder}/memory.db", "enclaves:=true")
    shared_ros.until_active(*(f"/{node}" for node in NODES))
    return shared_ros


@pytest.mark.parametrize("node", NODES)
def test_it_allows_what_the_nodes_do_and_nothing_else(nodes, node):
    def differences() -> str:
        here, there = allowed(node), done(nodes, node)
        lines = [f"missing in config/sros2_policy.xml: {rule}" for rule in sorted(there - here)]
        lines += [f"in it, and nobody on the graph does it: {r}" for r in sorted(here - there)]
        return "\n".join([f"{node}:", *lines] if lines else [])

    until(lambda: not differences(), 20.0, differences)


def test_the_launch_file_starts_the_nodes_in_its_enclaves(nodes):
    found = nodes.node.get_node_names_and_namespaces_with_enclaves()
    assert {(node, "/", f"/{node}") for node in NODES} <= set(found)


def test_it_is_made_as_sros2_expects(nodes):
    """By its policy.xsd: names of elements, and rules."""
    root = policy()
    assert root.tag == "policy" and root.attrib == {"version": "0.2.0"}
    [enclaves] = root
    assert enclaves.tag == "enclaves"
    assert [e.get("path") for e in enclaves] == [f"/{node}" for node in NODES]
    for enclave in enclaves:
        [profiles] = enclave
        [profile] = profiles
        assert (profiles.tag, profile.tag) == ("profiles", "profile")
        for group in profile:
            kind = group.tag.removesuffix("s")
            assert {(kind, rule) for rule in group.attrib} <= RULES.keys()
            assert {expression.tag for expression in group} == {kind}
            names = [expression.text for expression in group]
            assert len(set(names)) == len(names)
