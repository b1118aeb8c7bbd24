/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inline mode: the stack inside a DPDK program, which runs each worker and its
 * own code in turn on the same lcore, to completion.  The calls it makes are
 * those of <leat/leat.h> and <leat/cq.h>, and the path of the bytes is the same;
 * only who polls the workers differs.
 *
 *	static int loop(unsigned worker, void *arg)
 *	{
 *		if (listener[worker] == 0)
 *			listener[worker] = open_listener();
 *		return serve_who_is_ready(listener[worker]);
 *	}
 *
 *	int used = leat_inline_init(argc, argv);
 *	...
 *	leat_inline_run(loop, NULL);
 *
 * Link with -lleat-inline -lleat.  A program whose code is not trusted, or that
 * may block or crash, is better off beside leatd: here it takes the stack down
 * with it, and while it does not return no packet moves.
 *
 * What is different on a worker's lcore:
 *
 * - A call that blocks runs the worker until it is done, so it may block for as
 *   long as it likes.  Anything else that takes long (disk, other libraries)
 *   stops that worker and its connections.
 * - A socket lives on the worker it was opened on, alone: leat_bind and
 *   leat_listen do not reach the other workers, and connections are accepted on
 *   the lcore that owns them.  So each worker's loop opens its own listener, on the
 *   same port; what arrives at a worker without one is refused.  (The worker of a
 *   connection is chosen by its addresses and ports, for a client not to choose.)
 * - Use a socket on the lcore that opened or accepted it.  Elsewhere it works as
 *   well, at the price that its queues cross cores.
 *
 * Other threads of the program may use the socket API, too, as those of an
 * ordinary application do, between leat_inline_run's beginning and end.
 *
 * After fork the child must use neither leat nor DPDK.  SIGBUS is leat's, which
 * passes on what it did not cause.
 */
#ifndef LEAT_INLINE_H
#define LEAT_INLINE_H

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The application's part of a worker.  Called over and over on the worker's lcore, between two
 * iterations of the worker; worker is its number, 0 to leat_inline_workers() - 1.
 *
 * Returns how much it found to do, 0: nothing.  When neither it nor the worker had anything to do
 * for the configuration's idle_us, the worker sleeps until something arrives for it, 1 ms at most
 * before the loop is called again.  A negative value: it is over on this worker, is not called
 * there again, and the worker goes on.
 */
typedef int leat_inline_loop(unsigned worker, void *arg);

/*
 * Begins: in place of rte_eal_init, once, on the main thread.
 *
 *	PROGRAM EAL-ARGS -- --config FILE ...
 *
 * EAL-ARGS are DPDK's; each lcore they name is a worker, the main lcore included.  FILE is a
 * configuration as leatd's; with `socket = none` the program alone uses the stack, else it
 * serves applications as leatd does, who then depend on its loop's speed.  argv may be reordered, as by
 * rte_eal_init.
 *
 * The number of arguments used: what follows is the program's, and argv[that number] is the
 * program's name, for getopt.  Or -1 with errno, and standard error says what is wrong: EINVAL (no
 * such arguments, or what stands in FILE), ENOENT, EACCES (FILE), or what EAL, devices or memory failed
 * with.  May take seconds.  After it, exit and return from main clean up.
 */
int leat_inline_init(int argc, char **argv);

/* How many workers there are, 1 to LEAT_MAX_WORKERS, once leat_inline_init succeeded. */
unsigned leat_inline_workers(void);

/*
 * Runs workers and loop on all lcores, the calling thread's included, until leat_inline_stop was
 * called or the loop is over on every worker.  Then ends the stack: what the program left open is
 * reset, DPDK is cleaned up, and no leat or DPDK call is of use any more.  Once, on the thread that
 * called leat_inline_init.
 *
 * 0, or -1 with errno, standard error says what is wrong: EADDRINUSE, EACCES, ... (the socket of the
 * configuration), ENOMEM, EMFILE.
 */
int leat_inline_run(leat_inline_loop *loop, void *arg);

/*
 * Asks leat_inline_run to end.  Each worker's loop is called once more (or, if it is waiting in a call,
 * that call and later ones that would wait fail with EINTR), and can close its connections: what
 * they have unsent is sent as far as it goes at once.  From any thread, also from a signal handler; never
 * blocks.
 */
void leat_inline_stop(void);

#ifdef __cplusplus
}
#endif

#endif /* LEAT_INLINE_H */
