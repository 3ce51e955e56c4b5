"""What the tests of the program share: running it, and NPY files. TWEEDIE in the environment is the program's path."""
import array, ast, dataclasses, json, math, os, pathlib, random, re, shutil, struct, subprocess, tempfile, unittest

PROGRAM = os.path.abspath(os.environ["TWEEDIE"])
CODES = {"<f4": "f", "<f8": "d", "<i8": "q", "|u1": "B"}
PNG = b"\x89PNG\r\n\x1a\n"


@dataclasses.dataclass
class Array:
    shape: tuple
    values: list  # flat, C order
    dtype: str = "<f8"

    def __getitem__(self, first):
        size = math.prod(self.shape[1:])
        return Array(self.shape[1:], self.values[first * size:(first + 1) * size], self.dtype)

    def __iter__(self):  # along the first axis
        return (self[i] for i in range(self.shape[0]))

    def bytes(self):
        header = repr({"descr": self.dtype, "fortran_order": False, "shape": tuple(self.shape)})
        header += " " * (-(len(header) + 11) % 64) + "\n"
        if self.dtype == "<c16":
            body = struct.pack(f"<{2 * len(self.values)}d", *(part for v in self.values for part in (v.real, v.imag)))
        else:
            body = array.array(CODES[self.dtype], self.values).tobytes()
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + body


def read_npy(path):
    data = pathlib.Path(path).read_bytes()
    assert data[:8] == b"\x93NUMPY\x01\x00", f"{path}: {data[:8]}"
    end = 10 + struct.unpack("<H", data[8:10])[0]
    header = ast.literal_eval(data[10:end].decode())
    assert not header["fortran_order"], path
    if header["descr"] == "<c16":
        parts = array.array("d", data[end:])
        return Array(header["shape"], [complex(*p) for p in zip(parts[::2], parts[1::2])], header["descr"])
    values = array.array(CODES[header["descr"]])
    values.frombytes(data[end:])
    assert len(values) == math.prod(header["shape"]), path
    return Array(header["shape"], values.tolist(), header["descr"])


def normal(shape, seed, std=1.0):
    source = random.Random(seed)
    return Array(shape, [source.gauss(0, std) for _ in range(math.prod(shape))])


def zeros(*shape):
    return Array(shape, [0.0] * math.prod(shape))


def matrix(rows):
    return Array((len(rows), len(rows[0])), [float(v) for row in rows for v in row])


def neighbours(height, width, correlation):
    """Covariance of pixels that resemble their neighbours: correlation^(rows + columns between them)."""
    pixels = [(i, j) for i in range(height) for j in range(width)]
    return matrix([[correlation ** (abs(a - c) + abs(b - d)) for c, d in pixels] for a, b in pixels])


def tree(folder):
    """Every path below the folder, hidden ones included, with the bytes of each file."""
    folder = pathlib.Path(folder)
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def results(run):
    """What a RUN holds, without what may differ from run to run: time and memory in its summary."""
    files = tree(run)
    summary = json.loads(files.pop("summary.json"))
    return files, {k: v for k, v in summary.items() if not re.match("seconds|peak_memory|threads", k)}


def finished(process, seconds=200):
    """What it wrote on stdout and stderr. None outlives its test."""
    try:
        return process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise


class Scene(unittest.TestCase):
    """Tests in one temporary folder, in which the program runs. Each leaves results under names of its own."""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="tweedie-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)

    @classmethod
    def write(cls, files):
        for name, content in files.items():
            path = cls.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            content = content.bytes() if isinstance(content, Array) else content
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    @classmethod
    def start(cls, *arguments, cwd="."):
        return subprocess.Popen([PROGRAM, *map(str, arguments)], cwd=cls.folder / cwd, text=True, errors="replace",
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    @classmethod
    def tweedie(cls, *arguments, status=0, cwd="."):
        """Runs the program to its end, which must have this exit status; None: a verdict, good or bad."""
        process = cls.start(*arguments, cwd=cwd)
        out, err = finished(process)
        if process.returncode not in ((0, 1) if status is None else (status,)):
            raise AssertionError(f"exit {process.returncode}, not {status}: {' '.join(map(str, arguments))}\n{out}{err}")
        return subprocess.CompletedProcess(arguments, status, out, err)

    @classmethod
    def array(cls, name):
        return read_npy(cls.folder / name)

    @classmethod
    def summary(cls, run):
        return json.loads((cls.folder / run / "summary.json").read_text())

    def refused(self, *arguments, cwd="."):
        """Bad input: exit status 2, nothing on stdout, and one line on stderr, which is returned."""
        done = self.tweedie(*arguments, "--quiet", status=2, cwd=cwd)
        self.assertEqual(done.stdout, "")
        self.assertRegex(done.stderr, r"\Atweedie: [^\n]+\n\Z")
        return done.stderr

    def assert_near(self, a, b, tolerance):
        self.assertEqual(a.shape, b.shape)
        worst = max(abs(x - y) for x, y in zip(a.values, b.values))
        self.assertLessEqual(worst, tolerance)
