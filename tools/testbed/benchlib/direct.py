# SPDX-License-Identifier: GPL-2.0-only
"""Linux straight into the memory of a machine: flat kernel image, zero page, option ROM.

The kernel is taken decompressed, so nothing is decompressed inside an emulated CPU, and it is
entered by the 64-bit boot protocol. The addresses of the boot area are those of rom/entry.S.
"""

import hashlib
import lzma
import os
import struct
import subprocess
import zlib

ZERO_PAGE = 0x200000
CMDLINE = 0x201000
GDT = 0x202000
PAGE_TABLES = 0x203000
ENTRY = 0x209000
BOOT_AREA_END = 0x20A000
CMDLINE_MAX = 2047

# The image as Bochs loads it: a gap (the ROM says why), the header, the boot area, the kernel and
# the initrd, each from a page of its own.
IMAGE = 0x8000000
IMAGE_GAP = 16 << 20
IMAGE_MAGIC = b"okvm"
PAGE = 4096

PT_LOAD = 1


def _unpack_xz(data):
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ).decompress(data)


def _unpack_lzma(data):
    return lzma.LZMADecompressor(format=lzma.FORMAT_ALONE).decompress(data)


def _unpack_gzip(data):
    return zlib.decompressobj(wbits=31).decompress(data)


def _unpack_with(*command):
    def unpack(data):
        # The payload carries its length behind it; the tools complain about that, having
        # written everything before.
        done = subprocess.run(command, input=data, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, check=False)
        return done.stdout
    return unpack


# The first bytes of a payload, what unpacks it, and the Debian package that this needs.
UNPACKERS = (
    (b"\xfd7zXZ\x00", _unpack_xz, ""),
    (b"\x1f\x8b", _unpack_gzip, ""),
    (b"\x5d\x00\x00", _unpack_lzma, ""),
    (b"\x02\x21\x4c\x18", _unpack_with("lz4", "-dcq"), "lz4"),
    (b"\x28\xb5\x2f\xfd", _unpack_with("zstd", "-dcq"), "zstd"),
    (b"\x7fELF", lambda data: data, ""),
)


def _payload_of(path):
    """The payload of a bzImage, or a whole ELF kernel."""
    with open(path, "rb") as kernel:
        data = kernel.read()
    if data[:4] == b"\x7fELF":
        return data
    if data[0x202:0x206] != b"HdrS":
        raise ValueError(f"{path} is neither an ELF kernel nor a bzImage")
    setup_sects = data[0x1F1] or 4
    offset, length = struct.unpack_from("<II", data, 0x248)
    start = (setup_sects + 1) * 512 + offset
    return data[start:start + length]


def package_of(path):
    """The Debian package that write_vmlinux() needs for this kernel file; "" if none."""
    payload = _payload_of(path)
    return next((package for magic, _, package in UNPACKERS if payload.startswith(magic)), "")


def vmlinux_of(path):
    """The ELF image in a kernel file: of a bzImage its decompressed payload."""
    payload = _payload_of(path)
    for magic, unpack, _ in UNPACKERS:
        if payload.startswith(magic):
            elf = unpack(payload)
            if elf[:4] == b"\x7fELF":
                return elf
    raise ValueError(f"{path}: the compression of the kernel is not known")


def write_vmlinux(kernel, path):
    """Write the ELF image in a kernel file, without the relocations behind it, which KASLR wants."""
    elf = vmlinux_of(kernel)
    phoff, shoff = struct.unpack_from("<QQ", elf, 0x20)
    phentsize, phnum, shentsize, shnum = struct.unpack_from("<HHHH", elf, 0x36)
    end = shoff + shentsize * shnum
    for i in range(phnum):
        offset, _, _, filesz = struct.unpack_from("<QQQQ", elf, phoff + i * phentsize + 8)
        end = max(end, offset + filesz)
    _write_atomically(path, elf[:end])


class FlatKernel:
    """A kernel as it lies in physical memory: `path` is loaded at `base`, entered at `entry`."""

    def __init__(self, path, base, end, entry):
        self.path, self.base, self.end, self.entry = path, base, end, entry


def flatten(kernel, cache):
    """Write the loadable segments of a kernel as one flat file of the cache, once per kernel."""
    stat = os.stat(kernel)
    key = hashlib.sha256(f"{os.path.realpath(kernel)}:{stat.st_size}:{stat.st_mtime_ns}"
                         .encode()).hexdigest()[:16]
    folder = os.path.join(cache, "flat")
    image = os.path.join(folder, key + ".bin")
    notes = os.path.join(folder, key + ".addr")
    if not os.path.exists(notes):
        os.makedirs(folder, exist_ok=True)
        base, end, entry, data = _flat_segments(vmlinux_of(kernel))
        _write_atomically(image, data)
        _write_atomically(notes, f"{base} {end} {entry}\n".encode())
    with open(notes, encoding="ascii") as handle:
        base, end, entry = map(int, handle.read().split())
    return FlatKernel(image, base, end, entry)


