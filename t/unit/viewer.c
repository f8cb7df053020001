/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of cgi/viewer.
 */
#include "config.h"

#include "unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "arena.h"
#include "error.h"
#include "identity.h"
#include "viewer.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static void
viewer_of(const char *user, const char *claims, const char *wanted,
    char of[COOKIE_OF_SIZE])
{
	const struct identity identity = {user, claims};
	struct arena arena;
	struct error error;

	arena_init(&arena, 65536);
	assert_int_equal(
	    viewer_write(&identity, wanted, &arena, of, &error), 0);
	arena_fini(&arena);
	assert_int_equal(strlen(of), COOKIE_OF_SIZE - 1);
	assert_int_equal(strspn(of, "0123456789abcdef"), COOKIE_OF_SIZE - 1);
}

static bool
is_same(const char *wanted, const char *user, const char *claims,
    const char *other_user, const char *other_claims)
{
	char one[COOKIE_OF_SIZE], other[COOKIE_OF_SIZE];

	viewer_of(user, claims, wanted, one);
	viewer_of(other_user, other_claims, wanted, other);
	return strcmp(one, other) == 0;
}

static void
whoever_sees_the_same(void **state)
{
	static const char *const same[][2] = {
	    {"", ""},
	    {"{\"role\":\"x\",\"a\":[1]}", "{\"a\":[1],\"role\":\"x\"}"},
	    {"{\"role\":\"x\"}", " { \"role\" : \"x\" } "},
	    {"{\"role\":\"x\"}", "{\"r\\u006fle\":\"x\"}"},
	    {"{\"role\":\"x\",\"exp\":1,\"iat\":2,\"jti\":\"a\",\"nbf\":4}",
		"{\"exp\":5,\"iat\":6,\"jti\":\"b\",\"role\":\"x\"}"},
	    {"{\"sid\":\"1\",\"auth_time\":1,\"nonce\":\"n\"}", "{}"},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(same); i++)
		assert_true(is_same("", "ann", same[i][0], "ann", same[i][1]));
	assert_true(
	    is_same("role team", "ann", "{\"role\":1,\"x\":1,\"team\":2}",
		"ann", "{\"team\":2,\"role\":1,\"x\":2}"));
	assert_true(is_same(" none ", "ann", "{\"role\":1}", "ann", "{}"));
}

static void
whoever_may_see_another(void **state)
{
	static const char *const others[][2] = {
	    {"{\"role\":\"x\"}", "{\"role\":\"y\"}"},
	    {"{\"role\":\"x\"}", "{}"},
	    {"{\"role\":null}", "{}"},
	    {"{\"a\":\"1\",\"b\":\"2\"}", "{\"a\":\"2\",\"b\":\"1\"}"},
	    {"{\"ab\":1}", "{\"a\":1}"},
	    {"{\"roles\":[1,2]}", "{\"roles\":[2,1]}"},
	    {"{\"expo\":1}", "{\"expo\":2}"},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(others); i++)
		assert_false(
		    is_same("", "ann", others[i][0], "ann", others[i][1]));
	assert_false(is_same("", "ann", "", "bob", ""));
	assert_false(is_same("", "ann", "", "", ""));
	assert_false(is_same("", "a", "{\"x\":1}", "a5:{\"x\"", ""));
	/* Who names a claim gets it, whatever it is. */
	assert_false(
	    is_same("sid", "ann", "{\"sid\":1}", "ann", "{\"sid\":2}"));
	assert_false(
	    is_same("role team", "ann", "{\"team\":1}", "ann", "{\"team\":2}"));
}

static void
memory_ends(void **state)
{
	const struct identity identity = {"ann", "{\"role\":\"x\"}"};
	char of[COOKIE_OF_SIZE];
	struct arena arena;
	struct error error;

	(void)state;
	arena_init(&arena, 8);
	assert_int_equal(viewer_write(&identity, "", &arena, of, &error), -1);
	assert_int_equal(error.code, ERROR_UNAVAILABLE);
	arena_fini(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(whoever_sees_the_same),
	    cmocka_unit_test(whoever_may_see_another),
	    cmocka_unit_test(memory_ends),
	};

	return unit_run(tests);
}
