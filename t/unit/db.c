/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of common/db with a server that is no more than a thread: it lets one
 * client in, and then is silent, or refuses the first statement, or goes away
 * at it. What Postgres itself does is tested by the tests with a database. Linked
 * with --wrap=malloc and --wrap=PQconninfo, which may fail.
 */
#include "config.h"

#include "unit.h"

#include "memory.h"

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "db.h"
#include "error.h"
#include "settings.h"

/* AuthenticationOk and ReadyForQuery, in no transaction: what libpq needs. */
static const unsigned char welcome[] = {
    'R', 0, 0, 0, 8, 0, 0, 0, 0, 'Z', 0, 0, 0, 5, 'I'};

/* ErrorResponse with its SQLSTATE and message, and ReadyForQuery. */
static const unsigned char refusal[] = {'E', 0, 0, 0, 16, 'C', '2', '2', '0',
    '1', '2', 0, 'M', 'n', 'o', 0, 0, 'Z', 0, 0, 0, 5, 'I'};

static char folder[] = "/tmp/replicache-db-XXXXXX";
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static char conninfo[200];
static struct settings settings = {
    .connect_timeout = 30000, .statement_timeout = 30000, .lock_timeout = 0};
static pthread_t thread;
static int listening;
static atomic_bool goes, refuses; /* at the first statement */
static struct db *db;
static struct error error;

UNIT_WRAP_MALLOC

PQconninfoOption *__wrap_PQconninfo(PGconn *conn);
PQconninfoOption *__real_PQconninfo(PGconn *conn);

PQconninfoOption *
__wrap_PQconninfo(PGconn *conn)
{
	return no_memory ? NULL : __real_PQconninfo(conn);
}

static void *
serve(void *unused)
{
	int fd = accept(listening, NULL, NULL);
	uint32_t length;
	char bytes[1000];

	(void)unused;
	if (fd < 0 ||
	    recv(fd, &length, sizeof(length), MSG_WAITALL) != sizeof(length) ||
	    recv(fd, bytes, ntohl(length) - sizeof(length), MSG_WAITALL) <= 0 ||
	    send(fd, welcome, sizeof(welcome), MSG_NOSIGNAL) < 0)
		abort();
	while (recv(fd, bytes, sizeof(bytes), 0) > 0 && !goes)
		if (atomic_exchange(&refuses, false) &&
		    send(fd, refusal, sizeof(refusal), MSG_NOSIGNAL) < 0)
			abort();
	close(fd);
	return NULL;
}

static int
open_session(void **state)
{
	(void)state;
	error_reset(&error);
	assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
	db = db_open_at(&settings, conninfo, &error);
	assert_non_null(db);
	assert_true(db_idle(db));
	return 0;
}

static int
close_session(void **state)
{
	(void)state;
	db_close(db);
	assert_int_equal(pthread_join(thread, NULL), 0);
	goes = refuses = false;
	return 0;
}

static void
send_group(enum statement_id id)
{
	assert_int_equal(db_send_id(db, id, 0, NULL, &error), 0);
	assert_int_equal(db_sync(db, &error), 0);
}

/* Whatever is asked of it fails, and for the reason that it was lost for. */
static void
assert_lost(const char *reason)
{
	struct db_result *result;
	struct error each[9];
	int n = 0;

	assert_false(db_idle(db));
	assert_int_equal(
	    db_send_id(db, STATEMENT_COMMIT, 0, NULL, &each[n++]), -1);
	assert_int_equal(
	    db_send(db, statement_get(STATEMENT_COMMIT), 0, NULL, &each[n++]),
	    -1);
	assert_int_equal(db_sync(db, &each[n++]), -1);
	assert_int_equal(db_take(db, NULL, &each[n++]), -1);
	assert_int_equal(db_take(db, &result, &each[n++]), -1);
	assert_null(result);
	assert_int_equal(db_take_row(db, &result, &each[n++]), -1);
	assert_null(result);
	assert_int_equal(db_finish(db, &each[n++]), -1);
	assert_int_equal(db_script(db, "name", "select 1", &each[n++]), -1);
	assert_int_equal(db_wait_notified(db, -1, 0, &each[n++]), -1);
	for (int i = 0; i < n; i++) {
		assert_int_equal(each[i].code, ERROR_UNAVAILABLE);
		assert_string_equal(each[i].sqlstate, "08006");
		assert_non_null(strstr(each[i].message, reason));
		assert_int_equal(db_failure(&each[i]), DB_FAILURE_LOST);
	}
	/* Nothing is under way. */
	db_leave(db);
	assert_int_equal(db_catch_up(db, &error), 0);
	db_abandon(db);
}

static void
what_was_abandoned_is_lost(void **state)
{
	(void)state;
	db_abandon(db);
	assert_lost("abandoned");
}

static void
a_group_that_was_not_ended_is_an_error(void **state)
{
	(void)state;
	assert_int_equal(db_finish(db, &error), 0);
	assert_int_equal(db_send_id(db, STATEMENT_COMMIT, 0, NULL, &error), 0);
	assert_int_equal(db_finish(db, &error), -1);
	assert_lost("a group was left unfinished");
}

static void
a_silent_server_is_given_up(void **state)
{
	int64_t begun = clock_ms();

	(void)state;
	db_set_patience(db, 100);
	send_group(STATEMENT_COMMIT);
	assert_int_equal(db_take(db, NULL, &error), -1);
	assert_true(clock_ms() - begun >= 100);
	assert_lost("");
}

