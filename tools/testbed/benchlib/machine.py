# SPDX-License-Identifier: GPL-2.0-only
"""The machines that a bench can be: Bochs (VMX emulated), QEMU with KVM, QEMU with TCG (SVM emulated)."""

import os
import re
import shutil
import subprocess

from . import direct

# One emulated second is this many instructions, and the TSC counts instructions.
BOCHS_IPS = 50_000_000

BOCHS_RC = """\
megs: {memory}
cpu: model={model}, count={cpus}, ips={ips}, reset_on_triple_fault=0, cpuid_limit_winnt=0
romimage: file={share}/BIOS-bochs-latest
vgaromimage: file={share}/VGABIOS-lgpl-latest
optromimage1: file={rom}, address=0xd0000
optramimage1: file={image}, address={image_at:#x}
boot: disk
ata0: enabled=0
com1: enabled=1, {serial}
display_library: {display}
log: {log}
clock: sync=none
panic: action=fatal
error: action=report
info: action=report
debug: action=ignore
speaker: enabled=0
"""
# What is written to this port comes out of Bochs' standard output.
BOCHS_PORT = "port_e9_hack: enabled=1, all_rings=0\n"
# Without it Debian's build looks for a sound card; the corrected one has no sound.
BOCHS_SOUND = "sound: driver=dummy\n"

# Who makes each version, and prints its folder.
BOCHS_MAKERS = {"3.0 corrected": ["bochs-build"], "3.0 counting": ["bochs-build", "--counting"],
                "3.0": ["bochs-get"]}


class Job:
    """What is to be booted: the kernel's files, the initramfs and where things may be written."""

    def __init__(self, kernel, initrd, cmdline, folder, cpus, memory, model):
        self.kernel, self.initrd, self.cmdline, self.folder = kernel, initrd, cmdline, folder
        self.cpus, self.memory, self.model = cpus, memory, model
        # Where port 0xe9 goes; a machine that takes its own standard output for it says so.
        self.port_file = os.path.join(folder, "port.out")

    def sent_file(self):
        """What the module sendout sent: from its line with the length on. None if it is not all there."""
        with open(self.port_file, "rb") as handle:
            text = handle.read()
        found = re.search(rb"\n@@bench file (\d+)@@\n", text)
        if not found:
            return None
        content = text[found.end():found.end() + int(found.group(1))]
        return content if len(content) == int(found.group(1)) else None


class Bochs:
    """Bochs with Intel VMX, the kernel put straight into memory."""

    cmdline = f"tsc_early_khz={BOCHS_IPS // 1000} tsc=reliable"
    default_model = "corei7_skylake_x"
    port_is_stdout = True

    def __init__(self, testbed, cache, version):
        self.testbed, self.cache, self.version = testbed, cache, version
        self.log = None
        # Debian's builds have the internal debugger.
        self.debugger = version in ("3.0", "2.7")
        if version == "2.7":
            self.bochs, self.share = "bochs", "/usr/share/bochs"
        else:
            maker, *words = BOCHS_MAKERS[version]
            folder = subprocess.run([os.path.join(testbed, maker), *words], check=True,
                                    stdout=subprocess.PIPE, text=True).stdout.strip()
            self.bochs, self.share = folder + "/bin/bochs", folder + "/root/usr/share/bochs"

    def describe(self):
        return f"Bochs {self.version}"

    def command(self, job, port):
        flat = direct.flatten(job.kernel.image, self.cache)
        image = os.path.join(job.folder, "image.bin")
        direct.write_image(image, flat, job.initrd, job.cmdline, job.memory << 20)
        self.log = os.path.join(job.folder, "bochs.log")
        config = BOCHS_RC.format(
            memory=job.memory, model=job.model or self.default_model, cpus=job.cpus,
            ips=BOCHS_IPS, share=self.share, image=image, image_at=direct.IMAGE,
            rom=direct.option_rom(os.path.join(self.testbed, "rom", "entry.S"), self.cache),
            serial=f"mode=socket-client, dev=localhost:{port}", log=self.log, display=self._display())
        with open(os.path.join(job.folder, "bochsrc"), "w", encoding="ascii") as handle:
            handle.write(config + BOCHS_PORT + (BOCHS_SOUND if self.debugger else ""))
        command = [self.bochs, *self._loop(job), "-q", "-f", os.path.join(job.folder, "bochsrc")]
        if not self.debugger:
            return command
        # The debugger waits for a command to go on.
        with open(os.path.join(job.folder, "go"), "w", encoding="ascii") as handle:
            handle.write("c\n")
        return command + ["-rc", os.path.join(job.folder, "go")]

    def _loop(self, job):
        """The option that chooses a loop over several CPUs which keeps RIP.

        After an exception that the guest takes by itself, the plain loop of 3.0 leaves the "previous
        RIP" at the faulting instruction (main.cc, setjmp); an external interrupt that ends the guest
        before the handler's first instruction then saves that as the guest's RIP, with the
        handler's CS and RSP. The debugger's loop sets it.
        """
        return ["-debugger"] if job.cpus > 1 and self.version == "3.0" else []

    def _display(self):
        return 'rfb, options="timeout=0"'

    def post_mortem(self):
        """The lines of the Bochs log that tell why a machine died."""
        if not self.log or not os.path.exists(self.log):
            return []
        with open(self.log, encoding="utf-8", errors="replace") as handle:
            lines = handle.read().splitlines()
        telling = [line for line in lines
                   if re.match(r"\d+p", line) or "VMFAIL" in line or "exception" in line]
        return telling[-15:]


