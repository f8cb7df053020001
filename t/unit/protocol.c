/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of common/protocol.
 */
#include "config.h"

#include "unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "error.h"
#include "protocol.h"
#include "scan.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const struct scan_limits usual = {1000, SCAN_DEPTH_MAX, 0};

/* A body, whatever was read out of it, and the memory of both. */
struct parsed {
	char *body;
	struct arena arena;
	struct push push;
	struct pull pull;
	struct error error;
};

/* Takes the memory of PARSED anew, the body's to the byte. */
static void
take(struct parsed *parsed, const char *text)
{
	size_t length = strlen(text);

	memset(parsed, 0, sizeof(*parsed));
	parsed->body = malloc(length + (length == 0));
	assert_non_null(parsed->body);
	memcpy(parsed->body, text, length);
	arena_init(&parsed->arena, 1 << 20);
}

static void
drop(struct parsed *parsed)
{
	arena_fini(&parsed->arena);
	free(parsed->body);
}

static int
read_push(struct parsed *parsed, const char *text)
{
	take(parsed, text);
	return protocol_parse_push(parsed->body, strlen(text), &usual,
	    &parsed->arena, &parsed->push, &parsed->error);
}

static int
read_pull(struct parsed *parsed, const char *text)
{
	take(parsed, text);
	return protocol_parse_pull(parsed->body, strlen(text), &usual,
	    &parsed->arena, &parsed->pull, &parsed->error);
}

static void
assert_read(int result, const char *text, const struct error *error)
{
	if (result != 0)
		fail_msg("%s: %s", text, error->message);
}

static void
good_push(struct parsed *parsed, const char *text)
{
	assert_read(read_push(parsed, text), text, &parsed->error);
}

static void
good_pull(struct parsed *parsed, const char *text)
{
	assert_read(read_pull(parsed, text), text, &parsed->error);
}

/* NONE: the body is good. */
static void
assert_code(int result, const struct parsed *parsed, const char *text,
    enum error_code code)
{
	enum error_code got = result == 0 ? ERROR_NONE : parsed->error.code;

	if (got != code)
		fail_msg("%s: %s, not %s", text,
		    got == ERROR_NONE ? "good" : error_name(got),
		    code == ERROR_NONE ? "good" : error_name(code));
}

static void
judge_push(const char *text, enum error_code code)
{
	struct parsed parsed;

	assert_code(read_push(&parsed, text), &parsed, text, code);
	drop(&parsed);
}

static void
judge_pull(const char *text, enum error_code code)
{
	struct parsed parsed;

	assert_code(read_pull(&parsed, text), &parsed, text, code);
	drop(&parsed);
}

/* The members of a body, each as it is written. */
#define MEMBERS_MAX 5

struct members {
	const char *text[MEMBERS_MAX];
};

static const struct members push_members = {
    {"\"pushVersion\":1", "\"clientGroupID\":\"g\"", "\"mutations\":[]",
	"\"profileID\":\"p\"", "\"schemaVersion\":\"s\""}};
static const struct members pull_members = {
    {"\"pullVersion\":1", "\"clientGroupID\":\"g\"", "\"cookie\":null",
	"\"profileID\":\"p\"", "\"schemaVersion\":\"s\""}};
static const struct members mutation_members = {
    {"\"id\":1", "\"clientID\":\"c\"", "\"name\":\"n\"", "\"args\":{}",
	"\"timestamp\":1.5"}};

/* Joins MEMBERS to an object in OUT, I as TEXT; NULL leaves it out. */
static void
join(char *out, size_t size, const struct members *members, size_t i,
    const char *text)
{
	size_t n = (size_t)snprintf(out, size, "{");

	for (size_t m = 0; m < MEMBERS_MAX; m++) {
		const char *member = m == i ? text : members->text[m];

		if (member != NULL)
			n += (size_t)snprintf(out + n, size - n, "%s%s",
			    n > 1 ? "," : "", member);
	}
	snprintf(out + n, size - n, "}");
}

static void
judge_push_with(size_t i, const char *text, enum error_code code)
{
	char body[4096];

	join(body, sizeof(body), &push_members, i, text);
	judge_push(body, code);
}

static void
judge_pull_with(size_t i, const char *text, enum error_code code)
{
	char body[4096];

	join(body, sizeof(body), &pull_members, i, text);
	judge_pull(body, code);
}

