"""Bad input of every kind: exit status 2, one line on stderr that says where and what, and nothing else anywhere."""
import concurrent.futures, math, os, pathlib, re, tempfile, unittest, zipfile, zlib

from support import Array, Scene, finished, matrix, neighbours, normal, tree, zeros
import struct, subprocess

INFER = """seed = 1
[prior]
model = "prior.toml"
[measurement]
y = "y.npy"
[measurement.operator]
kind = "identity"
[measurement.noise]
kind = "gaussian"
std = 0.1
[method]
kind = "mmps"
steps = 4
draws = 2
[schedule]
kind = "karras"
[sampler]
kind = "heun"
"""
RUN = INFER.replace('y = "y.npy"', 'run = "other"').replace(INFER[INFER.index("[measurement.op"):INFER.index("[method]")], "")
IMAGE = INFER.replace("prior.toml", "image_prior.toml").replace("y.npy", "image.npy")  # of 1 x 6 x 6 pixels
MEASURE = """seed = 1
[prior]
model = "prior.toml"
[measurement]
count = 3
[measurement.operator]
kind = "identity"
[measurement.noise]
kind = "gaussian"
std = 0.1
"""
GIVEN = MEASURE.replace('[prior]\nmodel = "prior.toml"\n', "").replace("count = 3", 'truth = "x.npy"\ncount = 3')
TRAIN = """seed = 1
[data]
file = "x.npy"
[network]
kind = "mlp"
width = 8
depth = 1
[train]
steps = 2
batch = 4
"""
UNET = """[data]
file = "images.npy"
[network]
kind = "unet"
channels = 8
multipliers = [1, 2]
blocks = 1
[train]
steps = 1
batch = 2
"""
PRIOR = '[prior]\nkind = "gaussian"\nmean = "mean.npy"\ncovariance = "covariance.npy"\n'
MASK = 'kind = "mask"\npattern = "{}"\n'


def with_value(array, value):
    return Array(array.shape, [value] + array.values[1:], array.dtype)


def png(width, height):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) +
            chunk(b"IDAT", zlib.compress((b"\0" + b"\x7f" * width) * height)) + chunk(b"IEND", b""))


X, Y, COVARIANCE = normal((10, 4), 1), normal((4,), 2), neighbours(1, 4, 0.5)
FILES = {
    "prior.toml": PRIOR, "mean.npy": zeros(4), "covariance.npy": COVARIANCE, "y.npy": Y, "x.npy": X,
    "image_prior.toml": '[prior]\nkind = "gaussian"\nmean = "image.npy"\nstd = 1.0\n', "image.npy": zeros(1, 6, 6),
    "images.npy": normal((6, 1, 6, 6), 3), "infer.toml": INFER, "image.toml": IMAGE, "measure.toml": MEASURE,
    "given.toml": GIVEN, "train.toml": TRAIN, "unet.toml": UNET,
}
NAN, INF = math.nan, math.inf

