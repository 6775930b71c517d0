"""A single-node Ceph RGW on the loopback: monitor, manager, one OSD in memory and the gateway, without root's services.

Run as a script it starts the daemons and stops them once no process that asked for them is alive, so that neither
a failed nor a killed test run leaves any behind.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from uuid import uuid4

PROGRAMS = ("ceph", "ceph-mon", "ceph-mgr", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
ACCESS_KEY = "AKIAPLANTED"
START_SECONDS = 180
"""How long the daemons may take to start on a busy machine."""
START_ATTEMPTS = 3
IDLE_SECONDS = 2
"""How long the daemons outlive their last user."""

CONFIGURATION = """\
[global]
fsid = {fsid}
mon host = [v1:127.0.0.1:{mon}]
ms bind msgr2 = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
auth supported = none
osd pool default size = 1
osd pool default min size = 1
osd crush chooseleaf type = 0
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon max pg per osd = 5000
mon data = {folder}/mon
mon data avail crit = 1
mon data avail warn = 2
mgr data = {folder}/mgr
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 12884901888
log file = {folder}/log/$name.log
admin socket = {folder}/run/$name.asok
run dir = {folder}/run
crash dir = {folder}/run
rgw enable usage log = false
rgw relaxed s3 bucket names = true
rgw thread pool size = 64
rgw gc obj min wait = 5
rgw gc processor period = 10
rgw gc processor max time = 10
debug rgw = 0
debug osd = 0
debug ms = 0
debug mon = 0
"""


_started: list[subprocess.Popen[bytes]] = []  # kept, as Python warns of a child that nobody waited for


def missing_programs() -> list[str]:
    """Programs of Ceph that this machine lacks."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def join(folder: Path, secret: str) -> str:
    """Endpoint of the server in `folder`, which is started if nobody has; the caller holds a lock."""
    users, ready = folder / "users", folder / "ready.json"
    users.mkdir(parents=True, exist_ok=True)
    (users / str(os.getpid())).touch()
    log = folder / "supervisor.log"
    if not (ready.is_file() and _alive(json.loads(ready.read_text("utf-8"))["pid"])):
        ready.unlink(missing_ok=True)
        with log.open("ab") as out:
            command = [sys.executable, __file__, str(folder), secret]
            starting = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
        _started.append(starting)
        deadline = time.monotonic() + START_SECONDS
        while not ready.is_file():
            if starting.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Ceph RGW did not start: {log.read_text('utf-8', errors='replace')}")
            time.sleep(0.1)
    return str(json.loads(ready.read_text("utf-8"))["endpoint"])


def leave(folder: Path) -> None:
    """Say that this process needs the server no more; wait for its end when this process started it."""
    (folder / "users" / str(os.getpid())).unlink(missing_ok=True)
    if not any((folder / "users").iterdir()):
        for supervisor in _started:
            supervisor.wait(START_SECONDS)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Cluster:
    """The daemons, each a child in the foreground that is ended by its process id."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.children: list[subprocess.Popen[bytes]] = []
        self.conf = folder / "ceph.conf"

    def run(self, *command: str) -> None:
        subprocess.run([command[0], "-c", str(self.conf), *command[1:]], check=True, timeout=START_SECONDS)

    def daemon(self, *command: str) -> None:
        self.children.append(subprocess.Popen([command[0], "-c", str(self.conf), *command[1:], "-f"]))

    def start(self, secret: str) -> str:
        for name in ("mon", "mgr", "osd", "rgw", "log", "run"):
            (self.folder / name).mkdir()
        fsid, mon, port = str(uuid4()), free_port(), free_port()
        self.conf.write_text(CONFIGURATION.format(fsid=fsid, mon=mon, folder=self.folder), "utf-8")
        monmap = str(self.folder / "monmap")
        address = f"[v1:127.0.0.1:{mon}]"
        subprocess.run(["monmaptool", "--create", "--fsid", fsid, "--addv", "a", address, monmap], check=True)
        self.run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap)
        self.daemon("ceph-mon", "-i", "a")
        self.daemon("ceph-mgr", "-i", "x")
        osd = str(uuid4())
        self.run("ceph", "osd", "new", osd)
        self.run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        self.daemon("ceph-osd", "-i", "0")
        frontend = f"beast endpoint=127.0.0.1:{port}"
        self.daemon("radosgw", "-n", "client.rgw", f"--rgw-data={self.folder / 'rgw'}", f"--rgw-frontends={frontend}")
        endpoint = f"http://127.0.0.1:{port}"
        self.await_answer(endpoint)
        keys = (f"--access-key={ACCESS_KEY}", f"--secret={secret}")
        self.run("radosgw-admin", "user", "create", "--uid=test", "--display-name=test", *keys)
        return endpoint

    def await_answer(self, endpoint: str) -> None:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                direct.open(endpoint, timeout=5).close()
                return
            except OSError:
                if time.monotonic() > deadline or any(child.poll() is not None for child in self.children):
                    raise  # a daemon that has ended does not come back
                time.sleep(0.2)

    def stop(self) -> None:
        for child in reversed(self.children):
            child.kill()
            child.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def start(folder: Path, secret: str) -> tuple[Cluster, str]:
    """Daemons that answer, and their endpoint. A port may be lost to another program meanwhile, so it is tried again."""
    for attempt in range(START_ATTEMPTS):
        place = folder / f"cluster-{os.getpid()}-{attempt}"
        place.mkdir()
        cluster = Cluster(place)
        try:
            return cluster, cluster.start(secret)
        except (OSError, subprocess.SubprocessError) as error:
            print(f"attempt {attempt}: {error}", flush=True)
            cluster.stop()
        except BaseException:
            cluster.stop()
            raise
    raise SystemExit("the daemons did not start")


def supervise(folder: Path, secret: str) -> None:
    """Start the daemons, say where they listen, and stop them when their last user has left or died."""
    cluster, endpoint = start(folder, secret)
    try:
        partial = folder / "ready.partial"
        partial.write_text(json.dumps({"pid": os.getpid(), "endpoint": endpoint}), "utf-8")
        partial.replace(folder / "ready.json")
        used = time.monotonic()
        while time.monotonic() < used + IDLE_SECONDS:
            if any(_alive(int(user.name)) for user in (folder / "users").iterdir()):
                used = time.monotonic()
            time.sleep(0.5)
        (folder / "ready.json").unlink()
    finally:
        cluster.stop()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    supervise(Path(sys.argv[1]), sys.argv[2])
