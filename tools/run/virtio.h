/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * okvm-run: virtio devices on the MMIO transport, version 2 ("Virtio Over MMIO" of the virtio
 * specification). A kick comes through an ioeventfd, an interrupt goes through an irqfd, so neither
 * passes through a vCPU thread.
 */
#ifndef OKVM_RUN_VIRTIO_H
#define OKVM_RUN_VIRTIO_H

#include <sys/uio.h>

#include "run.h"

#define QUEUE_SIZE	128
#define MAX_QUEUES	2

struct virtio_dev;

struct virtq {
	struct virtio_dev *dev;
	int kick;		/* eventfd */
	bool ready;
	uint32_t size;
	uint64_t desc_addr, avail_addr, used_addr;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t next;		/* of the avail ring */
	uint16_t used_idx;
};

/* One request: what the device reads, then what it may write. */
struct chain {
	uint16_t head;
	unsigned int nr_out, nr_in;
	struct iovec out[QUEUE_SIZE], in[QUEUE_SIZE];
};

/**
 * struct virtio_dev - a device behind one page of registers
 * @start: the driver is ready; called with lock held
 * @stop: the driver resets the device; called with lock held
 * @vhost: the kernel raises the interrupt, so its cause has to be assumed
 * @lock: held by workers while they touch the rings, and by the registers
 */
struct virtio_dev {
	struct machine *m;
	unsigned int index;
	uint32_t id;
	uint64_t features;
	unsigned int nr_queues;
	const void *config;
	size_t config_len;
	void (*start)(struct virtio_dev *dev);
	void (*stop)(struct virtio_dev *dev);
	void *priv;
	bool vhost;

	pthread_mutex_t lock;
	uint64_t driver_features;
	uint32_t features_sel, driver_features_sel, queue_sel;
	uint32_t status, isr;
	int irq;		/* eventfd */
	struct virtq queue[MAX_QUEUES];
};

/* The caller has filled the fields above lock; the device must stay where it is. */
void virtio_add(struct machine *m, struct virtio_dev *dev);
void virtio_worker(struct virtio_dev *dev, void *(*worker)(void *), void *arg);
/* Sleeps until the driver kicks the queue. Without the lock. */
void virtq_wait(struct virtq *q);

/* With the lock held. False if there is no request, or the ring is broken or not ready. */
bool virtq_pop(struct virtq *q, struct chain *chain);
void virtq_push(struct virtq *q, const struct chain *chain, uint32_t written);
/* Interrupts the driver unless it asked not to be. */
void virtq_signal(struct virtq *q);

/* virtio_stream.c: a queue into which a file is read, and one that is written to a file */
struct stream {
	struct virtio_dev *dev;
	int in, out;
	bool net;	/* a buffer begins with a struct virtio_net_hdr_v1, which the tap shares */
};

void stream_start(struct stream *stream);

void virtio_blk_create(struct machine *m, const char *path);
void virtio_net_create(struct machine *m, const char *tap);
void virtio_console_create(struct machine *m);

#endif
