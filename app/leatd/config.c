/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The values come from rte_cfgfile; but that lets unknown and duplicate keys
 * and sections pass and knows no line numbers, so the text is scanned first.
 */
#include "config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <rte_cfgfile.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config_parse.h"
#include "tcp/congestion.h"

#define COMMENT                '#'
#define LINE_MAX_BYTES         256 /* what rte_cfgfile takes as a value, so whole lines stay below */
#define TELEMETRY_SUFFIX_BYTES 16 /* room for what is appended to the socket's path */

/* One key = value line, or with an empty key a section's heading. */
struct item {
	char section[CFG_NAME_LEN];
	char key[CFG_NAME_LEN];
	uint32_t line;
};

struct reader {
	struct config *config;
	char *error;
	size_t error_bytes;
	struct item *items;
	uint32_t count;
};

enum option_type {
	OPTION_U16,
	OPTION_U32,
	OPTION_BYTES, /* uint32_t, K, M or G may follow */
	OPTION_LOG2, /* a power of two in bytes, kept as its uint8_t logarithm */
	OPTION_POWER, /* a power of two */
	OPTION_BOOL,
	OPTION_STRING, /* max: size of the target */
	OPTION_ADDRESS,
	OPTION_NETWORK, /* address/length into an inet_addr; the length at offset2 */
	OPTION_UIDS, /* numbers or names */
	OPTION_GIDS,
	OPTION_IMPAIR,
	OPTION_CONGESTION,
	OPTION_ECN,
	OPTION_MTU_PROBING,
	OPTION_FAST_OPEN,
};

struct option {
	const char *key;
	enum option_type type;
	size_t offset; /* of the target in what the section describes */
	uint64_t min;
	uint64_t max;
	size_t offset2;
};

#define IN(member) offsetof(struct config, member)
static const struct option leatd_options[] = {
	{"socket", OPTION_STRING, IN(socket), 1, sizeof(((struct config *)0)->socket), 0},
	{"idle_us", OPTION_U32, IN(worker.idle_us), 0, 1000000, 0},
	{"max_applications", OPTION_U32, IN(max_applications), 1, 1024, 0},
	{"max_socks", OPTION_U32, IN(worker.max_socks), 16, 1u << 24, 0},
	{"max_listeners", OPTION_U32, IN(worker.max_listeners), 1, 65536, 0},
	{"max_requests", OPTION_U32, IN(worker.max_requests), 16, 1u << 24, 0},
	{"max_time_wait", OPTION_U32, IN(worker.max_time_wait), 16, 1u << 24, 0},
	{"max_sending", OPTION_U32, IN(worker.max_sending), 0, 1u << 24, 0},
	{"max_flight_records", OPTION_U32, IN(worker.max_flight_records), 16, 1u << 24, 0},
	{"syn_cookies", OPTION_BOOL, IN(worker.syn_cookies), 0, 0, 0},
	{"mbufs", OPTION_U32, IN(worker.mbufs), 1024, 1u << 22, 0},
	{"mbuf_bytes", OPTION_U16, IN(worker.mbuf_bytes), 2048, 16384, 0},
	{"copybreak", OPTION_BYTES, IN(worker.copybreak_bytes), 0, 65536, 0},
	{"rcvbuf", OPTION_BYTES, IN(worker.rcvbuf_bytes), 4096, 1u << 30, 0},
	{"rcvbuf_max", OPTION_BYTES, IN(worker.rcvbuf_max_bytes), 4096, 1u << 30, 0},
	{"sndbuf", OPTION_BYTES, IN(worker.sndbuf_bytes), 4096, 1u << 30, 0},
	{"sndbuf_max", OPTION_BYTES, IN(worker.sndbuf_max_bytes), 4096, 1u << 30, 0},
	{"congestion", OPTION_CONGESTION, IN(worker.congestion), 0, 0, 0},
	{"ecn", OPTION_ECN, IN(worker.ecn), 0, 0, 0},
	{"mtu_probing", OPTION_MTU_PROBING, IN(worker.mtu_probing), 0, 0, 0},
	{"fast_open", OPTION_FAST_OPEN, IN(worker.fast_open), 0, 0, 0},
	{"contexts", OPTION_U16, IN(session.contexts), 1, LEAT_MAX_CONTEXTS, 0},
	{"queue_entries", OPTION_POWER, IN(session.queue_entries), 64, 65536, 0},
	{"slots_per_worker", OPTION_U32, IN(session.slots_per_worker), 16, 1u << 24, 0},
	{"chunks_per_worker", OPTION_U32, IN(session.chunks_per_worker), 64, 1u << 24, 0},
	{"chunk_size", OPTION_LOG2, IN(session.chunk_shift), 4096, 1u << CHUNK_SHIFT_MAX, 0},
	{"huge_pages", OPTION_BOOL, IN(huge_pages), 0, 0, 0},
	{0},
};

