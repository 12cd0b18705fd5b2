"""Set up miniGPT and open the book. All you need is Python 3.10, 3.11, 3.12 or 3.13.

    python3 start.py                make .venv, install everything into it, open chapter 1 in JupyterLab
    python3 start.py test           run every test, every chapter and every solution
    python3 start.py check          the doctor: what is there, what is wrong, what to do about it
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
import time

OLDEST, NEWEST = (3, 10), (3, 13)
ROOT = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(ROOT, ".venv")
MARKER = "minigpt-environment.json"  # lies in .venv and says who made it, from what, and whether it is complete
FIRST_CHAPTER = os.path.join("chapters", "01_gpt1.ipynb")

# The PyTorch project's own index of CPU builds for Linux. Without it, pip on Linux fetches the CUDA build, which is
# some ten times larger. MINIGPT_TORCH_INDEX replaces it (another CUDA version, a mirror).
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"

NEEDED = ["pip", "minigpt", "numpy", "torch", "matplotlib", "jupyterlab", "ipykernel", "ipywidgets", "nbval",
          "tiktoken", "safetensors", "filelock", "regex"]
NEEDED_FOR_TEST = ["pytest", "nbclient", "nbformat", "scipy", "transformers", "packaging", "yaml"]

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
    """Options as a namespace; whatever follows a lone `--` is kept in `.rest` for pytest or JupyterLab."""
    rest = []
    if "--" in argv:
        at = argv.index("--")
        argv, rest = argv[:at], argv[at + 1:]
    parser = argparse.ArgumentParser(
        prog="start.py", formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__.split("\n\n(On")[0])
    parser.add_argument("command", nargs="?", default="open", choices=["open", "test", "check", "clean-cache"])
    parser.add_argument("--no-browser", action="store_true", help="start JupyterLab without opening a browser")
    parser.add_argument("--port", type=int, metavar="N", help="JupyterLab's port (it takes 8888 or the next free one)")
    parser.add_argument("--chapters", action="store_true", help="with test: only the chapters and the solutions")
    build = parser.add_mutually_exclusive_group()
    build.add_argument("--cpu", dest="torch", action="store_const", const="cpu", help="PyTorch without CUDA")
    build.add_argument("--cuda", dest="torch", action="store_const", const="cuda", help="PyTorch for NVIDIA GPUs")
    options = parser.parse_args(argv)
    if options.chapters and options.command != "test":
        parser.error("--chapters belongs to the command test")
    if options.port is not None and not 0 < options.port < 65536:
        parser.error("--port needs a number from 1 to 65535, not %d" % options.port)
    if rest and options.command not in ("open", "test"):
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
import importlib.util, json, sys
def there(name):
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.origin is not None
print(json.dumps([list(sys.version_info[:2]), [name for name in sys.argv[1:] if not there(name)]]))
"""


