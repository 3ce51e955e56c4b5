"""Noise models through the commands: measured, inferred, diagnosed, and what is refused."""
import json, math, random, statistics, unittest

from support import Array, Scene, matrix, neighbours, normal, tree, zeros

PRIOR = '[prior]\nkind = "gaussian"\nmean = "mean.npy"\ncovariance = "covariance.npy"\n'
NOISE = '[measurement.noise]\nkind = "poisson"\ngain = 2\nbackground = 1\n'
OPERATOR = '[measurement.operator]\nkind = "matrix"\nmatrix = "A.npy"\n'
MEASURE = f'seed = 1\n[prior]\nmodel = "prior.toml"\n[measurement]\ncount = 8\n{OPERATOR}{NOISE}'
INFER = ('seed = 2\n[prior]\nmodel = "prior.toml"\n[measurement]\nrun = "poisson"\n'
         '[method]\nkind = "tds"\nsteps = 60\ndraws = 128\n[schedule]\nkind = "karras"\nsigma_min = 0.02\nsigma_max = 20\n')
BY_HAND = INFER.replace('run = "poisson"\n', f'y = "y.npy"\n{OPERATOR}{NOISE}')


def noise(**keys):
    """--set measurement.noise = {...}"""
    return ["--set", "measurement.noise={" + ",".join(f"{k}={json.dumps(v)}" for k, v in keys.items()) + "}"]


def method(kind, **keys):
    return [word for k, v in {"kind": kind, **keys}.items() for word in ("--set", f"method.{k}={v}")]


