"""The code in a Markdown page: what the page's tests extract and run.

  blocks.py cpp PAGE OUT             every ```cpp block to OUT/1.cpp, OUT/2.cpp, ...: each a whole program
  blocks.py joined PAGE OUT HEADER   all ```cpp blocks after each other to OUT/1.cpp, as if added to HEADER
  blocks.py run PAGE BIN             in an empty folder, in the page's order: a ```toml block whose first line is
                                     "# NAME.toml" is written there, a ```sh block is run with BIN first on the PATH

A block after the line <!-- not run --> is left alone."""
import os, pathlib, re, subprocess, sys, tempfile


def blocks(page):
    text = pathlib.Path(page).read_text()
    for match in re.finditer(r"(<!-- not run -->\n+)?^```(\w+)\n(.*?)^```$", text, re.M | re.S):
        if not match[1]:
            yield match[2], match[3], text.count("\n", 0, match.start(2)) + 2


def write(path, content):
    if not path.exists() or path.read_text() != content:  # so that nothing is compiled again for nothing
        path.write_text(content)


def programs(page):
    return [f'#line {line} "{page}"\n{body}' for language, body, line in blocks(page) if language == "cpp"]


def extract(out, bodies):
    out.mkdir(parents=True, exist_ok=True)
    for i, body in enumerate(bodies):
        write(out / f"{i + 1}.cpp", body)


def run(page, folder_of_programs):
    environment = dict(os.environ, PATH=f"{folder_of_programs}:{os.environ['PATH']}")
    with tempfile.TemporaryDirectory() as folder:
        for language, body, line in blocks(page):
            name = re.match(r"# (\S+\.toml)\b", body)
            if language == "toml" and name:
                pathlib.Path(folder, name[1]).write_text(body)
            if language == "sh":
                print(f"{page}:{line}\n{body}", flush=True)
                status = subprocess.run(["bash", "-euc", body], cwd=folder, env=environment).returncode
                if status:
                    sys.exit(f"{page}:{line}: exit {status}")


command, page, target = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
if command == "run":
    run(page, target)
elif command == "cpp":
    extract(target, programs(page))
else:
    extract(target, [f'#include "{sys.argv[4]}"\n' + "".join(programs(page))])
