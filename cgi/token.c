/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reading a token.
 */
#include "config.h"

#include "token.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "base64url.h"
#include "error.h"
#include "identity.h"
#include "map.h"
#include "scan.h"
#include "token_key.h"

/* Characters of a time: 2^53 has 16, and nobody counts parts of a nanosecond.
 */
#define TIME_MAX 32

/* A token in its parts, as they were sent. */
struct parts {
	const char *header, *claims, *signature;
	size_t header_length, claims_length, signature_length;
	size_t length, signed_length; /* of it all, from `header` on, and of
				       * what is signed of it */
};

struct reading {
	struct token_key *key;
	const struct token_rules *rules;
	struct arena *arena;
};

static int
refuse(struct error *error, const char *why)
{
	return error_set(error, ERROR_INVALID_TOKEN, "the token %s", why);
}

static int
split(const char *token, struct parts *parts, struct error *error)
{
	size_t length = strnlen(token, TOKEN_MAX + 1);
	const char *first, *second;

	if (length > TOKEN_MAX)
		return refuse(error, "is too long");
	first = strchr(token, '.');
	second = first == NULL ? NULL : strchr(first + 1, '.');
	if (second == NULL || strchr(second + 1, '.') != NULL)
		return refuse(error, "is not of three parts");
	parts->header = token;
	parts->header_length = (size_t)(first - token);
	parts->claims = first + 1;
	parts->claims_length = (size_t)(second - parts->claims);
	parts->signature = second + 1;
	parts->signature_length = length - (size_t)(parts->signature - token);
	parts->length = length;
	parts->signed_length = (size_t)(second - token);
	return 0;
}

/* A part, decoded, with a NUL behind it. NULL with ERROR. */
static char *
decode(const struct reading *reading, const char *text, size_t length,
    size_t *length_out, struct error *error)
{
	unsigned char *out =
	    arena_alloc(reading->arena, BASE64URL_SIZE(length) + 1);

	if (out == NULL) {
		error_set(error, ERROR_UNAVAILABLE, "out of memory");
		return NULL;
	}
	if (!base64url_decode(text, length, out, length_out)) {
		refuse(error, "is not base64url");
		return NULL;
	}
	out[*length_out] = '\0';
	return (char *)out;
}

static int
check_signature(const struct reading *reading, const struct parts *parts,
    struct error *error)
{
	size_t length;
	const char *signature = decode(
	    reading, parts->signature, parts->signature_length, &length, error);
	int rc;

	if (signature == NULL)
		return -1;
	rc = token_key_verify(reading->key, parts->header, parts->length,
	    parts->signed_length, (const unsigned char *)signature, length);
	if (rc < 0)
		return error_set(error, ERROR_UNAVAILABLE,
		    "no memory to look at a signature");
	if (rc == 0)
		return error_set(error, ERROR_INVALID_TOKEN,
		    "the token is not signed by %s with our key",
		    token_key_algorithm(reading->key));
	return 0;
}

/* Decodes a part that is a JSON object, into *OBJECT. */
static const char *
read_object(const struct reading *reading, const char *text, size_t length,
    struct scan_value *object, struct error *error)
{
	size_t size;
	const char *json = decode(reading, text, length, &size, error);
	unsigned flags;

	if (json == NULL)
		return NULL;
	if (scan_document(json, size, TOKEN_MAX, &flags, error) < 0) {
		refuse(error, "is not JSON");
		return NULL;
	}
	if (flags != 0) {
		refuse(error, "has a text or number that jsonb can't hold");
		return NULL;
	}
	scan_root(json, size, object);
	if (object->kind != SCAN_OBJECT) {
		refuse(error, "is not of objects");
		return NULL;
	}
	return json;
}

static int
check_header(const struct reading *reading, const struct parts *parts,
    struct error *error)
{
	static const char *const names[] = {"alg", "crit"};
	struct scan_value header, values[2];

	if (read_object(reading, parts->header, parts->header_length, &header,
		error) == NULL)
		return -1;
	if (scan_fields(&header, names, 2, values, error) < 0)
		return refuse(error, "has a part of its header twice");
	if (values[0].kind != SCAN_STRING ||
	    !scan_equals(&values[0], token_key_algorithm(reading->key)))
		return refuse(error, "says that it is signed by another `alg`");
	if (values[1].kind != SCAN_NONE)
		return refuse(error, "has a `crit` that is not understood");
	return 0;
}

/* Of two claims of one name jsonb would take the last, we the first. */
static int
check_names(const struct reading *reading, const struct scan_value *claims,
    struct error *error)
{
	struct scan_value name, value;
	struct scan_cursor cursor;
	struct map seen;

	map_init(&seen, reading->arena);
	scan_open(&cursor, claims);
	while (scan_member(&cursor, &name, &value)) {
		char *text = arena_alloc(reading->arena, name.length);
		size_t count = seen.count;
		unsigned flags;

		if (text == NULL)
			return error_set(
			    error, ERROR_UNAVAILABLE, "out of memory");
		scan_decode(&name, text, &flags);
		if (map_add(&seen, text) == MAP_NONE)
			return error_set(
			    error, ERROR_UNAVAILABLE, "out of memory");
		if (seen.count == count)
			return refuse(error, "has a claim twice");
	}
	return 0;
}

