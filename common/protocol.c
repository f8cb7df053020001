/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Bodies of push and pull, read field by field from the scanner.
 *
 * json-c is not asked to read them: it can't give a value's original bytes,
 * which args must keep, and version 0.16 corrupts some valid escapes. It
 * writes the documents that are not on a fast path.
 */
#include "config.h"

#include "protocol.h"

#include <stdbool.h>
#include <string.h>

#include "arena.h"
#include "error.h"
#include "map.h"
#include "number.h"
#include "scan.h"

static int
out_of_memory(struct error *error)
{
	return error_set(error, ERROR_UNAVAILABLE, "out of memory");
}

/* A field of text, and how many bytes it may have. */
struct text_field {
	const char *name;
	size_t min, max;
};

static const struct text_field group_field = {
    "clientGroupID", 1, PROTOCOL_ID_MAX};
static const struct text_field client_field = {"clientID", 1, PROTOCOL_ID_MAX};
static const struct text_field schema_field = {
    "schemaVersion", 0, PROTOCOL_SCHEMA_VERSION_MAX};

/* Reads a string without control characters. */
static int
read_text(const struct scan_value *value, const struct text_field *field,
    struct arena *arena, const char **out, struct error *error)
{
	unsigned flags;
	size_t length;
	char *text;

	if (value->kind != SCAN_STRING)
		return error_set(error, ERROR_INVALID_REQUEST,
		    "%s is missing or not a string", field->name);
	/* An escape takes 6 bytes at most for each byte that it means. */
	if (value->length > 6 * field->max + 2)
		return error_set(error, ERROR_INVALID_REQUEST, "%s is too long",
		    field->name);
	text = arena_alloc(arena, value->length);
	if (text == NULL)
		return out_of_memory(error);
	length = scan_decode(value, text, &flags);
	if (length < field->min || length > field->max || flags != 0)
		return error_set(error, ERROR_INVALID_REQUEST,
		    "%s is empty, too long or no text", field->name);
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return error_set(error, ERROR_INVALID_REQUEST,
			    "%s has a control character", field->name);
	*out = text;
	return 0;
}

/* Checks that VALUE is the number 1: the one version of the protocol. Clients
 * of Replicache 12 and older send 0, and their bodies are of another form. */
static int
check_version(const struct scan_value *value, const char *field,
    enum error_code unsupported, struct error *error)
{
	int64_t version;

	if (value->kind != SCAN_INTEGER && value->kind != SCAN_DECIMAL)
		return error_set(error, ERROR_INVALID_REQUEST,
		    "%s is missing or not a number", field);
	if (scan_integer(value, 0, &version) && version == 0)
		return error_set(error, ERROR_CLIENT_TOO_OLD,
		    "%s is 0: the client is of Replicache 12 or older", field);
	if (!scan_integer(value, 0, &version) || version != 1)
		return error_set(
		    error, unsupported, "%s is not supported", field);
	return 0;
}

/* Checks a field that is only there to be of the right type. */
static int
check_string(
    const struct scan_value *value, const char *field, struct error *error)
{
	if (value->kind == SCAN_STRING)
		return 0;
	return error_set(error, ERROR_INVALID_REQUEST,
	    "%s is missing or not a string", field);
}

/* Judges BODY and gives the object that it is. */
static int
read_object(const char *body, size_t length, const struct scan_limits *limits,
    struct scan_value *object, unsigned *flags, struct error *error)
{
	if (scan_document_within(body, length, limits, flags, error) < 0)
		return -1;
	scan_root(body, length, object);
	if (object->kind != SCAN_OBJECT)
		return error_set(
		    error, ERROR_INVALID_REQUEST, "the body is not an object");
	return 0;
}

/* What is needed while the mutations of a push are read. */
struct reading {
	struct arena *arena;
	struct map clients;
	int64_t *last;  /* the last ID seen, by client */
	unsigned flags; /* of the whole body */
	size_t written; /* the args so far, as jsonb writes them */
	size_t most;    /* of that; 0: no bound, or none that can be met */
};

