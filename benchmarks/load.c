/* SPDX-License-Identifier: BSD-3-Clause */
#include "load.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <rte_cycles.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define FROM_DEFAULT 0xc6120101u /* 198.18.1.1 */

static void refuse(const char *usage, const char *format, ...)
	__attribute__((format(printf, 2, 3), noreturn));

static void refuse(const char *usage, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, "\n%s" LOAD_USAGE, usage);
	exit(2);
}

static uint32_t parse_address(const char *text, const char *usage)
{
	struct in_addr a;

	if (inet_pton(AF_INET, text, &a) != 1)
		refuse(usage, "%s: not an IPv4 address", text);
	return ntohl(a.s_addr);
}

static uint64_t parse_number(const char *text, uint64_t max, const char *usage)
{
	char *end;
	uint64_t n = strtoull(text, &end, 10);

	if (end == text || *end != '\0' || n > max)
		refuse(usage, "%s: a number from 0 to %llu is wanted", text,
		       (unsigned long long)max);
	return n;
}

static void parse_server(struct generator_config *c, const char *text, const char *usage)
{
	char address[INET_ADDRSTRLEN];
	const char *colon = strrchr(text, ':');

	if (colon == NULL || (size_t)(colon - text) >= sizeof(address))
		refuse(usage, "%s: ADDR:PORT is wanted", text);
	memcpy(address, text, (size_t)(colon - text));
	address[colon - text] = '\0';
	c->server = parse_address(address, usage);
	c->server_port = (uint16_t)parse_number(colon + 1, UINT16_MAX, usage);
}

static void parse_mode(struct generator_config *c, const char *text, const char *usage)
{
	if (strcmp(text, "keep-alive") == 0)
		c->mode = GENERATOR_KEEP_ALIVE;
	else if (strcmp(text, "close") == 0 || strcmp(text, "server-close") == 0)
		c->mode = GENERATOR_CLOSE;
	else if (strcmp(text, "udp") == 0)
		c->mode = GENERATOR_UDP;
	else
		refuse(usage, "%s: no such mode", text);
	c->server_closes = strcmp(text, "server-close") == 0;
}

static char request[GENERATOR_REQUEST_BYTES];

static void make_request(struct generator_config *c, const char *path, uint32_t bytes,
			 const char *usage)
{
	int length = (int)bytes;

	if (path != NULL) {
		length = snprintf(request, sizeof(request),
				  "GET %s HTTP/1.1\r\nHost: server\r\n%s\r\n", path,
				  c->server_closes ? "Connection: close\r\n" : "");
		c->http = true;
	} else {
		for (uint32_t i = 0; i < bytes && i < sizeof(request); i++)
			request[i] = (char)('a' + i % 26);
	}
	if (length <= 0 || length > (int)sizeof(request))
		refuse(usage, "a request has 1 to %u bytes", (unsigned)sizeof(request));
	c->request = request;
	c->request_bytes = (uint32_t)length;
}

void load_parse(struct load_options *options, int argc, char **argv, const char *usage)
{
	static const struct option names[] = {
		{"server", required_argument, NULL, 's'},
		{"from", required_argument, NULL, 'f'},
		{"connections", required_argument, NULL, 'c'},
		{"window", required_argument, NULL, 'w'},
		{"mode", required_argument, NULL, 'm'},
		{"bytes", required_argument, NULL, 'b'},
		{"http", required_argument, NULL, 'h'},
		{"rate", required_argument, NULL, 'r'},
		{"seconds", required_argument, NULL, 't'},
		{"warmup", required_argument, NULL, 'u'},
		{"rest", required_argument, NULL, 'e'},
		{"json", no_argument, NULL, 'j'},
		{NULL, 0, NULL, 0},
	};
	struct generator_config *c = &options->generator;
	const char *path = NULL;
	uint32_t bytes = 64;
	int option;

	c->first_address = FROM_DEFAULT;
	c->connections = 512;
	c->seconds = 3;
	c->warmup_s = 1;
	optind = 1;
	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (option) {
		case 's':
			parse_server(c, optarg, usage);
			break;
		case 'f':
			c->first_address = parse_address(optarg, usage);
			break;
		case 'c':
			c->connections = (uint32_t)parse_number(optarg, 4000000, usage);
			break;
		case 'w':
			c->window = (uint32_t)parse_number(optarg, UINT32_MAX, usage);
			break;
		case 'm':
			parse_mode(c, optarg, usage);
			break;
		case 'b':
			bytes = (uint32_t)parse_number(optarg, GENERATOR_REQUEST_BYTES, usage);
			break;
		case 'h':
			path = optarg;
			break;
		case 'r':
			c->rate = parse_number(optarg, 100000000, usage);
			break;
		case 't':
			c->seconds = (double)parse_number(optarg, 3600, usage);
			break;
		case 'u':
			c->warmup_s = (double)parse_number(optarg, 3600, usage);
			break;
		case 'e':
			options->rest_s = (double)parse_number(optarg, 3600, usage);
			break;
		case 'j':
			options->json = true;
			break;
		default:
			refuse(usage, "%s", "");
		}
	}
	if (optind != argc)
		refuse(usage, "%s: not understood", argv[optind]);
	/* For connections that begin anew all the time, several times as many ports as connections. */
	c->addresses =
		(c->connections * (c->mode == GENERATOR_CLOSE ? 4 : 1) + GENERATOR_PORTS - 1) /
		GENERATOR_PORTS;
	make_request(c, path, bytes, usage);
}

static double cycles_us(double cycles)
{
	return cycles * 1e6 / (double)rte_get_tsc_hz();
}

