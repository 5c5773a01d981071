"""`gaussvae mcp`: a memory file as tools for agents."""

import argparse

from gaussvae_ros.cli import options


def add_verbs(all_verbs: argparse._SubParsersAction) -> None:
    """Add it, with its options."""
    about = "a memory file as tools of the Model Context Protocol, on standard input and output"
    made = options.bank_verb(all_verbs, "mcp", mcp, about)
    options.encoder(made, "file of an encoder, for like_text")


def mcp(args: argparse.Namespace) -> None:
    """Answer until the input ends."""
    from gaussvae_ros.agents import serve

    serve(args.bank, args.encoder)
