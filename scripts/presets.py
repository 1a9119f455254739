"""A built-in preset with other values, for the scripts that train with them."""
import pathlib
import re

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "host/train/presets/engram"


def settings(plant, changes):
    """The text of the plant's preset with the values of {"section.key": value}; keys that it leaves out begin their section, "none" leaves one out."""
    lines, section, present = [], "", set()
    for line in (FOLDER / f"{plant}.toml").read_text().splitlines():
        if head := re.match(r"\[(\w+)\]", line):
            section = head[1]
        if entry := re.match(r"(\w+) *=", line):
            key = f"{section}.{entry[1]}"
            present.add(key)
            if (value := changes.get(key)) is not None:
                line = f"{entry[1]} = {value}" if value != "none" else ""
        lines.append(line)
    for key, value in changes.items():
        if key not in present and value != "none":
            head, name = key.split(".")
            lines.insert(lines.index(f"[{head}]") + 1, f"{name} = {value}")
    return "\n".join(lines) + "\n"
