/* SPDX-License-Identifier: BSD-3-Clause */
#include "region.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <numa.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_memory.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/worker.h"
#include "dev/dma.h"
#include "log.h"

#define HUGE_PAGE_BYTES (2ull << 20)
/* DPDK keeps one record per page of a registered range: large "pages" keep that small. */
#define REGISTER_PAGE_BYTES (1ull << 30)
#define RANGE_MAX_BYTES     (1ull << 45) /* of the 47 bits of user addresses */

#define NO_MAPPING          (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

static uint64_t align_up(uint64_t value, uint64_t unit)
{
	return (value + unit - 1) / unit * unit;
}

/* ---- Faults ------------------------------------------------------------- */

static struct regions *handled; /* what the signal handler looks at */

/*
 * An application can make pages of its region vanish (punch a hole where no huge page is left to
 * fill it again).  The worker that stumbles must survive: zero memory takes the region's place,
 * and the control thread ends the session.  Async-signal-safe throughout.
 */
static void handle_sigbus(int signal_number, siginfo_t *info, void *unused)
{
	struct regions *rs = handled;
	uint8_t *at = info->si_addr;
	int saved_errno = errno;

	(void)unused;
	if (rs != NULL && info->si_code > 0 && at >= rs->base && at < rs->base + rs->bytes) {
		uint64_t place = (uint64_t)(at - rs->base) / rs->region_bytes;
		uint8_t *start = rs->base + place * rs->region_bytes;
		uint64_t one = 1;

		if (place < rs->count && mmap(start, rs->region_bytes, PROT_READ | PROT_WRITE,
					      NO_MAPPING | MAP_FIXED, -1, 0) == start) {
			__atomic_store_n(&rs->faulted[place], 1, __ATOMIC_RELEASE);
			if (write(rs->fault_fd, &one, sizeof(one)) != sizeof(one)) {
				/* Only when the counter is full: it is readable anyway. */
			}
			errno = saved_errno;
			return;
		}
	}
	/* Not ours: back to the default, which ends the process when the instruction runs again
	 * (or, for a signal somebody sent, when it is sent again here). */
	signal(signal_number, SIG_DFL);
	if (info->si_code <= 0)
		raise(signal_number);
}