static void
push_around(char *body, size_t size, const char *mutations)
{
	snprintf(body, size,
	    "{\"pushVersion\":1,\"clientGroupID\":\"g\",\"mutations\":[%s],"
	    "\"profileID\":\"p\",\"schemaVersion\":\"s\"}",
	    mutations);
}

static void
judge_mutations(const char *mutations, enum error_code code)
{
	char body[8192];

	push_around(body, sizeof(body), mutations);
	judge_push(body, code);
}

static void
judge_mutation_with(size_t i, const char *text, enum error_code code)
{
	char mutation[4096];

	join(mutation, sizeof(mutation), &mutation_members, i, text);
	judge_mutations(mutation, code);
}

enum {
	PROTOCOL_VERSION,
	GROUP,
	MUTATIONS,
	COOKIE = MUTATIONS,
	PROFILE,
	SCHEMA,
	NOTHING = MEMBERS_MAX
};

enum {
	ID,
	CLIENT,
	NAME,
	ARGS,
	TIMESTAMP
};

static void
a_push_is_read(void **state)
{
	static const char text[] =
	    "{\"profileID\":\"p\",\"clientGroupID\":\"group \\u00e9\","
	    "\"mutations\":[{\"id\":1,\"clientID\":\"a\",\"name\":\"put\","
	    "\"args\":{\"k\":1},\"timestamp\":1.5},"
	    "{\"id\":7,\"clientID\":\"b\",\"name\":\"d\\u0065l\",\"args\":[]},"
	    "{\"id\":2,\"clientID\":\"\\u0061\",\"name\":\"\"}],"
	    "\"pushVersion\":1,\"schemaVersion\":\"v2\",\"more\":[{}]}";
	struct parsed parsed;
	const struct push *push = &parsed.push;

	(void)state;
	good_push(&parsed, text);
	assert_string_equal(push->group, "group \xc3\xa9");
	assert_string_equal(push->schema_version, "v2");
	assert_int_equal(push->client_count, 2);
	assert_string_equal(push->clients[0], "a");
	assert_string_equal(push->clients[1], "b");
	assert_int_equal(push->mutation_count, 3);
	assert_int_equal(push->mutations[0].client, 0);
	assert_int_equal(push->mutations[1].client, 1);
	assert_int_equal(push->mutations[2].client, 0);
	assert_int_equal(push->mutations[0].id, 1);
	assert_int_equal(push->mutations[1].id, 7);
	assert_int_equal(push->mutations[2].id, 2);
	assert_string_equal(push->mutations[0].name, "put");
	assert_string_equal(push->mutations[1].name, "del");
	assert_string_equal(push->mutations[2].name, "");
	assert_string_equal(push->mutations[0].args, "{\"k\":1}");
	assert_string_equal(push->mutations[1].args, "[]");
	assert_string_equal(push->mutations[2].args, "null");
	assert_int_equal(push->mutations[2].args_length, 4);
	for (size_t i = 0; i < push->mutation_count; i++)
		assert_null(push->mutations[i].refused);
	drop(&parsed);
}

static void
a_push_may_be_empty(void **state)
{
	char body[512];
	struct parsed parsed;

	(void)state;
	join(body, sizeof(body), &push_members, NOTHING, NULL);
	good_push(&parsed, body);
	assert_int_equal(parsed.push.mutation_count, 0);
	assert_int_equal(parsed.push.client_count, 0);
	drop(&parsed);
}

static void
a_pull_is_read(void **state)
{
	struct parsed parsed;

	(void)state;
	good_pull(&parsed,
	    " {\"pullVersion\":1,\"clientGroupID\":\"g\",\"cookie\":42,"
	    "\"profileID\":\"\",\"schemaVersion\":\"\",\"more\":null} ");
	assert_string_equal(parsed.pull.group, "g");
	assert_string_equal(parsed.pull.schema_version, "");
	assert_int_equal(parsed.pull.cookie.kind, COOKIE_VERSION);
	assert_int_equal(parsed.pull.cookie.version, 42);
	drop(&parsed);
}

