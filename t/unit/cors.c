/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of cgi/cors.
 */
#include "config.h"

#include "unit.h"

#include <string.h>

#include "cors.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static void
an_origin_is_looked_up(void **state)
{
	static const struct {
		const char *allowed, *origin, *named;
	} cases[] = {
	    {"", "https://a.example", ""},
	    {"https://a.example", "https://a.example", "https://a.example"},
	    {"https://a.example", "https://a.exampl", ""},
	    {"https://a.example", "https://a.example.evil", ""},
	    {"https://a.example", "http://a.example", ""},
	    {"https://b https://a", "https://a", "https://a"},
	    {"https://b  https://a ", "https://a", "https://a"},
	    {"*", "https://a", "*"},
	    {"* https://a", "https://a", "https://a"},
	    {"https://a *", "https://b", "*"},
	    {"*", "null", ""},
	    {"null", "null", "null"},
	    {"* null", "null", "null"},
	    {"null *", "https://a", "*"},
	    {"*", "", ""},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		int length;
		const char *named =
		    cors_allow(cases[i].allowed, cases[i].origin, &length);

		if ((size_t)length != strlen(cases[i].named) ||
		    memcmp(named, cases[i].named, (size_t)length) != 0)
			fail_msg("%s in \"%s\": %.*s", cases[i].origin,
			    cases[i].allowed, length, named);
	}
}

static void
pages_of_other_sites_are_told_apart(void **state)
{
	static const struct {
		const char *allowed, *origin, *site, *host;
		bool foreign;
	} cases[] = {
	    /* No browser, or one that says nothing. */
	    {"", "", "", "app.example", false},
	    /* What a browser of today says. */
	    {"", "https://app.example", "same-origin", "app.example", false},
	    {"", "", "same-origin", "app.example", false},
	    {"", "", "none", "app.example", false},
	    {"", "https://x.app.example", "same-site", "app.example", true},
	    {"", "https://evil.example", "cross-site", "app.example", true},
	    {"", "", "cross-site", "app.example", true},
	    {"", "null", "cross-site", "app.example", true},
	    {"", "https://app.example", "cross-site", "app.example", true},
	    {"", "https://app.example", "something new", "app.example", true},
	    /* And one of yesterday. */
	    {"", "https://app.example", "", "app.example", false},
	    {"", "https://App.Example", "", "app.example", false},
	    {"", "http://app.example:8080", "", "app.example:8080", false},
	    {"", "http://app.example:8080", "", "app.example", true},
	    {"", "https://evil.example", "", "app.example", true},
	    {"", "https://evil.example/app.example", "", "app.example", true},
	    {"", "https://app.example.evil", "", "app.example", true},
	    {"", "null", "", "app.example", true},
	    {"", "app.example", "", "app.example", true},
	    {"", "https://", "", "", true},
	    /* Sites that are allowed by name. */
	    {"https://a", "https://a", "cross-site", "app.example", false},
	    {"https://a", "https://a", "", "app.example", false},
	    {"https://a", "https://b", "cross-site", "app.example", true},
	    {"https://a", "", "cross-site", "app.example", true},
	    {"*", "https://b", "cross-site", "app.example", true},
	    {"*", "https://b", "", "app.example", true},
	    {"* https://b", "https://b", "cross-site", "app.example", false},
	    /* Which null, any page's, never is. */
	    {"null", "null", "cross-site", "app.example", true},
	    {"null", "null", "", "app.example", true},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++)
		if (cors_is_foreign(cases[i].allowed, cases[i].origin,
			cases[i].site, cases[i].host) != cases[i].foreign)
			fail_msg("\"%s\", %s, %s to %s", cases[i].allowed,
			    cases[i].origin, cases[i].site, cases[i].host);
}

static void
a_preflight_is_answered_what_it_asks(void **state)
{
#define OURS "authorization, content-type, x-replicache-requestid"
	static const struct {
		const char *extra, *requested, *answer;
	} cases[] = {
	    {"", "", OURS},
	    {"X-Token", "", OURS ", X-Token"},
	    {"", "authorization,content-type,x-replicache-requestid", OURS},
	    {"", "baggage,sentry-trace,traceparent,tracestate",
		OURS ", baggage, sentry-trace, traceparent, tracestate"},
	    {"X-Token", "x-token, Content-Type,\ttraceparent ,,",
		OURS ", X-Token, traceparent"},
	    {"", "a,A,a", OURS ", a"},
	    {"", "!#$%&'*+-.^_`|~9", OURS ", !#$%&'*+-.^_`|~9"},
	    /* No names. */
	    {"", "a:b, \"c\", d\r\nSet-Cookie: x, e;f, \xc3\xa9, g/h, (, @",
		OURS ", x"},
	};
	char text[CORS_HEADERS_MAX];
	static char many[4 * CORS_HEADERS_MAX];

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		size_t n =
		    cors_headers(cases[i].extra, cases[i].requested, text);

		assert_string_equal(text, cases[i].answer);
		assert_int_equal(n, strlen(text));
	}
	/* What there is no room for is left out, whole. */
	for (size_t room = 0; room < 64; room++) {
		memset(many, 'a', room);
		many[room] = ',';
		for (size_t i = room + 1; i + 1 < sizeof(many); i++)
			many[i] = "bcdefghijk,"[i % 11];
		assert_in_range(cors_headers("", many, text), sizeof(OURS) - 1,
		    CORS_HEADERS_MAX - 1);
		assert_string_not_equal(text + strlen(text) - 1, ",");
	}
	for (size_t length = 600; length < 800; length++) {
		memset(many, 'a', length);
		many[length] = '\0';
		assert_in_range(
		    cors_headers("", many, text), 1, CORS_HEADERS_MAX - 1);
		assert_true(strlen(text) == sizeof(OURS) - 1 ||
			    strlen(text) == sizeof(OURS) + 1 + length);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_origin_is_looked_up),
	    cmocka_unit_test(pages_of_other_sites_are_told_apart),
	    cmocka_unit_test(a_preflight_is_answered_what_it_asks),
	};

	return unit_run(tests);
}
