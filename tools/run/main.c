// SPDX-License-Identifier: GPL-2.0-only
/*
 * okvm-run: options, the terminal, and the wait for the guest's end.
 */
#include <argp.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "run.h"
#include "../../uapi/okvm.h"

enum { OPT_LOAD = 256, OPT_MODE, OPT_IRQCHIP, OPT_STATS, OPT_NET, OPT_CONSOLE, OPT_MMU };

static struct termios saved_termios;
static bool termios_saved;

static void print_line(const char *fmt, va_list args)
{
	fputs(termios_saved ? "\r\nokvm-run: " : "okvm-run: ", stderr);
	vfprintf(stderr, fmt, args);
	fputs(termios_saved ? "\r\n" : "\n", stderr);
}

void say(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_line(fmt, args);
	va_end(args);
}

void die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_line(fmt, args);
	va_end(args);
	exit(STATUS_ERROR);
}

static void terminal_restore(void)
{
	if (termios_saved)
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved_termios);
	termios_saved = false;
}

/* The guest's own terminal driver does echo, line editing and signals. */
static void terminal_raw(void)
{
	struct termios raw;

	if (!isatty(STDIN_FILENO) || tcgetpgrp(STDIN_FILENO) != getpgrp())
		return;
	if (tcgetattr(STDIN_FILENO, &saved_termios))
		return;
	raw = saved_termios;
	cfmakeraw(&raw);
	raw.c_oflag |= OPOST;
	atexit(terminal_restore);
	termios_saved = true;
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

static uint64_t parse_size(struct argp_state *state, const char *arg)
{
	static const char units[] = "KMGT";
	char *end;
	uint64_t size;
	const char *unit;

	errno = 0;
	size = strtoull(arg, &end, 0);
	unit = *end ? strchr(units, *end & ~0x20) : NULL;
	if (unit) {
		unsigned int shift = 10 * (unit - units + 1);

		if (size >> (63 - shift))
			errno = ERANGE;
		size <<= shift;
		end++;
	}
	if (errno || end == arg || *end)
		argp_error(state, "'%s' is not a number (units are K, M, G, T)", arg);
	return size;
}

static int parse_mmu(struct argp_state *state, const char *arg)
{
	if (!strcmp(arg, "tdp"))
		return OKVM_MMU_TDP;
	if (strcmp(arg, "shadow"))
		argp_error(state, "--mmu is tdp or shadow, not '%s'", arg);
	return OKVM_MMU_SHADOW;
}

static enum cpu_mode parse_mode(struct argp_state *state, const char *arg)
{
	static const char * const names[] = { "real", "protected", "long" };

	for (unsigned int i = 0; i < 3; i++)
		if (!strcmp(arg, names[i]))
			return i;
	argp_error(state, "--mode is real, protected or long, not '%s'", arg);
	return MODE_REAL;
}

static unsigned int parse_cpus(struct argp_state *state, const char *arg)
{
	uint64_t cpus = parse_size(state, arg);

	if (!cpus || cpus > 255)
		argp_error(state, "--cpus is 1 to 255, not '%s'", arg);
	return cpus;
}

static void parse_net(struct argp_state *state, struct options *opt, const char *arg)
{
	if (strncmp(arg, "tap=", 4) || !arg[4])
		argp_error(state, "--net takes tap=NAME, not '%s'", arg);
	if (opt->nr_disk + opt->nr_tap >= MAX_VIRTIO - 1)
		argp_error(state, "at most %d disks and networks", MAX_VIRTIO - 1);
	opt->tap[opt->nr_tap++] = arg + 4;
}

static void check_options(struct argp_state *state, struct options *opt)
{
	if (!opt->kernel == !opt->flat)
		argp_error(state, "give one of --kernel FILE and --flat FILE");
	if (opt->initrd && !opt->kernel)
		argp_error(state, "--initrd goes with --kernel");
	if (opt->kernel)
		opt->irqchip = true;
	if (!opt->irqchip && (opt->nr_disk || opt->nr_tap || opt->virtio_console))
		argp_error(state, "devices need --irqchip");
	if (!opt->irqchip && opt->cpus > 1)
		argp_error(state, "more than one CPU needs --irqchip");
	if (opt->memory < (1 << 20) || opt->memory & 0xfff)
		argp_error(state, "--memory is at least 1M and a multiple of 4K");
}

/* Options that are taken as they are. */
static bool plain_option(struct options *opt, int key, char *arg)
{
	const struct { int key; const char **to; } strings[] = {
		{ 'D', &opt->device }, { 'k', &opt->kernel }, { 'i', &opt->initrd },
		{ 'a', &opt->append }, { 'f', &opt->flat },
	};
	const struct { int key; bool *to; } flags[] = {
		{ OPT_IRQCHIP, &opt->irqchip }, { OPT_STATS, &opt->stats },
		{ OPT_CONSOLE, &opt->virtio_console },
	};

	bool found = false;

	for (unsigned int i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		if (strings[i].key == key) {
			*strings[i].to = arg;
			found = true;
		}
	for (unsigned int i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (flags[i].key == key) {
			*flags[i].to = true;
			found = true;
		}
	return found;
}

static error_t parse_opt(int key, char *arg, struct argp_state *state)
{
	struct options *opt = state->input;

	switch (key) {
	case 'm':
		opt->memory = parse_size(state, arg);
		break;
	case 'c':
		opt->cpus = parse_cpus(state, arg);
		break;
	case OPT_LOAD:
		opt->load_addr = parse_size(state, arg);
		break;
	case OPT_MODE:
		opt->mode = parse_mode(state, arg);
		break;
	case OPT_MMU:
		opt->mmu = parse_mmu(state, arg);
		break;
	case OPT_NET:
		parse_net(state, opt, arg);
		break;
	case 'd':
		if (opt->nr_disk + opt->nr_tap >= MAX_VIRTIO - 1)
			argp_error(state, "at most %d disks and networks", MAX_VIRTIO - 1);
		opt->disk[opt->nr_disk++] = arg;
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "what is '%s' for?", arg);
		break;
	case ARGP_KEY_END:
		check_options(state, opt);
		break;
	default:
		return plain_option(opt, key, arg) ? 0 : ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp_option argp_options[] = {
	{ "kernel", 'k', "FILE", 0, "Linux kernel: a bzImage (vmlinuz) or an ELF vmlinux", 1 },
	{ "initrd", 'i', "FILE", 0, "initial RAM disk", 1 },
	{ "append", 'a', "STRING", 0,
	  "added to 'console=ttyS0 panic=-1 reboot=k pci=off', the kernel's command line", 1 },
	{ "flat", 'f', "FILE", 0, "flat binary, loaded and started at one address", 2 },
	{ "load", OPT_LOAD, "ADDR", 0, "where the flat binary goes (0x1000)", 2 },
	{ "mode", OPT_MODE, "MODE", 0,
	  "flat binary starts in real (default), protected or long mode", 2 },
	{ "irqchip", OPT_IRQCHIP, NULL, 0,
	  "give a flat binary LAPIC, IOAPIC, PIC and PIT (else HLT ends it)", 2 },
	{ "memory", 'm', "SIZE", 0, "guest memory (256M)", 3 },
	{ "cpus", 'c', "N", 0, "number of vCPUs (1)", 3 },
	{ "disk", 'd', "FILE", 0, "virtio disk on a file or block device; repeatable", 3 },
	{ "net", OPT_NET, "tap=NAME", 0, "virtio network card on a tap; repeatable", 3 },
	{ "virtio-console", OPT_CONSOLE, NULL, 0,
	  "input goes to hvc0 instead of the serial port; output of both is shown", 3 },
	{ "device", 'D', "PATH", 0, "hypervisor (/dev/okvm); /dev/kvm works as well", 4 },
	{ "mmu", OPT_MMU, "WAY", 0,
	  "translate guest memory by hardware (tdp) or by shadow page tables (shadow)", 4 },
	{ "stats", OPT_STATS, NULL, 0,
	  "at the end print exits to userspace by reason, kernel counters, cycles of exits", 4 },
	{ 0 }
};

const char *argp_program_version = "okvm-run " OKVM_VERSION;

static const struct argp argp = {
	.options = argp_options,
	.parser = parse_opt,
	.doc = "Run a Linux kernel or a flat binary as a virtual machine.\v\n"
	"The guest's serial port is the terminal. Ctrl-A x leaves, Ctrl-A Ctrl-A sends one Ctrl-A.\n\n"
	"Exit status: 0 after a poweroff, the byte that the guest wrote to port 0xf4,\n"
	"1 after an error, 2 for bad options, 3 after a reset, 4 after a triple fault.",
};

/* Returns false when the user wants to leave. */
static bool terminal_input(struct machine *m, const uint8_t *in, size_t len)
{
	static bool escaped;
	uint8_t out[64];
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (termios_saved && !escaped && in[i] == ('A' & 0x1f)) {
			escaped = true;
			continue;
		}
		if (escaped && (in[i] == 'x' || in[i] == 'X'))
			return false;
		escaped = false;
		out[n++] = in[i];
	}
	if (!m->opt->virtio_console)
		serial_input(m, out, n);
	else if (n && write(m->console_fd, out, n) < 0 && errno != EAGAIN)
		die("cannot write to the console: %s", strerror(errno));
	return true;
}

/* Sleeps until the guest has ended or the user or a signal ends it. */
static void wait_for_end(struct machine *m, int signal_fd)
{
	struct pollfd fds[] = {
		{ .fd = m->stop_fd, .events = POLLIN },
		{ .fd = signal_fd, .events = POLLIN },
		{ .fd = STDIN_FILENO, .events = POLLIN },
	};
	struct signalfd_siginfo info;
	uint8_t buf[64];

	while (!__atomic_load_n(&m->stopping, __ATOMIC_ACQUIRE)) {
		size_t room = m->opt->virtio_console ? sizeof(buf) : serial_room(m);
		ssize_t n;

		/* A guest that does not read its input leaves it in the terminal. */
		fds[2].events = room ? POLLIN : 0;
		if (poll(fds, 3, room ? -1 : 50) < 0 && errno != EINTR)
			die("poll: %s", strerror(errno));
		if (fds[1].revents & POLLIN &&
		    read(signal_fd, &info, sizeof(info)) == sizeof(info))
			machine_stop(m, 128 + info.ssi_signo);
		if (!room || !(fds[2].revents & (POLLIN | POLLHUP | POLLERR | POLLNVAL)))
			continue;
		n = read(STDIN_FILENO, buf, room < sizeof(buf) ? room : sizeof(buf));
		if (n <= 0)
			fds[2].fd = -1;
		else if (!terminal_input(m, buf, n))
			machine_stop(m, STATUS_OFF);
	}
}

static int block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

int main(int argc, char **argv)
{
	struct options opt = {
		.device = "/dev/okvm",
		.append = "",
		.memory = 256ull << 20,
		.cpus = 1,
		.load_addr = 0x1000,
		.mmu = -1,
	};
	static struct machine m;
	int signal_fd;

	argp_err_exit_status = STATUS_USAGE;
	argp_parse(&argp, argc, argv, 0, NULL, &opt);
	signal_fd = block_signals();

	machine_create(&m, &opt);
	ports_create(&m);
	serial_create(&m);
	virtio_create(&m);
	if (opt.kernel)
		linux_load(&m);
	else
		flat_load(&m);

	terminal_raw();
	vcpus_start(&m);
	wait_for_end(&m, signal_fd);
	vcpus_join(&m);
	terminal_restore();
	if (opt.stats)
		stats_print(&m);
	return m.status;
}
