"""What is learned with classes: guidance of models and of their latents, what each use of them says, and what is refused."""
import pathlib, unittest

from support import Array, Scene, normal

DIGITS = pathlib.Path(__file__).resolve().parents[2] / "data/digits"
IMAGES = f'[data]\nkind = "digits"\nfolder = "{DIGITS}"\n'
UNET = '[network]\nkind = "unet"\nchannels = 8\nmultipliers = [1]\nblocks = 1\n'
TRAIN = "[train]\nsteps = 40\nbatch = 64\nlearning_rate = 0.01\n"
LATENT = f'{IMAGES}[model]\nkind = "latent-diffusion"\nfirst_stage = "features/model.safetensors"\n'
MODELS = {
    "features": f'{IMAGES}[model]\nkind = "vae"\narchitecture = "feature-map"\nlatent = 2\nchannels = 8\nhalvings = 1\n{TRAIN}',
    "latent": f"{LATENT}conditional = true\n{UNET}{TRAIN}",
    "one-level": f'{LATENT}{UNET}{TRAIN}objective = "dsm"\nsigma = 0.3\n',
    "conditional": f"{IMAGES}[model]\nconditional = true\n{UNET}{TRAIN}",
    "classifier": f'{IMAGES}[model]\nkind = "classifier"\nwidth = 16\ndepth = 2\n{TRAIN}',
}
INFER = """seed = 1
[prior]
model = "conditional/model.safetensors"
label = 3
guidance = {kind = "cfg", scale = 2.0}
[measurement]
run = "y"
[method]
kind = "mmps"
steps = 2
draws = 20
"""
MEASURE = """seed = 1
[prior]
model = "conditional/model.safetensors"
label = 3
guidance = {kind = "cfg", scale = 2.0}
[sampler]
steps = 2
[measurement.operator]
kind = "downsample"
[measurement.noise]
kind = "gaussian"
std = 0.3
"""
CAVEAT = "samples neither p(x | label) nor"


