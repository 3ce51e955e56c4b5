"""The commands one after the other, as a user would run them, on Gaussian problems whose answers are known."""
import io, json, math, pathlib, pickle, shutil, statistics, unittest, zipfile

from support import PNG, Array, Scene, matrix, neighbours, normal, results, tree, zeros

PRIOR = '[prior]\nkind = "gaussian"\nmean = "mean.npy"\ncovariance = "covariance.npy"\n'
NOISE = '[measurement.noise]\nkind = "gaussian"\nstd = 0.1\n'
OPERATOR = '[measurement.operator]\nkind = "mask"\nfraction = 0.5\n'
MEASURE = f'seed = 1\n[prior]\nmodel = "prior.toml"\n[measurement]\ncount = 32\n{OPERATOR}{NOISE}'
INFER = ('seed = 2\n[prior]\nmodel = "prior.toml"\n[measurement]\nrun = "measured"\n'
         '[method]\nkind = "mmps"\nsteps = 32\ndraws = 16\n')
# The paper's practical rule, which leaves no variance where noise is small.
DPS = ["--set", "method.kind=dps", "--set", "method.step_size=0.3", "--set", "method.steps=100", "--set", "sampler.kind=ddim",
       "--set", "sampler.eta=1"]


def sets(**keys):
    """Flags --set: sets(method_kind="exact") is --set method.kind=exact."""
    return [word for key, value in keys.items() for word in ("--set", f"{key.replace('_', '.', 1)}={value}")]


