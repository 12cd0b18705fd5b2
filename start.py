"""Set up miniGPT and open the book. All you need is Python 3.10, 3.11, 3.12 or 3.13.

    python3 start.py                make .venv, install everything into it, open your copy of the book in JupyterLab
    python3 start.py install        the first two of these only: for a computer room, a container
    python3 start.py reset 03       a fresh copy of chapter 03 (or of labs/01_heads, or all); yours is kept
    python3 start.py handout 01     for a class: a student's copy and a teacher's copy of chapter 01
    python3 start.py grade FOLDER   runs the checks of every notebook in FOLDER, and writes FOLDER/grades.csv
    python3 start.py web            the book as pages for a browser, in web/pages; nothing is executed
    python3 start.py slides 01      slides of a lesson, in slides/01_gpt1; its text is in the speaker's notes
    python3 start.py test           run every test, every chapter and every solution, on all cores
    python3 start.py test --quick   the fast tests only, two minutes: for a look after a small change
    python3 start.py check          what is there, what is wrong, what to do about it
    python3 start.py clean-cache    forget the trained models (they are trained again when needed)

(On Windows: `py start.py`.) Running it again is quick, and repairs an environment that is broken or half made.

This file uses nothing but the standard library, and only syntax that Python 2.7 can read, so that somebody with an
old Python sees a sentence and not a SyntaxError. The rest of the book is written in modern Python.
"""
from __future__ import print_function

import argparse
import glob
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time

OLDEST, NEWEST = (3, 10), (3, 13)
ROOT = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(ROOT, ".venv")
MARKER = "minigpt-environment.json"  # lies in .venv and says who made it, from what, and whether it is complete
FIRST_PAGE = "my/index.md"  # made by tools/workbook.py, as are the reader's copies beside it

# The PyTorch project's own index of CPU builds for Linux. Without it, pip on Linux fetches the CUDA build, which is
# some ten times larger. MINIGPT_TORCH_INDEX replaces it (another CUDA version, a mirror).
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"

NEEDED = ["pip", "minigpt", "numpy", "torch", "matplotlib", "jupyterlab", "ipykernel", "ipywidgets", "nbval",
          "tiktoken", "safetensors", "filelock", "regex"]
NEEDED_FOR_WEB = ["sphinx", "myst_nb", "furo", "sphinx_copybutton", "latex2mathml", "sphinx_revealjs"]
NEEDED_FOR_TEST = ["pytest", "xdist", "nbclient", "nbformat", "scipy", "transformers", "packaging", "yaml"]

NEEDED_FOR = {"test": ("the test tools", NEEDED_FOR_TEST), "web": ("the tools for web pages", NEEDED_FOR_WEB)}
EXTRA_OF = {"slides": "web"}  # a command that needs what another installs

MOST_JOBS = 4  # at once, on machines with more cores: each needs up to 0.8 GB of memory, and the longest lasts anyway

# The chapters, each with the minutes that it computes when nothing is trained yet, and the chapters whose trained
# models it loads: while those train, it would only wait for them. What is not in this table comes last.
CHAPTERS = {
    "00_world": (0.7, []),
    "01_gpt1": (2.5, []),
    "02_gpt2": (3.5, []),
    "03_gpt3": (3.0, []),
    "04_instructgpt": (4.0, []),
    "05_gpt4_scaling": (2.5, []),
    "06_gpt4": (1.5, []),
}
LAB_MINUTES = 0.5  # of a lab, whose lesson has trained its models
FOR_NOTEBOOKS = ["-p", "tools.sooner", "-p", "no:xdist", "-p", "no:randomly", "--nbval"]  # what pytest needs for them

SIZES = {  # measured on Linux x86-64: download in MB, on disk in GB (CUDA: a lower bound, from an earlier release)
    "cpu": (300, 1.3),
    "cuda": (3000, 6.0),
}


class Problem(Exception):
    """Something the reader has to act on; its text says what, and becomes the program's last words."""


# --- the Python that runs this file ---------------------------------------------------------------------------------

def check_python(version, is_64bit=True, where="", others=()):
    """None if this Python will do, otherwise a message that says what to do."""
    supported = "Python 3.10, 3.11, 3.12 or 3.13"
    found = "Python " + ".".join(str(part) for part in version[:3]) + (" (%s)" % where if where else "")
    if OLDEST <= tuple(version[:2]) <= NEWEST and is_64bit:
        return None
    if OLDEST <= tuple(version[:2]) <= NEWEST:
        lines = ["miniGPT needs a 64-bit Python, because PyTorch does; this is a 32-bit %s." % found]
    else:
        lines = ["miniGPT needs %s, but this is %s." % (supported, found)]
    if others:
        lines.append("Found here: %s. Try:  %s start.py" % (", ".join(others), others[0]))
    else:
        lines.append("Install one from https://www.python.org/downloads/ (or with your system's package manager),")
        lines.append("then run this file with it, for example:  python3.12 start.py   (Windows:  py -3.12 start.py)")
    return "\n".join(lines)


