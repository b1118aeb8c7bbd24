/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench-shared: the echo server as an application in a process of its own, the
 * stack in another, through shared memory, asked like bench-request's.  With
 * three cores all would spin; here worker and application take turns on one,
 * and what counts is how many cycles each is busy.
 *
 * The worker's turn ends with an iteration that found something, the
 * application's with one look at its events: as it would be if each had a core
 * and both were equally fast.  The kernel's part, from the end of a turn to the
 * beginning of the next, is not counted, but the caches it leaves behind are.
 */
#include <errno.h>
#include <leat/leat.h>
#include <linux/futex.h>
#include <rte_cycles.h>
#include <rte_lcore.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ask.h"
#include "control.h"
#include "daemon.h"
#include "echo.h"

#define DRIVER_CONNECTIONS 512
#define PATIENCE_NS        1000000 /* the application may be waiting for its worker */

static const char usage[] =
	"usage: bench-shared EAL-ARGS -- --core N OPTIONS\n"
	"A worker and its application in turns on EAL's main core, the generator on core N.\n";

enum side { WORKER, APPLICATION };

/* Of both processes. */
struct turns {
	uint32_t whose; /* enum side; atomic, a futex */
	int core;
	bool udp;
	char socket[64];
	/* the application's, for the end of its turn */
	bool listening;
	int found;
	uint64_t cycles;
};
static struct turns *turns;

static struct leatd leatd;
static pid_t application;
static int stop_fd;

/* What the turns of a side took while it was measured. */
struct account {
	uint64_t cycles;
	uint64_t busy; /* without those that found nothing or were disturbed */
	uint64_t disturbed;
};
static struct account of_worker, of_application;
static struct histogram idle; /* iterations of the worker */

/* ---- turns ---- */

static long futex(uint32_t *word, int operation, uint32_t value, const struct timespec *timeout)
{
	return syscall(SYS_futex, word, operation, value, timeout, NULL, 0);
}

static void give_turn(enum side to)
{
	/* release: pairs with has_turn; what this side did is seen by the other */
	__atomic_store_n(&turns->whose, to, __ATOMIC_RELEASE);
	(void)futex(&turns->whose, FUTEX_WAKE, 1, NULL);
}

static bool has_turn(enum side side)
{
	return __atomic_load_n(&turns->whose, __ATOMIC_ACQUIRE) == side;
}

/* ---- the application's process ---- */

static void pin(int core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(core, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		ask_fail("the application cannot run on the worker's core");
}

static void take_turn(void)
{
	uint64_t before;

	while (!has_turn(APPLICATION))
		(void)futex(&turns->whose, FUTEX_WAIT, WORKER, NULL);
	before = rte_rdtsc();
	turns->found = echo_serve();
	turns->cycles = rte_rdtsc() - before;
	give_turn(WORKER);
}

/* Ends by the signal that the worker's process sends it. */
static void application_main(void)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!has_turn(APPLICATION))
		(void)futex(&turns->whose, FUTEX_WAIT, WORKER, NULL);
	pin(turns->core);
	if (leat_init(turns->socket) != 0)
		ask_fail(leat_init_strerror(errno, turns->socket));
	if (!echo_open(turns->udp))
		ask_fail("the server cannot listen");
	turns->listening = true;
	for (;;)
		take_turn();
}

