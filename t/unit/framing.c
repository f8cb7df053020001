/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of cgi/framing.
 */
#include "config.h"

#include "unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "framing.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* The types and roles of the specification, section 8. */
enum {
	BEGIN = 1,
	ABORT,
	END,
	PARAMS,
	STDIN,
	STDOUT,
	STDERR,
	DATA,
	GET_VALUES,
	GET_VALUES_RESULT,
	UNKNOWN
};

enum {
	RESPONDER = 1,
	AUTHORIZER,
	FILTER
};

/* What a peer sends. */
struct stream {
	unsigned char bytes[4 * FRAMING_WINDOW];
	size_t length;
};

static struct stream stream;

static void
add_record(unsigned type, unsigned id, const void *content, size_t length,
    size_t padding)
{
	unsigned char *at = stream.bytes + stream.length;

	assert_true(stream.length + 8 + length + padding <=
		    sizeof(stream.bytes));
	assert_true(length <= 0xffff && padding <= 0xff);
	at[0] = 1;
	at[1] = (unsigned char)type;
	at[2] = (unsigned char)(id >> 8);
	at[3] = (unsigned char)id;
	at[4] = (unsigned char)(length >> 8);
	at[5] = (unsigned char)length;
	at[6] = (unsigned char)padding;
	at[7] = 0;
	if (length > 0)
		memcpy(at + 8, content, length);
	/* What pads is not to be looked at. */
	memset(at + 8 + length, 0xff, padding);
	stream.length += 8 + length + padding;
}

static void
begin_as(unsigned role, unsigned id)
{
	const unsigned char body[8] = {
	    (unsigned char)(role >> 8), (unsigned char)role};

	stream.length = 0;
	add_record(BEGIN, id, body, sizeof(body), 0);
}

static void
begin(void)
{
	begin_as(RESPONDER, 1);
}

/* Name-value pairs before they go into records. */
struct pairs {
	unsigned char bytes[2 * FRAMING_PARAMS_BYTES_MAX];
	size_t length;
};

static struct pairs pairs;

/* A length of one byte, or of four. */
static void
add_length(size_t length, bool wide)
{
	if (!wide) {
		assert_true(length < 0x80);
		pairs.bytes[pairs.length++] = (unsigned char)length;
		return;
	}
	pairs.bytes[pairs.length++] = (unsigned char)(0x80 | length >> 24);
	pairs.bytes[pairs.length++] = (unsigned char)(length >> 16);
	pairs.bytes[pairs.length++] = (unsigned char)(length >> 8);
	pairs.bytes[pairs.length++] = (unsigned char)length;
}

static void
add_bytes(const char *text, size_t length)
{
	memcpy(pairs.bytes + pairs.length, text, length);
	pairs.length += length;
}

static void
add_pair(const char *name, const char *value)
{
	add_length(strlen(name), strlen(name) > 0x7f);
	add_length(strlen(value), strlen(value) > 0x7f);
	add_bytes(name, strlen(name));
	add_bytes(value, strlen(value));
}

/* A pair whose value is LENGTH bytes. */
static void
add_long_pair(const char *name, size_t length)
{
	add_length(strlen(name), false);
	add_length(length, true);
	add_bytes(name, strlen(name));
	memset(pairs.bytes + pairs.length, 'v', length);
	pairs.length += length;
}

/* Puts BYTES into records of CHUNK bytes, and an empty one behind. */
static void
add_stream(unsigned type, const void *bytes, size_t length, size_t chunk,
    size_t padding)
{
	const unsigned char *from = bytes;

	while (length > 0) {
		size_t n = length < chunk ? length : chunk;

		add_record(type, 1, from, n, padding);
		from += n;
		length -= n;
	}
	add_record(type, 1, NULL, 0, 0);
}

static void
add_pairs(size_t chunk, size_t padding)
{
	add_stream(PARAMS, pairs.bytes, pairs.length, chunk, padding);
}

/* Of memory that ends where the bytes do. */
static enum framing
judge(size_t length)
{
	unsigned char *bytes = malloc(length + (length == 0));
	unsigned char *scratch = malloc(FRAMING_PARAMS_BYTES_MAX);
	enum framing judged;

	assert_non_null(bytes);
	assert_non_null(scratch);
	memcpy(bytes, stream.bytes, length);
	judged = framing_judge(bytes, length, scratch);
	free(scratch);
	free(bytes);
	return judged;
}

