"""tweedie calibrate: what passes, what fails, what it leaves, and what it says to bad input."""
import json, math, unittest

from support import PNG, Array, Scene, matrix, neighbours, normal, results, tree, zeros

CONFIG = """seed = 1
[prior]
kind = "gaussian"
mean = "mean.npy"
covariance = "covariance.npy"
[measurement.operator]
kind = "matrix"
matrix = "sensors.npy"
[measurement.noise]
kind = "gaussian"
std = 0.3
[method]
kind = "exact"
[calibrate]
simulations = 400
draws = 19
bins = 10
directions = 2
"""
DPS = ["--set", "method.kind=dps", "--set", "method.steps=16", "--set", "calibrate.simulations=100"]
LEFT = ["coverage.npy", "figure.png", "ranks.npy", "run.toml", "summary.json"]


class Calibrate(Scene):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.write({"config.toml": CONFIG, "mean.npy": zeros(4), "covariance.npy": neighbours(1, 4, 0.7),
                   "sensors.npy": matrix([[1, 0, 0, 0.5], [0, 0.5, 0.5, 0]])})
        cls.done = cls.tweedie("calibrate", "config.toml", "--out", "exact")

    def test_exact_draws_are_calibrated(self):
        self.assertIn("The method is calibrated: every check passed.", self.done.stdout)
        self.assertEqual(sorted(tree(self.folder / "exact")), LEFT)
        self.assertTrue((self.folder / "exact/figure.png").read_bytes().startswith(PNG))
        summary = self.summary("exact")
        self.assertEqual([summary[k] for k in ("command", "method", "simulations", "draws", "bins", "seed", "calibrated",
                                               "non_finite_draws", "warnings")],
                         ["calibrate", "exact", 400, 19, 10, 1, True, 0, []])
        self.assertEqual([f["name"] for f in summary["findings"]],
                         ["finite", "rank-uniformity", "central-coverage", "tarp", "draw-against-mean"])
        self.assertEqual([s["name"] for s in summary["statistics"]],
                         ["direction-1", "direction-2", "log-likelihood", "squared-norm"])
        p_values = [s["p_value"] for s in summary["statistics"]] + [summary[k]["p_value"] for k in ("tarp", "draw_against_mean")]
        self.assertTrue(all(0.001 < p <= 1 for p in p_values), p_values)
        self.assertAlmostEqual(summary["draw_against_mean"]["decibels"], 10 * math.log10(2), delta=0.5)

    def test_ranks_and_coverage_are_what_the_summary_tells(self):
        ranks, coverage, summary = self.array("exact/ranks.npy"), self.array("exact/coverage.npy"), self.summary("exact")
        self.assertEqual((ranks.shape, ranks.dtype, coverage.shape), ((400, 5), "<i8", (101, 6)))
        self.assertEqual((len(summary["ranks_columns"]), len(summary["coverage_columns"])), (5, 6))
        self.assertTrue(all(0 <= rank <= 19 for rank in ranks.values))
        for s, statistic in enumerate(summary["statistics"]):
            counts = [0] * 10
            for rank in ranks.values[s::5]:
                counts[rank // 2] += 1
            self.assertAlmostEqual(sum((n - 40) ** 2 / 40 for n in counts), statistic["chi2"], delta=1e-9)
            self.assertAlmostEqual(coverage[90].values[1 + s], statistic["coverage_90"], delta=1e-12)
        self.assertEqual((coverage[0].values[0], coverage[100].values), (0, [1.0] * 6))

    def test_dps_is_not(self):
        done = self.tweedie("calibrate", "config.toml", *DPS, "--out", "dps", status=1)
        self.assertRegex(done.stdout, "fail +rank-uniformity")
        self.assertIn("The method is not calibrated", done.stdout)
        self.assertIs(self.summary("dps")["calibrated"], False)
        self.assertEqual(sorted(tree(self.folder / "dps")), LEFT)

    def test_draws_that_diverge_are_a_result(self):
        """Of a step size without end: named with their number, never a crash."""
        done = self.tweedie("calibrate", "config.toml", *DPS, "--set", "method.step_size=1e300", "--out", "diverged", status=1)
        self.assertRegex(done.stdout, r"fail +finite: \d+ of 1900 draws")
        summary = self.summary("diverged")
        self.assertGreater(summary["non_finite_draws"], 0)
        self.assertGreater(summary["non_finite_simulations"], 0)
        self.assertIs(summary["calibrated"], False)

    def test_without_noise_there_is_no_likelihood_to_rank(self):
        self.tweedie("calibrate", "config.toml", "--set", "measurement.noise.std=0", "--out", "noiseless")
        self.assertEqual([s["name"] for s in self.summary("noiseless")["statistics"]], ["direction-1", "direction-2", "squared-norm"])
        self.assertEqual(self.array("noiseless/ranks.npy").shape, (400, 4))

    def test_again_on_other_threads_and_from_its_run_toml(self):
        self.tweedie("calibrate", "exact/run.toml", "--out", "again", "--threads", 1)
        self.assertEqual(results(self.folder / "again"), results(self.folder / "exact"))
        self.tweedie("calibrate", "config.toml", "--seed", 2, "--out", "other")
        self.assertNotEqual(self.array("other/ranks.npy").values, self.array("exact/ranks.npy").values)

    def test_json_is_the_summary_and_nothing_else(self):
        done = self.tweedie("calibrate", "config.toml", "--out", "json", "--json")
        self.assertEqual(done.stdout, (self.folder / "json/summary.json").read_text())
        json.loads(done.stdout)

    def test_bad_input(self):
        def refused(flag, *words):
            line = self.refused("calibrate", "config.toml", "--out", "refused", "--set", flag)
            for word in words:
                self.assertIn(word, line)
            self.assertFalse((self.folder / "refused").exists())
        refused("calibrate.simulations=0", "calibrate.simulations", "0")
        refused("calibrate.simulations=49", "calibrate.simulations", "49", "50")
        refused("calibrate.bins=7", "calibrate.bins", "7", "20 ranks")
        refused("calibrate.draws=1", "calibrate.draws", "1")
        refused("calibrate.simulation=9", "'simulation'", "[calibrate]", "simulations")
        refused("method.draws=9", "'draws'", "[method]")
        refused("measurement.y=\"y.npy\"", "'y'", "[measurement]")
        refused("measurement.noise.std=-1", "measurement.noise.std", "-1")
        self.write({"old/notes.txt": "mine"})
        self.assertIn("--force", self.refused("calibrate", "config.toml", "--out", "old"))


class Chains(Scene):
    """diagnose of a RUN that says it came from Markov chains or particles."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.write({"prior.toml": '[prior]\nkind = "gaussian"\nmean = "mean.npy"\nstd = 1.0\n', "mean.npy": zeros(2), "y.npy": zeros(2),
                   "infer.toml": 'seed = 1\n[prior]\nmodel = "prior.toml"\n[measurement]\ny = "y.npy"\n[measurement.operator]\n'
                   'kind = "identity"\n[measurement.noise]\nkind = "gaussian"\nstd = 1.0\n[method]\nkind = "exact"\ndraws = 800\n'})

    def run_with(self, out, files={}, shift=0.0, **keys):
        """A RUN of independent draws as if `chains` of them had been run, the last quarter of the draws moved by shift."""
        self.tweedie("infer", "infer.toml", "--out", out)
        x = self.array(f"{out}/samples.npy")
        moved = [v + (shift if i >= 1200 else 0) for i, v in enumerate(x.values)]
        summary = self.summary(out) | keys
        self.write({f"{out}/samples.npy": Array(x.shape, moved, x.dtype), f"{out}/summary.json": json.dumps(summary),
                    **{f"{out}/{name}": array for name, array in files.items()}})
        return out

    def test_chains_that_agree_pass(self):
        done = self.tweedie("diagnose", self.run_with("agree", mcmc=True, chains=4))
        self.assertRegex(done.stdout, "pass +rhat: R-hat of 4 chains")
        self.assertRegex(done.stdout, "pass +effective-draws: 800 draws")

    def test_a_chain_elsewhere_fails(self):
        done = self.tweedie("diagnose", self.run_with("elsewhere", shift=1.0, mcmc=True, chains=4), status=1)
        self.assertRegex(done.stdout, "fail +rhat")
        done = self.tweedie("diagnose", "elsewhere", "--json", status=1)
        self.assertGreater(next(f["value"] for f in json.loads(done.stdout)["findings"] if f["name"] == "rhat"), 1.05)

    def test_independent_draws_have_no_chains(self):
        self.assertNotIn("rhat", self.tweedie("diagnose", self.run_with("none")).stdout)

    def test_chains_that_do_not_divide_are_refused(self):
        line = self.refused("diagnose", self.run_with("odd", mcmc=True, chains=7))
        self.assertIn("7 chains", line)
        self.assertIn("chains", self.refused("diagnose", self.run_with("word", mcmc=True, chains="many")))

    def test_particles(self):
        lines = Array((2, 1), [40, 50], "<i8")
        good = self.run_with("particles", {"ess.npy": Array((3, 2, 1), [90.0] * 6), "unique_ancestors.npy": lines}, particles=100, chains=2)
        self.assertRegex(self.tweedie("diagnose", good).stdout, "pass +particle-health")
        bad = self.run_with("collapsed", {"ess.npy": Array((3, 2, 1), [90.0] * 5 + [1.2]), "unique_ancestors.npy": lines}, particles=100, chains=2)
        self.assertRegex(self.tweedie("diagnose", bad, status=1).stdout, "fail +particle-health")


class HeldOut(Scene):
    """A second measurement, of the half of x that the first did not see."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        halves = {f"half{k}.npy": matrix([[float(j == 16 * k + i) for j in range(32)] for i in range(16)]) for k in (0, 1)}
        cls.write({"prior.toml": '[prior]\nkind = "gaussian"\nmean = "mean.npy"\nstd = 1.0\n', "mean.npy": zeros(32), **halves,
                   "measure.toml": '[measurement]\n[measurement.data]\nfile = "x.npy"\n[measurement.operator]\nkind = "matrix"\n'
                   'matrix = "half0.npy"\n[measurement.noise]\nkind = "gaussian"\nstd = 0.1\n', "x.npy": normal((6, 32), 5),
                   "infer.toml": '[prior]\nmodel = "prior.toml"\n[measurement]\nrun = "seen"\n[held_out]\nrun = "hidden"\n'
                   '[method]\nkind = "exact"\ndraws = 19\n'})
        cls.tweedie("measure", "measure.toml", "--seed", 1, "--out", "seen")
        cls.tweedie("measure", "measure.toml", "--seed", 2, "--set", "measurement.operator.matrix=half1.npy", "--out", "hidden")

    def test_a_right_prior_predicts_it_and_a_narrow_one_does_not(self):
        self.tweedie("infer", "infer.toml", "--out", "right")
        self.assertAlmostEqual(self.summary("right")["held_out_error"], 1, delta=0.6)  # 0.17 is its standard error
        self.assertRegex(self.tweedie("diagnose", "right").stdout, "pass +held-out")
        self.write({"narrow.toml": '[prior]\nkind = "gaussian"\nmean = "mean.npy"\nstd = 0.3\n'})
        self.tweedie("infer", "infer.toml", "--set", "prior.model=narrow.toml", "--out", "narrow")
        self.assertGreater(self.summary("narrow")["held_out_error"], 4)
        self.assertRegex(self.tweedie("diagnose", "narrow", status=1).stdout, "fail +held-out")

    def test_x_is_held_against_reference_rows(self):
        self.write({"rows.npy": normal((200, 32), 8), "short.npy": normal((200, 31), 9), "few.npy": normal((12, 32), 9),
                    "large.npy": normal((6, 32), 5, std=9)})
        self.tweedie("infer", "infer.toml", "--out", "own")
        self.assertRegex(self.tweedie("diagnose", "own", "--reference", "rows.npy").stdout, "pass +typicality")
        self.assertRegex(self.tweedie("diagnose", "own", "--reference", "few.npy").stdout, "skipped +typicality: 12 reference rows")
        self.assertNotIn("typicality", self.tweedie("diagnose", "own").stdout)
        self.assertIn("short.npy: ", self.refused("diagnose", "own", "--reference", "short.npy"))
        self.assertIn("none.npy: ", self.refused("diagnose", "own", "--reference", "none.npy"))

        self.tweedie("measure", "measure.toml", "--set", "measurement.data.file=large.npy", "--out", "of_large")
        self.write({"foreign.toml": (self.folder / "infer.toml").read_text().replace('[held_out]\nrun = "hidden"\n', "")})
        self.tweedie("infer", "foreign.toml", "--set", "measurement.run=of_large", "--out", "foreign")
        self.assertRegex(self.tweedie("diagnose", "foreign", "--reference", "rows.npy", status=1).stdout, "fail +typicality")

    def test_without_it_nothing_is_asked(self):
        self.write({"alone.toml": (self.folder / "infer.toml").read_text().replace('[held_out]\nrun = "hidden"\n', "")})
        self.tweedie("infer", "alone.toml", "--out", "alone")
        self.assertNotIn("held_out_error", self.summary("alone"))
        self.assertNotIn("held-out", self.tweedie("diagnose", "alone").stdout)
        self.tweedie("infer", "infer.toml", "--out", "with")
        self.assertEqual(self.array("with/samples.npy").values, self.array("alone/samples.npy").values)

    def test_bad_input(self):
        self.tweedie("measure", "measure.toml", "--set", "measurement.count=2", "--out", "two")
        line = self.refused("infer", "infer.toml", "--set", "held_out.run=two", "--out", "no")
        self.assertIn("held_out: 2 cases, but the measurement has 6", line)
        self.assertIn("held_out.run", self.refused("infer", "infer.toml", "--set", "held_out.y=x.npy", "--out", "no"))
        self.assertFalse((self.folder / "no").exists())


if __name__ == "__main__":
    unittest.main()
