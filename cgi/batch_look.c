/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The first stage of a push: what the database knows of its group and its
 * clients, and what follows from that (design section 3, steps 2 and 6).
 */
#include "config.h"

#include <string.h>

#include "arena.h"
#include "batch_stage.h"
#include "db.h"
#include "faults.h"
#include "map.h"
#include "pgarray.h"
#include "pool.h"
#include "protocol.h"
#include "registry.h"

/* The rows that a look brought, with an index of each by ID. */
struct look {
	struct db_result *state, *groups, *clients;
	struct map group_rows, client_rows;
	int64_t version, epoch, revision;
	bool synchronous;
	struct gather_queue doubtful; /* see batch_replicate() */
};

enum {
	STATE_VERSION,
	STATE_FLOOR,
	STATE_EPOCH,
	STATE_REVISION,
	STATE_SCHEMA_NUMBER,
	STATE_SYNCHRONOUS
};
enum {
	GROUP_ID,
	GROUP_USER
};
enum {
	CLIENT_ID,
	CLIENT_GROUP,
	CLIENT_LAST_MUTATION_ID,
	CLIENT_VERSION,
	CLIENT_FORGOTTEN
};

/* The parameters of a look, as array literals. */
struct look_ids {
	const char *groups;
	const char *clients[2]; /* and the group of each */
};

/* Adds the clients of JOB that are not in CLIENTS yet to the arrays. */
static int
add_clients(const struct batch_job *job, struct map *clients,
    struct pgarray *ids, struct pgarray *groups)
{
	for (size_t i = 0; i < job->push->client_count; i++) {
		size_t before = clients->count;

		if (map_add(clients, job->push->clients[i]) == MAP_NONE)
			return -1;
		if (clients->count == before)
			continue;
		pgarray_add_text(ids, job->push->clients[i]);
		pgarray_add_text(groups, job->push->group);
	}
	return 0;
}

/* Writes the distinct groups and clients of the jobs as array literals. */
static int
write_ids(
    const struct gather_queue *round, struct arena *arena, struct look_ids *ids)
{
	struct map groups, clients;
	struct pgarray array, of_client;
	int rc = 0;

	map_init(&groups, arena);
	map_init(&clients, arena);
	pgarray_init(&array);
	pgarray_init(&of_client);
	for (const struct batch_job *job = batch_first(round);
	     rc == 0 && job != NULL; job = batch_next(job)) {
		if (map_add(&groups, job->push->group) == MAP_NONE)
			rc = -1;
		else
			rc = add_clients(job, &clients, &array, &of_client);
	}
	ids->clients[0] = pgarray_end(&array, arena);
	ids->clients[1] = pgarray_end(&of_client, arena);
	pgarray_fini(&array);
	pgarray_fini(&of_client);
	pgarray_init(&array);
	for (size_t i = 0; i < groups.count; i++)
		pgarray_add_text(&array, groups.keys[i]);
	ids->groups = pgarray_end(&array, arena);
	pgarray_fini(&array);
	return rc < 0 || ids->groups == NULL || ids->clients[0] == NULL ||
		       ids->clients[1] == NULL
		   ? -1
		   : 0;
}

/* One round trip. The caller frees the results, after a failure too. */
static int
read_rows(struct db *db, const struct look_ids *ids, struct look *look,
    struct error *error)
{
	if (db_send_id(db, STATEMENT_STATE, 0, NULL, error) < 0 ||
	    db_send_id(db, STATEMENT_LOOK_GROUPS, 1, &ids->groups, error) < 0 ||
	    db_send_id(db, STATEMENT_LOOK_CLIENTS, 2, ids->clients, error) <
		0 ||
	    db_sync(db, error) < 0)
		return -1;
	if (db_take(db, &look->state, error) < 0 ||
	    db_take(db, &look->groups, error) < 0 ||
	    db_take(db, &look->clients, error) < 0 || db_finish(db, error) < 0)
		return -1;
	if (db_rows(look->state) != 1)
		return error_set(error, ERROR_UNAVAILABLE,
		    "replicache_state does not have one row");
	look->version = db_int64(look->state, 0, STATE_VERSION);
	look->epoch = db_int64(look->state, 0, STATE_EPOCH);
	look->synchronous = db_bool(look->state, 0, STATE_SYNCHRONOUS);
	look->revision = db_int64(look->state, 0, STATE_REVISION);
	return 0;
}