class Images(Scene):
    """A mask over 1 x 8 x 8 images: 32 problems at once."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.write({"prior.toml": PRIOR, "measure.toml": MEASURE, "infer.toml": INFER,
                   "mean.npy": zeros(1, 8, 8), "covariance.npy": neighbours(8, 8, 0.7)})
        cls.tweedie("measure", "measure.toml", "--out", "measured")
        cls.tweedie("infer", "infer.toml", "--out", "mmps")
        cls.tweedie("infer", "infer.toml", *sets(method_kind="exact"), "--out", "exact")

    def test_measure_writes_truth_measurement_and_mask(self):
        self.assertEqual(sorted(tree(self.folder / "measured")),
                         ["mask.npy", "run.toml", "summary.json", "x.npy", "y.npy"])
        x, y, mask = (self.array(f"measured/{name}.npy") for name in ("x", "y", "mask"))
        self.assertEqual((x.shape, y.shape, mask.shape), ((32, 1, 8, 8), (32, 32), (1, 8, 8)))
        self.assertEqual((x.dtype, y.dtype, mask.dtype), ("<f8", "<f8", "|u1"))
        self.assertEqual(sum(mask.values), 32)
        noise = [b - a for row, of_row in zip(x, y)
                 for a, b in zip([v for v, kept in zip(row.values, mask.values) if kept], of_row.values)]
        # 1024 values: their standard deviation is known to 2.2%
        self.assertAlmostEqual(statistics.pstdev(noise), 0.1, delta=0.011)
        # The truth comes from the prior: neighbours correlate by 0.7, known to 0.04 here.
        products = [image.values[8 * i + j] * image.values[8 * i + j + 1]
                    for image in x for i in range(8) for j in range(7)]
        self.assertAlmostEqual(statistics.fmean(products), 0.7, delta=0.2)
        summary = self.summary("measured")
        self.assertEqual((summary["cases"], summary["shape"], summary["measurements"]), (32, [1, 8, 8], 32))

    def test_infer_writes_draws_and_their_moments(self):
        self.assertEqual(sorted(tree(self.folder / "mmps")),
                         ["figure.png", "log_weight.npy", "mean.npy", "run.toml", "samples.npy", "std.npy",
                          "summary.json"])
        x, mean, std, weight = (self.array(f"mmps/{name}.npy") for name in ("samples", "mean", "std", "log_weight"))
        self.assertEqual((x.shape, mean.shape, std.shape, weight.shape),
                         ((16, 32, 1, 8, 8), (32, 1, 8, 8), (32, 1, 8, 8), (16, 32)))
        self.assertEqual({a.dtype for a in (x, mean, std, weight)}, {"<f8"})
        self.assertEqual(set(weight.values), {0.0})
        columns = list(zip(*(draw.values for draw in x)))
        self.assert_near(mean, Array(mean.shape, [statistics.fmean(c) for c in columns]), 1e-12)
        self.assert_near(std, Array(std.shape, [statistics.stdev(c) for c in columns]), 1e-12)
        self.assertTrue((self.folder / "mmps/figure.png").read_bytes().startswith(PNG))

    def test_infer_writes_the_summary_that_programs_read(self):
        numbers = ("steps", "network_evaluations", "operator_applications", "seconds", "seconds_sampling",
                   "peak_memory_bytes", "residual_chi2", "residual_p_value", "coverage_90", "psnr", "ssim")
        for run, method in (("mmps", "mmps"), ("exact", "exact")):
            summary = self.summary(run)
            self.assertEqual([summary[k] for k in ("command", "method", "draws", "cases", "seed")],
                             ["infer", method, 16, 32, 2])
            self.assertIsInstance(summary["warnings"], list)
            for name in numbers:
                self.assertTrue(math.isfinite(summary[name]), f"{run}: {name} = {summary[name]}")
            # y was drawn from this very prior: 1024 residuals, 2048 pixels half of which are hidden
            self.assertAlmostEqual(summary["residual_chi2"], 1, delta=0.15)
            self.assertAlmostEqual(summary["coverage_90"], 0.9, delta=0.08)
        self.assertEqual(self.summary("mmps")["steps"], 32)
        self.assertIn("log_evidence", self.summary("exact"))
        self.assertNotIn("log_evidence", self.summary("mmps"))

    def test_mmps_means_what_the_closed_form_means(self):
        self.tweedie("infer", "infer.toml", *sets(method_iterations=20, method_steps=64), "--out", "converged")
        mmps, exact = self.array("converged/mean.npy"), self.array("exact/mean.npy")
        std = self.array("exact/std.npy")
        z = [(a - b) / s * math.sqrt(16) for a, b, s in zip(mmps.values, exact.values, std.values)]
        # 15/13 for exact draws, whose 16 also give the std; known to 0.06, as pixels depend on their neighbours
        self.assertLess(statistics.fmean(v * v for v in z), 15 / 13 + 3 * 0.06)

    def test_guided_methods_run(self):
        for kind in ("pigdm", "tmpd", "ddnm", "oracle", "cfg", "ddrm", "ddnm-plus"):
            self.tweedie("infer", "infer.toml", *sets(method_kind=kind, method_draws=2, method_steps=32), "--out", kind)
            summary = self.summary(kind)
            self.assertEqual((summary["method"], summary["steps"]), (kind, 32))
            self.assertLess(summary["residual_chi2"], 5)
        self.assertEqual(self.summary("cfg")["warnings"], [])
        self.tweedie("infer", "infer.toml", *sets(method_kind="cfg", method_draws=2, method_steps=32, method_scale=2.0),
                     "--out", "cfg-2")
        self.assertIn("neither", self.summary("cfg-2")["warnings"][0])

    def test_measurements_without_noise(self):
        self.tweedie("measure", "measure.toml", *sets(measurement_noise=r'{kind="gaussian",std=0.0}'), "--out", "quiet")
        y, mask = self.array("quiet/y.npy"), self.array("quiet/mask.npy")
        for kind in ("ddnm", "ddrm", "ddnm-plus", "exact"):
            self.tweedie("infer", "infer.toml", *sets(measurement_run="quiet", method_kind=kind, method_draws=2),
                         "--out", f"quiet-{kind}")
            for draw in self.array(f"quiet-{kind}/samples.npy"):
                seen = [v for image in draw for v, kept in zip(image.values, mask.values) if kept]
                self.assert_near(Array(y.shape, seen), y, 1e-6)
            self.assertIsNone(self.summary(f"quiet-{kind}")["residual_chi2"])
        findings = json.loads(self.tweedie("diagnose", "quiet-exact", "--json").stdout)["findings"]
        skipped = [f["name"] for f in findings if f["status"] == "skipped"]
        self.assertEqual(skipped, ["data-consistency", "variance-collapse"])
        refused = self.refused("infer", "infer.toml", *sets(measurement_run="quiet", method_kind="dps"), "--out", "quiet-dps")
        self.assertIn("measurement.noise.std", refused)
        self.assertIn("dps divides", refused)

    def test_diagnose_trusts_good_draws(self):
        for run in ("mmps", "exact"):
            done = self.tweedie("diagnose", run)
            self.assertIn("The draws can be trusted", done.stdout)
            self.assertNotIn("fail ", done.stdout)
        self.assertIn("steps-enough", self.tweedie("diagnose", "mmps").stdout)

    def test_diagnose_names_the_collapse_of_dps(self):
        self.tweedie("infer", "infer.toml", *DPS, "--out", "dps")
        done = self.tweedie("diagnose", "dps", status=1)
        self.assertRegex(done.stdout, "fail +variance-collapse")
        self.assertIn("mmps", done.stdout)  # the remedy

    def test_diagnose_trusts_dps_where_noise_is_large(self):
        large = sets(measurement_noise=r'{kind="gaussian",std=4.0}')
        self.tweedie("measure", "measure.toml", *large, "--out", "measured-large")
        self.tweedie("infer", "infer.toml", *sets(measurement_run="measured-large", method_kind="dps"), "--out", "dps-large")
        self.tweedie("diagnose", "dps-large")

    def test_diagnose_names_too_few_steps(self):
        self.tweedie("infer", "infer.toml", *sets(method_steps=4), "--out", "few")
        done = self.tweedie("diagnose", "few", status=1)
        self.assertRegex(done.stdout, "fail +steps-enough")

    def test_json_is_the_summary_and_nothing_else(self):
        done = self.tweedie("infer", "infer.toml", *sets(method_draws=2), "--out", "json", "--json")
        self.assertEqual(done.stdout, (self.folder / "json/summary.json").read_text())
        verdict = json.loads(self.tweedie("diagnose", "mmps", "--json").stdout)
        self.assertIs(verdict["trusted"], True)
        self.assertEqual({f["status"] for f in verdict["findings"]}, {"pass"})
        self.assertEqual(verdict["findings"][0]["name"], "finite")

    def test_another_measurement_can_be_written_out_by_hand(self):
        """measurement.run says the same as y, truth, operator and noise."""
        self.write({"by_hand.toml": INFER.replace('run = "measured"', 'y = "measured/y.npy"\ntruth = "measured/x.npy"')
                    + '[measurement.operator]\nkind = "mask"\npattern = "file"\nfile = "measured/mask.npy"\n' + NOISE})
        self.tweedie("infer", "by_hand.toml", "--out", "by_hand")
        self.assertEqual((self.folder / "by_hand/samples.npy").read_bytes(),
                         (self.folder / "mmps/samples.npy").read_bytes())
        self.assertEqual(self.summary("by_hand")["psnr"], self.summary("mmps")["psnr"])

    def test_a_measurement_can_move(self):
        shutil.copytree(self.folder / "measured", self.folder / "elsewhere/moved")
        (self.folder / "elsewhere/moved/mask.npy").rename(self.folder / "elsewhere/mask.npy")
        self.refused("infer", "infer.toml", *sets(measurement_run="elsewhere/moved"), "--out", "moved")
        (self.folder / "elsewhere/mask.npy").rename(self.folder / "elsewhere/moved/mask.npy")
        self.tweedie("infer", "infer.toml", *sets(measurement_run="elsewhere/moved", method_draws=2), "--out", "moved")


class Operators(Scene):
    """Every operator, from measure to diagnose."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.write({"prior.toml": PRIOR, "infer.toml": INFER.replace("mmps", "exact"),
                   "mean.npy": normal((1, 4, 4), 1), "covariance.npy": neighbours(4, 4, 0.8),
                   "sensors.npy": normal((6, 16), 2), "kernel.csv": ".1,.2\n.3,.4\n",
                   "kept.npy": Array((4, 4), [1, 0] * 8, "|u1")})

    def check(self, name, operator, shape):
        self.write({f"{name}.toml": MEASURE.replace(OPERATOR, f"[measurement.operator]\n{operator}\n")})
        self.tweedie("measure", f"{name}.toml", "--out", f"measured-{name}")
        self.assertEqual(self.array(f"measured-{name}/y.npy").shape, shape)
        self.tweedie("infer", "infer.toml", *sets(measurement_run=f"measured-{name}"), "--out", name)
        self.assertEqual(self.array(f"{name}/samples.npy").shape, (16, 32, 1, 4, 4))
        self.tweedie("diagnose", name)

    def test_identity(self):
        self.check("identity", 'kind = "identity"', (32, 1, 4, 4))

    def test_blur(self):
        self.check("blur", 'kind = "blur"\nstd = 0.7', (32, 1, 4, 4))

    def test_blur_from_a_file(self):
        self.check("kernel", 'kind = "blur"\nkernel = "file"\nfile = "kernel.csv"\nboundary = "zero"', (32, 1, 4, 4))

    def test_downsample(self):
        self.check("downsample", 'kind = "downsample"\nfactor = 2', (32, 1, 2, 2))

    def test_matrix(self):
        self.check("matrix", 'kind = "matrix"\nmatrix = "sensors.npy"', (32, 6))

    def test_box(self):
        self.check("box", 'kind = "mask"\npattern = "box"\ntop = 1\nleft = 1\nheight = 2\nwidth = 3', (32, 10))

    def test_mask_from_a_file(self):
        self.check("file", 'kind = "mask"\npattern = "file"\nfile = "kept.npy"', (32, 8))


