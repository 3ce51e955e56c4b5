"""infer from and to each file format; what the files say of units and space is in the results."""
import json, math, struct, unittest, zlib

from support import Array, Scene, normal, zeros

H, W = 6, 5
INFER = """
seed = 3
[prior]
kind = "gaussian"
mean = "mean.npy"
std = 1.0
[measurement]
y = "{y}"
[measurement.operator]
kind = "identity"
[measurement.noise]
kind = "gaussian"
std = 0.5
[method]
kind = "exact"
draws = 4
"""


def nifti(values, datatype=16):
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 2, W, H, 1, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, datatype, 32)
    struct.pack_into("<8f", header, 76, 1, 2.0, 1.5, 1, 1, 1, 1, 1)
    struct.pack_into("<f", header, 108, 352)
    struct.pack_into("<f", header, 112, 1)
    header[123] = 2
    header[148:158] = b"a T1 image"
    struct.pack_into("<2h", header, 252, 0, 1)
    struct.pack_into("<12f", header, 280, -2, 0, 0, 90, 0, 1.5, 0, -126, 0, 0, 3, -72)
    header[344:348] = b"n+1\0"
    return bytes(header) + struct.pack(f"<{H * W}f", *values)


def fits(values):
    cards = ["SIMPLE  =                    T", "BITPIX  =                  -32", "NAXIS   =                    2",
             f"NAXIS1  = {W:>20}", f"NAXIS2  = {H:>20}", "BUNIT   = 'adu     '", "CRVAL1  =               10.684",
             "CTYPE1  = 'RA---TAN'", "OBJECT  = 'M31     '", "END"]
    header = "".join(card.ljust(80) for card in cards).encode().ljust(2880)
    return header + struct.pack(f">{H * W}f", *values).ljust(2880, b"\0")


def png(pixels):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes(pixels[i * W:(i + 1) * W]) for i in range(H))
    head = struct.pack(">IIBBBBB", W, H, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(values):
    """Floats in one strip, 20 pixels per cm."""
    data = struct.pack(f"<{H * W}f", *values)
    entries = [(256, 4, 1, W), (257, 4, 1, H), (258, 3, 1, 32), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8), (277, 3, 1, 1),
               (278, 4, 1, H), (279, 4, 1, len(data)), (282, 5, 1, 8 + len(data)), (283, 5, 1, 8 + len(data)), (296, 3, 1, 3),
               (339, 3, 1, 3)]
    start = 8 + len(data) + 8
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *e) for e in entries) + bytes(4)
    return b"II*\0" + struct.pack("<I", start) + data + struct.pack("<II", 20, 1) + directory


