/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What is registered in the database: tables, mutators, schema versions.
 *
 * The program keeps one copy, shared by all threads, and replaces it when the
 * database's revision, which every look reads, is another: registering
 * something takes effect with the next request.
 */
#ifndef REPLICACHE_REGISTRY_H
#define REPLICACHE_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "map.h"
#include "statements.h"

struct db;
struct error;
struct pool;
struct registry;

struct registered_table {
	const char *prefix;
	struct statement pull_all;   /* no parameter */
	struct statement pull_since; /* $1 version */
	bool per_user;               /* its rows depend on who asks */
};

struct registered_mutator {
	/* $1 client $2 group $3 id $4 user $5 args $6 claims */
	struct statement call;
	bool shared; /* it leaves nothing to who comes next in a transaction */
	bool closes; /* nobody knows what it leaves in the session */
};

/* One revision of what is registered. Constant once made. */
struct registration {
	int64_t revision;
	struct registered_table *tables;
	size_t table_count;
	bool per_user;       /* any of them is */
	struct map mutators; /* name -> index into calls */
	struct registered_mutator *calls;
	/* The schemaVersions of which pushes and pulls are accepted, if any is
	 * listed; else all are. */
	bool lists_schemas;
	struct map pushed_schemas, pulled_schemas;
	/* private */
	struct arena arena;
	unsigned users;
};

/* POOL is told to renew its connections when statements change. */
struct registry *registry_new(struct pool *pool);

void registry_free(struct registry *registry);

/*
 * Gives the registration of REVISION, reading it through DB (one round trip)
 * if the one at hand is another. What is read may be newer than REVISION.
 * The caller gives it back. NULL on failure.
 */
const struct registration *registry_get(struct registry *registry,
    struct db *db, int64_t revision, struct error *error);

/*
 * Gives the registration at hand, of whatever revision, which its user compares
 * with the one that his transaction sees. The caller gives it back. There is
 * one as soon as registry_get() has succeeded once: every look begins so.
 */
const struct registration *registry_current(struct registry *registry);

/* The revision of the registration at hand, or -1. */
int64_t registry_revision(struct registry *registry);

/* Gives back; NULL is legal. */
void registry_put(
    struct registry *registry, const struct registration *registration);

/* The mutator NAME, or NULL if there is no such. */
const struct registered_mutator *registration_mutator(
    const struct registration *registration, const char *name);

/* ERROR_VERSION_NOT_SUPPORTED_SCHEMA unless a push of the schemaVersion VERSION
 * is accepted, and the same for a pull. */
int registration_check_push_schema(const struct registration *registration,
    const char *version, struct error *error);
int registration_check_pull_schema(const struct registration *registration,
    const char *version, struct error *error);

#endif