class Qemu:
    """QEMU, with or without hardware virtualization."""

    port_is_stdout = False

    def __init__(self, kvm, program="qemu-system-x86_64"):
        self.kvm, self.program = kvm, program
        # A busy computer is late with the ticks that Linux counts to see whether the timer works.
        self.cmdline = "" if kvm else "no_timer_check"

    def describe(self):
        newer = "" if self.program == "qemu-system-x86_64" else " of Debian 13"
        return "QEMU with KVM" if self.kvm else f"QEMU TCG{newer} (SVM, no VMX)"

    def command(self, job, port):
        accel = ["-accel", "kvm", "-cpu", job.model or "host"] if self.kvm else \
            ["-accel", "tcg,thread=multi", "-cpu", job.model or "max"]
        return [self.program, *accel, "-machine", "pc", "-nodefaults", "-no-user-config",
                "-display", "none", "-no-reboot", "-m", str(job.memory), "-smp", str(job.cpus),
                "-kernel", job.kernel.bzimage, "-initrd", job.initrd, "-append", job.cmdline,
                "-chardev", f"socket,id=con,host=127.0.0.1,port={port}",
                "-serial", "chardev:con",
                "-chardev", f"file,id=port,path={job.port_file}",
                "-device", "isa-debugcon,chardev=port,iobase=0xe9"]

    def post_mortem(self):
        return []


def _host_has_nested(flag, name, module):
    """Whether a guest of this host would have VMX or SVM, and the reason for the answer."""
    try:
        with open("/proc/cpuinfo", encoding="ascii") as handle:
            if not re.search(rf"^flags\s*:.*\b{flag}\b", handle.read(), re.M):
                return False, f"this CPU has no {name}"
        if not os.access("/dev/kvm", os.R_OK | os.W_OK):
            return False, "/dev/kvm is missing or closed to this user"
        with open(f"/sys/module/{module}/parameters/nested", encoding="ascii") as handle:
            if handle.read().strip() not in ("1", "Y"):
                return False, f"{module} is loaded without nested=1"
    except OSError:
        return False, f"{module} is not in use here"
    return True, f"the host's KVM gives its guests {name}"


def quickest(backend):
    """What runs a guest soonest and builds nothing: (machine, what it is and why).

    `backend` is "vmx", "svm", or "" for either.
    """
    reasons = []
    for flag, name, module in (("vmx", "VMX", "kvm_intel"), ("svm", "SVM", "kvm_amd")):
        if backend in ("", flag):
            nested, why = _host_has_nested(flag, name, module)
            if nested:
                return "qemu-kvm", f"QEMU with {name}, for {why}"
            reasons.append(why)
    why = "; ".join(reasons)
    if backend == "vmx":
        return "bochs3.0", f"Bochs, which emulates VMX, for {why}"
    return "tcg", f"QEMU, which emulates SVM, for {why}"


def choose(name, testbed, cache):
    """The machine by that name, and why it was chosen."""
    if name == "tcg":
        return Qemu(kvm=False), "asked for"
    if name == "tcg10":
        pack = subprocess.run([os.path.join(testbed, "qemu-pack"), "trixie"], check=True,
                              stdout=subprocess.PIPE, text=True).stdout.strip()
        return Qemu(kvm=False, program=os.path.join(pack, "qemu")), "asked for"
    if name == "qemu-kvm":
        return Qemu(kvm=True), "asked for"
    if name == "bochs2.7":
        return Bochs(testbed, cache, "2.7"), "asked for"
    if name == "bochs3.0":
        return Bochs(testbed, cache, "3.0"), "asked for"
    if name == "bochs":
        return Bochs(testbed, cache, "3.0 corrected"), "asked for"
    if name == "bochs-counting":
        return Bochs(testbed, cache, "3.0 counting"), "asked for"
    nested, why = _host_has_nested("vmx", "VMX", "kvm_intel")
    if nested and shutil.which("qemu-system-x86_64"):
        return Qemu(kvm=True), why
    failed = ""
    for version in ("3.0 corrected", "3.0"):
        try:
            return Bochs(testbed, cache, version), f"{why}, so VMX is emulated{failed}"
        except (OSError, subprocess.CalledProcessError):
            failed += f"; no Bochs {version}"
    return Bochs(testbed, cache, "2.7"), f"{why}, so VMX is emulated{failed}"
