"""BART's files and its reconstructions (https://mrirecon.github.io/bart)."""
import contextlib
import os
import pathlib
import subprocess
import tempfile
import time

import numpy as np

# Of `bart pics`: l1 of wavelets and isotropic total variation, over the two axes of the image
PENALTIES = {"l1-wavelet": "W:3:0", "total variation": "T:3:0"}


def write(path, array):
    """array (..., y, x) as BART has it: x first, and in memory the same"""
    dims = list(reversed(array.shape))
    pathlib.Path(f"{path}.hdr").write_text("# Dimensions\n" + " ".join(map(str, dims)) + "\n")
    pathlib.Path(f"{path}.cfl").write_bytes(np.ascontiguousarray(array, np.complex64).tobytes())


def read(path, shape):
    return np.frombuffer(pathlib.Path(f"{path}.cfl").read_bytes(), np.complex64).reshape(shape)


def call(folder, threads, *arguments):
    """Peak memory of the program, in bytes"""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    try:
        process = subprocess.Popen(["bart", *map(str, arguments)], cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    except FileNotFoundError:
        raise SystemExit("bart: no such program; Debian's package brings it: apt-get install bart") from None
    peak = 0
    while process.poll() is None:  # what wait4() tells would be at least this script's own memory
        with contextlib.suppress(OSError, StopIteration):
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines()
            peak = 1024 * int(next(line for line in status if line.startswith("VmHWM")).split()[1])
        time.sleep(0.01)
    if process.returncode != 0:
        raise SystemExit(f"bart {' '.join(map(str, arguments))}: exit {process.returncode}")
    return peak


def sensitivities(coils, height, width):
    """(coils, height, width) complex64 of `bart phantom -S`, with a root of the sum of squares of 1 on average"""
    side = max(height, width)
    with tempfile.TemporaryDirectory() as folder:
        call(folder, 1, "phantom", "-S", coils, "-x", side, "maps")
        maps = read(f"{folder}/maps", (coils, side, side))
    top, left = (side - height) // 2, (side - width) // 2
    maps = maps[:, top:top + height, left:left + width]
    return np.ascontiguousarray(maps / np.sqrt((np.abs(maps) ** 2).sum(0)).mean())


def pics(k_space, maps, penalty, weight, threads, trajectory=None, iterations=100):
    """The images (cases, height, width), real, and what they took: seconds and bytes. k_space: (cases, coils, height, width),
    0 where nothing was measured; with a trajectory (lines, samples, 2), in cycles per pixel, (cases, coils, lines, samples)."""
    height, width = maps.shape[1:]
    images, seconds, memory = [], 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        write(f"{folder}/maps", maps[:, None])
        along = []
        if trajectory is not None:
            points = np.zeros((*trajectory.shape[:2], 3), np.complex64)
            points[..., 0], points[..., 1] = width * trajectory[..., 1], height * trajectory[..., 0]
            write(f"{folder}/trajectory", points)
            along = ["-t", "trajectory"]
        for case in k_space:
            shape = case.shape[:1] + (1,) + case.shape[1:]
            if trajectory is not None:
                shape = (len(maps), *trajectory.shape[:2], 1)
            write(f"{folder}/k", case.reshape(shape))
            start = time.perf_counter()
            took = call(folder, threads, "pics", "-d", 0, "-w", 1, "-c", "-i", iterations, "-e", *along,
                        "-R", f"{PENALTIES[penalty]}:{weight}", "k", "maps", "image")
            seconds += time.perf_counter() - start
            memory = max(memory, took)
            images.append(read(f"{folder}/image", (height, width)))
    return np.stack(images).real, {"seconds": seconds, "peak_memory_bytes": memory}