static const struct option access_options[] = {
	{"uid", OPTION_UIDS, offsetof(struct config_access, uids), 0, 0, 0},
	{"gid", OPTION_GIDS, offsetof(struct config_access, gids), 0, 0, 0},
	{"low_ports_uid", OPTION_UIDS, offsetof(struct config_access, low_ports_uids), 0, 0, 0},
	{0},
};

#define PORT(member) offsetof(struct config_port, member)
static const struct option port_options[] = {
	{"device", OPTION_STRING, PORT(device), 1, sizeof(((struct config_port *)0)->device), 0},
	{"address", OPTION_NETWORK, PORT(address), 1, 32, PORT(prefix_length)},
	{"gateway", OPTION_ADDRESS, PORT(gateway), 0, 0, 0},
	{"mtu", OPTION_U16, PORT(mtu), 576, 65535, 0},
	{"software_checksum", OPTION_BOOL, PORT(software_checksum), 0, 0, 0},
	{"impair", OPTION_IMPAIR, PORT(impair), 0, 0, 0},
	{0},
};

#define ROUTE(member) offsetof(struct config_route, member)
static const struct option route_options[] = {
	{"prefix", OPTION_NETWORK, ROUTE(prefix), 0, 32, ROUTE(prefix_length)},
	{"gateway", OPTION_ADDRESS, ROUTE(gateway), 0, 0, 0},
	{"port", OPTION_U32, ROUTE(port), 0, PORT_MAX - 1, 0},
	{0},
};

/* ---- Messages ----------------------------------------------------------- */

/* "FILE:LINE: [section] key: what is wrong"; line 0 and NULLs are left out. */
__attribute__((format(printf, 5, 6))) static int refuse(struct reader *r, uint32_t line,
							const char *section, const char *key,
							const char *format, ...)
{
	va_list args;
	size_t used = (size_t)snprintf(r->error, r->error_bytes, "%s", r->config->path);

#define APPEND(...)                                                                      \
	do {                                                                             \
		if (used < r->error_bytes)                                               \
			used += (size_t)snprintf(r->error + used, r->error_bytes - used, \
						 __VA_ARGS__);                           \
	} while (0)
	if (line != 0)
		APPEND(":%u", line);
	if (section != NULL)
		APPEND(": [%s]", section);
	if (key != NULL)
		APPEND(" %s", key);
	APPEND(": ");
#undef APPEND
	if (used < r->error_bytes) {
		va_start(args, format);
		vsnprintf(r->error + used, r->error_bytes - used, format, args);
		va_end(args);
	}
	return -EINVAL;
}

static int refuse_unknown_key(struct reader *r, const struct item *item,
			      const struct option *options)
{
	char known[512] = "";
	size_t used = 0;

	for (const struct option *o = options; o->key != NULL && used < sizeof(known); o++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
					 used != 0 ? ", " : "", o->key);
	return refuse(r, item->line, item->section, item->key,
		      "no such option; this section knows %s", known);
}

/* ---- Scanning the text -------------------------------------------------- */

static char *strip(char *s)
{
	char *end;

	while (isspace((unsigned char)*s))
		s++;
	end = s + strlen(s);
	while (end > s && isspace((unsigned char)end[-1]))
		end--;
	*end = '\0';
	return s;
}

