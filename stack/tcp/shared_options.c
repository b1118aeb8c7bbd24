/* SPDX-License-Identifier: BSD-3-Clause */
#include "tcp/shared_options.h"

#include <rte_common.h>
#include <string.h>

#include "lib/pool.h"

static struct shared_options_list *bucket_of(struct shared_options_table *t,
					     const struct tcp_options *values)
{
	return &t->bucket[siphash13(&t->key, values, sizeof(*values)) % SHARED_OPTIONS_BUCKETS];
}

static struct shared_options *shared_of(const struct tcp_options *o)
{
	return container_of((struct tcp_options *)(uintptr_t)o, struct shared_options, values);
}

void shared_options_keep(struct shared_options_table *t, struct shared_options *o)
{
	o->users = 1;
	LIST_INSERT_HEAD(bucket_of(t, &o->values), o, link);
}

const struct tcp_options *shared_options_get(struct shared_options_table *t,
					     const struct tcp_options *values)
{
	struct shared_options_list *bucket = bucket_of(t, values);
	struct shared_options *o;

	LIST_FOREACH (o, bucket, link) {
		if (memcmp(&o->values, values, sizeof(*values)) == 0)
			return shared_options_share(&o->values);
	}
	o = pool_get(t->pool);
	if (o == NULL)
		return NULL;
	o->values = *values;
	o->users = 1;
	LIST_INSERT_HEAD(bucket, o, link);
	return &o->values;
}

const struct tcp_options *shared_options_share(const struct tcp_options *o)
{
	shared_of(o)->users++;
	return o;
}

void shared_options_put(struct shared_options_table *t, const struct tcp_options *o)
{
	struct shared_options *shared = shared_of(o);

	if (--shared->users > 0)
		return;
	LIST_REMOVE(shared, link);
	pool_put(t->pool, shared);
}