def other_pythons(path, windows):
    """Names of suitable Pythons on the search path; first the one that the book is tested with."""
    names = ["python3.11", "python3.12", "python3.13", "python3.10"]
    suffix = ".exe" if windows else ""
    return [n for n in names if any(os.path.exists(os.path.join(d, n + suffix)) for d in path.split(os.pathsep) if d)]


def base_python():
    """The Python to make .venv with: this one, or the one beneath it if this is itself a virtual environment."""
    if sys.prefix == sys.base_prefix:
        return sys.executable
    if os.name == "nt":
        return getattr(sys, "_base_executable", sys.executable)
    return os.path.realpath(sys.executable)


# --- the command line -----------------------------------------------------------------------------------------------

def parse_options(argv):
    """Options as a namespace; whatever follows a lone `--` is kept in `.rest` for pytest, JupyterLab or the pages."""
    rest = []
    if "--" in argv:
        at = argv.index("--")
        argv, rest = argv[:at], argv[at + 1:]
    parser = argparse.ArgumentParser(
        prog="start.py", formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__.split("\n\n(On")[0])
    parser.add_argument("command", nargs="?", default="open",
                        choices=["open", "install", "reset", "handout", "grade", "web", "slides", "test", "check",
                                 "clean-cache"])
    parser.add_argument("which", nargs="*",
                        help="with reset, handout and slides: 03, labs/01_heads, all; with grade: a folder")
    parser.add_argument("--no-browser", action="store_true", help="start JupyterLab without opening a browser")
    parser.add_argument("--port", type=int, metavar="N", help="JupyterLab's port (it takes 8888 or the next free one)")
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--chapters", action="store_true", help="with test: only the chapters and the solutions")
    part.add_argument("--tests", action="store_true", help="with test: only the tests, no notebook")
    part.add_argument("--quick", action="store_true",
                      help="with test: leave out slow tests, the canaries of the measured tables, and every notebook")
    parser.add_argument("--jobs", type=int, metavar="N",
                        help="with test: how many to run at once (by default one for each core, at most %d)"
                             % MOST_JOBS)
    build = parser.add_mutually_exclusive_group()
    build.add_argument("--cpu", dest="torch", action="store_const", const="cpu", help="PyTorch without CUDA")
    build.add_argument("--cuda", dest="torch", action="store_const", const="cuda", help="PyTorch for NVIDIA GPUs")
    options = parser.parse_args(argv)
    for name in ("chapters", "tests", "quick", "jobs"):
        if getattr(options, name) and options.command != "test":
            parser.error("--%s belongs to the command test" % name)
    if options.command in ("reset", "handout", "slides") and not options.which:
        parser.error("%s needs the number of a chapter (03), the name of a lab (labs/01_heads), or all"
                     % options.command)
    if options.command == "grade" and len(options.which) != 1:
        parser.error("grade needs one folder, the one with the notebooks")
    if options.which and options.command not in ("reset", "handout", "slides", "grade"):
        parser.error("%s cannot follow the command %s" % (" ".join(options.which), options.command))
    if options.jobs is not None and options.jobs < 1:
        parser.error("--jobs needs a number of at least 1, not %d" % options.jobs)
    if options.port is not None and not 0 < options.port < 65536:
        parser.error("--port needs a number from 1 to 65535, not %d" % options.port)
    if rest and options.command not in ("open", "test", "web"):
        parser.error("nothing can follow -- after the command %s" % options.command)
    options.rest = rest
    return options


# --- which build of PyTorch -----------------------------------------------------------------------------------------

def has_nvidia():
    """Whether nvidia-smi is there and lists a GPU."""
    try:
        answer = subprocess.Popen(["nvidia-smi", "-L"], stdout=subprocess.PIPE, stderr=subprocess.PIPE).communicate()[0]
    except OSError:
        return False
    return b"GPU" in answer


def choose_torch(asked, before, system, nvidia, own_index=None):
    """(build, index): "cpu" or "cuda", and the extra index where pip shall look for it (None: pip's usual one).

    asked: "cpu", "cuda" or None from the command line; before: what .venv holds already, which stays if nothing is
    asked; system: platform.system(); nvidia: whether there is an NVIDIA GPU.
    """
    build = asked or before or ("cuda" if nvidia and system == "Linux" else "cpu")
    if build == "cuda" and system == "Darwin":
        raise Problem("--cuda: there is no CUDA for macOS. Run it without --cuda; the book is made for the CPU.")
    if build == "cuda" and system == "Windows" and not own_index:
        raise Problem("--cuda on Windows: set MINIGPT_TORCH_INDEX to the index for your CUDA version first\n"
                      "(https://pytorch.org/get-started/locally/ shows it), then run this again with --cuda.")
    if own_index:
        return build, own_index
    return build, (TORCH_INDEX if build == "cpu" and system == "Linux" else None)