class Guidance(Scene):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.write({f"{name}.toml": text for name, text in MODELS.items()})
        for name in MODELS:
            cls.tweedie("train", f"{name}.toml", "--out", name)

    def draws(self, model, *flags):
        self.tweedie("sample", f"{model}/model.safetensors", "--count", 6, "--steps", 4, "--out", "draws", "--force", *flags)
        return self.array("draws/samples.npy").values, self.summary("draws")["warnings"]

    def test_latents_are_guided_as_images_are(self):
        for model in ("latent", "conditional"):
            with self.subTest(model):
                free, _ = self.draws(model)
                given, quiet = self.draws(model, "--class", 3)
                one, _ = self.draws(model, "--class", 3, "--guidance", 1)
                none, silent = self.draws(model, "--class", 3, "--guidance", 0)
                two, warned = self.draws(model, "--class", 3, "--guidance", 2)
                self.assertEqual(one, given)
                for a, b in zip(none, free):  # gamma = 0: p(x)
                    self.assertAlmostEqual(a, b, places=4)
                self.assertEqual(len({tuple(v) for v in (free, given, two)}), 3)
                self.assertEqual([quiet, silent], [[], []])
                self.assertTrue(any(CAVEAT in text for text in warned))
                label, _ = self.draws(model, "--set", "prior.label=3")
                for a, b in zip(label, given):
                    self.assertAlmostEqual(a, b, places=4)

    def test_a_model_of_one_level_says_so_in_latents_too(self):
        self.assertTrue(any("the one noise level 0.3" in text for text in self.draws("one-level")[1]))

    def test_guidance_is_towards_a_class(self):
        for arguments in (["sample", "conditional/model.safetensors", "--guidance", 2], ["sample", "latent/model.safetensors", "--guidance", 2]):
            self.assertIn("labels: none, but guidance is towards a class", self.refused(*arguments, "--out", "none"))
        self.write({"infer.toml": INFER.replace("label = 3\n", ""), "measure.toml": MEASURE})
        self.tweedie("measure", "measure.toml", "--out", "y", "--force")
        self.assertIn("prior.label: is missing", self.refused("infer", "infer.toml", "--out", "none"))
        self.assertIn("prior.label: this model was not trained with classes",
                      self.refused("sample", "one-level/model.safetensors", "--set", "prior.label=3", "--out", "none"))
        self.assertFalse((self.folder / "none").exists())

    def test_every_use_of_a_guided_prior_says_what_it_samples(self):
        self.write({"infer.toml": INFER, "measure.toml": MEASURE,
                    "calibrate.toml": MEASURE.replace("[sampler]\nsteps = 2\n", "") +
                    "[calibrate]\nsimulations = 24\ndraws = 3\nbins = 4\n[method]\nkind = \"mmps\"\nsteps = 2\n"})
        self.tweedie("measure", "measure.toml", "--out", "y", "--force")
        self.tweedie("infer", "infer.toml", "--out", "x")
        self.tweedie("calibrate", "calibrate.toml", "--out", "calibrated", status=None)
        for run in ("y", "x", "calibrated"):
            self.assertTrue(any(CAVEAT in text for text in self.summary(run)["warnings"]), run)
        self.assertRegex(self.tweedie("diagnose", "x", status=None).stdout, r"warn +prior: cfg with scale 2 " + CAVEAT.replace("|", r"\|").replace("(", r"\(").replace(")", r"\)"))
        unguided = INFER.replace('guidance = {kind = "cfg", scale = 2.0}\n', "")
        self.write({"infer.toml": unguided})
        self.tweedie("infer", "infer.toml", "--out", "x", "--force")
        self.assertNotIn("prior:", self.tweedie("diagnose", "x", status=None).stdout)

    def test_classes_are_numbered_without_gaps_and_what_is_not_used_is_refused(self):
        self.write({"x.npy": normal((40, 4), 1), "gap.npy": Array((40,), [1.0 + i % 3 for i in range(40)]),
                    "gap.toml": '[data]\nfile = "x.npy"\nlabels = "gap.npy"\n[model]\nconditional = true\n[network]\nkind = "mlp"\nwidth = 8\n'
                                "[train]\nsteps = 2\nbatch = 8\n"})
        for words, arguments in (
                (["data.labels", "no row of label 0, of 0 to 3"], ["train", "gap.toml"]),
                (["model.label_dropout", "conditional is false"],
                 ["train", "gap.toml", "--set", "model.conditional=false", "--set", "model.label_dropout=0.2"]),
                (["data.count", "digits", "does not use it"], ["train", "conditional.toml", "--set", "data.count=100"]),
                (["data.seed", "digits"], ["train", "conditional.toml", "--set", "data.seed=3"]),
                (["data.characters", "digits"], ["train", "conditional.toml", "--set", "data.characters=[65, 66]"]),
                (["--likelihood-rows: -1"], ["evaluate", "conditional/model.safetensors", "conditional.toml", "--likelihood-rows", -1]),
        ):
            with self.subTest(words=words):
                error = self.refused(*arguments, "--out", "none")
                for word in words:
                    self.assertIn(word, error)
        self.write({"mixture.toml": '[data]\nkind = "two-moons"\n[model]\nkind = "gaussian-mixture"\n[train]\nsteps = 10\n'})
        self.assertIn("train: EM has none of its options", self.refused("train", "mixture.toml", "--out", "none"))
        self.assertFalse((self.folder / "none").exists())

    def test_bfloat16_is_taken_by_every_family(self):
        for family in ("features", "latent", "conditional", "classifier"):
            with self.subTest(family):
                losses = []
                for dtype in ("f32", "bf16"):
                    self.tweedie("train", f"{family}.toml", "--dtype", dtype, "--out", "narrow", "--force", "--set", "train.steps=5")
                    summary = self.summary("narrow")
                    losses.append(summary["loss"])
                    if summary["precision"] != dtype:  # on a processor that does not multiply bfloat16
                        self.assertTrue(any("bf16 was asked for" in text for text in summary["warnings"]))
                        self.assertEqual(losses[1], losses[0])
                self.assertEqual(losses[0] == losses[1], summary["precision"] == "f32")
                self.assertAlmostEqual(*losses, delta=0.05 * abs(losses[0]) + 0.02)


if __name__ == "__main__":
    unittest.main()
