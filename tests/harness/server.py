"""A server of the site in a process of its own, seen as a browser and a terminal see it."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

SCRIPT = re.compile(r"<script>\s*var livereload.*?livereload\((\d+), \d+\);\s*</script>", re.DOTALL)
RELOADS = 20  # more than an edit needs: a notebook that runs in its wake writes files too


class Server:
    """A process that serves a site and tells browsers to reload.

    Args:
        command: the module to run and its arguments, such as ``("mkdocs", "serve")``; the address is added.
        folder: where it runs, the one with mkdocs.yml.
    """

    def __init__(self, *command: str, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            host, port = free.getsockname()
        self.address = f"http://{host}:{port}/"
        # the package of that folder comes before the installed one
        variables = os.environ | {"PYTHONPATH": str(folder / "src"), "NO_MKDOCS_2_WARNING": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command, "--dev-addr", f"{host}:{port}"],
            cwd=folder,
            env=variables,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log = ""
        self._said = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.wait_for_log("Serving on")

    def _read(self) -> None:
        for line in self.process.stderr:
            with self._said:
                self.log += line
                self._said.notify()
        with self._said:
            self.log += "The server has ended.\n"
            self._said.notify()

    def wait_for_log(self, said: str) -> None:
        """Wait until the terminal shows a text."""
        with self._said:
            self._said.wait_for(lambda: said in self.log or self.log.endswith("The server has ended.\n"))
        assert said in self.log, self.log

    def get(self, page: str) -> str:
        """Return what is served at the address of a page, once what is being built is complete."""
        try:
            with urllib.request.urlopen(self.address + page) as response:
                return response.read().decode()
        except urllib.error.HTTPError as error:
            return error.read().decode()

    def wait(self, page: str, shown: str) -> str:
        """Reload a page each time that a browser is told to, until it shows a text, and return it.

        It listens the way that the script on the home page does, as a style sheet has no script.
        """
        for _ in range(RELOADS):
            epoch = SCRIPT.search(self.get(""))[1]
            if shown in (text := self.get(page)):
                return text
            self.get(f"livereload/{epoch}/0")  # the answer comes when there is something new, or after a minute
        raise AssertionError(f"{page} never showed {shown!r}:\n{text}\n{self.log}")

    def interrupt(self) -> int:
        """End it with Ctrl-C, and return its exit status."""
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait()
        self._reader.join()
        self.process.stderr.close()
        return status