static const char *
name_of(enum framing judged)
{
	switch (judged) {
	case FRAMING_MORE:
		return "MORE";
	case FRAMING_BODY:
		return "BODY";
	case FRAMING_READY:
		return "READY";
	case FRAMING_LONG:
		return "LONG";
	case FRAMING_BAD:
		return "BAD";
	}
	return "?";
}

static void
check(const char *what, size_t length, enum framing expected)
{
	enum framing judged = judge(length);

	if (judged != expected)
		fail_msg("%s, %zu bytes: %s, not %s", what, length,
		    name_of(judged), name_of(expected));
}

static void
check_all(const char *what, enum framing expected)
{
	check(what, stream.length, expected);
}

/* Bad once all is there; and no part of it is ready. */
static void
check_bad(const char *what)
{
	for (size_t n = 0; n < stream.length; n++)
		if (judge(n) == FRAMING_READY || judge(n) == FRAMING_LONG)
			fail_msg("%s: ready at %zu bytes", what, n);
	check_all(what, FRAMING_BAD);
}

/* A sound request grows byte by byte: MORE, then BODY when the parameters'
 * end is there, at byte PARAMS_END, then READY when the body's is. */
static void
check_growth(const char *what, size_t params_end)
{
	for (size_t n = 0; n <= stream.length; n++)
		check(what, n,
		    n < params_end	  ? FRAMING_MORE
		    : n < stream.length ? FRAMING_BODY
					  : FRAMING_READY);
	/* What comes behind is never looked at, but seen. */
	stream.bytes[stream.length] = 0xff;
	check(what, stream.length + 1, FRAMING_LONG);
}

static void
usual_pairs(void)
{
	pairs.length = 0;
	add_pair("REQUEST_METHOD", "POST");
	add_pair("PATH_INFO", "/push");
	add_pair("EMPTY", "");
	add_pair("", "");
	add_pair("QUERY_STRING", "a=b&c=d");
	add_long_pair("HTTP_LONG", 300);
}

/* A request of the usual parameters and BODY bytes. Where the parameters end
 * in *PARAMS_END. */
static void
build(size_t chunk, size_t padding, size_t body, size_t *params_end)
{
	static unsigned char bytes[FRAMING_WINDOW];

	memset(bytes, '{', sizeof(bytes));
	usual_pairs();
	begin();
	add_pairs(chunk, padding);
	*params_end = stream.length;
	add_stream(STDIN, bytes, body, chunk < 4 ? 4 : chunk, padding);
}

static void
nothing_is_not_decided(void **state)
{
	(void)state;
	assert_int_equal(
	    framing_judge((const unsigned char *)"", 0, NULL), FRAMING_MORE);
}

static void
sound_requests_grow_to_ready(void **state)
{
	static const size_t chunks[] = {1, 2, 7, 8, 64, 300, 65535};
	static const size_t paddings[] = {0, 1, 7, 255};
	static const size_t bodies[] = {0, 1, 100};
	char what[64];

	(void)state;
	for (size_t c = 0; c < LENGTH(chunks); c++)
		for (size_t p = 0; p < LENGTH(paddings); p++)
			for (size_t b = 0; b < LENGTH(bodies); b++) {
				size_t params_end;

				if (chunks[c] < 7 && paddings[p] > 7)
					continue;
				build(chunks[c], paddings[p], bodies[b],
				    &params_end);
				snprintf(what, sizeof(what),
				    "records of %zu + %zu, a body of %zu",
				    chunks[c], paddings[p], bodies[b]);
				check_growth(what, params_end);
			}
}

/* Each split of the parameters into two records. */
static void
parameters_split_anywhere(void **state)
{
	(void)state;
	usual_pairs();
	for (size_t at = 1; at < pairs.length; at++) {
		begin();
		add_record(PARAMS, 1, pairs.bytes, at, at % 9);
		add_record(PARAMS, 1, pairs.bytes + at, pairs.length - at, 0);
		add_record(PARAMS, 1, NULL, 0, 0);
		check_all("split parameters", FRAMING_BODY);
		add_record(STDIN, 1, NULL, 0, 0);
		check_all("split parameters", FRAMING_READY);
	}
}

static void
there_may_be_no_parameters(void **state)
{
	(void)state;
	begin();
	add_record(PARAMS, 1, NULL, 0, 0);
	check_all("no parameters", FRAMING_BODY);
	add_record(STDIN, 1, NULL, 0, 0);
	check_growth("no parameters", 24);
}