static int add_item(struct reader *r, const char *section, const char *key, uint32_t line)
{
	for (uint32_t i = 0; i < r->count; i++) {
		const struct item *other = &r->items[i];

		if (strcmp(other->section, section) != 0 || strcmp(other->key, key) != 0)
			continue;
		if (key[0] == '\0')
			return refuse(r, line, section, NULL,
				      "section given twice, first on line %u; join the two",
				      other->line);
		return refuse(r, line, section, key,
			      "option given twice, first on line %u; remove one", other->line);
	}
	if ((r->count & (r->count - 1)) == 0) { /* full at each power of two */
		size_t room = r->count == 0 ? 1 : (size_t)r->count * 2;
		struct item *items = reallocarray(r->items, room, sizeof(*items));

		if (items == NULL)
			return refuse(r, 0, NULL, NULL, "%s", strerror(ENOMEM));
		r->items = items;
	}
	struct item *item = &r->items[r->count++];

	snprintf(item->section, sizeof(item->section), "%s", section);
	snprintf(item->key, sizeof(item->key), "%s", key);
	item->line = line;
	return 0;
}

/* section: the one the line is in, replaced by a heading. */
static int scan_line(struct reader *r, char *text, uint32_t line, char section[CFG_NAME_LEN])
{
	char *comment = strchr(text, COMMENT);
	char *equals, *key;

	if (comment != NULL)
		*comment = '\0';
	text = strip(text);
	if (*text == '\0')
		return 0;
	if (*text == '[') {
		char *end = strchr(text, ']');

		if (end == NULL || end[1] != '\0')
			return refuse(r, line, NULL, NULL,
				      "a section's heading looks like [leatd], alone on its line");
		*end = '\0';
		text = strip(text + 1);
		if (*text == '\0' || strlen(text) >= CFG_NAME_LEN)
			return refuse(r, line, NULL, NULL,
				      "a section's name is 1 to %d characters long",
				      CFG_NAME_LEN - 1);
		strcpy(section, text);
		return add_item(r, section, "", line);
	}
	if (section[0] == '\0')
		return refuse(r, line, NULL, NULL,
			      "a section's heading such as [leatd] comes before the first option");
	equals = strchr(text, '=');
	if (equals == NULL)
		return refuse(r, line, section, NULL, "expected key = value, found \"%s\"", text);
	*equals = '\0';
	key = strip(text);
	if (*key == '\0' || strlen(key) >= CFG_NAME_LEN)
		return refuse(r, line, section, NULL, "an option's name is 1 to %d characters long",
			      CFG_NAME_LEN - 1);
	if (*strip(equals + 1) == '\0')
		return refuse(r, line, section, key,
			      "has no value; give one, or remove the line for the default");
	return add_item(r, section, key, line);
}

static int scan(struct reader *r)
{
	char text[LINE_MAX_BYTES + 2];
	char section[CFG_NAME_LEN] = "";
	uint32_t line = 0;
	int ret = 0;
	FILE *file = fopen(r->config->path, "re");

	if (file == NULL) {
		ret = -errno;
		refuse(r, 0, NULL, NULL, "cannot read: %s", strerror(-ret));
		return ret;
	}
	while (ret == 0 && fgets(text, sizeof(text), file) != NULL) {
		line++;
		if (strlen(text) > LINE_MAX_BYTES)
			ret = refuse(r, line, NULL, NULL, "longer than %d characters",
				     LINE_MAX_BYTES - 1);
		else
			ret = scan_line(r, text, line, section);
	}
	if (ret == 0 && ferror(file))
		ret = refuse(r, line, NULL, NULL, "cannot read on: %s", strerror(EIO));
	fclose(file);
	return ret;
}

/* ---- Values ------------------------------------------------------------- */

static int set_number(struct reader *r, const struct item *item, const struct option *o,
		      const char *value, void *target)
{
	bool bytes = o->type == OPTION_BYTES || o->type == OPTION_LOG2;
	bool power = o->type == OPTION_LOG2 || o->type == OPTION_POWER;
	uint64_t number;

	if (parse_u64(value, bytes, &number) != 0 || number < o->min || number > o->max ||
	    (power && (number & (number - 1)) != 0))
		return refuse(r, item->line, item->section, item->key,
			      "\"%s\" is not a %s from %llu to %llu%s", value,
			      power ? "power of two" : "number", (unsigned long long)o->min,
			      (unsigned long long)o->max,
			      bytes ? " (bytes; K, M or G may follow)" : "");
	if (o->type == OPTION_U16)
		*(uint16_t *)target = (uint16_t)number;
	else if (o->type == OPTION_LOG2)
		*(uint8_t *)target = (uint8_t)__builtin_ctzll(number);
	else
		*(uint32_t *)target = (uint32_t)number;
	return 0;
}

