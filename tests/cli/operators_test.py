"""Operators from configs: made of others, not linear, the user's own; and tweedie check-operator."""
import json, sys, unittest

from support import Scene, finished, matrix, neighbours, normal, tree, zeros

CHECK = """seed = 1
[measurement]
shape = [1, 8, 8]
[measurement.operator]
"""
COMPOSE = """kind = "compose"
[[measurement.operator.parts]]
kind = "blur"
std = 1.0
[[measurement.operator.parts]]
kind = "stack"
[[measurement.operator.parts.parts]]
kind = "downsample"
factor = 2
[[measurement.operator.parts.parts]]
kind = "mask"
seed = 3
[[measurement.operator.parts]]
kind = "scale"
factor = 0.5
[[measurement.operator.parts.parts]]
kind = "identity"
"""
INFER = """seed = 1
[prior]
model = "prior.toml"
[measurement]
{measurement}
[method]
kind = "{method}"
steps = 2
draws = 2
"""
NOISE = '[measurement.noise]\nkind = "gaussian"\nstd = 0.1\n'
SERVER = '''import array, os, struct, sys, time
def save(shape, values):
    header = repr({"descr": "<f8", "fortran_order": False, "shape": tuple(shape)}).ljust(117) + "\\n"
    body = b"\\x93NUMPY\\x01\\x00" + struct.pack("<H", 118) + header.encode() + array.array("d", values).tobytes()
    sys.stdout.buffer.write(body)
    sys.stdout.buffer.flush()
def load(size):
    data = sys.stdin.buffer.read(int(size))
    return array.array("d", data[10 + struct.unpack("<H", data[8:10])[0]:])
count = 0
while line := sys.stdin.buffer.readline().split():
    word, x = line[0].decode(), load(line[1])
    count += 1
'''
USER = 'kind = "subprocess"\ncommand = ["{python}", "{name}.py"]\nfolder = "."\ntimeout = {timeout}\n'
ANSWERS = {
    "right": "    save([4], [2 * v for v in x])\n",
    "wrong_adjoint": "    save([4], [(2 if word == 'apply' else 3) * v for v in x])\n",
    "wrong_shape": "    save([4], x) if word == 'apply' else save([2], x[:2])\n",
    "dying": "    save([4], x) if count < 3 else sys.exit('the lamp is out')\n",
    "hanging": "    save([4], x) if count < 3 else time.sleep(1000)\n",
    "nan": "    save([4], x) if count < 3 else save([4], [float('nan')] * 4)\n",
}
METHODS = ["mmps", "dps", "exact", "pigdm", "tmpd", "ddnm", "oracle", "ddrm", "ddnm-plus", "diffpir", "daps", "pnp-dm",
           "red-diff", "repaint", "replacement", "posterior-langevin", "mcgdiff", "tds", "fps"]