uint32_t regions_next_fault(struct regions *rs)
{
	uint64_t count;

	if (read(rs->fault_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return UINT32_MAX;
	for (uint32_t i = 0; i < rs->count; i++) {
		if (__atomic_exchange_n(&rs->faulted[i], 0, __ATOMIC_ACQUIRE) != 0)
			return i;
	}
	return UINT32_MAX;
}

/* ---- The range ---------------------------------------------------------- */

static int reserve(struct regions *rs)
{
	uint8_t *start, *aligned;
	uint64_t asked = rs->bytes + REGISTER_PAGE_BYTES;

	start = mmap(NULL, asked, PROT_NONE, NO_MAPPING, -1, 0);
	if (start == MAP_FAILED)
		return -errno;
	aligned = (uint8_t *)start +
		  (align_up((uintptr_t)start, REGISTER_PAGE_BYTES) - (uintptr_t)start);
	if (aligned > start)
		munmap(start, (size_t)(aligned - start));
	munmap(aligned + rs->bytes, (size_t)(start + asked - (aligned + rs->bytes)));
	rs->base = aligned;
	return 0;
}

/* Where a device's addresses are not ours, no mbuf ever points into a region (its bytes are
 * copied), so registering matters with IOVA as VA only. */
static int register_range(struct regions *rs)
{
	uint64_t pages = rs->bytes / REGISTER_PAGE_BYTES;
	rte_iova_t *iova = calloc(pages, sizeof(*iova));
	int ret = 0;

	if (iova == NULL)
		return -ENOMEM;
	for (uint64_t i = 0; i < pages; i++)
		iova[i] = (uintptr_t)rs->base + i * REGISTER_PAGE_BYTES;
	if (rte_extmem_register(rs->base, rs->bytes, iova, (unsigned)pages, REGISTER_PAGE_BYTES) !=
	    0)
		ret = -rte_errno;
	free(iova);
	rs->registered = ret == 0;
	return ret;
}

static int handle_faults(struct regions *rs)
{
	struct sigaction action = {.sa_sigaction = handle_sigbus, .sa_flags = SA_SIGINFO};

	rs->faulted = calloc(rs->count, sizeof(*rs->faulted));
	if (rs->faulted == NULL)
		return -ENOMEM;
	rs->fault_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (rs->fault_fd < 0)
		return -errno;
	handled = rs;
	sigemptyset(&action.sa_mask);
	return sigaction(SIGBUS, &action, NULL) == 0 ? 0 : -errno;
}

int regions_open(struct regions *rs, uint64_t region_bytes, uint32_t count, bool huge_pages,
		 const struct port *ports, uint32_t port_count)
{
	int ret;

	*rs = (struct regions){
		.region_bytes = align_up(region_bytes, HUGE_PAGE_BYTES),
		.count = count,
		.huge_pages = huge_pages,
		.fault_fd = -1,
		.ports = ports,
		.port_count = port_count,
	};
	if (rs->region_bytes > RANGE_MAX_BYTES / count)
		return -E2BIG;
	rs->bytes = align_up(rs->region_bytes * count, REGISTER_PAGE_BYTES);
	ret = reserve(rs);
	if (ret == 0)
		ret = register_range(rs);
	if (ret == 0)
		ret = handle_faults(rs);
	if (ret != 0)
		regions_close(rs);
	return ret;
}

void regions_close(struct regions *rs)
{
	if (handled == rs) {
		signal(SIGBUS, SIG_DFL);
		handled = NULL;
	}
	if (rs->fault_fd >= 0)
		close(rs->fault_fd);
	if (rs->registered && rte_extmem_unregister(rs->base, rs->bytes) != 0)
		leatd_log(WARNING, "cannot unregister the regions' range: %s",
			  rte_strerror(rte_errno));
	if (rs->base != NULL)
		munmap(rs->base, rs->bytes);
	free(rs->faulted);
	*rs = (struct regions){.fault_fd = -1};
}

/* ---- One region --------------------------------------------------------- */

/* The memfd, mapped at its place; huge pages are taken from their pool here, so that none can be
 * missing later. */
static int map(struct regions *rs, struct region *r, bool huge)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING | (huge ? MFD_HUGETLB | MFD_HUGE_2MB : 0);
	int ret;

	r->huge = huge;
	r->bytes = rs->region_bytes;
	r->memfd = memfd_create("leat", flags);
	if (r->memfd < 0)
		return -errno;
	if (ftruncate(r->memfd, (off_t)r->bytes) != 0 ||
	    fcntl(r->memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0 ||
	    mmap(r->base, r->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, r->memfd, 0) ==
		    MAP_FAILED) {
		ret = -errno;
		close(r->memfd);
		r->memfd = -1;
		return ret;
	}
	return 0;
}

/* Reserved address space again. */
static void unmap(const struct regions *rs, const struct region *r)
{
	if (mmap(r->base, rs->region_bytes, PROT_NONE, NO_MAPPING | MAP_FIXED, -1, 0) == MAP_FAILED)
		leatd_log(ERR, "cannot unmap a region: %s", strerror(errno));
}

static int map_for_devices(const struct regions *rs, const struct region *r)
{
	for (uint32_t i = 0; i < rs->port_count; i++) {
		int ret = port_dma_map(&rs->ports[i], r->base, r->bytes);

		if (ret == 0)
			continue;
		leatd_log(ERR, "%s: cannot map a region of %llu bytes for the device: %s",
			  rs->ports[i].name, (unsigned long long)r->bytes, strerror(-ret));
		while (i-- > 0)
			port_dma_unmap(&rs->ports[i], r->base, r->bytes);
		return ret;
	}
	return 0;
}

int region_open(struct regions *rs, uint32_t place, struct region *r)
{
	int ret = -ENOMEM;

	*r = (struct region){
		.place = place,
		.memfd = -1,
		.base = rs->base + place * rs->region_bytes,
	};
	__atomic_store_n(&rs->faulted[place], 0, __ATOMIC_RELAXED);
	if (rs->huge_pages)
		ret = map(rs, r, true);
	if (ret != 0)
		ret = map(rs, r, false);
	if (ret != 0)
		return ret;
	ret = map_for_devices(rs, r);
	if (ret != 0) {
		unmap(rs, r);
		close(r->memfd);
		r->memfd = -1;
	}
	return ret;
}

void region_close(struct regions *rs, struct region *r)
{
	for (uint32_t i = 0; i < rs->port_count; i++)
		port_dma_unmap(&rs->ports[i], r->base, r->bytes);
	unmap(rs, r);
	close(r->memfd);
	r->memfd = -1;
}

void region_place(const struct region *r, const struct leat_region *layout,
		  const struct worker_config *const workers[])
{
	uint64_t unit = r->huge ? HUGE_PAGE_BYTES : (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t share = layout->chunks_per_worker * layout->chunk_stride;

	if (numa_available() < 0 || numa_num_configured_nodes() < 2)
		return;
	for (uint32_t i = 0; i < layout->workers; i++) {
		uint64_t start = align_up(layout->chunk_offset + i * share, unit);
		uint64_t end = (layout->chunk_offset + (i + 1) * share) / unit * unit;

		if (workers[i]->socket_id >= 0 && end > start)
			numa_tonode_memory(r->base + start, end - start, workers[i]->socket_id);
	}
}
