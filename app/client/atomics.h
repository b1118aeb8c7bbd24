/* SPDX-License-Identifier: BSD-3-Clause */
/* Access to words that another process or thread writes.  Who pairs with whom stands in abi.h. */
#ifndef LEAT_CLIENT_ATOMICS_H
#define LEAT_CLIENT_ATOMICS_H

#define load_relaxed(p)     __atomic_load_n(p, __ATOMIC_RELAXED)
#define load_acquire(p)     __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define store_relaxed(p, v) __atomic_store_n(p, v, __ATOMIC_RELAXED)
#define store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define fence_full()        __atomic_thread_fence(__ATOMIC_SEQ_CST)

/* True when *p was expected and is now desired. */
#define compare_and_swap(p, expected, desired)                                                    \
	__extension__({                                                                           \
		__typeof__(*(p)) expected_value = (expected);                                     \
		__atomic_compare_exchange_n(p, &expected_value, desired, false, __ATOMIC_SEQ_CST, \
					    __ATOMIC_SEQ_CST);                                    \
	})

#endif