/* Before EAL starts, whose memory is not the application's. */
static void application_start(void)
{
	struct rlimit limit;

	/* Each of its sockets takes a descriptor's number. */
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	turns = mmap(NULL, sizeof(*turns), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (turns == MAP_FAILED)
		ask_fail("no memory for two processes");
	application = fork();
	if (application == 0)
		application_main();
	if (application < 0)
		ask_fail("no process for the application");
}

/* ---- the worker's process ---- */

static void charge(struct account *account, uint64_t cycles, bool found)
{
	account->cycles += cycles;
	if (ask_was_disturbed(cycles))
		account->disturbed++;
	else if (found)
		account->busy += cycles;
}

/* One iteration; the cycles it took, *found: it was not for nothing. */
static uint64_t iterate(bool *found)
{
	uint64_t before = rte_rdtsc(), cycles;

	*found = worker_poll(leatd.worker[0]) > 0;
	cycles = rte_rdtsc() - before;
	if (ask_is_measuring()) {
		charge(&of_worker, cycles, *found);
		if (!*found)
			histogram_add(&idle, cycles);
	}
	return cycles;
}

/* A whole turn of the application.  While it attaches and listens it waits for answers. */
static void yield_to_application(void)
{
	static const struct timespec patience = {.tv_nsec = PATIENCE_NS};
	bool found;

	give_turn(APPLICATION);
	while (!has_turn(WORKER)) {
		if (futex(&turns->whose, FUTEX_WAIT, APPLICATION, &patience) == 0 ||
		    errno != ETIMEDOUT)
			continue;
		if (waitpid(application, NULL, WNOHANG) != 0)
			exit(1); /* it said why */
		(void)iterate(&found);
	}
	if (ask_is_measuring())
		charge(&of_application, turns->cycles, turns->found > 0);
}

/* Until the generator has gone.  trips: of requests, each with an application's turn that found
 * something between two of the worker's. */
static void take_turns(struct histogram *trips)
{
	uint64_t before = 0; /* cycles of a trip so far; 0: none is under way */
	bool found;

	while (!ask_is_over()) {
		uint64_t cycles = iterate(&found);

		if (!found)
			continue;
		if (before != 0)
			histogram_add(trips, before + cycles);
		yield_to_application();
		before = turns->found > 0 ? cycles + turns->cycles : 0;
	}
}

static void open_server(const char *config, char **argv)
{
	stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (daemon_init(&leatd, config, 1, argv) != 0 || daemon_open(&leatd) != 0 ||
	    daemon_start(&leatd, stop_fd) != 0)
		exit(1);
	turns->core = (int)rte_lcore_to_cpu_id((int)rte_lcore_id());
	turns->udp = ask_options()->generator.mode == GENERATOR_UDP;
	while (!turns->listening)
		yield_to_application();
	ask_listening();
}

static void close_server(void)
{
	(void)kill(application, SIGKILL);
	(void)waitpid(application, NULL, 0);
	(void)eventfd_write(stop_fd, 1);
	while (!leatd.worker_stop[0])
		(void)worker_poll(leatd.worker[0]);
	control_join(leatd.control);
	daemon_close(&leatd);
}

/* One request at a time? */
static bool is_alone(void)
{
	return ask_options()->generator.connections == 1;
}

static void print(const struct histogram *trips, const struct ask_driver *driver,
		  const struct ask_driver *alone)
{
	const struct generator_result *result = ask_result();
	double requests = (double)result->requests;
	struct load_server server = {.name = "echo by turns on one core",
				     .driver = "net_ring",
				     .takes_turns = true,
				     .ceiling_cycles = driver->cycles};

	if (requests > 0) {
		server.worker_cycles = (double)of_worker.busy / requests;
		server.application_cycles = (double)of_application.busy / requests;
		server.busy_cycles = server.worker_cycles + server.application_cycles;
		server.cycles = (double)(of_worker.cycles + of_application.cycles) / requests;
	}
	server.disturbed = of_worker.disturbed + of_application.disturbed;
	server.idle_cycles = (double)histogram_quantile(&idle, 0.5);
	if (is_alone()) {
		server.trip_cycles = (double)histogram_quantile(trips, 0.5);
		server.driver_trip_cycles = (double)alone->trip_cycles;
	}
	load_print(ask_options(), result, &server);
}

int main(int argc, char **argv)
{
	static struct histogram trips;
	char directory[] = "/tmp/leat-bench-XXXXXX";
	struct ask_driver driver, alone = {0};
	char config[64];

	application_start();
	if (mkdtemp(directory) == NULL)
		ask_fail("no folder for the socket");
	ask_begin(argc, argv, usage);
	ask_driver(DRIVER_CONNECTIONS, &driver);
	if (is_alone())
		ask_driver(1, &alone);
	snprintf(turns->socket, sizeof(turns->socket), "%s/socket", directory);
	ask_write_config(config, sizeof(config), turns->socket,
			 ask_options()->generator.connections);
	ask_start();
	open_server(config, argv);
	take_turns(&trips);
	close_server();
	(void)rmdir(directory);
	print(&trips, &driver, &alone);
	return of_worker.busy > 0 ? 0 : 1;
}
