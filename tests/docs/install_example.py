"""Installs into an empty folder, has the program there load its module, builds examples/gaussian_posterior against that
installation alone, runs it, and holds the draws' moments against the exact ones beside them.
usage: install_example.py SOURCE BUILD COMPILER"""
import pathlib, re, shutil, subprocess, sys

source, build, compiler = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
work = build / "install_example"


def run(*command):
    result = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{result.stdout}")
    return result.stdout


shutil.rmtree(work, ignore_errors=True)
run("cmake", "--install", build, "--prefix", work / "prefix")
assert "TorchScript" in run(work / "prefix/bin/tweedie", "info", source / "tests/golden/torchscript_denoiser.pt")
run("cmake", "-S", source / "examples/gaussian_posterior", "-B", work / "build", "-G", "Ninja",
    f"-DCMAKE_PREFIX_PATH={work / 'prefix'}", f"-DCMAKE_CXX_COMPILER={compiler}", "-DCMAKE_BUILD_TYPE=Release")
run("cmake", "--build", work / "build")
output = run(work / "build/gaussian_posterior")
print(output)

# 4000 draws of standard deviation below 0.7: five standard errors of a mean or a std are at most 0.055.
pairs = re.findall(r"(-?[0-9.]+) \(exact (-?[0-9.]+)\)", output)
assert len(pairs) == 4, "expected four numbers beside their exact values"
assert all(abs(float(got) - float(exact)) < 0.055 for got, exact in pairs), pairs
shutil.rmtree(work)
