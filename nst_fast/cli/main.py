"""The command `nst-fast`: one verb, then its arguments."""

import importlib
import os
import signal
import sys
import warnings

from nst_fast.cli.file_reports import EXIT_STATUSES
from nst_fast.cli.log_lines import show_logs
from nst_fast.cli.terminal import printable
from nst_fast.errors import TRAIN_PACKAGES, NstFastError, nearest_name

# verb -> (module with main(arguments) -> exit status, what it does); modules are imported when needed.
VERBS = {
    "stylize": ("nst_fast.cli.stylize", "stylize photos, films and folders"),
    "live": ("nst_fast.cli.live", "stylize your webcam, photos and films in the browser"),
    "styles": ("nst_fast.cli.styles", "list the styles that ship with nst-fast"),
    "sheet": ("nst_fast.cli.sheet", "show every style on one photo, to choose from"),
    "train": ("nst_fast.cli.train", "train a network for a style image of yours"),
    "optimize": ("nst_fast.cli.optimize", "stylize one photo by optimizing its pixels: slow, highest quality"),
    "evaluate": ("nst_fast.cli.evaluate", "measure how good a trained network is"),
    "reconstruct": ("nst_fast.cli.reconstruct", "show what the layers of a loss network keep of an image"),
    "export": ("nst_fast.cli.export", "write a network as a file for other programs, such as ONNX"),
    "benchmark": ("nst_fast.cli.benchmark", "measure how fast the networks run on this computer"),
    "completion": ("nst_fast.cli.completion", "print a script that completes this command in your shell"),
}

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run the verb; a user's mistake becomes one line on standard error and exit status 2.

    Args:
        arguments: without the program's name; None: those of the process.
    """
    if arguments is None:
        try:
            return main(sys.argv[1:])
        finally:
            # All is done but the interpreter's own end, which would answer Ctrl-C with a traceback.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
    show_logs()
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    if not debug:
        # What Pillow thinks of a damaged file. That it is damaged is said in one line, or does not matter.
        warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        try:
            return _dispatch(arguments)
        finally:
            sys.stdout.flush()  # now, while a reader that has gone can still be noticed
    except NstFastError as error:
        if debug:
            raise
        print(printable(f"nst-fast: error: {error}"), file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        if debug:
            raise
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output, such as `head`, has gone. Say nothing, and keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if debug or not _was_interrupted(error):
            raise
        return EXIT_INTERRUPTED


def _was_interrupted(error: BaseException) -> bool:
    """Whether it came up while something cleaned up after Ctrl-C, which argparse, for one, fails at."""
    context = error.__context__
    return context is not None and (isinstance(context, KeyboardInterrupt) or _was_interrupted(context))


def print_help() -> None:
    """Print the verbs."""
    print("usage: nst-fast VERB ...\n\nStylize photos and films with fast neural networks, one for each style.\n")
    for verb, (_, description) in VERBS.items():
        print(f"  nst-fast {verb:<12}{description}")
    print("\nnst-fast VERB --help explains a verb. --debug shows where an error comes from. --version.")
    print(EXIT_STATUSES)


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print_help()
        return 0 if arguments else EXIT_USER_ERROR
    verb, *rest = arguments
    if verb == "--version":
        from nst_fast.networks.checkpoint_header import program_version

        print(f"nst-fast {program_version()}")
        return 0
    if verb not in VERBS:
        raise NstFastError(
            f"{verb!r} is not a verb of nst-fast; verbs: {', '.join(VERBS)}{nearest_name(verb, list(VERBS))}"
        )
    try:
        return importlib.import_module(VERBS[verb][0]).main(rest)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in TRAIN_PACKAGES:
            raise
        raise NstFastError(
            f"nst-fast {verb} needs {error.name}, which is not installed; run: pip install 'nst-fast[train]'"
        ) from error


if __name__ == "__main__":
    sys.exit(main())
