"""Monthly winds and what is learned from them: annual cycle, recent mean, modes, dynamics, and the files that the configs name."""
import itertools
import json
import pathlib
import shutil

import numpy as np
from scipy.ndimage import gaussian_filter

import problem

HERE = pathlib.Path(__file__).resolve().parent
WINDS = pathlib.Path("/usr/share/ferret-vis/data/monthly_navy_winds.cdf")
MONTHS, LEADS = 132, 3                 # 1982 to 1992
TRAIN = np.arange(93)                  # to September 1989; a gap of three months
STARTS = np.arange(96, MONTHS - LEADS)  # January 1990 to September 1992
FIELD = (2, 73, 144)
MODES, RIDGES = [5, 10, 15, 20, 30, 40], [0.1, 0.3, 1.0, 3.0, 10.0]
HARMONICS, SMOOTHING = [1, 2, 3, 4], [0, 2, 4]
KEPT, SHRINK = [0.6, 0.7, 0.8, 0.9, 0.95], [3, 6, 12, 24]  # of a recent mean: weight from month to month, months of zeros


def winds(options):
    """(months, 2 * 73 * 144) in m/s, zonal then meridional, and the latitudes"""
    if not WINDS.exists():
        raise SystemExit(f"{WINDS}: no such file; Debian's package brings it: apt-get install ferret-datasets")
    arrays = []
    for name in ("UWND", "VWND", "FNOCY"):
        file = options.out / f"{name}.npy"
        if not file.exists():
            problem.subprocess.run([options.program, "convert", f"{WINDS}:{name}", file, "--quiet"], check=True,
                                   stdout=problem.subprocess.DEVNULL)
        arrays.append(np.load(file).astype(float))
    return np.stack(arrays[:2], 1).reshape(MONTHS, -1), arrays[2]


def seasons(months, harmonics):
    columns = [np.ones(len(months))]
    for k in range(1, harmonics + 1):
        columns += [np.cos(2 * np.pi * k * months / 12), np.sin(2 * np.pi * k * months / 12)]
    return np.stack(columns, 1)


def annual_cycle(x, train, harmonics, months):
    return seasons(months, harmonics) @ np.linalg.lstsq(seasons(train, harmonics), x[train], rcond=None)[0]


def recent_mean(anomaly, kept, shrink):
    """Of an anomaly up to each month: sum_j kept^j a_{t-j} / (sum_j kept^j + shrink), m/s. Optimal climate normals
    (Huang, van den Dool, Barnston 1996) are the same with equal weights, a season's years, and no shrinkage"""
    result, total, weight = np.zeros_like(anomaly), np.zeros(anomaly.shape[1]), 0.0
    for t, now in enumerate(anomaly):
        total, weight = kept * total + now, kept * weight + 1
        result[t] = total / (weight + shrink)
    return result


class Fit:
    """Everything that is learned from the months `train`: the annual cycle, empirical orthogonal functions, and how much
    of an anomaly is left after one, two and three months at each point. With a memory (kept, shrink), anomalies of a
    forecast are those from the annual cycle and the recent mean of the month in which it starts."""

    def __init__(self, x, area, train, harmonics, smoothing, memory=None):
        self.climatology = annual_cycle(x, train, harmonics, np.arange(MONTHS))
        self.anomaly = x - self.climatology
        self.recent = recent_mean(self.anomaly, *memory) if memory else np.zeros_like(x)
        self.pairs = [np.intersect1d(train, train - lead) for lead in range(LEADS + 1)]
        now = self.later(train, 0)
        # of the months' inner products, which are fewer than the points
        power, u = np.linalg.eigh(now * area @ now.T)
        power, u = power[::-1][:max(MODES)], u[:, ::-1][:, :max(MODES)]
        self.maps, self.area = (u / np.sqrt(power)).T @ now, area  # of z = 1
        self.damping = [self.damped(lead, smoothing) for lead in range(LEADS + 1)]

    def later(self, starts, lead):
        """Anomalies so many months after the starts"""
        return self.anomaly[starts + lead] - self.recent[starts]

    def z(self, starts, lead, modes):
        return self.later(starts, lead) * self.area @ self.maps[:modes].T

    def damped(self, lead, smoothing):
        now, later = self.later(self.pairs[lead], 0), self.later(self.pairs[lead], lead)
        left = np.clip((now * later).mean(0) / (now ** 2).mean(0), 0, 1)
        return gaussian_filter(left.reshape(FIELD), (0, smoothing, smoothing), mode=("nearest", "nearest", "wrap")).ravel()

    def linear(self, modes, ridge):
        """z_{t+1} = M z_t: by least squares, drawn towards what damping each point alone would do to z"""
        z, after, maps = self.z(self.pairs[1], 0, modes), self.z(self.pairs[1], 1, modes), self.maps[:modes]
        now = z.T @ z / len(z)
        local = (maps * self.area * self.damping[1]) @ maps.T
        target = after.T @ z / len(z) - local @ now
        return local + target @ np.linalg.inv(now + ridge * np.trace(now) / modes * np.eye(modes)), now

    def forecast(self, matrix, starts):
        """Leads of (coefficients, what the modes leave out), both of anomalies"""
        modes = len(matrix)
        z = self.z(starts, 0, modes)
        rest = self.later(starts, 0) - z @ self.maps[:modes]
        result = []
        for lead in range(1, LEADS + 1):
            z = z @ matrix.T
            result.append((z, self.damping[lead] * rest))
        return result


