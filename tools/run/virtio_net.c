// SPDX-License-Identifier: GPL-2.0-only
/*
 * okvm-run: a virtio network card on a tap. Where the host has /dev/vhost-net the kernel moves the
 * packets between tap and rings itself, and this file only introduces them to each other.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "virtio.h"

#define OFFLOADS	(1ull << VIRTIO_NET_F_CSUM | 1ull << VIRTIO_NET_F_GUEST_CSUM | \
			 1ull << VIRTIO_NET_F_HOST_TSO4 | 1ull << VIRTIO_NET_F_HOST_TSO6)

struct net {
	struct virtio_dev dev;
	struct virtio_net_config config;
	struct stream stream;
	int tap, vhost;
};

static int open_tap(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int header = sizeof(struct virtio_net_hdr_v1);
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		die("cannot open /dev/net/tun: %s; try 'modprobe tun'", strerror(errno));
	if (strlen(name) >= sizeof(ifr.ifr_name))
		die("'%s' is too long for a network interface", name);
	strcpy(ifr.ifr_name, name);
	if (ioctl(fd, TUNSETIFF, &ifr)) {
		if (errno != EPERM)
			die("cannot use tap %s: %s; is it in use?", name, strerror(errno));
		die("no permission for tap %s: as root, 'ip tuntap add %s mode tap user $USER'",
		    name, name);
	}
	if (ioctl(fd, TUNSETVNETHDRSZ, &header) || ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM))
		die("tap %s lacks virtio headers: %s", name, strerror(errno));
	return fd;
}

/* The guest's memory, as vhost is to find it in this process. */
static int vhost_memory(struct net *net)
{
	struct machine *m = net->dev.m;
	struct {
		struct vhost_memory head;
		struct vhost_memory_region regions[2];
	} table = {
		.head.nregions = m->ram_high ? 2 : 1,
		.regions = {
			{ 0, m->ram_low, (uintptr_t)m->ram, 0 },
			{ ADDR_HIGH, m->ram_high, (uintptr_t)m->ram + m->ram_low, 0 },
		},
	};

	return ioctl(net->vhost, VHOST_SET_MEM_TABLE, &table);
}

static int vhost_queue(struct net *net, unsigned int index)
{
	struct virtq *q = &net->dev.queue[index];
	struct vhost_vring_state num = { index, q->size }, base = { index, 0 };
	struct vhost_vring_addr addr = {
		.index = index,
		.desc_user_addr = (uintptr_t)q->desc,
		.avail_user_addr = (uintptr_t)q->avail,
		.used_user_addr = (uintptr_t)q->used,
	};
	struct vhost_vring_file kick = { index, q->kick }, call = { index, net->dev.irq };
	struct vhost_vring_file backend = { index, net->tap };

	return ioctl(net->vhost, VHOST_SET_VRING_NUM, &num) ||
	       ioctl(net->vhost, VHOST_SET_VRING_BASE, &base) ||
	       ioctl(net->vhost, VHOST_SET_VRING_ADDR, &addr) ||
	       ioctl(net->vhost, VHOST_SET_VRING_KICK, &kick) ||
	       ioctl(net->vhost, VHOST_SET_VRING_CALL, &call) ||
	       ioctl(net->vhost, VHOST_NET_SET_BACKEND, &backend);
}

static void vhost_start(struct virtio_dev *dev)
{
	struct net *net = dev->priv;
	uint64_t features = dev->driver_features & 1ull << VIRTIO_F_VERSION_1;

	if (!dev->queue[0].ready || !dev->queue[1].ready)
		return;
	if (ioctl(net->vhost, VHOST_SET_FEATURES, &features) || vhost_memory(net) ||
	    vhost_queue(net, 0) || vhost_queue(net, 1))
		die("vhost-net does not take the queues: %s", strerror(errno));
}

static void vhost_stop(struct virtio_dev *dev)
{
	struct net *net = dev->priv;

	for (unsigned int i = 0; i < 2; i++) {
		struct vhost_vring_file none = { i, -1 };

		if (dev->queue[i].ready && ioctl(net->vhost, VHOST_NET_SET_BACKEND, &none))
			die("vhost-net does not stop: %s", strerror(errno));
	}
}

static bool open_vhost(struct net *net)
{
	uint64_t features = 0;

	net->vhost = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);
	if (net->vhost < 0)
		return false;
	if (!ioctl(net->vhost, VHOST_SET_OWNER, NULL) &&
	    !ioctl(net->vhost, VHOST_GET_FEATURES, &features) &&
	    features & 1ull << VIRTIO_F_VERSION_1)
		return true;
	close(net->vhost);
	return false;
}

void virtio_net_create(struct machine *m, const char *tap)
{
	struct net *net = calloc(1, sizeof(*net));

	if (!net)
		die("out of memory");
	net->tap = open_tap(tap);
	net->dev = (struct virtio_dev) {
		.id = VIRTIO_ID_NET,
		.features = OFFLOADS | 1ull << VIRTIO_NET_F_MAC,
		.nr_queues = 2,
		.config = &net->config,
		.config_len = sizeof(net->config),
		.priv = net,
	};
	/* Locally administered; differs between guests on one bridge. */
	memcpy(net->config.mac, "\x02okv", 4);
	net->config.mac[4] = getpid();
	net->config.mac[5] = m->nr_virtio;
	if (open_vhost(net)) {
		net->dev.vhost = true;
		net->dev.start = vhost_start;
		net->dev.stop = vhost_stop;
	}
	virtio_add(m, &net->dev);
	net->stream = (struct stream) {
		.dev = &net->dev, .in = net->tap, .out = net->tap, .net = true,
	};
	if (!net->dev.vhost)
		stream_start(&net->stream);
}
