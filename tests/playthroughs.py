"""Golden playthroughs as pages show them."""

import json


def written(root, name, steps=None):
    """The first steps of a golden playthrough, all if not said: what is seen, and each command with what it brings."""
    frames = json.loads((root / "tests" / "golden" / f"{name}.json").read_text(encoding="utf-8"))["frames"]
    last = None if steps is None else steps + 1
    said = "".join(f"> {frame['command']}\n{frame['observation']}\n" for frame in frames[1:last])
    return f"{frames[0]['observation']}\n{said}"
