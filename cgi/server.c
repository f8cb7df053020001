/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Worker threads, and the main thread that watches the clock and the signals.
 */
#include "config.h"

#include "server.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "app.h"
#include "clock.h"
#include "error.h"
#include "exchange.h"
#include "fastcgi.h"
#include "faults.h"
#include "gate.h"
#include "listener.h"
#include "log.h"
#include "pool.h"
#include "reload.h"
#include "settings.h"
#include "streams.h"

/* How often deadlines are looked after, and the end of draining. */
#define TICK_MS 250
#define DRAIN_TICK_MS 10

/* How often, at most, memory is given back to the system. */
#define REST_MS 5000

/* Of drain_timeout, what is left to queries after they are cancelled. */
#define CANCEL_GRACE_MS 500

/* Descriptors that streams leave to requests, the pool, and the rest. */
#define SPARE_DESCRIPTORS 256

/* A worker's stack: no recursion and no large arrays. */
#define WORKER_STACK ((size_t)256 * 1024)

struct worker {
	struct server *server;
	pthread_t thread;
	unsigned char *scratch; /* its part of the server's */
};

struct server {
	struct app *app;
	struct listener *listener;
	struct gate gate;
	pthread_mutex_t lock;
	struct exchange *first, *last; /* answers that wait to be sent */
	struct worker *workers;
	unsigned char *scratch; /* listener_scratch_size bytes for each */
	long worker_count;
	bool busy;      /* a request was seen since memory was given back */
	int64_t rested; /* clock_ms() of that */
};

/* EXCHANGE can go on: it waits for the next thread that has time, perhaps the
 * caller's own when it is done leading. */
static void
resume(struct app *app, struct exchange *exchange)
{
	struct server *server = app->server;

	exchange->next = NULL;
	pthread_mutex_lock(&server->lock);
	if (server->last == NULL)
		server->first = exchange;
	else
		server->last->next = exchange;
	server->last = exchange;
	pthread_mutex_unlock(&server->lock);
}

static struct exchange *
take_resumed(struct server *server)
{
	struct exchange *exchange;

	pthread_mutex_lock(&server->lock);
	exchange = server->first;
	if (exchange != NULL) {
		server->first = exchange->next;
		if (server->first == NULL)
			server->last = NULL;
	}
	pthread_mutex_unlock(&server->lock);
	return exchange;
}

static void
resume_all(struct server *server)
{
	struct exchange *exchange;

	while ((exchange = take_resumed(server)) != NULL)
		exchange_resume(exchange);
}

void
server_relieve(void *context)
{
	struct app *app = context;
	struct server *server = app->server;
	bool waiting;

	if (server == NULL)
		return;
	pthread_mutex_lock(&server->lock);
	waiting = server->first != NULL;
	pthread_mutex_unlock(&server->lock);
	if (waiting)
		listener_wake(server->listener);
}

static void
serve(struct server *server, int fd)
{
	const struct fastcgi_owner owner = {.closed = listener_closed,
	    .may_keep = listener_may_keep,
	    .answered = listener_answered,
	    .context = server->listener};
	struct transport *transport;

	FAULT(ACCEPTED);
	transport =
	    fastcgi_open(fd, server->app->settings->write_timeout, &owner);
	if (transport != NULL)
		exchange_run(server->app, transport);
}

static void *
work(void *argument)
{
	struct worker *worker = argument;
	struct server *server = worker->server;
	int fd;

	for (;;) {
		enum listener_event event;

		/* Nobody sleeps while an answer waits. */
		do {
			resume_all(server);
		} while (gate_pass(&server->gate));
		event = listener_wait(server->listener, worker->scratch, &fd);
		if (event == LISTENER_STOPPED)
			break;
		if (event == LISTENER_SLOW)
			gate_wait_begin(&server->gate);
		if (event == LISTENER_REQUEST || event == LISTENER_SLOW)
			serve(server, fd);
		if (event == LISTENER_SLOW)
			gate_wait_end(&server->gate);
	}
	return NULL;
}

/* All signals come to the main thread, which asks for them. */
static void
block_signals(sigset_t *wanted)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	sigemptyset(wanted);
	sigaddset(wanted, SIGTERM);
	sigaddset(wanted, SIGINT);
	sigaddset(wanted, SIGQUIT);
	sigaddset(wanted, SIGUSR1);
	sigaddset(wanted, SIGHUP);
}

static int
start_workers(struct server *server, struct error *error)
{
	long wanted = server->app->settings->workers;
	pthread_attr_t attributes;
	int rc = 0;

	server->workers = calloc((size_t)wanted, sizeof(*server->workers));
	server->scratch = malloc((size_t)wanted * listener_scratch_size);
	if (server->workers == NULL || server->scratch == NULL)
		return error_set(error, ERROR_CONFIG, "out of memory");
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, WORKER_STACK);
	while (rc == 0 && server->worker_count < wanted) {
		struct worker *worker = &server->workers[server->worker_count];

		worker->server = server;
		worker->scratch =
		    server->scratch +
		    (size_t)server->worker_count * listener_scratch_size;
		rc = pthread_create(&worker->thread, &attributes, work, worker);
		if (rc == 0)
			server->worker_count++;
	}
	pthread_attr_destroy(&attributes);
	if (rc != 0)
		return error_set(error, ERROR_CONFIG,
		    "a worker thread can't be started: %s", strerror(rc));
	return 0;
}