def reachable(url, seconds=3.0):
    """Whether a web address answers within a few seconds."""
    import threading
    import urllib.request
    answer = []

    def ask():
        try:
            urllib.request.urlopen(url, timeout=seconds).close()
            answer.append(True)
        except Exception:  # whatever it is: not reachable
            pass

    thread = threading.Thread(target=ask)  # because looking a name up has no time limit of its own
    thread.daemon = True
    thread.start()
    thread.join(seconds)
    return bool(answer)


# --- the environment ------------------------------------------------------------------------------------------------

def venv_python(venv, windows=None):
    """Where a virtual environment keeps its interpreter."""
    windows = os.name == "nt" if windows is None else windows
    return venv + "\\Scripts\\python.exe" if windows else venv + "/bin/python"


def fingerprint(root):
    """A hash of what decides the content of the environment; line ends do not count."""
    digest = hashlib.sha256()
    for name in ("pyproject.toml", "constraints.txt"):
        with open(os.path.join(root, name), "rb") as file:
            digest.update(file.read().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()


def read_marker(venv):
    """What start.py noted in the environment; {} if the note cannot be read, None if there is none."""
    path = os.path.join(venv, MARKER)
    if not os.path.exists(path):
        return None
    try:
        with open(path, "rb") as file:
            marker = json.loads(file.read().decode("utf-8"))
        return marker if isinstance(marker, dict) else {}
    except (OSError, ValueError):
        return {}


def write_marker(venv, marker):
    """Write the note in one move, so that it is there wholly or not at all."""
    path = os.path.join(venv, MARKER)
    with open(path + ".tmp", "wb") as file:
        file.write((json.dumps(marker, indent=1, sort_keys=True) + "\n").encode("utf-8"))
    os.replace(path + ".tmp", path)


PROBE = """
import csv, glob, importlib.util, json, os, re, sys, sysconfig
def there(name):
    try:
        spec = importlib.util.find_spec(name)
    except Exception:
        return False
    return spec is not None and spec.origin is not None
def damaged(place, size):
    try:
        found = os.stat(place).st_size
    except OSError:
        return True
    library = re.search(r"[.](so|pyd|dll|dylib)([.]|$)|[.]dist-info", place)
    return found != size if library else found == 0 < size
missing = [name for name in json.loads(sys.argv[1]) if not there(name)]
ours = set(json.loads(sys.argv[2]))
for base in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
    for folder in glob.glob(os.path.join(base, "*.dist-info")):
        name = re.sub("[-_.]+", "-", os.path.basename(folder).split("-")[0]).lower()
        if name in ours:
            try:
                with open(os.path.join(folder, "RECORD"), encoding="utf-8", newline="") as file:
                    rows = [row for row in csv.reader(file) if len(row) == 3 and row[2].isdigit()]
            except (OSError, ValueError, csv.Error):
                rows = []
            if not rows or any(damaged(os.path.join(base, row[0]), int(row[2])) for row in rows):
                missing.append(name + " (damaged)")
print(json.dumps([list(sys.version_info[:2]), missing]))
"""


def packages(root):
    """The names of all packages that the book is installed with."""
    with open(os.path.join(root, "constraints.txt"), "rb") as file:
        names = re.findall(r"^([A-Za-z0-9._-]+)==", file.read().decode("utf-8"), re.MULTILINE)
    return sorted(set(re.sub("[-_.]+", "-", name).lower() for name in names) | set(["pip", "minigpt-textbook"]))


def probe(venv, modules):
    """(Python version, what is missing) as the environment's own interpreter sees it; (None, []) if it is dead.

    Missing are modules that cannot be found, and packages of which a file is gone, empty or cut off: pip wrote down how
    long every file is.
    """
    try:
        process = subprocess.Popen([venv_python(venv), "-I", "-c", PROBE, json.dumps(modules),
                                    json.dumps(packages(ROOT))], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        version, missing = json.loads(process.communicate()[0].decode("utf-8"))
        return tuple(version), missing
    except (OSError, ValueError):
        return None, []


def needed_modules(extras):
    """What must be importable for the environment to count as whole."""
    return NEEDED + [name for extra in sorted(extras) for name in NEEDED_FOR[extra][1]]


def wish(root, extras, build):
    """The note that a complete environment for this request carries."""
    return {"complete": True, "root": root, "files": fingerprint(root), "extras": sorted(extras), "torch": build}


def few(names):
    """Some names as text, the first five if there are many."""
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def plan(exists, marker, version, missing, wanted):
    """What to do about .venv, and why: ("keep" | "make" | "update" | "rebuild" | "set aside", reason)."""
    if not exists:
        return "make", "there is no .venv yet"
    if marker is None:
        return "set aside", ".venv was not made by start.py"
    if not marker.get("complete"):
        return "rebuild", ".venv is only half made (an earlier run was interrupted)"
    if version is None:
        return "rebuild", "the Python in .venv does not run any more"
    if not OLDEST <= version <= NEWEST:
        return "rebuild", "the Python in .venv is %d.%d, which the book does not support" % version
    if marker.get("root") != wanted["root"]:
        return "rebuild", "the folder was moved or copied; environments do not survive that"
    if marker.get("torch") != wanted["torch"]:
        return "rebuild", "another build of PyTorch is asked for (%s)" % wanted["torch"]
    if set(wanted["extras"]) <= set(marker.get("extras", [])):
        if missing:
            return "rebuild", "parts of .venv are missing (%s)" % few(missing)
        if marker.get("files") == wanted["files"]:
            return "keep", "everything is in place"
        return "update", "pyproject.toml or constraints.txt has changed"
    new = sorted(set(wanted["extras"]) - set(marker.get("extras", [])))
    gone = [name for name in missing if not any(name in NEEDED_FOR[extra][1] for extra in new)]
    if gone:
        return "rebuild", "parts of .venv are missing (%s)" % few(gone)
    return "update", " and ".join(NEEDED_FOR[extra][0] for extra in new) + " are still to be installed"


def examine(venv, root, extras, build):
    """Look at .venv and make the plan. Returns (action, reason, wanted marker)."""
    marker = read_marker(venv)
    extras = sorted(set(extras) | set((marker or {}).get("extras", [])) if (marker or {}).get("complete") else extras)
    wanted = wish(root, extras, build)
    exists = os.path.isdir(venv) and any(name != MARKER + ".tmp" for name in os.listdir(venv))
    version, missing = probe(venv, needed_modules(extras)) if marker else (None, [])
    action, reason = plan(exists, marker, version, missing, wanted)
    return action, reason, wanted


def can_write(folder):
    """Whether a folder can be written to, or made if it is not there."""
    while not os.path.exists(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)


def home(environ):
    """The reader's home folder; None if there is none that can be written to, as for some users of containers."""
    folder = environ.get("USERPROFILE" if os.name == "nt" else "HOME")
    if not folder and os.name != "nt":
        import pwd
        try:
            folder = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            return None
    return folder if folder and os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK) else None


def clean_environ(environ, venv):
    """The environment variables for everything we start: nothing that leads Python or pip out of .venv, a home folder,
    one folder for trained models wherever a notebook lies, and one in which Matplotlib can keep its list of fonts."""
    env = dict(environ)
    for name in ("PYTHONHOME", "PYTHONPATH", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "VIRTUAL_ENV", "CONDA_PREFIX"):
        env.pop(name, None)
    env["PATH"] = os.path.dirname(venv_python(venv)) + os.pathsep + env.get("PATH", "")
    env.setdefault("OMP_NUM_THREADS", "1")  # models this small are slower with more
    if os.name != "nt":
        env["HOME"] = home(env) or os.path.join(venv, "home")
        cache = env.get("XDG_CACHE_HOME") or os.path.join(env["HOME"], ".cache")
        settings = env.get("XDG_CONFIG_HOME") or os.path.join(env["HOME"], ".config")
        if sys.platform == "darwin":
            cache = settings = os.path.join(env["HOME"], ".matplotlib")
        folders = [env["MPLCONFIGDIR"]] if env.get("MPLCONFIGDIR") else [cache, settings]
        if not all(can_write(os.path.join(folder, "matplotlib")) for folder in folders):
            env["MPLCONFIGDIR"] = os.path.join(venv, "matplotlib")
    if env.get("MINIGPT_CACHE"):  # as minigpt.io.files.cache_dir has it, which knows no other folder either
        env["MINIGPT_CACHE"] = os.path.join(ROOT, os.path.expanduser(env["MINIGPT_CACHE"]))
    return env


def call(command, venv, **more):
    """Run a command in the project folder, with more environment variables, and return its exit code."""
    sys.stdout.flush()
    return subprocess.call(command, cwd=ROOT, env=dict(clean_environ(os.environ, venv), **more))


def remove(venv):
    """Delete an environment that start.py made; its note goes last, so that a half deleted one is known as ours."""
    try:
        write_marker(venv, {"complete": False})
        for name in os.listdir(venv):
            path = os.path.join(venv, name)
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            elif name != MARKER:
                os.remove(path)
        shutil.rmtree(venv)
    except OSError as error:
        raise Problem("%s cannot be deleted (%s).\nClose JupyterLab and everything else that uses it, then run this "
                      "again." % (venv, error))


def set_aside(venv):
    """Rename an environment that is not ours, so that nothing of the reader's is lost."""
    number = 1
    while os.path.exists("%s-set-aside-%d" % (venv, number)):
        number += 1
    place = "%s-set-aside-%d" % (venv, number)
    os.rename(venv, place)
    return place


def announce(build, index, extras):
    """Say what is about to be downloaded, and how large it is."""
    megabytes, gigabytes = SIZES[build]
    print("Into the folder .venv, here: PyTorch (%s build), JupyterLab, NumPy, Matplotlib, tiktoken%s." % (
        "CPU" if build == "cpu" else "CUDA", "".join(" and " + NEEDED_FOR[extra][0] for extra in sorted(extras))))
    print("About %d MB to download and %.1f GB on disk; a few minutes. Nothing else on this computer is changed,"
          % (megabytes, gigabytes))
    print("except that pip keeps the downloads in its cache.")
    if build == "cpu" and index is None and platform.system() == "Linux":
        print("PyTorch's own index does not answer, so pip's usual one is asked. Unless your pip is set up to offer")
        print("a CPU build, that is the CUDA build: about %d MB and %.1f GB instead. Ctrl-C stops it." % SIZES["cuda"])
        if sys.stdin is not None and sys.stdin.isatty():  # the sentence would scroll away before it is read
            print("\nPress Enter to go on.")
            sys.stdin.readline()
    print("")
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < gigabytes + 0.5:
        raise Problem("There are only %.1f GB free on this disk, and this needs about %.1f. Free some space, then run "
                      "this again." % (free, gigabytes + 0.5))


def create(venv, python):
    """Make an empty environment with pip in it."""
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        raise Problem("This Python cannot make virtual environments, because its module ensurepip is missing.\n"
                      "On Debian and Ubuntu:  sudo apt install python3-venv   then run this again.")
    os.makedirs(venv, exist_ok=True)
    write_marker(venv, {"complete": False})
    if call([python, "-m", "venv", venv], venv) != 0:
        raise Problem("Python could not make the folder .venv (see above). Then run this again.")


def pip_install(venv, extras, index):
    """Install the book and everything it needs; returns pip's exit code."""
    # --no-user: a reader's pip.conf may say `user = true`, which pip cannot do in an environment of its own.
    command = [venv_python(venv), "-m", "pip", "install", "--no-user", "--disable-pip-version-check",
               "-c", "constraints.txt", "-e", ".[%s]" % ",".join(extras) if extras else "."]
    return call(command + (["--extra-index-url", index] if index else []), venv)


def prepare(options, venv=VENV):
    """Bring .venv into the state that the command needs; quick if it is already there."""
    own_index = os.environ.get("MINIGPT_TORCH_INDEX")
    before = (read_marker(venv) or {}).get("torch")
    build, index = choose_torch(options.torch, before, platform.system(), has_nvidia(), own_index)
    extra = EXTRA_OF.get(options.command, options.command)
    extras = [extra] if extra in NEEDED_FOR else []
    action, reason, wanted = examine(venv, ROOT, extras, build)
    if action == "keep":
        return
    print("miniGPT: %s.\n" % reason)
    began = time.time()
    if index and not own_index and not reachable(index + "/"):
        index = None
    if action != "update":
        announce(build, index, wanted["extras"])
    python = base_python()
    if action == "set aside":
        print("It is kept, as %s; delete it if you do not need it.\n" % os.path.basename(set_aside(venv)))
    if action == "rebuild":
        remove(venv)
    if action != "update":
        create(venv, python)
    old = read_marker(venv)
    write_marker(venv, dict(wanted, complete=False))
    if pip_install(venv, wanted["extras"], index) != 0:
        version, missing = probe(venv, NEEDED)
        if action == "update" and version and not missing:
            write_marker(venv, old)  # as good as before
        raise Problem("pip could not install everything; its last lines above say why. If the network was the trouble,"
                      "\nrun this again: what was downloaded is kept. Offline, nothing can be installed.")
    version, missing = probe(venv, needed_modules(wanted["extras"]))
    if version is None or missing:
        raise Problem("pip is done, but .venv is not whole (missing: %s). Run this again to build it anew."
                      % (", ".join(missing) or "a working Python"))
    call([venv_python(venv), "-c", "import matplotlib.font_manager"], venv)  # makes its list of fonts, the first time
    write_marker(venv, wanted)
    print("\nReady after %d s.\n" % round(time.time() - began))


# --- the commands ---------------------------------------------------------------------------------------------------

def workbook():
    """The module tools/workbook.py; imported late, because it is written in modern Python."""
    sys.path.insert(0, os.path.join(ROOT, "tools"))
    import workbook
    return workbook


def run_copies(options):
    """The commands reset and handout (which need no environment), and grade."""
    import pathlib
    root, command = pathlib.Path(ROOT), options.command
    book = workbook()
    try:
        if command == "reset":
            print("\n".join(book.reset(root, options.which)))
            return 0
        import handout
        if command == "handout":
            print("\n".join("Written: %s" % path for path in handout.handout(root, options.which)))
        else:
            table = handout.grade(root, pathlib.Path(os.path.abspath(options.which[0])), venv_python(VENV))
            print("Written: %s" % table)
    except ValueError as error:
        raise Problem(str(error))
    return 0


def run_web(options):
    """Make the pages of the web edition, or slides; the programs that make them live in .venv."""
    tool = "webbook.py" if options.command == "web" else "lesson_slides.py"
    return call([venv_python(VENV), os.path.join(ROOT, "tools", tool)] + options.which + options.rest, VENV)


def quiet_jupyterlab(venv=VENV):
    """Settings of JupyterLab in .venv: a page is shown as a page, and nothing asks about news over the first cell."""
    settings = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
                "@jupyterlab/docmanager-extension:plugin": {"defaultViewers": {"markdown": "Markdown Preview"}}}
    place = os.path.join(venv, "share", "jupyter", "lab", "settings", "overrides.json")
    if not os.path.isdir(os.path.dirname(place)):
        os.makedirs(os.path.dirname(place))
    with open(place + ".tmp", "w") as file:
        json.dump(settings, file, indent=1)
    os.replace(place + ".tmp", place)


