"""The photographs of Debian's python3-skimage and python3-scipy, in gray: black is 0 and white 1."""
import bz2
import pathlib
import pickle

import numpy as np
from PIL import Image

SKIMAGE = pathlib.Path("/usr/lib/python3/dist-packages/skimage/data")
SCIPY = pathlib.Path("/usr/lib/python3/dist-packages/scipy/misc")
LUMA = [0.2126, 0.7152, 0.0722]


def picture(name):
    folder, package = (SCIPY, "python3-scipy") if name.endswith(".dat") else (SKIMAGE, "python3-skimage")
    path = folder / name
    if not path.exists():
        raise SystemExit(f"{path}: no such file; Debian's package brings it: apt-get install {package}")
    if name == "face.dat":
        image = np.frombuffer(bz2.decompress(path.read_bytes()), np.uint8).reshape(768, 1024, 3)
    elif name == "ascent.dat":
        image = np.array(pickle.loads(path.read_bytes()))
    else:
        image = np.array(Image.open(path))
    return (image[..., :3] @ LUMA if image.ndim == 3 else image) / 255


def averaged(image, factor):
    height, width = (n // factor for n in image.shape)
    return image[:height * factor, :width * factor].reshape(height, factor, width, factor).mean((1, 3))


def windows(image, side, stride):
    height, width = image.shape
    return [image[i:i + side, j:j + side] for i in range(0, height - side + 1, stride) for j in range(0, width - side + 1, stride)]
