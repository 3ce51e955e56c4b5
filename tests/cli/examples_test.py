"""The configs of examples/: each is read to the end, so that what stops it is what its run makes or sets first. The scripts
compile."""
import pathlib, re, shutil, unittest

from support import Scene, finished

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
SHORT = ["--set", "train.steps=1", "--set", "train.batch=2"]


def command_of(text):
    tables = re.findall(r"^\[([a-z]+)", text, re.M)
    return next((c for c, table in (("train", "data"), ("forecast", "forecast"), ("infer", "method"), ("measure", "measurement"))
                 if table in tables), None)


class Examples(Scene):
    def test_configs_are_read(self):
        configs = sorted(EXAMPLES.glob("*/*.toml"))
        self.assertGreater(len(configs), 10)
        for config in configs:
            with self.subTest(config=f"{config.parent.name}/{config.name}"):
                text = config.read_text()
                command = command_of(text)
                if command is None or re.search(r"^\w+ = [A-Z_]+$", text, re.M):
                    continue  # a prior for other configs, or a template that its run fills
                short = SHORT if command == "train" and "gaussian-mixture" not in text else []
                copy = self.folder / "examples" / config.parent.name / config.name
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(config, copy)
                process = self.start(command, copy, "--out", "run", "--force", *short)
                _, errors = finished(process)
                if process.returncode != 0:
                    self.assertEqual(process.returncode, 2, errors)
                    self.assertRegex(errors, "no such file|no run.toml in it|missing key")

    def test_scripts_compile(self):
        for script in [EXAMPLES / "problem.py", *sorted(EXAMPLES.glob("*/run")), *sorted(EXAMPLES.glob("*/*.py"))]:
            with self.subTest(script=script.name):
                compile(script.read_text(), str(script), "exec")


if __name__ == "__main__":
    unittest.main()
