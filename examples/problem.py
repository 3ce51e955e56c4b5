"""What the scripts of the examples share: running the program, writing its files, telling what a run took."""
import argparse
import json
import pathlib
import struct
import subprocess
import tomllib
import zlib

import numpy as np

HOME = pathlib.Path(__file__).resolve().parent.parent


def options(name, description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--program", default=str(HOME / "build/release/tweedie"))
    parser.add_argument("--out", type=pathlib.Path, default=HOME / "out" / name,
                        help="what is there already is kept: delete it after a change of the program")
    parser.add_argument("--page", type=pathlib.Path, default=HOME / "docs/examples" / f"{name}.md")
    parser.add_argument("--threads", type=int, help="of the program; all by default")
    result = parser.parse_args()
    result.out = result.out.resolve()
    result.out.mkdir(parents=True, exist_ok=True)
    result.page.parent.mkdir(parents=True, exist_ok=True)
    return result


def run(options, command, *arguments, out):
    """The summary of a run, which is not done again where its folder has one that depends on the same"""
    arguments = [*map(str, arguments)]
    line = depends(command, arguments)
    done, told = out / "summary.json", out.parent / f"{out.name}.command"
    if done.exists() and told.exists() and told.read_text() == line:
        return json.loads(done.read_text())
    threads = ["--threads", str(options.threads)] if options.threads else []
    call = [options.program, command, *arguments, "--out", str(out), "--json", "--quiet", "--force", *threads]
    result = subprocess.run(call, stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode != 0:
        raise SystemExit(f"{' '.join(call)}: exit {result.returncode}")
    told.write_text(line)
    return json.loads(result.stdout)


def depends(command, arguments):
    """What a run depends on but for the program: a line of its arguments, then one for each file that they name, or that a
    configuration does, with its checksum; of a run's folder the summary stands for all"""
    changed = {a.partition("=")[0] for a in arguments if "=" in a}
    files = {}

    def add(name, base, key=""):
        if isinstance(name, dict):
            for inner, value in name.items():
                add(value, base, f"{key}.{inner}".lstrip("."))
        elif isinstance(name, list):
            for value in name:
                add(value, base, key)
        elif isinstance(name, str) and key not in changed:
            path = base / name / "summary.json" if (base / name).is_dir() else base / name
            if name and path.is_file() and path not in files:
                files[path] = zlib.crc32(path.read_bytes())
                if path.suffix == ".toml":
                    add(tomllib.loads(path.read_text()), path.parent)

    for argument in arguments:
        add(argument.partition("=")[2] or argument, pathlib.Path())
    return "\n".join([" ".join([command, *arguments]), *(f"{crc:08x} {path}" for path, crc in files.items())])


def setting(**values):
    """--set key=value of each; __ in a name stands for a point"""
    return [part for key, value in values.items() for part in ("--set", f"{key.replace('__', '.')}={value}")]


def verdict(options, folder, reference=None):
    """What `tweedie diagnose` says of a run, with a file of reference rows where there is one: a dictionary of findings, and
    `verdict`; kept beside the run as long as it depends on the same"""
    arguments = [str(folder), *(["--reference", str(reference)] if reference else [])]
    kept = folder.parent / f"{folder.name}{'-reference' if reference else ''}.verdict"
    line = depends("diagnose", arguments)
    if kept.exists() and (found := json.loads(kept.read_text())).get("of") == line:
        return found
    call = [options.program, "diagnose", *arguments, "--json", "--quiet"]
    result = subprocess.run(call, stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(call)}: exit {result.returncode}")
    found = {"of": line, **json.loads(result.stdout)}
    kept.write_text(json.dumps(found))
    return found


def trained(options, folder):
    """The summary of a training, and its speed in images/s"""
    last = (folder / "log.jsonl").read_text().splitlines()[-1]
    return json.loads((folder / "summary.json").read_text()), json.loads(last)["images_per_second"]


def tuned(score, weights):
    """The weight of the best score; further ones by factors of 2 are tried while it is at an end"""
    scores = {w: score(w) for w in weights}
    while True:
        best = max(scores, key=scores.get)
        if best == max(scores):
            scores[2 * best] = score(2 * best)
        elif best == min(scores):
            scores[best / 2] = score(best / 2)
        else:
            return best


def covered(draws, truth, where=...):
    """How often the span of n draws, of exact ones a central interval of (n - 1) / (n + 1), holds the truth"""
    return ((draws.min(0) <= truth) & (truth <= draws.max(0)))[where].mean()


def psnr(estimate, truth, peak):
    """dB, of each case: the mean square is over all axes but the first"""
    error = np.abs(np.asarray(estimate) - np.asarray(truth)) ** 2
    return 10 * np.log10(peak ** 2 / error.reshape(len(error), -1).mean(1))


def sheet(path, rows, low=0.0, high=1.0, gap=4):
    """A PNG in gray of images (H, W), all of one size, in rows; None leaves a place empty"""
    height, width = next(image for row in rows for image in row if image is not None).shape
    columns = max(map(len, rows))
    canvas = np.full((len(rows) * (height + gap) - gap, columns * (width + gap) - gap), 255, np.uint8)
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            if image is not None:
                top, left = i * (height + gap), j * (width + gap)
                canvas[top:top + height, left:left + width] = 255 * np.clip((image - low) / (high - low), 0, 1)
    lines = b"".join(b"\0" + line.tobytes() for line in canvas)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", canvas.shape[1], canvas.shape[0], 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines, 9)) + chunk(b"IEND", b""))


def table(columns, rows):
    return ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns),
            *("| " + " | ".join(map(str, row)) + " |" for row in rows), ""]


def spread(values, digits=2):
    """The least and the largest, of runs that differ in their seed"""
    return f"{min(values):.{digits}f} to {max(values):.{digits}f}"


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown"
