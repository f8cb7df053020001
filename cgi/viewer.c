/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Whose view it is, as a hash.
 */
#include "config.h"

#include "viewer.h"

#include <openssl/sha.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "buffer.h"
#include "error.h"
#include "identity.h"
#include "scan.h"

/* A token is far smaller. */
#define TEXT_MAX ((size_t)64 * 1024)

/*
 * Claims that say nothing of the user but when, for how long and in which
 * session a token was issued: RFC 7519 section 4.1, OpenID Connect Core
 * sections 2 and 3.3.2.11, Front-Channel Logout section 3 (sid), and what
 * Keycloak (session_state), Cognito (event_id, origin_jti) and Entra ID (aio,
 * rh, uti) add.
 */
static const char passing[] = "exp iat nbf jti auth_time nonce at_hash c_hash "
			      "s_hash sid session_state event_id origin_jti "
			      "aio rh uti";

struct claim {
	const char *name;
	struct scan_value value;
};

/* Is NAME one of those in LIST, which has spaces between? */
static bool
is_listed(const char *name, const char *list)
{
	size_t length = strlen(name);

	for (;;) {
		size_t size;

		list += strspn(list, " \t");
		size = strcspn(list, " \t");
		if (size == 0)
			return false;
		if (size == length && memcmp(list, name, length) == 0)
			return true;
		list += size;
	}
}

static int
by_name(const void *a, const void *b)
{
	const struct claim *one = a, *other = b;

	return strcmp(one->name, other->name);
}

/* Gives the claims of an object that count, in order of their names. NULL when
 * out of memory. */
static struct claim *
list_claims(const struct scan_value *object, const char *wanted,
    struct arena *arena, size_t *count_out)
{
	struct scan_cursor cursor;
	struct scan_value key, value;
	struct claim *claims;
	size_t count = 0;

	scan_open(&cursor, object);
	while (scan_member(&cursor, &key, &value))
		count++;
	claims = arena_calloc(arena, count + 1, sizeof(*claims));
	if (claims == NULL)
		return NULL;
	count = 0;
	scan_open(&cursor, object);
	while (scan_member(&cursor, &key, &value)) {
		char *name = arena_alloc(arena, key.length);
		unsigned flags;

		if (name == NULL)
			return NULL;
		scan_decode(&key, name, &flags);
		if (wanted[0] != '\0' ? is_listed(name, wanted)
				      : !is_listed(name, passing))
			claims[count++] = (struct claim){name, value};
	}
	qsort(claims, count, sizeof(*claims), by_name);
	*count_out = count;
	return claims;
}

/* Appends bytes so that where they end shows. */
static void
append(struct buffer *text, const char *bytes, size_t length)
{
	char size[32];

	snprintf(size, sizeof(size), "%zu:", length);
	buffer_append_string(text, size);
	buffer_append(text, bytes, length);
}

static int
describe(const struct identity *identity, const char *wanted,
    struct arena *arena, struct buffer *text)
{
	struct scan_value object;
	struct claim *claims;
	size_t count;

	append(text, identity->user, strlen(identity->user));
	if (identity->claims[0] != '\0') {
		scan_root(identity->claims, strlen(identity->claims), &object);
		claims = list_claims(&object, wanted, arena, &count);
		if (claims == NULL)
			return -1;
		for (size_t i = 0; i < count; i++) {
			append(text, claims[i].name, strlen(claims[i].name));
			append(
			    text, claims[i].value.text, claims[i].value.length);
		}
	}
	return text->failure == BUFFER_GOOD ? 0 : -1;
}

int
viewer_write(const struct identity *identity, const char *claims,
    struct arena *arena, char of[COOKIE_OF_SIZE], struct error *error)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	struct buffer text;
	int rc;

	buffer_init(&text, TEXT_MAX);
	rc = describe(identity, claims, arena, &text);
	if (rc == 0 &&
	    SHA256((const unsigned char *)text.data, text.length, hash) == NULL)
		rc = -1;
	buffer_fini(&text);
	if (rc < 0)
		return error_set(error, ERROR_UNAVAILABLE, "out of memory");
	for (size_t i = 0; i < (COOKIE_OF_SIZE - 1) / 2; i++)
		snprintf(of + 2 * i, 3, "%02x", hash[i]);
	return 0;
}