static void
every_field_must_be_there(void **state)
{
	(void)state;
	for (size_t i = 0; i < MEMBERS_MAX; i++) {
		judge_push_with(i, NULL, ERROR_INVALID_REQUEST);
		judge_pull_with(i, NULL, ERROR_INVALID_REQUEST);
	}
	judge_push_with(NOTHING, NULL, ERROR_NONE);
	judge_pull_with(NOTHING, NULL, ERROR_NONE);
	judge_mutation_with(ID, NULL, ERROR_INVALID_ID);
	judge_mutation_with(CLIENT, NULL, ERROR_INVALID_REQUEST);
	judge_mutation_with(NAME, NULL, ERROR_INVALID_REQUEST);
	judge_mutation_with(ARGS, NULL, ERROR_NONE);
	judge_mutation_with(TIMESTAMP, NULL, ERROR_NONE);
}

static void
no_field_comes_twice(void **state)
{
	char text[256];

	(void)state;
	for (size_t i = 0; i < MEMBERS_MAX; i++) {
		snprintf(text, sizeof(text), "%s,%s", push_members.text[i],
		    push_members.text[i]);
		judge_push_with(i, text, ERROR_INVALID_REQUEST);
		snprintf(text, sizeof(text), "%s,%s", pull_members.text[i],
		    pull_members.text[i]);
		judge_pull_with(i, text, ERROR_INVALID_REQUEST);
		snprintf(text, sizeof(text), "%s,%s", mutation_members.text[i],
		    mutation_members.text[i]);
		judge_mutation_with(i, text, ERROR_INVALID_REQUEST);
	}
	/* The key as it means, not as it is written. */
	judge_pull_with(
	    COOKIE, "\"cookie\":1,\"c\\u006fokie\":1", ERROR_INVALID_REQUEST);
	/* What we don't know is not ours to judge. */
	judge_pull_with(COOKIE, "\"cookie\":1,\"x\":1,\"x\":2", ERROR_NONE);
}

static void
fields_of_a_wrong_type_are_refused(void **state)
{
	static const char *const values[] = {
	    "null", "true", "false", "1", "1.5", "[]", "{}", "\"x\""};
	char text[256];

	(void)state;
	for (size_t v = 0; v < LENGTH(values); v++) {
		bool string = values[v][0] == '"', array = values[v][0] == '[';
		enum error_code unless_string =
		    string ? ERROR_NONE : ERROR_INVALID_REQUEST;

		for (size_t i = GROUP; i <= SCHEMA; i++) {
			static const char *const names[] = {
			    [GROUP] = "clientGroupID",
			    [PROFILE] = "profileID",
			    [SCHEMA] = "schemaVersion"};

			if (i == MUTATIONS)
				continue;
			snprintf(text, sizeof(text), "\"%s\":%s", names[i],
			    values[v]);
			judge_push_with(i, text, unless_string);
			judge_pull_with(i, text, unless_string);
		}
		snprintf(text, sizeof(text), "\"mutations\":%s", values[v]);
		judge_push_with(MUTATIONS, text,
		    array ? ERROR_NONE : ERROR_INVALID_REQUEST);
		snprintf(text, sizeof(text), "\"clientID\":%s", values[v]);
		judge_mutation_with(CLIENT, text, unless_string);
		snprintf(text, sizeof(text), "\"name\":%s", values[v]);
		judge_mutation_with(NAME, text, unless_string);
		if (values[v][0] != '{')
			judge_mutations(values[v], ERROR_INVALID_REQUEST);
		snprintf(text, sizeof(text), "\"args\":%s", values[v]);
		judge_mutation_with(ARGS, text, ERROR_NONE);
		snprintf(text, sizeof(text), "\"timestamp\":%s", values[v]);
		judge_mutation_with(TIMESTAMP, text, ERROR_NONE);
	}
}

static void
the_body_is_an_object(void **state)
{
	static const char *const others[] = {
	    "null", "true", "1", "\"x\"", "[]", "[{}]"};
	static const char *const none[] = {"", " ", "{", "{}x", "{\"a\"}"};

	(void)state;
	for (size_t i = 0; i < LENGTH(others); i++) {
		judge_push(others[i], ERROR_INVALID_REQUEST);
		judge_pull(others[i], ERROR_INVALID_REQUEST);
	}
	for (size_t i = 0; i < LENGTH(none); i++) {
		judge_push(none[i], ERROR_INVALID_JSON);
		judge_pull(none[i], ERROR_INVALID_JSON);
	}
	judge_push("{}", ERROR_INVALID_REQUEST);
	judge_pull("{}", ERROR_INVALID_REQUEST);
}