def open_command(options):
    """The command that starts JupyterLab: the whole checkout in its file browser, the reader's first page open."""
    command = [venv_python(VENV), "-m", "jupyterlab", "--ServerApp.root_dir=" + ROOT,
               "--LabApp.default_url=/lab/tree/" + FIRST_PAGE, "--log-level=WARN"]
    if options.no_browser:
        command.append("--no-browser")
    if options.port is not None:
        command.append("--port=%d" % options.port)
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # in a container, mostly; JupyterLab refuses to start otherwise
    return command + options.rest


def run_open(options):
    """Open the reader's copy of the book in JupyterLab, and stay until it is closed."""
    import pathlib
    for sentence in workbook().refresh(pathlib.Path(ROOT), trained_models()):
        print("* " + sentence)
    quiet_jupyterlab()
    command = open_command(options)
    print("Opening JupyterLab; stop it with Ctrl-C. If no browser opens, use the address that it prints.\n")
    if os.name != "nt":
        sys.stdout.flush()
        os.chdir(ROOT)
        os.execve(command[0], command, clean_environ(os.environ, VENV))
    return call(command, VENV)


def cores():
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def unit_command(options, jobs):
    """The command that runs tests/; without nbval, which is slow to load, and in the order they are written in."""
    command = [venv_python(VENV), "-m", "pytest", "-p", "no:nbval", "-p", "no:randomly", "tests"]
    if jobs > 1:  # conftest.py says what stays together; the order is that of collection
        command += ["-n", str(jobs), "--dist", "loadgroup", "--no-loadscope-reorder"]
    return command + (["-m", "not slow"] if options.quick else []) + options.rest