def probe(venv, modules):
    """(Python version, missing modules) as the environment's own interpreter sees them; (None, []) if it is dead."""
    try:
        process = subprocess.Popen([venv_python(venv), "-I", "-c", PROBE] + modules,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        version, missing = json.loads(process.communicate()[0].decode("utf-8"))
        return tuple(version), missing
    except (OSError, ValueError):
        return None, []


def needed_modules(extras):
    """What must be importable for the environment to count as whole."""
    return NEEDED + (NEEDED_FOR_TEST if "test" in extras else [])


def wish(root, extras, build):
    """The note that a complete environment for this request carries."""
    return {"complete": True, "root": root, "files": fingerprint(root), "extras": sorted(extras), "torch": build}


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
            return "rebuild", "parts of .venv are missing (%s)" % ", ".join(missing)
        if marker.get("files") == wanted["files"]:
            return "keep", "everything is in place"
        return "update", "pyproject.toml or constraints.txt has changed"
    if [name for name in missing if name in NEEDED]:
        return "rebuild", "parts of .venv are missing (%s)" % ", ".join(missing)
    return "update", "the test tools are still to be installed"


def examine(venv, root, extras, build):
    """Look at .venv and make the plan. Returns (action, reason, wanted marker)."""
    marker = read_marker(venv)
    extras = sorted(set(extras) | set((marker or {}).get("extras", [])) if (marker or {}).get("complete") else extras)
    wanted = wish(root, extras, build)
    exists = os.path.isdir(venv) and bool(os.listdir(venv))
    version, missing = probe(venv, needed_modules(extras)) if marker else (None, [])
    action, reason = plan(exists, marker, version, missing, wanted)
    return action, reason, wanted


def clean_environ(environ, venv):
    """The environment variables for everything we start: nothing that leads Python or pip out of .venv."""
    env = dict(environ)
    for name in ("PYTHONHOME", "PYTHONPATH", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "VIRTUAL_ENV", "CONDA_PREFIX"):
        env.pop(name, None)
    env["PATH"] = os.path.dirname(venv_python(venv)) + os.pathsep + env.get("PATH", "")
    env.setdefault("OMP_NUM_THREADS", "1")  # models this small are slower with more
    return env


def call(command, venv):
    """Run a command in the project folder and return its exit code."""
    sys.stdout.flush()
    return subprocess.call(command, cwd=ROOT, env=clean_environ(os.environ, venv))


def remove(venv):
    """Delete an environment that start.py made."""
    try:
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
        "CPU" if build == "cpu" else "CUDA", " and the test tools" if "test" in extras else ""))
    print("About %d MB to download and %.1f GB on disk; a few minutes. Nothing else on this computer is changed,"
          % (megabytes, gigabytes))
    print("except that pip keeps the downloads in its cache.")
    if build == "cpu" and index is None and platform.system() == "Linux":
        print("PyTorch's own index does not answer, so pip's usual one is asked. Unless your pip is set up to offer")
        print("a CPU build, that is the CUDA build: about %d MB and %.1f GB instead. Ctrl-C stops it." % SIZES["cuda"])
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
    command = [venv_python(venv), "-m", "pip", "install", "--disable-pip-version-check", "-c", "constraints.txt",
               "-e", ".[%s]" % ",".join(extras) if extras else "."]
    return call(command + (["--extra-index-url", index] if index else []), venv)


def prepare(options, venv=VENV):
    """Bring .venv into the state that the command needs; quick if it is already there."""
    own_index = os.environ.get("MINIGPT_TORCH_INDEX")
    before = (read_marker(venv) or {}).get("torch")
    build, index = choose_torch(options.torch, before, platform.system(), has_nvidia(), own_index)
    extras = ["test"] if options.command == "test" else []
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
        if action == "update":
            write_marker(venv, old)
        raise Problem("pip could not install everything; its last lines above say why. If the network was the trouble,"
                      "\nrun this again: what was downloaded is kept. Offline, nothing can be installed.")
    version, missing = probe(venv, needed_modules(wanted["extras"]))
    if version is None or missing:
        raise Problem("pip is done, but .venv is not whole (missing: %s). Run this again to build it anew."
                      % (", ".join(missing) or "a working Python"))
    write_marker(venv, wanted)
    print("\nReady after %d s.\n" % round(time.time() - began))


# --- the commands ---------------------------------------------------------------------------------------------------

def open_command(options):
    """The command that starts JupyterLab."""
    command = [venv_python(VENV), "-m", "jupyterlab"]
    if os.path.exists(os.path.join(ROOT, FIRST_CHAPTER)):
        # The file for the browser that JupyterLab opens, the address for who opens the one it prints.
        command += [FIRST_CHAPTER, "--LabApp.default_url=/lab/tree/" + os.path.basename(FIRST_CHAPTER)]
    if options.no_browser:
        command.append("--no-browser")
    if options.port is not None:
        command.append("--port=%d" % options.port)
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # in a container, mostly; JupyterLab refuses to start otherwise
    return command + options.rest


def run_open(options):
    """Open chapter 1 in JupyterLab, and stay until it is closed."""
    command = open_command(options)
    print("Opening JupyterLab; stop it with Ctrl-C. If no browser opens, use the address that it prints.\n")
    if os.name != "nt":
        sys.stdout.flush()
        os.chdir(ROOT)
        os.execve(command[0], command, clean_environ(os.environ, VENV))
    return call(command, VENV)


def test_commands(options, root=ROOT):
    """The (title, command) pairs of the command test."""
    notebooks = sorted(glob.glob(os.path.join(root, "chapters", "*.ipynb")))
    notebooks += sorted(glob.glob(os.path.join(root, "chapters", "solutions", "*.ipynb")))
    pytest = [venv_python(VENV), "-m", "pytest"]
    jobs = [] if options.chapters else [("tests", pytest + ["tests"] + options.rest)]
    if not notebooks:
        raise Problem("There are no notebooks in the folder chapters; this checkout is not complete.")
    return jobs + [("chapters and solutions, output by output",
                    pytest + ["--nbval"] + [os.path.relpath(n, root) for n in notebooks] + options.rest)]


