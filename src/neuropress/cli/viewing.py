"""``view``: serve until somebody presses Ctrl+C."""

from __future__ import annotations

import argparse
import webbrowser
from contextlib import suppress

from ..verbs.view import format_napari_line, list_previews, make_page_url, open_viewer
from .render import Output


def run_view(args: argparse.Namespace, output: Output) -> int:
    """Print where to look, and serve."""
    with open_viewer(args.paths, args.port) as server:
        url = make_page_url(server)
        output.say(f"open {url}")
        output.say(f"or   {format_napari_line(args.paths)}")
        for picture in list_previews(args.paths):
            output.say(f"     {picture} shows its middle slices without a browser")
        output.say("Only this machine can look, as long as this runs; Ctrl+C ends it.")
        output.close()
        if args.open:
            webbrowser.open(url)
        with suppress(KeyboardInterrupt):
            server.serve_forever()
    return 0