static int
index_rows(const struct db_result *rows, struct map *map)
{
	for (int i = 0; i < db_rows(rows); i++)
		if (map_add(map, db_text(rows, i, 0)) == MAP_NONE)
			return -1;
	return 0;
}

/* Fills job->group_known. ERROR_FORBIDDEN if the group is another user's. */
static int
check_group(const struct look *look, struct batch_job *job, struct error *error)
{
	size_t row = map_find(&look->group_rows, job->push->group);

	job->group_known = row != MAP_NONE;
	if (row == MAP_NONE ||
	    strcmp(db_text(look->groups, (int)row, GROUP_USER),
		job->identity.user) == 0)
		return 0;
	return error_set(
	    error, ERROR_FORBIDDEN, "the client group is another user's");
}

/*
 * Fills job->clients. ERROR_FORBIDDEN if one is of another group,
 * ERROR_CLIENT_STATE_NOT_FOUND if one was forgotten: perhaps after what it
 * pushes was applied (replicache_forget_clients()). *UNCERTAIN
 * tells which clients the database can't be sure to know to the end: those
 * unknown, and those not seen since the history of versions broke last.
 */
static int
read_clients(const struct look *look, struct batch_job *job, bool *uncertain,
    struct error *error)
{
	const struct push *push = job->push;

	for (size_t i = 0; i < push->client_count; i++) {
		size_t row = map_find(&look->client_rows, push->clients[i]);
		struct batch_client *client = &job->clients[i];

		client->known = row != MAP_NONE;
		client->last_mutation_id = 0;
		uncertain[i] = true;
		if (row == MAP_NONE)
			continue;
		if (db_bool(look->clients, (int)row, CLIENT_FORGOTTEN))
			return error_set(error, ERROR_CLIENT_STATE_NOT_FOUND,
			    "a client was forgotten");
		if (strcmp(db_text(look->clients, (int)row, CLIENT_GROUP),
			push->group) != 0)
			return error_set(error, ERROR_FORBIDDEN,
			    "a client is of another client group");
		client->last_mutation_id =
		    db_int64(look->clients, (int)row, CLIENT_LAST_MUTATION_ID);
		uncertain[i] = db_int64(look->clients, (int)row,
				   CLIENT_VERSION) < look->epoch;
	}
	return 0;
}

/*
 * Walks the mutations as apply would. A gap can't come from a correct client
 * unless the server has lost what it once knew. Where a push begins above what
 * is stored of a client that the server does not know (any more), that is
 * certain, and the client has to start over; any other gap is refused
 * (protocol section 10.1).
 */
static int
check_order(struct batch_job *job, const bool *uncertain, size_t *fresh_out,
    struct error *error)
{
	const struct push *push = job->push;
	int64_t *last =
	    arena_calloc(job->arena, push->client_count + 1, sizeof(*last));
	bool *seen =
	    arena_calloc(job->arena, push->client_count + 1, sizeof(*seen));

	if (last == NULL || seen == NULL)
		return error_set(error, ERROR_UNAVAILABLE, "out of memory");
	for (size_t i = 0; i < push->client_count; i++)
		last[i] = job->clients[i].last_mutation_id;
	*fresh_out = 0;
	for (size_t i = 0; i < push->mutation_count; i++) {
		const struct mutation *mutation = &push->mutations[i];

		if (mutation->id <= last[mutation->client]) {
			seen[mutation->client] = true;
			continue;
		}
		if (mutation->id > last[mutation->client] + 1)
			return uncertain[mutation->client] &&
				       !seen[mutation->client]
				   ? error_set(error,
					 ERROR_CLIENT_STATE_NOT_FOUND,
					 "a client's earlier mutations are "
					 "unknown")
				   : error_set(error, ERROR_MUTATION_GAP,
					 "a mutation ID is not the next one");
		seen[mutation->client] = true;
		last[mutation->client]++;
		++*fresh_out;
	}
	return 0;
}

/* What the look means for JOB: 1 it is to be applied, 0 it is done already, -1
 * it is refused. */
static int
judge(const struct look *look, const struct registration *registration,
    struct batch_job *job, struct error *error)
{
	size_t clients = job->push->client_count + 1, fresh = 0;
	bool *uncertain = arena_calloc(job->arena, clients, sizeof(*uncertain));