def notebooks(root=ROOT):
    """The lessons, chapters/*.ipynb, and the labs, chapters/labs/*.ipynb."""
    folders = (os.path.join(root, "chapters"), os.path.join(root, "chapters", "labs"))
    return [path for folder in folders for path in sorted(glob.glob(os.path.join(folder, "*.ipynb")))]


def chapter_jobs(options, root=ROOT):
    """[(name, command, names of those that must have ended before)]: each notebook with its solutions, longest first.

    The length of a chapter counts those that wait for it.
    """
    jobs = {}
    for path in notebooks(root):
        solutions = os.path.join(os.path.dirname(path), "solutions", os.path.basename(path))
        files = [os.path.relpath(p, root) for p in (path, solutions) if os.path.exists(p)]
        command = [venv_python(VENV), "-m", "pytest"] + FOR_NOTEBOOKS
        name = os.path.splitext(os.path.relpath(path, os.path.join(root, "chapters")))[0].replace(os.sep, "/")
        jobs[name] = command + files + options.rest
    if not jobs:
        raise Problem("There are no notebooks in the folder chapters; this checkout is not complete.")

    def needed(name):
        if name.startswith("labs/"):  # a lab goes on with the models of its lesson
            return [other for other in jobs if other.startswith(name[5:7] + "_")]
        return [other for other in CHAPTERS.get(name, (0, []))[1] if other in jobs]

    def minutes(name):
        own = LAB_MINUTES if name.startswith("labs/") else CHAPTERS.get(name, (0, []))[0]
        return own + max([minutes(other) for other in jobs if name in after[other]] or [0])

    after = dict((name, needed(name)) for name in jobs)
    return [(name, jobs[name], after[name]) for name in sorted(jobs, key=lambda name: -minutes(name))]