static double us(const struct generator_result *r, double share)
{
	return cycles_us((double)histogram_quantile(&r->latency, share));
}

/* From the request's departure to the answer's arrival, as if nobody waited for a core. */
static double trip_us(const struct load_server *s)
{
	return cycles_us(s->trip_cycles + s->driver_trip_cycles);
}

/* Requests at the same time. */
static uint32_t window(const struct generator_config *c)
{
	return c->window == 0 || c->window > c->connections ? c->connections : c->window;
}

static const char *mode_name(const struct generator_config *c)
{
	switch (c->mode) {
	case GENERATOR_KEEP_ALIVE:
		return "keep-alive";
	case GENERATOR_CLOSE:
		return c->server_closes ? "server-close" : "close";
	default:
		return "udp";
	}
}

static void print_json_turns(const struct load_server *s)
{
	printf("\"worker_cycles_per_op\": %.0f, \"application_cycles_per_op\": %.0f, ",
	       s->worker_cycles, s->application_cycles);
	if (s->trip_cycles > 0)
		printf("\"trip_cycles\": %.0f, \"driver_trip_cycles\": %.0f, "
		       "\"trip_by_sum_us\": %.2f, ",
		       s->trip_cycles, s->driver_trip_cycles, trip_us(s));
}

static void print_json(const struct load_options *o, const struct generator_result *r,
		       const struct load_server *s, double rate)
{
	printf("{\"benchmark\": \"%s\", \"variant\": \"%s\", \"driver\": \"%s\", "
	       "\"connections\": %u, \"window\": %u, \"offered_per_s\": %llu, "
	       "\"ops_per_s\": %.0f, \"clock_hz\": %llu, ",
	       mode_name(&o->generator), s->name, s->driver, o->generator.connections,
	       window(&o->generator), (unsigned long long)o->generator.rate, rate,
	       (unsigned long long)rte_get_tsc_hz());
	if (s->cycles > 0)
		printf("\"cycles_per_op\": %.0f, \"busy_cycles_per_op\": %.0f, "
		       "\"disturbed_turns\": %llu, ",
		       s->cycles, s->busy_cycles, (unsigned long long)s->disturbed);
	if (s->idle_cycles > 0)
		printf("\"idle_cycles\": %.0f, ", s->idle_cycles);
	if (s->ceiling_cycles > 0)
		printf("\"ceiling_cycles_per_op\": %.0f, ", s->ceiling_cycles);
	if (s->takes_turns)
		print_json_turns(s);
	else
		printf("\"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, ", us(r, 0.5),
		       us(r, 0.99), us(r, 0.999));
	printf("\"pause_us\": %.0f, ", cycles_us((double)r->pause));
	if (s->pause_cycles > 0)
		printf("\"server_pause_us\": %.0f, ", cycles_us(s->pause_cycles));
	printf("\"sent_again\": %llu, \"got_again\": %llu, \"resets\": %llu, \"wrong\": %llu, "
	       "\"seconds\": %.2f}\n",
	       (unsigned long long)r->sent_again, (unsigned long long)r->got_again,
	       (unsigned long long)r->resets, (unsigned long long)r->wrong, r->seconds);
}

static void print_text_turns(const struct load_server *s)
{
	printf("\n  worker %.0f and application %.0f busy cycles, by turns on one core, the "
	       "kernel's "
	       "part left out\n",
	       s->worker_cycles, s->application_cycles);
	if (s->trip_cycles > 0)
		printf("  round trip %.2f us: %.0f cycles of worker, application and worker, %.0f "
		       "of "
		       "generator and driver\n",
		       trip_us(s), s->trip_cycles, s->driver_trip_cycles);
}

static void print_text(const struct load_options *o, const struct generator_result *r,
		       const struct load_server *s, double rate)
{
	printf("%s, %s over %s: %u connections", mode_name(&o->generator), s->name, s->driver,
	       o->generator.connections);
	if (window(&o->generator) < o->generator.connections)
		printf(", %u requests at a time", o->generator.window);
	if (o->generator.rate != 0)
		printf(", %llu requests/s offered", (unsigned long long)o->generator.rate);
	printf("\n  %.3f million/s", rate / 1e6);
	if (s->cycles > 0)
		printf(", %.0f cycles each at the server, %.0f without iterations that found "
		       "nothing",
		       s->cycles, s->busy_cycles);
	if (s->idle_cycles > 0)
		printf(", %.0f one of those", s->idle_cycles);
	if (s->ceiling_cycles > 0)
		printf("; the driver alone: %.0f", s->ceiling_cycles);
	if (s->takes_turns)
		print_text_turns(s);
	else
		printf("\n  latency p50 %.1f us, p99 %.1f us, p99.9 %.1f us\n", us(r, 0.5),
		       us(r, 0.99), us(r, 0.999));
	printf("  longest pause %.1f ms", cycles_us((double)r->pause) / 1000);
	if (s->pause_cycles > 0)
		printf(", of the server %.1f ms", cycles_us(s->pause_cycles) / 1000);
	printf("\n  %llu segments sent again, %llu by the server, %llu connections reset, %llu "
	       "wrong answers\n",
	       (unsigned long long)r->sent_again, (unsigned long long)r->got_again,
	       (unsigned long long)r->resets, (unsigned long long)r->wrong);
}

void load_print(const struct load_options *options, const struct generator_result *result,
		const struct load_server *server)
{
	double rate = result->seconds > 0 ? (double)result->requests / result->seconds : 0;

	if (options->json)
		print_json(options, result, server, rate);
	else
		print_text(options, result, server, rate);
	fflush(stdout);
}
