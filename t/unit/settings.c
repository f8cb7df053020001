/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of common/settings. Linked with --wrap=readlink, by which the program may
 * not know its own path.
 */
#include "config.h"

#include "unit.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "error.h"
#include "settings.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* A number, with its place, default and bounds. */
struct number {
	const char *name, *environment;
	size_t offset;
	long initial, min, max;
};

#define NUMBER(name, upper, initial, min, max)                                 \
	{#name, "REPLICACHE_" upper, offsetof(struct settings, name), initial, \
	    min, max}

static const struct number numbers[] = {
    NUMBER(workers, "WORKERS", 8, 1, 256),
    NUMBER(pool, "POOL", 8, 2, 256),
    NUMBER(max_body, "MAX_BODY", 67108864, 1024, INT_MAX),
    NUMBER(max_tokens, "MAX_TOKENS", 1000000, 100, INT_MAX),
    NUMBER(max_depth, "MAX_DEPTH", 128, 8, 128),
    NUMBER(batch_mutations, "BATCH_MUTATIONS", 1000, 1, 100000),
    NUMBER(batch_bytes, "BATCH_BYTES", 8388608, 1024, INT_MAX),
    NUMBER(batch_time, "BATCH_TIME", 20000, 100, 3600000),
    NUMBER(listen_timeout, "LISTEN_TIMEOUT", 15000, 100, 3600000),
    NUMBER(connect_timeout, "CONNECT_TIMEOUT", 900, 10, 60000),
    NUMBER(statement_timeout, "STATEMENT_TIMEOUT", 5000, 1, 3600000),
    NUMBER(lock_timeout, "LOCK_TIMEOUT", 2000, 1, 3600000),
    NUMBER(pull_timeout, "PULL_TIMEOUT", 120000, 1, 3600000),
    NUMBER(header_timeout, "HEADER_TIMEOUT", 5000, 10, 3600000),
    NUMBER(request_timeout, "REQUEST_TIMEOUT", 15000, 10, 3600000),
    NUMBER(write_timeout, "WRITE_TIMEOUT", 30000, 10, 3600000),
    NUMBER(drain_timeout, "DRAIN_TIMEOUT", 2500, 0, 60000),
    NUMBER(poke_streams, "POKE_STREAMS", 20000, 0, 1000000),
    NUMBER(poke_user_streams, "POKE_USER_STREAMS", 20, 1, 1000000),
    NUMBER(poke_wait, "POKE_WAIT", 25000, 10, 3600000),
    NUMBER(poke_heartbeat, "POKE_HEARTBEAT", 15000, 10, 3600000),
    NUMBER(user_mutations, "USER_MUTATIONS", 0, 0, 1000000),
    NUMBER(jwt_leeway, "JWT_LEEWAY", 60, 0, 600),
    NUMBER(poke_age, "POKE_AGE", 3600000, 10, 86400000),
};

static long
value_of(const struct settings *settings, const struct number *number)
{
	return *(const long *)((const char *)settings + number->offset);
}

/* Each test begins with an environment that says who may push, no more, and
 * an empty file. */
static int
tidy_environment(void **state)
{
	(void)state;
	clearenv();
	setenv("REPLICACHE_CONFIG", "/dev/null", 1);
	return setenv("REPLICACHE_AUTH", "none", 1);
}

/* What the program's own path is to be; NULL: as it is, "": not to be had. */
static const char *own_path;

ssize_t __wrap_readlink(const char *path, char *to, size_t size);
ssize_t __real_readlink(const char *path, char *to, size_t size);

ssize_t
__wrap_readlink(const char *path, char *to, size_t size)
{
	size_t length;

	if (own_path == NULL)
		return __real_readlink(path, to, size);
	length = strlen(own_path);
	assert_true(length <= size);
	memcpy(to, own_path, length);
	return length > 0 ? (ssize_t)length : -1;
}

/* NAME: the variable that must be told to be wrong; NULL, all is well. */
static void
judge(const char *environment, const char *value, const char *name)
{
	struct settings settings;
	struct error error = {0};
	int result = settings_init(&settings, NULL, &error);

	settings_fini(&settings);
	if (name == NULL) {
		if (result != 0)
			fail_msg("%s=%s: %s", environment, value, error.message);
		return;
	}
	if (result != -1 || error.code != ERROR_CONFIG ||
	    strncmp(error.message, name, strlen(name)) != 0 ||
	    error.message[strlen(name)] != ':')
		fail_msg("%s=%s: %d, %s", environment, value, result,
		    error.message);
}