static int set_bool(struct reader *r, const struct item *item, const char *value, bool *target)
{
	if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
		return refuse(r, item->line, item->section, item->key, "\"%s\" is not yes or no",
			      value);
	*target = value[0] == 'y';
	return 0;
}

static int set_string(struct reader *r, const struct item *item, const struct option *o,
		      const char *value, char *target)
{
	if (strlen(value) >= o->max)
		return refuse(r, item->line, item->section, item->key,
			      "longer than %llu characters", (unsigned long long)o->max - 1);
	strcpy(target, value);
	return 0;
}

static int set_address(struct reader *r, const struct item *item, const char *value,
		       struct inet_addr *target)
{
	*target = inet_addr_v4(0);
	if (inet_pton(AF_INET, value, &target->v4) != 1)
		return refuse(r, item->line, item->section, item->key,
			      "\"%s\" is not an IPv4 address such as 198.18.0.1", value);
	return 0;
}

static int set_network(struct reader *r, const struct item *item, const struct option *o,
		       const char *value, struct inet_addr *target, uint8_t *prefix_length)
{
	char text[INET_ADDRSTRLEN];
	const char *slash = strchr(value, '/');
	uint64_t length;

	*target = inet_addr_v4(0);
	if (slash != NULL && (size_t)(slash - value) < sizeof(text)) {
		memcpy(text, value, (size_t)(slash - value));
		text[slash - value] = '\0';
		if (inet_pton(AF_INET, text, &target->v4) == 1 &&
		    parse_u64(slash + 1, false, &length) == 0 && length >= o->min &&
		    length <= o->max) {
			*prefix_length = (uint8_t)length;
			return 0;
		}
	}
	return refuse(r, item->line, item->section, item->key,
		      "\"%s\" is not an IPv4 address with a prefix length from %llu to %llu, such "
		      "as 198.18.0.2/24",
		      value, (unsigned long long)o->min, (unsigned long long)o->max);
}

static int set_ids(struct reader *r, const struct item *item, const struct option *o,
		   const char *value, struct config_ids *target)
{
	char list[LINE_MAX_BYTES];
	bool group = o->type == OPTION_GIDS;
	char *rest = list, *word;

	snprintf(list, sizeof(list), "%s", value);
	target->count = 0;
	while ((word = strsep(&rest, ",")) != NULL) {
		word = strip(word);
		if (target->count == CONFIG_MAX_IDS)
			return refuse(r, item->line, item->section, item->key,
				      "more than %d entries", CONFIG_MAX_IDS);
		if (parse_id(word, group, &target->id[target->count]) != 0)
			return refuse(r, item->line, item->section, item->key,
				      "\"%s\" is no %s's number or name; separate several with "
				      "commas",
				      word, group ? "group" : "user");
		target->count++;
	}
	return 0;
}

/* What somebody else reads, and says what is wrong with it. */
static int set_parsed(struct reader *r, const struct item *item, const char *value, void *target,
		      int (*parse)(const char *text, void *target, char *error, size_t error_bytes))
{
	char error[256];

	if (parse(value, target, error, sizeof(error)) != 0)
		return refuse(r, item->line, item->section, item->key, "%s", error);
	return 0;
}

static int set_option(struct reader *r, const struct item *item, const struct option *o,
		      const char *value, void *object)
{
	void *target = (char *)object + o->offset;

	switch (o->type) {
	case OPTION_U16:
	case OPTION_U32:
	case OPTION_BYTES:
	case OPTION_LOG2:
	case OPTION_POWER:
		return set_number(r, item, o, value, target);
	case OPTION_BOOL:
		return set_bool(r, item, value, target);
	case OPTION_STRING:
		return set_string(r, item, o, value, target);
	case OPTION_ADDRESS:
		return set_address(r, item, value, target);
	case OPTION_NETWORK:
		return set_network(r, item, o, value, target,
				   (uint8_t *)((char *)object + o->offset2));
	case OPTION_UIDS:
	case OPTION_GIDS:
		return set_ids(r, item, o, value, target);
	case OPTION_IMPAIR:
		return set_parsed(r, item, value, target, parse_impair);
	case OPTION_CONGESTION:
		return set_parsed(r, item, value, target, parse_congestion);
	case OPTION_ECN:
		return set_parsed(r, item, value, target, parse_ecn);
	case OPTION_MTU_PROBING:
		return set_parsed(r, item, value, target, parse_mtu_probing);
	case OPTION_FAST_OPEN:
		return set_parsed(r, item, value, target, parse_fast_open);
	}
	return -EINVAL;
}