/* Each mutation that there is no room for is refused, and no other. */
static void
numbers_are_bounded_as_they_are_written(void **state)
{
	static const char text[] =
	    "{\"pushVersion\":1,\"clientGroupID\":\"g\",\"profileID\":\"p\","
	    "\"schemaVersion\":\"\",\"mutations\":["
	    "{\"id\":1,\"clientID\":\"c\",\"name\":\"n\",\"args\":[1e-90]},"
	    "{\"id\":2,\"clientID\":\"c\",\"name\":\"n\",\"args\":[1e98,"
	    "\"1e99\"]},"
	    "{\"id\":3,\"clientID\":\"c\",\"name\":\"n\",\"args\":[1.5]},"
	    "{\"id\":4,\"clientID\":\"c\",\"name\":\"n\",\"args\":{\"1e999\":"
	    "1e99}}]}";
	static const struct {
		size_t written;
		const char *refused;
	} cases[] = {{0, "----"}, {317, "----"}, {316, "---x"}, {207, "---x"},
	    {206, "--xx"}, {202, "--xx"}, {201, "-x-x"}, {94, "-xxx"},
	    {93, "xx-x"}, {5, "xx-x"}, {4, "xxxx"}};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct scan_limits limits = usual;
		struct parsed parsed;

		limits.written = cases[i].written;
		take(&parsed, text);
		assert_int_equal(
		    protocol_parse_push(parsed.body, strlen(text), &limits,
			&parsed.arena, &parsed.push, &parsed.error),
		    0);
		for (size_t k = 0; k < 4; k++) {
			const char *refused = parsed.push.mutations[k].refused;

			if ((refused != NULL) != (cases[i].refused[k] == 'x'))
				fail_msg("%zu: %zu", cases[i].written, k);
			if (refused != NULL)
				assert_string_equal(
				    refused, "number_out_of_range");
		}
		drop(&parsed);
	}
}

static void
names_have_a_length(void **state)
{
	char text[2048], name[1700];

	(void)state;
	for (size_t length = 255; length <= 257; length++) {
		memset(name, 'n', length);
		name[length] = '\0';
		snprintf(text, sizeof(text),
		    "{\"pushVersion\":1,\"clientGroupID\":\"g\","
		    "\"profileID\":\"p\",\"schemaVersion\":\"\","
		    "\"mutations\":[{\"id\":1,\"clientID\":\"c\","
		    "\"name\":\"%s\"}]}",
		    name);
		judge_push(text, length <= PROTOCOL_NAME_MAX
				     ? ERROR_NONE
				     : ERROR_INVALID_REQUEST);
	}
}

static void
tokens_are_counted(void **state)
{
	static const struct scan_limits six = {6, SCAN_DEPTH_MAX, 0},
					five = {5, SCAN_DEPTH_MAX, 0};
	struct parsed parsed;
	char body[512];

	(void)state;
	join(body, sizeof(body), &pull_members, NOTHING, NULL);
	take(&parsed, body);
	assert_int_equal(protocol_parse_pull(parsed.body, strlen(body), &six,
			     &parsed.arena, &parsed.pull, &parsed.error),
	    0);
	assert_int_equal(protocol_parse_pull(parsed.body, strlen(body), &five,
			     &parsed.arena, &parsed.pull, &parsed.error),
	    -1);
	assert_int_equal(parsed.error.code, ERROR_TOO_MANY_TOKENS);
	drop(&parsed);
}

