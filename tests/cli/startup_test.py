"""What only says something starts at once: it loads no libtorch, whose start takes half a second."""
import json, os, pathlib, re, struct, subprocess, unittest, zlib

from support import PROGRAM, Scene, normal

SOURCE = pathlib.Path(__file__).parents[2]
MODEL = SOURCE / "data/priors/fashion-mnist.safetensors"
TORCHSCRIPT = SOURCE / "tests/golden/torchscript_denoiser.pt"
TRAIN = ('[data]\nfile = "x.npy"\n[network]\nkind = "mlp"\nwidth = 8\ndepth = 1\n'
         '[train]\nsteps = 2\nbatch = 8\nprecision = "f32"\n')
COMMANDS = ["train", "sample", "measure", "infer", "diagnose", "calibrate", "certify", "forecast", "compare", "likelihood", "denoise",
            "info", "bench"]


def without_flops(model):
    """The model as versions before 0.2 wrote it."""
    end = 8 + struct.unpack("<Q", model[:8])[0]
    header = json.loads(model[8:end])
    del header["__metadata__"]["tweedie.flops"], header["__metadata__"]["tweedie.crc32"]
    text = lambda: json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    header["__metadata__"]["tweedie.crc32"] = f"{zlib.crc32(model[end:], zlib.crc32(text())):08x}"
    return struct.pack("<Q", len(text())) + text() + model[end:]


class Startup(Scene):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.write({"x.npy": normal((20, 2), 1), "train.toml": TRAIN})

    def run_and_watch(self, *arguments, status=0):
        """What it printed, and whether the dynamic loader brought libtorch's operators."""
        environment = {**os.environ, "LD_DEBUG": "files", "LD_DEBUG_OUTPUT": str(self.folder / "loader")}
        done = subprocess.run([PROGRAM, *map(str, arguments)], cwd=self.folder, env=environment, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=200)
        self.assertEqual(done.returncode, status, done.stderr)
        logs = list(self.folder.glob("loader.*"))
        loaded = {name for log in logs for name in re.findall(r"file=(\S+) ", log.read_text(errors="replace"))}
        for log in logs:
            log.unlink()
        self.assertTrue(any("libstdc++" in name for name in loaded), "the loader said nothing")
        return done.stdout + done.stderr, any("libtorch" in name for name in loaded)

    def assert_at_once(self, *arguments, status=0):
        text, torch = self.run_and_watch(*arguments, status=status)
        self.assertFalse(torch, arguments)
        return text

    def test_help_and_version(self):
        self.assertRegex(self.assert_at_once("--version"), r"^tweedie \d")
        for command in COMMANDS:
            self.assertIn(command, self.assert_at_once("--help"))
            self.assertIn("--seed", self.assert_at_once(command, "--help"))

    def test_what_is_not_understood(self):
        for words in ([], ["--wrong"], ["infr"], ["infer"], ["info", "x.npy", "--wrong"], ["sample", "nowhere.toml"],
                      ["infer", "nowhere.toml"], ["train", "train.toml", "--set", "train.stepz=1"],
                      ["train", "train.toml", "--threads", "-1"], ["info", "nowhere.npy"], ["info", "train.csv"]):
            self.assert_at_once(*words, status=2)

    def test_info(self):
        self.assertIn("flops_per_evaluation", self.assert_at_once("info", MODEL))
        self.assertIn("mean", self.assert_at_once("info", "x.npy"))
        _, torch = self.run_and_watch("train", "train.toml", "--out", "run", "--quiet")
        self.assertTrue(torch, "this test would not see libtorch")
        self.assertIn("mlp", self.assert_at_once("info", "run/model.safetensors"))
        self.assertIn("total_steps", self.assert_at_once("info", "run/checkpoint.safetensors", "--json"))
        self.assert_at_once("info", "run/figure.png")

    def test_info_loads_what_has_to_be_loaded(self):
        text, torch = self.run_and_watch("info", TORCHSCRIPT)
        self.assertTrue(torch)
        self.assertRegex(text, r"prior +TorchScript")
        self.write({"old.safetensors": without_flops(MODEL.read_bytes())})
        text, torch = self.run_and_watch("info", "old.safetensors")
        self.assertTrue(torch)
        self.assertEqual(text.replace("old.safetensors", str(MODEL)), self.assert_at_once("info", MODEL))


if __name__ == "__main__":
    unittest.main()
