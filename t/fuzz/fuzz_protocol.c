/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: any bytes are read as the body of a push and of a pull. Whether
 * they are one is decided a second time here, in the plainest way; and what was
 * read, written again, reads the same.
 */
#include "config.h"

#include "fuzz.h"

#include "arena.h"
#include "buffer.h"
#include "error.h"
#include "jsonw.h"
#include "protocol.h"
#include "scan.h"

const struct fuzz_target fuzz_target =
    FUZZ_TARGET("fuzz/protocol", FUZZ_SPICE_JSON);

/* Small, so that these limits are met. */
static const struct scan_limits limits = {.tokens = 300, .depth = 12};

#define ARENA_MAX ((size_t)16 << 20)

/* What a string means, in memory of its own; NULL unless it is a text that
 * Postgres can hold. */
static char *
meaning(const struct scan_value *value)
{
	unsigned flags;
	char *text;

	if (value->kind != SCAN_STRING)
		return NULL;
	text = malloc(value->length);
	fuzz_check(text != NULL);
	scan_decode(value, text, &flags);
	if (flags == 0)
		return text;
	free(text);
	return NULL;
}

/* The members of OBJECT named NAME: their number, the last one in *FOUND. */
static size_t
members(
    const struct scan_value *object, const char *name, struct scan_value *found)
{
	struct scan_cursor cursor;
	struct scan_value key, value;
	size_t count = 0;

	*found = (struct scan_value){.kind = SCAN_NONE};
	scan_open(&cursor, object);
	while (scan_member(&cursor, &key, &value)) {
		char *text = meaning(&key);

		if (text != NULL && strcmp(text, name) == 0) {
			*found = value;
			count++;
		}
		free(text);
	}
	return count;
}

/* Is there one NAME in OBJECT, a text of MIN to MAX bytes, all printable? */
static bool
has_text(
    const struct scan_value *object, const char *name, size_t min, size_t max)
{
	struct scan_value value;
	bool good = members(object, name, &value) == 1;
	char *text = meaning(&value);
	size_t length = text == NULL ? 0 : strlen(text);

	good = good && text != NULL && length >= min && length <= max;
	for (size_t i = 0; good && i < length; i++)
		good = (unsigned char)text[i] >= ' ' && text[i] != 0x7f;
	free(text);
	return good;
}

static bool
has_string(const struct scan_value *object, const char *name)
{
	struct scan_value value;

	return members(object, name, &value) == 1 && value.kind == SCAN_STRING;
}

static bool
is_one(const struct scan_value *object, const char *name)
{
	struct scan_value value;

	return members(object, name, &value) == 1 && value.length == 1 &&
	       value.text[0] == '1';
}

/* The ID of a mutation, or 0. */
static int64_t
id_of(const struct scan_value *mutation)
{
	struct scan_value value;
	char digits[17];

	if (members(mutation, "id", &value) != 1 || value.length > 16)
		return 0;
	memcpy(digits, value.text, value.length);
	digits[value.length] = '\0';
	if (strspn(digits, "0123456789") != value.length ||
	    strtoll(digits, NULL, 10) > PROTOCOL_NUMBER_MAX)
		return 0;
	return strtoll(digits, NULL, 10);
}

static bool
is_mutation(const struct scan_value *mutation)
{
	struct scan_value value;

	return mutation->kind == SCAN_OBJECT && id_of(mutation) >= 1 &&
	       has_text(mutation, "clientID", 1, PROTOCOL_ID_MAX) &&
	       has_string(mutation, "name") &&
	       members(mutation, "args", &value) <= 1 &&
	       members(mutation, "timestamp", &value) <= 1;
}

/* Is no ID below one that its client has had before? */
static bool
ascends(const struct scan_value *mutations)
{
	struct scan_cursor cursor, before;
	struct scan_value mutation, other, client, theirs;
	bool good = true;

	scan_open(&cursor, mutations);
	while (good && scan_element(&cursor, &mutation)) {
		char *name, *their_name;

		members(&mutation, "clientID", &client);
		name = meaning(&client);
		scan_open(&before, mutations);
		while (scan_element(&before, &other) &&
		       other.text < mutation.text) {
			members(&other, "clientID", &theirs);
			their_name = meaning(&theirs);
			if (strcmp(name, their_name) == 0 &&
			    id_of(&other) > id_of(&mutation))
				good = false;
			free(their_name);
		}
		free(name);
	}
	return good;
}

static bool
are_mutations(const struct scan_value *mutations)
{
	struct scan_cursor cursor;
	struct scan_value mutation;

	if (mutations->kind != SCAN_ARRAY)
		return false;
	scan_open(&cursor, mutations);
	while (scan_element(&cursor, &mutation))
		if (!is_mutation(&mutation))
			return false;
	return ascends(mutations);
}

