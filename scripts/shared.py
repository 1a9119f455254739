"""What the scripts in Python share: how they run a command and fail, what `engram bench` counts, and the part of a page that is theirs."""
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
NAME = pathlib.Path(sys.argv[0]).name
ENGRAM = ["cargo", "run", "--quiet", "--locked", "-p", "engram", "--"]


def fail(message):
    sys.exit(f"{NAME}: {message}")


def run(*command, both=False):
    """What a command says on its standard output, or on both; its failure is ours."""
    command = [str(word) for word in command]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        fail(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr if both else done.stdout


def build_bench(*programs):
    """The bench programs of scripts/build-boards, and `engram` itself."""
    run("scripts/build-boards", *programs)
    run(*ENGRAM[:1], "build", *ENGRAM[2:-1])


def bench(board, *arguments):
    """What `engram bench` says of a board."""
    return json.loads(run(*ENGRAM, "bench", "--json", "--board", board, *arguments))


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else None


def write_part(page, lines):
    """Puts lines between this script's two marks on a page of docs/src."""
    path = ROOT / "docs/src" / page
    text, begin, end = path.read_text(), f"<!-- begin of scripts/{NAME} -->", f"<!-- end of scripts/{NAME} -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        fail(f"{path}: the marks {begin} and {end} must stand there once each")
    body = "\n".join(lines)
    path.write_text(f"{text.split(begin)[0]}{begin}\n\n{body}\n{end}{text.split(end)[1]}")
    print(f"wrote {path.relative_to(ROOT)}")
