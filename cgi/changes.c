/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * LISTEN, on a thread and a connection of its own.
 */
#include "config.h"

#include "changes.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock.h"
#include "db.h"
#include "error.h"
#include "faults.h"
#include "log.h"
#include "metrics.h"
#include "settings.h"

/* Commits within this time are one change: streams are not poked more often
 * anyway, and the version need not be read for each of a thousand a second. */
#define CHANGES_PAUSE_MS 50

/* Of listen_timeout, a part is left for the answer of a connection that was
 * silent for the rest of it. */
#define CHANGES_PATIENCE_PART 3

/* The connection is closed after so long a time without interest. */
#define CHANGES_IDLE_MS 120000

/* The pause after a failed connect: from, doubling, to. */
#define CHANGES_RETRY_MIN_MS 50
#define CHANGES_RETRY_MAX_MS 2000

#define CHANGES_STACK ((size_t)256 * 1024)

struct changes {
	const struct settings *settings;
	struct changes_reader reader;
	int wake; /* an eventfd, signalled when STOP or WANTED is set */
	pthread_mutex_t lock;
	pthread_t thread;
	bool started, stop, wanted;
	/* The thread's own: */
	bool lost; /* a connection, since the reader was told */
	long pause;
	unsigned seed;
};

struct changes *
changes_new(
    const struct settings *settings, const struct changes_reader *reader)
{
	struct changes *changes = calloc(1, sizeof(*changes));

	if (changes == NULL)
		return NULL;
	changes->settings = settings;
	changes->reader = *reader;
	changes->seed = (unsigned)clock_us();
	changes->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (changes->wake < 0) {
		free(changes);
		return NULL;
	}
	pthread_mutex_init(&changes->lock, NULL);
	return changes;
}

static bool
is_stopping(struct changes *changes)
{
	bool stop;

	pthread_mutex_lock(&changes->lock);
	stop = changes->stop;
	pthread_mutex_unlock(&changes->lock);
	return stop;
}

static void
take_wake(struct changes *changes)
{
	uint64_t count;

	if (read(changes->wake, &count, sizeof(count)) < 0)
		return;
}

/* Waits for a signal, up to MS; -1: for ever. */
static void
wait_wake(struct changes *changes, int ms)
{
	struct pollfd pfd = {.fd = changes->wake, .events = POLLIN};

	poll(&pfd, 1, ms);
	take_wake(changes);
}

/* Sleeps while nobody is interested. False: the end. */
static bool
wait_wanted(struct changes *changes)
{
	for (;;) {
		bool stop, wanted;

		pthread_mutex_lock(&changes->lock);
		stop = changes->stop;
		wanted = changes->wanted;
		pthread_mutex_unlock(&changes->lock);
		if (stop || wanted)
			return !stop;
		wait_wake(changes, -1);
	}
}

/* Nobody was interested for long. True if that is still so: the next one calls
 * changes_start() after it has counted itself. */
static bool
give_up(struct changes *changes)
{
	pthread_mutex_lock(&changes->lock);
	changes->wanted = changes->reader.needed(changes->reader.context);
	pthread_mutex_unlock(&changes->lock);
	return !changes->wanted;
}

/* Queues the statement ID and takes its result. */
static int
run(struct db *db, enum statement_id id, struct db_result **result,
    struct error *error)
{
	if (db_send_id(db, id, 0, NULL, error) < 0 || db_sync(db, error) < 0 ||
	    db_take(db, result, error) < 0)
		return -1;
	return db_finish(db, error);
}

/* Reads the version, and tells it. */
static int
tell(struct changes *changes, struct db *db, struct error *error)
{
	struct db_result *result = NULL;
	int rc = run(db, STATEMENT_CURRENT_VERSION, &result, error);

	if (rc == 0 && (db_rows(result) != 1 || db_null(result, 0, 0)))
		rc = error_set(error, ERROR_UNAVAILABLE, "there is no version");
	if (rc == 0) {
		changes->reader.tell(changes->reader.context,
		    db_int64(result, 0, 0), changes->lost);
		changes->lost = false;
		FAULT(VERSION_TOLD);
	}
	db_result_free(result);
	return rc;
}

