"""tweedie forecast: an autoregression that is known at every lead, its scores, and what it says to bad input."""
import json, math, random, unittest

from support import PNG, Array, Scene, matrix, results, tree, zeros

A, NOISE = 0.8, 0.6  # x_{t+1} = A x_t + NOISE e, of variance 1
CASES, LEADS = 40, 3
CONFIG = """seed = 1
[prior]
kind = "gaussian"
mean = "mean.npy"
covariance = "covariance.npy"
[forecast]
history = "history.npy"
increment = true
leads = 3
members = 39
[method]
kind = "exact"
[score]
truth = "truth.npy"
climatology = "climatology.npy"
bins = 5
"""
LEFT = ["figure.png", "forecast.npy", "mean.npy", "run.toml", "std.npy", "summary.json"]


def series(seed):
    source = random.Random(seed)
    history, truth = [], []
    for _ in range(CASES):
        x = [source.gauss(0, 1) for _ in range(2)]
        history += x
        for _ in range(LEADS):
            x = [A * v + NOISE * source.gauss(0, 1) for v in x]
            truth += x
    return Array((CASES, 1, 2), history), Array((CASES, LEADS, 2), truth)


class Forecast(Scene):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        history, truth = series(3)
        g = A - 1
        rows = [[1, 0, g, 0], [0, 1, 0, g], [g, 0, g * g + NOISE ** 2, 0], [0, g, 0, g * g + NOISE ** 2]]
        cls.write({"config.toml": CONFIG, "mean.npy": zeros(2, 2), "covariance.npy": matrix(rows), "history.npy": history,
                   "truth.npy": truth, "climatology.npy": zeros(2)})
        cls.done = cls.tweedie("forecast", "config.toml", "--out", "run")

    def test_scores_are_those_of_the_process(self):
        """Mean square errors of 80 values, within five standard errors, sqrt(2 / 80) of what is expected."""
        self.assertEqual(sorted(tree(self.folder / "run")), LEFT)
        self.assertTrue((self.folder / "run/figure.png").read_bytes().startswith(PNG))
        self.assertEqual((self.array("run/forecast.npy").shape, self.array("run/mean.npy").shape), ((40, 39, 3, 2), (40, 3, 2)))
        summary = self.summary("run")
        self.assertEqual([summary[k] for k in ("command", "method", "cases", "members", "frames", "warnings")],
                         ["forecast", "exact", CASES, 39, 2, []])
        self.assertEqual([b["name"] for b in summary["baselines"]], ["climatology", "persistence"])
        climatology, persistence = (b["leads"] for b in summary["baselines"])
        for l in range(LEADS):
            variance = 1 - A ** (2 * l + 2)
            for scores, expected in ((summary["leads"][l], (1 + 1 / 39) * variance), (climatology[l], 1),
                                     (persistence[l], 2 * (1 - A ** (l + 1)))):
                self.assertAlmostEqual(scores["rmse"] ** 2 / expected, 1, delta=5 * math.sqrt(2 / 80))
            ours = summary["leads"][l]
            self.assertAlmostEqual(ours["spread"] ** 2 / variance / (1 + 1 / 39), 1, delta=5 * math.sqrt(2 / (38 * 80)))
            self.assertAlmostEqual(persistence[l]["skill"], 1 - (ours["rmse"] / persistence[l]["rmse"]) ** 2, delta=1e-9)
            self.assertAlmostEqual(sum(ours["rank_histogram"]), 1, delta=1e-9)
            self.assertGreater(ours["rank_p_value"], 1e-3)
        self.assertGreater(summary["leads"][0]["acc"], 0.5)
        self.assertEqual([f["name"] for f in summary["findings"]], ["flat-ranks", "spread"])
        self.assertIn("can be trusted", self.done.stdout)

    def test_too_little_spread_is_seen(self):
        """A prior whose noise has a tenth of its variance."""
        g = A - 1
        q = NOISE ** 2 / 10
        self.write({"narrow.npy": matrix([[1, 0, g, 0], [0, 1, 0, g], [g, 0, g * g + q, 0], [0, g, 0, g * g + q]])})
        done = self.tweedie("forecast", "config.toml", "--set", "prior.covariance=\"narrow.npy\"", "--out", "narrow")
        self.assertIn("can't be trusted: flat-ranks, spread failed", done.stdout)

    def test_the_mean_is_known(self):
        self.tweedie("forecast", "config.toml", "--set", "forecast.mode=mean", "--out", "mean")
        history, mean = self.array("history.npy"), self.array("mean/mean.npy")
        self.assertEqual(self.array("mean/forecast.npy").shape, (40, 1, 3, 2))
        expected = [v * A ** l for row in history for l in (1, 2, 3) for v in row.values]
        self.assert_near(mean, Array((40, 3, 2), expected), 1e-9)
        self.assertFalse((self.folder / "mean/std.npy").exists())
        self.assertNotIn("verdict", self.summary("mean"))

    def test_again_on_other_threads_and_from_its_run_toml(self):
        self.tweedie("forecast", "run/run.toml", "--out", "again", "--threads", 1)
        self.assertEqual(results(self.folder / "again"), results(self.folder / "run"))
        self.tweedie("forecast", "config.toml", "--seed", 2, "--out", "other")
        self.assertNotEqual(self.array("other/forecast.npy").values, self.array("run/forecast.npy").values)

    def test_fields_are_offset_basis_and_residual(self):
        basis, offset = [1.0, 0.0, 2.0, 0.0, 1.0, -1.0], [10.0, 20.0, 30.0]
        truth = self.array("truth.npy")
        field = lambda z: [z[0] * basis[i] + z[1] * basis[3 + i] + offset[i] for i in range(3)]
        pairs = list(zip(truth.values[::2], truth.values[1::2]))
        self.write({"basis.npy": Array((2, 3), basis), "offset.npy": Array((3,), offset),
                    "residuals.npy": matrix([[1, 1, 1], [-1, -1, -1]]),
                    "fields.npy": Array((CASES, LEADS, 3), [v for z in pairs for v in field(z)])})
        flags = ["--set", "field.basis=\"basis.npy\"", "--set", "field.offset=\"offset.npy\"", "--set",
                 "score.truth=\"fields.npy\"", "--set", "score.climatology=\"offset.npy\"", "--set", "field.write=true"]
        self.tweedie("forecast", "config.toml", *flags, "--out", "smooth")
        self.assertEqual(self.array("smooth/forecast.npy").values, self.array("run/forecast.npy").values)
        z = self.array("smooth/forecast.npy").values[-2:]
        for a, b in zip(self.array("smooth/fields.npy").values[-3:], field(z)):
            self.assertAlmostEqual(a, b, delta=1e-4)
        self.assertEqual([b["name"] for b in self.summary("smooth")["baselines"]], ["climatology"])
        self.tweedie("forecast", "config.toml", *flags, "--set", "field.residuals=\"residuals.npy\"", "--out", "rough")
        moved = [a - b for a, b in zip(self.array("rough/fields.npy").values, self.array("smooth/fields.npy").values)]
        self.assertEqual({round(v, 3) for v in moved}, {-1.0, 1.0})
        self.assertEqual(self.array("rough/mean.npy").values, self.array("smooth/mean.npy").values)
        self.assertGreater(self.summary("rough")["leads"][0]["spread"], self.summary("smooth")["leads"][0]["spread"])

    def test_baselines_and_one_series_without_truth(self):
        baseline = 'seed = 1\n[[score.baseline]]\nname = "truth"\nfile = "truth.npy"\n'
        self.write({"more.toml": CONFIG + baseline.split("\n", 1)[1], "one.npy": Array((4, 2), [1.0] * 8),
                    "one.toml": CONFIG.split("[score]")[0].replace("history.npy", "one.npy")})
        self.tweedie("forecast", "more.toml", "--out", "more")
        self.assertEqual(self.summary("more")["baselines"][2]["leads"][1]["rmse"], 0)
        self.tweedie("forecast", "one.toml", "--out", "one")
        self.assertEqual(sorted(tree(self.folder / "one")), LEFT)
        self.assertEqual(self.array("one/forecast.npy").shape, (1, 39, 3, 2))
        self.assertNotIn("leads", self.summary("one"))

    def test_json_is_the_summary_and_nothing_else(self):
        done = self.tweedie("forecast", "config.toml", "--out", "json", "--json")
        self.assertEqual(done.stdout, (self.folder / "json/summary.json").read_text())
        json.loads(done.stdout)

    def test_bad_input(self):
        self.write({"three.npy": zeros(CASES, 1, 3), "short.npy": zeros(CASES, 2, 2), "wide.npy": zeros(5)})

        def refused(flag, *words):
            line = self.refused("forecast", "config.toml", "--out", "refused", "--set", flag)
            for word in words:
                self.assertIn(word, line)
            self.assertFalse((self.folder / "refused").exists())
        refused("forecast.frames=3", "forecast.frames", "3", "(2, 2)")
        refused("forecast.leads=0", "forecast.leads", "0")
        refused("forecast.members=0", "forecast.members", "0")
        refused("forecast.noise_std=-1", "forecast.noise_std", "-1")
        refused("forecast.mode=median", "forecast.mode", "median", "ensemble")
        refused("forecast.lead=3", "'lead'", "[forecast]", "leads")
        refused("forecast.history=\"three.npy\"", "three.npy", "(40, 1, 3)")
        refused("forecast.history=\"nowhere.npy\"", "nowhere.npy")
        refused("score.truth=\"short.npy\"", "short.npy", "(40, 2, 2)", "(40, 3, 2)")
        refused("score.bins=7", "score.bins", "7", "40 ranks")
        refused("score.latitude=\"wide.npy\"", "wide.npy", "(5,)")
        refused("score.weight=\"wide.npy\"", "weight", "(5,)")
        refused("field.basis=\"wide.npy\"", "wide.npy", "K = 2")
        refused("field.residuals=\"wide.npy\"", "wide.npy", "(5,)")
        refused("method.draws=3", "'draws'", "[method]")
        refused("method.kind=fbp", "fbp")
        self.write({"old/notes.txt": "mine"})
        self.assertIn("--force", self.refused("forecast", "config.toml", "--out", "old"))


if __name__ == "__main__":
    unittest.main()
