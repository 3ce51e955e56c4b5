"""Slices of a T1-weighted head, as a scanner with 1.75 mm pixels would see them: a volume of 1 mm, cut to the frequencies of
128 x 112 pixels."""
import gzip
import pathlib
import struct

import numpy as np
from scipy import ndimage

TEMPLATES = pathlib.Path("/usr/share/mricron/templates")
HEIGHT, WIDTH = 128, 112
FIELD = (224, 196)   # of view, mm

# Axial slices held out, in two slabs, and what is not learned from in any orientation: the slabs and 4 mm around them.
TEST = [57, 64, 97, 104]
HELD_OUT = [*range(52, 70), *range(92, 110)]
# Of those learned from, on which the weights of the peers' penalties are chosen.
TUNE = [42, 77, 84, 120]
AXIAL, CORONAL, SAGITTAL = 0, 1, 2
COPIES = 9   # of each slice learned from, warped as another head might be


def nifti(name):
    """The voxels of a NIfTI-1 file, (z, y, x)"""
    path = TEMPLATES / name
    if not path.exists():
        raise SystemExit(f"{path}: no such file; Debian's package brings it: apt-get install mricron-data")
    data = gzip.open(path).read()
    x, y, z = struct.unpack("<3h", data[42:48])
    kind = {2: "u1", 16: "<f4"}[struct.unpack("<h", data[70:72])[0]]
    start = int(struct.unpack("<f", data[108:112])[0])
    return np.frombuffer(data, kind, x * y * z, start).reshape(z, y, x).astype(np.float64)


def scanned(slice_2d, field=FIELD):
    """The image (HEIGHT, WIDTH) of the lowest frequencies of one with pixels of 1 mm"""
    padded = np.zeros(field)
    top, left = ((f - s) // 2 for f, s in zip(field, slice_2d.shape))
    padded[top:top + slice_2d.shape[0], left:left + slice_2d.shape[1]] = slice_2d
    k = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(padded)))
    top, left = field[0] // 2 - HEIGHT // 2, field[1] // 2 - WIDTH // 2
    k = k[top:top + HEIGHT, left:left + WIDTH]
    image = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(k))).real
    return image * (HEIGHT * WIDTH) / (field[0] * field[1])


def smooth_field(random, shape, periods):
    """Gaussian, of variance 1, with about so many periods over the view"""
    frequencies = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n) * n for n in shape), indexing="ij"))
    field = np.fft.ifft2(np.fft.fft2(random.standard_normal(shape)) * np.exp(-(frequencies / periods) ** 2)).real
    return field / field.std()


def smooth_phase(random):
    """Radians: a constant, a slope, and a field that varies over a third of the view"""
    v, u = np.meshgrid(np.linspace(-1, 1, HEIGHT), np.linspace(-1, 1, WIDTH), indexing="ij")
    field = 0.6 * smooth_field(random, (HEIGHT, WIDTH), 2)
    return random.uniform(-np.pi, np.pi) + random.uniform(-1, 1) * u + random.uniform(-1, 1) * v + field


def warped(image, random):
    """The slice turned by up to 6 degrees, stretched by up to 5% along each axis, bent by 1.5 mm and 5% brighter or darker"""
    angle, stretch = np.radians(random.uniform(-6, 6)), random.uniform(0.95, 1.05, 2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * stretch
    middle = (np.array(image.shape) - 1) / 2
    at = np.stack(np.meshgrid(*map(np.arange, image.shape), indexing="ij"), -1) - middle
    bend = np.stack([1.5 * smooth_field(random, image.shape, 5) for _ in range(2)])
    moved = ndimage.map_coordinates(image, np.moveaxis(at @ turn.T + middle, -1, 0) + bend, order=3)
    return np.clip(moved, 0, None) * random.uniform(0.95, 1.05)


def head():
    """Colin27, (z, y, x), with 1 for the brightest tissue"""
    volume = nifti("ch2.nii.gz")
    return volume / np.percentile(volume, 99.9)


def write(folder):
    """train.npy (N, 1, HEIGHT, WIDTH) with train_labels.npy, and its axial slices as they are in axial.npy; test.npy, tune.npy;
    stripped.npy, the test slices without what is not brain; macaque.npy; phase.npy (HEIGHT, WIDTH)"""
    names = ("train", "train_labels", "axial", "test", "tune", "stripped", "macaque", "phase")
    if all((folder / f"{name}.npy").exists() for name in names):
        return
    folder.mkdir(parents=True, exist_ok=True)
    volume = head()
    seen = volume.copy()
    seen[HELD_OUT] = 0  # what a coronal or sagittal slice sees of the slabs
    axial = [(AXIAL, volume[z]) for z in range(3, 173) if z not in HELD_OUT]
    slices = 2 * axial
    slices += [(CORONAL, seen[:, y]) for y in range(6, 216)] + [(SAGITTAL, seen[:, :, x].T) for x in range(6, 173)]
    random = np.random.default_rng(21)
    slices += [(label, warped(image, random)) for label, image in slices for _ in range(COPIES)]
    # A macaque's brain, of 0.5 mm: its pixels are taken for 1 mm, so that it is as large as a head.
    other = nifti("inia19-t1-brain.nii.gz")
    other = other / np.percentile(other[other > 0], 99.9)
    sets = {"train": [image for _, image in slices], "axial": [image for _, image in axial], "test": volume[TEST],
            "tune": volume[TUNE], "stripped": np.where(nifti("ch2bet.nii.gz") > 0, volume, 0)[TEST], "macaque": other[60:100:10]}
    for name, images in sets.items():
        np.save(folder / f"{name}.npy", np.stack([scanned(image)[None] for image in images]).astype(np.float32))
    np.save(folder / "train_labels.npy", np.array([label for label, _ in slices], np.int64))
    np.save(folder / "phase.npy", smooth_phase(np.random.default_rng(20)))
