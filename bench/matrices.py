"""NPY files of float64, by the standard library alone."""

import array
import ast
import math
import pathlib
import random
import struct


def write(path, shape, values):
    header = repr({"descr": "<f8", "fortran_order": False, "shape": tuple(shape)})
    header += " " * (-(len(header) + 11) % 64) + "\n"
    body = array.array("d", values).tobytes()
    pathlib.Path(path).write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + body)


def read(path):
    """Shape and flat values of a float64 file."""
    data = pathlib.Path(path).read_bytes()
    end = 10 + struct.unpack("<H", data[8:10])[0]
    header = ast.literal_eval(data[10:end].decode())
    if header["descr"] != "<f8" or header["fortran_order"]:
        raise SystemExit(f"{path}: {header['descr']}, but <f8 in C order is meant")
    values = array.array("d")
    values.frombytes(data[end:])
    return header["shape"], values


def low_rank(rows, columns, rank, seed):
    """Flat values of a product of two matrices of normal numbers."""
    source = random.Random(seed)
    left = [[source.gauss(0, 1) for _ in range(rank)] for _ in range(rows)]
    right = [[source.gauss(0, 1) for _ in range(rank)] for _ in range(columns)]
    return [math.fsum(a * b for a, b in zip(p, q)) for p in left for q in right]
