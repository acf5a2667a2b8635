# SPDX-License-Identifier: GPL-2.0-only
"""Running a machine: its console as it comes, the end of the payload, hangs and panics."""

import ctypes
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time
import tty

from . import keys, ktap

HANG, DIED = 124, 125

PANIC = re.compile(rb"---\[ end Kernel panic|Attempted to kill init")
COMPLAINTS = re.compile(
    rb"^(?:\[[ \d.]+\]\s*)?(?:\S+: )?(WARNING: (?:CPU|possible|suspicious|bad|inconsistent|lock|"
    rb"Nested|held)|BUG: |UBSAN: |INFO: (?:rcu|task|possible|trying)|Oops|general protection|"
    rb"kernel BUG|Kernel panic|=+ *\[ BUG|ODEBUG:|kmemleak: \d+ new|.*\bunreferenced object)", re.M)

# How long a machine may take to switch itself off, and a panic to print its trace.
GRACE_END, GRACE_PANIC = 15.0, 3.0


PR_SET_PDEATHSIG = 1


def _end_with_parent():
    """In the child: a bench that is killed takes its machine with it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Outcome:
    """How a run ended: the exit code for the caller, and why, if it is not the payload's own."""

    def __init__(self, code, why=""):
        self.code, self.why = code, why


class Watch:
    """Starts the emulator, its serial port on a local socket, and follows it until the end."""

    def __init__(self, nonce, log, echo, interactive, payload_only=False):
        self.end = re.compile(rb"@@bench " + nonce.encode() + rb" exit (\d+)@@")
        self.marker = re.compile(rb"@@bench " + nonce.encode() + rb" (init|start|exit \d+)@@\r?\n?")
        self.log, self.echo, self.interactive = log, echo, interactive
        # Whether what comes is shown; the markers switch it if only the payload is to be seen.
        self.payload_only, self.shown = payload_only, not payload_only
        self.tail = b""
        self.pending = b""
        self.seen = bytearray()
        self.times = {}
        self.keys = keys.Keys()
        # What the emulator itself says; a file, as a pipe that nobody reads would stop it.
        self.words = tempfile.TemporaryFile()

    def run(self, make_command, timeout, stdout=os.devnull):
        """`make_command` gets the port that the emulator shall connect its serial port to."""
        started = time.monotonic()
        with socket.create_server(("127.0.0.1", 0)) as server, open(stdout, "wb") as out:
            child = subprocess.Popen(make_command(server.getsockname()[1]),
                                     stdin=subprocess.DEVNULL, stdout=out,
                                     stderr=self.words, start_new_session=True,
                                     preexec_fn=_end_with_parent)
            saved = termios.tcgetattr(0) if self.interactive else None
            try:
                if saved:
                    tty.setraw(0)
                console = self._accept(server, child)
                return self._follow(child, console, started, timeout)
            finally:
                if saved:
                    termios.tcsetattr(0, termios.TCSADRAIN, saved)
                self._stop(child)
                self._emit(flush=True)

    @staticmethod
    def _accept(server, child):
        """The connection of the emulator, or None if it ended before it made one."""
        server.settimeout(0.2)
        for _ in range(150):
            try:
                return server.accept()[0]
            except socket.timeout:
                if child.poll() is not None:
                    break
        return None

    @staticmethod
    def _stop(child):
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGTERM)
            try:
                child.wait(3)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()

    def _follow(self, child, console, started, timeout):
        deadline, outcome = started + timeout, None
        sources = ([console] if console else []) + ([0] if self.interactive else [])
        while console:
            ready, _, _ = select.select(sources, [], [], 0.2)
            if console in ready:
                data = _receive(console)
                if not data:
                    break
                fresh = self._console(data, started)
                if fresh and not outcome:
                    outcome = fresh
                    grace = GRACE_PANIC if outcome.code == DIED else GRACE_END
                    deadline = min(deadline, time.monotonic() + grace)
            if 0 in ready and not self._keyboard(console):
                return Outcome(130, "left by the keyboard")
            if time.monotonic() > deadline:
                return outcome or Outcome(HANG, f"no end within {timeout:g} s")
        if outcome:
            return outcome
        self._stop(child)
        self.words.seek(0)
        words = self.words.read().decode(errors="replace").strip(" \n=").splitlines()
        return Outcome(DIED, "the machine stopped before the payload did: " +
                       (words[-1] if words else f"exit status {child.returncode}"))

    def _keyboard(self, console):
        """Pass keys to the machine. False when it is time to leave."""
        data = os.read(0, 1024)
        out, leave = self.keys.feed(data)
        console.sendall(out)
        return bool(data) and not leave

    def _console(self, data, started):
        self._keep(data)
        self.pending += data
        # Enough of what came before to see a text that two reads tore apart.
        self.tail = self.tail[-400:] + data
        for found in self.marker.finditer(self.tail):
            word = found.group(1).split()[0].decode()
            self.times.setdefault(word, time.monotonic() - started)
        self._emit()
        end = self.end.search(self.tail)
        if end:
            return Outcome(int(end.group(1)))
        if PANIC.search(self.tail):
            return Outcome(DIED, "the kernel panicked")
        return None

    def _keep(self, data):
        self.seen += data
        self.log.write(data)
        self.log.flush()

    def _emit(self, flush=False):
        """Show complete lines without the markers; what is not complete yet when it is time."""
        if not self.echo:
            self.pending = b""
            return
        cut = self.pending.rfind(b"\n") + 1
        # On a terminal an incomplete line is shown as well, unless it may become a marker.
        if flush or self.interactive and not self.pending[cut:].startswith(b"@"):
            cut = len(self.pending)
        text, self.pending = self.pending[:cut], self.pending[cut:]
        text = self._shown_part(text)
        if not self.interactive:
            text = text.replace(b"\r\n", b"\n")
        sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()

    def _shown_part(self, text):
        """Without the markers, and without what the kernel said before and after the payload."""
        out, at = b"", 0
        for found in self.marker.finditer(text):
            if self.shown:
                out += text[at:found.start()]
            at = found.end()
            if self.payload_only:
                self.shown = found.group(1) == b"start"
        return out + text[at:] if self.shown else out

    def complaints(self):
        """The first lines of what the kernel complained about: oopses, warnings, reports."""
        text = bytes(self.seen).replace(b"\r\n", b"\n")
        found = []
        for match in COMPLAINTS.finditer(text):
            line = text[match.start():text.find(b"\n", match.start())]
            found.append(line.decode(errors="replace"))
        return found

    def results(self):
        """(passed, failed, skipped) as the KTAP lines of the console tell."""
        return ktap.parse(bytes(self.seen).decode(errors="replace")).counts()


def _receive(console):
    try:
        return console.recv(65536)
    except ConnectionError:
        return b""