static void
any_id_but_0_is_one(void **state)
{
	static const unsigned ids[] = {1, 2, 255, 256, 257, 65535};

	(void)state;
	for (size_t i = 0; i < LENGTH(ids); i++) {
		begin_as(RESPONDER, ids[i]);
		add_record(PARAMS, ids[i], NULL, 0, 0);
		add_record(STDIN, ids[i], "x", 1, 0);
		add_record(STDIN, ids[i], NULL, 0, 0);
		check_all("an ID", FRAMING_READY);
		/* Another one, in its low byte or its high one. */
		for (unsigned other = 1; other <= 256; other += 255) {
			begin_as(RESPONDER, ids[i]);
			add_record(PARAMS, ids[i] ^ other, NULL, 0, 0);
			check_bad("another ID in the parameters");
			begin_as(RESPONDER, ids[i]);
			add_record(PARAMS, ids[i], NULL, 0, 0);
			add_record(STDIN, ids[i] ^ other, NULL, 0, 0);
			check_bad("another ID in the body");
		}
	}
	begin_as(RESPONDER, 0);
	check_bad("the ID 0");
}

static void
only_the_responder_is_served(void **state)
{
	static const unsigned roles[] = {
	    0, AUTHORIZER, FILTER, 4, 0x100, 0x101, 0xffff};

	(void)state;
	for (size_t i = 0; i < LENGTH(roles); i++) {
		begin_as(roles[i], 1);
		check_bad("a role");
		check("a role, cut", 15, FRAMING_MORE);
	}
	/* The flags are the peer's: keep the connection, or what is to come. */
	for (unsigned flags = 0; flags < 256; flags++) {
		begin();
		stream.bytes[10] = (unsigned char)flags;
		check_all("flags", FRAMING_MORE);
	}
}

/* As an HTTP client would begin. */
static void
other_protocols_are_bad_at_once(void **state)
{
	(void)state;
	for (unsigned first = 0; first < 256; first++) {
		stream.bytes[0] = (unsigned char)first;
		stream.length = 1;
		check_all("a first byte",
		    first == 1 ? FRAMING_MORE : FRAMING_BAD);
	}
	stream.length =
	    (size_t)sprintf((char *)stream.bytes, "GET / HTTP/1.1\r\n\r\n");
	check_all("HTTP", FRAMING_BAD);
}

static void
every_record_is_of_version_1(void **state)
{
	static const unsigned char versions[] = {0, 2, 255};
	size_t params_end, at[4], records = 0;

	(void)state;
	build(65535, 0, 5, &params_end);
	for (size_t i = 0; records < 4 && i < stream.length;
	     i += 8 + (size_t)(stream.bytes[i + 4] << 8 | stream.bytes[i + 5]))
		at[records++] = i;
	assert_int_equal(records, 4);
	for (size_t r = 0; r < records; r++)
		for (size_t v = 0; v < LENGTH(versions); v++) {
			build(65535, 0, 5, &params_end);
			stream.bytes[at[r]] = versions[v];
			check_bad("a version");
		}
}

static void
the_begin_has_its_one_size(void **state)
{
	unsigned char body[16] = {0, RESPONDER};

	(void)state;
	for (size_t length = 0; length <= sizeof(body); length++) {
		stream.length = 0;
		add_record(BEGIN, 1, body, length, 0);
		check_all("a size of BEGIN_REQUEST",
		    length == 8 ? FRAMING_MORE : FRAMING_BAD);
	}
	stream.length = 0;
	add_record(BEGIN, 1, body, 8, 1);
	check_bad("a padded BEGIN_REQUEST");
	/* Its low byte alone is not the size. */
	stream.length = 0;
	add_record(BEGIN, 1, pairs.bytes, 0x108, 0);
	check_bad("a long BEGIN_REQUEST");
}

/* Each type in each place; GET_VALUES and its kin, which libfcgi would answer
 * or die of, among them. */
static void
types_come_in_order(void **state)
{
	static const unsigned types[] = {0, BEGIN, ABORT, END, PARAMS, STDIN,
	    STDOUT, STDERR, DATA, GET_VALUES, GET_VALUES_RESULT, UNKNOWN, 12,
	    255};
	static const unsigned char body[8] = {0, RESPONDER};

	(void)state;
	for (size_t i = 0; i < LENGTH(types); i++) {
		unsigned type = types[i];

		if (type != BEGIN) {
			stream.length = 0;
			add_record(type, 1, body, 8, 0);
			check_bad("a type first");
		}
		if (type != PARAMS) {
			begin();
			add_record(type, 1, body, 8, 0);
			check_bad("a type for parameters");
			begin();
			add_record(PARAMS, 1, "\1\1ab", 4, 0);
			add_record(type, 1, NULL, 0, 0);
			check_bad("a type behind parameters");
		}
		if (type != STDIN) {
			begin();
			add_record(PARAMS, 1, NULL, 0, 0);
			add_record(type, 1, body, 8, 0);
			check_bad("a type for the body");
			begin();
			add_record(PARAMS, 1, NULL, 0, 0);
			add_record(STDIN, 1, body, 8, 0);
			add_record(type, 1, NULL, 0, 0);
			check_bad("a type in the body");
		}
	}
	/* As the specification has it, of the ID 0. */
	stream.length = 0;
	add_record(GET_VALUES, 0, "\17\0FCGI_MPXS_CONNS", 17, 0);
	check_bad("GET_VALUES");
	begin();
	add_record(GET_VALUES, 0, "\17\0FCGI_MPXS_CONNS", 17, 0);
	check_bad("GET_VALUES within a request");
}

