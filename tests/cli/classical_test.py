"""Methods that give one answer, as methods of infer, and tweedie complete."""
import json, math, random, unittest

from support import PNG, Array, Scene, neighbours, normal, results, tree, zeros

SIDE = 8
MEASURE = ('seed = 1\n[measurement]\ntruth = "truth.npy"\n[measurement.operator]\nkind = "blur"\nstd = 0.7\n'
           '[measurement.noise]\nkind = "gaussian"\nstd = 0.1\n')
PLAIN = '[measurement]\nrun = "measured"\n[method]\nkind = "tikhonov"\n'
PRIOR = '[prior]\nkind = "gaussian"\nmean = "mean.npy"\ncovariance = "covariance.npy"\n'
WITH_PRIOR = PRIOR + PLAIN
METHODS = {"tikhonov": {}, "fista-tv": {}, "admm-tv": {}, "wavelet-l1": {}, "richardson-lucy": {},
           "deep-image-prior": {"iterations": 20, "channels": 8, "multipliers": "[1, 2]"}}
OF_A_PRIOR = {"wiener": {}, "pnp": {"level": 0.2}, "red": {"level": 0.2}, "map": {"level": 0.3, "iterations": 50},
              "augmented-lagrangian": {"rounds": 3}}


def kind(name, **options):
    words = ["--set", f"method.kind={name}"]
    for key, value in options.items():
        words += ["--set", f"method.{key}={value}"]
    return words


class Infer(Scene):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        disc = [2.0 if (i - 3) ** 2 + (j - 4) ** 2 < 7 else 0.5 for i in range(SIDE) for j in range(SIDE)]
        cls.write({"truth.npy": Array((1, SIDE, SIDE), disc), "measure.toml": MEASURE, "plain.toml": PLAIN,
                   "prior.toml": WITH_PRIOR, "mean.npy": Array((1, SIDE, SIDE), [1.0] * SIDE ** 2),
                   "covariance.npy": neighbours(SIDE, SIDE, 0.7), "data.npy": normal((80, 1, SIDE, SIDE), 3)})
        cls.tweedie("measure", "measure.toml", "--out", "measured")

    def check_run(self, run, name, *, std):
        files = set(tree(self.folder / run))
        self.assertEqual(files - {"weight.json"}, {"figure.png", "log_weight.npy", "mean.npy", "run.toml", "samples.npy",
                                                   "summary.json"} | ({"std.npy"} if std else set()))
        summary = self.summary(run)
        self.assertEqual((summary["method"], summary["draws"], summary["cases"]), (name, 1, 1))
        self.assertIn("iterations", summary)
        self.assertIn("converged", summary)
        self.assertTrue(math.isfinite(summary["psnr"]))
        self.assertEqual(any("point estimate" in w for w in summary["warnings"]), not std)
        samples, mean = self.array(f"{run}/samples.npy"), self.array(f"{run}/mean.npy")
        self.assertEqual((samples.shape, mean.shape), ((1, 1, 1, SIDE, SIDE), (1, 1, SIDE, SIDE)))
        self.assert_near(samples[0], mean, 1e-6)
        return summary

    def test_methods_without_a_prior(self):
        for name, options in METHODS.items():
            self.tweedie("infer", "plain.toml", *kind(name, **options), "--out", name)
            summary = self.check_run(name, name, std=False)
            self.assertEqual(summary["prior"], "none")

    def test_methods_with_a_prior(self):
        for name, options in OF_A_PRIOR.items():
            self.tweedie("infer", "prior.toml", *kind(name, **options), "--out", f"prior-{name}")
            self.check_run(f"prior-{name}", name, std=name == "wiener")
            line = self.refused("infer", "plain.toml", *kind(name, **options), "--out", "refused")
            self.assertIn("prior", line)

    def test_wiener_is_what_exact_draws_have_as_mean(self):
        self.tweedie("infer", "prior.toml", *kind("wiener"), "--out", "wiener")
        self.tweedie("infer", "prior.toml", *kind("exact", draws=400), "--out", "exact")
        self.assert_near(self.array("wiener/mean.npy"), self.array("exact/mean.npy"), 1e-9)
        ratio = [a / b for a, b in zip(self.array("wiener/std.npy").values, self.array("exact/std.npy").values)]
        self.assertLess(max(abs(r - 1) for r in ratio), 5 / math.sqrt(2 * 400))  # five standard errors

    def test_wiener_takes_moments_from_data(self):
        for covariance in ("full", "stationary"):
            self.tweedie("infer", "plain.toml", *kind("wiener", data="data.npy", covariance=covariance), "--out",
                         f"wiener-{covariance}")
            self.check_run(f"wiener-{covariance}", "wiener", std=False)

    def test_rules_for_the_weight(self):
        for rule in ("discrepancy", "sure", "l-curve"):
            self.tweedie("infer", "plain.toml", *kind("tikhonov", rule=rule), "--out", rule)
            chosen = json.loads((self.folder / rule / "weight.json").read_text())
            self.assertEqual(len(chosen), 1)
            weights = [t["weight"] for t in chosen[0]["trials"]]
            self.assertEqual(weights, sorted(weights))
            self.assertIn(chosen[0]["weight"], weights)
            self.assertEqual(chosen[0]["weight"], self.summary(rule)["weight"])
        self.assertAlmostEqual(self.summary("discrepancy")["residual_chi2"], 1, delta=2e-3)
        self.tweedie("infer", "plain.toml", *kind("tikhonov", weight=0.5), "--out", "given")
        self.assertEqual(self.summary("given")["weight"], 0.5)
        self.assertFalse((self.folder / "given/weight.json").exists())

    def test_threads_and_repetition_change_no_byte(self):
        self.tweedie("infer", "plain.toml", *kind("fista-tv"), "--threads", 1, "--out", "once")
        self.tweedie("infer", "once/run.toml", "--threads", 2, "--out", "again")
        one, two = results(self.folder / "once"), results(self.folder / "again")
        self.assertEqual(one[0].keys(), two[0].keys())
        for name in ("samples.npy", "weight.json"):
            self.assertEqual(one[0][name], two[0][name])

    def test_diagnose_says_that_an_answer_is_no_draw(self):
        self.tweedie("infer", "plain.toml", *kind("tikhonov"), "--out", "judged")
        findings = json.loads(self.tweedie("diagnose", "judged", "--json", status=1).stdout)["findings"]
        self.assertEqual([f["name"] for f in findings if f["status"] == "fail"], ["spread"])

    def test_bad_input(self):
        for flags, words in ((kind("tikhonov", weight=-1), ["weight", "-1"]),
                             (kind("tikhonov", draws=3), ["draws"]),
                             (kind("fista-tv", steps=3), ["steps"]),
                             (kind("fista-tv", rule="nothing"), ["rule", "nothing", "l-curve"]),
                             (kind("wavelet-l1", levels=9), ["levels", "9"]),
                             (kind("map"), ["prior"]),
                             (kind("wiener", data="truth.npy", rank=3), ["data"]),
                             (["--set", "measurement.shape=[3, 3, 3]"], ["3"])):
            line = self.refused("infer", "plain.toml", *flags, "--out", "refused")
            for word in words:
                self.assertIn(word, line)
            self.assertFalse((self.folder / "refused").exists())

    def test_shape_without_a_prior_or_truth(self):
        y = self.array("measured/y.npy")
        self.write({"y.npy": Array((SIDE * SIDE,), y.values[:SIDE * SIDE]), "eye.npy": Array(
            (SIDE * SIDE, SIDE * SIDE), [float(i == j) for i in range(SIDE * SIDE) for j in range(SIDE * SIDE)]),
            "matrix.toml": '[measurement]\ny = "y.npy"\n[measurement.operator]\nkind = "matrix"\nmatrix = "eye.npy"\n'
                           '[measurement.noise]\nkind = "gaussian"\nstd = 0.1\n[method]\nkind = "tikhonov"\n'})
        self.assertIn("measurement.shape", self.refused("infer", "matrix.toml", "--out", "refused"))
        self.tweedie("infer", "matrix.toml", "--set", f"measurement.shape=[1, {SIDE}, {SIDE}]", "--out", "shaped")
        self.assertEqual(self.array("shaped/mean.npy").shape, (1, SIDE, SIDE))