static void
stop_workers(struct server *server)
{
	gate_open(&server->gate);
	listener_stop(server->listener);
	for (long i = 0; i < server->worker_count; i++)
		pthread_join(server->workers[i].thread, NULL);
	free(server->scratch);
	free(server->workers);
}

/* Gives the memory of a burst back once nothing is under way. */
static void
rest(struct server *server)
{
	int64_t now = clock_ms();

	if (listener_busy_count(server->listener) > 0) {
		server->busy = true;
	} else if (server->busy && now > server->rested + REST_MS) {
		server->busy = false;
		server->rested = now;
		malloc_trim(0);
	}
}

/* Waits for the signal to end, looking after deadlines and HUP meanwhile. */
static int
watch(struct server *server, const sigset_t *wanted)
{
	static const struct timespec tick = {.tv_nsec = TICK_MS * 1000000L};

	for (;;) {
		int signal = sigtimedwait(wanted, NULL, &tick);

		if (signal == SIGHUP)
			reload(server->app);
		else if (signal > 0)
			return signal;
		listener_tick(server->listener);
		pool_tidy(server->app->pool);
		rest(server);
	}
}

/* Lets what is under way end. False if it does not in time. */
static bool
drain(struct server *server)
{
	static const struct timespec tick = {
	    .tv_nsec = DRAIN_TICK_MS * 1000000L};
	int64_t end = clock_ms() + server->app->settings->drain_timeout;
	bool cancelled = false;

	listener_drain(server->listener);
	streams_drain(server->app->streams);
	FAULT(DRAINING);
	while (listener_open_count(server->listener) > 0 ||
	       streams_count(server->app->streams) > 0) {
		int64_t now = clock_ms();

		if (now > end)
			return false;
		if (!cancelled && now > end - CANCEL_GRACE_MS) {
			cancelled = true;
			pool_cancel(server->app->pool);
		}
		nanosleep(&tick, NULL);
		listener_tick(server->listener);
	}
	FAULT(DRAINED);
	return true;
}

/* Serves until the signal to end, and drains. */
static void
serve_and_drain(struct server *server, const sigset_t *wanted)
{
	log_info("serving with %ld workers", server->worker_count);
	FAULT(SERVING);
	log_info("signal %d: finishing", watch(server, wanted));
	if (drain(server))
		return;
	/* Threads are stuck in requests: end with them. What was not
	 * committed is sent again. */
	log_warning("requests were cut at the end");
	_Exit(0);
}

/* How many threads can run at once; two at least, so that one looks for work
 * while another does some. */
static long
processors(void)
{
	long count = sysconf(_SC_NPROCESSORS_ONLN);

	return count < 2 ? 2 : count;
}

/* Raises the limit of descriptors as far as it goes, and gives the number of
 * streams that may be held. */
static size_t
allow_streams(const struct settings *settings)
{
	size_t wanted = (size_t)settings->poke_streams;
	struct rlimit limit;
	rlim_t others = SPARE_DESCRIPTORS + (rlim_t)settings->pool, left;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 0;
	if (limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
		getrlimit(RLIMIT_NOFILE, &limit);
	}
	left = limit.rlim_cur > others ? limit.rlim_cur - others : 0;
	if (left >= wanted)
		return wanted;
	log_warning("%zu streams at most, for want of file descriptors: raise "
		    "the limit (NOFILE)",
	    (size_t)left);
	return (size_t)left;
}

int
server_run(struct app *app, int fd, struct error *error)
{
	struct server *server = calloc(1, sizeof(*server));
	sigset_t wanted;
	int rc;

	if (server == NULL)
		return error_set(error, ERROR_CONFIG, "out of memory");
	block_signals(&wanted);
	server->app = app;
	server->listener = listener_new(fd, app->settings, error);
	if (server->listener == NULL) {
		free(server);
		return -1;
	}
	pthread_mutex_init(&server->lock, NULL);
	gate_init(&server->gate, processors(), app->settings->workers);
	pool_watch(app->pool, gate_wait_begin, gate_wait_end, &server->gate);
	app->resume = resume;
	app->server = server;
	app->streams =
	    streams_new(app->settings, allow_streams(app->settings), error);
	rc = app->streams == NULL ? -1 : start_workers(server, error);
	if (rc == 0)
		serve_and_drain(server, &wanted);
	stop_workers(server);
	streams_free(app->streams);
	app->streams = NULL;
	app->server = NULL;
	pool_watch(app->pool, NULL, NULL, NULL);
	gate_fini(&server->gate);
	pthread_mutex_destroy(&server->lock);
	listener_free(server->listener);
	free(server);
	return rc;
}
