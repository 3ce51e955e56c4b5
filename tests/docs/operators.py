"""docs/operators.md: its configs and its program run, and its table has a row for every operator that --all checks.

  operators.py PAGE PROGRAM"""
import os, pathlib, re, subprocess, sys, tempfile

page, program = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
text = page.read_text()
rows = [line.split(" | ")[0] for line in text[text.index("<!-- table -->"):].splitlines() if line.startswith("| ")]
done = subprocess.run([program, "check-operator", "--all"], text=True, capture_output=True, check=True)
expected = [line.split(" | ")[0] for line in done.stdout.splitlines() if line.startswith("| ")]
if rows != expected:
    sys.exit(f"the table of {page} is not that of `tweedie check-operator --all`: {set(rows) ^ set(expected)}")
environment = dict(os.environ, PATH=f"/usr/bin:{os.environ['PATH']}")  # Debian's Python has Debian's NumPy
with tempfile.TemporaryDirectory() as folder:
    for name, body in re.findall(r"^```\w+\n# (\S+\.(?:py|toml))\n(.*?)^```$", text, re.M | re.S):
        pathlib.Path(folder, name).write_text(body)
    for config in ["own.toml", "composed.toml"]:
        out = subprocess.run([program, "check-operator", config], cwd=folder, env=environment, text=True,
                             capture_output=True)
        if out.returncode or "Every check holds." not in out.stdout:
            sys.exit(f"{config}: exit {out.returncode}\n{out.stdout}{out.stderr}")