static int
read_client(struct reading *reading, const struct scan_value *value, int64_t id,
    size_t *out, struct error *error)
{
	const char *client;
	size_t index;

	if (read_text(value, &client_field, reading->arena, &client, error) < 0)
		return -1;
	index = map_add(&reading->clients, client);
	if (index == MAP_NONE)
		return out_of_memory(error);
	if (id < reading->last[index])
		return error_set(error, ERROR_INVALID_REQUEST,
		    "the mutation IDs of a client descend");
	reading->last[index] = id;
	*out = index;
	return 0;
}

/* A mutator's name may be anything of some length: what is none fails as a
 * mutation. */
static int
read_name(struct reading *reading, const struct scan_value *value,
    struct mutation *mutation, struct error *error)
{
	unsigned flags;
	char *name;

	if (check_string(value, "name", error) < 0)
		return -1;
	/* An escape takes 6 bytes at most for each byte that it means. */
	if (value->length > 6 * PROTOCOL_NAME_MAX + 2)
		return error_set(
		    error, ERROR_INVALID_REQUEST, "name is too long");
	name = arena_alloc(reading->arena, value->length);
	if (name == NULL)
		return out_of_memory(error);
	if (scan_decode(value, name, &flags) > PROTOCOL_NAME_MAX)
		return error_set(
		    error, ERROR_INVALID_REQUEST, "name is too long");
	mutation->name = name;
	if (flags != 0)
		mutation->refused = "unknown_mutator";
	return 0;
}

/* Whether there is no room for the args VALUE, with all numbers written out. */
static bool
is_too_much(struct reading *reading, const struct scan_value *value)
{
	size_t written;

	if (reading->most == 0)
		return false;
	written = scan_written(value);
	if (written > reading->most - reading->written)
		return true;
	reading->written += written;
	return false;
}

static void
read_args(struct reading *reading, const struct scan_value *value,
    struct mutation *mutation)
{
	unsigned flags;

	if (value->kind == SCAN_NONE) {
		mutation->args = "null";
		mutation->args_length = 4;
		return;
	}
	mutation->args = value->text;
	mutation->args_length = value->length;
	if (mutation->refused != NULL)
		return;
	flags = reading->flags == 0 ? 0 : scan_flags(value);
	if ((flags & (SCAN_NUL | SCAN_SURROGATE)) != 0)
		mutation->refused = "unstorable_text";
	else if (flags != 0 || is_too_much(reading, value))
		mutation->refused = "number_out_of_range";
}

static int
read_mutation(struct reading *reading, const struct scan_value *value,
    struct mutation *mutation, struct error *error)
{
	enum {
		ID,
		CLIENT_ID,
		NAME,
		ARGS,
		TIMESTAMP,
		FIELDS
	};
	static const char *const names[FIELDS] = {
	    "id", "clientID", "name", "args", "timestamp"};
	struct scan_value fields[FIELDS];

	if (value->kind != SCAN_OBJECT)
		return error_set(error, ERROR_INVALID_REQUEST,
		    "a mutation is not an object");
	if (scan_fields(value, names, FIELDS, fields, error) < 0)
		return -1;
	if (!scan_integer(&fields[ID], 1, &mutation->id))
		return error_set(error, ERROR_INVALID_ID,
		    "a mutation's id is not a whole number from 1");
	mutation->refused = NULL;
	if (read_client(reading, &fields[CLIENT_ID], mutation->id,
		&mutation->client, error) < 0 ||
	    read_name(reading, &fields[NAME], mutation, error) < 0)
		return -1;
	read_args(reading, &fields[ARGS], mutation);
	return 0;
}

static size_t
count_elements(const struct scan_value *array)
{
	struct scan_cursor cursor;
	struct scan_value value;
	size_t count = 0;

	scan_open(&cursor, array);
	while (scan_element(&cursor, &value))
		count++;
	return count;
}

static int
read_mutations(struct reading *reading, const struct scan_value *array,
    struct push *push, struct error *error)
{
	struct mutation *mutations;
	struct scan_cursor cursor;
	struct scan_value value;
	size_t count, n = 0;