/* What pushes and pulls have in common. */
static bool
is_body(const struct scan_value *object, const char *version)
{
	return object->kind == SCAN_OBJECT && is_one(object, version) &&
	       has_text(object, "clientGroupID", 1, PROTOCOL_ID_MAX) &&
	       has_string(object, "profileID") &&
	       has_text(
		   object, "schemaVersion", 0, PROTOCOL_SCHEMA_VERSION_MAX);
}

static bool
is_push(const struct scan_value *object)
{
	struct scan_value mutations;

	return is_body(object, "pushVersion") &&
	       members(object, "mutations", &mutations) == 1 &&
	       are_mutations(&mutations);
}

static bool
is_pull(const struct scan_value *object)
{
	struct scan_value cookie;

	return is_body(object, "pullVersion") &&
	       members(object, "cookie", &cookie) == 1;
}

/* Is SIZE bytes of DATA a document within our limits? Then *OBJECT is it. */
static bool
is_document(const char *data, size_t size, struct scan_value *object)
{
	struct error error;
	unsigned flags;

	if (scan_document_within(data, size, &limits, &flags, &error) < 0)
		return false;
	scan_root(data, size, object);
	return true;
}

static bool
is_documented(enum error_code code, enum error_code version)
{
	return code == ERROR_INVALID_JSON || code == ERROR_TOO_DEEP ||
	       code == ERROR_TOO_MANY_TOKENS || code == ERROR_INVALID_REQUEST ||
	       code == ERROR_INVALID_ID || code == ERROR_CLIENT_TOO_OLD ||
	       code == version;
}

/* The args are the bytes that were sent, ended by a NUL. */
static void
check_args(const struct mutation *mutation, const char *data, size_t size,
    const char *body)
{
	size_t at;
	struct error error;
	unsigned flags;

	fuzz_check(strlen(mutation->args) == mutation->args_length);
	fuzz_check(scan_document_within(mutation->args, mutation->args_length,
		       &limits, &flags, &error) == 0);
	if (mutation->refused == NULL)
		fuzz_check(flags == 0);
	else if (strcmp(mutation->refused, "number_out_of_range") == 0)
		fuzz_check(flags == SCAN_NUMBER);
	else if (strcmp(mutation->refused, "unstorable_text") == 0)
		fuzz_check((flags & ~SCAN_NUMBER) != 0);
	else
		fuzz_check(strcmp(mutation->refused, "unknown_mutator") == 0);
	if (mutation->args < body || mutation->args > body + size) {
		fuzz_check(strcmp(mutation->args, "null") == 0);
		return;
	}
	at = (size_t)(mutation->args - body);
	fuzz_check(mutation->args_length <= size - at);
	fuzz_check(
	    memcmp(data + at, mutation->args, mutation->args_length) == 0);
}

static void
add(struct buffer *out, const char *before, const char *text)
{
	buffer_append_string(out, before);
	jsonw_string(out, text, strlen(text));
}

static void
write_push(struct buffer *out, const struct push *push)
{
	add(out, "{\"pushVersion\":1,\"profileID\":\"\",\"clientGroupID\":",
	    push->group);
	add(out, ",\"schemaVersion\":", push->schema_version);
	buffer_append_string(out, ",\"mutations\":[");
	for (size_t i = 0; i < push->mutation_count; i++) {
		const struct mutation *mutation = &push->mutations[i];

		buffer_append_string(out, i > 0 ? ",{\"id\":" : "{\"id\":");
		jsonw_int64(out, mutation->id);
		add(out, ",\"clientID\":", push->clients[mutation->client]);
		add(out, ",\"name\":", mutation->name);
		buffer_append_string(out, ",\"args\":");
		jsonw_raw(out, mutation->args, mutation->args_length);
		buffer_append_byte(out, '}');
	}
	buffer_append_string(out, "]}");
}

static void
check_same(const struct push *a, const struct push *b)
{
	fuzz_check(strcmp(a->group, b->group) == 0);
	fuzz_check(strcmp(a->schema_version, b->schema_version) == 0);
	fuzz_check(a->client_count == b->client_count);
	for (size_t i = 0; i < a->client_count; i++)
		fuzz_check(strcmp(a->clients[i], b->clients[i]) == 0);
	fuzz_check(a->mutation_count == b->mutation_count);
	for (size_t i = 0; i < a->mutation_count; i++) {
		const struct mutation *m = &a->mutations[i];
		const struct mutation *n = &b->mutations[i];

		fuzz_check(m->client == n->client && m->id == n->id);
		fuzz_check(strcmp(m->name, n->name) == 0);
		fuzz_check(strcmp(m->args, n->args) == 0);
		/* The name was mended as it was written. */
		if (m->refused == NULL ||
		    strcmp(m->refused, "unknown_mutator") != 0)
			fuzz_check(
			    (m->refused == NULL) == (n->refused == NULL));
	}
}

