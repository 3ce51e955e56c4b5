"""MRI and CT as a user runs them: complex files, masks, coils, trajectories, sinograms, and what is refused."""
import cmath, math, unittest

from support import Array, Scene

SIZE = 16
NOISE = '[measurement.noise]\nkind = "gaussian"\nstd = 0.01\n'
PRIOR = '[prior]\nkind = "gaussian"\nmean = "mean.npy"\nstd = 0.3\n'
CG = '[method]\nkind = "cg"\n'


def operator(kind, **keys):
    lines = [f'kind = "{kind}"'] + [f"{key} = {value}" for key, value in keys.items()]
    return "[measurement.operator]\n" + "\n".join(lines) + "\n"


def measure(kind, **keys):
    return f'seed = 1\n[measurement]\ntruth = "truth.npy"\n{operator(kind, **keys)}{NOISE}'


def infer(measurement, method=CG):
    return f"{PRIOR}{measurement}{method}"


def from_files(y, kind, **keys):
    return f'[measurement]\ny = "{y}"\ntruth = "truth.npy"\n{operator(kind, **keys)}{NOISE}'


def disc(i, j):
    return 1.0 if (i - 7.5) ** 2 + (j - 6.5) ** 2 < 20 else 0.1


def rolled(y, rows, columns):
    """The last two axes of y, (..., H, W), moved around."""
    h, w = y.shape[-2:]
    images = len(y.values) // (h * w)
    values = [y.values[b * h * w + (i - rows) % h * w + (j - columns) % w]
              for b in range(images) for i in range(h) for j in range(w)]
    return Array(y.shape, values, y.dtype)


