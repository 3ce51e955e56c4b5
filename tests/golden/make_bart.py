#!/usr/bin/python3
"""Writes bart_*.npy beside this file: what BART (Debian's package bart, 0.8.00) makes of small inputs.

  bart_image    (12, 10) complex: random, the input
  bart_fft      its centred unitary transform, `bart fft -u 3`
  bart_k        (7, 9, 2): a radial trajectory of `bart traj`, in cycles per pixel along (height, width)
  bart_nufft    (7, 9) complex: the image there, `bart nufft`
  bart_adjoint  (12, 10) complex: back from bart_nufft, `bart nufft -a`
"""
import array, pathlib, random, struct, subprocess, tempfile

HEIGHT, WIDTH, SPOKES, SAMPLES = 12, 10, 7, 9
HERE = pathlib.Path(__file__).resolve().parent


def bart(folder, *arguments):
    subprocess.run(["bart", *map(str, arguments)], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def read_cfl(path):
    """Numbers (re, im, re, ...), the first of BART's axes fastest."""
    return array.array("f", pathlib.Path(f"{path}.cfl").read_bytes())


def write_npy(name, shape, dtype, numbers):
    header = repr({"descr": dtype, "fortran_order": False, "shape": shape})
    header += " " * (-(len(header) + 11) % 64) + "\n"
    (HERE / name).write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + numbers.tobytes())


def main():
    source = random.Random(1)
    image = array.array("f", [source.gauss(0, 1) for _ in range(2 * HEIGHT * WIDTH)])
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        # BART's first axis is x, along the width, and lies fastest: the same memory as (height, width) here.
        (folder / "image.hdr").write_text(f"# Dimensions\n{WIDTH} {HEIGHT}\n")
        (folder / "image.cfl").write_bytes(image.tobytes())
        bart(folder, "fft", "-u", 3, "image", "fft")
        bart(folder, "traj", "-r", "-x", SAMPLES, "-y", SPOKES, "k")
        bart(folder, "nufft", "k", "image", "nufft")
        bart(folder, "nufft", "-a", "-d", f"{WIDTH}:{HEIGHT}:1", "k", "nufft", "adjoint")
        k = read_cfl(folder / "k")  # (3, samples, spokes): x, y, z in cycles per field of view
        points = array.array("d")
        for i in range(SPOKES * SAMPLES):
            points.extend((k[6 * i + 2] / HEIGHT, k[6 * i] / WIDTH))
        write_npy("bart_image.npy", (HEIGHT, WIDTH), "<c8", image)
        write_npy("bart_fft.npy", (HEIGHT, WIDTH), "<c8", read_cfl(folder / "fft"))
        write_npy("bart_k.npy", (SPOKES, SAMPLES, 2), "<f8", points)
        write_npy("bart_nufft.npy", (SPOKES, SAMPLES), "<c8", read_cfl(folder / "nufft"))
        write_npy("bart_adjoint.npy", (HEIGHT, WIDTH), "<c8", read_cfl(folder / "adjoint"))


main()
