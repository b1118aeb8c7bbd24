/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * leatd's configuration file.  config/leat.conf documents every option.
 * Needs no EAL, so it is read before any device is touched.
 */
#ifndef LEATD_CONFIG_H
#define LEATD_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

#include "core/worker.h"
#include "dev/impair.h"
#include "shm/session.h"

#define CONFIG_NO_SOCKET  "none"
#define CONFIG_MAX_ROUTES 256
#define CONFIG_MAX_IDS    64

/* Who: a list of uids or gids. */
struct config_ids {
	uint32_t count;
	uint32_t id[CONFIG_MAX_IDS];
};

/* A list is in force when its option is given or its default says so. */
struct config_access {
	struct config_ids uids; /* may attach */
	struct config_ids gids; /* may attach */
	struct config_ids low_ports_uids; /* may bind ports below 1024 */
};

struct config_port {
	uint32_t number; /* of [portN] */
	char device[64];
	struct inet_addr address;
	uint8_t prefix_length;
	struct inet_addr gateway; /* any: none */
	uint16_t mtu; /* 0: the device's own */
	bool software_checksum;
	struct impair_config impair; /* limit 0: packets pass as they are */
	uint32_t line; /* of the section's heading */
	uint32_t device_line; /* of device=, for messages about it */
};

struct config_route {
	uint32_t number; /* of [routeN] */
	struct inet_addr prefix;
	uint8_t prefix_length;
	struct inet_addr gateway;
	uint32_t port; /* N of the port; UINT32_MAX: the one whose network holds the gateway */
	uint32_t port_index; /* in config.ports */
	uint32_t line;
};

struct config {
	const char *path;
	char socket[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* or CONFIG_NO_SOCKET */
	uint32_t max_applications;
	bool huge_pages;
	struct worker_config worker; /* id, workers and socket_id are the caller's to fill */
	struct session_config session; /* workers, low_ports and id likewise */
	struct config_access access;
	uint32_t port_count;
	struct config_port ports[PORT_MAX];
	uint32_t route_count;
	struct config_route routes[CONFIG_MAX_ROUTES];
};

/*
 * Reads the file at path (kept by the caller) into config.  0, or -errno with the whole story in
 * error: file, line, section, key and what would be right.
 */
int config_load(const char *path, struct config *config, char *error, size_t error_bytes);

/* May other processes attach? */
bool config_serves(const struct config *config);

/* Is id one of them? */
bool config_ids_contain(const struct config_ids *ids, uint32_t id);

#endif