class Formats(Scene):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.y = normal((1, H, W), 1)
        cls.values = [struct.unpack("<f", struct.pack("<f", v))[0] for v in cls.y.values]
        numbers = struct.pack(f"<{H * W}f", *cls.values)
        cls.write({
            "mean.npy": zeros(1, H, W), "y.npy": Array((1, H, W), cls.values), "y.nii": nifti(cls.values), "y.fits": fits(cls.values),
            "y.png": png([min(255, max(0, round(128 + 40 * v))) for v in cls.values]), "y.tif": tiff(cls.values),
            "y.raw": numbers, "y.raw.toml": f'dtype = "float32"\nshape = [{H}, {W}]\nunits = "HU"\nspacing = [2.0, 0.5]\n',
        })
        for name in ("y.h5", "y.nii.gz"):
            cls.tweedie("convert", "y.nii", name)

    def info(self, name):
        return json.loads(self.tweedie("info", name, "--json").stdout)

    def infer(self, y, run, *more):
        self.write({"infer.toml": INFER.format(y=y)})
        self.tweedie("infer", "infer.toml", "--out", run, "--quiet", *more)
        return self.summary(run)

    def test_infer_from_and_to_each_format(self):
        self.infer("y.npy", "npy")
        mean = self.array("npy/mean.npy")
        for y, result in (("y.nii", "mean.nii"), ("y.nii.gz", "mean.nii.gz"), ("y.fits", "mean.fits"), ("y.tif", "mean.tif"),
                          ("y.raw", "mean.raw"), ("y.h5", "mean.h5")):
            with self.subTest(y):
                run = y.replace(".", "-")
                summary = self.infer(y, run)
                self.assertEqual(summary["files"], [result, result.replace("mean", "std")])
                self.assert_near(self.array(f"{run}/mean.npy"), mean, 1e-12)
                before, after = self.info(y), self.info(f"{run}/{result}")
                self.assertEqual(after["shape"], before["shape"])
                for key in ("format", "units", "spacing", "spacing_units", "orientation", "affine"):
                    self.assertEqual(after.get(key), before.get(key), key)
                expected = sum(mean.values) / len(mean.values)
                self.assertAlmostEqual(after["mean"], expected, 6)

    def test_headers_are_kept(self):
        self.infer("y.nii", "header")
        header = (self.folder / "header/mean.nii").read_bytes()[:352]
        self.assertEqual(header, nifti(self.values)[:352])
        self.infer("y.fits", "cards")
        text = (self.folder / "cards/mean.fits").read_bytes()[:2880].decode()
        for card in ("CRVAL1  =               10.684", "CTYPE1  = 'RA---TAN'", "OBJECT  = 'M31     '", "BUNIT   = 'adu     '"):
            self.assertIn(card, text)

    def test_pictures_are_scaled(self):
        summary = self.infer("y.png", "png", "--set", "measurement.low=-3.2", "--set", "measurement.high=3.175")
        self.assertEqual(summary["files"], ["mean.png", "std.png"])
        mean, pixels = self.array("png/mean.npy"), self.info("png/mean.png")
        self.assertEqual((pixels["format"], pixels["shape"]), ("png", [1, H, W]))
        expected = [(v + 3.2) / 6.375 * 255 for v in mean.values]
        self.assertAlmostEqual(pixels["mean"], sum(expected) / len(expected), delta=0.5)
        self.assertIn("measurement.high", self.refused("infer", "infer.toml", "--set", "measurement.low=0"))

    def test_what_is_missing_is_counted(self):
        self.write({"holes.npy": Array((2, 2), [1.0, math.nan, 3.0, math.inf])})
        told = self.info("holes.npy")
        self.assertEqual((told["missing"], told["min"], told["max"], told["mean"]), (2, 1, 3, 2))
        self.assertIn("2 of 4", self.refused("convert", "holes.npy", "holes.nc"))

    def test_units_in_any_encoding(self):
        self.tweedie("convert", "y.fits", "latin.nc")
        latin = self.folder / "latin.nc"
        latin.write_bytes(latin.read_bytes().replace(b"adu", b"\xb0du"))
        self.assertEqual(self.info("latin.nc")["units"], "\ufffddu")

    def test_another_format(self):
        for name, ending in (("nifti", ".nii.gz"), ("tiff", ".tif"), ("hdf5", ".h5"), ("cfl", ".cfl"), ("fits", ".fits"), ("netcdf", ".nc"),
                             ("raw", ".raw")):
            with self.subTest(name):
                summary = self.infer("y.npy", f"to-{name}", "--set", f"output.format={name}")
                self.assertEqual(summary["files"], [x + ending for x in ("mean", "std", "samples")])
                samples = self.info(f"to-{name}/samples{ending}")
                self.assertEqual(math.prod(samples["shape"]), 4 * H * W)
        self.assertNotIn("files", self.infer("y.nii", "to-npy", "--set", "output.format=npy"))

    def test_bart_and_complex_files(self):
        self.tweedie("convert", "y.nii", "c.cfl")
        self.write({"infer.toml": INFER.format(y="c.cfl")})
        self.assertRegex(self.info("c.cfl")["format"], "cfl")
        self.assertEqual(self.info("c.hdr")["shape"], [H, W])

    def test_convert(self):
        self.tweedie("convert", "y.nii", "chain.fits")
        self.tweedie("convert", "chain.fits", "chain.raw")
        self.tweedie("convert", "chain.raw", "chain.nii")
        before, after = self.info("y.nii"), self.info("chain.nii")
        for key in ("shape", "spacing", "spacing_units", "mean", "std", "stored_dtype"):
            self.assertEqual(after[key], before[key], key)
        self.assertIn("--force", self.refused("convert", "y.nii", "chain.fits"))
        self.assertIn(".nii.gz", self.refused("convert", "y.nii", "chain.dcm"))

    def test_larger_images_than_the_model(self):
        self.write({"tile.npy": zeros(1, 8, 8), "big.npy": normal((1, 20, 27), 2),
                    "big.toml": INFER.format(y="big.npy").replace("mean.npy", "tile.npy").replace('kind = "exact"', 'kind = "mmps"\nsteps = 8')
                    .replace("[measurement]", "[prior.tile]\noverlap = 3\n[measurement]")})
        self.tweedie("infer", "big.toml", "--out", "big", "--quiet")
        self.assertEqual(self.summary("big")["shape"], [1, 20, 27])
        self.assertGreater(self.summary("big")["peak_memory_bytes"], 0)
        # For independent pixels it is the prior of the whole image, and has the same noise.
        self.write({"whole.npy": zeros(1, 20, 27)})
        whole = (self.folder / "big.toml").read_text().replace("tile.npy", "whole.npy").replace("[prior.tile]\noverlap = 3\n", "")
        self.write({"whole.toml": whole})
        self.tweedie("infer", "whole.toml", "--out", "whole", "--quiet")
        self.assert_near(self.array("big/samples.npy"), self.array("whole/samples.npy"), 1e-9)
        self.tweedie("infer", "big.toml", "--out", "again", "--quiet", "--threads", "2", "--set", "prior.tile.together=3")
        self.assert_near(self.array("again/samples.npy"), self.array("big/samples.npy"), 1e-9)
        self.assertIn("prior.tile.overlap", self.refused("infer", "big.toml", "--set", "prior.tile.overlap=8"))
        self.assertIn("prior.tile.size", self.refused("infer", "big.toml", "--set", "prior.tile.size=[4,4]"))


if __name__ == "__main__":
    unittest.main()
