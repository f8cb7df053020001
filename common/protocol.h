/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The requests of Replicache's protocol as structs. Every field is checked
 * here, once, and nowhere below.
 */
#ifndef REPLICACHE_PROTOCOL_H
#define REPLICACHE_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

#include "cookie.h"

struct arena;
struct error;
struct scan_limits;

/* Longest client, client group and schema version, in bytes. Real IDs have 18
 * or 36 (protocol section 2.1); what is longer is not the client's. */
#define PROTOCOL_ID_MAX 64
#define PROTOCOL_SCHEMA_VERSION_MAX 1024

/* Longest name of a mutation, in bytes: replicache_register_mutator() takes
 * none that is longer, and the ledger keeps each that was sent. */
#define PROTOCOL_NAME_MAX 256

/* The largest mutation ID and version: what a JavaScript number holds. */
#define PROTOCOL_NUMBER_MAX INT64_C(9007199254740991)

struct mutation {
	size_t client;    /* index into push->clients */
	int64_t id;       /* 1 .. PROTOCOL_NUMBER_MAX */
	const char *name; /* may be no mutator's; PROTOCOL_NAME_MAX */
	const char *args; /* JSON as it was sent, NUL-terminated */
	size_t args_length;
	/* NULL, or the ledger's code for args that no mutator can take:
	 * "unstorable_text"; "number_out_of_range", also where the numbers of
	 * the push, written out, would be longer than limits->written. */
	const char *refused;
};

struct push {
	const char *group;
	const char *schema_version;
	const char *const *clients; /* distinct IDs */
	size_t client_count;
	const struct mutation *mutations; /* in the order sent */
	size_t mutation_count;
};

struct pull {
	const char *group;
	const char *schema_version;
	struct cookie cookie;
};

/*
 * Reads a push (protocol section 2) out of the LENGTH bytes at BODY, which
 * must outlive it: args stay where they are, ended by a NUL that is written
 * over the byte behind them. The rest comes from ARENA.
 *
 * ERROR_INVALID_JSON, _TOO_DEEP, _TOO_MANY_TOKENS: see scan_document().
 * ERROR_INVALID_REQUEST: a field is missing, twice, wrong or too long, or the
 * IDs of a client descend. ERROR_INVALID_ID: of a mutation.
 * ERROR_CLIENT_TOO_OLD: pushVersion 0.
 * ERROR_VERSION_NOT_SUPPORTED_PUSH: another one than 0 and 1.
 */
int protocol_parse_push(char *body, size_t length,
    const struct scan_limits *limits, struct arena *arena, struct push *push,
    struct error *error);

/* Reads a pull (protocol section 3), likewise. */
int protocol_parse_pull(char *body, size_t length,
    const struct scan_limits *limits, struct arena *arena, struct pull *pull,
    struct error *error);

#endif
