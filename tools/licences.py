#!/usr/bin/env python3
"""Licences, sources and duplicates of every crate that is built in, by `cargo metadata` alone: for machines without cargo-deny.

Fails when a crate's licence expression cannot be met by the allowed ones, or a crate comes from elsewhere than the registry.
"""
import json
import re
import subprocess
import sys

ALLOWED = {
    "MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Zlib", "0BSD", "Unlicense",
    "CC0-1.0", "Unicode-3.0", "CDLA-Permissive-2.0", "BSL-1.0", "MIT-0", "MPL-2.0",
}


def met(expression: str) -> bool:
    """Whether an SPDX expression can be met by ALLOWED (OR any, AND all, parentheses)."""
    tokens = re.findall(r"\(|\)|\bOR\b|\bAND\b|[A-Za-z0-9.+-]+(?: WITH [A-Za-z0-9.+-]+)?", expression.replace("/", " OR "))

    def either(at):
        value, at = both(at)
        while at < len(tokens) and tokens[at] == "OR":
            right, at = both(at + 1)
            value = value or right
        return value, at

    def both(at):
        value, at = one(at)
        while at < len(tokens) and tokens[at] == "AND":
            right, at = one(at + 1)
            value = value and right
        return value, at

    def one(at):
        if tokens[at] == "(":
            value, at = either(at + 1)
            return value, at + 1
        return tokens[at] in ALLOWED, at + 1

    return either(0)[0]


def main() -> int:
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"]
    metadata = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    own = set(metadata["workspace_members"])
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    packages = {package["id"]: package for package in metadata["packages"]}
    # What the product links: normal and build dependencies, not the tests'.
    built, queue = set(), list(own)
    while queue:
        node = nodes[queue.pop()]
        for dependency in node["deps"]:
            if any(kind["kind"] != "dev" for kind in dependency["dep_kinds"]) and dependency["pkg"] not in built:
                built.add(dependency["pkg"])
                queue.append(dependency["pkg"])
    faults = []
    for package in (packages[name] for name in sorted(built)):
        label = f"{package['name']} {package['version']}"
        if not (package.get("source") or "").startswith("registry+"):
            faults.append(f"{label}: comes from {package.get('source')}, only the registry is allowed")
        licence = package.get("license")
        if not licence or not met(licence):
            faults.append(f"{label}: licence {licence!r} is not allowed")
    for fault in faults:
        print(fault)
    print(f"licences: {len(built)} crates, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
