"""What versions that run as processes are made of, and which of them run."""

from pathlib import Path

import psutil

# Needs no packages, so that its environment is made at once.
SERVICE = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()
print("up", flush=True)
address = (os.environ["HOST"], int(os.environ["PORT"]))
http.server.HTTPServer(address, Handler).serve_forever()
"""


def running_in(folder: Path) -> list[psutil.Process]:
    """Return the processes that run below a folder."""
    found = psutil.process_iter(["cmdline", "cwd"])
    return [one for one in found if str(folder) in str(one.info)]
