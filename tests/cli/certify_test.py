"""tweedie certify in its small form: who is exact where, and who must not be."""
import json, unittest

from support import Scene


class Certify(Scene):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.done = cls.tweedie("certify", "--out", "certificate")
        cls.summary = json.loads((cls.folder / "certificate/summary.json").read_text())
        cls.entries = {(e["rung"], e["method"]): e for e in cls.summary["entries"]}
        cls.noises = sorted({rung for rung, _ in cls.entries if rung.startswith("noise-") and rung != "noise-covariance"})
        cls.rungs = sorted({rung for rung, _ in cls.entries if not rung.startswith("noise-")})

    def test_promises_are_kept(self):
        self.assertTrue(self.summary["kept"])
        self.assertIn("Every method keeps its promise.", self.done.stdout)
        self.assertGreater(len([e for e in self.entries.values() if e["promised"]]), 2 * len(self.rungs))

    def test_exact_draws_are_as_good_as_exact(self):
        for rung in self.rungs:
            self.assertEqual(self.entries[rung, "exact"]["verdict"], "exact", rung)
            self.assertIn(self.entries[rung, "oracle"]["verdict"], ("exact", "close"), rung)

    def test_what_is_wrong_is_found_out(self):
        for rung in self.rungs:
            self.assertNotIn(self.entries[rung, "dps"]["verdict"], ("exact", "close"), rung)
            self.assertNotEqual(self.entries[rung, "red-diff"]["verdict"], "exact", rung)
        for rung in ("mixture-2-1", "mixture-8-2", "mixture-80-4"):
            for method in ("mmps", "pigdm", "ddrm", "diffpir", "daps"):
                self.assertEqual(self.entries[rung, method]["verdict"], "biased", (rung, method))

    def test_noise_that_is_not_gaussian(self):
        self.assertEqual(len(self.noises), 6)
        for rung in self.noises:
            self.assertIn(self.entries[rung, "tds"]["verdict"], ("exact", "close"), rung)
            self.assertLess(abs(self.entries[rung, "tds"]["log_evidence_error"]), 0.2, rung)
            self.assertIn("mmps takes gaussian noise only", self.entries[rung, "mmps"]["reason"])
        for rung in ("noise-laplace", "noise-student", "noise-probit"):
            self.assertNotIn(self.entries[rung, "dps"]["verdict"], ("exact", "close"), rung)
        for method in ("exact", "oracle", "mcgdiff", "tds"):
            self.assertIn(self.entries["noise-covariance", method]["verdict"], ("exact", "close"), method)
        self.assertLess(abs(self.entries["noise-covariance", "mcgdiff"]["log_evidence_error"]), 0.5)

    def test_budgets_are_equal(self):
        for e in self.entries.values():
            if e["verdict"] != "refused" and e["method"] != "exact":
                self.assertLessEqual(e["network_evaluations"], 1.2 * self.summary["evaluations"], e)

    def test_refusals_give_their_reason(self):
        self.assertIn("divides by", self.entries["mixture-noiseless", "tds"]["reason"])

    def test_the_same_twice(self):
        self.tweedie("certify", "--rung", "mixture-8-2", "--method", "mcgdiff", "--method", "mmps", "--out", "again")
        again = json.loads((self.folder / "again/summary.json").read_text())
        for e in again["entries"]:
            first = self.entries[e["rung"], e["method"]]
            self.assertEqual(e["sliced_wasserstein"], first["sliced_wasserstein"], e["method"])

    def test_bad_input(self):
        for arguments, text in ((["--method", "mcgdif"], "'mcgdif'"), (["--rung", "moon"], "'moon'"),
                                (["--draws", "5"], "--draws"), (["--mixture", "--problems", "0"], "--problems")):
            done = self.tweedie("certify", *arguments, "--out", "bad", status=2)
            self.assertIn(text, done.stderr)


if __name__ == "__main__":
    unittest.main()
