"""The real program on SQLite, on free ports, in a folder of its own."""

import socket
import subprocess
import time
import urllib.request

from support import binary, clean_environment, succeed


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Service:
    def __init__(self, folder, **settings):
        self.port, self.internal_port = free_port(), free_port()
        usual = {
            "CONNECT_IDP__ISSUER": settings.pop("issuer", f"http://localhost:{self.port}"),
            "CONNECT_IDP__LISTEN": f"127.0.0.1:{self.port}",
            "CONNECT_IDP__INTERNAL_LISTEN": f"127.0.0.1:{self.internal_port}",
            "CONNECT_IDP__DATABASE__URL": f"sqlite://{folder}/connect.db",
            "CONNECT_IDP__KEYS__DIR": f"{folder}/keys",
        }
        self.environment = clean_environment(**(usual | settings))
        self.log = folder / "log"

    def __enter__(self):
        with self.log.open("w") as log:
            self.process = subprocess.Popen([binary(), "serve"], env=self.environment, stderr=log)
        until = time.monotonic() + 30
        while time.monotonic() < until and self.process.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.internal_port}/health/ready", timeout=5)
                return self
            except OSError:
                time.sleep(0.1)
        self.__exit__()
        raise AssertionError(f"the service did not start:\n{self.log.read_text()}")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=60)

    def command(self, *arguments, **more):
        return succeed(binary(), *arguments, env=self.environment, **more)