/* ---- Sections ----------------------------------------------------------- */

/* "port3" with prefix "port" is 3; -1: something else. */
static int section_number(const char *section, const char *prefix, uint32_t limit)
{
	size_t length = strlen(prefix);
	uint64_t number;

	if (strncmp(section, prefix, length) != 0 ||
	    parse_u64(section + length, false, &number) != 0 || number >= limit ||
	    (section[length] == '0' && section[length + 1] != '\0'))
		return -1;
	return (int)number;
}

static struct config_port *find_port(struct config *c, uint32_t number)
{
	for (uint32_t i = 0; i < c->port_count; i++) {
		if (c->ports[i].number == number)
			return &c->ports[i];
	}
	return NULL;
}

static struct config_route *find_route(struct config *c, uint32_t number)
{
	for (uint32_t i = 0; i < c->route_count; i++) {
		if (c->routes[i].number == number)
			return &c->routes[i];
	}
	return NULL;
}

/* A heading: makes room for what it describes. */
static int open_section(struct reader *r, const struct item *item)
{
	struct config *c = r->config;
	int number;

	if (strcmp(item->section, "leatd") == 0 || strcmp(item->section, "access") == 0)
		return 0;
	number = section_number(item->section, "port", PORT_MAX);
	if (number >= 0) {
		c->ports[c->port_count++] = (struct config_port){
			.number = (uint32_t)number,
			.line = item->line,
		};
		return 0;
	}
	number = section_number(item->section, "route", CONFIG_MAX_ROUTES);
	if (number >= 0) {
		c->routes[c->route_count++] = (struct config_route){
			.number = (uint32_t)number,
			.port = UINT32_MAX,
			.line = item->line,
		};
		return 0;
	}
	return refuse(r, item->line, item->section, NULL,
		      "no such section; there are [leatd], [access], [port0] to [port%d] and "
		      "[route0] to [route%d]",
		      PORT_MAX - 1, CONFIG_MAX_ROUTES - 1);
}

/* What the section describes, and its options. */
static const struct option *section_options(struct config *c, const char *section, void **object)
{
	int number;

	if (strcmp(section, "leatd") == 0) {
		*object = c;
		return leatd_options;
	}
	if (strcmp(section, "access") == 0) {
		*object = &c->access;
		return access_options;
	}
	number = section_number(section, "port", PORT_MAX);
	if (number >= 0) {
		*object = find_port(c, (uint32_t)number);
		return port_options;
	}
	*object = find_route(c, (uint32_t)section_number(section, "route", CONFIG_MAX_ROUTES));
	return route_options;
}

static int apply_item(struct reader *r, const struct item *item, const char *value)
{
	const struct option *options, *o;
	void *object;

	options = section_options(r->config, item->section, &object);
	for (o = options; o->key != NULL; o++) {
		if (strcmp(o->key, item->key) != 0)
			continue;
		if (options == port_options && strcmp(item->key, "device") == 0)
			((struct config_port *)object)->device_line = item->line;
		return set_option(r, item, o, value, object);
	}
	return refuse_unknown_key(r, item, options);
}

static int apply(struct reader *r)
{
	struct rte_cfgfile_parameters parameters = {.comment_character = COMMENT};
	struct rte_cfgfile *file = rte_cfgfile_load_with_params(r->config->path, 0, &parameters);
	int ret = 0;

	if (file == NULL)
		return refuse(r, 0, NULL, NULL, "cannot be parsed");
	for (uint32_t i = 0; i < r->count && ret == 0; i++) {
		const struct item *item = &r->items[i];
		const char *value;

		if (item->key[0] == '\0') {
			ret = open_section(r, item);
			continue;
		}
		value = rte_cfgfile_get_entry(file, item->section, item->key);
		ret = value != NULL
			      ? apply_item(r, item, value)
			      : refuse(r, item->line, item->section, item->key, "cannot be parsed");
	}
	rte_cfgfile_close(file);
	return ret;
}

/* ---- What must hold between options ------------------------------------- */

static uint32_t prefix_mask(uint8_t length)
{
	return length == 0 ? 0 : UINT32_MAX << (32 - length);
}

