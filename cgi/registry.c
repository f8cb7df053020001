/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The shared copy of what is registered.
 */
#include "config.h"

#include "registry.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "db.h"
#include "error.h"
#include "faults.h"
#include "log.h"
#include "pool.h"
#include "schema.h"

/* All registrations of one application, generously: thousands of tables. */
#define REGISTRY_BYTES_MAX ((size_t)64 * 1024 * 1024)

struct registry {
	struct pool *pool;
	pthread_mutex_t lock;
	struct registration *current; /* counts as a user of it */
	size_t next_index;            /* of the next registered statement */
};

struct registry *
registry_new(struct pool *pool)
{
	struct registry *registry = calloc(1, sizeof(*registry));

	if (registry == NULL)
		return NULL;
	registry->pool = pool;
	registry->next_index = STATEMENT_MAX;
	pthread_mutex_init(&registry->lock, NULL);
	return registry;
}

static void
registration_free(struct registration *registration)
{
	arena_fini(&registration->arena);
	free(registration);
}

void
registry_free(struct registry *registry)
{
	if (registry == NULL)
		return;
	if (registry->current != NULL)
		registration_free(registry->current);
	pthread_mutex_destroy(&registry->lock);
	free(registry);
}

/* Drops a use. Called locked. */
static void
drop(struct registration *registration)
{
	if (registration != NULL && --registration->users == 0)
		registration_free(registration);
}

void
registry_put(struct registry *registry, const struct registration *registration)
{
	union {
		const struct registration *in;
		struct registration *out;
	} owned = {.in = registration};

	if (registration == NULL)
		return;
	pthread_mutex_lock(&registry->lock);
	drop(owned.out);
	pthread_mutex_unlock(&registry->lock);
}

static char *
copy(struct arena *arena, const struct db_result *rows, int row, int column)
{
	return arena_strndup(
	    arena, db_text(rows, row, column), db_length(rows, row, column));
}

/*
 * Makes STATEMENT from the SQL in a column. Names never come twice in the
 * life of the process, so a connection can't run an older text by mistake.
 */
static int
read_statement(struct arena *arena, size_t *index, const struct db_result *rows,
    int row, int column, struct statement *statement)
{
	char name[32];

	snprintf(name, sizeof(name), "registered_%zu", *index);
	statement->index = (*index)++;
	statement->name = arena_strdup(arena, name);
	statement->sql = copy(arena, rows, row, column);
	return statement->name == NULL || statement->sql == NULL ? -1 : 0;
}

static int
read_tables(struct registration *r, size_t *index, const struct db_result *rows)
{
	int count = db_rows(rows);

	r->table_count = (size_t)count;
	r->tables =
	    arena_calloc(&r->arena, r->table_count + 1, sizeof(*r->tables));
	if (r->tables == NULL)
		return -1;
	for (int i = 0; i < count; i++) {
		struct registered_table *table = &r->tables[i];

		table->prefix = copy(&r->arena, rows, i, 0);
		table->per_user = db_bool(rows, i, 3);
		r->per_user |= table->per_user;
		if (table->prefix == NULL ||
		    read_statement(
			&r->arena, index, rows, i, 1, &table->pull_all) < 0 ||
		    read_statement(
			&r->arena, index, rows, i, 2, &table->pull_since) < 0)
			return -1;
	}
	return 0;
}

/* Adds the first column of each row to MAP, whose keys are new. */
static int
read_keys(struct arena *arena, const struct db_result *rows, struct map *map)
{
	map_init(map, arena);
	for (int i = 0; i < db_rows(rows); i++) {
		char *key = copy(arena, rows, i, 0);

		if (key == NULL || map_add(map, key) == MAP_NONE)
			return -1;
	}
	return 0;
}

/* Each with what is accepted of it: pushes, pulls. */
static int
read_schemas(struct registration *r, const struct db_result *rows)
{
	r->lists_schemas = db_rows(rows) > 0;
	map_init(&r->pushed_schemas, &r->arena);
	map_init(&r->pulled_schemas, &r->arena);
	for (int i = 0; i < db_rows(rows); i++) {
		char *version = copy(&r->arena, rows, i, 0);

		if (version == NULL ||
		    (db_bool(rows, i, 1) &&
			map_add(&r->pushed_schemas, version) == MAP_NONE) ||
		    (db_bool(rows, i, 2) &&
			map_add(&r->pulled_schemas, version) == MAP_NONE))
			return -1;
	}
	return 0;
}

static int
read_mutators(
    struct registration *r, size_t *index, const struct db_result *rows)
{
	int count = db_rows(rows);

	if (read_keys(&r->arena, rows, &r->mutators) < 0)
		return -1;
	r->calls =
	    arena_calloc(&r->arena, (size_t)count + 1, sizeof(*r->calls));
	if (r->calls == NULL)
		return -1;
	for (int i = 0; i < count; i++) {
		if (read_statement(
			&r->arena, index, rows, i, 1, &r->calls[i].call) < 0)
			return -1;
		r->calls[i].shared = db_bool(rows, i, 2);
		r->calls[i].closes = db_bool(rows, i, 3);
	}
	return 0;
}