static void
empty_records_are_not_padded(void **state)
{
	(void)state;
	begin();
	add_record(PARAMS, 1, NULL, 0, 1);
	check_bad("parameters that end with padding");
	begin();
	add_record(PARAMS, 1, NULL, 0, 0);
	add_record(STDIN, 1, NULL, 0, 255);
	check_bad("a body that ends with padding");
}

/* Lengths that add up to less in 32 bits, or in fewer: CVE-2025-23016. */
static void
lengths_beyond_the_parameters_are_bad(void **state)
{
	static const size_t lengths[] = {1, 2, 0x7f, 0x80, 0xff, 0xffff, 0x10000,
	    0xffffff, 0x7ffffffd, 0x7ffffffe, 0x7fffffff};

	(void)state;
	for (size_t i = 0; i < LENGTH(lengths); i++) {
		for (size_t j = 0; j < LENGTH(lengths); j++) {
			pairs.length = 0;
			add_pair("A", "B");
			add_length(lengths[i], true);
			add_length(lengths[j], true);
			add_bytes("x", 1);
			begin();
			add_pairs(65535, 0);
			check_bad("a name and a value too long");
		}
		pairs.length = 0;
		add_length(lengths[i], true);
		add_length(0, false);
		begin();
		add_pairs(65535, 0);
		check_bad("a name too long");
		pairs.length = 0;
		add_length(0, false);
		add_length(lengths[i], true);
		begin();
		add_pairs(65535, 0);
		check_bad("a value too long");
	}
}

/* Parameters that end within a pair. */
static void
a_pair_is_whole(void **state)
{
	(void)state;
	for (int wide = 0; wide < 2; wide++) {
		size_t whole;

		pairs.length = 0;
		add_length(3, wide);
		add_length(2, wide);
		add_bytes("abcde", 5);
		whole = pairs.length;
		for (pairs.length = 1; pairs.length < whole; pairs.length++) {
			begin();
			add_pairs(65535, 0);
			check_bad("a pair cut");
		}
		begin();
		add_pairs(65535, 0);
		check_all("a pair", FRAMING_BODY);
	}
}

static void
names_have_no_equals_sign(void **state)
{
	static const struct {
		const char *name, *value;
		enum framing judged;
	} cases[] = {
	    {"A", "=", FRAMING_BODY},
	    {"", "=", FRAMING_BODY},
	    {"A", "B=C", FRAMING_BODY},
	    {"=", "", FRAMING_BAD},
	    {"A=", "", FRAMING_BAD},
	    {"=A", "B", FRAMING_BAD},
	    {"REMOTE_USER=root", "x", FRAMING_BAD},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		pairs.length = 0;
		add_pair("FIRST", "1");
		add_pair(cases[i].name, cases[i].value);
		add_pair("LAST", "1");
		begin();
		/* Records of one byte as well as of all. */
		add_pairs(i % 2 == 0 ? 1 : 65535, 0);
		check_all(cases[i].name, cases[i].judged);
	}
}

static void
parameters_are_counted(void **state)
{
	(void)state;
	for (size_t count = FRAMING_PARAMS_MAX - 1;
	     count <= FRAMING_PARAMS_MAX + 1; count++) {
		pairs.length = 0;
		for (size_t i = 0; i < count; i++)
			add_pair("", "");
		begin();
		add_pairs(100, 0);
		check_all("a number of parameters",
		    count <= FRAMING_PARAMS_MAX ? FRAMING_BODY : FRAMING_BAD);
	}
}

