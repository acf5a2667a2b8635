// SPDX-License-Identifier: GPL-2.0-only
/*
 * okvm-run: a virtio disk on a file or block device. One worker serves the requests in order.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "virtio.h"

#define SECTOR		512ull
#define SEG_MAX		(QUEUE_SIZE - 2)	/* header and status are descriptors too */

struct disk {
	struct virtio_dev dev;
	struct virtio_blk_config config;
	int fd;
	bool read_only;
};

static uint64_t iov_length(const struct iovec *iov, unsigned int n)
{
	uint64_t len = 0;

	for (unsigned int i = 0; i < n; i++)
		len += iov[i].iov_len;
	return len;
}

/* Transfers all of iov or fails; iov is used up on the way. */
static bool transfer(struct disk *disk, struct iovec *iov, unsigned int n, uint64_t pos, bool write)
{
	while (n) {
		ssize_t done;

		done = write ? pwritev(disk->fd, iov, n, pos) : preadv(disk->fd, iov, n, pos);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return !iov_length(iov, n);
		pos += done;
		while (n && (size_t)done >= iov->iov_len) {
			done -= iov->iov_len;
			iov++;
			n--;
		}
		if (n) {
			iov->iov_base = (uint8_t *)iov->iov_base + done;
			iov->iov_len -= done;
		}
	}
	return true;
}

static bool in_range(const struct disk *disk, uint64_t sector, uint64_t len)
{
	return !(len % SECTOR) && sector <= disk->config.capacity &&
	       len / SECTOR <= disk->config.capacity - sector;
}

/* The data of a request: what follows the header, or what precedes the status byte. */
static uint8_t request(struct disk *disk, const struct virtio_blk_outhdr *head, struct iovec *out,
		       unsigned int nr_out, struct iovec *in, unsigned int nr_in)
{
	bool write = head->type == VIRTIO_BLK_T_OUT;
	struct iovec *iov = write ? out : in;
	unsigned int n = write ? nr_out : nr_in;

	switch (head->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		if (!in_range(disk, head->sector, iov_length(iov, n)) || (write && disk->read_only))
			return VIRTIO_BLK_S_IOERR;
		return transfer(disk, iov, n, head->sector * SECTOR, write) ? VIRTIO_BLK_S_OK :
									      VIRTIO_BLK_S_IOERR;
	case VIRTIO_BLK_T_FLUSH:
		return fdatasync(disk->fd) ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_GET_ID:
		if (nr_in)
			strncpy(in->iov_base, "okvm-run", in->iov_len);
		return VIRTIO_BLK_S_OK;
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}

/*
 * The header is the first buffer, the status byte the last one, each by itself, as every driver
 * lays them out. A request of another shape is handed back unserved.
 */
static void serve(struct disk *disk, struct virtq *q, struct chain *chain)
{
	struct virtio_blk_outhdr head;
	uint32_t written = 0;

	if (chain->nr_out && chain->out[0].iov_len == sizeof(head) && chain->nr_in &&
	    chain->in[chain->nr_in - 1].iov_len == 1) {
		uint8_t *status = chain->in[chain->nr_in - 1].iov_base;

		memcpy(&head, chain->out[0].iov_base, sizeof(head));
		written = iov_length(chain->in, chain->nr_in);
		*status = request(disk, &head, chain->out + 1, chain->nr_out - 1, chain->in,
				  chain->nr_in - 1);
	}
	virtq_push(q, chain, written);
}

static void *worker(void *arg)
{
	struct disk *disk = arg;
	struct virtq *q = &disk->dev.queue[0];
	struct chain chain;

	for (;;) {
		virtq_wait(q);
		pthread_mutex_lock(&disk->dev.lock);
		while (virtq_pop(q, &chain)) {
			serve(disk, q, &chain);
			virtq_signal(q);
		}
		pthread_mutex_unlock(&disk->dev.lock);
	}
	return NULL;
}

void virtio_blk_create(struct machine *m, const char *path)
{
	struct disk *disk = calloc(1, sizeof(*disk));
	off_t size;

	if (!disk)
		die("out of memory");
	disk->fd = open(path, O_RDWR | O_CLOEXEC);
	if (disk->fd < 0 && (errno == EACCES || errno == EROFS || errno == EPERM)) {
		disk->fd = open(path, O_RDONLY | O_CLOEXEC);
		disk->read_only = true;
	}
	size = disk->fd < 0 ? -1 : lseek(disk->fd, 0, SEEK_END);
	if (size < 0)
		die("cannot open disk %s: %s", path, strerror(errno));
	if (size < (off_t)SECTOR)
		die("disk %s is empty: make one with 'truncate -s 1G %s'", path, path);
	disk->config.capacity = size / SECTOR;
	disk->config.seg_max = SEG_MAX;
	disk->config.blk_size = SECTOR;
	disk->dev = (struct virtio_dev) {
		.id = VIRTIO_ID_BLOCK,
		.features = 1ull << VIRTIO_BLK_F_SEG_MAX | 1ull << VIRTIO_BLK_F_BLK_SIZE |
			    1ull << VIRTIO_BLK_F_FLUSH |
			    (uint64_t)disk->read_only << VIRTIO_BLK_F_RO,
		.nr_queues = 1,
		.config = &disk->config,
		.config_len = sizeof(disk->config),
	};
	virtio_add(m, &disk->dev);
	virtio_worker(&disk->dev, worker, disk);
}
