"""Patches of relief as points seen from orbit: data, cameras, triangulation, Laplace's approximation. Lengths are in m."""
import pathlib

import numpy as np
from scipy.io import netcdf_file

RELIEF = pathlib.Path("/usr/share/ferret-vis/data/etopo5.cdf")
SIDE, SPACING, DEGREE = 12, 20e3, 111.2e3
ALTITUDE, FOCAL, PIXEL_NOISE = 700e3, 35000.0, 0.5  # 20 m on the ground for a pixel
JITTER = 60.0                                       # of a point around its node, in the middle camera's image: 3 pixels
UNITS = np.array([60.0, 60.0, 500.0])               # of x
LEAST_RELIEF = 300.0                                # standard deviation of a patch: mountains
# south, north, west, east
TEST = {"Tien Shan": (37, 47, 70, 86), "Zagros": (27, 38, 44, 58), "Andes": (-33, -14, -75, -64)}
TUNE = {"Rockies": (35, 49, -118, -105)}
GAP = 4.0                                           # degrees around those boxes that nothing is learned from


class Relief:
    def __init__(self):
        if not RELIEF.exists():
            raise SystemExit(f"{RELIEF}: no such file; Debian's package brings it: apt-get install ferret-datasets")
        with netcdf_file(RELIEF, mmap=False) as file:
            self.height = np.asarray(file.variables["ROSE"].data, dtype=float)

    def at(self, latitude, longitude):
        """Bilinear between the posts of 5 arc minutes"""
        i, j = (latitude + 90) * 12, (longitude % 360) * 12
        i0 = np.clip(np.floor(i).astype(int), 0, 2159)
        j0 = np.floor(j).astype(int)
        a, b = i - i0, j - j0
        h = lambda di, dj: self.height[i0 + di, (j0 + dj) % 4320]  # noqa: E731
        return (1 - a) * ((1 - b) * h(0, 0) + b * h(0, 1)) + a * ((1 - b) * h(1, 0) + b * h(1, 1))

    def patches(self, latitude, longitude, rng):
        """Points (N, n, n, 3), each patch in the plane at its (latitude, longitude), and which of them are mountains on land"""
        latitude, longitude = (np.asarray(v)[:, None, None] for v in (latitude, longitude))
        uv = nodes() + JITTER * rng.standard_normal((latitude.size, SIDE, SIDE, 2))
        z = np.zeros(uv.shape[:-1])
        for _ in range(3):  # the middle camera's ray meets the surface
            ground = uv * (1 - z / ALTITUDE)[..., None]
            z = self.at(latitude + ground[..., 1] / DEGREE,
                        longitude + ground[..., 0] / (DEGREE * np.cos(np.radians(latitude))))
        flat = z.reshape(len(z), -1)
        points = np.concatenate([uv * (1 - z / ALTITUDE)[..., None], z[..., None]], -1)
        return points, (flat.min(1) > 0) & (flat.std(1) > LEAST_RELIEF)


def nodes():
    axis = SPACING * (np.arange(SIDE) - (SIDE - 1) / 2)
    return np.stack(np.meshgrid(axis, axis, indexing="xy"), -1)


# x = (u, v, zeta) in UNITS: (u, v) is where the middle camera's ray through the point meets the datum, zeta = z / (1 - z / H),
# an inverse depth. To homogeneous coordinates both ways are linear, so the cameras take it in.
def to_points(x):
    q = x * UNITS
    return q / (1 + q[..., 2:] / ALTITUDE)


def to_x(points):
    return points / (1 - points[..., 2:] / ALTITUDE) / UNITS


FROM_X = np.diag([*UNITS, 1.0])
FROM_X[3, 2] = UNITS[2] / ALTITUDE