def folds():
    """A year left out, with three months on either side that are not learned from"""
    for first in range(0, len(TRAIN), 12):
        held = np.arange(first, min(first + 12, len(TRAIN)))
        yield np.setdiff1d(TRAIN, np.arange(first - 3, held[-1] + 4)), held, held[:len(held) - LEADS]


def chosen(x, area):
    """Hyper-parameters by the mean square error in years left out, summed over leads where it is of a forecast"""
    parts = list(folds())

    def least(scores):
        return min(scores, key=scores.get)

    def cycle_error(harmonics):
        return np.mean([((x[held] - annual_cycle(x, train, harmonics, held)) ** 2 @ area).mean() for train, held, _ in parts])

    harmonics = least({n: cycle_error(n) for n in HARMONICS})

    def damped_error(smoothing, memory=None):
        errors = []
        for train, _, starts in parts:
            fit = Fit(x, area, train, harmonics, smoothing, memory)
            errors.append(sum(((fit.later(starts, lead) - fit.damping[lead] * fit.later(starts, 0)) ** 2 @ area).mean()
                              for lead in range(1, LEADS + 1)))
        return np.mean(errors)

    smoothing = least({s: damped_error(s) for s in SMOOTHING})
    memory = least({m: damped_error(smoothing, m) for m in itertools.product(KEPT, SHRINK)})
    fits = [Fit(x, area, train, harmonics, smoothing, memory) for train, _, _ in parts]
    scores = {}
    for modes in MODES:
        for ridge in RIDGES:
            total = 0.0
            for fit, (_, _, starts) in zip(fits, parts):
                for lead, (z, rest) in enumerate(fit.forecast(fit.linear(modes, ridge)[0], starts), 1):
                    error = fit.later(starts, lead) - z @ fit.maps[:modes] - rest
                    total += (error ** 2 @ area).mean() / len(fits)
            scores[modes, ridge] = total
    modes, ridge = least(scores)
    return {"harmonics": harmonics, "smoothing": smoothing, "memory": memory, "modes": modes, "ridge": ridge}