static bool port_holds(const struct config_port *p, const struct inet_addr *a)
{
	return ((ntohl(p->address.v4) ^ ntohl(a->v4)) & prefix_mask(p->prefix_length)) == 0;
}

static uint32_t item_line(const struct reader *r, const char *section, const char *key)
{
	for (uint32_t i = 0; i < r->count; i++) {
		if (strcmp(r->items[i].section, section) == 0 && strcmp(r->items[i].key, key) == 0)
			return r->items[i].line;
	}
	return 0;
}

static int check_leatd(struct reader *r)
{
	const struct config *c = r->config;

	if (c->socket[0] != '/' && config_serves(c))
		return refuse(r, item_line(r, "leatd", "socket"), "leatd", "socket",
			      "\"%s\" is neither an absolute path nor none", c->socket);
	if (strlen(c->socket) + TELEMETRY_SUFFIX_BYTES > sizeof(c->socket))
		return refuse(r, item_line(r, "leatd", "socket"), "leatd", "socket",
			      "longer than %zu characters",
			      sizeof(c->socket) - TELEMETRY_SUFFIX_BYTES);
	if (c->worker.rcvbuf_bytes > c->worker.rcvbuf_max_bytes)
		return refuse(r, item_line(r, "leatd", "rcvbuf"), "leatd", "rcvbuf",
			      "%u is above rcvbuf_max, which is %u", c->worker.rcvbuf_bytes,
			      c->worker.rcvbuf_max_bytes);
	if (c->worker.sndbuf_bytes > c->worker.sndbuf_max_bytes)
		return refuse(r, item_line(r, "leatd", "sndbuf"), "leatd", "sndbuf",
			      "%u is above sndbuf_max, which is %u", c->worker.sndbuf_bytes,
			      c->worker.sndbuf_max_bytes);
	return 0;
}

/* Can a be a host's address in a network with this prefix length? */
static bool address_is_host(const struct inet_addr *a, uint8_t prefix_length)
{
	uint32_t host = ntohl(a->v4), bits = ~prefix_mask(prefix_length);

	if (host >> 24 == 0 || host >> 24 == 127 || host >> 24 >= 224)
		return false;
	return prefix_length >= 31 || ((host & bits) != 0 && (host & bits) != bits);
}

static int check_port(struct reader *r, uint32_t index)
{
	const struct config *c = r->config;
	const struct config_port *p = &c->ports[index];
	uint64_t impaired = p->impair.limit;
	char section[CFG_NAME_LEN];

	snprintf(section, sizeof(section), "port%u", p->number);
	if (p->device[0] == '\0')
		return refuse(r, p->line, section, "device",
			      "missing; name the DPDK device, such as net_tap0 or 0000:01:00.0");
	if (p->prefix_length == 0)
		return refuse(r, p->line, section, "address",
			      "missing; give one such as 198.18.0.2/24");
	if (!address_is_host(&p->address, p->prefix_length))
		return refuse(r, item_line(r, section, "address"), section, "address",
			      "not a host's address in its network");
	if (!inet_addr_is_any(&p->gateway) &&
	    (!port_holds(p, &p->gateway) || inet_addr_eq(&p->gateway, &p->address)))
		return refuse(r, item_line(r, section, "gateway"), section, "gateway",
			      "not another host of the port's network");
	for (uint32_t i = 0; i < index; i++) {
		const struct config_port *other = &c->ports[i];

		if (strcmp(other->device, p->device) == 0)
			return refuse(r, p->device_line, section, "device",
				      "\"%s\" is also the device of [port%u]; each port needs one "
				      "of its own",
				      p->device, other->number);
		if (inet_addr_eq(&other->address, &p->address))
			return refuse(
				r, item_line(r, section, "address"), section, "address",
				"also the address of [port%u]; each port needs one of its own",
				other->number);
		impaired += other->impair.limit;
	}
	/* Held back each way, and a packet may have two: the rest must have some left. */
	if (p->impair.limit != 0 && 4ull * impaired > c->worker.mbufs)
		return refuse(r, item_line(r, section, "impair"), section, "impair",
			      "limit needs mbufs in [leatd] to be at least %llu, which is %u",
			      4ull * impaired, c->worker.mbufs);
	return 0;
}