class Imaging(Scene):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        truth = Array((1, SIZE, SIZE), [disc(i, j) for i in range(SIZE) for j in range(SIZE)])
        coils = [cmath.exp(1j * (c + 0.1 * i)) * (0.1 + math.exp(-(((j - 7.5 * c) / 7) ** 2)))
                 for c in range(3) for i in range(SIZE) for j in range(SIZE)]
        cls.write({"truth.npy": truth, "mean.npy": Array((1, SIZE, SIZE), [0.0] * SIZE**2),
                   "coils.npy": Array((3, SIZE, SIZE), coils, "<c16"),
                   "other_coils.npy": Array((3, SIZE, SIZE - 1), coils[:3 * SIZE * (SIZE - 1)], "<c16"),
                   "lines.toml": measure("fourier", pattern='"lines"', acceleration=2, centre=4),
                   "coils.toml": measure("multi-coil", sensitivities='"coils.npy"', pattern='"lines"',
                                         acceleration=2, centre=4),
                   "radial.toml": measure("nufft", spokes=24, sensitivities='"coils.npy"'),
                   "ct.toml": measure("radon", views=40),
                   "infer_lines.toml": infer('[measurement]\nrun = "lines"\n'),
                   "infer_coils.toml": infer('[measurement]\nrun = "coils"\n'),
                   "infer_radial.toml": infer('[measurement]\nrun = "radial"\n'),
                   "infer_ct.toml": infer('[measurement]\nrun = "ct"\n')})
        for name in ("lines", "coils", "radial", "ct"):
            cls.tweedie("measure", f"{name}.toml", "--out", name)

    def test_k_space_is_whole_and_complex_in_files(self):
        for run, lead in (("lines", ()), ("coils", (3,))):
            y, mask = self.array(f"{run}/y.npy"), self.array(f"{run}/mask.npy")
            self.assertEqual((y.dtype, y.shape), ("<c16", (1, *lead, SIZE, SIZE)))
            self.assertEqual((mask.shape, sum(mask.values)), ((SIZE, SIZE), SIZE * SIZE // 2))
            for image in range(len(y.values) // SIZE**2):
                for k, kept in enumerate(mask.values):
                    self.assertEqual(y.values[image * SIZE**2 + k] != 0, bool(kept))
        # The sum of all pixels is at the centre, over the square root of their number.
        total = sum(self.array("truth.npy").values) / SIZE
        self.assertAlmostEqual(self.array("lines/y.npy").values[SIZE // 2 * SIZE + SIZE // 2].real, total, delta=0.05)
        self.assertEqual(self.array("radial/y.npy").shape, (1, 3, 24, SIZE))
        self.assertEqual(self.array("ct/y.npy").dtype, "<f8")

    def test_cg_finds_the_image(self):
        for name, psnr in (("coils", 30), ("radial", 25), ("ct", 25)):
            self.tweedie("infer", f"infer_{name}.toml", "--out", f"cg_{name}")
            summary = self.summary(f"cg_{name}")
            self.assertEqual(summary["method"], "cg")
            self.assertGreater(summary["psnr"], psnr, name)
            self.assertIn("point estimate", summary["warnings"][0])

    def test_fbp_finds_the_image(self):
        self.tweedie("infer", "infer_ct.toml", "--set", "method.kind=fbp", "--out", "fbp")
        self.assertGreater(self.summary("fbp")["psnr"], 15)
        self.assertIn("radon", self.refused("infer", "infer_coils.toml", "--set", "method.kind=fbp", "--out", "no_fbp"))

    def test_draws_come_from_k_space_too(self):
        self.tweedie("infer", "infer_lines.toml", "--set", "method.kind=exact", "--set", "method.draws=8", "--out", "exact")
        self.assertAlmostEqual(self.summary("exact")["residual_chi2"], 1, delta=0.5)

    def test_files_of_others_are_read(self):
        """The same from y and a mask, one case or a stack, whole or only what was measured."""
        y, mask = self.array("lines/y.npy"), self.array("lines/mask.npy")
        part = Array((len(y.values) // 2,), [v for v, kept in zip(y.values, mask.values) if kept], "<c16")
        self.write({"one.npy": Array((SIZE, SIZE), y.values, "<c16"), "part.npy": part, "mask.npy": mask,
                    "columns.npy": Array((SIZE,), mask.values[:SIZE], "|u1")})
        self.tweedie("infer", "infer_lines.toml", "--out", "cg_lines")
        expected = self.array("cg_lines/mean.npy")
        for y_file in ("one.npy", "part.npy"):
            for mask_file in ("mask.npy", "columns.npy"):
                out = f"from_{y_file}_{mask_file}"
                self.write({f"{out}.toml": infer(from_files(y_file, "fourier", mask=f'"{mask_file}"'))})
                self.tweedie("infer", f"{out}.toml", "--out", out)
                self.assertEqual(self.array(f"{out}/mean.npy").values, expected.values)

    def test_complex_images(self):
        values = [complex(disc(i, j), 0.5 * disc(j, i)) for i in range(SIZE) for j in range(SIZE)]
        self.write({"truth_complex.npy": Array((SIZE, SIZE), values, "<c16"),
                    "mean_complex.npy": Array((2, SIZE, SIZE), [0.0] * 2 * SIZE**2),
                    "complex.toml": measure("multi-coil", sensitivities='"coils.npy"', pattern='"equispaced"', acceleration=2,
                                            centre=4, complex="true").replace("truth.npy", "truth_complex.npy"),
                    "infer_complex.toml": infer('[measurement]\nrun = "complex"\n').replace("mean.npy",
                                                                                           "mean_complex.npy")})
        self.tweedie("measure", "complex.toml", "--out", "complex")
        self.assertEqual(self.array("complex/x.npy").shape, (1, 2, SIZE, SIZE))
        self.tweedie("infer", "infer_complex.toml", "--out", "cg_complex")
        self.assertGreater(self.summary("cg_complex")["psnr"], 25)

    def test_refused(self):
        y = self.array("lines/y.npy")
        whole = Array((3, SIZE, SIZE), self.array("coils/y.npy").values, "<c16")
        self.write({"corner.npy": rolled(Array((SIZE, SIZE), y.values, "<c16"), SIZE // 2, SIZE // 2),
                    "half.npy": rolled(Array((SIZE, SIZE), y.values, "<c16"), SIZE // 2, 0),
                    "whole.npy": whole, "mask.npy": self.array("lines/mask.npy"),
                    "ones.npy": Array((SIZE, SIZE), [1] * SIZE**2, "|u1"),
                    "k.npy": Array((4, 2), [0.0, 8.0, 0, 0, 1, 2, 3, 4]),
                    "four.npy": Array((4,), [1j] * 4, "<c16"),
                    "complex_for_mask.npy": Array((1, SIZE, SIZE), [1j] * SIZE**2, "<c16")})
        cases = [
            (from_files("corner.npy", "fourier", mask='"ones.npy"'), ["corner.npy", "(0, 0)", "(8, 8)", "centred = false"]),
            (from_files("half.npy", "fourier", mask='"ones.npy"'), ["half.npy", "shifted"]),
            (from_files("lines/y.npy", "fourier", mask='"mask.npy"', centred="false"), ["centred = true"]),
            (from_files("whole.npy", "multi-coil", sensitivities='"other_coils.npy"'),
             ["other_coils.npy", "(3, 16, 15)", "(coils, 16, 16)"]),
            (from_files("corner.npy", "multi-coil", sensitivities='"coils.npy"'), ["corner.npy", "(16, 16"]),
            (from_files("corner.npy", "fourier", pattern='"lines"'), ["pattern", "mask"]),
            (from_files("corner.npy", "fourier", pattern='"poisson"'), ["pattern", "mask"]),
            (from_files("corner.npy", "fourier", mask='"truth.npy"'), ["truth.npy", "(1, 16, 16)"]),
            (from_files("four.npy", "nufft", trajectory='"file"', file='"k.npy"'), ["k.npy", "reaches 8", "cycles per pixel"]),
            (from_files("complex_for_mask.npy", "identity"), ["complex_for_mask.npy", "real"]),
            (from_files("four.npy", "radon", beam='"fan-flat"'), ["source_distance"]),
        ]
        for n, (measurement, pieces) in enumerate(cases):
            self.write({f"refused{n}.toml": infer(measurement)})
            line = self.refused("infer", f"refused{n}.toml", "--out", f"refused{n}")
            for piece in pieces:
                self.assertIn(piece, line)
            self.assertFalse((self.folder / f"refused{n}").exists())


if __name__ == "__main__":
    unittest.main()