def run_together(jobs, n, environ):
    """Run [(name, command, names to wait for)], at most n at once; each one's output is shown whole when it has ended.

    Returns [(name, exit code, seconds)].
    """
    waiting, running, results = list(jobs), {}, []
    try:
        while waiting or running:
            unfinished = set(job[0] for job in waiting) | set(running)
            ready = [job for job in waiting if not unfinished & set(job[2])]
            for job in ready[:n - len(running)]:
                waiting.remove(job)
                log = tempfile.TemporaryFile()
                process = subprocess.Popen(job[1], cwd=ROOT, env=environ, stdout=log, stderr=subprocess.STDOUT)
                running[job[0]] = (process, log, time.time())
                print("    %s begins" % job[0])
                sys.stdout.flush()
            for name, (process, log, began) in list(running.items()):
                if process.poll() is not None:
                    del running[name]
                    results.append((name, process.returncode, time.time() - began))
                    print("\n--- %s ---" % name)
                    log.seek(0)
                    print(log.read().decode("utf-8", "replace"))
                    log.close()
            time.sleep(0.05)
    finally:  # Ctrl-C goes to all of them; who does not stop is stopped
        for process, log, _ in running.values():
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            log.close()
    return results


def run_test(options):
    """Run the unit tests and every notebook; the exit code is 0 only if all is well."""
    jobs, began, results = options.jobs or min(cores(), MOST_JOBS), time.time(), []
    if not options.chapters:
        print("=== tests%s, on %d core%s ===" % (", the fast ones" if options.quick else "", jobs, "s" * (jobs > 1)))
        code = call(unit_command(options, jobs), VENV, OMP_NUM_THREADS="1")
        results.append(("tests", code, time.time() - began))
    if not options.quick and not options.tests:
        print("=== chapters and solutions, output by output, %d at once ===" % jobs)
        environ = dict(clean_environ(os.environ, VENV), OMP_NUM_THREADS="1", PYTHONIOENCODING="utf-8")
        results += run_together(chapter_jobs(options), jobs, environ)
    print("")
    codes = [0 if code == 5 and options.rest else code for _, code, _ in results]  # 5: nothing has that name (-k)
    for (title, _, seconds), code in zip(results, codes):
        print("%-25s %s  (%d s)" % (title, "passed" if code == 0 else "FAILED", round(seconds)))
    print("%-25s %s  (%d s)" % ("all of it", "FAILED" if any(codes) else "passed", round(time.time() - began)))
    if options.quick:
        print("\nLeft out: the tests marked slow, the canaries of the measured tables, and every chapter with its "
              "solutions.\nThe slow ones train models, draw the gallery of all figures, kill processes, run a bootstrap "
              "in many worlds,\nor give odd answers to the checks of exercises.\nEverything:  python3 start.py test")
    return int(any(codes))


