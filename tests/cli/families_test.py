"""Every family of models from outside: trained from one TOML file, killed and resumed to the same bytes, drawn from
and evaluated; classes, guidance and what is refused."""
import json, math, os, pathlib, shutil, struct, time, unittest, zlib

from support import Array, Scene, matrix, normal, read_npy, tree

DIGITS = pathlib.Path(__file__).resolve().parents[2] / "data/digits"
POINTS = '[data]\nkind = "two-moons"\ncount = 600\n'
IMAGES = f'[data]\nkind = "digits"\nfolder = "{DIGITS}"\n'
MLP = '[network]\nkind = "mlp"\nwidth = 16\ndepth = 1\n'
UNET = '[network]\nkind = "unet"\nchannels = 8\nmultipliers = [1]\nblocks = 1\n'
# model, data, network, what is in [train]; the rest is the same for all
FAMILIES = {
    "edm": ("", POINTS, MLP, 'objective = "edm"\nvalidation = 0.1\nvalidation_steps = 20\npatience = 50'),
    "early-stop": ("", POINTS, MLP, 'validation = 0.2\nvalidation_steps = 20\npatience = 1\nlearning_rate = 0.05'),
    "ddpm": ("", POINTS, MLP, 'objective = "ddpm"\nlearn_variance = true\naccumulate = 2'),
    "ncsn": ("", POINTS, MLP, 'objective = "ncsn"\nweight_decay = 0.01'),
    "flow-matching": ("", POINTS, MLP, 'objective = "flow-matching"\noptimal_transport = true'),
    "ism": ("", POINTS, MLP, 'objective = "ism"'),
    "ssm": ("", POINTS, MLP, 'objective = "ssm"'),
    "dsm": ("", POINTS, MLP, 'objective = "dsm"\nsigma = 0.3\noptimiser = "muon"'),
    "conditional": ("conditional = true", IMAGES, UNET, 'mirror = "horizontal"\nshift = 1'),
    "classifier": ('kind = "classifier"\nwidth = 16\ndepth = 2\nclean_fraction = 0.5', IMAGES, "", "learning_rate = 0.01"),
    "vae": ('kind = "vae"\nwidth = 16\ndepth = 1', POINTS, "", ""),
    "features": ('kind = "vae"\narchitecture = "feature-map"\nlatent = 2\nchannels = 8\nhalvings = 1', IMAGES, "", ""),
    "latent-diffusion": ('kind = "latent-diffusion"\nfirst_stage = "features/model.safetensors"\nconditional = true',
                         IMAGES, UNET, ""),
    "real-nvp": ('kind = "real-nvp"\nlayers = 2\nwidth = 16', POINTS, "", ""),
    "glow": ('kind = "glow"\nlevels = 1\nsteps = 2\nwidth = 8', IMAGES, "", ""),
    "energy": ('kind = "energy"\nwidth = 16\ndepth = 1\nchains = 128\nlangevin_steps = 3\nsampler_steps = 20', POINTS, "", ""),
    "masked-autoencoder": ('kind = "masked-autoencoder"\npatch = 4\nwidth = 16\ndepth = 1\ndecoder_width = 8\ndecoder_depth = 1',
                           IMAGES, "", ""),
}
WITHOUT_DRAWS = {"classifier", "masked-autoencoder"}
STEPS = {family: 2000 if family == "early-stop" else 60 for family in FAMILIES}


def config(family):
    model, data, network, train = FAMILIES[family]
    return (f"seed = 1\ncheckpoint_seconds = 0.0\n{data}[model]\n{model}\n{network}"
            f"[train]\nsteps = {STEPS[family]}\nbatch = 64\nwarmup_steps = 5\n{train}\n")