	if (job->clients == NULL)
		job->clients =
		    arena_calloc(job->arena, clients, sizeof(*job->clients));
	if (job->clients == NULL || uncertain == NULL)
		return error_set(error, ERROR_UNAVAILABLE, "out of memory");
	if (registration_check_push_schema(
		registration, job->push->schema_version, error) < 0 ||
	    check_group(look, job, error) < 0 ||
	    read_clients(look, job, uncertain, error) < 0 ||
	    check_order(job, uncertain, &fresh, error) < 0)
		return -1;
	if (!job->looked)
		job->skipped = job->push->mutation_count - fresh;
	job->looked = true;
	job->revision = look->revision;
	return fresh > 0;
}

/* Whether what JOB asks for, which is done, is known to be on the standby. */
static bool
is_safe(const struct look *look, const struct batch_job *job,
    const struct batch_context *context)
{
	int64_t replicated = atomic_load(&context->replicated);

	for (size_t i = 0; look->synchronous && i < job->push->client_count;
	     i++) {
		size_t row =
		    map_find(&look->client_rows, job->push->clients[i]);

		if (row != MAP_NONE && db_int64(look->clients, (int)row,
					   CLIENT_VERSION) > replicated)
			return false;
	}
	return true;
}

static void
judge_all(struct look *look, const struct batch_context *context,
    const struct registration *registration, struct gather_queue *round,
    struct gather_queue *ready)
{
	struct batch_job *job;

	while ((job = batch_take(round)) != NULL) {
		int rc = judge(look, registration, job, &job->error);

		if (rc > 0) {
			gather_queue_add(ready, &job->link);
			continue;
		}
		if (rc == 0 && !is_safe(look, job, context)) {
			gather_queue_add(&look->doubtful, &job->link);
			continue;
		}
		if (rc == 0)
			error_reset(&job->error);
		job->done(job);
	}
}

int
batch_look_through(struct batch_context *context, struct db *db,
    struct arena *arena, struct gather_queue *round, struct gather_queue *ready,
    struct error *error)
{
	const struct registration *registration = NULL;
	struct look_ids ids;
	struct look look = {0};
	int rc = -1;

	map_init(&look.group_rows, arena);
	map_init(&look.client_rows, arena);
	if (write_ids(round, arena, &ids) < 0) {
		error_set(error, ERROR_UNAVAILABLE, "out of memory");
		goto out;
	}
	FAULT(PUSH_LOOKS);
	if (read_rows(db, &ids, &look, error) < 0)
		goto out;
	FAULT(PUSH_LOOKED);
	if (index_rows(look.groups, &look.group_rows) < 0 ||
	    index_rows(look.clients, &look.client_rows) < 0) {
		error_set(error, ERROR_UNAVAILABLE, "out of memory");
		goto out;
	}
	registration =
	    registry_get(context->registry, db, look.revision, error);
	if (registration == NULL)
		goto out;
	judge_all(&look, context, registration, round, ready);
	batch_replicate(context, db, &look.doubtful, look.version);
	rc = 0;
out:
	registry_put(context->registry, registration);
	db_result_free(look.state);
	db_result_free(look.groups);
	db_result_free(look.clients);
	return rc;
}

/* Looks with a connection of the pool; with another one if the first had died
 * while it was idle, which shows only now. */
static int
look_connected(struct batch_context *context, struct gather_queue *round,
    struct gather_queue *ready, struct error *error)
{
	for (int tries = 0;; tries++) {
		struct db *db = pool_get(context->pool, error);
		int rc;

		if (db == NULL)
			return -1;
		arena_reset(&context->look_arena);
		rc = batch_look_through(
		    context, db, &context->look_arena, round, ready, error);
		pool_put(context->pool, db);
		if (rc == 0)
			return 0;
		if (tries > 0 || db_failure(error) != DB_FAILURE_LOST)
			return -1;
		/* The other ones are likely to be dead too. */
		pool_recycle(context->pool);
	}
}

void
batch_look(void *argument, struct gather_queue *round)
{
	struct batch_context *context = argument;
	struct gather_queue ready = {NULL, NULL};
	struct batch_job *job;
	struct error error;

	if (look_connected(context, round, &ready, &error) < 0)
		batch_fail(round, &error);
	while ((job = batch_take(&ready)) != NULL)
		gather_add(context->ready, &job->link);
}