def _flat_segments(elf):
    entry, phoff = struct.unpack_from("<QQ", elf, 0x18)
    phentsize, phnum = struct.unpack_from("<HH", elf, 0x36)
    loads = []
    for i in range(phnum):
        ptype, _, offset, _, paddr, filesz, memsz = struct.unpack_from(
            "<IIQQQQQ", elf, phoff + i * phentsize)
        if ptype == PT_LOAD and memsz:
            loads.append((paddr, offset, filesz, memsz))
    base = min(load[0] for load in loads)
    end = max(load[0] + load[3] for load in loads)
    data = bytearray(max(load[0] + load[2] for load in loads) - base)
    for paddr, offset, filesz, _ in loads:
        data[paddr - base:paddr - base + filesz] = elf[offset:offset + filesz]
    return base, end, entry, bytes(data)


def _write_atomically(path, data):
    scratch = f"{path}.{os.getpid()}"
    with open(scratch, "wb") as handle:
        handle.write(data)
    os.rename(scratch, path)


def write_image(path, flat, initrd, cmdline, memory):
    """Write what Bochs is to load at IMAGE; `memory` is the size of the machine in bytes."""
    with open(flat.path, "rb") as handle:
        kernel = handle.read()
    with open(initrd, "rb") as handle:
        ramdisk = handle.read()
    kernel_at = PAGE + BOOT_AREA_END - ZERO_PAGE
    initrd_at = kernel_at + _pages(len(kernel)) * PAGE
    total = initrd_at + _pages(len(ramdisk)) * PAGE
    if flat.end > IMAGE or IMAGE + IMAGE_GAP + total + (32 << 20) > memory:
        raise ValueError(f"{memory >> 20} MB of memory do not hold the kernel and the payload")
    header = struct.pack("<4sIIIII", IMAGE_MAGIC, _pages(total), initrd_at, kernel_at,
                         len(kernel), flat.base)
    with open(path, "wb") as image:
        for offset, data in ((0, header), (PAGE, boot_area(flat.entry, cmdline, len(ramdisk))),
                             (kernel_at, kernel), (initrd_at, ramdisk)):
            image.seek(IMAGE_GAP + offset)
            image.write(data)
        image.truncate(IMAGE_GAP + total)


def _pages(size):
    return -(-size // PAGE)


def boot_area(entry, cmdline, initrd_size):
    """The memory from ZERO_PAGE to BOOT_AREA_END; the ROM adds the E820 map and the initrd's place."""
    if len(cmdline) > CMDLINE_MAX:
        raise ValueError("the kernel command line is too long")
    area = bytearray(BOOT_AREA_END - ZERO_PAGE)

    def put(address, fmt, *values):
        struct.pack_into(fmt, area, address - ZERO_PAGE, *values)

    # The setup header within the zero page, as if a boot loader of the newest protocol had
    # copied and completed it.
    put(ZERO_PAGE + 0x1FE, "<H", 0xAA55)
    put(ZERO_PAGE + 0x202, "<4sH", b"HdrS", 0x020F)
    put(ZERO_PAGE + 0x210, "<BB", 0xFF, 0x01)       # loader not registered; LOADED_HIGH
    put(ZERO_PAGE + 0x21C, "<I", initrd_size)
    put(ZERO_PAGE + 0x228, "<I", CMDLINE)
    put(ZERO_PAGE + 0x22C, "<I", 0x7FFFFFFF)        # initrd_addr_max
    put(ZERO_PAGE + 0x230, "<IB", 0x200000, 1)      # kernel_alignment, relocatable_kernel
    put(ZERO_PAGE + 0x236, "<H", 0x0001)            # xloadflags: 64-bit entry
    put(ZERO_PAGE + 0x238, "<I", CMDLINE_MAX)
    put(CMDLINE, f"<{len(cmdline) + 1}s", cmdline.encode())
    # Flat segments with the accessed bit set: null, 32-bit code, 64-bit code, data.
    put(GDT, "<QQQQ", 0, 0x00CF9B000000FFFF, 0x00AF9B000000FFFF, 0x00CF93000000FFFF)
    # One PML4, one PDPT, four page directories of 2 MiB pages.
    put(PAGE_TABLES, "<Q", (PAGE_TABLES + 0x1000) | 3)
    for gib in range(4):
        directory = PAGE_TABLES + 0x2000 + gib * 0x1000
        put(PAGE_TABLES + 0x1000 + gib * 8, "<Q", directory | 3)
        for i in range(512):
            put(directory + i * 8, "<Q", (gib << 30) | (i << 21) | 0x83)
    put(ENTRY, "<Q", entry)
    return bytes(area)


def option_rom(source, cache):
    """Assemble the option ROM into the cache; the last byte makes its checksum zero."""
    with open(source, "rb") as handle:
        key = hashlib.sha256(handle.read()).hexdigest()[:16]
    rom = os.path.join(cache, "flat", f"rom-{key}.bin")
    if os.path.exists(rom):
        return rom
    os.makedirs(os.path.dirname(rom), exist_ok=True)
    obj, raw = f"{rom}.{os.getpid()}.o", f"{rom}.{os.getpid()}.raw"
    try:
        subprocess.run(["gcc", "-c", "-o", obj, source], check=True)
        subprocess.run(["objcopy", "-O", "binary", "-j", ".text", obj, raw], check=True)
        with open(raw, "rb") as handle:
            data = bytearray(handle.read())
    finally:
        for path in (obj, raw):
            if os.path.exists(path):
                os.unlink(path)
    if len(data) != 512:
        raise ValueError(f"the option ROM has {len(data)} bytes, not 512")
    data[511] = -sum(data[:511]) & 0xFF
    _write_atomically(rom, bytes(data))
    return rom
