/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of cgi/response with a peer that may be gone, and without memory. Linked
 * with --wrap=realloc, which may fail.
 */
#include "config.h"

#include "unit.h"

#include "memory.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "request.h"
#include "response.h"
#include "transport.h"

/* What was sent, and how often before the peer was gone. */
static char sent[4 * RESPONSE_PIECE];
static size_t sent_length;
static int writes, writes_before_end;

UNIT_WRAP_REALLOC

static int
take_bytes(struct transport *transport, const char *bytes, size_t size)
{
	(void)transport;
	/* To a peer that is gone nothing is sent again. */
	assert_true(writes <= writes_before_end);
	if (writes++ == writes_before_end)
		return -1;
	assert_true(sent_length + size < sizeof(sent));
	memcpy(sent + sent_length, bytes, size);
	sent_length += size;
	sent[sent_length] = '\0';
	return 0;
}

static const struct transport_ops ops = {.write = take_bytes};
static struct transport transport = {&ops};
static struct response response;

static int
begin(void **state)
{
	(void)state;
	sent[0] = '\0';
	sent_length = 0;
	writes = 0;
	writes_before_end = 100;
	no_memory = false;
	response_init(&response, &transport);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	response_fini(&response);
	return 0;
}

/* What was sent behind the headers. */
static const char *
body(void)
{
	const char *end = strstr(sent, "\r\n\r\n");

	assert_non_null(end);
	return end + 4;
}

static void
add_piece(void)
{
	for (size_t i = 0; i < RESPONSE_PIECE; i++)
		buffer_append_byte(&response.body, 'x');
}

static void
an_answer_has_its_length(void **state)
{
	(void)state;
	response_json(&response, 200, "{}");
	assert_true(response_end(&response));
	assert_non_null(strstr(sent, "Status: 200 OK\r\n"));
	assert_non_null(strstr(sent, "Content-Length: 2\r\n"));
	assert_string_equal(body(), "{}");
	assert_int_equal(response.sent, 2);
}

static void
head_is_told_the_same_but_for_the_body(void **state)
{
	(void)state;
	response.head_only = true;
	response_json(&response, 200, "{}");
	assert_true(response_end(&response));
	assert_non_null(strstr(sent, "Content-Length: 2\r\n"));
	assert_string_equal(body(), "");
}

/* What could not be written is answered by what takes no memory. */
static void
without_memory_it_is_unavailable(void **state)
{
	(void)state;
	no_memory = true;
	response_json(&response, 200, "{}");
	assert_true(response_end(&response));
	assert_non_null(strstr(sent, "Status: 503 Service Unavailable\r\n"));
	assert_non_null(strstr(sent, "Retry-After: "));
	assert_non_null(strstr(body(), "\"unavailable\""));
	assert_int_equal(response.sent, strlen(body()));
}

static void
without_memory_head_is_told_so(void **state)
{
	(void)state;
	no_memory = true;
	response.head_only = true;
	response_json(&response, 200, "{}");
	assert_true(response_end(&response));
	assert_non_null(strstr(sent, "Status: 503 Service Unavailable\r\n"));
	assert_string_equal(body(), "");
	assert_int_equal(response.sent, 0);
}

/* The headers are out, so it can only be cut. */
static void
without_memory_in_the_middle_it_is_cut(void **state)
{
	(void)state;
	add_piece();
	assert_int_equal(response_flush(&response), 0);
	no_memory = true;
	for (int i = 0; i < 4; i++)
		add_piece();
	assert_int_equal(response_flush(&response), -1);
	assert_false(response_end(&response));
	assert_int_equal(strlen(body()), RESPONSE_PIECE);
	assert_null(strstr(sent, "Content-Length"));
}

/* Gone at the headers, or behind them. */
static void
a_peer_that_is_gone_is_told_of(void **state)
{
	for (int before = 0; before < 2; before++) {
		begin(state);
		writes_before_end = before;
		response_json(&response, 200, "{}");
		assert_false(response_end(&response));
		assert_int_equal(writes, before + 1);
		end(state);
		begin(state);
		writes_before_end = before;
		no_memory = true;
		response_json(&response, 200, "{}");
		assert_false(response_end(&response));
		assert_int_equal(writes, before + 1);
		response_fini(&response);
	}
	response_init(&response, &transport);
}

static void
what_is_our_fault_is_500(void **state)
{
	static const struct request request = {.id = "7"};
	struct error error;

	(void)state;
	error_set(&error, ERROR_INTERNAL, "hidden");
	response_error(&response, &request, &error);
	assert_true(response_end(&response));
	assert_non_null(strstr(sent, "Status: 500 Internal Server Error\r\n"));
	assert_non_null(strstr(body(), "\"requestID\":\"7\""));
	assert_null(strstr(sent, "hidden"));
}

/* Pieces that are made nonetheless go nowhere. */
static void
nothing_is_sent_to_who_is_gone(void **state)
{
	(void)state;
	writes_before_end = 2;
	for (int i = 0; i < 4; i++) {
		add_piece();
		assert_int_equal(response_flush(&response), i == 0 ? 0 : -1);
	}
	assert_false(response_end(&response));
	assert_int_equal(writes, 3);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    TEST(an_answer_has_its_length),
	    TEST(head_is_told_the_same_but_for_the_body),
	    TEST(without_memory_it_is_unavailable),
	    TEST(without_memory_head_is_told_so),
	    TEST(without_memory_in_the_middle_it_is_cut),
	    TEST(a_peer_that_is_gone_is_told_of),
	    TEST(what_is_our_fault_is_500),
	    TEST(nothing_is_sent_to_who_is_gone),
	};

	return unit_run(tests);
}