class Vectors(Scene):
    """One problem in four dimensions, with files given by hand."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.write({"problem/prior.toml": PRIOR, "problem/mean.npy": zeros(4), "problem/covariance.npy": neighbours(1, 4, 0.8),
                   "problem/sensors.csv": ".5,.5,0,0\n0,0,0,1\n", "problem/y.npy": Array((2,), [0.7, -0.4]),
                   "problem/infer.toml": 'seed = 3\n[prior]\nmodel = "prior.toml"\n[measurement]\ny = "y.npy"\n'
                   '[measurement.operator]\nkind = "matrix"\nmatrix = "sensors.csv"\n' + NOISE +
                   '[method]\nkind = "mmps"\nsteps = 48\ndraws = 400\n'})
        cls.tweedie("infer", "problem/infer.toml", "--out", "mmps")
        cls.tweedie("infer", "problem/infer.toml", *sets(method_kind="exact"), "--out", "exact")

    def run_again(self, out, *flags):
        self.tweedie("infer", "problem/infer.toml", "--out", out, *flags)
        return results(self.folder / out)

    def test_one_case_has_no_axis_of_cases(self):
        shapes = [self.array(f"mmps/{n}.npy").shape for n in ("samples", "mean", "std", "log_weight")]
        self.assertEqual(shapes, [(400, 4), (4,), (4,), (400,)])
        self.assertEqual(self.summary("mmps")["cases"], 1)
        self.assertNotIn("psnr", self.summary("mmps"))  # there is no truth

    def test_the_mean_is_that_of_the_closed_form(self):
        # m = S A^T (A S A^T + 0.01 I)^-1 y for S_ij = 0.8^|i - j|
        s = [[0.8 ** abs(i - j) for j in range(4)] for i in range(4)]
        sa = [[(row[0] + row[1]) / 2, row[3]] for row in s]
        g00, g01, g11 = (sa[0][0] + sa[1][0]) / 2 + 0.01, (sa[0][1] + sa[1][1]) / 2, sa[3][1] + 0.01
        det = g00 * g11 - g01 * g01
        u = ((g11 * 0.7 + g01 * 0.4) / det, (-g01 * 0.7 - g00 * 0.4) / det)
        self.assert_near(self.array("exact/mean.npy"), Array((4,), [a * u[0] + b * u[1] for a, b in sa]), 1e-12)

    def test_compare_tells_right_from_wrong(self):
        mmps, exact = "mmps/samples.npy", "exact/samples.npy"
        done = self.tweedie("compare", mmps, exact, "--tolerance", 0.04)
        self.assertIn("sliced_wasserstein", done.stdout)
        self.tweedie("infer", "problem/infer.toml", *DPS, "--out", "dps")
        done = self.tweedie("compare", "dps/samples.npy", exact, "--tolerance", 0.04, "--json", status=1)
        summary = json.loads(done.stdout)
        self.assertIs(summary["within_tolerance"], False)
        self.assertGreater(summary["sliced_wasserstein"], 0.04)
        self.tweedie("compare", "dps/samples.npy", exact)  # without a tolerance there is no verdict

    def test_compare_of_a_set_with_itself_is_zero(self):
        summary = json.loads(self.tweedie("compare", "exact/samples.npy", "exact/samples.npy", "--json").stdout)
        self.assertEqual((summary["sliced_wasserstein"], summary["mean_error"]), (0, 0))

    def test_compare_by_name(self):
        exact = "exact/samples.npy"
        words = [word for name in ("w1", "sliced-w1", "sliced-w2", "max-sliced-w2", "w2", "sinkhorn", "gaussian-w2", "mmd",
                                   "energy", "c2st", "rf-fd", "psnr") for word in ("--metric", name)]
        summary = json.loads(self.tweedie("compare", exact, exact, *words, "--range", 2, "--floor", "--json").stdout)
        keys = ["w1", "sliced_wasserstein", "sliced_w2", "max_sliced_w2", "w2", "sinkhorn", "gaussian_w2", "mmd",
                "energy_distance", "c2st", "rf_fd", "psnr"]
        for key in keys:
            self.assertIn(f"{key}_floor", summary)
            self.assertIn(f"{key}_floor_std", summary)
        for key in ("w1", "w2", "sliced_wasserstein", "sliced_w2", "max_sliced_w2", "w1_duality_gap", "w2_duality_gap"):
            self.assertAlmostEqual(summary[key], 0, delta=1e-9)
            if "gap" not in key:
                self.assertGreater(summary[f"{key}_floor"], 0.01)
        self.assertAlmostEqual(summary["sinkhorn"], 0, delta=1e-4)
        self.assertAlmostEqual(summary["gaussian_w2"], 0, delta=1e-5)
        self.assertIsNone(summary["psnr"])  # infinite
        self.assertNotIn("mean_error", summary)
        # W_2 >= W_1, and both of a translation by 1 in each of d coordinates are sqrt(d)
        moved = self.array(exact)
        self.write({"moved.npy": Array(moved.shape, [v + 1 for v in moved.values], moved.dtype)})
        summary = json.loads(self.tweedie("compare", exact, "moved.npy", "--metric", "w2", "--metric", "mmd", "--tolerance", 0.1,
                                          "--json", status=1).stdout)
        self.assertAlmostEqual(summary["w2"], math.sqrt(math.prod(moved.shape[1:])), delta=1e-6)
        self.assertLess(summary["mmd_p_value"], 0.01)
        self.assertIs(summary["within_tolerance"], False)
        usual = json.loads(self.tweedie("compare", exact, "moved.npy", "--json").stdout)
        self.assertEqual(summary["sliced_wasserstein"], usual["sliced_wasserstein"])

    def test_compare_with_weights(self):
        exact, wide = self.array("exact/samples.npy"), self.array("mmps/samples.npy")
        far = Array((2 * wide.shape[0], *wide.shape[1:]), wide.values + [v + 5 for v in wide.values], wide.dtype)
        n = wide.shape[0]
        self.write({"far.npy": far, "log_weight.npy": Array((2 * n,), [0.0] * n + [-800.0] * n)})
        args = ("compare", "far.npy", "exact/samples.npy", "--json")
        for flags in ((), ("--metric", "sliced-w1", "--metric", "energy")):
            plain = json.loads(self.tweedie(*args, *flags).stdout)
            weighted = json.loads(self.tweedie(*args, *flags, "--weights-a", "log_weight.npy").stdout)
            self.assertGreater(plain["sliced_wasserstein"], 1)
            self.assertLess(weighted["sliced_wasserstein"], 0.2)
            self.assertGreater(weighted["energy_p_value"], 0.001)
        lines = self.tweedie("compare", "far.npy", "exact/samples.npy", "--metric", "sliced-w2", "--floor").stdout
        self.assertEqual([line.split()[0] for line in lines.splitlines()],
                         ["draws", "dimension", "sliced_w2", "sliced_w2_floor", "sliced_w2_floor_std"])

    def test_the_same_seed_gives_the_same_bytes(self):
        again = self.run_again("again")
        self.assertEqual(again, results(self.folder / "mmps"))

    def test_another_seed_gives_other_draws(self):
        files, summary = self.run_again("other", "--seed", 4)
        self.assertNotEqual(files["samples.npy"], results(self.folder / "mmps")[0]["samples.npy"])
        self.assertEqual(summary["seed"], 4)
        self.assertIn(b"seed = 4\n", files["run.toml"])

    def test_threads_do_not_matter(self):
        one, two = self.run_again("one", "--threads", 1), self.run_again("two", "--threads", 2)
        self.assertEqual(one, two)
        self.assertEqual(one, results(self.folder / "mmps"))

    def test_the_first_draws_do_not_depend_on_their_number(self):
        files, _ = self.run_again("fewer", *sets(method_draws=5))
        first = self.array("fewer/samples.npy")
        self.assertEqual(first.values, self.array("mmps/samples.npy").values[:20])

    def test_run_toml_gives_the_same_bytes_again(self):
        self.tweedie("infer", self.folder / "mmps/run.toml", "--out", self.folder / "rerun", cwd="problem")
        self.assertEqual(results(self.folder / "rerun"), results(self.folder / "mmps"))

    def test_set_overrides(self):
        _, summary = self.run_again("set", *sets(method_draws=3, method_steps=7))
        self.assertEqual((summary["draws"], summary["steps"]), (3, 7))
        self.assertEqual(self.array("set/samples.npy").shape, (3, 4))

    def test_paths_are_relative_to_the_config(self):
        self.tweedie("infer", "infer.toml", "--out", "here", cwd="problem")
        self.assertEqual(results(self.folder / "problem/here"), results(self.folder / "mmps"))
        self.tweedie("infer", self.folder / "problem/infer.toml", "--out", self.folder / "there", cwd="/")
        self.assertEqual(results(self.folder / "there"), results(self.folder / "mmps"))

    def test_results_go_to_a_folder_of_their_own_without_out(self):
        (self.folder / "empty").mkdir()
        done = self.tweedie("infer", "../problem/infer.toml", cwd="empty")
        self.assertIn("out/infer", done.stdout)
        self.assertEqual(results(self.folder / "empty/out/infer"), results(self.folder / "mmps"))

    def test_results_are_replaced_only_by_force(self):
        self.run_again("kept")
        (self.folder / "kept/notes.txt").write_text("mine")
        before = tree(self.folder / "kept")
        self.assertIn("--force", self.refused("infer", "problem/infer.toml", "--out", "kept"))
        self.assertEqual(tree(self.folder / "kept"), before)
        self.refused("infer", "problem/infer.toml", "--out", "kept", "--force", *sets(measurement_y="nowhere.npy"))
        self.assertEqual(tree(self.folder / "kept"), before)
        files, _ = self.run_again("kept", "--force", *sets(method_draws=2))
        self.assertNotIn("notes.txt", files)
        self.assertEqual(self.array("kept/samples.npy").shape, (2, 4))
        self.assertEqual(sorted(p.name for p in self.folder.glob(".*")), [])

    def test_sample_draws_from_the_prior(self):
        self.tweedie("sample", "problem/prior.toml", "--count", 500, "--out", "sampled")
        x = self.array("sampled/samples.npy")
        self.assertEqual((x.shape, x.dtype), ((500, 4), "<f8"))
        products = [statistics.fmean(r.values[0] * r.values[k] for r in x) for k in range(4)]
        for k, found in enumerate(products):  # standard errors below 0.064
            self.assertAlmostEqual(found, 0.8 ** k, delta=0.3)
        self.tweedie("sample", "sampled/run.toml", "--out", "sampled-again")
        self.assertEqual(results(self.folder / "sampled-again"), results(self.folder / "sampled"))

    def test_every_sampler_and_schedule_draws(self):
        for kind, schedule, count in (
                ("euler", "vp-linear", 12), ("dpm-solver-2m", "vp-scaled-linear", 12), ("ddim", "cosine", 12), ("ddpm", "flow", 12),
                ("heun", "karras", 23), ("predictor-corrector", "flow", 23), ("annealed-langevin", "ve", 1201),
                ("ula", "vp-linear", 1000), ("mala", "karras", 1001)):
            out = f"by-{kind}"
            self.tweedie("sample", "problem/prior.toml", "--sampler", kind, "--schedule", schedule, "--steps", 12, "--count", 40,
                         "--set", "sampler.step=0.2" if kind == "mala" else "seed=1", "--out", out)
            summary = self.summary(out)
            self.assertEqual((summary["network_evaluations"], "acceptance_rate" in summary), (count, kind == "mala"))
            square = statistics.fmean(v * v for v in self.array(f"{out}/samples.npy").values)
            self.assertTrue(0.4 < square < 2.5, f"{kind}: {square}")  # 1, with a standard error of 0.17 and few steps
        self.assertTrue(0.5 < self.summary("by-mala")["acceptance_rate"] < 1)

    def test_likelihood_is_the_closed_form(self):
        self.write({"problem/data.npy": normal((20, 4), 5)})
        files = ("likelihood", "problem/prior.toml", "problem/data.npy")
        self.tweedie(*files, "--sigma-min", 0.1, "--tolerance", 1e-6, "--out", "flow", "--threads", 1)
        self.tweedie(*files, "--sigma-min", 0.1, "--exact", "--out", "closed-form")
        flow, exact = self.array("flow/log_prob.npy"), self.array("closed-form/log_prob.npy")
        self.assertEqual((flow.shape, flow.dtype), ((20,), "<f8"))
        self.assert_near(flow, exact, 1e-4)
        self.assertEqual(sorted(tree(self.folder / "flow")), ["log_prob.npy", "summary.json"])
        summary = self.summary("flow")
        mean = statistics.fmean(flow.values)
        self.assertAlmostEqual(summary["log_prob_mean"], mean, delta=1e-12)
        self.assertAlmostEqual(summary["log_prob_standard_error"], statistics.stdev(flow.values) / math.sqrt(20), delta=1e-12)
        self.assertAlmostEqual(summary["bits_per_dimension"], -mean / 4 / math.log(2), delta=1e-12)
        self.assertEqual([summary[k] for k in ("command", "rows", "converged", "sigma_min", "density_at_sigma_max")],
                         ["likelihood", 20, 20, 0.1, "exact"])
        self.assertEqual(summary["network_vjps"], 4 * summary["network_evaluations"])
        self.assertEqual(self.summary("closed-form")["sigma_min"], 0.1)
        # Probes are unbiased; their standard errors say how far off they are.
        probes = ("--sigma-min", 0.1, "--divergence", "hutchinson", "--probes", 50)
        self.tweedie(*files, *probes, "--out", "probes", "--threads", 1)
        self.tweedie(*files, *probes, "--out", "probes-2", "--threads", 2)
        self.assertEqual(results(self.folder / "probes"), results(self.folder / "probes-2"))
        errors = self.array("probes/standard_error.npy").values
        for a, b, e in zip(self.array("probes/log_prob.npy").values, exact.values, errors):
            self.assertLess(abs(a - b), 4.5 * e)
        self.write({"problem/fewer.npy": Array((3, 4), normal((20, 4), 5).values[:12])})
        self.tweedie("likelihood", "problem/prior.toml", "problem/fewer.npy", "--sigma-min", 0.1, "--tolerance", 1e-6, "--out", "fewer-rows")
        self.assertEqual(self.array("fewer-rows/log_prob.npy").values, flow.values[:3])

    def test_measure_again_from_its_run_toml(self):
        self.write({"problem/measure.toml": MEASURE})
        self.tweedie("measure", "problem/measure.toml", "--out", "measured")
        self.tweedie("measure", "measured/run.toml", "--out", "measured-again")
        self.assertEqual(results(self.folder / "measured-again"), results(self.folder / "measured"))
        self.tweedie("measure", "measured/run.toml", "--out", "measured", "--force")
        self.assertEqual(results(self.folder / "measured-again"), results(self.folder / "measured"))

    def test_truths_can_be_given(self):
        truth = normal((5, 4), 9)
        self.write({"problem/truth.npy": truth, "problem/given.toml": 'seed = 1\n[measurement]\ntruth = "truth.npy"\n'
                    f'first = 1\ncount = 3\n[measurement.operator]\nkind = "identity"\n{NOISE}'})
        self.tweedie("measure", "problem/given.toml", "--out", "given")
        self.assertEqual(self.array("given/x.npy").values, truth.values[4:16])
        self.tweedie("measure", "problem/given.toml", *sets(measurement_data='{file="truth.npy"}', measurement_truth='""'),
                     "--out", "given-data")
        self.assert_near(self.array("given-data/x.npy"), self.array("given/x.npy"), 1e-6)  # data are float32


class TensorsOf(pickle.Unpickler):
    """The tensors that a TorchScript file holds, by attribute."""

    def __init__(self, path):
        self.archive = zipfile.ZipFile(path)
        self.root = self.archive.namelist()[0].split("/")[0]
        super().__init__(io.BytesIO(self.archive.read(f"{self.root}/data.pkl")))

    def find_class(self, module, name):
        if name == "_rebuild_tensor_v2":
            return lambda storage, offset, shape, *_: Array(tuple(shape), storage[offset:offset + math.prod(shape)], "<f4")
        if name.startswith("build_"):  # of typed lists
            return lambda values: values
        return type(name, (), {"__setstate__": lambda self, state: self.__dict__.update(state)})

    def persistent_load(self, identity):
        return memoryview(self.archive.read(f"{self.root}/data/{identity[2]}")).cast("f").tolist()


class TorchScript(Scene):
    """A module of PyTorch's, held against what PyTorch said of it (tests/golden/make_torchscript.py)."""

    def test_denoise(self):
        model = pathlib.Path(__file__).parents[1] / "golden/torchscript_denoiser.pt"
        golden = TensorsOf(model).load()
        for i, sigma in enumerate(golden.reference_sigma.values):
            rows = {"x.npy": golden.reference_x[i], "v.npy": golden.reference_v[i]}
            self.write(rows)
            self.tweedie("denoise", model, "x.npy", "--sigma", sigma, "--vjp", "v.npy", "--out", f"at-{i}")
            for name, expected in (("denoised", golden.reference_mean[i]), ("vjp", golden.reference_vjp[i])):
                found = self.array(f"at-{i}/{name}.npy")
                self.assertEqual((found.shape, found.dtype), ((1, 1, 6, 6), "<f4"))
                self.assert_near(found[0], expected, 1e-5 * max(1, max(map(abs, expected.values))))
        self.write({"x.npy": golden.reference_x})
        self.tweedie("denoise", model, "x.npy", "--sigma", golden.reference_sigma.values[2], "--out", "plain")
        self.assertEqual(sorted(tree(self.folder / "plain")), ["denoised.npy", "summary.json"])
        self.assert_near(self.array("plain/denoised.npy")[2], golden.reference_mean[2], 1e-5 * 10)
        self.assertIn("[1,6,6]", self.tweedie("info", model).stdout)


if __name__ == "__main__":
    unittest.main()
