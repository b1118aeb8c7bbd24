/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench-linux-request: what bench-request asks, asked of the Linux stack: an
 * echo server on epoll, which sleeps when there is nothing to do, and on
 * another core a client that never sleeps, each in a network namespace.  Without
 * --server-at the client asks somebody else.  Options, clock and figures are
 * the load generator's; EAL is there for its clock alone.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "load.h"

#define MEGABYTES    32
#define EVENTS       256
#define BUFFER_BYTES 2048
#define BULK_BYTES   (256 * 1024)
#define UDP_BUFFER   (16 << 20) /* bytes: no request of a window is dropped for want of room */
#define FILES        262144
#define SPARE_FILES  64
#define WAIT_MS      100 /* the server looks whether it is over */
#define AGAIN_MS     1000 /* a datagram nobody answered is sent once more */

static const char usage[] =
	"usage: bench-linux-request [--server-at NETNS:CORE] --client-at NETNS:CORE [--bulk]\n"
	"                           -- OPTIONS\n"
	"NETNS as with ip-netns(8), or a dash: where the program was started.\n"
	"--bulk: one connection and nothing but bytes to the server.\n";

/* Where a thread lives. */
struct place {
	bool given;
	char netns[64]; /* its file; empty: ours */
	int core;
};

enum state { CLOSED, IDLE, CONNECTING, WAITING };

struct connection {
	uint64_t started; /* when its request was sent, or should have been */
	uint64_t sent;
	int fd;
	uint32_t left; /* of the answer */
	enum state state;
};

/* Between client and server; atomic. */
struct shared {
	uint64_t received; /* bulk: bytes */
	uint32_t ready; /* the server listens */
	uint32_t over;
};

static struct {
	struct load_options options;
	struct place server_at;
	struct place client_at;
	bool bulk;
	struct shared *shared; /* NULL without a server of our own */
	pid_t server; /* a process: it may have as many files again */

	/* the client's */
	struct connection *connections;
	uint32_t *idle; /* those that wait for their turn, in its order */
	uint32_t idle_head;
	uint32_t idle_count;
	uint32_t outstanding;
	uint32_t scan_next;
	int epoll;
	bool measuring;
	uint64_t due_start; /* open loop: request n is due n times the interval later */
	uint64_t due_count;
	double due_interval;
	struct generator_result result;
} bench;

static void fail(const char *what)
{
	bench_fail("%s: %s", what, strerror(errno));
}

static const struct generator_config *config(void)
{
	return &bench.options.generator;
}

static bool is_udp(void)
{
	return config()->mode == GENERATOR_UDP;
}

static bool closes(void)
{
	return config()->mode == GENERATOR_CLOSE;
}

/* ---- places ---- */

static void parse_place(struct place *place, const char *text)
{
	const char *colon = strrchr(text, ':');

	if (colon == NULL)
		bench_fail("%s: NETNS:CORE is wanted", text);
	if (text[0] != '-')
		snprintf(place->netns, sizeof(place->netns), "/run/netns/%.*s", (int)(colon - text),
			 text);
	place->core = (int)strtol(colon + 1, NULL, 10);
	place->given = true;
}

/* Moves the calling thread there. */
static void settle(const struct place *place)
{
	cpu_set_t set;
	int fd;

	CPU_ZERO(&set);
	CPU_SET(place->core, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		bench_fail("no core %d", place->core);
	if (place->netns[0] == '\0')
		return;
	fd = open(place->netns, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) != 0)
		fail(place->netns);
	close(fd);
}

/* Seconds that a core worked since it began, as the kernel counts them: interrupts, too, and others'
 * work. */
static double core_busy_s(int core)
{
	unsigned long long user, nice, system, idle, iowait, irq, softirq;
	FILE *f = fopen("/proc/stat", "r");
	char line[512], name[16];
	double busy = 0;

	snprintf(name, sizeof(name), "cpu%d ", core);
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, name, strlen(name)) != 0)
			continue;
		if (sscanf(line + strlen(name), "%llu %llu %llu %llu %llu %llu %llu", &user, &nice,
			   &system, &idle, &iowait, &irq, &softirq) == 7)
			busy = (double)(user + nice + system + irq + softirq);
	}
	if (f != NULL)
		fclose(f);
	return busy / (double)sysconf(_SC_CLK_TCK);
}

/* ---- the server ---- */

static int server_open(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(config()->server_port)};
	int fd = socket(AF_INET, (is_udp() ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK, 0);
	int on = 1, room = UDP_BUFFER;

	at.sin_addr.s_addr = htonl(config()->server);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    (is_udp() && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) != 0) ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 ||
	    (!is_udp() && listen(fd, 4096) != 0))
		fail("the server cannot listen");
	return fd;
}