static int check_route_port(struct reader *r, struct config_route *route, const char *section)
{
	struct config *c = r->config;

	for (uint32_t i = 0; i < c->port_count; i++) {
		if (route->port != UINT32_MAX && route->port != c->ports[i].number)
			continue;
		if (port_holds(&c->ports[i], &route->gateway)) {
			route->port_index = i;
			return 0;
		}
	}
	if (route->port != UINT32_MAX && find_port(c, route->port) == NULL)
		return refuse(r, item_line(r, section, "port"), section, "port",
			      "there is no [port%u]", route->port);
	return refuse(r, item_line(r, section, "gateway"), section, "gateway",
		      "not in the network of %s",
		      route->port == UINT32_MAX ? "any port" : "that port");
}

static int check_route(struct reader *r, uint32_t index)
{
	struct config *c = r->config;
	struct config_route *route = &c->routes[index];
	char section[CFG_NAME_LEN];

	snprintf(section, sizeof(section), "route%u", route->number);
	if (item_line(r, section, "prefix") == 0)
		return refuse(r, route->line, section, "prefix",
			      "missing; give one such as 192.0.2.0/24, or 0.0.0.0/0 for the rest");
	if (inet_addr_is_any(&route->gateway))
		return refuse(r, route->line, section, "gateway",
			      "missing; give the address of the next hop");
	if ((ntohl(route->prefix.v4) & ~prefix_mask(route->prefix_length)) != 0)
		return refuse(r, item_line(r, section, "prefix"), section, "prefix",
			      "has bits set behind its length of %u", route->prefix_length);
	for (uint32_t i = 0; i < index; i++) {
		if (inet_addr_eq(&c->routes[i].prefix, &route->prefix) &&
		    c->routes[i].prefix_length == route->prefix_length)
			return refuse(r, item_line(r, section, "prefix"), section, "prefix",
				      "also the prefix of [route%u]; remove one",
				      c->routes[i].number);
	}
	return check_route_port(r, route, section);
}

static int check(struct reader *r)
{
	int ret = check_leatd(r);

	if (ret == 0 && r->config->port_count == 0)
		ret = refuse(r, 0, NULL, NULL,
			     "no port; add a section [port0] with device and address");
	for (uint32_t i = 0; i < r->config->port_count && ret == 0; i++)
		ret = check_port(r, i);
	for (uint32_t i = 0; i < r->config->route_count && ret == 0; i++)
		ret = check_route(r, i);
	return ret;
}

/* ---- The whole ---------------------------------------------------------- */

static void set_defaults(struct config *c, const char *path)
{
	*c = (struct config){
		.path = path,
		.socket = LEAT_DEFAULT_SOCKET,
		.max_applications = 64,
		.huge_pages = true,
		.worker = WORKER_CONFIG_DEFAULT,
		.session = SESSION_CONFIG_DEFAULT,
	};
	c->worker.idle_us = 100;
	c->worker.congestion = &congestion_cubic;
}

/* Root and leatd's own user attach unless a list says otherwise; root binds low ports. */
static void set_default_access(struct reader *r)
{
	struct config_access *access = &r->config->access;

	if (item_line(r, "access", "uid") == 0 && item_line(r, "access", "gid") == 0)
		access->uids = (struct config_ids){.count = 2, .id = {0, geteuid()}};
	if (item_line(r, "access", "low_ports_uid") == 0)
		access->low_ports_uids = (struct config_ids){.count = 1, .id = {0}};
}

int config_load(const char *path, struct config *config, char *error, size_t error_bytes)
{
	struct reader r = {.config = config, .error = error, .error_bytes = error_bytes};
	int ret;

	if (error_bytes > 0)
		error[0] = '\0';
	set_defaults(config, path);
	ret = scan(&r);
	if (ret == 0)
		ret = apply(&r);
	if (ret == 0)
		ret = check(&r);
	if (ret == 0)
		set_default_access(&r);
	free(r.items);
	config->session.sndbuf_bytes = config->worker.sndbuf_bytes;
	return ret;
}

bool config_serves(const struct config *config)
{
	return strcmp(config->socket, CONFIG_NO_SOCKET) != 0;
}

bool config_ids_contain(const struct config_ids *ids, uint32_t id)
{
	for (uint32_t i = 0; i < ids->count; i++) {
		if (ids->id[i] == id)
			return true;
	}
	return false;
}
