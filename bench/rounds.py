"""What side_by_side and compare share: measuring programs in turn, and the figures of several rounds."""

import json
import os
import statistics
import subprocess
import sys


class Failed(Exception):
    """A program ended otherwise than with results; says which and what it wrote to stderr."""


def common_options(parser, rounds):
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="a work or its family; repeatable")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--seconds", type=float, default=1, help="that each program measures each work for, at least")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--timeout", type=float, default=600, help="seconds that one run of a program may take")


def measured(command, options):
    """Rows of results of one run. Whatever is measured gets the same environment."""
    arguments = ["--seconds", str(options.seconds), "--threads", str(options.threads)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin would take the core from other work
    line = " ".join(map(str, command))
    try:
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=options.timeout,
                              env=environment)
    except subprocess.TimeoutExpired as expired:
        stderr = (expired.stderr or b"").decode(errors="replace")
        raise Failed(f"{line}: no result within {options.timeout:g} s; see --timeout\n{stderr}") from None
    if done.returncode != 0:
        raise Failed(f"{line}: exit status {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout)["results"]


def tweedie(program, name, options):
    """{(work, dtype): row}"""
    rows = measured([program, "bench", "--json", "--quiet", "--only", name], options)
    return {(row["name"], row["dtype"]): row for row in rows}


def in_turn(count, first, second):
    """[(first(), second())], count of them, every other time in the other order: what drifts cancels."""
    pairs = []
    for i in range(count):
        if i % 2 == 0:
            a = first()
            pairs.append((a, second()))
        else:
            b = second()
            pairs.append((first(), b))
    return pairs


def spread(values):
    values = list(values)
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def warnings():
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    if load <= 0.3 * cores:
        return []
    return [f"the machine is busy with other work (load {load:.1f} on {cores} cores): ratios may be off"]


def note(text):
    print(text.rstrip(), file=sys.stderr, flush=True)