/* Only the version 1 is spoken; what is a number at all is another version. */
static void
versions_are_judged(void **state)
{
	static const struct {
		const char *version;
		bool number;
	} cases[] = {{"2", true}, {"3", true}, {"-1", true}, {"1.5", true},
	    {"1.0", true}, {"1e0", true}, {"18446744073709551617", true},
	    {"\"1\"", false}, {"null", false}, {"true", false}, {"[1]", false},
	    {"{}", false}};
	char text[64];

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		snprintf(
		    text, sizeof(text), "\"pushVersion\":%s", cases[i].version);
		judge_push_with(PROTOCOL_VERSION, text,
		    cases[i].number ? ERROR_VERSION_NOT_SUPPORTED_PUSH
				    : ERROR_INVALID_REQUEST);
		snprintf(
		    text, sizeof(text), "\"pullVersion\":%s", cases[i].version);
		judge_pull_with(PROTOCOL_VERSION, text,
		    cases[i].number ? ERROR_VERSION_NOT_SUPPORTED_PULL
				    : ERROR_INVALID_REQUEST);
	}
	/* Another version may have other fields: it is told first. */
	judge_push("{\"pushVersion\":2}", ERROR_VERSION_NOT_SUPPORTED_PUSH);
	judge_pull("{\"pullVersion\":2}", ERROR_VERSION_NOT_SUPPORTED_PULL);
	judge_push("{\"pushVersion\":0}", ERROR_CLIENT_TOO_OLD);
	judge_pull("{\"pullVersion\":0}", ERROR_CLIENT_TOO_OLD);
	judge_pull("{\"pullVersion\":0.0}", ERROR_VERSION_NOT_SUPPORTED_PULL);
}

static void
ids_are_whole_numbers_from_1(void **state)
{
	static const char *const bad[] = {"0", "-0", "-1", "1.5", "1.0", "1e2",
	    "1E0", "\"1\"", "true", "false", "null", "[]", "[1]", "{}", "\"\"",
	    "9007199254740992", "9223372036854775808", "18446744073709551616",
	    "18446744073709551617", "100000000000000000000000000000000001"};
	static const struct {
		const char *text;
		int64_t id;
	} good[] = {
	    {"1", 1}, {"2", 2}, {"9007199254740991", PROTOCOL_NUMBER_MAX}};
	char text[128], mutation[512], body[1024];

	(void)state;
	for (size_t i = 0; i < LENGTH(bad); i++) {
		snprintf(text, sizeof(text), "\"id\":%s", bad[i]);
		judge_mutation_with(ID, text, ERROR_INVALID_ID);
	}
	for (size_t i = 0; i < LENGTH(good); i++) {
		struct parsed parsed;

		snprintf(text, sizeof(text), "\"id\":%s", good[i].text);
		join(mutation, sizeof(mutation), &mutation_members, ID, text);
		push_around(body, sizeof(body), mutation);
		good_push(&parsed, body);
		assert_true(parsed.push.mutations[0].id == good[i].id);
		drop(&parsed);
	}
	assert_true(PROTOCOL_NUMBER_MAX == (INT64_C(1) << 53) - 1);
}

/* The text of an ID of N bytes, each UNIT. */
static void
repeat(char *out, const char *unit, size_t n)
{
	for (out[0] = '\0'; n > 0; n--)
		out = stpcpy(out, unit);
}

static void
ids_have_a_length(void **state)
{
	static const struct {
		const char *unit;
		size_t max;
	} units[] = {{"x", PROTOCOL_ID_MAX}, {"\\u0078", PROTOCOL_ID_MAX},
	    {"\xc3\xa9", PROTOCOL_ID_MAX / 2}, {"\\u00e9", PROTOCOL_ID_MAX / 2},
	    {"\\ud83d\\ude00", PROTOCOL_ID_MAX / 4}};
	char id[1024], text[2048];

	(void)state;
	for (size_t i = 0; i < LENGTH(units); i++) {
		for (size_t n = 1; n <= units[i].max + 1; n++) {
			enum error_code code = n <= units[i].max
						   ? ERROR_NONE
						   : ERROR_INVALID_REQUEST;

			repeat(id, units[i].unit, n);
			snprintf(
			    text, sizeof(text), "\"clientGroupID\":\"%s\"", id);
			judge_push_with(GROUP, text, code);
			judge_pull_with(GROUP, text, code);
			snprintf(text, sizeof(text), "\"clientID\":\"%s\"", id);
			judge_mutation_with(CLIENT, text, code);
		}
	}
	judge_push_with(GROUP, "\"clientGroupID\":\"\"", ERROR_INVALID_REQUEST);
	judge_pull_with(GROUP, "\"clientGroupID\":\"\"", ERROR_INVALID_REQUEST);
	judge_mutation_with(CLIENT, "\"clientID\":\"\"", ERROR_INVALID_REQUEST);
}