class Complete(Scene):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        source = random.Random(5)
        u, v = ([[source.gauss(0, 1) for _ in range(2)] for _ in range(40)] for _ in range(2))
        truth = [sum(a * b for a, b in zip(p, q)) for p in u for q in v]
        known = [source.random() < 0.7 for _ in truth]
        seen = [x if k else math.nan for x, k in zip(truth, known)]
        cls.write({"truth.npy": Array((40, 40), truth), "seen.npy": Array((40, 40), seen),
                   "mask.npy": Array((40, 40), [float(k) for k in known]),
                   "seen.csv": "\n".join(",".join(repr(x) for x in seen[40 * i:40 * i + 40]) for i in range(40)) + "\n"})

    def test_methods(self):
        for method in ("svt", "fista", "admm", "logdet", "robust"):
            self.tweedie("complete", "seen.npy", "--method", method, "--truth", "truth.npy", "--out", method)
            summary = self.summary(method)
            self.assertEqual((summary["command"], summary["method"], summary["rank"]), ("complete", method, 2))
            self.assertTrue(summary["converged"])
            self.assertLess(summary["held_out_error"], 1e-3)
            files = {"completed.npy", "figure.png", "low_rank.npy", "singular_values.npy", "summary.json"}
            self.assertEqual(set(tree(self.folder / method)), files | ({"sparse.npy"} if method == "robust" else set()))
            self.assertTrue((self.folder / method / "figure.png").read_bytes().startswith(PNG))

    def test_a_mask_and_a_table_say_the_same(self):
        self.tweedie("complete", "seen.npy", "--out", "nan")
        self.tweedie("complete", "truth.npy", "--mask", "mask.npy", "--out", "masked")
        self.tweedie("complete", "seen.csv", "--out", "csv")
        for run in ("masked", "csv"):
            self.assertEqual((self.folder / run / "completed.npy").read_bytes(),
                             (self.folder / "nan/completed.npy").read_bytes())

    def test_bad_input(self):
        self.write({"cube.npy": zeros(2, 2, 2), "empty.npy": Array((2, 2), [math.nan] * 4), "zero.npy": zeros(2, 2)})
        for flags, words in ((["cube.npy"], ["(2, 2, 2)", "matrix"]), (["empty.npy"], ["no entry"]),
                             (["zero.npy"], ["0"]), (["absent.npy"], ["absent.npy"]),
                             (["seen.npy", "--mask", "zero.npy"], ["zero.npy", "(2, 2)"]),
                             (["seen.npy", "--method", "magic"], ["magic"]),
                             (["seen.npy", "--weight", "-1"], ["weight", "-1"]),
                             (["seen.npy", "--weight", "1", "--noise", "1"], ["--noise"]),
                             (["seen.npy", "--method", "svt", "--noise", "1"], ["noise", "svt"])):
            line = self.refused("complete", *flags, "--out", "refused")
            for word in words:
                self.assertIn(word, line)
            self.assertFalse((self.folder / "refused").exists())


if __name__ == "__main__":
    unittest.main()
