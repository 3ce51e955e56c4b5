"""The evidence of a mode of p(image | magnitudes) under a prior that is learned: a Gaussian q climbs to where its lower bound is the
largest."""
import json
import subprocess
import time

import numpy as np

SIDE, FIELD = 28, 56
D, M = SIDE * SIDE, FIELD * FIELD
LEVEL = 0.05          # of the noise that blurs the prior where its density is asked for, of white - black = 2
APART = 9             # pixels: D looks little farther, so that pixels as far apart are moved at once for its Jacobian
SPREAD = 64           # pairs of draws of q, over which the data's gradient and curvature are averaged
STAGES = [(2, 10), (2, 15), (32, 25)]   # of a climb: pairs of draws of q that D is averaged over, steps at most
CHECKED = 32          # pairs of new draws that tell what is still to gain
BOUNDED = 12          # pairs of new draws that give the bound
ENOUGH = 1.0          # nat: a mode with less to gain is climbed
SURE = np.log(100)    # nats: a mode whose mass is less than the largest by as much has no weight
ROW, COLUMN = np.divmod(np.arange(D), SIDE)


class Density:
    def __init__(self, options, model):
        self.options, self.model, self.folder = options, model, options.out / "density"
        self.folder.mkdir(exist_ok=True)
        self.evaluations = self.vjps = 0

    def call(self, command, x, result, *arguments):
        np.save(self.folder / "x.npy", np.asarray(x, np.float32).reshape(-1, 1, SIDE, SIDE))
        threads = ["--threads", str(self.options.threads)] if self.options.threads else []
        call = [self.options.program, command, str(self.model), str(self.folder / "x.npy"), "--out", str(self.folder / command),
                "--force", "--quiet", *threads, *map(str, arguments)]
        subprocess.run(call, check=True, stdout=subprocess.DEVNULL)
        summary = json.loads((self.folder / command / "summary.json").read_text())
        self.evaluations += summary["rows"] * summary.get("network_evaluations", 1)
        self.vjps += summary["rows"] * summary.get("network_vjps", 0)
        return np.load(self.folder / command / f"{result}.npy").astype(float)

    def denoised(self, x):
        return self.call("denoise", x, "denoised", "--sigma", LEVEL).reshape(x.shape)

    def descent(self, x):
        """The gradient of -log p"""
        return (x - self.denoised(x)) / LEVEL ** 2

    def log_prior(self, x, seed):
        return self.call("likelihood", x.reshape(-1, D), "log_prob", "--sigma-min", LEVEL, "--tolerance", 1e-3, "--divergence", "hutchinson",
                         "--probes", 1, "--seed", seed).reshape(x.shape[:-1])

    def curvature(self, x, step=0.02):
        """The second derivatives of -log p, symmetric, means over the points x[i, :] of each case i"""
        colour = ROW % APART * APART + COLUMN % APART
        moved = np.concatenate([np.zeros((1, D)), step * np.equal.outer(np.arange(APART ** 2), colour)])
        values = self.denoised(x[:, :, None] + moved).mean(1)
        near = np.maximum(abs(ROW[:, None] - ROW), abs(COLUMN[:, None] - COLUMN)) <= APART // 2
        j = [np.where(near, ((v[1:] - v[0]) / step)[colour].T, 0) for v in values]
        return [(np.eye(D) - (one + one.T) / 2) / LEVEL ** 2 for one in j]


def transformed(x):
    return np.fft.fft2((x.reshape(-1, SIDE, SIDE) + 1) / 2, (FIELD, FIELD), norm="ortho")


def log_likelihood(x, y, std):
    residual = np.abs(transformed(x)) - y
    return -0.5 * ((residual / std) ** 2).sum((1, 2)) - M * np.log(std * np.sqrt(2 * np.pi))


def data_descent(x, y, std):
    """The gradient of -log p(y | x) at each row of x"""
    z = transformed(x)
    pull = z - y * z / np.maximum(1e-12, np.abs(z))
    return np.fft.ifft2(pull, norm="ortho").real[:, :SIDE, :SIDE].reshape(len(x), D) / (2 * std ** 2)


def data_curvature(x, y, std):
    """The second derivatives of -log p(y | x), mean over the rows of x. Of (|z| - y)² / 2 they are 1 along z and 1 - y / |z| across
    it: with z's phase p, d^T H d = sum over frequencies of (1 - y / 2|z|) |Td|² + Re(y / 2|z| conj(p)² (Td)²), of which the first
    depends on differences of places only, and the second on their sums"""
    z = transformed(x)
    least = 0.3 * np.sqrt((np.abs(z - z.mean(0)) ** 2).mean(0) / 2)     # 1 / |z| has a mean, but no variance
    half = y / np.maximum(np.abs(z), least) / 2
    alike = np.fft.ifft2(1 - half.mean(0)).real
    turned = np.fft.fft2((half * np.conj(z) ** 2 / np.maximum(1e-24, np.abs(z) ** 2)).mean(0)).real / M
    differences = alike[(ROW[:, None] - ROW) % FIELD, (COLUMN[:, None] - COLUMN) % FIELD]
    return (differences + turned[ROW[:, None] + ROW, COLUMN[:, None] + COLUMN]) / (4 * std ** 2)


def both(noise):
    """Draws in pairs, whose mean is 0: what is linear cancels"""
    return np.concatenate([noise, -noise])


def root(precision, least):
    """The symmetric root of its inverse; no direction is wider than `least` allows"""
    w, v = np.linalg.eigh(precision)
    return v / np.sqrt(np.maximum(w, least / LEVEL ** 2)) @ v.T