static long
patience(const struct changes *changes)
{
	return changes->settings->listen_timeout / CHANGES_PATIENCE_PART;
}

static struct db *
connect_and_listen(struct changes *changes, struct error *error)
{
	const struct settings *settings = changes->settings;
	struct db *db = db_open_at(settings,
	    settings->listen_database[0] != '\0' ? settings->listen_database
						 : settings->database,
	    error);

	if (db == NULL)
		return NULL;
	db_set_patience(db, patience(changes));
	if (run(db, STATEMENT_LISTEN, NULL, error) < 0 ||
	    tell(changes, db, error) < 0) {
		db_close(db);
		return NULL;
	}
	FAULT(LISTENING);
	return db;
}

/* Tells versions until the end (0), a long time without interest (0), or the
 * connection's loss. */
static int
follow(struct changes *changes, struct db *db, struct error *error)
{
	int64_t needed = clock_ms();

	while (!is_stopping(changes)) {
		long quiet =
		    changes->settings->listen_timeout - patience(changes);
		int rc = db_wait_notified(db, changes->wake, quiet, error);

		take_wake(changes);
		if (rc > 0)
			FAULT(NOTIFIED);
		if (rc < 0 || tell(changes, db, error) < 0)
			return -1;
		if (rc > 0)
			wait_wake(changes, CHANGES_PAUSE_MS);
		if (changes->reader.needed(changes->reader.context))
			needed = clock_ms();
		else if (clock_ms() - needed > CHANGES_IDLE_MS &&
			 give_up(changes))
			return 0;
	}
	return 0;
}

/* After a failure: says so once, and pauses. */
static void
pause_failed(struct changes *changes, const struct error *error)
{
	if (changes->pause == 0)
		log_warning("changes are not seen: %s: %s", error->sqlstate,
		    error->message);
	changes->pause =
	    changes->pause == 0 ? CHANGES_RETRY_MIN_MS : changes->pause * 2;
	if (changes->pause > CHANGES_RETRY_MAX_MS)
		changes->pause = CHANGES_RETRY_MAX_MS;
	wait_wake(
	    changes, (int)(changes->pause / 2 +
			   rand_r(&changes->seed) % (changes->pause / 2 + 1)));
}

static void *
work(void *argument)
{
	struct changes *changes = argument;

	while (wait_wanted(changes)) {
		struct error error;
		struct db *db = connect_and_listen(changes, &error);

		if (db == NULL) {
			pause_failed(changes, &error);
			continue;
		}
		if (changes->pause > 0)
			log_info("changes are seen again");
		changes->pause = 0;
		metrics_gauge(METRICS_LISTENING, 1);
		if (follow(changes, db, &error) < 0) {
			changes->lost = true;
			metrics_count(METRICS_LISTEN_LOST, 1);
		}
		metrics_gauge(METRICS_LISTENING, -1);
		db_close(db);
		if (changes->lost)
			pause_failed(changes, &error);
	}
	return NULL;
}

static int
start_thread(struct changes *changes)
{
	pthread_attr_t attributes;
	int rc;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, CHANGES_STACK);
	rc = pthread_create(&changes->thread, &attributes, work, changes);
	pthread_attr_destroy(&attributes);
	return rc == 0 ? 0 : -1;
}

/* Signals the thread. Called locked. */
static void
signal_wake(struct changes *changes)
{
	uint64_t one = 1;

	/* Fails only when it is signalled beyond counting. */
	if (write(changes->wake, &one, sizeof(one)) < 0)
		return;
}

int
changes_start(struct changes *changes)
{
	pthread_mutex_lock(&changes->lock);
	if (!changes->started)
		changes->started = start_thread(changes) == 0;
	if (!changes->wanted) {
		changes->wanted = true;
		signal_wake(changes);
	}
	pthread_mutex_unlock(&changes->lock);
	return changes->started ? 0 : -1;
}

void
changes_free(struct changes *changes)
{
	if (changes == NULL)
		return;
	pthread_mutex_lock(&changes->lock);
	changes->stop = true;
	signal_wake(changes);
	pthread_mutex_unlock(&changes->lock);
	if (changes->started)
		pthread_join(changes->thread, NULL);
	pthread_mutex_destroy(&changes->lock);
	close(changes->wake);
	free(changes);
}