def gather_facts(venv=VENV, root=ROOT):
    """Everything that `check` looks at."""
    marker = read_marker(venv)
    build, _ = choose_torch(None, (marker or {}).get("torch"), platform.system(), has_nvidia(), "any")
    action, reason, _ = examine(venv, root, [], build)
    facts = {"python": list(sys.version_info[:3]), "executable": sys.executable, "action": action, "reason": reason,
             "system": "%s %s" % (platform.system(), platform.machine()),
             "disk_gb": shutil.disk_usage(root).free / 1e9, "nvidia": has_nvidia(), "home": home(os.environ),
             "chapters": len(glob.glob(os.path.join(root, "chapters", "*.ipynb")))}
    if action in ("keep", "update"):
        process = subprocess.Popen([venv_python(venv), os.path.join(root, "tools", "facts.py")], cwd=root,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environ(os.environ, venv))
        out, err = process.communicate()
        try:
            facts["inside"] = json.loads(out.decode("utf-8"))
        except ValueError:
            facts["inside_error"] = err.decode("utf-8", "replace").strip().split("\n")[-1]
    return facts


def diagnose(facts):
    """The report of `check`: (label, finding, advice) for each thing looked at; advice is None where all is well."""
    report = [("Python", "%d.%d.%d at %s" % (tuple(facts["python"]) + (facts["executable"],)),
               check_python(facts["python"])),
              ("System", facts["system"], None)]
    disk = facts["disk_gb"]
    needs = 0.5 if facts["action"] in ("keep", "update") else 2.0
    report.append(("Free disk", "%.1f GB" % disk, None if disk >= needs else
                   "free some space: this needs about %.1f GB" % needs))
    report.append(("Chapters", "%d" % facts["chapters"], None if facts["chapters"] else
                   "this checkout is not complete; clone it again"))
    if facts["home"] is None:
        report.append(("Home folder", "none that can be written to; .venv/home is used instead", None))
    todo = {"keep": None, "make": "run  python3 start.py  to make it",
            "set aside": "run  python3 start.py : it keeps that folder under another name and makes its own"}
    report.append(("Environment", facts["reason"],
                   todo.get(facts["action"], "run  python3 start.py  to put it right")))
    if "inside_error" in facts:
        report.append(("Inside .venv", facts["inside_error"],
                       "delete the folder .venv and run  python3 start.py"))
    if "inside" in facts:
        report += diagnose_inside(facts["inside"], facts["nvidia"])
    return report


