"""Training and what becomes of it: interrupted, killed, resumed, tampered with; and the model that comes out."""
import json, os, random, shutil, signal, statistics, struct, time, unittest

from support import PNG, Scene, finished, normal, results, tree, zeros

TRAIN = ('seed = 1\ncheckpoint_seconds = 0.0\n[data]\nfile = "x.npy"\n[network]\nkind = "mlp"\nwidth = 16\ndepth = 1\n'
         '[train]\nsteps = 300\nbatch = 64\nlearning_rate = 2e-3\nwarmup_steps = 20\nprecision = "f32"\n')
IMAGES = ('seed = 1\n[data]\nfile = "images.npy"\nlow = -4.0\nhigh = 4.0\n[network]\nkind = "unet"\nchannels = 8\n'
          'multipliers = [1, 2]\nblocks = 1\nattention = [4]\n[train]\nsteps = 8\nbatch = 32\nprecision = "f32"\n')
FILES = ["checkpoint.safetensors", "figure.png", "log.jsonl", "model.safetensors", "run.toml", "summary.json"]


def files_of(*previews):
    """All that is in a RUN that was looked at after these steps."""
    return sorted([*FILES, "previews", *(f"previews/{step:09}.npy" for step in previews)])


OF_RUN = {"whole": files_of(18, 37, 75, 150, 300), "images": files_of(1, 2, 4, 8)}


def points():
    """Two clusters in the plane."""
    x = normal((500, 2), 5, 0.3)
    x.values = [v + (2 if i % 4 < 2 else -2) for i, v in enumerate(x.values)]
    return x


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