static void
what_was_left_may_never_come(void **state)
{
	(void)state;
	send_group(STATEMENT_COMMIT);
	db_leave(db);
	assert_true(db_idle(db));
	db_set_patience(db, 100);
	assert_int_equal(db_catch_up(db, &error), -1);
	assert_lost("");
}

/* Nobody knows what state a session is in that was not reset. */
static void
what_was_left_may_have_failed(void **state)
{
	(void)state;
	refuses = true;
	send_group(STATEMENT_RESET);
	db_leave(db);
	assert_int_equal(db_catch_up(db, &error), -1);
	assert_string_equal(error.sqlstate, "22012");
	assert_false(db_idle(db));
	assert_int_equal(db_sync(db, &error), -1);
}

static void
a_server_that_goes_is_noticed(void **state)
{
	(void)state;
	goes = true;
	send_group(STATEMENT_COMMIT);
	assert_int_equal(db_finish(db, &error), -1);
	assert_lost("closed the connection");
}

static void
a_script_that_goes_nowhere_fails(void **state)
{
	(void)state;
	goes = true;
	assert_int_equal(db_script(db, "name", "select 1", &error), -1);
	assert_lost("closed the connection");
}

/* Its own answers would be taken for those that are still to come. */
static void
a_script_amid_a_group_fails(void **state)
{
	int64_t begun = clock_ms();

	(void)state;
	send_group(STATEMENT_COMMIT);
	assert_int_equal(db_script(db, "name", "select 1", &error), -1);
	/* Not for want of an answer. */
	assert_true(clock_ms() - begun < settings.statement_timeout);
	assert_lost("cannot exit pipeline mode");
}

static void
a_script_that_fails_is_named(void **state)
{
	const char *const names[] = {"", "file.sql"};
	const char *const messages[] = {"no", "file.sql: no"};

	(void)state;
	for (int i = 0; i < 2; i++) {
		refuses = true;
		assert_int_equal(
		    db_script(db, names[i], "select 1", &error), -1);
		assert_string_equal(error.sqlstate, "22012");
		assert_string_equal(error.message, messages[i]);
		assert_true(db_idle(db));
	}
}

/* So much may be under way without more memory (common/db.c). */
#define PENDING 64

static void
a_group_that_has_no_memory_is_lost(void **state)
{
	(void)state;
	for (int i = 0; i < PENDING; i++)
		assert_int_equal(
		    db_send_id(db, STATEMENT_COMMIT, 0, NULL, &error), 0);
	no_memory = true;
	assert_int_equal(
	    db_send_id(db, STATEMENT_COMMIT, 0, NULL, &error), -1);
	no_memory = false;
	assert_lost("out of memory");
}

static void
a_group_whose_end_has_no_memory_is_lost(void **state)
{
	(void)state;
	for (int i = 0; i < PENDING; i++)
		assert_int_equal(
		    db_send_id(db, STATEMENT_COMMIT, 0, NULL, &error), 0);
	no_memory = true;
	assert_int_equal(db_sync(db, &error), -1);
	no_memory = false;
	assert_lost("out of memory");
}

/* A server that lets nobody in is left for the next one, if there is memory to
 * know it. */
static void
without_memory_there_is_no_next_host(void **state)
{
	struct settings hasty = settings;
	char hosts[sizeof(conninfo) + 2 * sizeof(folder) + 8];

	(void)state;
	hasty.connect_timeout = 50;
	snprintf(hosts, sizeof(hosts), "%s host=%s,%s", conninfo, folder, folder);
	no_memory = true;
	assert_null(db_open_at(&hasty, hosts, &error));
	no_memory = false;
	assert_int_equal(error.code, ERROR_UNAVAILABLE);
	assert_string_equal(error.sqlstate, "08001");
	assert_non_null(strstr(error.message, "connect_timeout"));
}

static int
listen_somewhere(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/.s.PGSQL.5432",
	    folder);
	snprintf(conninfo, sizeof(conninfo),
	    "host=%s dbname=none user=none sslmode=disable gssencmode=disable",
	    folder);
	listening = socket(AF_UNIX, SOCK_STREAM, 0);
	return listening < 0 ||
		       bind(listening, (struct sockaddr *)&address,
			   sizeof(address)) < 0 ||
		       listen(listening, 1) < 0
		   ? -1
		   : 0;
}

static int
clean_up(void **state)
{
	(void)state;
	close(listening);
	unlink(address.sun_path);
	return rmdir(folder);
}

#define WITH_SESSION(test)                                                     \
	cmocka_unit_test_setup_teardown(test, open_session, close_session)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_SESSION(what_was_abandoned_is_lost),
	    WITH_SESSION(a_group_that_was_not_ended_is_an_error),
	    WITH_SESSION(a_silent_server_is_given_up),
	    WITH_SESSION(what_was_left_may_never_come),
	    WITH_SESSION(what_was_left_may_have_failed),
	    WITH_SESSION(a_server_that_goes_is_noticed),
	    WITH_SESSION(a_script_that_goes_nowhere_fails),
	    WITH_SESSION(a_script_amid_a_group_fails),
	    WITH_SESSION(a_script_that_fails_is_named),
	    WITH_SESSION(a_group_that_has_no_memory_is_lost),
	    WITH_SESSION(a_group_whose_end_has_no_memory_is_lost),
	    cmocka_unit_test(without_memory_there_is_no_next_host),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, listen_somewhere, clean_up);
}
