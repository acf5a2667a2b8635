// SPDX-License-Identifier: GPL-2.0-only
/*
 * okvm-run: a pair of queues, the first fed from a file, the second written to one. Network (with a
 * tap) and console (with the terminal) are both just that.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "virtio.h"

/* A packet for one chain. Returns false when there is no more, or no buffer for it. */
static bool receive_one(struct stream *s, struct virtq *q, struct chain *chain, bool *starved)
{
	ssize_t len;

	*starved = !virtq_pop(q, chain);
	if (*starved)
		return false;
	len = readv(s->in, chain->in, chain->nr_in);
	if (len <= 0) {
		q->next--;	/* not used: it stays available */
		return false;
	}
	if (s->net && chain->in[0].iov_len >= sizeof(struct virtio_net_hdr_v1))
		((struct virtio_net_hdr_v1 *)chain->in[0].iov_base)->num_buffers = 1;
	virtq_push(q, chain, len);
	return true;
}

/* The file is never waited for with the lock held, so that the driver can reset the device. */
static void *receiver(void *arg)
{
	struct stream *s = arg;
	struct virtq *q = &s->dev->queue[0];
	struct pollfd pfd = { .fd = s->in, .events = POLLIN };
	struct chain chain;
	bool starved, any;

	for (;;) {
		if (poll(&pfd, 1, -1) < 0 && errno != EINTR)
			die("virtio: poll: %s", strerror(errno));
		pthread_mutex_lock(&s->dev->lock);
		for (any = false; receive_one(s, q, &chain, &starved); any = true)
			;
		if (any)
			virtq_signal(q);
		pthread_mutex_unlock(&s->dev->lock);
		if (starved)
			virtq_wait(q);
	}
	return NULL;
}

static void *sender(void *arg)
{
	struct stream *s = arg;
	struct virtq *q = &s->dev->queue[1];
	struct chain chain;

	for (;;) {
		bool any = false;

		virtq_wait(q);
		pthread_mutex_lock(&s->dev->lock);
		for (; virtq_pop(q, &chain); any = true) {
			/* A network may lose a packet, and nobody may be reading the terminal. */
			ssize_t len = writev(s->out, chain.out, chain.nr_out);

			(void)len;
			virtq_push(q, &chain, 0);
		}
		if (any)
			virtq_signal(q);
		pthread_mutex_unlock(&s->dev->lock);
	}
	return NULL;
}

void stream_start(struct stream *stream)
{
	virtio_worker(stream->dev, receiver, stream);
	virtio_worker(stream->dev, sender, stream);
}

struct console {
	struct virtio_dev dev;
	struct stream stream;
};

/* The main thread puts the terminal's input into a pipe; m->console_fd is its end. */
void virtio_console_create(struct machine *m)
{
	struct console *console = calloc(1, sizeof(*console));
	int fds[2];

	if (!console || pipe2(fds, O_CLOEXEC | O_NONBLOCK))
		die("cannot create the console: %s", strerror(errno));
	m->console_fd = fds[1];
	console->dev = (struct virtio_dev) { .id = VIRTIO_ID_CONSOLE, .nr_queues = 2 };
	console->stream = (struct stream) {
		.dev = &console->dev, .in = fds[0], .out = STDOUT_FILENO,
	};
	virtio_add(m, &console->dev);
	stream_start(&console->stream);
}