static void echo_datagrams(int fd)
{
	char buffer[BUFFER_BYTES];
	struct sockaddr_in peer;
	socklen_t length = sizeof(peer);
	ssize_t n;

	while ((n = recvfrom(fd, buffer, sizeof(buffer), 0, (struct sockaddr *)&peer, &length)) >=
	       0)
		(void)sendto(fd, buffer, (size_t)n, 0, (struct sockaddr *)&peer, length);
}

static void accept_all(int epoll, int listener)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET};
	int on = 1;

	while ((event.data.fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		(void)setsockopt(event.data.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event) != 0)
			fail("epoll_ctl");
	}
	if (errno == EMFILE)
		fail("the server cannot accept");
}

static void echo(int fd)
{
	char buffer[BUFFER_BYTES];
	ssize_t n;

	while ((n = recv(fd, buffer, sizeof(buffer), 0)) > 0) {
		if (send(fd, buffer, (size_t)n, MSG_NOSIGNAL) != n)
			break;
		if ((size_t)n < sizeof(buffer))
			return; /* an edge tells of more */
	}
	if (n == 0 || errno != EAGAIN)
		close(fd);
}

static void swallow(int fd)
{
	static char buffer[BULK_BYTES];
	ssize_t n;

	while ((n = recv(fd, buffer, sizeof(buffer), 0)) > 0)
		__atomic_fetch_add(&bench.shared->received, (uint64_t)n, __ATOMIC_RELAXED);
	if (n == 0 || errno != EAGAIN)
		close(fd);
}

static void serve(void)
{
	struct epoll_event events[EVENTS];
	struct epoll_event listens = {.events = EPOLLIN};
	int listener, epoll;

	settle(&bench.server_at);
	listener = server_open();
	epoll = epoll_create1(0);
	listens.data.fd = listener;
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &listens) != 0)
		fail("epoll");
	__atomic_store_n(&bench.shared->ready, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&bench.shared->over, __ATOMIC_ACQUIRE) == 0) {
		int count = epoll_wait(epoll, events, EVENTS, WAIT_MS);

		for (int i = 0; i < count; i++) {
			if (events[i].data.fd != listener)
				(bench.bulk ? swallow : echo)(events[i].data.fd);
			else if (is_udp())
				echo_datagrams(listener);
			else
				accept_all(epoll, listener);
		}
	}
}

/* ---- the client's connections ---- */

static void idle_push(struct connection *c)
{
	uint32_t at = (bench.idle_head + bench.idle_count++) % config()->connections;

	bench.idle[at] = (uint32_t)(c - bench.connections);
	c->state = IDLE;
}

static struct connection *idle_pop(void)
{
	struct connection *c = &bench.connections[bench.idle[bench.idle_head]];

	bench.idle_head = (bench.idle_head + 1) % config()->connections;
	bench.idle_count--;
	return c;
}

/* From an address of ours, to the server; flags as of socket(2). */
static void connection_open(struct connection *c, int flags)
{
	uint32_t number = (uint32_t)(c - bench.connections);
	struct sockaddr_in from = {.sin_family = AF_INET};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(config()->server_port)};
	int on = 1;

	from.sin_addr.s_addr = htonl(config()->first_address + number % config()->addresses);
	to.sin_addr.s_addr = htonl(config()->server);
	c->fd = socket(AF_INET, (is_udp() ? SOCK_DGRAM : SOCK_STREAM) | flags, 0);
	if (c->fd < 0)
		fail("socket");
	/* The port is chosen with the destination known: as many connections as there are ports. */
	if (!is_udp() &&
	    (setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) != 0 ||
	     setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0))
		fail("setsockopt");
	if (bind(c->fd, (struct sockaddr *)&from, sizeof(from)) != 0)
		fail("bind");
	if (connect(c->fd, (struct sockaddr *)&to, sizeof(to)) != 0 && errno != EINPROGRESS)
		fail("connect");
}

