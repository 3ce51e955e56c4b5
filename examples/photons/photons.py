"""XMM-Newton's photons, halved, and what is estimated from one half: the background, the point spread function, how many
sources there are of which brightness, and fields simulated of that. The unit of brightness is counts a pixel in that half at
the exposure of the optical axis. The fits need scipy (Debian's python3-scipy)."""
import itertools
import json
import pathlib

import numpy as np
from scipy.optimize import minimize
from scipy.special import erf

FILES = pathlib.Path("/usr/lib/eso-midas/22FEB/test/prim")
SIDE, MARGIN = 64, 8          # of a window, and of what is reconstructed around the pixels that are scored
INNER = np.s_[MARGIN:SIDE - MARGIN, MARGIN:SIDE - MARGIN]
LEAST_EXPOSURE = 3000         # s: less is the edge of a chip or of the field of view
# The corners of the scored 48 x 48 pixels. Two thirds of them at least are exposed. No photon of the rows of the test
# windows, margins included, nor of the 16 rows above (80") is learned from.
TEST = [(84, c) for c in range(146, 338, 48)] + [(r, c) for r in (132, 180) for c in range(98, 386, 48)]
LEARNED = np.s_[252:444, 64:424]
TUNE = [(268, 98), (268, 242), (316, 146), (316, 338), (364, 194), (364, 290)]
BRIGHT, REACH = (247, 241), 12  # the pulsar, in the gap: the PSF is fitted to it
RESOLUTION = 0.5                # pixels: standard deviation of the Gaussian that a point of the reconstructed sky is
WIDEST, STAMP = 3.5, 21         # pixels: sources are up to so wide, and drawn on so many
CEILING, FAINTEST, BRIGHTEST = 300.0, 2.0, 1500.0
WAVELENGTH = 12.0               # pixels over which the simulated background varies


def fits(name):
    """The array of a FITS file"""
    if not (FILES / name).exists():
        raise SystemExit(f"{FILES / name}: no such file; Debian's package brings it: apt-get install eso-midas-testdata")
    data, header, at = (FILES / name).read_bytes(), {}, 0
    while "END" not in header:
        for card in (data[at + i:at + i + 80].decode("latin1") for i in range(0, 2880, 80)):
            if card[8:10] == "= " or card.rstrip() == "END":
                header[card[:8].strip()] = card[10:].split("/")[0].strip()
        at += 2880
    shape = [int(header[f"NAXIS{axis}"]) for axis in (2, 1)]
    kind = {"32": ">i4", "-32": ">f4"}[header["BITPIX"]]
    return np.frombuffer(data, kind, shape[0] * shape[1], at).reshape(shape).astype(np.float64)


def field():
    """Two halves of the photons, each photon in either by the toss of a coin; the exposure, 1 at its largest; and that of
    particles, which the mirrors' vignetting does not dim"""
    counts, seconds = fits("image_M12c.fits"), fits("expo_map_M12c.fits")
    y, x = np.unravel_index(seconds.argmax(), seconds.shape)
    radius = np.hypot(*np.ogrid[-y:seconds.shape[0] - y, -x:seconds.shape[1] - x])
    edges = np.arange(0, 168, 8)
    vignetting = [np.percentile(seconds[(radius >= r) & (radius < r + 8)], 98) for r in edges]
    particles = seconds / np.interp(radius, edges + 4, np.minimum.accumulate(vignetting))
    seen = seconds > LEAST_EXPOSURE
    counts = np.where(seen, counts, 0).astype(np.int64)
    half = np.random.default_rng(1).binomial(counts, 0.5)
    return half, counts - half, np.where(seen, seconds / seconds.max(), 0), np.where(seen, particles, 0)