def prepared(options, x, latitude):
    """The files that the configs name, and what was chosen"""
    data = options.out / "data"
    data.mkdir(exist_ok=True)
    for config in HERE.glob("*.toml"):
        shutil.copy(config, data)
    if (data / "chosen.json").exists():
        return data, json.loads((data / "chosen.json").read_text())
    rows = np.maximum(np.cos(np.deg2rad(latitude)), 0)
    area = (np.ones(FIELD) * rows[:, None] / (rows.sum() * FIELD[0] * FIELD[2])).ravel()
    choice = chosen(x, area)
    modes, ridge, memory = choice["modes"], choice["ridge"], choice["memory"]

    def fitted(train, memory):
        return Fit(x, area, train, choice["harmonics"], choice["smoothing"], memory)

    def damped_of(fit, starts):
        """(starts, leads, points): the field without modes"""
        ahead = starts[:, None] + np.arange(1, LEADS + 1)
        now = fit.later(starts, 0)
        return fit.climatology[ahead] + fit.recent[starts][:, None] + np.stack([d * now for d in fit.damping[1:]], 1)

    fit, plain = fitted(TRAIN, memory), fitted(TRAIN, None)
    matrix, now = fit.linear(modes, ridge)
    to_modes = fit.maps[:modes] * area  # of a field: its coefficients

    # Errors in years left out, where coefficients and what they leave out are told apart by the final functions
    step, rest, of_damped, of_cycle = [], [[] for _ in range(LEADS)], [], []
    for train, _, starts in folds():
        part, ahead = fitted(train, memory), starts[:, None] + np.arange(1, LEADS + 1)
        for lead, (z, left) in enumerate(part.forecast(part.linear(modes, ridge)[0], starts), 1):
            error = part.later(starts, lead) - z @ part.maps[:modes] - left
            resolved = error @ to_modes.T
            rest[lead - 1].append(error - resolved @ fit.maps[:modes])
            if lead == 1:
                step.append(resolved)
        of_damped.append(x[ahead] - damped_of(fitted(train, None), starts))
        of_cycle.append(part.anomaly[ahead])
    step = np.concatenate(step)
    noise = step.T @ step / len(step)
    change = matrix - np.eye(modes)
    cross = change @ now
    covariance = np.block([[now, cross.T], [cross, cross @ change.T + noise]])

    ahead = STARTS[:, None] + np.arange(1, LEADS + 1)
    cycle, anomaly = fit.climatology, fit.anomaly
    left = np.stack([r for _, r in fit.forecast(matrix, STARTS)], 1)
    shape = (len(STARTS), LEADS, *FIELD)
    z = fit.z(TRAIN[:-1], 0, modes)
    files = {
        "mean": np.zeros((2, modes)), "covariance": (covariance + covariance.T) / 2, "zero": np.zeros((2, 1)),
        "windows": np.concatenate([z, fit.z(TRAIN[:-1], 1, modes) - z], 1).astype(np.float32),
        "history": fit.z(STARTS, 0, modes)[:, None], "nowhere": np.zeros((len(STARTS), 1, 1)),
        "basis": fit.maps[:modes].reshape(modes, *FIELD), "no-basis": np.zeros((1, *FIELD)),
        "offset": (cycle[ahead] + fit.recent[STARTS][:, None] + left).reshape(shape), "truth": x[ahead].reshape(shape),
        "climatology": cycle[ahead].reshape(shape),
        "persistence": np.repeat(x[STARTS][:, None], LEADS, 1).reshape(shape),
        "persistence-anomaly": (cycle[ahead] + anomaly[STARTS][:, None]).reshape(shape),
        "damped": damped_of(plain, STARTS).reshape(shape), "damped-recent": damped_of(fit, STARTS).reshape(shape),
        "residuals": np.stack([np.concatenate(r) for r in rest]).reshape(LEADS, -1, *FIELD).astype(np.float32),
        "damped-residuals": np.concatenate(of_damped).swapaxes(0, 1).reshape(LEADS, -1, *FIELD).astype(np.float32),
        "climatology-residuals": np.concatenate(of_cycle).swapaxes(0, 1).reshape(LEADS, -1, *FIELD).astype(np.float32),
        "latitude": latitude,
    }
    # The diffusion model's length of training is chosen on the last year of training
    tune = np.arange(TRAIN[-1] - 12, TRAIN[-1] + 1 - LEADS)
    files |= {"tune-windows": files["windows"][:tune[0] - 3], "tune-history": fit.z(tune, 0, modes)[:, None],
              "tune-truth": np.stack([fit.z(tune, lead, modes) for lead in range(1, LEADS + 1)], 1)}
    for name, array in files.items():
        np.save(data / f"{name}.npy", np.ascontiguousarray(array))
    choice["resolved"] = float((fit.z(TRAIN, 0, modes) ** 2).sum() / (fit.later(TRAIN, 0) ** 2 @ area).sum())
    (data / "chosen.json").write_text(json.dumps(choice))
    return data, choice