/* Reads a NumericDate (RFC 7519 section 2), perhaps with a fraction, which is
 * cut. False unless it is from 0 to 2^53 - 1. */
static bool
read_time(const struct scan_value *value, int64_t *out)
{
	char text[TIME_MAX + 1];
	double time;

	if (value->kind == SCAN_INTEGER)
		return scan_integer(value, 0, out);
	if (value->kind != SCAN_DECIMAL || value->length > TIME_MAX)
		return false;
	memcpy(text, value->text, value->length);
	text[value->length] = '\0';
	time = strtod(text, NULL);
	if (!(time >= 0 && time <= (double)SCAN_INTEGER_MAX))
		return false;
	*out = (int64_t)time;
	return true;
}

static int
check_times(const struct reading *reading, const struct scan_value *expires,
    const struct scan_value *begins, struct error *error)
{
	int64_t now = reading->rules->now, time;

	if (!read_time(expires, &time))
		return refuse(error, "has no `exp` that is a time");
	if (now >= time + reading->rules->leeway)
		return error_set(error, ERROR_INVALID_TOKEN,
		    "the token expired %" PRId64 " s ago", now - time);
	if (begins->kind == SCAN_NONE)
		return 0;
	if (!read_time(begins, &time))
		return refuse(error, "has an `nbf` that is no time");
	if (now < time - reading->rules->leeway)
		return error_set(error, ERROR_INVALID_TOKEN,
		    "the token is not valid for another %" PRId64 " s",
		    time - now);
	return 0;
}

/* One audience, or an array of them (RFC 7519 section 4.1.3). */
static bool
is_audience(const struct scan_value *value, const char *ours)
{
	struct scan_value element;
	struct scan_cursor cursor;

	if (value->kind == SCAN_STRING)
		return scan_equals(value, ours);
	if (value->kind != SCAN_ARRAY)
		return false;
	scan_open(&cursor, value);
	while (scan_element(&cursor, &element))
		if (element.kind == SCAN_STRING && scan_equals(&element, ours))
			return true;
	return false;
}

static int
check_parties(const struct token_rules *rules,
    const struct scan_value *audience, const struct scan_value *issuer,
    struct error *error)
{
	if (rules->audience[0] == '\0' && audience->kind != SCAN_NONE)
		return refuse(error, "is for an `aud`, but jwt_audience is not "
				     "set");
	if (rules->audience[0] != '\0' &&
	    !is_audience(audience, rules->audience))
		return refuse(error, "is for another `aud`");
	if (rules->issuer[0] != '\0' &&
	    (issuer->kind != SCAN_STRING ||
		!scan_equals(issuer, rules->issuer)))
		return refuse(error, "is by another `iss`");
	return 0;
}

static int
read_user(const struct reading *reading, const struct scan_value *subject,
    struct identity *identity, struct error *error)
{
	unsigned flags;
	char *user;
	size_t length;

	if (subject->kind != SCAN_STRING)
		return error_set(error, ERROR_INVALID_TOKEN,
		    "the token has no `%s` that is a string",
		    reading->rules->subject);
	user = arena_alloc(reading->arena, subject->length);
	if (user == NULL)
		return error_set(error, ERROR_UNAVAILABLE, "out of memory");
	length = scan_decode(subject, user, &flags);
	if (length == 0 || length > TOKEN_USER_MAX)
		return error_set(error, ERROR_INVALID_TOKEN,
		    "the token has a `%s` that is empty or too long",
		    reading->rules->subject);
	identity->user = user;
	return 0;
}

static int
read_claims(const struct reading *reading, const struct parts *parts,
    struct identity *identity, struct error *error)
{
	const char *const names[] = {"exp", "nbf", "aud", "iss"};
	struct scan_value claims, values[4], subject;

	identity->claims = read_object(
	    reading, parts->claims, parts->claims_length, &claims, error);
	if (identity->claims == NULL)
		return -1;
	if (check_names(reading, &claims, error) < 0)
		return -1;
	if (scan_fields(&claims, names, 4, values, error) < 0 ||
	    scan_fields(&claims, &reading->rules->subject, 1, &subject, error) <
		0)
		return refuse(error, "has a claim twice");
	if (check_times(reading, &values[0], &values[1], error) < 0 ||
	    check_parties(reading->rules, &values[2], &values[3], error) < 0)
		return -1;
	return read_user(reading, &subject, identity, error);
}

int
token_read(const char *token, struct token_key *key,
    const struct token_rules *rules, struct arena *arena,
    struct identity *identity, struct error *error)
{
	const struct reading reading = {
	    .key = key, .rules = rules, .arena = arena};
	struct parts parts = {0};

	if (split(token, &parts, error) < 0 ||
	    check_signature(&reading, &parts, error) < 0 ||
	    check_header(&reading, &parts, error) < 0)
		return -1;
	return read_claims(&reading, &parts, identity, error);
}
