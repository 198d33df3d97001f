"""The command `nst-fast`: one verb, then its arguments."""

import importlib
import os
import sys

from nst_fast.errors import NstFastError, nearest_name

# verb -> (module with main(arguments) -> exit status, what it does); modules are imported when needed.
VERBS = {
    "train": ("nst_fast.cli.train", "train one network for one painting"),
    "optimize": ("nst_fast.cli.optimize", "paint one picture by the slow method, pixel by pixel"),
    "reconstruct": ("nst_fast.cli.reconstruct", "show what the layers of a loss network keep of a picture"),
    "evaluate": ("nst_fast.cli.evaluate", "tell how good a trained network is"),
    "stylize": ("nst_fast.cli.stylize", "paint photos, films and folders of them"),
    "live": ("nst_fast.cli.live", "open a page that paints the webcam, photos and films"),
    "export": ("nst_fast.cli.export", "write a network as an ONNX or torch.export file"),
    "benchmark": ("nst_fast.cli.benchmark", "measure how fast the networks paint here"),
    "styles": ("nst_fast.cli.styles", "list the styles that come with the program"),
}

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Dispatch to the verb; a user's mistake is one line on standard error and exit status 2.

    Args:
        arguments: without the program's name; None: those of the process.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        try:
            return _dispatch(arguments)
        finally:
            sys.stdout.flush()  # now, while it can still be told that nobody reads any more
    except NstFastError as error:
        if debug:
            raise
        print(f"nst-fast: error: {error}", file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        if debug:
            raise
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output, such as head, has gone: not worth a word, nor one by Python at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def print_help() -> None:
    """The verbs."""
    print("usage: nst-fast VERB ...\n\nPaint with neural networks, one trained for each painting.\n")
    for verb, (_, description) in VERBS.items():
        print(f"  nst-fast {verb:<12}{description}")
    print("\nnst-fast VERB --help tells more; --debug shows where an error comes from; --version.")


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print_help()
        return 0 if arguments else EXIT_USER_ERROR
    verb, *rest = arguments
    if verb == "--version":
        from nst_fast.checkpoint import program_version

        print(f"nst-fast {program_version()}")
        return 0
    if verb not in VERBS:
        raise NstFastError(
            f"{verb!r} is no verb of nst-fast; verbs: {', '.join(VERBS)}{nearest_name(verb, list(VERBS))}"
        )
    return importlib.import_module(VERBS[verb][0]).main(rest)


if __name__ == "__main__":
    sys.exit(main())