static void
a_schema_version_has_a_length(void **state)
{
	char version[PROTOCOL_SCHEMA_VERSION_MAX + 2], text[2048];

	(void)state;
	repeat(version, "x", PROTOCOL_SCHEMA_VERSION_MAX);
	snprintf(text, sizeof(text), "\"schemaVersion\":\"%s\"", version);
	judge_push_with(SCHEMA, text, ERROR_NONE);
	judge_pull_with(SCHEMA, text, ERROR_NONE);
	repeat(version, "x", PROTOCOL_SCHEMA_VERSION_MAX + 1);
	snprintf(text, sizeof(text), "\"schemaVersion\":\"%s\"", version);
	judge_push_with(SCHEMA, text, ERROR_INVALID_REQUEST);
	judge_pull_with(SCHEMA, text, ERROR_INVALID_REQUEST);
}

static void
ids_are_text(void **state)
{
	static const char *const bad[] = {"\\u0000", "a\\u0000", "\\ud800",
	    "\\udc00x", "\\n", "a\\u001f", "\\u007f", "\x7f"};
	char text[64];

	(void)state;
	for (size_t i = 0; i < LENGTH(bad); i++) {
		snprintf(
		    text, sizeof(text), "\"clientGroupID\":\"%s\"", bad[i]);
		judge_push_with(GROUP, text, ERROR_INVALID_REQUEST);
		judge_pull_with(GROUP, text, ERROR_INVALID_REQUEST);
		snprintf(
		    text, sizeof(text), "\"schemaVersion\":\"%s\"", bad[i]);
		judge_push_with(SCHEMA, text, ERROR_INVALID_REQUEST);
		judge_pull_with(SCHEMA, text, ERROR_INVALID_REQUEST);
		snprintf(text, sizeof(text), "\"clientID\":\"%s\"", bad[i]);
		judge_mutation_with(CLIENT, text, ERROR_INVALID_REQUEST);
	}
	judge_mutation_with(
	    CLIENT, "\"clientID\":\"\\u0020\\\\\\\"'\"", ERROR_NONE);
}

static void
ids_of_a_client_do_not_descend(void **state)
{
	static const char a1[] = "{\"id\":1,\"clientID\":\"a\",\"name\":\"\"}",
			  a2[] = "{\"id\":2,\"clientID\":\"a\",\"name\":\"\"}",
			  b1[] = "{\"id\":1,\"clientID\":\"b\",\"name\":\"\"}",
			  b9[] = "{\"id\":9,\"clientID\":\"b\",\"name\":\"\"}";
	static const struct {
		const char *of[4];
		enum error_code code;
	} cases[] = {
	    {{a1, a2, b1, b9}, ERROR_NONE},
	    {{b1, b9, a1, a2}, ERROR_NONE},
	    {{b9, a1, a1, a2}, ERROR_NONE},
	    {{a2, a1, b1, b9}, ERROR_INVALID_REQUEST},
	    {{a2, b1, b9, a1}, ERROR_INVALID_REQUEST},
	    {{b9, a1, a2, b1}, ERROR_INVALID_REQUEST},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		char text[1024];

		snprintf(text, sizeof(text), "%s,%s,%s,%s", cases[i].of[0],
		    cases[i].of[1], cases[i].of[2], cases[i].of[3]);
		judge_mutations(text, cases[i].code);
	}
}

/* Each args as it was written, with what may stand behind it. */
static void
args_stay_where_they_are(void **state)
{
	static const char *const values[] = {"{}", "[]", "null", "true", "0",
	    "-1.50e+02", "\"\"", "\"\\u00e9\\/\"", "\"\xc3\xa9\"",
	    "[1, 2 ,{\"b\" : 1,\"b\":2, \"a\":\"}\"}]", "\"\\\"\"",
	    "12345678901234567890123"};
	static const char *const behind[] = {
	    "", " ", "\n\t", ",\"timestamp\":1", " ,\"timestamp\":1"};

	(void)state;
	for (size_t v = 0; v < LENGTH(values); v++) {
		for (size_t b = 0; b < LENGTH(behind); b++) {
			char mutations[512], body[1024];
			struct parsed parsed;
			const struct mutation *mutation;
			const char *at;

			snprintf(mutations, sizeof(mutations),
			    "{\"id\":1,\"clientID\":\"c\",\"name\":\"n\","
			    "\"args\": %s%s},{\"id\":2,\"clientID\":\"c\","
			    "\"name\":\"n\",\"args\":%s%s}",
			    values[v], behind[b], values[v], behind[b]);
			push_around(body, sizeof(body), mutations);
			good_push(&parsed, body);
			assert_int_equal(parsed.push.mutation_count, 2);
			at = body;
			for (size_t i = 0; i < 2; i++) {
				mutation = &parsed.push.mutations[i];
				assert_string_equal(mutation->args, values[v]);
				assert_int_equal(
				    mutation->args_length, strlen(values[v]));
				at = strstr(at, "\"args\":") + 7;
				at += *at == ' ';
				assert_ptr_equal(
				    mutation->args, parsed.body + (at - body));
			}
			drop(&parsed);
		}
	}
}