def climb(density, x, roots, noise, pairs, ys, std, steps):
    """Moves each x to the mean of the q = N(x, root²) whose bound is the largest: quasi-Newton steps (BFGS) from q's own covariance,
    in which the draws stay the same. The density is not known on the way, so the slope along a step decides whether it is taken"""
    x, inverse, taken = x.copy(), [r @ r for r in roots], np.zeros(len(x), int)

    def gradient(x, cases):
        prior = density.descent(np.stack([x[i] + both(noise[:pairs]) @ roots[i] for i in cases])).mean(1)
        return {i: g + data_descent(x[i] + both(noise) @ roots[i], ys[i], std).mean(0) for i, g in zip(cases, prior)}

    def step(i):
        p = -inverse[i] @ g[i]
        return p, min(1, 0.5 / np.abs(p).max())

    cases = list(range(len(x)))
    g = gradient(x, cases)
    ahead = {i: step(i) for i in cases}
    for _ in range(steps):
        cases = [i for i in cases if -g[i] @ ahead[i][0] / 2 > ENOUGH / 4]
        if not cases:
            break
        tried = x.copy()
        for i in cases:
            tried[i] += ahead[i][1] * ahead[i][0]
        for i, there in gradient(tried, cases).items():
            (p, length), s, d = ahead[i], tried[i] - x[i], there - g[i]
            before, after = g[i] @ p, there @ p
            taken[i] += 1
            if s @ d > 0.1 * length ** 2 * abs(before):         # else the curvature along the step is not one of a top
                b = inverse[i] @ d
                inverse[i] += ((1 + d @ b / (s @ d)) * np.outer(s, s) - np.outer(s, b) - np.outer(b, s)) / (s @ d)
            if after <= 0.9 * abs(before):
                x[i], g[i] = tried[i], there
                ahead[i] = step(i)
            else:                                               # far beyond the top along p
                ahead[i] = p, length * np.clip(before / (before - after), 0.1, 0.7)
    return x, taken


def evidence(density, starts, ys, std, rng):
    """Of each start the Gaussian q = N(mean, root²) of its mode, for which E_q[log p(x) + log p(y | x) - log q(x)] is the largest: a
    lower bound of the log of the integral of p(x) p(y | x) over the mode. There both are met as they are under q. At one point they
    mislead: a magnitude has a kink at 0, near which the noise puts many, and D has only learned from noisy images.
    `bounds` are those of pairs of draws, `left` is what the mean could still gain, and `above` is half the relative Fisher
    information of q: mass is above the bound by that at most, were the mode nowhere less curved than q"""
    began, counted = time.monotonic(), (density.evaluations, density.vjps)
    x, noise = np.array(starts, float), rng.standard_normal((SPREAD, D))
    prior = [1.2 * np.eye(D) / LEVEL ** 2] * len(x)             # about that of D's Jacobian at most places
    roots = [0.3 * LEVEL * np.eye(D)] * len(x)
    taken = 0
    for stage, (pairs, steps) in enumerate(STAGES):
        if stage:
            prior = density.curvature(np.stack([one + both(noise[:1]) @ r for one, r in zip(x, roots)]))
        for _ in range(2):                                      # the data's mean curvature depends on q
            roots = [root(data_curvature(one + both(noise) @ r, y, std) + c, 0.1 if stage else 0.5)
                     for one, r, y, c in zip(x, roots, ys, prior)]
        x, more = climb(density, x, roots, noise, pairs, ys, std, steps)
        taken = taken + more
    left, above, bounds = [], [], []
    new, last = rng.standard_normal((CHECKED, D)), rng.standard_normal((BOUNDED, D))
    descents = density.descent(np.stack([one + both(new) @ r for one, r in zip(x, roots)]))
    drawn = np.stack([one + both(last) @ r for one, r in zip(x, roots)])
    for one, r, y, descent, q, log_p in zip(x, roots, ys, descents, drawn, density.log_prior(drawn, 1)):
        slopes = (descent + data_descent(one + both(new) @ r, y, std)) @ r
        even = (slopes[:CHECKED] + slopes[CHECKED:]) / 2
        left.append(even[::2].mean(0) @ even[1::2].mean(0) / 2)         # halves: draws alone would leave a square
        above.append(((slopes - both(new)) ** 2).sum(1).mean() / 2)
        log_q = -0.5 * (both(last) ** 2).sum(1) - np.linalg.slogdet(r)[1] - D / 2 * np.log(2 * np.pi)
        bounds.append((log_p + log_likelihood(q, y, std) - log_q).reshape(2, BOUNDED).mean(0))
    return {"means": x, "errors": [np.sqrt((r ** 2).sum(0)) for r in roots], "bounds": bounds, "left": left, "above": above,
            "taken": taken, "evaluations": density.evaluations - counted[0], "vjps": density.vjps - counted[1],
            "seconds": time.monotonic() - began}


def judged(r, ks):
    """Of modes of one image, in the order of their bounds: number, bound below the largest, the standard error of that, and weight"""
    ks = sorted(ks, key=lambda k: -r["bounds"][k].mean())
    mean = np.array([r["bounds"][k].mean() for k in ks])
    error = np.array([r["bounds"][k].std(ddof=1) / np.sqrt(len(r["bounds"][k])) for k in ks])
    error = np.where(np.arange(len(ks)) > 0, np.hypot(error, error[0]), 0)
    climbed = [r["left"][k] < ENOUGH for k in ks]
    # the largest is worth its bound at least, the others theirs and what may be above
    none = [climbed[0] and c and mean[0] - m > r["above"][k] + 2 * e + SURE for k, m, e, c in zip(ks, mean, error, climbed)]
    weights = ["< 1%" if n else "undecided" if c else "not climbed" for n, c in zip(none, climbed)]
    if climbed[0] and all(none[1:]):
        weights[0] = f"> {100 - len(none[1:])}%"
    return list(zip(ks, mean - mean[0], error, weights))
