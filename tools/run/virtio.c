// SPDX-License-Identifier: GPL-2.0-only
/*
 * okvm-run: the virtio-mmio registers and the split virtqueue.
 *
 * Everything the guest gives, addresses, indexes and lengths, is checked before use: a broken ring
 * stops its queue and sets DEVICE_NEEDS_RESET, and nothing else.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "virtio.h"

#define MAGIC		0x74726976	/* "virt" */
#define VENDOR		0x4d564b4f	/* "OKVM" */
#define REGISTERS	0x1000
#define F_VERSION_1	(1ull << VIRTIO_F_VERSION_1)

void virtq_wait(struct virtq *q)
{
	uint64_t count;

	if (read(q->kick, &count, sizeof(count)) < 0 && errno != EINTR)
		die("virtio: cannot wait for a kick: %s", strerror(errno));
}

static void broken(struct virtq *q)
{
	q->ready = false;
	q->dev->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
}

/* One descriptor into the list that its direction asks for. */
static bool add_buffer(struct virtq *q, struct chain *chain, const struct vring_desc *desc)
{
	void *host = machine_ram(q->dev->m, desc->addr, desc->len);
	struct iovec iov = { host, desc->len };

	if (!host || desc->flags & VRING_DESC_F_INDIRECT)
		return false;
	if (desc->flags & VRING_DESC_F_WRITE) {
		chain->in[chain->nr_in++] = iov;
		return true;
	}
	chain->out[chain->nr_out++] = iov;
	return !chain->nr_in;	/* readable buffers come first */
}

bool virtq_pop(struct virtq *q, struct chain *chain)
{
	struct vring_desc desc;
	uint16_t index;

	if (!q->ready || __atomic_load_n(&q->avail->idx, __ATOMIC_ACQUIRE) == q->next)
		return false;
	chain->head = q->avail->ring[q->next % q->size];
	chain->nr_in = 0;
	chain->nr_out = 0;
	index = chain->head;
	for (uint32_t n = 0; n < q->size && index < q->size; n++) {
		/* A copy, because the guest may change it between check and use. */
		memcpy(&desc, &q->desc[index], sizeof(desc));
		if (!add_buffer(q, chain, &desc))
			break;
		if (!(desc.flags & VRING_DESC_F_NEXT)) {
			q->next++;
			return true;
		}
		index = desc.next;
	}
	broken(q);
	return false;
}

void virtq_push(struct virtq *q, const struct chain *chain, uint32_t written)
{
	struct vring_used_elem *elem = &q->used->ring[q->used_idx % q->size];

	elem->id = chain->head;
	elem->len = written;
	__atomic_store_n(&q->used->idx, ++q->used_idx, __ATOMIC_RELEASE);
}

static void interrupt(struct virtio_dev *dev, uint32_t cause)
{
	const uint64_t one = 1;

	__atomic_fetch_or(&dev->isr, cause, __ATOMIC_SEQ_CST);
	if (write(dev->irq, &one, sizeof(one)) != sizeof(one))
		die("virtio: cannot raise an interrupt: %s", strerror(errno));
}