/* A body that is refused is not written to. */
static void
a_bad_body_stays_as_it_was(void **state)
{
	static const char mutations[] =
	    "{\"id\":2,\"clientID\":\"c\",\"name\":\"n\",\"args\":[1]},"
	    "{\"id\":1,\"clientID\":\"c\",\"name\":\"n\",\"args\":[1]}";
	struct parsed parsed;
	char body[512];

	(void)state;
	push_around(body, sizeof(body), mutations);
	assert_int_equal(read_push(&parsed, body), -1);
	assert_memory_equal(parsed.body, body, strlen(body));
	drop(&parsed);
}

static void
what_no_mutator_can_take_is_told(void **state)
{
	static const struct {
		const char *name, *args, *refused;
	} cases[] = {
	    {"n", "\"x\"", NULL},
	    {"n", "\"\\u0000\"", "unstorable_text"},
	    {"n", "[\"\\ud800\"]", "unstorable_text"},
	    {"n", "{\"\\udc00\":1}", "unstorable_text"},
	    {"n", "\"\\ud83d\\ude00\"", NULL},
	    {"n", "1e308", NULL},
	    {"n", "1e309", "number_out_of_range"},
	    {"n", "[-1e999]", "number_out_of_range"},
	    {"n", "[1e999,\"\\u0000\"]", "unstorable_text"},
	    {"\\u0000", "1", "unknown_mutator"},
	    {"a\\ud800", "1e999", "unknown_mutator"},
	};
	char mutations[256], body[512];

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct parsed parsed;
		const struct mutation *mutation;

		/* The last of both is bad; the first is none the worse. */
		snprintf(mutations, sizeof(mutations),
		    "{\"id\":1,\"clientID\":\"c\",\"name\":\"n\",\"args\":1},"
		    "{\"id\":2,\"clientID\":\"c\",\"name\":\"%s\","
		    "\"args\":%s}",
		    cases[i].name, cases[i].args);
		push_around(body, sizeof(body), mutations);
		good_push(&parsed, body);
		assert_null(parsed.push.mutations[0].refused);
		mutation = &parsed.push.mutations[1];
		if (cases[i].refused == NULL)
			assert_null(mutation->refused);
		else
			assert_string_equal(
			    mutation->refused, cases[i].refused);
		assert_string_equal(mutation->args, cases[i].args);
		drop(&parsed);
	}
}

/* Flags of what is not ours refuse nothing. */
static void
oddities_elsewhere_refuse_nothing(void **state)
{
	struct parsed parsed;

	(void)state;
	good_push(&parsed,
	    "{\"pushVersion\":1,\"clientGroupID\":\"g\",\"mutations\":["
	    "{\"id\":1,\"clientID\":\"c\",\"name\":\"n\",\"args\":\"x\","
	    "\"timestamp\":1e999}],\"profileID\":\"\\u0000\","
	    "\"schemaVersion\":\"s\",\"\\ud800\":1}");
	assert_null(parsed.push.mutations[0].refused);
	drop(&parsed);
}

/* What there is else: t/unit/cookie.c. */
static void
cookies_may_be_anything(void **state)
{
	static const struct {
		const char *text;
		enum cookie_kind kind;
		int64_t version;
	} cases[] = {
	    {"null", COOKIE_NULL, 0},
	    {"0", COOKIE_VERSION, 0},
	    {"9007199254740991", COOKIE_VERSION, PROTOCOL_NUMBER_MAX},
	    {"1.0", COOKIE_OTHER, 0},
	    {"true", COOKIE_OTHER, 0},
	    {"{\"order\":7,\"v\":6,\"of\":\"0a\"}", COOKIE_VIEW, 6},
	    {"{\"order\":1}", COOKIE_OTHER, 0},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		char text[128], body[512];
		struct parsed parsed;

		snprintf(text, sizeof(text), "\"cookie\":%s", cases[i].text);
		join(body, sizeof(body), &pull_members, COOKIE, text);
		good_pull(&parsed, body);
		assert_int_equal(parsed.pull.cookie.kind, cases[i].kind);
		if (cases[i].kind == COOKIE_VERSION ||
		    cases[i].kind == COOKIE_VIEW)
			assert_true(
			    parsed.pull.cookie.version == cases[i].version);
		drop(&parsed);
	}
}