/* What was read, written and read again. */
static void
check_again(const struct push *push)
{
	static const struct scan_limits none = {SIZE_MAX, SCAN_DEPTH_MAX, 0};
	struct buffer out;
	struct arena arena;
	struct push again;
	struct error error;
	char *body;

	buffer_init(&out, ARENA_MAX);
	arena_init(&arena, ARENA_MAX);
	write_push(&out, push);
	fuzz_check(out.failure == BUFFER_GOOD);
	body = fuzz_copy(out.data, out.length);
	fuzz_check(protocol_parse_push(
		       body, out.length, &none, &arena, &again, &error) == 0);
	check_same(push, &again);
	free(body);
	arena_fini(&arena);
	buffer_fini(&out);
}

static void
check_push(const char *data, size_t size)
{
	char *body = fuzz_copy(data, size);
	struct scan_value object;
	struct arena arena;
	struct push push;
	struct error error = {0};
	bool expected = is_document(data, size, &object) && is_push(&object);

	arena_init(&arena, ARENA_MAX);
	if (protocol_parse_push(body, size, &limits, &arena, &push, &error) ==
	    0) {
		fuzz_check(expected);
		for (size_t i = 0; i < push.mutation_count; i++)
			check_args(&push.mutations[i], data, size, body);
		check_again(&push);
	} else {
		fuzz_check(!expected);
		fuzz_check(is_documented(
		    error.code, ERROR_VERSION_NOT_SUPPORTED_PUSH));
		fuzz_check(memcmp(body, data, size) == 0);
	}
	arena_fini(&arena);
	free(body);
}

/* What the client has to take: an order above what it had. */
static void
check_next(const struct cookie *had, const char *of)
{
	struct cookie next, again;
	struct scan_value root;
	struct buffer out;
	unsigned flags;
	struct error error;

	cookie_next(had, 42, of, &next);
	fuzz_check(next.version == 42 && next.order >= 42);
	fuzz_check(cookie_is_of(&next, of));
	fuzz_check(cookie_is_of(had, of) || next.order == SCAN_INTEGER_MAX ||
		   next.order > had->order);
	fuzz_check(next.text || !had->text);
	buffer_init(&out, 1024);
	cookie_write(&out, &next);
	fuzz_check(scan_document_within(
		       out.data, out.length, &limits, &flags, &error) == 0);
	scan_root(out.data, out.length, &root);
	cookie_read(&root, &again);
	fuzz_check(again.kind == next.kind && again.version == next.version &&
		   again.order == next.order && again.text == next.text &&
		   strcmp(again.of, next.of) == 0);
	buffer_fini(&out);
}

static void
check_cookie(const struct scan_value *object, const struct pull *pull)
{
	const struct cookie *read = &pull->cookie;
	struct scan_value cookie;
	char digits[24];

	members(object, "cookie", &cookie);
	fuzz_check((read->kind == COOKIE_NULL) == (cookie.kind == SCAN_NULL));
	check_next(read, "");
	check_next(read, "0123456789abcdef01234567");
	if (read->kind != COOKIE_VERSION)
		return;
	fuzz_check(read->version >= 0 && read->version <= PROTOCOL_NUMBER_MAX);
	snprintf(digits, sizeof(digits), "%lld", (long long)read->version);
	fuzz_check(strlen(digits) == cookie.length);
	fuzz_check(memcmp(digits, cookie.text, cookie.length) == 0);
}

static void
check_pull(const char *data, size_t size)
{
	char *body = fuzz_copy(data, size);
	struct scan_value object;
	struct arena arena;
	struct pull pull;
	struct error error = {0};
	bool expected = is_document(data, size, &object) && is_pull(&object);

	arena_init(&arena, ARENA_MAX);
	if (protocol_parse_pull(body, size, &limits, &arena, &pull, &error) ==
	    0) {
		fuzz_check(expected);
		check_cookie(&object, &pull);
	} else {
		fuzz_check(!expected);
		fuzz_check(is_documented(
		    error.code, ERROR_VERSION_NOT_SUPPORTED_PULL));
	}
	fuzz_check(memcmp(body, data, size) == 0);
	arena_fini(&arena);
	free(body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = fuzz_copy(data, size);

	check_push(copy, size);
	check_pull(copy, size);
	free(copy);
	return 0;
}
