"""Serve the site while it is written: ``python noxfile.py serve``.

An edited page is shown within a second or two, since it is read again and nothing else is. Notebooks run in the
background, and their pages show the outputs as soon as there are any. What is an error in ``build`` is a warning here.
"""

import argparse
import logging
import signal
import socket
import sys
import tempfile
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from mkdocs.__main__ import State
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.livereload import LiveReloadServer

from workshop.site import notebooks
from workshop.site.preview import Preview

log = logging.getLogger("mkdocs.serve")


def load(config_file: str, address: str | None, site: Path) -> MkDocsConfig:
    """Return the configuration of a site that is served from a folder, at an address or that which it gives itself."""
    settings = notebooks.load(config_file, dev_addr=address, site_dir=str(site))
    host, port = settings.dev_addr
    settings.site_url = f"http://{host}:{port}{urlsplit(settings.site_url or '/').path}"
    return settings


def serve(config_file: str, address: str | None = None, *, open_in_browser: bool = False) -> None:
    """Serve the site until Ctrl-C.

    Args:
        config_file: the path of mkdocs.yml.
        address: host and port, such as `127.0.0.1:8001`; by default those of mkdocs.yml.
        open_in_browser: whether to show the first page in a browser.
    """
    with tempfile.TemporaryDirectory(prefix="serve-") as made:
        site, background = Path(made, "site"), notebooks.Background(Path(made))
        settings = load(config_file, address, site)
        places = [Path(place) for place in (settings.docs_dir, settings.config_file_path, *settings.watch)]
        preview = Preview(partial(load, config_file, address, site), places, background)
        host, port = settings.dev_addr
        if _is_taken(host, port):
            another = f"python noxfile.py serve -- --dev-addr {host}:{port + 1}"
            raise SystemExit(f"Port {port} of {host} is taken: choose another, such as `{another}`.")
        mount = urlsplit(settings.site_url or "/").path
        server = LiveReloadServer(preview.bring_up_to_date, host, port, root=str(site), mount_path=mount)
        server.error_handler = lambda code: _read(site / f"{code}.html")
        folders = (notebooks.cache(settings), background.failures)
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        try:
            preview.bring_up_to_date()
            for place in (*places, *folders):
                server.watch(str(place))
            server.serve(open_in_browser=open_in_browser)
        except KeyboardInterrupt:
            log.info("Shutting down")
        finally:
            background.stop()
            server.shutdown()


def _is_taken(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port)).close()
    except OSError:
        return False
    return True


def _read(page: Path) -> bytes | None:
    return page.read_bytes() if page.exists() else None


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python noxfile.py serve --", description=__doc__)
    parser.add_argument("-a", "--dev-addr", metavar="HOST:PORT", help="where to serve it; by default 127.0.0.1:8000")
    parser.add_argument("-o", "--open", action="store_true", help="open the first page in a browser")
    parser.add_argument("-f", "--config-file", default="mkdocs.yml", help="by default mkdocs.yml")
    arguments = parser.parse_args()
    _shown = State()  # MkDocs's log, on this terminal as long as there is a reference to it
    ends = [signal.SIGINT, signal.SIGTERM]  # a shell has the first one ignored by what it starts in the background
    if sys.platform != "win32":
        ends.append(signal.SIGHUP)  # its terminal was closed
    for end in ends:
        signal.signal(end, signal.default_int_handler)
    serve(arguments.config_file, arguments.dev_addr, open_in_browser=arguments.open)


if __name__ == "__main__":
    main()