def run_test(options):
    """Run the unit tests and every notebook; the exit code is 0 only if all is well."""
    results = []
    for title, command in test_commands(options):
        print("=== %s ===" % title)
        began = time.time()
        code = call(command, VENV)
        if code == 5 and options.rest:  # pytest: nothing was selected, as may happen with -k
            code = 0
        results.append((title, code, time.time() - began))
    print("")
    for title, code, seconds in results:
        print("%-45s %s  (%d s)" % (title, "passed" if code == 0 else "FAILED", round(seconds)))
    return max(code != 0 for _, code, _ in results)


def gather_facts(venv=VENV, root=ROOT):
    """Everything the doctor looks at."""
    marker = read_marker(venv)
    build, _ = choose_torch(None, (marker or {}).get("torch"), platform.system(), has_nvidia(), "any")
    action, reason, _ = examine(venv, root, [], build)
    facts = {"python": list(sys.version_info[:3]), "executable": sys.executable, "action": action, "reason": reason,
             "system": "%s %s" % (platform.system(), platform.machine()),
             "disk_gb": shutil.disk_usage(root).free / 1e9, "nvidia": has_nvidia(),
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
    """The doctor's report: (label, finding, advice) for each thing looked at; advice is None where all is well."""
    report = [("Python", "%d.%d.%d at %s" % (tuple(facts["python"]) + (facts["executable"],)),
               check_python(facts["python"])),
              ("System", facts["system"], None)]
    disk = facts["disk_gb"]
    needs = 0.5 if facts["action"] in ("keep", "update") else 2.0
    report.append(("Free disk", "%.1f GB" % disk, None if disk >= needs else
                   "free some space: this needs about %.1f GB" % needs))
    report.append(("Chapters", "%d" % facts["chapters"], None if facts["chapters"] else
                   "this checkout is not complete; clone it again"))
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
        report.append(("Device", "%s, %d cores, %s thread%s" % (
            device, inside["cores"], inside["threads"], "" if inside["threads"] == 1 else "s"),
            "there is an NVIDIA GPU that this PyTorch cannot use; the book does not need it. To use it:\n"
            "python3 start.py --cuda" if idle else None))
    memory = inside["memory_gb"]
    report.append(("Free memory", "%.1f GB" % memory, None if memory >= 1.5 else
                   "close other programs, or other notebooks (Kernel > Shut Down All Kernels)"))
    report.append(("Model cache", "%s (%.0f MB)" % (inside["cache"], inside["cache_mb"]), inside["cache_error"] and
                   "cannot be written (%s); set MINIGPT_CACHE to a folder that can" % inside["cache_error"]))
    return report


def run_check():
    """The doctor. Exit code 0: ready to read; 1: something is to be done."""
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


def run_clean_cache():
    """Delete the trained models; downloads and everything else in the folder stay."""
    code = "from minigpt.checkpoint import cache_dir; print(cache_dir())"
    process = subprocess.Popen([venv_python(VENV), "-c", code], cwd=ROOT, stdout=subprocess.PIPE,
                               env=dict(clean_environ(os.environ, VENV), PYTHONIOENCODING="utf-8"))
    folder = process.communicate()[0].decode("utf-8").strip()
    entries = cache_entries(folder)
    for path in entries:
        if os.path.isdir(path):
            shutil.rmtree(path)
        else:
            os.remove(path)
    print("Deleted %d trained models from %s" % (sum(not e.endswith(".lock") for e in entries), folder))
    return 0


def main(argv):
    """Run one command; returns the exit code."""
    others = other_pythons(os.environ.get("PATH", ""), os.name == "nt")
    message = check_python(sys.version_info, sys.maxsize > 2 ** 32, sys.executable, others)
    if message:
        print(message, file=sys.stderr)
        return 2
    options = parse_options(argv)
    try:
        if options.command == "check":
            return run_check()
        prepare(options)
        run = {"open": run_open, "test": run_test, "clean-cache": lambda _: run_clean_cache()}[options.command]
        return run(options)
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