# (name, command line, {file: content, or (part of it, what stands there instead)}, words of the line)
CASES = [
    # The command line
    ("no command", "", {}, ["subcommand"]),
    ("unknown command", "infr infer.toml", {}, ["infr"]),
    ("unknown flag", "infer infer.toml --stepz 4", {}, ["--stepz"]),
    ("missing config", "infer", {}, ["config"]),
    ("missing positional of compare", "compare x.npy", {}, ["b is required"]),
    ("one positional too many", "infer infer.toml measure.toml", {}, ["measure.toml"]),
    ("flag without value", "infer infer.toml --out", {}, ["--out"]),
    ("seed that is no number", "infer infer.toml --seed one", {}, ["--seed", "one"]),
    ("negative seed", "infer infer.toml --seed -1", {}, ["--seed", "-1"]),
    ("negative threads", "infer infer.toml --threads -1", {}, ["--threads", "-1"]),
    ("threads without end", "infer infer.toml --threads 100000", {}, ["--threads", "100000"]),
    ("threads that are no number", "infer infer.toml --threads many", {}, ["--threads", "many"]),
    ("unknown device", "infer infer.toml --device gpu", {}, ["--device", "'gpu'", "cuda"]),
    ("device number", "infer infer.toml --device cuda:x", {}, ["--device", "'cuda:x'"]),
    ("unknown dtype", "infer infer.toml --dtype f16", {}, ["--dtype", "'f16'", "bf16"]),
    ("set without value", "infer infer.toml --set method.steps", {}, ["--set method.steps", "no value"]),
    ("set without key", "infer infer.toml --set =3", {}, ["--set", "not a key"]),
    ("set of a bad key", "infer infer.toml --set met/hod=3", {}, ["--set met/hod", "not a key"]),
    ("set of an unknown key", "infer infer.toml --set method.stps=3", {}, ["--set method.stps", "'steps'"]),
    ("set of a wrong type", "infer infer.toml --set method.steps=many", {}, ["--set method.steps", '"many"', "whole number"]),
    ("set below a value", "infer infer.toml --set seed.x=3", {}, ["--set seed.x", "'seed'", "not a table"]),
    ("set over two lines", ["infer", "infer.toml", "--set", "method.kind=\"mm\nps\""], {}, ["--set method.kind"]),

    # The config as a document
    ("no such config", "infer nowhere.toml", {}, ["nowhere.toml", "no such file"]),
    ("config is a folder", "infer .", {}, [".: a folder"]),
    ("empty config", "infer infer.toml", {"infer.toml": ""}, ["infer.toml", "missing key 'measurement'", "at the top level"]),
    ("config is binary", "infer y.npy", {}, ["y.npy:1:"]),
    ("syntax", "infer infer.toml", {"infer.toml": ("steps = 4", "steps = = 4")}, ["infer.toml:13:9"]),
    ("open string", "infer infer.toml", {"infer.toml": ('"mmps"', '"mmps')}, ["infer.toml:12:"]),
    ("a key twice", "infer infer.toml", {"infer.toml": ("draws = 2", "draws = 2\ndraws = 3")}, ["infer.toml:15:", "draws"]),
    ("a table twice", "infer infer.toml", {"infer.toml": ("[sampler]", "[method]")}, ["infer.toml:17:", "method"]),
    ("unknown key", "infer infer.toml", {"infer.toml": ("draws", "drows")},
     ["infer.toml:14:1", "'drows'", "[method]", "did you mean 'draws'?"]),
    ("unknown key at the top", "infer infer.toml", {"infer.toml": ("seed", "sead")}, ["infer.toml:1:1", "'sead'", "'seed'"]),
    ("unknown table", "infer infer.toml", {"infer.toml": ("[sampler]", "[smapler]")},
     ["infer.toml:17:2", "[smapler]", "did you mean 'sampler'?"]),
    ("key of another method", "infer infer.toml", {"infer.toml": ("draws", "step_size = 1.0\ndraws")},
     ["infer.toml:14:1", "step_size", "'mmps'"]),
    ("missing table", "infer infer.toml", {"infer.toml": INFER[:INFER.index("[method]")]}, ["infer.toml", "'method'"]),
    ("missing key", "infer infer.toml", {"infer.toml": ("std = 0.1\n", "")}, ["infer.toml:8:1", "'std'", "[measurement.noise]"]),
    ("value for a table", "infer infer.toml", {"infer.toml": "prior = 3\n"}, ["infer.toml:1:9", "prior", "3", "not a table"]),
    ("text for a number", "infer infer.toml", {"infer.toml": ("std = 0.1", 'std = "low"')}, ["infer.toml:10:7", "std", '"low"']),
    ("fraction for a count", "infer infer.toml", {"infer.toml": ("draws = 2", "draws = 2.5")}, ["infer.toml:14:9", "2.5", "whole"]),
    ("number for a path", "infer infer.toml", {"infer.toml": ('"y.npy"', "3")}, ["infer.toml:5:5", "measurement.y", "3"]),
    ("list for a kind", "infer infer.toml", {"infer.toml": ('"mmps"', "[1]")}, ["infer.toml:12:8", "method.kind", "list"]),
    ("number for a list", "train unet.toml", {"unet.toml": ("[1, 2]", "2")}, ["unet.toml:6:15", "multipliers", "2", "list"]),
    ("text for a truth value", "train train.toml", {"train.toml": "half = 1\n" + TRAIN}, ["train.toml:1:8", "half", "1"]),
    ("negative seed in a config", "infer infer.toml", {"infer.toml": ("seed = 1", "seed = -1")}, ["infer.toml:1:8", "seed", "-1"]),

    # Kinds
    *((f"kind of {table}", f"infer infer.toml --set {table}.kind=nonsense", {}, [f"--set {table}.kind", '"nonsense"', known])
      for table, known in (("method", "mmps, dps, exact"), ("sampler", "heun, euler"), ("schedule", "karras, vp-linear"),
                           ("measurement.operator", "mask"), ("measurement.noise", "gaussian"))),
    ("kind of prior", "sample prior.toml", {"prior.toml": ("gaussian", "gausian")}, ["prior.toml:2:8", '"gausian"', "'gaussian'"]),
    ("kind of network", "train train.toml", {"train.toml": ("mlp", "transformer")}, ["train.toml:5:8", "transformer", "mlp"]),
    ("kind of objective", "train train.toml", {"train.toml": ("steps", 'objective = "dmd"\nsteps')}, ["train.toml:9:13", '"dmd"', "edm"]),
    ("kind of data", "train train.toml", {"train.toml": ('file = "x.npy"', 'kind = "cifar"')}, ["train.toml:3:8", '"cifar"', "fashion-mnist"]),
    ("kind of mask", "infer image.toml", {"image.toml": ('kind = "identity"', MASK.format("stripes"))}, ["image.toml:8:11", '"stripes"', "box"]),
    ("missing kind", "infer infer.toml", {"infer.toml": ('kind = "gaussian"\n', "")}, ["infer.toml:8:1", "'kind'", "[measurement.noise]"]),

    # Numbers out of range
    *((f"{key} = {value}", f"{command} --set {key}={value}", {}, [f"--set {key}", key, value]) for command, key, value in (
        ("infer infer.toml", "measurement.noise.std", "-0.1"), ("infer infer.toml --set method.kind=cfg", "method.scale", "-1"),
        ("infer infer.toml --set method.kind=pigdm", "method.data_variance", "0"),
        ("infer infer.toml --set method.kind=ddrm", "method.eta", "1.5"),
        ("infer infer.toml", "measurement.noise.std", "nan"), ("infer infer.toml", "measurement.noise.std", "inf"),
        ("infer infer.toml", "method.draws", "0"), ("infer infer.toml", "method.draws", "-5"),
        ("infer infer.toml", "method.steps", "0"), ("infer infer.toml", "method.iterations", "0"),
        ("infer infer.toml", "method.tolerance", "-1"), ("infer infer.toml", "schedule.sigma_min", "0"),
        ("infer infer.toml", "schedule.sigma_max", "-1"), ("infer infer.toml", "schedule.sigma_max", "inf"),
        ("infer infer.toml", "schedule.rho", "0"), ("infer infer.toml", "sampler.s_churn", "-1"),
        ("infer infer.toml", "sampler.s_min", "-1"), ("infer infer.toml", "sampler.s_max", "nan"),
        ("infer infer.toml", "sampler.s_noise", "0"), ("infer infer.toml", "sampler.steps", "0"),
        ("infer infer.toml --set method.kind=dps --set method.iterations=1", "method.step_size", "0"),
        ("measure measure.toml", "measurement.count", "0"), ("measure measure.toml", "measurement.first", "-1"),
        ("train train.toml", "train.steps", "0"), ("train train.toml", "train.batch", "0"),
        ("train train.toml", "train.minutes", "0"), ("train train.toml", "train.learning_rate", "0"),
        ("train train.toml", "train.learning_rate", "nan"), ("train train.toml", "train.warmup_steps", "-1"),
        ("train train.toml", "train.gradient_clip", "0"), ("train train.toml", "train.ema_ratio", "2"),
        ("train train.toml", "train.p_std", "0"), ("train train.toml", "train.p_mean", "nan"),
        ("train train.toml", "train.sigma_data", "0"), ("train train.toml", "checkpoint_seconds", "-1"),
        ("train train.toml", "network.width", "0"), ("train train.toml", "network.depth", "0"),
        ("train unet.toml", "network.channels", "0"), ("train unet.toml", "network.blocks", "0"),
        ("train unet.toml", "network.patch", "0"), ("sample prior.toml", "count", "0"),
    ) if not (key == "method.step_size")),
    ("step size of dps", "infer infer.toml", {"infer.toml": ('"mmps"', '"dps"\nstep_size = 0')}, ["infer.toml:13:13", "step_size", "0"]),
    ("multiplier 0", "train unet.toml", {"unet.toml": ("[1, 2]", "[1, 0]")}, ["unet.toml:6:19", "multipliers[1]", "0"]),
    ("levels the wrong way round", "infer infer.toml --set schedule.sigma_min=3 --set schedule.sigma_max=2", {}, ["schedule.sigma_max", "2", "sigma_min = 3"]),
    ("s_min above s_max", "infer infer.toml --set sampler.s_churn=1 --set sampler.s_min=3 --set sampler.s_max=2", {}, ["s_m", "2", "3"]),
    ("betas the wrong way round", "infer infer.toml --set schedule.beta_start=0.5 --set schedule.beta_end=0.1",
     {"infer.toml": ("karras", "vp-linear")}, ["schedule.beta_end", "0.1", "0.5"]),
    ("eta above 1", "sample prior.toml --sampler ddim --eta 1.5", {}, ["eta", "1.5"]),
    ("eta without ddim", "sample prior.toml --eta 0.5", {}, ["eta", "heun"]),
    ("more steps than there are", "sample prior.toml --schedule vp-linear --steps 1001", {}, ["steps", "1001", "1000"]),
    ("two numbers of steps", "infer infer.toml --set sampler.steps=5", {}, ["method.steps", "4", "5"]),
    *((f"sampler of {kind}", f"infer infer.toml --set method.kind={kind}", {}, ["sampler: heun", kind])
      for kind in ("daps", "ddrm", "posterior-langevin", "tds", "exact")),
    ("count of sample", "sample prior.toml --count 0", {}, ["count", "0"]),
    ("steps of sample", "sample prior.toml --steps -3", {}, ["steps", "-3"]),
    ("sampler of sample", "sample prior.toml --sampler verlet", {}, ["sampler.kind", '"verlet"', "heun"]),
    ("key of another sampler", "sample prior.toml --sampler ula --set sampler.tau=0.1", {}, ["tau", "ula"]),
    ("beta_start of 1", "sample prior.toml --schedule vp-linear --set schedule.beta_start=1.0", {}, ["--set schedule.beta_start", ": 1 is", "(0, 1)"]),
    ("t_max of 1", "sample prior.toml --schedule flow --set schedule.t_max=1.0", {}, ["t_max", "1"]),
    ("levels of ve the wrong way round", "sample prior.toml --schedule ve --set schedule.sigma_min=60", {}, ["schedule.sigma_max", "50", "60"]),
    ("mala without a density", "infer infer.toml --set sampler.kind=mala", {}, ["sampler.kind", "mala", "ula"]),

    # Priors
    ("prior of no form", "sample prior.toml", {"prior.toml": '[prior]\nkind = "gaussian"\nmean = "mean.npy"\n'}, ["prior", "covariance", "none"]),
    ("prior of two forms", "sample prior.toml", {"prior.toml": PRIOR + "std = 1.0\n"}, ["prior", "covariance", "several"]),
    ("prior without mean", "sample prior.toml", {"prior.toml": ('mean = "mean.npy"\n', "")}, ["prior", "mean"]),
    ("no prior in a .toml", "infer infer.toml", {"prior.toml": "# nothing\n"}, ["prior.toml", "'prior'"]),
    ("unknown key of a prior", "infer infer.toml", {"prior.toml": PRIOR + "covarance = 1\n"}, ["prior.toml:5:1", "'covarance'", "'covariance'"]),
    ("prior of a prior", "infer infer.toml", {"prior.toml": '[prior]\nmodel = "prior.toml"\n'}, ["prior.toml", "another model"]),
    ("no mean file", "sample prior.toml", {"prior.toml": ("mean.npy", "nowhere.npy")}, ["nowhere.npy", "no such file"]),
    ("NaN in the mean", "sample prior.toml", {"mean.npy": with_value(zeros(4), NAN)}, ["mean.npy", "NaN"]),
    ("inf in the covariance", "sample prior.toml", {"covariance.npy": with_value(COVARIANCE, INF)}, ["covariance.npy", "inf"]),
    ("covariance not symmetric", "sample prior.toml", {"covariance.npy": matrix([[1, 2, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])},
     ["covariance", "symmetric"]),
    ("covariance not positive", "sample prior.toml", {"covariance.npy": matrix([[1, 2, 0, 0], [2, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])},
     ["covariance", "-1"]),
    ("covariance of another size", "sample prior.toml", {"covariance.npy": neighbours(1, 3, 0.5)}, ["covariance", "(3, 3)", "(4, 4)"]),
    ("complex mean", "sample prior.toml", {"mean.npy": Array((4,), [1j] * 4, "<c16")}, ["mean.npy", "complex"]),
    ("mean of no dimension", "sample prior.toml", {"mean.npy": Array((), [1.0])}, ["mean.npy", "single number"]),
    ("negative variance", "sample prior.toml", {"prior.toml": ('covariance = "covariance.npy"', 'variance = "y.npy"'), "y.npy": matrix([[1, -1, 1, 1]])[0]},
     ["variance", "-1"]),
    ("factor that is a vector", "sample prior.toml", {"prior.toml": ("covariance = \"covariance", "std = 1.0\nfactor = \"y")}, ["y.npy", "(4,)", "(d, r)"]),
    ("factor of another size", "sample prior.toml", {"prior.toml": ("covariance = \"covariance", "std = 1.0\nfactor = \"x")}, ["(10, 4)"]),
    ("rank without data", "sample prior.toml", {"prior.toml": PRIOR + "rank = 2\n"}, ["rank", "data"]),
    ("rank above what there is", "sample prior.toml", {"prior.toml": '[prior]\nkind = "gaussian"\nrank = 9\n[prior.data]\nfile = "x.npy"\n'}, ["rank", "9"]),
    ("model that is none", "sample y.npy", {}, ["y.npy", "MODEL"]),
    ("no such model", "sample nowhere.safetensors", {}, ["nowhere.safetensors", "no such file"]),
    ("no such module", "sample nowhere.pt", {}, ["nowhere.pt", "no such file"]),
    ("empty name of a model", ["sample", ""], {}, ["MODEL"]),
    ("module that is none", "sample bad.pt", {"bad.pt": b"not a zip"}, ["bad.pt", "torch.jit"]),
    ("module that is half", "sample bad.pt", {"bad.pt": "half a module"}, ["bad.pt", "torch.jit"]),
    ("module of another shape", "infer infer.toml", {"infer.toml": ('model = "prior.toml"', 'kind = "torchscript"\nfile = "module.pt"\nshape = [4]')},
     ["module.pt", "(2, 4)"]),
    ("safetensors cut short", "sample bad.safetensors", {"bad.safetensors": b"\x10\0\0\0"}, ["bad.safetensors"]),
    ("safetensors of others", "sample bad.safetensors", {"bad.safetensors": struct.pack("<Q", 2) + b"{}"}, ["bad.safetensors"]),
    ("exact without an analytic prior", "infer image.toml --set method.kind=exact --set prior.model=module.pt", {"image.toml": ('[sampler]\nkind = "heun"\n', "")}, ["method.kind", "exact", "analytic"]),

    # Measurements and operators
    ("no y", "infer infer.toml", {"infer.toml": ('y = "y.npy"\n', "")}, ["measurement", "y ="]),
    ("no such y", "infer infer.toml", {"infer.toml": ('"y.npy"', '"z.npy"')}, ["z.npy", "no such file"]),
    ("y of another shape", "infer infer.toml", {"y.npy": zeros(5)}, ["y.npy", "(5,)", "(4,)"]),
    ("y of no case", "infer infer.toml", {"y.npy": zeros(0, 4)}, ["y.npy", "no"]),
    ("NaN in y", "infer infer.toml", {"y.npy": with_value(Y, NAN)}, ["y.npy", "NaN"]),
    ("complex y", "infer infer.toml", {"y.npy": Array((4,), [1j] * 4, "<c16")}, ["y.npy", "complex"]),
    ("y cut short", "infer infer.toml", {"y.npy": Y.bytes()[:-4]}, ["y.npy"]),
    ("y without its header", "infer infer.toml", {"y.npy": Y.bytes()[:30]}, ["y.npy"]),
    ("y that is text", "infer infer.toml", {"y.npy": "0 0 0 0\n"}, ["y.npy"]),
    ("truths and measurements", "infer infer.toml --set measurement.truth=x.npy", {}, ["x.npy", "10", "1"]),
    ("truth of another shape", "infer infer.toml --set measurement.truth=covariance.npy", {"covariance.npy": COVARIANCE, "y.npy": zeros(2, 4)},
     ["covariance.npy", "4", "2"]),
    ("run that is none", "infer infer.toml", {"infer.toml": RUN}, ["other", "measure"]),
    ("run and y", "infer infer.toml --set measurement.y=y.npy", {"infer.toml": RUN, "other/run.toml": MEASURE}, ["measurement.run", "y"]),
    ("run and operator", "infer infer.toml", {"infer.toml": ('y = "y.npy"', 'run = "other"')}, ["infer.toml:6:", "'operator'"]),
    ("run of another command", "infer infer.toml", {"infer.toml": RUN, "other/run.toml": TRAIN}, ["other/run.toml:2:", "[data]"]),
    ("run without its y", "infer infer.toml", {"infer.toml": RUN, "other/run.toml": MEASURE}, ["other/y.npy", "no such file"]),
    ("random mask for a y", "infer image.toml", {"image.toml": ('"identity"', '"mask"')}, ["random", "measurement.run"]),
    ("mask of another shape", "infer image.toml", {"image.toml": ('kind = "identity"', MASK.format("file") + 'file = "y.npy"')},
     ["measurement.operator.file", "y.npy", "(4,)", "(1, 6, 6)"]),
    ("mask of other numbers", "infer image.toml", {"image.toml": ('kind = "identity"', MASK.format("file") + 'file = "mask.npy"'), "mask.npy": Array((6, 6), [2.0] * 36)},
     ["measurement.operator.file", "mask.npy", "0 and 1"]),
    ("mask that keeps nothing", "infer image.toml", {"image.toml": ('kind = "identity"', MASK.format("file") + 'file = "image.npy"')},
     ["measurement.operator.file", "image.npy", "none"]),
    ("mask without a file", "infer image.toml", {"image.toml": ('kind = "identity"', MASK.format("file"))}, ["measurement.operator.file"]),
    ("fraction of a mask", "measure measure.toml", {"measure.toml": ('"identity"', '"mask"\nfraction = 1.5')}, ["measure.toml:8:12", "fraction", "1.5"]),
    ("fraction of no pixel", "measure measure.toml", {"measure.toml": ('"identity"', '"mask"\nfraction = 0.01')}, ["measurement.operator.fraction", "0.01"]),
    ("box outside", "infer image.toml", {"image.toml": ('kind = "identity"', MASK.format("box") + "top = 4\nheight = 3\nwidth = 2")},
     ["measurement.operator.height", "3", "2"]),
    ("box that starts outside", "infer image.toml", {"image.toml": ('kind = "identity"', MASK.format("box") + "top = 6\nheight = 1\nwidth = 2")},
     ["measurement.operator.top", "6", "5"]),
    ("box in a vector", "infer infer.toml", {"infer.toml": ('kind = "identity"', MASK.format("box") + "height = 1\nwidth = 1")}, ["measurement.operator", "(4,)"]),
    ("factor of downsample", "infer image.toml", {"image.toml": ('"identity"', '"downsample"\nfactor = 4')}, ["measurement.operator", "4", "6"]),
    ("factor 0", "infer image.toml", {"image.toml": ('"identity"', '"downsample"\nfactor = 0')}, ["image.toml:8:10", "factor", "0"]),
    ("downsample of a vector", "infer infer.toml", {"infer.toml": ('"identity"', '"downsample"')}, ["measurement.operator", "(4,)"]),
    ("std of a blur", "infer image.toml", {"image.toml": ('"identity"', '"blur"\nstd = 0')}, ["image.toml:8:7", "std", "0"]),
    ("kernel that is a vector", "infer image.toml", {"image.toml": ('"identity"', '"blur"\nkernel = "file"\nfile = "y.npy"')},
     ["measurement.operator.file", "y.npy", "(4,)"]),
    ("columns of a matrix", "infer infer.toml", {"infer.toml": ('"identity"', '"matrix"\nmatrix = "image.npy"'), "image.npy": zeros(4, 5)},
     ["measurement.operator.matrix", "image.npy", "5", "4"]),
    ("matrix that is a vector", "infer infer.toml", {"infer.toml": ('"identity"', '"matrix"\nmatrix = "y.npy"')}, ["measurement.operator.matrix", "y.npy", "(4,)"]),
    ("NaN in a matrix", "infer infer.toml", {"infer.toml": ('"identity"', '"matrix"\nmatrix = "covariance.npy"'), "prior.toml": '[prior]\nkind = "gaussian"\nmean = "mean.npy"\nstd = 1.0\n', "covariance.npy": with_value(COVARIANCE, NAN)},
     ["covariance.npy", "NaN"]),
    ("matrix without a file", "infer infer.toml", {"infer.toml": ('"identity"', '"matrix"')}, ["infer.toml:6:1", "'matrix'"]),

    # Truths for measure
    ("no truth", "measure measure.toml", {"measure.toml": ('[prior]\nmodel = "prior.toml"\n', "")}, ["measurement", "truth"]),
    ("two truths", "measure given.toml", {"given.toml": GIVEN + '[measurement.data]\nfile = "x.npy"\n'}, ["measurement", "truth", "data"]),
    ("count beyond the truths", "measure given.toml --set measurement.count=11", {}, ["measurement.count", "10"]),
    ("first beyond the truths", "measure given.toml --set measurement.first=9", {}, ["measurement.count", "9", "11", "10"]),
    ("first alone beyond the truths", "measure given.toml", {"given.toml": ("count = 3", "first = 12")}, ["measurement.first", "12", "10"]),
    ("first of a prior's", "measure measure.toml --set measurement.first=2", {}, ["measurement.first", "2"]),
    ("NaN in the truth", "measure given.toml", {"x.npy": with_value(X, NAN)}, ["x.npy", "NaN"]),

    # Data and networks
    ("no data", "train train.toml", {"train.toml": ('file = "x.npy"\n', "")}, ["data"]),
    ("no such data", "train train.toml", {"train.toml": ("x.npy", "nowhere.npy")}, ["nowhere.npy", "no such file"]),
    ("data set that is not installed", "train train.toml", {"train.toml": ('file = "x.npy"', 'kind = "fashion-mnist"\nfolder = "nowhere"')},
     ["nowhere", "apt-get install dataset-fashion-mnist"]),
    ("range the wrong way round", "train train.toml", {"train.toml": ('"x.npy"', '"x.npy"\nlow = 1.0\nhigh = -1.0')}, ["data.high", "-1", "low = 1"]),
    ("half a range", "train train.toml", {"train.toml": ('"x.npy"', '"x.npy"\nlow = 1.0')}, ["data.high", "missing"]),
    ("data beyond the range", "train train.toml", {"train.toml": ('"x.npy"', '"x.npy"\nlow = -0.1\nhigh = 9.0')}, ["data.low", "-0.1", "x.npy"]),
    ("NaN in the data", "train train.toml", {"x.npy": with_value(X, NAN)}, ["x.npy", "NaN"]),
    ("complex data", "train train.toml", {"x.npy": Array((4, 2), [1j] * 8, "<c16")}, ["x.npy", "omplex"]),
    ("data of one value", "train train.toml", {"x.npy": zeros(10, 4)}, ["data", "equal"]),
    ("one sample", "train train.toml", {"x.npy": zeros(1, 1)}, ["data"]),
    ("no samples", "train train.toml", {"x.npy": zeros(0, 4)}, ["x.npy", "(0, 4)"]),
    ("empty folder", "train train.toml", {"train.toml": ('"x.npy"', '"empty"'), "empty/readme.txt": "none"}, ["empty", ".png"]),
    ("images of two shapes", "train train.toml", {"train.toml": ('"x.npy"', '"pictures"'), "pictures/a.png": png(8, 8), "pictures/b.png": png(9, 8)},
     ["pictures/b.png", "a.png", "9"]),
    ("image cut short", "train train.toml", {"train.toml": ('"x.npy"', '"pictures"'), "pictures/a.png": png(8, 8)[:60]}, ["pictures/a.png"]),
    ("bad cell", "train train.toml", {"train.toml": ("x.npy", "x.csv"), "x.csv": "1,2\n3,four\n"}, ["x.csv:2:3", "'four'"]),
    ("row too short", "train train.toml", {"train.toml": ("x.npy", "x.csv"), "x.csv": "1,2\n3\n"}, ["x.csv:2:1", "1", "2"]),
    ("unknown type of file", "train train.toml", {"train.toml": ("x.npy", "x.dat"), "x.dat": "12345678"}, ["x.dat", "NPY"]),
    ("too many resolutions", "train unet.toml", {"unet.toml": ("[1, 2]", "[1, 1, 1, 1, 1, 1]")}, ["multipliers", "6"]),
    ("no resolution", "train unet.toml", {"unet.toml": ("[1, 2]", "[]")}, ["multipliers"]),
    ("attention where nothing is", "train unet.toml", {"unet.toml": ("blocks", "attention = [5]\nblocks")}, ["attention", "5"]),
    ("patch that does not fit", "train unet.toml", {"unet.toml": ("blocks", "patch = 4\nblocks")}, ["patch", "4", "6"]),
    ("unet of vectors", "train unet.toml", {"unet.toml": ("images.npy", "x.npy")}, ["unet", "(4,)"]),
    ("steps that diverge", "train train.toml", {"train.toml": ("batch = 4", "batch = 4\nlearning_rate = 1e30\nwarmup_steps = 0\nsteps = 20\n"), }, ["train"]),

    # Results
    *((f"results of {line.split()[0]} exist", f"{line} --out old", {"old/notes.txt": "mine"}, ["old", "--force"]) for line in (
        "train train.toml", "sample prior.toml", "measure measure.toml", "infer infer.toml", "denoise prior.toml x.npy --sigma 1",
        "likelihood prior.toml x.npy --exact")),
    *((f"results of {line.split()[0]} in a file", f"{line} --force --out y.npy", {}, ["y.npy", "file"]) for line in (
        "train train.toml", "sample prior.toml")),
    ("results below a file", "infer infer.toml --out y.npy/run", {}, ["y.npy"]),
    ("results where none may be", "infer infer.toml --out /proc/nowhere/run", {}, ["/proc/nowhere/run"]),
    ("training where none may be", "train train.toml --out /proc/nowhere/run", {}, ["/proc/nowhere/run"]),
    ("results over the working folder", "infer infer.toml --force --out .", {}, [".", "working folder"]),

    # likelihood
    ("likelihood of nothing", "likelihood prior.toml nowhere.npy", {}, ["nowhere.npy", "no such file"]),
    ("likelihood of another shape", "likelihood prior.toml images.npy", {}, ["images.npy", "(4,)"]),
    ("likelihood of NaN", "likelihood prior.toml x.npy", {"x.npy": with_value(X, NAN)}, ["x.npy", "NaN"]),
    ("likelihood of no row", "likelihood prior.toml x.npy", {"x.npy": zeros(0, 4)}, ["x.npy"]),
    ("likelihood at level 0", "likelihood prior.toml x.npy --sigma-min 0", {}, ["sigma_min", "0"]),
    ("levels of likelihood", "likelihood prior.toml x.npy --sigma-min 90", {}, ["sigma_max", "80", "90"]),
    ("tolerance of likelihood", "likelihood prior.toml x.npy --tolerance 0", {}, ["tolerance", "0"]),
    ("divergence of no kind", "likelihood prior.toml x.npy --divergence none", {}, ["--divergence", "none", "hutchinson"]),
    ("probes without hutchinson", "likelihood prior.toml x.npy --probes 3", {}, ["--probes", "--divergence"]),
    ("no probes", "likelihood prior.toml x.npy --divergence hutchinson --probes 0", {}, ["probes", "0"]),
    ("closed form of a module", "likelihood module.pt image.npy --exact", {}, ["--exact", "analytic"]),

    # compare
    ("compare of nothing", "compare x.npy nowhere.npy", {}, ["nowhere.npy", "no such file"]),
    ("compare of two shapes", "compare x.npy images.npy", {}, ["images.npy", "(1, 6, 6)", "(4,)"]),
    ("compare of one draw", "compare x.npy y.npy", {"y.npy": zeros(1, 4)}, ["y.npy", "(1, 4)", "2 draws"]),
    ("compare of a number", "compare x.npy y.npy", {"y.npy": Array((), [1.0])}, ["y.npy", "draws"]),
    ("compare with NaN", "compare x.npy y.npy", {"y.npy": with_value(X, NAN)}, ["y.npy", "NaN"]),
    ("compare of complex numbers", "compare x.npy y.npy", {"y.npy": Array((4, 4), [1j] * 16, "<c16")}, ["y.npy", "complex"]),
    ("negative tolerance", "compare x.npy x.npy --tolerance -1", {}, ["--tolerance", "-1"]),
    ("tolerance NaN", "compare x.npy x.npy --tolerance nan", {}, ["--tolerance", "nan"]),
    ("tolerance that is no number", "compare x.npy x.npy --tolerance low", {}, ["--tolerance", "low"]),
    ("compare of a folder", "compare x.npy .", {}, ["."]),
    ("unknown metric", "compare x.npy x.npy --metric sinkhorm", {}, ["--metric", "'sinkhorm'", "did you mean 'sinkhorn'?"]),
    ("metric of another spelling", "compare x.npy x.npy --metric w2 --metric rf_fd", {}, ["'rf_fd'", "'rf-fd'"]),
    ("metric like none", "compare x.npy x.npy --metric lpips-of-alexnet", {}, ["--metric", "known", "gaussian-w2"]),
    ("metric without a name", "compare x.npy x.npy --metric", {}, ["--metric"]),
    *((f"too many rows for {name}", f"compare many.npy x.npy --metric energy --metric {name}", {"many.npy": zeros(4001, 4)},
       ["many.npy", "4001", name, "4000"]) for name in ("w1", "w2", "sinkhorn")),
    ("too many rows in the second", "compare x.npy many.npy --metric w2", {"many.npy": zeros(4001, 4)}, ["many.npy", "4001"]),
    ("metric of two shapes", "compare x.npy images.npy --metric w2", {}, ["images.npy", "(1, 6, 6)", "(4,)"]),
    ("pairs of unequal numbers", "compare x.npy y.npy --metric psnr", {"y.npy": normal((9, 4), 5)}, ["y.npy", "9 draws", "10", "psnr"]),
    ("pairs with weights", "compare x.npy x.npy --metric psnr --weights-b w.npy", {"w.npy": zeros(10)}, ["--weights-b", "psnr"]),
    ("ssim of vectors", "compare x.npy x.npy --metric ssim", {}, ["x.npy", "(4,)", "ssim", "images"]),
    ("psnr against a constant", "compare x.npy y.npy --metric psnr", {"y.npy": zeros(10, 4)}, ["y.npy", "--range"]),
    ("range 0", "compare x.npy x.npy --metric psnr --range 0", {}, ["--range", "0"]),
    ("range NaN", "compare x.npy x.npy --metric psnr --range nan", {}, ["--range", "nan"]),
    ("c2st of few", "compare x.npy y.npy --metric c2st", {"y.npy": normal((9, 4), 5)}, ["c2st", "9 draws", "10"]),
    ("mmd of one point", "compare y.npy y.npy --metric mmd", {"y.npy": zeros(10, 4)}, ["mmd", "equal"]),
    ("weights of another number", "compare x.npy x.npy --weights-a y.npy", {}, ["y.npy", "(4,)", "10 draws"]),
    ("weights of another shape", "compare x.npy x.npy --weights-b x.npy", {}, ["x.npy", "(10, 4)", "10 draws"]),
    ("weights that are not there", "compare x.npy x.npy --weights-a nowhere.npy", {}, ["nowhere.npy", "no such file"]),
    ("weights with NaN", "compare x.npy x.npy --weights-a w.npy", {"w.npy": with_value(zeros(10), NAN)}, ["w.npy", "NaN"]),

    # diagnose
    ("diagnose of nothing", "diagnose nowhere", {}, ["nowhere", "infer"]),
    ("diagnose of a folder", "diagnose .", {}, [".", "summary.json"]),
    ("diagnose of a file", "diagnose y.npy", {}, ["y.npy", "infer"]),
    ("diagnose of another command's run", "diagnose run", {"run/summary.json": '{"command": "measure"}'}, ["run/summary.json", '"measure"', "infer"]),
    ("diagnose of broken JSON", "diagnose run", {"run/summary.json": "{"}, ["run/summary.json"]),
    ("diagnose of odd JSON", "diagnose run", {"run/summary.json": '{"command": 3}'}, ["run/summary.json", "3", "infer"]),
    ("diagnose without run.toml", "diagnose run", {"run/summary.json": '{"command": "infer"}'}, ["run/run.toml", "no such file"]),
    ("diagnose without draws", "diagnose run", {"run/summary.json": '{"command": "infer"}', "run/run.toml": INFER.replace('"prior', '"../prior').replace('"y.', '"../y.')},
     ["run/samples.npy", "no such file"]),
    ("diagnose of other draws", "diagnose run", {"run/summary.json": '{"command": "infer"}', "run/run.toml": INFER.replace('"prior', '"../prior').replace('"y.', '"../y.'), "run/samples.npy": zeros(3, 4)},
     ["run/samples.npy", "(3, 4)", "(2, 4)"]),
    ("diagnose of whole numbers", "diagnose run", {"run/summary.json": '{"command": "infer"}', "run/run.toml": INFER.replace('"prior', '"../prior').replace('"y.', '"../y.'), "run/samples.npy": Array((2, 4), [0] * 8, "<i8")},
     ["run/samples.npy", "Long", "floating point"]),

    # denoise and info
    ("sigma 0", "denoise prior.toml x.npy --sigma 0", {}, ["--sigma", "0"]),
    ("sigma inf", "denoise prior.toml x.npy --sigma inf", {}, ["--sigma", "inf"]),
    ("no sigma", "denoise prior.toml x.npy", {}, ["--sigma"]),
    ("x of another shape", "denoise prior.toml images.npy --sigma 1", {}, ["images.npy", "(6, 1, 6, 6)", "4"]),
    ("NaN in x", "denoise prior.toml x.npy --sigma 1", {"x.npy": with_value(X, NAN)}, ["x.npy", "NaN"]),
    ("v of another shape", "denoise prior.toml x.npy --sigma 1 --vjp y.npy", {}, ["y.npy", "(1, 4)", "(10, 4)"]),
    ("no v", "denoise prior.toml x.npy --sigma 1 --vjp nowhere.npy", {}, ["nowhere.npy"]),
    ("info on nothing", "info nowhere.npy", {}, ["nowhere.npy", "no such file"]),
    ("info on text", "info note.txt", {"note.txt": "hello, world"}, ["note.txt"]),
    ("info on a config", "info train.toml", {}, ["train.toml"]),
    # Files and formats
    ("a volume cut short", "info x.nii", {"x.nii": "abc"}, ["x.nii", "truncated"]),
    ("a volume that is none", "info x.nii", {"x.nii": "a" * 400}, ["x.nii", "NIfTI"]),
    ("numbers without a header", "info x.cfl", {"x.cfl": "12345678"}, ["x.hdr", "no such file"]),
    ("a sidecar of another length", "info x.raw", {"x.raw": "1234", "x.raw.toml": 'dtype = "float32"\nshape = [2]\n'}, ["x.raw", "4 bytes", "(2,)"]),
    ("HDF5 that is damaged", "info x.h5", {"x.h5": b"\x89HDF\r\n\x1a\n" + bytes(40)}, ["x.h5", "HDF5"]),
    ("FITS without an end", "info x.fits", {"x.fits": "SIMPLE  =                    T"}, ["x.fits", "truncated"]),
    ("no such unit", "info x.fits[3]", {}, ["x.fits", "no such file"]),
    ("convert of nothing", "convert nowhere.nii out.npy", {}, ["nowhere.nii", "no such file"]),
    ("convert to no format", "convert x.npy out.dcm", {}, ["out.dcm", ".nii.gz"]),
    ("convert over a file", "convert x.npy y.npy", {}, ["y.npy", "--force"]),
    ("a picture of vectors", "infer infer.toml --set output.format=png", {}, ["output.format", "png", "(4,)"]),
    ("results in no format", "infer infer.toml --set output.format=jpeg", {}, ["output.format", "jpeg", "tiff"]),
    ("half a range of pixels", "infer infer.toml --set measurement.low=0", {}, ["measurement.high", "both"]),
    ("windows of vectors", "infer infer.toml --set prior.tile.size=[8,8]", {}, ["prior.tile", "(4,)", "images"]),
    ("name over two lines", ["info", "no\nfile.npy"], {}, ["no", "file.npy"]),
    ("name that is no UTF-8", ["sample", b"bad\xff.safetensors"], {}, ["bad"]),
]

GOLDEN = pathlib.Path(__file__).parents[1] / "golden/torchscript_denoiser.pt"


def attempt(case):
    """Exit status, stdout, stderr, and what changed in the folder that the program ran in."""
    _, line, files, _ = case
    with tempfile.TemporaryDirectory(prefix="tweedie-") as folder:
        scene = type("Folder", (Scene,), {"folder": pathlib.Path(folder)})
        changed = {name: content if not isinstance(content, tuple) else FILES[name].replace(*content, 1) for name, content in files.items()}
        assert all(changed[n] != FILES.get(n) for n, c in files.items() if isinstance(c, tuple)), case[0]
        scene.write({**FILES, **changed})
        os.symlink(GOLDEN, f"{folder}/module.pt")
        before = tree(folder)
        words = line if isinstance(line, list) else line.split()
        out = [] if "--out" in words or words[:1] in ([], ["infr"]) else ["--out", "deep/down/run"]
        process = scene.start(*words, *(["--quiet"] if words else []), *out) if not words or words[-1] != "--out" else scene.start(*words)
        stdout, stderr = finished(process)
        after = tree(folder)
        return process.returncode, stdout, stderr, sorted(k for k in {**before, **after} if before.get(k, "") != after.get(k, ""))


class BadInput(unittest.TestCase):
    maxDiff = None

    def test_every_case(self):
        self.assertEqual(len({case[0] for case in CASES}), len(CASES))
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for (name, line, _, words), (status, out, err, changed) in zip(CASES, pool.map(attempt, CASES)):
                with self.subTest(name, line=line):
                    self.assertEqual((status, out, changed), (2, "", []), err)
                    self.assertRegex(err, r"\Atweedie: [^\n]+\n\Z")
                    for word in words:
                        self.assertIn(word, err)


if __name__ == "__main__":
    unittest.main()
