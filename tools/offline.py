"""Runs a command where there is no internet, and fails if it asked for any: ``python -m tools.offline make test``.

The command runs in a network namespace of its own (Linux), with loopback and one more interface, which has the default
routes, IPv4 and IPv6, and leads to this program. So every packet that would have left the machine is seen here, the
questions to the name server included. Nothing is answered.

Raises no privileges: as root it needs none, others become root of a user namespace that holds nothing of theirs.
"""

import argparse
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import tempfile
from ipaddress import ip_address
from pathlib import Path
from typing import Final, NamedTuple

import psutil
from pyroute2 import IPRoute

ADDRESSES: Final = {socket.AF_INET: ("192.0.2.1", 24), socket.AF_INET6: ("2001:db8::1", 64)}  # RFC 5737, RFC 3849
# A name server on loopback would not be there, and one behind a Unix socket would answer.
FILES: Final = {
    "/etc/resolv.conf": "nameserver 192.0.2.53\noptions timeout:1 attempts:1\n",
    "/etc/nsswitch.conf": "hosts: files dns\n",
}
PROTOCOLS: Final = {1: "ICMP", 2: "IGMP", 6: "TCP", 17: "UDP"}
TUNSETIFF: Final = 0x400454CA
IFF_TUN: Final = 0x0001
IFF_NO_PI: Final = 0x1000
NAME: Final = "outside"
RUNNING: Final = "[pytest-xdist running]"
REFUSED: Final = """This needs Linux, and the right to make a network namespace, which is refused here:

{error}

The way out: on Ubuntu, sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0 allows it until the next start;
in a container, run it with --privileged; anywhere, run it as root."""


class Packet(NamedTuple):
    """What would have left the machine."""

    protocol: str
    source_port: int
    address: str
    port: int
    name: str
    """What a name server was asked for."""

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        where = f"{self.protocol} {host}:{self.port}" if self.port else f"{self.protocol} {host}"
        return f"{where}, the address of {self.name!r}" if self.name else where


def read_packet(data: bytes) -> Packet | None:
    """Read an IP packet; None for what the kernel itself says on every IPv6 interface."""
    if data[0] >> 4 == 4:
        number, addresses, rest = data[9], data[12:20], data[(data[0] & 15) * 4 :]
    else:
        number, addresses, rest = data[6], data[8:40], data[40:]
        if number in (0, 58):  # a hop-by-hop header, ICMPv6: neighbours, routers, groups
            return None
    with_ports = number in (6, 17)
    source, port = struct.unpack_from("!HH", rest) if with_ports else (0, 0)
    asked = _name_in(rest[20:]) if number == 17 and port == 53 else ""
    address = str(ip_address(addresses[len(addresses) // 2 :]))
    return Packet(PROTOCOLS.get(number, f"protocol {number}"), source, address, port, asked)


def _name_in(question: bytes) -> str:
    """The name of a DNS question: labels, each after its length (RFC 1035, 4.1.2)."""
    labels = []
    while question and question[0]:
        labels.append(question[1 : question[0] + 1].decode("ascii", "replace"))
        question = question[question[0] + 1 :]
    return ".".join(labels)


def asker(port: int) -> str:
    """Name the program that holds a local port, and the test that it runs in, if pytest-xdist runs it."""
    try:
        pids = [connection.pid for connection in psutil.net_connections("inet") if connection.laddr[1:] == (port,)]
        process = psutil.Process(next(filter(None, pids)))
        # With setproctitle installed, a worker's title names its test; kernels and browsers are the worker's children.
        titles = [" ".join(" ".join(each.cmdline()).split()) for each in (process, *process.parents())]
    except (StopIteration, psutil.Error):
        return "a program that has ended"
    program = [] if titles[0].startswith(RUNNING) else [titles[0][:80]]
    return " in ".join(program + [title.removeprefix(RUNNING).strip() for title in titles if title.startswith(RUNNING)])


def watch(command: subprocess.Popen[bytes], tunnel: int) -> list[str]:
    """Return what is asked for until a command ends, each once; say it at once, too."""
    asked: list[str] = []
    while select.select([tunnel], [], [], 0.2)[0] or command.poll() is None:
        if not select.select([tunnel], [], [], 0)[0]:
            continue
        packet = read_packet(os.read(tunnel, 65535))
        if packet and (line := f"{packet}, by {asker(packet.source_port)}") not in asked:
            asked.append(line)
            print(f"asked for outside: {line}", file=sys.stderr, flush=True)
    return asked


def open_tunnel() -> int:
    """Bring up loopback and the interface that has the default routes; return where its packets are read."""
    tunnel = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tunnel, TUNSETIFF, struct.pack("16sH22x", NAME.encode(), IFF_TUN | IFF_NO_PI))
    with IPRoute() as network:
        network.link("set", index=socket.if_nametoindex("lo"), state="up")
        index = socket.if_nametoindex(NAME)
        network.link("set", index=index, state="up")
        for family, (address, length) in ADDRESSES.items():
            network.addr("add", index=index, family=family, address=address, prefixlen=length)
            network.route("add", oif=index, family=family, dst="default", scope=253)
    return tunnel


def run_inside(command: list[str]) -> int:
    """Run a command, in a namespace that is all ours; return its exit status, or 1 if it asked for anything."""
    with tempfile.TemporaryDirectory() as folder:
        for path, text in FILES.items():
            file = Path(folder, Path(path).name)
            file.write_text(text, encoding="utf-8")
            subprocess.run(["mount", "--bind", file, path], check=True)
        tunnel = open_tunnel()
        process = subprocess.Popen(command)
        asked = watch(process, tunnel)
        for path in FILES:
            subprocess.run(["umount", path], check=True)
    if asked:
        print("\nIt asked for what is outside this machine:", *asked, sep="\n    ", file=sys.stderr)
    else:
        print("\nNothing outside this machine was asked for.", file=sys.stderr)
    return process.returncode or bool(asked)


def main(arguments: list[str] | None = None) -> int:
    """Run a command without the internet; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.offline", description=main.__doc__)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    if options.inside:
        return run_inside(options.command)
    unshare = ["unshare", "--net", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    try:
        subprocess.run([*unshare, "true"], check=True, capture_output=True, encoding="utf-8")
    except (OSError, subprocess.CalledProcessError) as error:
        print(REFUSED.format(error=getattr(error, "stderr", None) or error), file=sys.stderr)
        return 1
    return subprocess.run([*unshare, sys.executable, "-m", "tools.offline", "--inside", *options.command]).returncode


if __name__ == "__main__":
    sys.exit(main())