class Operators(Scene):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.write({
            "prior.toml": '[prior]\nkind = "gaussian"\nmean = "mean.npy"\ncovariance = "covariance.npy"\n',
            "mean.npy": zeros(4), "covariance.npy": neighbours(1, 4, 0.5), "y.npy": normal((4,), 2),
            "image_prior.toml": '[prior]\nkind = "gaussian"\nmean = "image_mean.npy"\ncovariance = "image_cov.npy"\n',
            "image_mean.npy": zeros(1, 4, 4), "image_cov.npy": neighbours(4, 4, 0.5),
            **{f"{name}.py": SERVER + answer for name, answer in ANSWERS.items()}})

    def user(self, name, timeout=20):
        return USER.format(python=sys.executable, name=name, timeout=timeout)

    def infer_user(self, name, timeout=20):
        measurement = f'y = "y.npy"\n[measurement.operator]\n{self.user(name, timeout)}{NOISE}'
        self.write({"user.toml": INFER.format(measurement=measurement, method="mmps")})

    def test_every_operator_keeps_its_promises(self):
        done = self.tweedie("check-operator", "--all")
        for name in ["identity", "bicubic", "wavelet, db4", "compose", "phase-retrieval, amplitude", "perspective, stereo"]:
            self.assertIn(f"| {name} |", done.stdout)
        self.assertIn("Every check holds.", done.stdout)
        summary = json.loads(self.tweedie("check-operator", "--all", "--json").stdout)
        self.assertTrue(summary["passed"])
        self.assertGreater(len(summary["operators"]), 40)

    def test_check_of_a_composition(self):
        self.write({"check.toml": CHECK + COMPOSE})
        done = self.tweedie("check-operator", "check.toml", "--out", "checked")
        self.assertRegex(done.stdout, r"compose: \(1, 8, 8\) -> \(\d+\), linear")
        self.assertRegex(done.stdout, r"ok +adjoint ")
        self.assertTrue(self.summary("checked")["passed"])
        other = INFER.format(measurement='y = "y.npy"\n[measurement.operator]\n' + COMPOSE + NOISE, method="mmps")
        self.write({"other.toml": other})
        self.tweedie("check-operator", "other.toml", "--shape", "1,8,8")
        self.assertIn("unknown key 'y' in [measurement]", self.refused("check-operator", "other.toml"))
        self.assertIn("CONFIG.toml or --all", self.refused("check-operator"))

    def test_a_composition_is_written_back(self):
        measure = "seed = 1\n" + '[prior]\nmodel = "image_prior.toml"\n[measurement]\ncount = 2\n[measurement.operator]\n'
        self.write({"measure.toml": measure + COMPOSE + NOISE})
        self.tweedie("measure", "measure.toml", "--out", "measured")
        self.tweedie("measure", "measured/run.toml", "--out", "again")
        first, again = tree(self.folder / "measured"), tree(self.folder / "again")
        self.assertEqual(first["y.npy"], again["y.npy"])
        self.assertEqual(first["run.toml"], again["run.toml"])
        infer = INFER.format(measurement='run = "measured"', method="mmps").replace("prior.toml", "image_prior.toml")
        self.write({"infer.toml": infer})
        self.tweedie("infer", "infer.toml", "--out", "inferred")
        self.assertEqual(self.array("inferred/samples.npy").shape, (2, 2, 1, 4, 4))

    def test_errors_name_the_part(self):
        def refused(text):
            self.write({"bad.toml": CHECK + text})
            return self.refused("check-operator", "bad.toml")
        self.assertIn("bad.toml:13:1", refused(COMPOSE.replace('factor = 2', 'facter = 2')))
        self.assertIn("in [measurement.operator.parts[1].parts[0]]", refused(COMPOSE.replace('factor = 2', 'facter = 2')))
        self.assertIn("measurement.operator.parts[1].parts[0].factor: 3 does not divide",
                      refused(COMPOSE.replace("factor = 2", "factor = 3")))
        self.assertIn("measurement.operator.parts[1].parts[1].seed: none",
                      refused(COMPOSE.replace("seed = 3", "")))
        self.assertIn("measurement.operator.parts: none", refused('kind = "sum"\n'))
        self.assertIn("is not a list of tables", refused('kind = "sum"\nparts = 3\n'))
        self.assertIn("missing key 'kind' in [measurement.operator.parts[0]]",
                      refused('kind = "sum"\n[[measurement.operator.parts]]\n'))
        self.assertIn("2 of them, but one is needed",
                      refused('kind = "scale"\nfactor = 2\n' + '[[measurement.operator.parts]]\nkind = "identity"\n' * 2))
        self.assertIn("measurement.operator: terms of shapes", refused(
            'kind = "sum"\n[[measurement.operator.parts]]\nkind = "identity"\n'
            '[[measurement.operator.parts]]\nkind = "downsample"\n'))
        self.assertIn("not linear: it has no adjoint", refused(
            'kind = "adjoint"\nshape = [1, 8, 8]\n[[measurement.operator.parts]]\nkind = "saturation"\n'))
        self.assertIn("did you mean", refused('kind = "bicubik"\n'))
        self.assertIn("32 tables deep", refused(
            'kind = "sum"\n' + "".join(f'[[measurement.operator{".parts" * k}]]\nkind = "sum"\n' for k in range(1, 40))))

    def test_help_lists_the_operators(self):
        text = self.tweedie("infer", "--help").stdout
        for word in ["parts", 'kind = "compose"', 'kind = "phase-retrieval"', "random_signs", "list of tables"]:
            self.assertIn(word, text)

    def test_methods_with_an_operator_that_is_not_linear(self):
        operator = '[measurement.operator]\nkind = "saturation"\ncurve = "tanh"\n'
        works = []
        for method in METHODS:
            text = INFER.format(measurement='y = "y.npy"\n' + operator + NOISE, method=method)
            if method == "exact":
                text = text.replace("steps = 2\n", "")
            self.write({"nonlinear.toml": text})
            process = self.start("infer", "nonlinear.toml", "--out", f"nonlinear-{method}", "--quiet")
            out, err = finished(process)
            if process.returncode == 0:
                works.append(method)
            else:
                self.assertEqual(process.returncode, 2, f"{method}: {err}")
                self.assertRegex(err, r"\Atweedie: [^\n]*linear[^\n]*\n\Z", method)
                self.assertFalse((self.folder / f"nonlinear-{method}").exists())
        for method in ["dps", "posterior-langevin"]:
            self.assertIn(method, works)
        diagnosis = self.start("diagnose", "nonlinear-dps", "--quiet")
        finished(diagnosis)
        self.assertIn(diagnosis.returncode, [0, 1])

    def test_users_operator(self):
        self.infer_user("right")
        self.tweedie("infer", "user.toml", "--out", "users")
        matrices = matrix([[2 * (i == j) for j in range(4)] for i in range(4)])
        self.write({"a.npy": matrices, "same.toml": INFER.format(
            measurement='y = "y.npy"\n[measurement.operator]\nkind = "matrix"\nmatrix = "a.npy"\n' + NOISE, method="mmps")})
        self.tweedie("infer", "same.toml", "--out", "same")
        self.assert_near(self.array("users/samples.npy"), self.array("same/samples.npy"), 1e-4)
        done = self.tweedie("check-operator", "user.toml", "--shape", "4")
        self.assertIn("Every check holds.", done.stdout)

    def test_users_broken_operator(self):
        says = {"wrong_adjoint": "its adjoint is off by", "wrong_shape": "answers adjoint with shape (2,), but (4,) is needed",
                "dying": "ended with status 1 before it answered; an array in NPY was expected; it said: the lamp is out",
                "hanging": "did not answer within 0.5 s", "nan": "NaN"}
        before = tree(self.folder)
        for name, what in says.items():
            self.infer_user(name, 0.5 if name == "hanging" else 20)
            self.assertIn(what, self.refused("infer", "user.toml", "--out", "broken"), name)
        after = tree(self.folder)
        self.assertEqual(set(after) - set(before), {"user.toml"} - set(before))
        self.infer_user("wrong_adjoint")
        done = self.tweedie("check-operator", "user.toml", "--shape", "4", status=1)
        self.assertRegex(done.stdout, r"FAIL +adjoint ")
        self.assertIn("A check fails.", done.stdout)


if __name__ == "__main__":
    unittest.main()