class Training(Scene):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.write({"train.toml": TRAIN, "x.npy": points(), "images.toml": IMAGES, "images.npy": normal((64, 1, 8, 8), 1)})
        cls.tweedie("train", "train.toml", "--out", "whole")
        cls.tweedie("train", "images.toml", "--out", "images")

    def model(self, run):
        return (self.folder / run / "model.safetensors").read_bytes()

    def assert_finished(self, run):
        """The run is to the last byte of its model the undisturbed one, and nothing else lies about."""
        self.assertEqual(self.model(run), self.model("whole"))
        self.assertEqual(sorted(tree(self.folder / run)), OF_RUN["whole"])
        steps = [line["step"] for line in rows_of(self.folder / run / "log.jsonl")]
        self.assertEqual(steps, sorted(set(steps)))
        self.assertEqual(steps[-1], 300)

    def wait_for(self, process, condition):
        until = time.monotonic() + 60
        while process.poll() is None and not condition():
            self.assertLess(time.monotonic(), until)
            time.sleep(0.002)

    # What a run leaves

    def test_a_run_has_a_model_a_log_and_a_figure(self):
        for run, steps in (("whole", 300), ("images", 8)):
            self.assertEqual(sorted(tree(self.folder / run)), OF_RUN[run])
            self.assertTrue((self.folder / run / "figure.png").read_bytes().startswith(PNG))
            log = rows_of(self.folder / run / "log.jsonl")
            self.assertEqual((log[0]["step"], log[-1]["step"]), (1, steps))
            for key in ("images", "loss", "gradient_norm", "learning_rate", "images_per_second", "seconds"):
                self.assertTrue(all(isinstance(line[key], (int, float)) for line in log), key)
            summary = self.summary(run)
            self.assertEqual([summary[k] for k in ("command", "steps", "total_steps", "precision")],
                             ["train", steps, steps, "f32"])

    def test_info_says_what_a_model_is(self):
        done = self.tweedie("info", "images/model.safetensors", "--json")
        info = json.loads(done.stdout)
        self.assertEqual([info[k] for k in ("kind", "network", "shape", "range", "data", "steps")],
                         ["model", "unet", [1, 8, 8], [-4, 4], "images.npy", 8])
        values = self.array("images.npy").values
        self.assertAlmostEqual(info["sigma_data"], statistics.stdev(values), places=4)
        self.assertIn("channels = 8\n", info["model"])
        self.assertIn("steps = 8\n", info["training"])
        text = self.tweedie("info", "images/model.safetensors").stdout
        for part in ("unet", "[1,8,8]", "sigma_data", "[train]"):
            self.assertIn(part, text)
        info = json.loads(self.tweedie("info", "images/checkpoint.safetensors", "--json").stdout)
        self.assertEqual((info["kind"], info["step"]), ("checkpoint", 8))

    def test_run_toml_trains_the_same_model(self):
        self.tweedie("train", "whole/run.toml", "--out", "again", "--threads", 1)
        self.assert_finished("again")
        files, of_whole = results(self.folder / "again")[0], results(self.folder / "whole")[0]
        self.assertEqual(files["run.toml"], of_whole["run.toml"])

    def test_dtype_is_kept_in_run_toml(self):
        self.tweedie("train", "images.toml", "--set", "train.precision=auto", "--dtype", "f32", "--out", "dtype")
        self.assertIn(b'precision = "f32"', (self.folder / "dtype/run.toml").read_bytes())
        self.assertEqual(self.model("dtype"), self.model("images"))

    def test_json_is_the_summary_and_nothing_else(self):
        done = self.tweedie("train", "images.toml", "--set", "train.steps=2", "--out", "json", "--json")
        self.assertEqual(done.stdout, (self.folder / "json/summary.json").read_text())

    # What can be done with a model

    def test_sample_walks_as_it_is_told(self):
        drawn = {}
        for name, flags, evaluations in (("heun", ["--steps", 6], 11), ("ddim", ["--sampler", "ddim", "--steps", 6], 6),
                                         ("eta", ["--sampler", "ddim", "--steps", 6, "--eta", 1], 6),
                                         ("vp", ["--schedule", "vp-linear", "--steps", 5], 9)):
            self.tweedie("sample", "whole/model.safetensors", "--count", 20, "--out", name, *flags)
            summary = self.summary(name)
            self.assertEqual((summary["steps"], summary["network_evaluations"]), (flags[flags.index("--steps") + 1], evaluations))
            x = self.array(f"{name}/samples.npy")
            self.assertEqual((x.shape, x.dtype), ((20, 2), "<f4"))
            self.assertEqual(sorted(tree(self.folder / name)), ["figure.png", "run.toml", "samples.npy", "summary.json"])
            drawn[name] = x.values
        self.assertEqual(len({tuple(v) for v in drawn.values()}), 4)
        self.tweedie("sample", "eta/run.toml", "--out", "eta-again", "--threads", 1)
        self.assertEqual(results(self.folder / "eta-again"), results(self.folder / "eta"))

    def test_a_model_of_images_denoises_and_conditions(self):
        self.write({"v.npy": normal((1, 8, 8), 2), "infer.toml":
                    'seed = 1\n[prior]\nmodel = "images/model.safetensors"\n[measurement]\nrun = "measured"\n'
                    '[method]\nkind = "mmps"\nsteps = 4\ndraws = 2\n', "measure.toml":
                    'seed = 1\n[measurement]\ncount = 3\n[measurement.data]\nfile = "images.npy"\n'
                    '[measurement.operator]\nkind = "downsample"\n[measurement.noise]\nkind = "gaussian"\nstd = 0.5\n'})
        self.tweedie("sample", "images/model.safetensors", "--count", 3, "--steps", 3, "--out", "pictures")
        self.assertEqual(self.array("pictures/samples.npy").shape, (3, 1, 8, 8))
        self.tweedie("denoise", "images/model.safetensors", "images.npy", "--sigma", 0.5, "--out", "denoised")
        self.assertEqual(self.array("denoised/denoised.npy").shape, (64, 1, 8, 8))
        self.tweedie("denoise", "images/model.safetensors", "v.npy", "--vjp", "v.npy", "--sigma", 0.5, "--out", "vjp")
        self.assertEqual(self.array("vjp/vjp.npy").shape, (1, 1, 8, 8))
        self.tweedie("measure", "measure.toml", "--out", "measured")
        self.tweedie("infer", "infer.toml", "--out", "posterior")
        self.assertEqual(self.array("posterior/samples.npy").shape, (2, 3, 1, 8, 8))
        self.tweedie("infer", "infer.toml", "--threads", 1, "--out", "posterior-1")
        self.assertEqual(results(self.folder / "posterior-1"), results(self.folder / "posterior"))

    # What happens to a training that is stopped

    def stop(self, run, number):
        process = self.start("train", "train.toml", "--out", run, "--json")
        log = self.folder / run / "log.jsonl"
        self.wait_for(process, lambda: log.exists() and log.stat().st_size > 0)
        process.send_signal(number)
        out, err = finished(process)
        self.assertEqual((process.returncode, out), (130, ""))
        self.assertRegex(err, f"interrupted at step [0-9]+ of 300, saved; continue with --resume --out {run}\n")
        self.assertFalse((self.folder / run / "model.safetensors").exists())
        self.tweedie("train", "train.toml", "--out", run, "--resume")
        self.assert_finished(run)

    def test_interrupted_it_saves_and_resumes(self):
        self.stop("interrupted", signal.SIGINT)

    def test_terminated_it_saves_and_resumes(self):
        self.stop("terminated", signal.SIGTERM)

    def test_killed_at_any_moment_it_resumes(self):
        moments = random.Random(1)
        run = self.folder / "killed"
        checkpoint = run / "checkpoint.safetensors"
        last = -1
        for kill in range(10):
            resume = ["--resume"] if checkpoint.exists() else ["--force"]
            process = self.start("train", "train.toml", "--out", "killed", *resume)
            before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
            self.wait_for(process, lambda: checkpoint.exists() and checkpoint.stat().st_mtime_ns != before)
            time.sleep(moments.uniform(0, 0.04))
            process.kill()
            process.communicate()
            if checkpoint.exists():  # it can be read whenever that was, and never goes back
                step = json.loads(self.tweedie("info", checkpoint, "--json").stdout)["step"] if kill % 3 == 0 else last
                self.assertGreaterEqual(step, last)
                last = step
        self.tweedie("train", "train.toml", "--out", "killed", "--resume")
        self.assert_finished("killed")

    def test_leftovers_of_a_killed_run_go(self):
        shutil.copytree(self.folder / "whole", self.folder / "leftovers")
        (self.folder / "leftovers/.checkpoint.safetensors.tmp-123-0").write_bytes(b"half")
        (self.folder / "leftovers/previews/.000000018.npy.tmp-123-1").write_bytes(b"half")
        with open(self.folder / "leftovers/log.jsonl", "a") as log:
            log.write('{"step": 300, "los')
        self.tweedie("train", "train.toml", "--out", "leftovers", "--resume")
        self.assert_finished("leftovers")

    def test_resuming_a_finished_run_changes_nothing(self):
        shutil.copytree(self.folder / "whole", self.folder / "finished")
        self.tweedie("train", "train.toml", "--out", "finished", "--resume")
        self.assert_finished("finished")

    def test_resume_needs_its_own_checkpoint(self):
        before = tree(self.folder)
        error = self.refused("train", "train.toml", "--out", "whole", "--resume", "--set", "train.batch=32")
        self.assertIn("another config", error)
        self.assertIn("another config", self.refused("train", "images.toml", "--out", "whole", "--resume"))
        error = self.refused("train", "train.toml", "--out", "nowhere", "--resume")
        self.assertIn("nowhere/checkpoint.safetensors", error)
        self.assertEqual(tree(self.folder), before)

    # Files that are not whole

    def test_broken_models_are_refused(self):
        self.write({"infer.toml": '[prior]\nmodel = "bad.safetensors"\n[measurement]\ny = "zero.npy"\n'
                    '[measurement.noise]\nkind = "gaussian"\nstd = 0.1\n[method]\nkind = "mmps"\n', "zero.npy": zeros(2)})
        whole = self.model("whole")
        header = struct.unpack("<Q", whole[:8])[0]
        broken = {"no bytes": b"", "half a header": whole[:100], "a missing byte": whole[:-1], "one more byte": whole + b"\0",
                  "a flipped bit": whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:],
                  "another width": whole.replace(b"width = 16", b"width = 17"),
                  "another seed": whole.replace(b"seed = 1", b"seed = 2"),
                  "no metadata": struct.pack("<Q", 2) + b"{}" + whole[8 + header:],
                  "a huge header": struct.pack("<Q", 1 << 60) + whole[8:], "not a model": b"PK\x03\x04" + whole[4:],
                  "a checkpoint": (self.folder / "whole/checkpoint.safetensors").read_bytes()}
        before = {}
        for i, (name, content) in enumerate(broken.items()):
            self.write({"bad.safetensors": content})
            before = before or tree(self.folder)
            commands = [["sample", "bad.safetensors"], ["infer", "infer.toml"], ["info", "bad.safetensors"]]
            # Each in one command, the first few in all.
            for command in commands if i in (3, 4) else commands[i % 3:i % 3 + 1]:
                with self.subTest(name, command=command[0]):
                    if (name, command[0]) in (("a checkpoint", "info"), ("no metadata", "info")):
                        continue
                    self.assertIn("bad.safetensors", self.refused(*command, "--out", "never"))
        self.assertEqual(set(tree(self.folder)), set(before))

    def test_broken_checkpoints_are_refused(self):
        shutil.copytree(self.folder / "whole", self.folder / "broken")
        path = self.folder / "broken/checkpoint.safetensors"
        whole = path.read_bytes()
        for name, content in {"truncated": whole[:len(whole) // 2], "empty": b"",
                              "a flipped bit": whole[:5000] + bytes([whole[5000] ^ 16]) + whole[5001:],
                              "a model": self.model("whole")}.items():
            with self.subTest(name):
                path.write_bytes(content)
                before = tree(self.folder / "broken")
                self.assertIn("checkpoint.safetensors", self.refused("train", "train.toml", "--out", "broken", "--resume"))
                self.assertEqual(tree(self.folder / "broken"), before)


if __name__ == "__main__":
    unittest.main()