static void connection_watch(struct connection *c, uint32_t what)
{
	struct epoll_event event = {.events = what | EPOLLET,
				    .data.u32 = (uint32_t)(c - bench.connections)};

	if (epoll_ctl(bench.epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
		fail("epoll_ctl");
}

/* Those that stay. */
static void open_all(void)
{
	for (uint32_t i = 0; i < config()->connections; i++) {
		struct connection *c = &bench.connections[i];

		if (!closes()) {
			connection_open(c, 0);
			(void)fcntl(c->fd, F_SETFL, O_NONBLOCK);
			connection_watch(c, EPOLLIN);
		}
		idle_push(c);
	}
}

static void close_all(void)
{
	for (uint32_t i = 0; i < config()->connections; i++)
		if (bench.connections[i].fd > 0)
			close(bench.connections[i].fd);
}

/* ---- requests and answers ---- */

static void send_request(struct connection *c)
{
	c->sent = rte_rdtsc();
	c->left = config()->request_bytes;
	c->state = WAITING;
	if (send(c->fd, config()->request, config()->request_bytes, MSG_NOSIGNAL) !=
	    (ssize_t)config()->request_bytes)
		bench.result.wrong++;
}

static bool next_due(uint64_t *due)
{
	if (bench.idle_count == 0 || bench.outstanding >= config()->window)
		return false;
	*due = rte_rdtsc();
	if (config()->rate == 0)
		return true;
	if (bench.due_start + (uint64_t)((double)bench.due_count * bench.due_interval) > *due)
		return false;
	*due = bench.due_start + (uint64_t)((double)bench.due_count++ * bench.due_interval);
	return true;
}

static void send_due(void)
{
	uint64_t due;

	while (next_due(&due)) {
		struct connection *c = idle_pop();

		bench.outstanding++;
		c->started = due;
		if (!closes()) {
			send_request(c);
			continue;
		}
		connection_open(c, SOCK_NONBLOCK);
		connection_watch(c, EPOLLIN | EPOLLOUT);
		c->state = CONNECTING;
	}
}

static void answered(struct connection *c)
{
	if (closes()) {
		close(c->fd);
		c->fd = -1;
	}
	if (bench.measuring) {
		bench.result.requests++;
		histogram_add(&bench.result.latency, rte_rdtsc() - c->started);
	}
	bench.outstanding--;
	idle_push(c);
}

static void refused(struct connection *c)
{
	bench.result.resets++;
	if (!closes())
		bench_fail("a connection ended");
	answered(c);
}

static void take(struct connection *c, uint32_t events)
{
	char buffer[BUFFER_BYTES];
	ssize_t n;

	if (c->state == CONNECTING && (events & EPOLLOUT)) {
		send_request(c);
		return;
	}
	if (c->state != WAITING)
		return;
	n = recv(c->fd, buffer, sizeof(buffer), 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		refused(c);
		return;
	}
	if ((uint32_t)n > c->left ||
	    buffer[0] != ((const char *)config()->request)[config()->request_bytes - c->left])
		bench.result.wrong++;
	c->left -= (uint32_t)n < c->left ? (uint32_t)n : c->left;
	if (c->left == 0)
		answered(c);
}

/* Datagrams that got lost; one connection at a time. */
static void send_again(void)
{
	struct connection *c = &bench.connections[bench.scan_next];

	if (++bench.scan_next == config()->connections)
		bench.scan_next = 0;
	if (!is_udp() || c->state != WAITING ||
	    rte_rdtsc() - c->sent < rte_get_tsc_hz() / 1000 * AGAIN_MS)
		return;
	bench.result.sent_again++;
	send_request(c);
}

static void ask_until(uint64_t end)
{
	struct epoll_event events[EVENTS];

	while (rte_rdtsc() < end) {
		int count;

		send_due();
		count = epoll_wait(bench.epoll, events, EVENTS, 0);
		for (int i = 0; i < count; i++)
			take(&bench.connections[events[i].data.u32], events[i].events);
		send_again();
	}
}

static uint64_t after(double seconds)
{
	return rte_rdtsc() + (uint64_t)(seconds * (double)rte_get_tsc_hz());
}

static void ask(struct load_server *server)
{
	double busy, hz = (double)rte_get_tsc_hz();
	uint64_t began;

	open_all();
	bench.due_start = rte_rdtsc();
	ask_until(after(config()->warmup_s));
	bench.measuring = true;
	busy = core_busy_s(bench.server_at.core);
	began = rte_rdtsc();
	ask_until(after(config()->seconds));
	bench.result.seconds = (double)(rte_rdtsc() - began) / hz;
	busy = core_busy_s(bench.server_at.core) - busy;
	if (bench.server_at.given && bench.result.requests > 0) {
		server->cycles = bench.result.seconds * hz / (double)bench.result.requests;
		server->busy_cycles = busy * hz / (double)bench.result.requests;
	}
	close_all();
}

/* ---- bulk ---- */

static void send_until(int fd, const char *buffer, uint64_t end)
{
	while (rte_rdtsc() < end)
		if (send(fd, buffer, BULK_BYTES, MSG_NOSIGNAL) <= 0)
			fail("send");
}

static void send_bulk(void)
{
	char *buffer = calloc(1, BULK_BYTES);
	struct connection *c = &bench.connections[0];
	uint64_t began, bytes;
	double seconds;

	connection_open(c, 0);
	send_until(c->fd, buffer, after(config()->warmup_s));
	began = rte_rdtsc();
	bytes = __atomic_load_n(&bench.shared->received, __ATOMIC_RELAXED);
	send_until(c->fd, buffer, after(config()->seconds));
	bytes = __atomic_load_n(&bench.shared->received, __ATOMIC_RELAXED) - bytes;
	seconds = (double)(rte_rdtsc() - began) / (double)rte_get_tsc_hz();
	close(c->fd);
	free(buffer);
	bench_report(&(struct bench_figure){
		.benchmark = "bulk",
		.variant = "Linux",
		.connections = 1,
		.driver = "veth",
		.more = {{"gbit_per_s", (double)bytes * 8 / seconds / 1e9}},
	});
}

/* ---- the whole ---- */

static void parse(int argc, char **argv)
{
	static const struct option names[] = {
		{"server-at", required_argument, NULL, 's'},
		{"client-at", required_argument, NULL, 'c'},
		{"bulk", no_argument, NULL, 'b'},
		{NULL, 0, NULL, 0},
	};
	struct generator_config *c = &bench.options.generator;
	int option;

	while ((option = getopt_long(argc, argv, "+", names, NULL)) != -1) {
		if (option == 's')
			parse_place(&bench.server_at, optarg);
		else if (option == 'c')
			parse_place(&bench.client_at, optarg);
		else if (option == 'b')
			bench.bulk = true;
		else
			bench_fail("%s", usage);
	}
	argv[optind - 1] = argv[0];
	load_parse(&bench.options, argc - optind + 1, argv + optind - 1, usage);
	if (!bench.client_at.given || c->server == 0 || c->http || c->server_closes)
		bench_fail(
			"--client-at and --server are wanted, --http and server-close are not\n%s",
			usage);
	if (c->window == 0)
		c->window = c->connections;
	if (bench.options.json)
		(void)bench_option("--json");
}

static void start_server(void)
{
	if (!bench.server_at.given)
		return;
	bench.shared = mmap(NULL, sizeof(*bench.shared), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bench.server = bench.shared != MAP_FAILED ? fork() : -1;
	if (bench.server < 0)
		fail("no process for the server");
	if (bench.server == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve();
		_exit(0);
	}
	while (__atomic_load_n(&bench.shared->ready, __ATOMIC_ACQUIRE) == 0) {
		usleep(1000);
		if (waitpid(bench.server, NULL, WNOHANG) != 0)
			bench_fail("the server has ended");
	}
}

static void stop_server(void)
{
	int status;

	if (!bench.server_at.given)
		return;
	__atomic_store_n(&bench.shared->over, 1, __ATOMIC_RELEASE);
	if (waitpid(bench.server, &status, 0) != bench.server || status != 0)
		bench_fail("the server has failed");
}

/* Each process needs a file for each connection. */
static void allow_files(void)
{
	const struct rlimit files = {FILES, FILES};
	struct rlimit limit;

	(void)setrlimit(RLIMIT_NOFILE, &files); /* not everywhere root may */
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
	    limit.rlim_cur < config()->connections + SPARE_FILES)
		bench_fail("no more than %lu files may be open", (unsigned long)limit.rlim_cur);
}

static void allocate(void)
{
	uint32_t n = config()->connections;
	bench.connections = calloc(n, sizeof(bench.connections[0]));
	bench.idle = calloc(n, sizeof(bench.idle[0]));
	bench.epoll = epoll_create1(0);
	if (bench.connections == NULL || bench.idle == NULL || bench.epoll < 0)
		fail("no room for the connections");
	if (config()->rate != 0)
		bench.due_interval = (double)rte_get_tsc_hz() / (double)config()->rate;
}

int main(int argc, char **argv)
{
	struct load_server server = {.name = "Linux echo", .driver = "veth"};

	parse(argc, argv);
	bench_eal(argv[0], MEGABYTES, false);
	if (!bench.server_at.given)
		server = (struct load_server){.name = "Linux client", .driver = "Linux"};
	allow_files();
	start_server();
	settle(&bench.client_at);
	allocate();
	if (bench.bulk)
		send_bulk();
	else
		ask(&server);
	stop_server();
	if (!bench.bulk)
		load_print(&bench.options, &bench.result, &server);
	if (!bench.bulk && bench.result.requests == 0)
		return 1;
	return bench_end();
}