/* All that is allowed, and a byte more, in records of several sizes. */
static void
parameters_have_a_size(void **state)
{
	static const size_t chunks[] = {100, 8184, 32768, 65535};

	(void)state;
	for (size_t c = 0; c < LENGTH(chunks); c++) {
		for (size_t over = 0; over < 2; over++) {
			pairs.length = 0;
			add_pair("A", "B");
			add_long_pair("V",
			    FRAMING_PARAMS_BYTES_MAX - 4 - 6 + over);
			assert_int_equal(
			    pairs.length, FRAMING_PARAMS_BYTES_MAX + over);
			begin();
			add_pairs(chunks[c], 0);
			check_all("a size of parameters",
			    over == 0 ? FRAMING_BODY : FRAMING_BAD);
			if (over > 0)
				continue;
			check("parameters cut", stream.length - 1,
			    FRAMING_MORE);
			add_record(STDIN, 1, "{}", 2, 6);
			check_all("a body begun", FRAMING_BODY);
			add_record(STDIN, 1, NULL, 0, 0);
			check_all("a body whole", FRAMING_READY);
		}
	}
}

/* Behind the window all is trusted, but the parameters must have ended. */
static void
a_full_window_is_decided(void **state)
{
	static const unsigned char bytes[FRAMING_WINDOW];
	size_t params_end;

	(void)state;
	assert_true(FRAMING_WINDOW >= FRAMING_PARAMS_BYTES_MAX);
	usual_pairs();
	begin();
	add_pairs(65535, 0);
	params_end = stream.length;
	while (stream.length < FRAMING_WINDOW)
		add_record(STDIN, 1, bytes, 1000, 0);
	check("a body almost", FRAMING_WINDOW - 1, FRAMING_BODY);
	check("a body that fills it", FRAMING_WINDOW, FRAMING_LONG);

	/* One record is longer than all that is looked at. */
	stream.length = params_end;
	add_record(STDIN, 1, bytes, 65535, 0);
	add_record(STDIN, 1, bytes, 65535, 0);
	check("long records almost", FRAMING_WINDOW - 1, FRAMING_BODY);
	check("long records that fill it", FRAMING_WINDOW, FRAMING_LONG);

	/* A wrong record is wrong, however much is there. */
	stream.length = params_end;
	add_record(STDIN, 1, bytes, 65535, 0);
	add_record(PARAMS, 1, NULL, 0, 0);
	add_record(STDIN, 1, bytes, 65535, 0);
	check("a wrong record in it", FRAMING_WINDOW, FRAMING_BAD);

	/* Parameters by the byte, with more padding than anybody has. */
	begin();
	while (stream.length < FRAMING_WINDOW)
		add_record(PARAMS, 1, bytes, 1, 255);
	check("padded parameters", FRAMING_WINDOW - 1, FRAMING_MORE);
	check("padded parameters that fill it", FRAMING_WINDOW, FRAMING_BAD);
}

/* Any byte changed, or any two: whatever it is then, no reading beyond the
 * end, and judged the same twice. */
static void
forged_requests_are_judged(void **state)
{
	uint64_t seed = 1;
	size_t params_end;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		static const size_t chunks[] = {5, 64, 65535};
		size_t length;

		build(chunks[i % 3], (size_t)i % 4, 20, &params_end);
		for (int n = 0; n <= i % 3; n++)
			stream.bytes[unit_random(&seed) % stream.length] =
			    (unsigned char)unit_random(&seed);
		length = unit_random(&seed) % (stream.length + 1);
		assert_in_range(judge(length), FRAMING_MORE, FRAMING_BAD);
		assert_int_equal(judge(length), judge(length));
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nothing_is_not_decided),
	    cmocka_unit_test(sound_requests_grow_to_ready),
	    cmocka_unit_test(parameters_split_anywhere),
	    cmocka_unit_test(there_may_be_no_parameters),
	    cmocka_unit_test(any_id_but_0_is_one),
	    cmocka_unit_test(only_the_responder_is_served),
	    cmocka_unit_test(other_protocols_are_bad_at_once),
	    cmocka_unit_test(every_record_is_of_version_1),
	    cmocka_unit_test(the_begin_has_its_one_size),
	    cmocka_unit_test(types_come_in_order),
	    cmocka_unit_test(empty_records_are_not_padded),
	    cmocka_unit_test(lengths_beyond_the_parameters_are_bad),
	    cmocka_unit_test(a_pair_is_whole),
	    cmocka_unit_test(names_have_no_equals_sign),
	    cmocka_unit_test(parameters_are_counted),
	    cmocka_unit_test(parameters_have_a_size),
	    cmocka_unit_test(a_full_window_is_decided),
	    cmocka_unit_test(forged_requests_are_judged),
	};

	return unit_run(tests);
}