def step_of(checkpoint):
    """A checkpoint appears whole or not at all."""
    with open(checkpoint, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    return int(header["__metadata__"]["tweedie.step"])


def forget(checkpoint, part):
    """Zeros for the arrays whose names begin with `part`, or nothing for the note of that name; the checksum is right."""
    data = checkpoint.read_bytes()
    begin = 8 + struct.unpack("<Q", data[:8])[0]
    header, numbers = json.loads(data[8:begin]), bytearray(data[begin:])
    notes = header["__metadata__"]

    def text():
        return json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    def checksum():
        return f"{zlib.crc32(numbers, zlib.crc32(text())):08x}"

    assert notes.pop("tweedie.crc32") == checksum()
    arrays = [array["data_offsets"] for name, array in header.items() if name.startswith(part)]
    assert arrays or part in notes, part
    for first, last in arrays:
        assert any(numbers[first:last]), part
        numbers[first:last] = bytes(last - first)
    if part in notes:
        assert notes[part], part
        notes[part] = ""
    notes["tweedie.crc32"] = checksum()
    head = text() + b" " * (-len(text()) % 8)
    checkpoint.write_bytes(struct.pack("<Q", len(head)) + head + numbers)


class Families(Scene):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.write({f"{family}.toml": config(family) for family in FAMILIES})
        for family in FAMILIES:  # the features come before what is built on them
            cls.tweedie("train", f"{family}.toml", "--out", family)

    def model(self, run):
        return (self.folder / run / "model.safetensors").read_bytes()

    def killed(self, family, name):
        """A training killed well inside: its run, of that name, what it was told besides, and the run that went to its end. A checkpoint
        follows each step, so that there are as many moments as steps; more of them where the run was over before."""
        for attempt in range(7):
            run, whole, options = f"{name}-{family}-{attempt}", family, []
            if attempt:
                whole, options = f"{run}-whole", ["--set", f"train.steps={STEPS[family] * 2 ** attempt}"]
                self.tweedie("train", f"{family}.toml", "--out", whole, *options)
            last = self.summary(whole)["steps"]
            # With patience, between the last two looks: the weights to give back are those of a look before the kill.
            first = last - 19 if family == "early-stop" else last // 3
            checkpoint = self.folder / run / "checkpoint.safetensors"
            process = self.start("train", f"{family}.toml", "--out", run, "--threads", 1, *options)
            until = time.monotonic() + 100
            while process.poll() is None and not (checkpoint.exists() and step_of(checkpoint) >= first):
                if time.monotonic() > until:
                    process.kill()
                time.sleep(0.001)
            process.kill()
            _, error = process.communicate()
            self.assertTrue(checkpoint.exists(), error)
            if first <= step_of(checkpoint) < last and not (self.folder / run / "model.safetensors").exists():
                return run, options, whole
        return self.fail(f"{family}: each run was over before it was killed")

    def test_killed_and_resumed_each_gives_the_same_bytes(self):
        self.assertLess(self.summary("early-stop")["steps"], STEPS["early-stop"])
        for family in FAMILIES:
            with self.subTest(family):
                run, options, whole = self.killed(family, "killed")
                self.tweedie("train", f"{family}.toml", "--out", run, "--resume", *options)
                self.assertEqual(self.model(run), self.model(whole))

    def test_resumed_without_a_part_of_its_state_each_gives_others(self):
        for family, parts in {"ncsn": ("weights/", "average/", "moment1/", "moment2/"), "energy": ("chains", "average/"),
                              "early-stop": ("best/", "tweedie.validations")}.items():
            run, options, whole = self.killed(family, "forgetful")
            for part in parts:
                with self.subTest(family, part=part):
                    without = f"{run}-without-{part.strip('/')}"
                    shutil.copytree(self.folder / run, self.folder / without)
                    forget(self.folder / without / "checkpoint.safetensors", part)
                    self.tweedie("train", f"{family}.toml", "--out", without, "--resume", *options)
                    self.assertNotEqual(self.model(without), self.model(whole))

    def test_only_images_are_mirrored(self):
        for family in ("edm", "latent-diffusion"):
            self.assertIn("train.mirror", self.refused("train", f"{family}.toml", "--set", 'train.mirror="both"', "--out", "none"))

    def test_draws_are_the_same_on_any_number_of_threads(self):
        for family in FAMILIES.keys() - WITHOUT_DRAWS:
            with self.subTest(family):
                drawn = []
                for threads in (1, 2):
                    self.tweedie("sample", f"{family}/model.safetensors", "--count", 20, "--steps", 4, "--threads", threads,
                                 "--out", "draws", "--force")
                    drawn.append(self.array("draws/samples.npy"))
                self.assertEqual(drawn[0], drawn[1])
                self.assertEqual(drawn[0].shape[0], 20)

    def test_evaluate_says_what_kind_of_likelihood_it_is(self):
        for family, kind in (("edm", "probability-flow"), ("vae", "iwae"), ("real-nvp", "exact"), ("energy", None)):
            with self.subTest(family):
                self.tweedie("evaluate", f"{family}/model.safetensors", f"{family}.toml", "--set", 'data.split="test"',
                             "--train", f"{family}.toml", "--count", 200, "--steps", 4, "--likelihood-rows", 8, "--out",
                             "evaluated", "--force")
                summary = self.summary("evaluated")
                self.assertEqual(summary.get("log_likelihood_kind"), kind)
                for key in ("sliced_wasserstein", "sliced_wasserstein_floor", "mmd", "c2st", "memorised_share"):
                    self.assertIsInstance(summary[key], float, key)
                self.assertIn("sliced_wasserstein", (self.folder / "evaluated/report.md").read_text())

    # Eight Gaussians are a mixture that needs no learning. One of a wider spread is wrong by what can be said in closed form, as
    # no two components overlap: neighbours are 7 standard deviations apart.
    def test_evaluate_knows_the_law_of_the_data(self):
        n, rows, std, wide = 300, 200, 0.2, 0.3
        circle = [[2 * f(k * math.pi / 4) for f in (math.cos, math.sin)] for k in range(8)]
        self.write({"law/weights.npy": Array((8,), [1 / 8] * 8), "law/means.npy": matrix(circle),
                    "law.toml": f'[data]\nkind = "eight-gaussians"\ncount = {n}\n'})
        summaries = {}
        for width in (std, wide):
            self.write({f"law/{width}.toml": '[prior]\nkind = "gaussian-mixture"\nweights = "weights.npy"\nmeans = "means.npy"\n'
                                             f"std = {width}\n"})
            self.tweedie("evaluate", f"law/{width}.toml", "law.toml", "--count", n, "--steps", 4, "--likelihood-rows", rows,
                         "--out", f"of-law-{width}")
            summaries[width] = self.summary(f"of-law-{width}")
        right, wrong = summaries[std], summaries[wide]
        # E log p of N(0, std^2 I) in the plane is -1 - ln(2 pi std^2), of variance 1; the law's own on the same rows is the model's
        entropy = math.log(8) + 1 + math.log(2 * math.pi * std ** 2)
        self.assertAlmostEqual(right["log_likelihood_of_the_law"], -entropy, delta=4.5 / math.sqrt(rows))
        self.assertAlmostEqual(right["log_likelihood_of_the_law"], right["log_likelihood"], delta=1e-6)
        self.assertEqual(right["log_likelihood_of_the_law"], wrong["log_likelihood_of_the_law"])
        # The divergence of the wider one, a term of which is |z|^2 / 2 of N(0, I)
        share = (std / wide) ** 2
        divergence, error = share - 1 - math.log(share), 4.5 * (1 - share) / math.sqrt(rows)
        self.assertAlmostEqual(right["log_likelihood_of_the_law"] - wrong["log_likelihood"], divergence, delta=error)
        self.assertGreater(divergence, error)
        # D = m + v / (v + sigma^2) (y - m) of each component at the least level; both squares are those of n Gaussians
        self.assertLess(right["excess_loss_largest"], 1e-8)
        self.assertEqual(right["excess_loss_sigma"], sorted(right["excess_loss_sigma"]))
        level = right["excess_loss_sigma"][0] ** 2
        shrink, wider = (v / (v + level) for v in (std ** 2, wide ** 2))
        excess = (wider - shrink) ** 2 * (std ** 2 + level) / (shrink * level)
        self.assertAlmostEqual(wrong["excess_loss"][0] / excess, 1, delta=4.5 * math.sqrt(2 / n))
        self.assertGreater(wrong["excess_loss_largest"], 1e-3)

    def test_likelihood_of_a_family_is_its_own(self):
        self.write({"points.npy": normal((6, 2), 3)})
        for family, kind in (("vae", "iwae"), ("real-nvp", "exact")):
            rows = []
            for threads in (1, 2):
                self.tweedie("likelihood", f"{family}/model.safetensors", "points.npy", "--threads", threads, "--out", "of-points",
                             "--force")
                rows.append(self.array("of-points/log_prob.npy"))
            self.assertEqual(rows[0], rows[1])
            summary = self.summary("of-points")
            self.assertEqual((summary["log_prob_kind"], summary["converged"]), (kind, 6))
            self.assertAlmostEqual(summary["log_prob_mean"], sum(rows[0].values) / 6)
        self.assertIn("no likelihood", self.refused("likelihood", "energy/model.safetensors", "points.npy", "--out", "none"))
        self.assertIn("--exact", self.refused("likelihood", "vae/model.safetensors", "points.npy", "--exact", "--out", "none"))

    def test_a_mixture_is_an_analytic_prior(self):
        self.write({"mixture.toml": f'seed = 1\n{POINTS}[model]\nkind = "gaussian-mixture"\nmax_components = 6\n'})
        self.tweedie("train", "mixture.toml", "--out", "mixture")
        summary = self.summary("mixture")
        self.assertGreater(summary["components"], 1)
        for run in ("mixture", "mixture-again"):
            self.tweedie("train", "mixture.toml", "--out", run, "--force", "--threads", 1)
        self.assertEqual(self.array("mixture/means.npy"), self.array("mixture-again/means.npy"))
        self.tweedie("evaluate", "mixture/model.toml", "mixture.toml", "--count", 200, "--out", "of-mixture")
        self.assertEqual(self.summary("of-mixture")["log_likelihood_kind"], "exact")

    def test_a_mixture_is_fitted_to_the_counts_of_classes(self):
        crabs = pathlib.Path(__file__).resolve().parents[2] / "examples/crabs/train.toml"
        self.tweedie("train", crabs, "--out", "crabs")
        summary = self.summary("crabs")
        self.assertAlmostEqual(summary["chi2"], 15.55, delta=0.1)
        self.assertEqual(summary["degrees_of_freedom"], 18)
        self.assertEqual(self.array("crabs/means.npy").shape, (2, 1))
        # The same classes by their edges
        rows = [line.split(",") for line in (crabs.parents[2] / "data/crabs/crabs.csv").read_text().split()[1:]]
        edges = "lower,upper,count\n" + "".join(f"{float(m) - 0.002:.4f},{float(m) + 0.002:.4f},{n}\n" for m, n in rows)
        gap = edges.replace("0.5855,0.5895", "0.5865,0.5895")
        text = crabs.read_text().replace("../../data/crabs/crabs.csv", "FILE")
        self.write({"edges.csv": edges, "gap.csv": gap, "middle.csv": "1,5\n2,6\n4,7\n",
                    **{f"{name}.toml": text.replace("FILE", f"{name}.csv") for name in ("edges", "gap", "middle")}})
        self.tweedie("train", "edges.toml", "--out", "edges")
        self.assertAlmostEqual(self.summary("edges")["chi2"], summary["chi2"], delta=0.01)
        self.assertIn("class 1 ends at 0.5855, but class 2 begins at 0.5865", self.refused("train", "gap.toml", "--out", "none"))
        self.assertIn("classes of one width", self.refused("train", "middle.toml", "--out", "none"))

    def test_a_masked_autoencoder_fills_what_is_hidden(self):
        model = "masked-autoencoder/model.safetensors"
        self.tweedie("sample", "conditional/model.safetensors", "--class", 3, "--count", 5, "--steps", 4, "--out", "threes", "--force")
        # The four patches of 4 x 4 pixels, the second hidden
        self.write({"hidden.npy": matrix([[0, 1, 0, 0]] * 5), "none.npy": matrix([[1, 1, 1, 1]] * 5), "three.npy": matrix([[0, 1, 0]])})
        self.tweedie("reconstruct", model, "threes/samples.npy", "--hidden", "hidden.npy", "--out", "filled")
        before, after = self.array("threes/samples.npy"), self.array("filled/reconstructed.npy")
        self.assertEqual(before.shape, after.shape)
        for i, (a, b) in enumerate(zip(before.values, after.values)):
            row, column = i % 64 // 8, i % 8
            if row < 4 <= column:
                self.assertNotEqual(a, b)
            else:
                self.assertAlmostEqual(a, b, delta=1e-6)
        summary = self.summary("filled")
        self.assertEqual(summary["hidden_share"], 0.25)
        hidden = [(a - b) ** 2 for i, (a, b) in enumerate(zip(before.values, after.values)) if i % 64 // 8 < 4 <= i % 8]
        self.assertAlmostEqual(summary["mse_hidden"], sum(hidden) / len(hidden), places=5)
        for run, threads in (("random", 1), ("random-again", 2)):
            self.tweedie("reconstruct", model, "threes/samples.npy", "--fraction", 0.5, "--seed", 4, "--threads", threads, "--out", run)
        self.assertEqual(self.array("random/reconstructed.npy"), self.array("random-again/reconstructed.npy"))
        for arguments, what in ((("--hidden", "none.npy"), "hides all patches"), (("--hidden", "three.npy"), "three.npy: shape (1, 3)"),
                                (("--fraction", 1), "--fraction: 1"), (("--hidden", "hidden.npy", "--fraction", 0.5), "--hidden")):
            self.assertIn(what, self.refused("reconstruct", model, "threes/samples.npy", *arguments, "--out", "refused"))
        self.assertIn("no masked autoencoder", self.refused("reconstruct", "vae/model.safetensors", "threes/samples.npy", "--out", "no"))
        self.assertFalse((self.folder / "refused").exists())

    def test_data_far_from_the_noise_levels_are_warned_of(self):
        self.write({"far.npy": normal((200, 2), 5, 300), "far.toml": '[data]\nfile = "far.npy"\n' + MLP + "[train]\nsteps = 2\nbatch = 32\n"})
        self.tweedie("train", "far.toml", "--out", "far")
        self.assertTrue(any("noise levels" in warning for warning in self.summary("far")["warnings"]))
        self.assertEqual(self.summary("edm")["warnings"], [])

    # Classes

    def test_classes_are_those_of_the_data_and_judged_by_another_model(self):
        self.tweedie("evaluate", "conditional/model.safetensors", "conditional.toml", "--set", 'data.split="test"', "--count", 60,
                     "--steps", 4, "--classifier", "classifier/model.safetensors", "--likelihood-rows", 0, "--out", "judged")
        summary = self.summary("judged")
        self.assertEqual(len(set(self.array("judged/labels.npy").values)), 10)
        self.assertTrue(0 <= summary["class_agreement"] <= 1 and summary["classifier_accuracy"] > 0.15)
        for of, share in (("draws", "class_agreement"), ("data", "classifier_accuracy")):
            confusion = summary["class_confusion"][of]
            self.assertAlmostEqual(sum(row[i] for i, row in enumerate(confusion)) / sum(map(sum, confusion)), summary[share])
        asked = self.array("judged/labels.npy").values
        self.assertEqual([sum(row) for row in summary["class_confusion"]["draws"]], [asked.count(label) for label in range(10)])
        rows = [line for line in (self.folder / "judged/report.md").read_text().splitlines() if line.count("|") == 8]
        self.assertEqual(len(rows), 2 + 10)
        self.write({"x.npy": normal((10, 1, 8, 8), 1, 1), "eleven.npy": Array((10,), [11.0] * 10),
                    "eleven.toml": '[data]\nfile = "x.npy"\nlabels = "eleven.npy"\n'})
        self.assertIn("label 11, but the classifier knows 0 to 9",
                      self.refused("evaluate", "conditional/model.safetensors", "eleven.toml", "--class", 3, "--count", 10,
                                   "--classifier", "classifier/model.safetensors", "--out", "unknown-labels"))
        self.assertIn("count: 9 draws; at least 10",
                      self.refused("evaluate", "conditional/model.safetensors", "eleven.toml", "--count", 9, "--out", "unknown-labels"))
        self.assertFalse((self.folder / "unknown-labels").exists())

    def test_guidance_other_than_one_says_what_it_samples(self):
        draws = {}
        for name, flags in (("none", []), ("one", ["--class", 3, "--guidance", 1]), ("class", ["--class", 3]),
                            ("two", ["--class", 3, "--guidance", 2])):
            self.tweedie("sample", "conditional/model.safetensors", "--count", 4, "--steps", 4, "--out", f"g-{name}", *flags)
            draws[name] = self.array(f"g-{name}/samples.npy").values
            warned = any("samples neither p(x | label) nor" in text for text in self.summary(f"g-{name}")["warnings"])
            self.assertEqual(warned, name == "two")
        self.assertEqual(draws["one"], draws["class"])
        self.assertEqual(len({tuple(v) for v in draws.values()}), 3)
        self.tweedie("sample", "conditional/model.safetensors", "--class", 3, "--count", 4, "--steps", 4, "--out", "g-classifier",
                     "--set", 'prior.guidance.kind="classifier"', "--set", 'prior.guidance.model="classifier/model.safetensors"')
        self.assertNotEqual(self.array("g-classifier/samples.npy").values, draws["class"])

    def test_a_label_is_a_condition_of_a_prior(self):
        self.write({"measure.toml": f'seed = 1\n[measurement]\ncount = 2\n[measurement.data]\n{IMAGES[7:]}'
                                    '[measurement.operator]\nkind = "downsample"\n[measurement.noise]\nkind = "gaussian"\nstd = 0.3\n',
                    "infer.toml": 'seed = 1\n[prior]\nmodel = "conditional/model.safetensors"\nlabel = 4\n[measurement]\nrun = "y"\n'
                                  '[method]\nkind = "mmps"\nsteps = 3\ndraws = 2\n'})
        self.tweedie("measure", "measure.toml", "--out", "y")
        self.tweedie("infer", "infer.toml", "--out", "given-4")
        self.tweedie("infer", "infer.toml", "--set", "prior.label=5", "--out", "given-5")
        self.assertNotEqual(self.array("given-4/samples.npy"), self.array("given-5/samples.npy"))

    def test_what_a_family_cannot_do_is_refused_in_one_line(self):
        before = tree(self.folder)
        for words, arguments in (
                (["vae", "no denoiser"], ["denoise", "vae/model.safetensors", "vae.npy", "--sigma", 1]),
                (["no draws"], ["sample", "classifier/model.safetensors"]),
                (["not trained with classes"], ["sample", "edm/model.safetensors", "--class", 1]),
                (["labels", "11", "0 to 9"], ["sample", "conditional/model.safetensors", "--class", 11]),
                (["variance", "not learned"], ["sample", "edm/model.safetensors", "--sampler", "ddpm", "--set",
                                               'sampler.variance="learned"']),
                (["objective"], ["train", "vae.toml", "--set", 'train.objective="edm"']),
                (["conditional", "no labels"], ["train", "edm.toml", "--set", "model.conditional=true"]),
                (["patience", "validation"], ["train", "ncsn.toml", "--set", "train.patience=3"]),
        ):
            with self.subTest(words=words):
                error = self.refused(*arguments, "--out", "refused")
                for word in words:
                    self.assertIn(word, error)
                shutil.rmtree(self.folder / "refused", ignore_errors=True)
        self.assertEqual(tree(self.folder).keys(), before.keys())

    def test_learned_variance_is_another_walk(self):
        draws = []
        for variance in ("small", "large", "learned"):
            self.tweedie("sample", "ddpm/model.safetensors", "--count", 5, "--steps", 5, "--sampler", "ddpm", "--set",
                         f'sampler.variance="{variance}"', "--out", "walk", "--force")
            draws.append(tuple(self.array("walk/samples.npy").values))
        self.assertEqual(len(set(draws)), 3)


if __name__ == "__main__":
    unittest.main()
