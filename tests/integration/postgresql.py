"""A PostgreSQL server for the tests, in a directory of its own, which is also where its socket is:
no port to be found, and nothing else on the machine is touched."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

MISSING = "no PostgreSQL server's programs here: on Debian, `apt-get install postgresql` has them"
FOLDERS = [*os.get_exec_path(), *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin")))]


class Server:
    """`host` is its directory; anybody may connect as `user`."""

    user = "tester"

    def __init__(self, host):
        self.host = host
        self._as = _unprivileged()
        if self._as:
            shutil.chown(host, self._as["user"], self._as["group"])

    def start(self):
        self._run("initdb", "--auth=trust", f"--username={self.user}", "--no-sync", "--locale=C")
        options = f"-c listen_addresses= -c unix_socket_directories={self.host} -c fsync=off"
        log = f"--log={self.host}/log"
        self._run("pg_ctl", "start", "--wait", "--timeout=60", log, f"--options={options}")

    def stop(self):
        self._run("pg_ctl", "stop", "--wait", "--mode=immediate")

    def _run(self, program, *arguments):
        path = shutil.which(program, path=os.pathsep.join(FOLDERS))
        if path is None:
            pytest.fail(MISSING, pytrace=False)
        done = subprocess.run(
            [os.path.realpath(path), f"--pgdata={self.host}/data", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.host,
            timeout=100,
            **self._as,
        )
        if done.returncode:
            log = Path(self.host, "log")
            told = log.read_text() if log.exists() else ""
            pytest.fail(f"{program} failed:\n{done.stdout}{told}", pytrace=False)


def _unprivileged():
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    names = {user.pw_name: user for user in pwd.getpwall()}
    user = names.get("postgres") or names["nobody"]
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@contextlib.contextmanager
def served():
    with tempfile.TemporaryDirectory(prefix="aioutils-", ignore_cleanup_errors=True) as host:
        server = Server(host)
        try:
            server.start()
            yield server
        finally:
            if Path(host, "data", "postmaster.pid").exists():
                server.stop()
