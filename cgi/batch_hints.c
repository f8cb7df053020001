/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Hints: where clients stood when this process last moved them. A push that
 * goes on from there needs no look: one round trip less.
 *
 * Nothing depends on a hint being right. The transaction checks, under the
 * version lock, that each client and its group are as the hint says and that
 * nothing was registered since; else the push is looked up as if there had
 * been no hint.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "batch_stage.h"
#include "clock.h"
#include "protocol.h"
#include "registry.h"

void
batch_hints_init(struct batch_hints *hints)
{
	pthread_mutex_init(&hints->lock, NULL);
	hints->seed = (uint64_t)clock_us() * 0x9e3779b97f4a7c15u;
}

void
batch_hints_fini(struct batch_hints *hints)
{
	pthread_mutex_destroy(&hints->lock);
}

/* FNV-1a over the strings and the NULs between them. */
static uint64_t
mix(uint64_t hash, const char *text)
{
	do {
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
	} while (*text++ != '\0');
	return hash;
}

/* What stands for a client of JOB: itself, its group, its user, and its
 * schemaVersion, which was accepted at the hint's revision. */
static uint64_t
client_key(
    const struct batch_hints *hints, const struct batch_job *job, size_t client)
{
	uint64_t hash = mix(hints->seed, job->push->clients[client]);

	hash = mix(mix(hash, job->push->group), job->identity.user);
	hash = mix(hash, job->push->schema_version);
	return hash ^ (hash >> 29);
}

/* Whether the mutations go on from where the clients stand. */
static bool
goes_on(
    const struct push *push, const struct batch_client *clients, int64_t *last)
{
	bool fresh = false;

	for (size_t i = 0; i < push->client_count; i++)
		last[i] = clients[i].last_mutation_id;
	for (size_t i = 0; i < push->mutation_count; i++) {
		const struct mutation *mutation = &push->mutations[i];

		if (mutation->id <= last[mutation->client])
			continue;
		if (mutation->id > ++last[mutation->client])
			return false;
		fresh = true;
	}
	return fresh;
}

/* Fills job->clients from the hints; false if one is missing. */
static bool
fill(struct batch_hints *hints, struct batch_job *job, int64_t revision)
{
	bool all = true;

	pthread_mutex_lock(&hints->lock);
	for (size_t i = 0; all && i < job->push->client_count; i++) {
		uint64_t key = client_key(hints, job, i);
		const struct batch_hint *hint =
		    &hints->table[key % BATCH_HINTS];

		all = hint->key == key && hint->revision == revision;
		job->clients[i].known = true;
		job->clients[i].last_mutation_id = hint->last_mutation_id;
	}
	pthread_mutex_unlock(&hints->lock);
	return all;
}

bool
batch_hints_recall(struct batch_context *context, struct batch_job *job)
{
	const struct push *push = job->push;
	int64_t revision = registry_revision(context->registry);
	int64_t *last;

	if (push->client_count > BATCH_HINT_CLIENTS_MAX)
		return false;
	job->clients =
	    arena_calloc(job->arena, push->client_count, sizeof(*job->clients));
	last = arena_calloc(job->arena, push->client_count, sizeof(*last));
	if (job->clients == NULL || last == NULL ||
	    !fill(&context->hints, job, revision) ||
	    !goes_on(push, job->clients, last))
		return false;
	job->group_known = true;
	job->revision = revision;
	return true;
}

void
batch_hints_remember(struct batch_context *context, const struct batch_job *job)
{
	struct batch_hints *hints = &context->hints;

	pthread_mutex_lock(&hints->lock);
	for (size_t i = 0; i < job->push->client_count; i++) {
		uint64_t key = client_key(hints, job, i);
		struct batch_hint *hint = &hints->table[key % BATCH_HINTS];

		hint->key = key;
		hint->last_mutation_id = job->clients[i].last_mutation_id;
		hint->revision = job->revision;
	}
	pthread_mutex_unlock(&hints->lock);
}