	if (array->kind != SCAN_ARRAY)
		return error_set(error, ERROR_INVALID_REQUEST,
		    "mutations is missing or not an array");
	count = count_elements(array);
	mutations = arena_calloc(reading->arena, count + 1, sizeof(*mutations));
	reading->last =
	    arena_calloc(reading->arena, count + 1, sizeof(*reading->last));
	if (mutations == NULL || reading->last == NULL)
		return out_of_memory(error);
	scan_open(&cursor, array);
	while (scan_element(&cursor, &value))
		if (read_mutation(reading, &value, &mutations[n++], error) < 0)
			return -1;
	push->mutations = mutations;
	push->mutation_count = count;
	push->clients = reading->clients.keys;
	push->client_count = reading->clients.count;
	return 0;
}

/* Ends each args by a NUL over the comma, brace or space behind it; only now
 * that nothing is to be read any more. */
static void
terminate_args(char *body, const struct push *push)
{
	for (size_t i = 0; i < push->mutation_count; i++) {
		const struct mutation *mutation = &push->mutations[i];
		const char *end = mutation->args + mutation->args_length;

		if (*end != '\0')
			body[end - body] = '\0';
	}
}

int
protocol_parse_push(char *body, size_t length, const struct scan_limits *limits,
    struct arena *arena, struct push *push, struct error *error)
{
	enum {
		PUSH_VERSION,
		GROUP,
		MUTATIONS,
		PROFILE,
		SCHEMA,
		FIELDS
	};
	static const char *const names[FIELDS] = {"pushVersion",
	    "clientGroupID", "mutations", "profileID", "schemaVersion"};
	struct reading reading = {.arena = arena};
	struct scan_value object, fields[FIELDS];

	memset(push, 0, sizeof(*push));
	map_init(&reading.clients, arena);
	/* What can't grow beyond it need not be counted. */
	if (length > limits->written / NUMBER_GROWTH_MAX)
		reading.most = limits->written;
	if (read_object(body, length, limits, &object, &reading.flags, error) <
		0 ||
	    scan_fields(&object, names, FIELDS, fields, error) < 0 ||
	    check_version(&fields[PUSH_VERSION], "pushVersion",
		ERROR_VERSION_NOT_SUPPORTED_PUSH, error) < 0 ||
	    read_text(
		&fields[GROUP], &group_field, arena, &push->group, error) < 0 ||
	    check_string(&fields[PROFILE], "profileID", error) < 0 ||
	    read_text(&fields[SCHEMA], &schema_field, arena,
		&push->schema_version, error) < 0 ||
	    read_mutations(&reading, &fields[MUTATIONS], push, error) < 0)
		return -1;
	terminate_args(body, push);
	return 0;
}

static int
read_cookie(
    const struct scan_value *value, struct pull *pull, struct error *error)
{
	if (value->kind == SCAN_NONE)
		return error_set(
		    error, ERROR_INVALID_REQUEST, "cookie is missing");
	cookie_read(value, &pull->cookie);
	return 0;
}

int
protocol_parse_pull(char *body, size_t length, const struct scan_limits *limits,
    struct arena *arena, struct pull *pull, struct error *error)
{
	enum {
		PULL_VERSION,
		GROUP,
		COOKIE,
		PROFILE,
		SCHEMA,
		FIELDS
	};
	static const char *const names[FIELDS] = {"pullVersion",
	    "clientGroupID", "cookie", "profileID", "schemaVersion"};
	struct scan_value object, fields[FIELDS];
	unsigned flags;

	memset(pull, 0, sizeof(*pull));
	if (read_object(body, length, limits, &object, &flags, error) < 0 ||
	    scan_fields(&object, names, FIELDS, fields, error) < 0 ||
	    check_version(&fields[PULL_VERSION], "pullVersion",
		ERROR_VERSION_NOT_SUPPORTED_PULL, error) < 0 ||
	    read_text(
		&fields[GROUP], &group_field, arena, &pull->group, error) < 0 ||
	    check_string(&fields[PROFILE], "profileID", error) < 0 ||
	    read_text(&fields[SCHEMA], &schema_field, arena,
		&pull->schema_version, error) < 0 ||
	    read_cookie(&fields[COOKIE], pull, error) < 0)
		return -1;
	return 0;
}