void virtq_signal(struct virtq *q)
{
	/* The driver looks at the ring after it has allowed interrupts again; so must we. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (q->ready && !(q->avail->flags & VRING_AVAIL_F_NO_INTERRUPT))
		interrupt(q->dev, VIRTIO_MMIO_INT_VRING);
}

static void queue_enable(struct virtq *q)
{
	struct machine *m = q->dev->m;

	if (!q->size || q->size > QUEUE_SIZE || q->size & (q->size - 1))
		return;
	q->desc = machine_ram(m, q->desc_addr, q->size * sizeof(*q->desc));
	q->avail = machine_ram(m, q->avail_addr, sizeof(*q->avail) + q->size * 2);
	q->used = machine_ram(m, q->used_addr,
			      sizeof(*q->used) + q->size * sizeof(struct vring_used_elem));
	if (!q->desc || !q->avail || !q->used || q->desc_addr & 15 || q->avail_addr & 1 ||
	    q->used_addr & 3)
		return;
	q->next = 0;
	q->used_idx = 0;
	q->ready = true;
}

static void reset(struct virtio_dev *dev)
{
	if (dev->status & VIRTIO_CONFIG_S_DRIVER_OK && dev->stop)
		dev->stop(dev);
	for (unsigned int i = 0; i < dev->nr_queues; i++) {
		dev->queue[i].ready = false;
		dev->queue[i].size = 0;
	}
	dev->status = 0;
	dev->isr = 0;
	dev->driver_features = 0;
}

static void set_status(struct virtio_dev *dev, uint32_t status)
{
	uint32_t added = status & ~dev->status;

	if (!status) {
		reset(dev);
		return;
	}
	if (added & VIRTIO_CONFIG_S_FEATURES_OK &&
	    (dev->driver_features & ~dev->features || !(dev->driver_features & F_VERSION_1)))
		status &= ~VIRTIO_CONFIG_S_FEATURES_OK;
	dev->status = status;
	if (!(added & VIRTIO_CONFIG_S_DRIVER_OK))
		return;
	if (dev->start)
		dev->start(dev);
	/* Requests may already wait; their kick may have come before the queue was ready. */
	for (unsigned int i = 0; i < dev->nr_queues; i++)
		eventfd_write(dev->queue[i].kick, 1);
}

static uint32_t register_read(struct virtio_dev *dev, uint32_t reg)
{
	struct virtq *q = dev->queue_sel < dev->nr_queues ? &dev->queue[dev->queue_sel] : NULL;

	switch (reg) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return MAGIC;
	case VIRTIO_MMIO_VERSION:
		return 2;
	case VIRTIO_MMIO_DEVICE_ID:
		return dev->id;
	case VIRTIO_MMIO_VENDOR_ID:
		return VENDOR;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return dev->features_sel > 1 ? 0 : dev->features >> 32 * dev->features_sel;
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return q ? QUEUE_SIZE : 0;
	case VIRTIO_MMIO_QUEUE_READY:
		return q && q->ready;
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		return dev->isr | (dev->vhost ? VIRTIO_MMIO_INT_VRING : 0);
	case VIRTIO_MMIO_STATUS:
		return dev->status;
	case VIRTIO_MMIO_SHM_LEN_LOW:
	case VIRTIO_MMIO_SHM_LEN_HIGH:
		return ~0u;	/* no shared memory */
	default:
		return 0;
	}
}

static void set_half(uint64_t *value, bool high, uint32_t half)
{
	if (high)
		*value = (*value & 0xffffffff) | (uint64_t)half << 32;
	else
		*value = (*value & ~0xffffffffull) | half;
}