class NoiseModels(Scene):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        rows = [[1 if i % 4 == j else 0.25 for j in range(4)] for i in range(12)]
        covariance = [[0.2 * 0.5 ** abs(i - j) + (0.1 if i == j else 0) for j in range(12)] for i in range(12)]
        cls.write({"prior.toml": PRIOR, "measure.toml": MEASURE, "infer.toml": INFER, "hand.toml": BY_HAND,
                   "mean.npy": Array((4,), [4.0] * 4), "covariance.npy": neighbours(1, 4, 0.5), "A.npy": matrix(rows),
                   "noise_covariance.npy": matrix(covariance), "noise_std.npy": Array((12,), [0.1 * (i + 1) for i in range(12)]),
                   "zero_std.npy": zeros(12), "short_std.npy": Array((11,), [1.0] * 11),
                   "singular.npy": matrix([[1.0] * 12] * 12), "y.npy": Array((12,), [9.0] * 12),
                   "negative.npy": Array((12,), [9.0] * 11 + [-2.0]), "half.npy": Array((12,), [9.0] * 11 + [2.5])})
        cls.tweedie("measure", "measure.toml", "--out", "poisson")

    def test_counts_are_measured_inferred_and_trusted(self):
        y, x = self.array("poisson/y.npy"), self.array("poisson/x.npy")
        self.assertEqual(y.shape, (8, 12))
        self.assertTrue(all(v >= 0 and v == round(v) for v in y.values))
        # 96 counts of mean rate 2 * 1.75 * 4 + 1 = 15
        self.assertAlmostEqual(statistics.fmean(y.values), 15, delta=5 * math.sqrt((15 + 50) / 96))
        self.tweedie("infer", "infer.toml", "--out", "tds")
        summary = self.summary("tds")
        self.assertTrue(math.isfinite(summary["log_evidence"]))
        self.assertGreater(summary["residual_p_value"], 1e-3)
        done = self.tweedie("diagnose", "tds")
        self.assertIn("The draws can be trusted", done.stdout)
        self.assertIn("Gaussian noise of a stated level only", done.stdout)
        self.assertEqual(self.summary("poisson")["noise"], "poisson")

    def test_another_noise_is_found_out(self):
        y = self.array("poisson/y.npy")
        self.write({"counts.npy": y})
        # Laplace noise a tenth as wide as these counts vary
        self.tweedie("infer", "hand.toml", "--set", "measurement.y=counts.npy", *noise(kind="laplace", scale=0.3),
                     *method("daps", steps=20), "--out", "wrong")
        self.assertRegex(self.tweedie("diagnose", "wrong", status=1).stdout, "fail +data-consistency")

    def test_covariance_keeps_the_evidence(self):
        for name, key in (("covariance", "covariance"), ("entries", "std_file")):
            # The run keeps a copy of what its noise is of.
            file = {"covariance": "noise_covariance.npy", "std_file": "noise_std.npy"}[key]
            (self.folder / "gone.npy").write_bytes((self.folder / file).read_bytes())
            self.tweedie("measure", "measure.toml", *noise(kind="gaussian", **{key: "gone.npy"}), "--out", name)
            (self.folder / "gone.npy").unlink()
            run = ["--set", f"measurement.run={name}"]
            self.tweedie("infer", "infer.toml", *run, *method("exact"), "--out", name + "-exact")
            self.tweedie("infer", "infer.toml", *run, *method("mcgdiff", draws=512), "--out", name + "-mcgdiff")
            exact, particles = (self.summary(f"{name}-{kind}")["log_evidence"] for kind in ("exact", "mcgdiff"))
            self.assertLess(abs(exact - particles), 4)  # of 8 cases
            self.assertIn("can be trusted", self.tweedie("diagnose", name + "-exact").stdout)

    def test_unknown_level(self):
        self.tweedie("measure", "measure.toml", *noise(kind="gaussian", std=0.3), "--out", "known")
        y = self.array("known/y.npy")
        self.write({"measured.npy": y})
        by_hand = ["hand.toml", "--set", "measurement.y=measured.npy"]
        self.tweedie("infer", *by_hand, *noise(kind="gaussian", estimate="data"), *method("exact"), "--out", "data")
        # 8 cases with 12 - 4 degrees of freedom each: 9% of the level
        self.assertAlmostEqual(self.summary("data")["noise_std"], 0.3, delta=0.3 * 5 * 0.09)
        self.tweedie("infer", *by_hand, *noise(kind="gaussian", estimate="gibbs", sweeps=10), *method("exact", draws=32), "--out", "gibbs")
        level = self.array("gibbs/noise_std.npy")
        self.assertEqual(level.shape, (32, 8))
        summary = self.summary("gibbs")
        self.assertAlmostEqual(summary["noise_std"], statistics.fmean(level.values), places=9)
        self.assertAlmostEqual(summary["noise_std"], 0.33, delta=0.12)
        self.assertGreater(summary["noise_std_spread"], 0.02)
        self.assertIn("can be trusted", self.tweedie("diagnose", "gibbs").stdout)

    def test_bad_input(self):
        before = tree(self.folder)
        for arguments, words in (
                (["--set", "measurement.y=negative.npy"], ["negative.npy", "-2", "counts"]),
                (["--set", "measurement.y=half.npy"], ["half.npy", "2.5", "whole", "poisson-gaussian"]),
                (method("ddrm"), ["method.kind", "ddrm takes gaussian noise only", "dps", "poisson"]),
                (method("exact"), ["method.kind", "exact takes gaussian noise only"]),
                (method("repaint"), ["method.kind", "repaint takes gaussian noise only"]),
                (noise(kind="bernoulli"), ["y.npy", "9", "0 and 1"]),
                (noise(kind="gaussian", std_file="zero_std.npy"), ["zero_std.npy", "above 0"]),
                (noise(kind="gaussian", std_file="short_std.npy"), ["short_std.npy", "(11,)", "(12,)"]),
                (noise(kind="gaussian", covariance="singular.npy"), ["singular.npy", "positive definite"]),
                (noise(kind="gaussian", covariance="A.npy"), ["A.npy", "(12, 4)", "(12, 12)"]),
                (noise(kind="gaussian", covariance="nowhere.npy"), ["nowhere.npy"]),
                (noise(kind="gaussian", std=0.1, std_file="noise_std.npy"), ["std"]),
                (noise(kind="gaussian", std_file="noise_std.npy", covariance="noise_covariance.npy"), ["std_file and covariance"]),
                (noise(kind="gaussian"), ["std"]),
                (noise(kind="complex-gaussian", std=1), ["complex-gaussian", "real"]),
                (noise(kind="poisson"), ["gain"]),
                (noise(kind="poisson", gain=0), ["gain", "0"]),
                (noise(kind="poisson", gain=1, background=-1), ["background", "-1"]),
                (noise(kind="laplace", scale=0), ["scale", "0"]),
                (noise(kind="student", scale=1, freedom=0), ["freedom", "0"]),
                (noise(kind="poison", gain=1), ['"poison"', "did you mean 'poisson'"])):
            with self.subTest(arguments):
                line = self.refused("infer", "hand.toml", *arguments, "--out", "bad")
                for word in words:
                    self.assertIn(word, line)
        line = self.refused("measure", "measure.toml", *noise(kind="gaussian", estimate="gibbs"), "--out", "bad")
        self.assertIn("measurement.noise.estimate", line)
        self.assertEqual(tree(self.folder), before)


if __name__ == "__main__":
    unittest.main()
