# SPDX-License-Identifier: GPL-2.0-only
"""The initramfs of a bench: busybox, an init, the payload, the kernel modules it asks for."""

import glob
import lzma
import os
import re
import stat

S_IFDIR, S_IFREG, S_IFLNK, S_IFCHR = 0o040000, 0o100000, 0o120000, 0o020000


class Cpio:
    """A writer of the "newc" archives that the kernel unpacks."""

    def __init__(self, path):
        self.out = open(path, "wb")
        self.inode = 0
        self.dirs = set()

    def add(self, name, mode, data=b"", rdev=(0, 0)):
        self.inode += 1
        encoded = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, *rdev, len(encoded), 0)
        self.out.write(b"070701" + b"".join(b"%08X" % field for field in fields) + encoded)
        self._pad()
        self.out.write(data)
        self._pad()

    def _pad(self):
        self.out.write(bytes(-self.out.tell() % 4))

    def mkdir(self, name):
        """Create a directory and those above it, once each."""
        if not name or name in self.dirs:
            return
        self.mkdir(os.path.dirname(name))
        self.dirs.add(name)
        self.add(name, S_IFDIR | 0o755)

    def file(self, name, data, mode=0o755):
        self.mkdir(os.path.dirname(name))
        self.add(name, S_IFREG | mode, data)

    def tree(self, source, target):
        """Add what lies under a folder; links are followed if they lead out of it."""
        self.mkdir(target)
        for folder, dirs, files in os.walk(source):
            dirs.sort()
            base = os.path.normpath(os.path.join(target, os.path.relpath(folder, source)))
            self.mkdir(base)
            for name in sorted(files + [d for d in dirs if os.path.islink(os.path.join(folder, d))]):
                self._entry(os.path.join(folder, name), os.path.join(base, name))

    def _entry(self, path, name):
        if os.path.islink(path) and not os.path.isabs(os.readlink(path)):
            self.add(name, S_IFLNK | 0o777, os.readlink(path).encode())
        elif stat.S_ISREG(os.stat(path).st_mode):
            with open(path, "rb") as handle:
                self.add(name, S_IFREG | (os.stat(path).st_mode & 0o777), handle.read())

    def close(self):
        self.add("TRAILER!!!", 0)
        self.out.write(bytes(-self.out.tell() % 512))
        self.out.close()


def modinfo(data, field):
    """The values of one field of a module's .modinfo section."""
    found = re.findall(rb"(?:^|\0)" + field.encode() + rb"=([^\0]*)\0", data)
    return [value.decode() for value in found]


class ModuleTree:
    """The modules that come with a kernel, in its build tree or below /lib/modules."""

    def __init__(self, folder):
        self.paths = {}
        for path in glob.glob(os.path.join(folder, "**", "*.ko*"), recursive=True):
            name = re.sub(r"\.ko(\.xz)?$", "", os.path.basename(path)).replace("-", "_")
            self.paths[name] = path

    def read(self, name):
        path = self.paths.get(name.replace("-", "_"))
        if not path:
            raise ValueError(f"the kernel has no module {name}")
        with open(path, "rb") as handle:
            data = handle.read()
        return lzma.decompress(data) if path.endswith(".xz") else data

    def closure(self, name, seen):
        """The module and what it depends on, dependencies first, as (name, content)."""
        data = self.read(name)
        result = []
        for deps in modinfo(data, "depends"):
            for dep in filter(None, deps.split(",")):
                if dep.replace("-", "_") not in seen:
                    result += self.closure(dep, seen)
        seen.add(name.replace("-", "_"))
        return result + [(name, data)]


def module_lines(payload, insmod):
    """What is to be loaded, in order: the options' modules, then what the payload names.

    A line is a module and its parameters: `okvm.ko device_name=kvm` is a file of the payload,
    `kvm_intel enable_apicv=0` (no suffix) a module of the booted kernel, with its dependencies.
    `-kvm_intel` is not loaded: the payload finds it and its dependencies in /modules.
    Without a file `modules` every .ko at the top of the payload is loaded.
    """
    lines = list(insmod)
    listing = os.path.join(payload, "modules")
    if os.path.exists(listing):
        with open(listing, encoding="utf-8") as handle:
            lines += [line.strip() for line in handle]
    elif not insmod:
        lines += sorted(os.path.basename(p) for p in glob.glob(os.path.join(payload, "*.ko")))
    return [line for line in lines if line and not line.startswith("#")]


def build(path, busybox, init, payload, insmod, kernel_modules, command):
    """Write the initramfs. `kernel_modules` is a function, as looking for them takes a moment."""
    cpio = Cpio(path)
    for folder in ("bin", "dev", "proc", "sys", "tmp", "run", "etc", "root", "payload"):
        cpio.mkdir(folder)
    cpio.add("dev/console", S_IFCHR | 0o600, rdev=(5, 1))
    cpio.add("dev/null", S_IFCHR | 0o666, rdev=(1, 3))
    for source, name in ((busybox, "bin/busybox"), (init, "init")):
        with open(source, "rb") as handle:
            cpio.file(name, handle.read())
    cpio.tree(payload, "payload")

    tree, seen, load = None, set(), []
    for line in module_lines(payload, insmod):
        name, _, params = line.partition(" ")
        if name.endswith(".ko"):
            load.append(f"/payload/{name} {params}")
            continue
        tree = tree or kernel_modules()
        idle = name.startswith("-")
        name = name.lstrip("-").replace("-", "_")
        if name in seen:
            continue
        for dep, data in tree.closure(name, seen):
            cpio.file(f"modules/{dep}.ko", data, 0o644)
            if not idle:
                load.append(f"/modules/{dep}.ko {params if dep == name else ''}")
    cpio.file("etc/bench.modules", "".join(line.strip() + "\n" for line in load).encode(), 0o644)
    cpio.file("etc/bench.command", command.encode() + b"\n", 0o644)
    cpio.file("etc/passwd", b"root::0:0:root:/root:/bin/sh\n", 0o644)
    cpio.file("etc/group", b"root:x:0:\nkvm:x:104:\n", 0o644)
    cpio.close()
