/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of common/origin.
 */
#include "config.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "error.h"
#include "origin.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static void
what_browsers_send_is_taken(void **state)
{
	static const char *const good[] = {"", " ", "*", "null", "* null",
	    "https://app.example", "http://app.example:8080",
	    "https://a.example  https://b.example ", "http://localhost:3000",
	    "http://127.0.0.1", "http://[::1]:8080", "https://[2001:db8::1]",
	    "https://xn--bcher-kva.example", "https://app.example.",
	    "https://a_b.example", "https://1.example", "https://a1",
	    "http://app.example:443", "https://app.example:80",
	    "capacitor://localhost", "chrome-extension://abcdefghijklmnop",
	    "http://app.example:0", "https://app.example:65535"};
	struct error error;

	(void)state;
	for (size_t i = 0; i < LENGTH(good); i++)
		if (origin_check(good[i], &error) < 0)
			fail_msg("%s: %s", good[i], error.message);
}

static void
what_they_do_not_is_refused(void **state)
{
	static const struct {
		const char *list, *told;
	} bad[] = {
	    {"https://app.example/", "write https://app.example"},
	    {"https://app.example/page?x#y", "write https://app.example"},
	    {"https://app.example?x", "write https://app.example"},
	    {"https://App.Example", "write https://app.example"},
	    {"HTTPS://app.example", "write https://app.example"},
	    {"https://app.example:443", "write https://app.example"},
	    {"http://app.example:80/", "write http://app.example"},
	    {"http://app.example:", "write http://app.example"},
	    {"http://app.example:08080", "write http://app.example:8080"},
	    {"https://ann:secret@app.example", "write https://app.example"},
	    {"app.example", "write https://app.example"},
	    {"app.example:8443/x", "write https://app.example:8443"},
	    {"//app.example", "scheme, host and port are needed"},
	    {"https:app.example", "scheme, host and port are needed"},
	    {"https:/app.example", "scheme, host and port are needed"},
	    {"https://", "scheme, host and port are needed"},
	    {"https:///x", "scheme, host and port are needed"},
	    {"https", "write https://https"},
	    {"1http://app.example", "scheme, host and port are needed"},
	    {"https://*.app.example", "name each one"},
	    {"https://*", "name each one"},
	    {"*.app.example", "name each one"},
	    {"**", "name each one"},
	    {"https://b\xc3\xbc" "cher.example", "xn--bcher-kva.example"},
	    {"https://app%2eexample", "scheme, host and port are needed"},
	    {"https://app.example:x", "its port is no number"},
	    {"https://app.example:65536", "its port is above 65535"},
	    {"https://app.example:99999999999999999999", "above 65535"},
	    {"https://127.1", "its address is none"},
	    {"https://256.0.0.1", "its address is none"},
	    {"https://1", "its address is none"},
	    {"https://[::0001]", "write https://[::1]"},
	    {"https://[2001:DB8::1]", "write https://[2001:db8::1]"},
	    {"https://[::g]", "its address is none"},
	    {"https://[::1", "scheme, host and port are needed"},
	    {"https://]", "scheme, host and port are needed"},
	    {"https://[]", "its address is none"},
	    {"file:///home/ann/app.html", "have the origin null"},
	    {"file://", "have the origin null"},
	    {"Null", "write null"},
	    {"https://a.example,https://b.example", "spaces between origins"},
	    {"https://a.example, https://b.example", "spaces between origins"},
	    {"https://a.example;", "spaces between origins"},
	    {"https://a.example\thttps://b.example", "scheme, host and port"},
	    {"\"https://a.example\"", "scheme, host and port"},
	    {"https://good.example https://bad.example/", "bad.example"},
	};
	struct error error;

	(void)state;
	for (size_t i = 0; i < LENGTH(bad); i++) {
		if (origin_check(bad[i].list, &error) == 0)
			fail_msg("%s is taken", bad[i].list);
		assert_int_equal(error.code, ERROR_CONFIG);
		if (strstr(error.message, bad[i].told) == NULL)
			fail_msg("%s: %s", bad[i].list, error.message);
	}
}

static void
what_is_told_to_be_written_is_taken(void **state)
{
	static const char parts[][8] = {"http", "https", "HTTP", "://", ":", "/",
	    "a.b", "A", "[::1]", "[", "]", "@", "80", "443", "*", "0", ".", "x:",
	    "\xc3\xbc", "?", "#", "%"};
	uint64_t random = 1;
	unsigned told = 0;

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		char text[128] = "";
		struct error error, again;
		const char *right;

		for (uint64_t n = 1 + unit_random(&random) % 6; n > 0; n--)
			strcat(text, parts[unit_random(&random) % LENGTH(parts)]);
		if (origin_check(text, &error) == 0)
			continue;
		right = strstr(error.message, ": write ");
		if (right == NULL)
			continue;
		told++;
		if (origin_check(right + 8, &again) < 0)
			fail_msg("%s; %s", error.message, again.message);
	}
	assert_in_range(told, 1000, 200000);
}

static void
what_is_long_is_refused(void **state)
{
	char text[ORIGIN_MAX + 2] = "https://";
	struct error error;

	(void)state;
	memset(text + 8, 'a', sizeof(text) - 8);
	text[ORIGIN_MAX] = '\0';
	assert_int_equal(origin_check(text, &error), 0);
	text[ORIGIN_MAX] = 'a';
	text[ORIGIN_MAX + 1] = '\0';
	assert_int_equal(origin_check(text, &error), -1);
	memset(text, 'A', ORIGIN_MAX);
	text[ORIGIN_MAX] = '\0';
	assert_int_equal(origin_check(text, &error), -1);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_browsers_send_is_taken),
	    cmocka_unit_test(what_they_do_not_is_refused),
	    cmocka_unit_test(what_is_told_to_be_written_is_taken),
	    cmocka_unit_test(what_is_long_is_refused),
	};

	return unit_run(tests);
}