/* Every push and pull has a registration, and an upgrade raises the revision:
 * so a schema that this program does not know is noticed here. */
static int
check_number(int64_t number, struct error *error)
{
	if (number == SCHEMA_NUMBER)
		return 0;
	return error_set(error, ERROR_UNAVAILABLE,
	    "the database has schema %lld, this program knows %d: see "
	    "replicache-admin status",
	    (long long)number, SCHEMA_NUMBER);
}

/* Reads all of it in one snapshot, with the revision that it has. */
static int
load(struct db *db, struct registration *r, size_t *index, struct error *error)
{
	static const enum statement_id group[] = {STATEMENT_BEGIN_PULL,
	    STATEMENT_STATE, STATEMENT_REGISTRY_TABLES,
	    STATEMENT_REGISTRY_MUTATORS, STATEMENT_REGISTRY_SCHEMA_VERSIONS,
	    STATEMENT_COMMIT};
	struct db_result *state = NULL, *tables = NULL, *mutators = NULL,
			 *versions = NULL;
	int rc = -1;

	for (size_t i = 0; i < sizeof(group) / sizeof(group[0]); i++)
		if (db_send_id(db, group[i], 0, NULL, error) < 0)
			return -1;
	if (db_sync(db, error) < 0)
		return -1;
	if (db_take(db, NULL, error) == 0 && db_take(db, &state, error) == 0 &&
	    db_take(db, &tables, error) == 0 &&
	    db_take(db, &mutators, error) == 0 &&
	    db_take(db, &versions, error) == 0 && db_finish(db, error) == 0) {
		r->revision = db_int64(state, 0, 3);
		rc = check_number(db_int64(state, 0, 4), error);
	}
	if (rc == 0) {
		rc = read_tables(r, index, tables) < 0 ||
			     read_mutators(r, index, mutators) < 0 ||
			     read_schemas(r, versions) < 0
			 ? error_set(error, ERROR_UNAVAILABLE, "out of memory")
			 : 0;
	}
	db_result_free(state);
	db_result_free(tables);
	db_result_free(mutators);
	db_result_free(versions);
	FAULT(REGISTRY_READ);
	return rc;
}

/* Loads a new registration and makes it the current one. Called locked, so
 * that one thread loads and the others wait for it. */
static struct registration *
replace(struct registry *registry, struct db *db, struct error *error)
{
	struct registration *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		error_set(error, ERROR_UNAVAILABLE, "out of memory");
		return NULL;
	}
	arena_init(&r->arena, REGISTRY_BYTES_MAX);
	if (load(db, r, &registry->next_index, error) < 0) {
		registration_free(r);
		return NULL;
	}
	log_info("registered: %zu tables, %zu mutators (revision %lld)",
	    r->table_count, r->mutators.count, (long long)r->revision);
	r->users = 1;
	if (registry->current != NULL)
		pool_recycle(registry->pool);
	drop(registry->current);
	registry->current = r;
	return r;
}

const struct registration *
registry_get(struct registry *registry, struct db *db, int64_t revision,
    struct error *error)
{
	struct registration *r;

	pthread_mutex_lock(&registry->lock);
	r = registry->current;
	if (r == NULL || r->revision != revision)
		r = replace(registry, db, error);
	if (r != NULL)
		r->users++;
	pthread_mutex_unlock(&registry->lock);
	return r;
}

const struct registration *
registry_current(struct registry *registry)
{
	struct registration *r;

	pthread_mutex_lock(&registry->lock);
	r = registry->current;
	r->users++;
	pthread_mutex_unlock(&registry->lock);
	return r;
}

int64_t
registry_revision(struct registry *registry)
{
	int64_t revision;

	pthread_mutex_lock(&registry->lock);
	revision = registry->current == NULL ? -1 : registry->current->revision;
	pthread_mutex_unlock(&registry->lock);
	return revision;
}

const struct registered_mutator *
registration_mutator(const struct registration *registration, const char *name)
{
	size_t index = map_find(&registration->mutators, name);

	return index == MAP_NONE ? NULL : &registration->calls[index];
}

static int
check_schema(const struct registration *registration,
    const struct map *accepted, const char *version, const char *requests,
    struct error *error)
{
	if (!registration->lists_schemas ||
	    map_find(accepted, version) != MAP_NONE)
		return 0;
	return error_set(error, ERROR_VERSION_NOT_SUPPORTED_SCHEMA,
	    "replicache_schema_version does not accept %s of schemaVersion %s",
	    requests, version);
}

int
registration_check_push_schema(const struct registration *registration,
    const char *version, struct error *error)
{
	return check_schema(registration, &registration->pushed_schemas,
	    version, "pushes", error);
}

int
registration_check_pull_schema(const struct registration *registration,
    const char *version, struct error *error)
{
	return check_schema(registration, &registration->pulled_schemas,
	    version, "pulls", error);
}