def diagnose_inside(inside, nvidia):
    """The part of the report that needs a look from within the environment."""
    report = [("Interpreter", "%s (Python %s)" % (inside["executable"], inside["python"]), None)]
    kernel = inside["kernel"]
    report.append(("Kernel", kernel or "there is no kernel named python3", None if kernel == inside["executable"] else
                   "notebooks would not run in .venv; delete the folder .venv and run  python3 start.py"))
    wrong = ["%s %s instead of %s" % tuple(item) for item in inside["not_as_pinned"]]
    report.append(("Versions", ", ".join("%s %s" % tuple(pair) for pair in inside["versions"]), None if not wrong else
                   "not as pinned: %s; delete the folder .venv and run  python3 start.py" % ", ".join(wrong)))
    if inside["torch_error"]:
        report.append(("PyTorch", "does not load: %s" % inside["torch_error"],
                       "delete the folder .venv and run  python3 start.py ; on Windows, first install the\n"
                       "Microsoft Visual C++ Redistributable (https://aka.ms/vs/17/release/vc_redist.x64.exe)"))
    else:
        device = inside["device"]
        idle = nvidia and device == "CPU"
        report.append(("Device", "%s, %d core%s, %s thread%s" % (
            device, inside["cores"], "" if inside["cores"] == 1 else "s", inside["threads"],
            "" if inside["threads"] == 1 else "s"),
            "there is an NVIDIA GPU that this PyTorch cannot use; the book does not need it. To use it:\n"
            "python3 start.py --cuda" if idle else None))
    if inside["book_error"]:
        error, ours = inside["book_error"]
        report.append(("The book", "cannot be imported: %s" % error,
                       "undo the last change of that file (git diff minigpt shows it)" if ours else
                       "delete the folder .venv and run  python3 start.py"))
    memory = inside["memory_gb"]
    report.append(("Free memory", "%.1f GB" % memory, None if memory >= 1.5 else
                   "close other programs, or other notebooks (Kernel > Shut Down All Kernels)"))
    report.append(("Model cache", "%s (%.0f MB)" % (inside["cache"], inside["cache_mb"]), inside["cache_error"] and
                   "cannot be written (%s); set MINIGPT_CACHE to a folder that can" % inside["cache_error"]))
    return report


def run_check():
    """Say what is there and what is wrong. Exit code 0: ready to read; 1: something is to be done."""
    report = diagnose(gather_facts())
    for label, finding, advice in report:
        print("%s %-12s %s" % ("ok  " if advice is None else "TODO", label, finding))
        for line in (advice or "").split("\n") if advice else []:
            print("     %-12s -> %s" % ("", line))
    todo = sum(advice is not None for _, _, advice in report)
    print("\nAll is well." if not todo else "\n%d thing%s to do; see the arrows." % (todo, "s" if todo > 1 else ""))
    return 1 if todo else 0


def cache_entries(folder):
    """The trained models in the cache folder; nothing else that may lie there."""
    if not os.path.isdir(folder):
        return []
    entry = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*-[0-9a-f]{16}(\.partial|\.lock)?$")  # as checkpoint names them
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if entry.match(name)]


def trained_models():
    """How many trained models are finished and stored; None where the folder cannot be looked at."""
    try:
        sys.path.insert(0, ROOT)
        from minigpt.io.files import cache_dir
        return sum(not name.endswith((".lock", ".partial")) for name in cache_entries(str(cache_dir())))
    except (ImportError, OSError):
        return None


def run_clean_cache():
    """Delete the trained models; downloads and everything else in the folder stay. Needs no environment."""
    sys.path.insert(0, ROOT)
    os.environ.update(clean_environ(os.environ, VENV))
    from minigpt.io.files import cache_dir
    folder = str(cache_dir())
    entries = cache_entries(folder)
    for path in entries:
        if os.path.isdir(path):
            shutil.rmtree(path)
        else:
            os.remove(path)
    trained = sum(not entry.endswith((".lock", ".partial")) for entry in entries)
    begun = sum(entry.endswith(".partial") for entry in entries)
    found = ["%d trained model%s" % (trained, "s" * (trained != 1))] if trained else []
    found += ["%d unfinished run%s" % (begun, "s" * (begun != 1))] if begun else []
    print("Deleted %s from %s" % (" and ".join(found), folder) if found else
          "There are no trained models in %s" % folder)
    return 0


def main(argv):
    """Run one command; returns the exit code."""
    others = other_pythons(os.environ.get("PATH", ""), os.name == "nt")
    for stream in (sys.stdout, sys.stderr):  # a path may hold letters that the reader's console has not
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    message = check_python(sys.version_info, sys.maxsize > 2 ** 32, sys.executable, others)
    if message:
        print(message, file=sys.stderr)
        return 2
    options = parse_options(argv)
    try:
        if options.command == "check":
            return run_check()
        if options.command == "clean-cache":
            return run_clean_cache()
        if options.command in ("reset", "handout"):
            return run_copies(options)
        prepare(options)
        if options.command == "grade":
            return run_copies(options)
        if options.command == "install":
            return 0
        if options.command in ("web", "slides"):
            return run_web(options)
        return run_test(options) if options.command == "test" else run_open(options)
    except Problem as problem:
        print("\n%s" % problem, file=sys.stderr)
        return 1
    except OSError as error:
        print("\n%s\nminiGPT writes only into its own folder, %s; make sure that you may write there, that the disk is"
              "\nnot full, and that no other program has its files open. Then run this again." % (error, ROOT),
              file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. Run it again to go on.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