static void queue_write(struct virtq *q, uint32_t reg, uint32_t value)
{
	if (reg == VIRTIO_MMIO_QUEUE_READY && !value)
		q->ready = false;
	if (q->ready)
		return;		/* what a live queue consists of cannot be changed */
	switch (reg) {
	case VIRTIO_MMIO_QUEUE_NUM:
		q->size = value;
		break;
	case VIRTIO_MMIO_QUEUE_READY:
		if (value)
			queue_enable(q);
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		set_half(&q->desc_addr, reg == VIRTIO_MMIO_QUEUE_DESC_HIGH, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		set_half(&q->avail_addr, reg == VIRTIO_MMIO_QUEUE_AVAIL_HIGH, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		set_half(&q->used_addr, reg == VIRTIO_MMIO_QUEUE_USED_HIGH, value);
		break;
	}
}

static void register_write(struct virtio_dev *dev, uint32_t reg, uint32_t value)
{
	switch (reg) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		dev->features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		dev->driver_features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		if (dev->driver_features_sel < 2)
			set_half(&dev->driver_features, dev->driver_features_sel, value);
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		dev->queue_sel = value;
		break;
	case VIRTIO_MMIO_QUEUE_NOTIFY:	/* the ioeventfd takes it, unless the access is odd */
		if (value < dev->nr_queues)
			eventfd_write(dev->queue[value].kick, 1);
		break;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		__atomic_fetch_and(&dev->isr, ~value, __ATOMIC_SEQ_CST);
		break;
	case VIRTIO_MMIO_STATUS:
		set_status(dev, value);
		break;
	default:
		if (dev->queue_sel < dev->nr_queues)
			queue_write(&dev->queue[dev->queue_sel], reg, value);
		break;
	}
}

static void virtio_access(void *opaque, uint64_t off, uint8_t *data, unsigned int len, bool write)
{
	struct virtio_dev *dev = opaque;
	uint32_t value = 0;

	pthread_mutex_lock(&dev->lock);
	if (off >= VIRTIO_MMIO_CONFIG) {
		off -= VIRTIO_MMIO_CONFIG;
		if (!write && off < dev->config_len && len <= dev->config_len - off)
			memcpy(data, (const uint8_t *)dev->config + off, len);
	} else if (len == 4 && !(off & 3)) {
		if (write) {
			memcpy(&value, data, sizeof(value));
			register_write(dev, off, value);
		} else {
			value = register_read(dev, off);
			memcpy(data, &value, sizeof(value));
		}
	}
	pthread_mutex_unlock(&dev->lock);
}

static void add_eventfds(struct machine *m, struct virtio_dev *dev, uint64_t base)
{
	struct kvm_irqfd irqfd = { .gsi = VIRTIO_GSI + dev->index };

	dev->irq = eventfd(0, EFD_CLOEXEC);
	irqfd.fd = dev->irq;
	if (dev->irq < 0 || ioctl(m->fd, KVM_IRQFD, &irqfd))
		die("the hypervisor has no irqfd, which virtio devices need: %s", strerror(errno));
	for (unsigned int i = 0; i < dev->nr_queues; i++) {
		struct kvm_ioeventfd kick = {
			.addr = base + VIRTIO_MMIO_QUEUE_NOTIFY,
			.len = 4,
			.datamatch = i,
			.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
		};

		dev->queue[i].dev = dev;
		dev->queue[i].kick = eventfd(0, EFD_CLOEXEC);
		kick.fd = dev->queue[i].kick;
		if (kick.fd < 0 || ioctl(m->fd, KVM_IOEVENTFD, &kick))
			die("the hypervisor has no ioeventfd, which virtio devices need: %s",
			    strerror(errno));
	}
}

void virtio_add(struct machine *m, struct virtio_dev *dev)
{
	uint64_t base;

	dev->m = m;
	dev->index = m->nr_virtio++;
	dev->features |= F_VERSION_1;
	base = ADDR_VIRTIO + dev->index * REGISTERS;
	pthread_mutex_init(&dev->lock, NULL);
	add_eventfds(m, dev, base);
	machine_add_region(m, &(struct region) {
		.base = base, .len = REGISTERS, .access = virtio_access, .dev = dev,
	});
}

void virtio_worker(struct virtio_dev *dev, void *(*worker)(void *), void *arg)
{
	pthread_t thread;
	int err = pthread_create(&thread, NULL, worker, arg);

	if (err)
		die("cannot start a thread for virtio device %u: %s", dev->index, strerror(err));
	pthread_detach(thread);
}

void virtio_create(struct machine *m)
{
	for (unsigned int i = 0; i < m->opt->nr_disk; i++)
		virtio_blk_create(m, m->opt->disk[i]);
	for (unsigned int i = 0; i < m->opt->nr_tap; i++)
		virtio_net_create(m, m->opt->tap[i]);
	if (m->opt->virtio_console)
		virtio_console_create(m);
}