/* Then there is no file beside it. */
static void
a_program_may_not_know_where_it_is(void **state)
{
	static const char *const paths[] = {"", "nowhere"};

	(void)state;
	unsetenv("REPLICACHE_CONFIG");
	for (size_t i = 0; i < LENGTH(paths); i++) {
		own_path = paths[i];
		judge("REPLICACHE_CONFIG", "", NULL);
	}
	own_path = NULL;
}

static void
judge_value(const char *environment, const char *value, const char *name)
{
	setenv(environment, value, 1);
	judge(environment, value, name);
	unsetenv(environment);
}

static void
defaults_hold(void **state)
{
	struct settings settings;
	struct error error;

	(void)state;
	assert_int_equal(settings_init(&settings, NULL, &error), 0);
	assert_string_equal(settings.database, "");
	assert_int_equal(settings.auth, AUTH_NONE);
	assert_int_equal(settings.log_level, LOG_LEVEL_INFO);
	assert_int_equal(settings.prepared, 1);
	for (size_t i = 0; i < LENGTH(numbers); i++)
		assert_int_equal(
		    value_of(&settings, &numbers[i]), numbers[i].initial);
	settings_fini(&settings);
}

static void
the_environment_is_heard(void **state)
{
	struct settings settings;
	struct error error;
	char text[32];

	(void)state;
	setenv("REPLICACHE_DATABASE", "dbname=x password=y", 1);
	setenv("REPLICACHE_LOG_LEVEL", "debug", 1);
	setenv("REPLICACHE_PREPARED", "off", 1);
	/* Values apart from each other and the defaults. */
	for (size_t i = 0; i < LENGTH(numbers); i++) {
		snprintf(text, sizeof(text), "%ld", numbers[i].min + 1 + (long)i);
		setenv(numbers[i].environment, text, 1);
	}
	assert_int_equal(settings_init(&settings, NULL, &error), 0);
	assert_string_equal(settings.database, "dbname=x password=y");
	assert_int_equal(settings.log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(settings.prepared, 0);
	for (size_t i = 0; i < LENGTH(numbers); i++)
		assert_int_equal(value_of(&settings, &numbers[i]),
		    numbers[i].min + 1 + (long)i);
	settings_fini(&settings);
	assert_null(settings.database);
	settings_fini(&settings);
}

static void
numbers_have_bounds(void **state)
{
	char text[32];

	(void)state;
	for (size_t i = 0; i < LENGTH(numbers); i++) {
		const struct number *n = &numbers[i];
		const struct {
			long value;
			bool good;
		} cases[] = {{n->min - 1, false}, {n->min, true},
		    {n->max, true}, {n->max + 1, false}};

		for (size_t c = 0; c < LENGTH(cases); c++) {
			snprintf(text, sizeof(text), "%ld", cases[c].value);
			judge_value(n->environment, text,
			    cases[c].good ? NULL : n->environment);
		}
	}
}

static void
what_is_no_number_is_refused(void **state)
{
	static const char *const bad[] = {"", " ", "x", "8x", "8 ", "8.0", "8,",
	    "1e3", "0x10", "--8", "9223372036854775808", "-9223372036854775809",
	    "99999999999999999999999999", "8\n"};

	(void)state;
	for (size_t i = 0; i < LENGTH(numbers); i++)
		for (size_t b = 0; b < LENGTH(bad); b++)
			judge_value(numbers[i].environment, bad[b],
			    numbers[i].environment);
}

static void
choices_are_what_they_are(void **state)
{
	static const struct {
		const char *environment, *value;
		bool good;
	} cases[] = {
	    {"REPLICACHE_LOG_LEVEL", "error", true},
	    {"REPLICACHE_LOG_LEVEL", "warning", true},
	    {"REPLICACHE_LOG_LEVEL", "info", true},
	    {"REPLICACHE_LOG_LEVEL", "debug", true},
	    {"REPLICACHE_LOG_LEVEL", "", false},
	    {"REPLICACHE_LOG_LEVEL", "DEBUG", false},
	    {"REPLICACHE_LOG_LEVEL", "3", false},
	    {"REPLICACHE_LOG_LEVEL", "debugger", false},
	    {"REPLICACHE_PREPARED", "on", true},
	    {"REPLICACHE_PREPARED", "off", true},
	    {"REPLICACHE_PREPARED", "", false},
	    {"REPLICACHE_PREPARED", "true", false},
	    {"REPLICACHE_PREPARED", "1", false},
	    {"REPLICACHE_DATABASE", "", true},
	    {"REPLICACHE_DATABASE", "host=/run dbname='a b'", true},
	    {"REPLICACHE_DATABASE", "postgresql://u:p@h/d?sslmode=require",
		true},
	    {"REPLICACHE_DATABASE", "databse=x", false},
	    {"REPLICACHE_DATABASE", "dbname", false},
	    {"REPLICACHE_DATABASE", "postgresql://u:p@[h/", false},
	    {"REPLICACHE_LISTEN_DATABASE", "dbname='x", false},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++)
		judge_value(cases[i].environment, cases[i].value,
		    cases[i].good ? NULL : cases[i].environment);
}

static void
auth_must_be_said(void **state)
{
	static const char *const bad[] = {"", "None", "anybody", "none "};

	(void)state;
	unsetenv("REPLICACHE_AUTH");
	judge("REPLICACHE_AUTH", "(unset)", "/dev/null");
	for (size_t i = 0; i < LENGTH(bad); i++)
		judge_value("REPLICACHE_AUTH", bad[i], "REPLICACHE_AUTH");
	judge_value("REPLICACHE_AUTH", "none", NULL);
}

/* What one of the two printers says, in OUT. */
static void
print(char *out, size_t size, void (*dump)(const struct settings *, FILE *),
    const struct settings *settings)
{
	FILE *file = fmemopen(out, size, "w");

	assert_non_null(file);
	setbuf(file, NULL);
	if (dump != NULL)
		dump(settings, file);
	else
		settings_help(file);
	assert_false(ferror(file));
	fclose(file);
}

static void
the_dump_has_all_but_the_password(void **state)
{
	static char text[16384];
	struct settings settings;
	struct error error;
	char line[64];

	(void)state;
	setenv("REPLICACHE_DATABASE", "postgres://u:secret@h/d", 1);
	setenv("REPLICACHE_WORKERS", "17", 1);
	setenv("REPLICACHE_LOG_LEVEL", "warning", 1);
	assert_int_equal(settings_init(&settings, NULL, &error), 0);
	print(text, sizeof(text), settings_dump, &settings);
	settings_fini(&settings);
	assert_null(strstr(text, "secret"));
	assert_non_null(strstr(text, "# database is set, but not shown  # "
				     "REPLICACHE_DATABASE\n"));
	assert_non_null(strstr(text, "\nauth = none  # REPLICACHE_AUTH\n"));
	assert_non_null(
	    strstr(text, "\nlog_level = warning  # REPLICACHE_LOG_LEVEL\n"));
	assert_non_null(strstr(text, "\nprepared = on  # default\n"));
	assert_non_null(strstr(text, "\nworkers = 17  # REPLICACHE_WORKERS\n"));
	for (size_t i = 1; i < LENGTH(numbers); i++) {
		snprintf(line, sizeof(line), "\n%s = %ld  # default\n", numbers[i].name,
		    numbers[i].initial);
		assert_non_null(strstr(text, line));
	}
}

static void
an_unset_database_is_dumped_empty(void **state)
{
	static char text[16384];
	struct settings settings;
	struct error error;

	(void)state;
	assert_int_equal(settings_init(&settings, NULL, &error), 0);
	print(text, sizeof(text), settings_dump, &settings);
	settings_fini(&settings);
	assert_non_null(strstr(text, "database = \"\"  # "));
}

static void
the_help_names_every_variable(void **state)
{
	static const char *const others[] = {"REPLICACHE_DATABASE",
	    "REPLICACHE_AUTH", "REPLICACHE_PREPARED", "REPLICACHE_LOG_LEVEL"};
	static char text[16384];
	char part[64];

	(void)state;
	print(text, sizeof(text), NULL, NULL);
	for (size_t i = 0; i < LENGTH(others); i++)
		assert_non_null(strstr(text, others[i]));
	for (size_t i = 0; i < LENGTH(numbers); i++) {
		const char *at;

		snprintf(part, sizeof(part), "  %s, %s\n",
		    numbers[i].environment, numbers[i].name);
		assert_non_null((at = strstr(text, part)));
		snprintf(part, sizeof(part), " (%ld)\n", numbers[i].initial);
		assert_non_null(strstr(at, part));
	}
}

#define TEST(function)                                                         \
	cmocka_unit_test_setup(function, tidy_environment)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    TEST(defaults_hold),
	    TEST(a_program_may_not_know_where_it_is),
	    TEST(the_environment_is_heard),
	    TEST(numbers_have_bounds),
	    TEST(what_is_no_number_is_refused),
	    TEST(choices_are_what_they_are),
	    TEST(auth_must_be_said),
	    TEST(the_dump_has_all_but_the_password),
	    TEST(an_unset_database_is_dumped_empty),
	    TEST(the_help_names_every_variable),
	};

	return unit_run(tests);
}