def cameras(views, spacing):
    """P (k, 3, 4) on points in m: along an orbit, `spacing` times the altitude apart, turned towards the middle of the patch"""
    result = []
    for k in range(views):
        centre = ALTITUDE * np.array([spacing * (k - (views - 1) // 2), 0, 1.0])
        forward = -centre / np.linalg.norm(centre)
        right = np.cross(np.array([0, 1.0, 0]), -forward)
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(forward, right), forward])
        result.append(np.diag([FOCAL, FOCAL, 1]) @ np.c_[rotation, -rotation @ centre])
    return np.array(result)


def project(p, x):
    """y (..., k, 2), and dy/dx (..., k, 2, 3)"""
    h = np.einsum("kij,...j->...ki", p[..., :3], x) + p[..., 3]
    y = h[..., :2] / h[..., 2:]
    return y, (p[:, :2, :3] - y[..., None] * p[:, 2:, :3]) / h[..., 2, None, None]


def dlt(p, y):
    """Hartley and Sturm 1997: each row divided by its norm, the least singular vector"""
    rows = (y[..., None] * p[:, 2:, :] - p[:, :2, :]).reshape(*y.shape[:-2], -1, 4)
    scale = np.array([1e5, 1e5, 1e3, 1])
    rows = rows * scale
    rows = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    v = np.linalg.svd(rows)[2][..., -1, :] * scale
    return v[..., :3] / v[..., 3:]


def triangulate(p, y, start):
    """Maximum likelihood by Gauss-Newton, and its covariance"""
    x = start
    for _ in range(20):
        h, j = project(p, x)
        j, r = j.reshape(*x.shape[:-1], -1, 3), (y - h).reshape(*x.shape[:-1], -1)
        step = np.linalg.solve(np.einsum("...mi,...mj->...ij", j, j), np.einsum("...mi,...m->...i", j, r)[..., None])[..., 0]
        x = x + step
    assert np.abs(step).max() < 1e-3
    return x, PIXEL_NOISE ** 2 * np.linalg.inv(np.einsum("...mi,...mj->...ij", j, j))


def laplace(p, y, mean, covariance, start):
    """The mode of the posterior of x (n, n, 3) under N(mean, covariance), and the covariance there"""
    x, precision = start.copy(), np.linalg.inv(covariance)
    d = x.size
    for _ in range(10):
        h, j = project(p, x)
        j, r = j.reshape(d // 3, -1, 3), (y - h).reshape(d // 3, -1)
        hessian = precision.copy()
        blocks = np.einsum("pmi,pmj->pij", j, j) / PIXEL_NOISE ** 2
        for k in range(d // 3):
            hessian[3 * k:3 * k + 3, 3 * k:3 * k + 3] += blocks[k]
        gradient = np.einsum("pmi,pm->pi", j, r).ravel() / PIXEL_NOISE ** 2 - precision @ (x - mean).ravel()
        step = np.linalg.solve(hessian, gradient)
        x = x + step.reshape(x.shape)
    assert np.abs(step).max() < 1e-6
    return x, np.linalg.inv(hessian)


def held_out(relief, boxes, count, rng):
    """Patches that don't overlap, `count` of each box"""
    result, places = [], []
    for name, (south, north, west, east) in boxes.items():
        side = SIDE * SPACING / DEGREE
        centres = [(a, o) for a in np.arange(south + side / 2, north - side / 2 + 1e-9, side)
                   for width in [side / np.cos(np.radians(a))]
                   for o in np.arange(west + width / 2, east - width / 2, width)]
        points, good = relief.patches(*np.array(centres).T, rng)
        for k in rng.permutation(np.flatnonzero(good))[:count]:
            result.append(points[k])
            places.append((name, *centres[k]))
    return np.array(result), places


def learned_from(relief, count, rng):
    """Patches from anywhere but the boxes and GAP around them"""
    result = []
    while len(result) < count:
        latitude = np.degrees(np.arcsin(rng.uniform(-1, 1, 4000) * np.sin(np.radians(60))))
        longitude = rng.uniform(-180, 180, 4000)
        far = relief.at(latitude, longitude) > 0
        for south, north, west, east in [*TEST.values(), *TUNE.values()]:
            wide = GAP / np.cos(np.radians(latitude))
            far &= ~((south - GAP < latitude) & (latitude < north + GAP) & (west - wide < longitude) & (longitude < east + wide))
        points, good = relief.patches(latitude[far], longitude[far], rng)
        result += list(points[good])
    return np.array(result[:count])