/* Cut anywhere, a push is no JSON; and nothing behind the cut is read. */
static void
truncations_are_no_json(void **state)
{
	char whole[512], cut[512];

	(void)state;
	push_around(whole, sizeof(whole),
	    "{\"id\":1,\"clientID\":\"c\",\"name\":\"n\",\"args\":[\"\\n\"]}");
	for (size_t n = 0; n < strlen(whole); n++) {
		memcpy(cut, whole, n);
		cut[n] = '\0';
		judge_push(cut, ERROR_INVALID_JSON);
	}
}

static void
many_clients_are_told_apart(void **state)
{
	enum {
		CLIENTS = 150
	};
	static char mutations[CLIENTS * 64], body[sizeof(mutations) + 256];
	struct parsed parsed;
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < CLIENTS; i++)
		n += (size_t)snprintf(mutations + n, sizeof(mutations) - n,
		    "%s{\"id\":%zu,\"clientID\":\"c%zu\",\"name\":\"n\"}",
		    i > 0 ? "," : "", i + 1, i);
	push_around(body, sizeof(body), mutations);
	good_push(&parsed, body);
	assert_int_equal(parsed.push.client_count, CLIENTS);
	for (size_t i = 0; i < CLIENTS; i++) {
		char client[16];

		snprintf(client, sizeof(client), "c%zu", i);
		assert_string_equal(parsed.push.clients[i], client);
		assert_int_equal(parsed.push.mutations[i].client, i);
		assert_int_equal(parsed.push.mutations[i].id, i + 1);
	}
	drop(&parsed);
}

static void
without_memory_it_is_unavailable(void **state)
{
	struct parsed parsed;
	char body[512];
	bool done = false;

	(void)state;
	push_around(body, sizeof(body),
	    "{\"id\":1,\"clientID\":\"c\",\"name\":\"n\",\"args\":1}");
	for (size_t max = 0; !done; max += 8) {
		take(&parsed, body);
		arena_fini(&parsed.arena);
		arena_init(&parsed.arena, max);
		done = protocol_parse_push(parsed.body, strlen(body), &usual,
			   &parsed.arena, &parsed.push, &parsed.error) == 0;
		if (!done)
			assert_int_equal(parsed.error.code, ERROR_UNAVAILABLE);
		drop(&parsed);
		assert_true(max < 65536);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_push_is_read),
	    cmocka_unit_test(a_push_may_be_empty),
	    cmocka_unit_test(a_pull_is_read),
	    cmocka_unit_test(every_field_must_be_there),
	    cmocka_unit_test(no_field_comes_twice),
	    cmocka_unit_test(fields_of_a_wrong_type_are_refused),
	    cmocka_unit_test(the_body_is_an_object),
	    cmocka_unit_test(tokens_are_counted),
	    cmocka_unit_test(numbers_are_bounded_as_they_are_written),
	    cmocka_unit_test(names_have_a_length),
	    cmocka_unit_test(versions_are_judged),
	    cmocka_unit_test(ids_are_whole_numbers_from_1),
	    cmocka_unit_test(ids_have_a_length),
	    cmocka_unit_test(a_schema_version_has_a_length),
	    cmocka_unit_test(ids_are_text),
	    cmocka_unit_test(ids_of_a_client_do_not_descend),
	    cmocka_unit_test(args_stay_where_they_are),
	    cmocka_unit_test(a_bad_body_stays_as_it_was),
	    cmocka_unit_test(what_no_mutator_can_take_is_told),
	    cmocka_unit_test(oddities_elsewhere_refuse_nothing),
	    cmocka_unit_test(cookies_may_be_anything),
	    cmocka_unit_test(truncations_are_no_json),
	    cmocka_unit_test(many_clients_are_told_apart),
	    cmocka_unit_test(without_memory_it_is_unavailable),
	};

	return unit_run(tests);
}
