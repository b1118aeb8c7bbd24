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
 * may crash, is better off beside leatd: here it takes the stack down with it.
 *
 * What is different on a worker's lcore:
 *
 * - While the loop does not return no packet moves on that worker.  A call of
 *   leat's that waits runs the worker meanwhile, so it may wait for as long as it
 *   likes; anything else that takes long (disk, other libraries) stops it.
 * - A socket lives on the worker it was opened on, alone: leat_bind and
 *   leat_listen do not reach the other workers, and connections are accepted on
 *   the lcore that owns them.  So each worker's loop opens its own listener, on
 *   the same port; what arrives at a worker without one is refused.  Which worker
 *   that is depends on the addresses and ports of both ends.
 * - A socket is best used on the lcore that opened or accepted it.  Elsewhere it
 *   works as well, at the price that its queues cross cores.
 *
 * The calls of <leat/leat.h> and <leat/cq.h> are for the time that leat_inline_run
 * takes: not before, and not after.  Other threads of the program may make them,
 * too, as those of an ordinary application; they must be done when the loop is
 * over on the last worker.  They had better block signals: some of DPDK's drivers
 * (net_tap) send them, and a call that sleeps would end with EINTR.
 *
 * After fork the child must use neither leat nor DPDK.  SIGBUS is leat's, which
 * hands on what it did not cause.
 */
#ifndef LEAT_INLINE_H
#define LEAT_INLINE_H

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The application's part of a worker.  Called over and over on the worker's lcore, between two
 * iterations of the worker; worker is its number, 0 to leat_inline_workers() - 1.  The first call
 * is the place to open what the worker needs.
 *
 * Returns how much it found to do; 0: nothing, and once the worker has been idle for the
 * configuration's idle_us it sleeps until something arrives for it, 1 ms at most before the loop is
 * called again.  A negative value: the loop is over on this worker and is not called there again.
 */
typedef int leat_inline_loop(unsigned worker, void *arg);

/*
 * Begins, in place of rte_eal_init, once, on the main thread.
 *
 *	PROGRAM EAL-ARGS -- --config FILE ...
 *
 * EAL-ARGS are DPDK's; each lcore they name is a worker, the main lcore included.  FILE is a
 * configuration as leatd's.  With `socket = none` the program alone uses the stack; else it serves
 * applications like leatd, and how fast depends on its loop, too.  argv may be reordered, as by
 * rte_eal_init.  A program may have called rte_eal_init before, to make ports of its own: then
 * EAL-ARGS are not looked at, and rte_eal_cleanup is the program's to call.
 *
 * Returns the number of arguments used, so that argv + that number is a command line of the
 * program's own, its name first.  Or -1 with errno, and what is wrong on standard error: EINVAL (no
 * such arguments, or a mistake in FILE), ENOENT, EACCES (FILE), or what EAL, devices or memory
 * failed with.  May take seconds.  From now on exit and return from main clean up, unless they
 * happen while leat_inline_run runs.
 */
int leat_inline_init(int argc, char **argv);

/* How many workers there are, 1 to LEAT_MAX_WORKERS, once leat_inline_init succeeded. */
unsigned leat_inline_workers(void);

/*
 * Runs the workers and the loop on all lcores, the calling thread's included, until
 * leat_inline_stop was called or the loop is over on every worker.  Then ends the stack: what the
 * program left open is reset, and DPDK is cleaned up, if leat_inline_init started it.  Once, on the thread that called
 * leat_inline_init.
 *
 * Returns 0, or -1 with errno, and what is wrong on standard error: EINVAL (not initialized, or the
 * second time), EADDRINUSE, EACCES ... (the configuration's socket), ENOMEM, EMFILE.
 */
int leat_inline_run(leat_inline_loop *loop, void *arg);

/*
 * Asks leat_inline_run to end.  Calls that wait, or would, fail with EINTR from now on.  The loop
 * is called once more on each worker, where it is not over, and can close what it has: ends of
 * streams are sent, and unsent data as far as it goes at once.
 *
 * From any thread, also from a signal handler; never blocks.  leat handles no SIGTERM by itself.
 */
void leat_inline_stop(void);

#ifdef __cplusplus
}
#endif

#endif /* LEAT_INLINE_H */