def blocks(image, side):
    height, width = (n // side for n in image.shape)
    return image[:height * side, :width * side].reshape(height, side, width, side).sum((1, 3))


def background(counts, exposure, particles):
    """(a, b) of the rate a exposure + b particles, by maximum likelihood where no source stands out"""
    counts, exposure, particles = (image[LEARNED] for image in (counts, exposure, particles))
    chosen, rates = exposure > 0, np.array([0.1, 0.2])
    for _ in range(5):
        maps = np.stack([exposure[chosen], particles[chosen]])
        for _ in range(300):
            rates = rates * (maps @ (counts[chosen] / (rates @ maps))) / maps.sum(1)
        expected = rates[0] * exposure + rates[1] * particles
        near = [sum(np.roll(image, (i, j), (0, 1)) for i in range(-2, 3) for j in range(-2, 3)) for image in (counts, expected)]
        chosen = (exposure > 0) & (near[0] < near[1] + 3.5 * np.sqrt(near[1]))
    return rates


def point(centre, at):
    """The share of a Gaussian around `centre` in each pixel of one axis"""
    def below(t):
        return 0.5 * (1 + erf(t / (np.sqrt(2) * RESOLUTION)))
    return below(at - centre + 0.5) - below(at - centre - 0.5)


def king(core, slope, over=9):
    """(1 + (r / core)^2)^-slope, over pixels, of sum 1"""
    size = 2 * REACH + 1
    t = ((np.arange(size * over) + 0.5) / over - size / 2) ** 2
    kernel = ((1 + (t[:, None] + t) / core ** 2) ** -slope).reshape(size, over, size, over).sum((1, 3))
    return kernel / kernel.sum()


def blurred(sky, kernel):
    """Circular, over the last two axes, as the program's"""
    padded = np.zeros(sky.shape[-2:])
    padded[:kernel.shape[0], :kernel.shape[1]] = kernel
    padded = np.roll(padded, (-(kernel.shape[0] // 2), -(kernel.shape[1] // 2)), (0, 1))
    return np.fft.irfft2(np.fft.rfft2(sky) * np.fft.rfft2(padded), sky.shape[-2:]).clip(0)


def spread_function(counts, exposure, expected):
    """The King profile that, after the Gaussian of RESOLUTION, explains the pulsar best; its half-energy width, pixels"""
    box = tuple(slice(c - REACH, c + REACH + 1) for c in BRIGHT)
    counts, exposure, expected = counts[box], exposure[box], expected[box]
    at, pad = np.arange(-REACH, REACH + 1), 2 * REACH

    def seen(kernel, y, x):
        image = np.pad(point(y, at)[:, None] * point(x, at), ((0, pad), (0, pad)))
        return blurred(image, kernel)[:len(at), :len(at)]

    def loss(p):
        rate = np.exp(p[4]) * seen(king(np.exp(p[0]), 1.05 + np.exp(p[1])), p[2], p[3]) * exposure + expected
        return (rate - counts * np.log(rate)).sum()

    best = minimize(loss, [np.log(0.5), np.log(0.2), -0.4, 0.5, np.log(counts.sum())], method="Nelder-Mead",
                    options={"maxiter": 600, "fatol": 1e-2}).x
    core, slope = np.exp(best[0]), 1.05 + np.exp(best[1])
    radius, share = np.hypot(at[:, None], at).ravel(), seen(king(core, slope), 0, 0).ravel()
    order = radius.argsort()
    within = share[order].cumsum()
    return king(core, slope), core, slope, 2 * np.interp(0.5 * within[-1], within, radius[order])


def simulated(random, shape, mean, density, slope, variation):
    """A sky: a background that varies smoothly, and `density` sources per 64 x 64 pixels with dN/dS ~ S^-slope, of
    elliptic shape: some are extended, and off the axis the PSF is wider than the one taken and not round"""
    height, width = shape
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    smooth = np.fft.rfft2(random.standard_normal(shape)) * np.exp(-2 * (np.pi * WAVELENGTH * frequency) ** 2)
    smooth = np.fft.irfft2(smooth, shape)
    sky = np.pad(mean * np.exp(variation * smooth / smooth.std() - variation ** 2 / 2), STAMP // 2)
    count = random.poisson(density * height * width / 64 ** 2)
    low, high = FAINTEST ** (1 - slope), BRIGHTEST ** (1 - slope)
    flux = (low + random.random(count) * (high - low)) ** (1 / (1 - slope))
    y, x = random.uniform(0, height, count), random.uniform(0, width, count)
    major = RESOLUTION * (WIDEST / RESOLUTION) ** random.random(count)
    minor, angle = np.maximum(RESOLUTION, major * random.uniform(0.6, 1, count)), random.uniform(0, np.pi, count)
    corner, fine = (y.astype(int), x.astype(int)), (np.arange(3 * STAMP) + 0.5) / 3 - STAMP // 2  # 3 x 3 points a pixel
    dy, dx = (fine - (p - c)[:, None] for p, c in zip((y, x), corner))
    cos, sin = np.cos(angle), np.sin(angle)
    form = [(cos / major) ** 2 + (sin / minor) ** 2, (sin / major) ** 2 + (cos / minor) ** 2,
            cos * sin * (major ** -2 - minor ** -2)]
    yy, xx, xy = (f[:, None, None] / 2 for f in form)
    stamp = np.exp(-yy * dy[:, :, None] ** 2 - xx * dx[:, None] ** 2 - 2 * xy * dy[:, :, None] * dx[:, None])
    stamp = stamp.reshape(-1, STAMP, 3, STAMP, 3).sum((2, 4))
    stamp *= (flux / stamp.sum((1, 2)))[:, None, None]
    at = np.arange(STAMP)
    np.add.at(sky, (corner[0][:, None, None] + at[:, None], corner[1][:, None, None] + at), stamp)
    half = STAMP // 2
    return sky[half:-half, half:-half]


def population(counts, exposure, particles, rates, kernel):
    """Density, slope and variation of `simulated`, and the share of the sky's mean that is no source: what makes the
    histograms of counts in blocks of 3, 12 and 24 pixels most likely (P(D); Scheuer 1957), on a grid"""
    counts, exposure, particles = (image[LEARNED] for image in (counts, exposure, particles))
    expected = rates[0] * exposure + rates[1] * particles
    bins = {3: [-9, -1.5, -1, -.5, 0, .5, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 12, 20, np.inf]}
    bins[12] = bins[24] = [-np.inf, -3, -2, -1.5, -1, -.5, 0, .5, 1, 1.5, 2, 3, 5, np.inf]

    def histograms(image):
        result = {}
        for side, edges in bins.items():
            mean, seen = blocks(expected, side), blocks((exposure > 0) * 1.0, side) > 0.7 * side ** 2
            result[side] = np.histogram(((blocks(image, side) - mean)[seen]) / np.sqrt(mean[seen]), edges)[0]
        return result

    observed, scores = histograms(counts), {}
    for theta in itertools.product((8, 16, 32), (1.6, 2.0, 2.4), (0.1, 0.25, 0.4), (0.6, 0.8, 1.0)):
        random, total = np.random.default_rng(7), {side: 0.5 for side in bins}
        for _ in range(6):
            sky = simulated(random, counts.shape, theta[3] * rates[0], *theta[:3])
            drawn = histograms(random.poisson(exposure * blurred(sky, kernel) + rates[1] * particles))
            total = {side: total[side] + drawn[side] for side in bins}
        scores[theta] = sum((observed[s] * np.log(total[s] / total[s].sum())).sum() for s in bins)
    return max(scores, key=scores.get)


class Sky:
    """x of the prior and brightness: x is its log over the mean, bent towards the ceiling"""

    def __init__(self, mean):
        self.mean, self.middle = mean, np.log(CEILING / mean - 1)

    def of(self, x):
        return CEILING / (1 + np.exp(self.middle - x))

    def x(self, sky):
        sky = np.minimum(sky, 0.98 * CEILING)
        return np.log(sky / (CEILING - sky)) + self.middle

    def saturation(self):
        """gain, low and high of the operator of that name whose value is `of` plus low"""
        radius = CEILING / 2
        centre = self.middle * radius / 2
        return radius / 2, centre - radius, centre + radius


def training(random, count, sky, density, slope, variation):
    """(count, 1, 64, 64) of x"""
    images = np.empty((count, 1, SIDE, SIDE), np.float32)
    for image in images:
        large = simulated(random, (SIDE + 32, SIDE + 32), sky.mean, density, slope, variation)  # which is periodic
        image[0] = sky.x(large[16:-16, 16:-16])
    return images


def diagonal(path, values):
    """A diagonal matrix, as scipy.sparse.save_npz writes it"""
    size = values.size
    np.savez(path, format=b"csr", shape=np.array([size, size]), data=values.ravel(), indices=np.arange(size, dtype=np.int32),
             indptr=np.arange(size + 1, dtype=np.int32))


def total_variation(counts, exposure, known, kernel, weight, start, iterations):
    """The least sum(rate - counts log rate) + weight TV(sky), sky >= 0, rate = exposure * PSF sky + known; isotropic, without
    a jump at the edge (Chambolle and Pock 2011)"""
    def gradient(u):
        return np.stack([np.diff(u, axis=0, append=u[-1:]), np.diff(u, axis=1, append=u[:, -1:])])

    def divergence(p):  # minus the gradient's adjoint
        rows, columns = p[0].copy(), p[1].copy()
        rows[-1], columns[:, -1] = 0, 0
        return np.diff(rows, axis=0, prepend=0) + np.diff(columns, axis=1, prepend=0)

    flipped = kernel[::-1, ::-1]
    sky, ahead = start.copy(), start.copy()
    dual, slopes = np.zeros_like(sky), np.zeros((2, *sky.shape))
    norm = np.sqrt(exposure.max() ** 2 + 8)
    tau, sigma = 0.3 / norm, 1 / (0.3 * norm)
    for _ in range(iterations):
        # The conjugate's proximal map by Moreau's identity: z is the rate that the likelihood and the step agree on
        v = dual + sigma * (exposure * blurred(ahead, kernel) + known)
        z = (v - 1 + np.sqrt((v - 1) ** 2 + 4 * sigma * counts)) / (2 * sigma)
        dual = np.where(exposure > 0, v - sigma * z, 0)
        slopes = slopes + sigma * gradient(ahead)
        slopes /= np.maximum(1, np.sqrt((slopes ** 2).sum(0)) / weight)
        before = sky
        sky = np.maximum(0, sky - tau * (blurred_signed(exposure * dual, flipped) - divergence(slopes)))
        ahead = 2 * sky - before
    return sky


def blurred_signed(image, kernel):
    return blurred(image.clip(0), kernel) - blurred((-image).clip(0), kernel)


def smoothed(image, std):
    frequency = np.hypot(np.fft.fftfreq(image.shape[-2])[:, None], np.fft.rfftfreq(image.shape[-1]))
    return np.fft.irfft2(np.fft.rfft2(image) * np.exp(-2 * (np.pi * std * frequency) ** 2), image.shape[-2:])


def write(folder):
    """field.npz, facts.json, train.npy, and for each window what infer.toml reads, in test0 ... and tune0 ..."""
    if (folder / "facts.json").exists():
        return json.loads((folder / "facts.json").read_text())
    folder.mkdir(parents=True, exist_ok=True)
    counts, other, exposure, particles = field()
    rates = background(counts, exposure, particles)
    kernel, core, slope, width = spread_function(counts, exposure, rates[0] * exposure + rates[1] * particles)
    theta = population(counts, exposure, particles, rates, kernel)
    sky = Sky(theta[3] * rates[0])
    np.save(folder / "train.npy", training(np.random.default_rng(11), 6000, sky, *theta[:3]))
    np.savez_compressed(folder / "field.npz", counts=counts, other=other, exposure=exposure, particles=particles, kernel=kernel)
    for name, corners in (("test", TEST), ("tune", TUNE)):
        for i, corner in enumerate(corners):
            box, place = window(corner), folder / f"{name}{i}"
            place.mkdir(exist_ok=True)
            np.save(place / "counts.npy", counts[box].ravel().astype(np.float32))
            np.save(place / "psf.npy", kernel)
            np.save(place / "background.npy", (sky.mean * exposure + rates[1] * particles)[box].ravel())
            diagonal(place / "exposure.npz", exposure[box])
    facts = {"sky": rates[0], "particles": rates[1], "core": core, "king_slope": slope, "width": width, "density": theta[0],
             "slope": theta[1], "variation": theta[2], "share": theta[3], "photons": int(counts.sum())}
    (folder / "facts.json").write_text(json.dumps(facts, indent=1))
    return facts


def window(corner):
    return tuple(slice(c - MARGIN, c - MARGIN + SIDE) for c in corner)
