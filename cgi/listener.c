/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * epoll, accept and deadlines.
 */
#include "config.h"

#include "listener.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "framing.h"
#include "log.h"
#include "settings.h"

/* While draining, a connection that is silent for so long was not opened by a
 * web server that has a request. */
#define DRAIN_SILENCE_MS 300

/* A connection that is kept waits for so long for its next request: longer than
 * nginx does (keepalive_timeout of an upstream, 60 s), so that it is the web
 * server that closes it, and no request meets the end of one. */
#define KEPT_SILENCE_MS 75000

/* A body that comes in many small pieces fills the socket before it is there
 * whole. After so long a thread reads it; for at most half of the threads, so
 * that peers who drip can't have them all. */
#define BODY_PATIENCE_MS 500

/* How often a shortage of descriptors is logged. */
#define SHORTAGE_LOG_MS 60000

const size_t listener_scratch_size = FRAMING_WINDOW + FRAMING_PARAMS_BYTES_MAX;

/* What epoll tells of: three descriptors of ours, or a connection as its
 * descriptor and generation. */
#define TAG_LISTEN UINT64_MAX
#define TAG_WAKE (UINT64_MAX - 1)
#define TAG_STOP (UINT64_MAX - 2)

enum state {
	STATE_NONE,
	STATE_WAITING, /* for a sound request */
	STATE_SERVED,  /* a thread or a batch has it */
	STATE_LATE,    /* the same, and no more of its body is read */
};

struct connection {
	enum state state;
	uint32_t generation; /* tells a re-used descriptor from its past */
	int64_t since;       /* clock_ms() of accept */
	bool watched;        /* in the epoll set */
	bool sound;          /* only its body's end is missing */
	bool trusted;        /* served before that was there */
	bool whole;          /* its request is there, and nothing behind it */
	bool kept;           /* it had one, and nothing came since */
};

struct listener {
	const struct settings *settings;
	int fd, epoll, wake, stop;
	int spare; /* a descriptor to give up when there are no more */
	atomic_bool draining;
	atomic_bool deaf; /* epoll did not take the listening socket again */
	atomic_int accepting; /* threads */
	pthread_mutex_t lock;
	struct connection *connections; /* by descriptor */
	size_t size;
	size_t open;
	size_t kept;             /* of those open */
	unsigned char *scratch;  /* listener_tick()'s */
	int trusted;             /* connections served on trust */
	bool trust_due;          /* listener_tick() saw one that should be */
	int64_t shortage_logged; /* clock_ms() */
};

static int
watch(struct listener *listener, int fd, uint32_t events, uint64_t tag)
{
	struct epoll_event event = {.events = events, .data.u64 = tag};

	return epoll_ctl(listener->epoll, EPOLL_CTL_ADD, fd, &event);
}

/*
 * One thread is woken for one event: the listening socket is armed again by the
 * thread that has accepted (rearm()), the wake-up is edge-triggered and never
 * read. Non-blocking, because of several processes that are woken for one
 * connection all but one find it taken.
 */
static int
open_descriptors(struct listener *listener)
{
	int flags = fcntl(listener->fd, F_GETFL);

	listener->epoll = epoll_create1(EPOLL_CLOEXEC);
	listener->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	listener->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	listener->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (flags < 0 || fcntl(listener->fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    listener->epoll < 0 || listener->wake < 0 || listener->stop < 0)
		return -1;
	if (watch(listener, listener->wake, EPOLLIN | EPOLLET, TAG_WAKE) < 0 ||
	    watch(listener, listener->stop, EPOLLIN, TAG_STOP) < 0)
		return -1;
	return watch(
	    listener, listener->fd, EPOLLIN | EPOLLONESHOT, TAG_LISTEN);
}

struct listener *
listener_new(int fd, const struct settings *settings, struct error *error)
{
	struct listener *listener = calloc(1, sizeof(*listener));

	if (listener == NULL) {
		error_set(error, ERROR_CONFIG, "out of memory");
		return NULL;
	}
	listener->settings = settings;
	listener->fd = fd;
	listener->epoll = listener->wake = listener->stop = -1;
	pthread_mutex_init(&listener->lock, NULL);
	listener->scratch = malloc(listener_scratch_size);
	if (listener->scratch == NULL || open_descriptors(listener) < 0) {
		error_set(
		    error, ERROR_CONFIG, "listening: %s", strerror(errno));
		listener_free(listener);
		return NULL;
	}
	return listener;
}

static void
close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

void
listener_free(struct listener *listener)
{
	if (listener == NULL)
		return;
	close_if_open(listener->fd);
	close_if_open(listener->epoll);
	close_if_open(listener->wake);
	close_if_open(listener->stop);
	close_if_open(listener->spare);
	pthread_mutex_destroy(&listener->lock);
	free(listener->connections);
	free(listener->scratch);
	free(listener);
}

/* For a peer whose request is not there whole: a read may have to wait. */
static void
limit_reads(int fd, const struct settings *settings)
{
	struct timeval limit = {.tv_sec = settings->header_timeout / 1000,
	    .tv_usec = settings->header_timeout % 1000 * 1000};

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

/* What the peer has sent so far, which stays in the socket. */
static enum framing
look(int fd, unsigned char *scratch, const struct settings *settings)
{
	enum framing judged;
	ssize_t n;

	do {
		n = recv(fd, scratch, FRAMING_WINDOW, MSG_PEEK | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return FRAMING_MORE;
	if (n <= 0)
		return FRAMING_BAD; /* the peer has gone */
	judged = framing_judge(scratch, (size_t)n, scratch + FRAMING_WINDOW);
	if (judged == FRAMING_LONG)
		limit_reads(fd, settings);
	return judged;
}

/* The entry of FD, or NULL without memory. Called locked. */
static struct connection *
entry(struct listener *listener, int fd)
{
	size_t index = (size_t)fd, size = index * 2 + 64;
	struct connection *larger;

	if (index < listener->size)
		return &listener->connections[index];
	larger = realloc(listener->connections, size * sizeof(*larger));
	if (larger == NULL)
		return NULL;
	memset(larger + listener->size, 0,
	    (size - listener->size) * sizeof(*larger));
	listener->connections = larger;
	listener->size = size;
	return &larger[index];
}

/* Called locked. */
static void
set_kept(struct listener *listener, struct connection *connection, bool kept)
{
	if (connection->kept)
		listener->kept--;
	if (kept)
		listener->kept++;
	connection->kept = kept;
}

/* Forgets FD before it is closed. Called locked. */
static void
forget(struct listener *listener, int fd)
{
	struct connection *connection = &listener->connections[fd];

	if (connection->trusted)
		listener->trusted--;
	connection->trusted = false;
	set_kept(listener, connection, false);
	connection->state = STATE_NONE;
	listener->open--;
}

/*
 * Acts on what a look at a waiting connection told. True: it has a request, and
 * is the caller's. Called locked.
 */
static bool
act(struct listener *listener, int fd, enum framing judged)
{
	struct connection *connection = &listener->connections[fd];

	switch (judged) {
	case FRAMING_READY:
	case FRAMING_LONG:
		if (connection->watched)
			epoll_ctl(listener->epoll, EPOLL_CTL_DEL, fd, NULL);
		connection->whole = judged == FRAMING_READY;
		connection->state = STATE_SERVED;
		return true;
	case FRAMING_BAD:
		forget(listener, fd);
		close(fd);
		break;
	case FRAMING_MORE:
		break;
	case FRAMING_BODY:
		connection->sound = true;
		break;
	}
	return false;
}

/* Has FD wait, from now on. Called locked. */
static void
wait_for_request(struct listener *listener, int fd)
{
	struct connection *connection = &listener->connections[fd];

	connection->state = STATE_WAITING;
	connection->generation++;
	connection->since = clock_ms();
	connection->sound = false;
	connection->watched = false;
	connection->whole = false;
}

/* Has epoll tell of FD, which waits. Called locked. */
static void
watch_waiting(struct listener *listener, int fd)
{
	struct connection *connection = &listener->connections[fd];
	uint64_t tag = (uint64_t)connection->generation << 32 | (uint32_t)fd;

	connection->watched = true;
	if (watch(listener, fd, EPOLLIN | EPOLLRDHUP | EPOLLET, tag) < 0) {
		forget(listener, fd);
		close(fd);
	}
}

/*
 * Takes in a new connection, of which a look told JUDGED. True: it has a
 * request, and is the caller's. Called locked.
 */
static bool
admit(struct listener *listener, int fd, enum framing judged)
{
	struct connection *connection = entry(listener, fd);

	if (connection == NULL) {
		close(fd);
		return false;
	}
	wait_for_request(listener, fd);
	listener->open++;
	if (act(listener, fd, judged))
		return true;
	if (connection->state == STATE_WAITING)
		watch_waiting(listener, fd);
	return false;
}

/* Closes the kept connection that was silent for the longest time. False if
 * there is none. Called locked. */
static bool
close_kept(struct listener *listener)
{
	size_t oldest = 0;

	if (listener->kept == 0)
		return false;
	while (!listener->connections[oldest].kept)
		oldest++;
	for (size_t i = oldest + 1; i < listener->size; i++)
		if (listener->connections[i].kept &&
		    listener->connections[i].since <
			listener->connections[oldest].since)
			oldest = i;
	forget(listener, (int)oldest);
	close((int)oldest);
	return true;
}

/* Out of descriptors: a connection that is kept is worth less than a new one.
 * Without one a peer is turned away, who would else keep us spinning, with the
 * spare descriptor. */
static void
make_room(struct listener *listener)
{
	int64_t now = clock_ms();

	pthread_mutex_lock(&listener->lock);
	if (close_kept(listener)) {
		pthread_mutex_unlock(&listener->lock);
		return;
	}
	if (now - listener->shortage_logged > SHORTAGE_LOG_MS) {
		listener->shortage_logged = now;
		log_error("out of file descriptors: raise the limit (NOFILE)");
	}
	close_if_open(listener->spare);
	close_if_open(accept(listener->fd, NULL, NULL));
	listener->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	pthread_mutex_unlock(&listener->lock);
}

/* Lets the next connection wake a thread. */
static void
rearm(struct listener *listener)
{
	struct epoll_event event = {
	    .events = EPOLLIN | EPOLLONESHOT, .data.u64 = TAG_LISTEN};

	if (!atomic_load(&listener->draining) &&
	    epoll_ctl(listener->epoll, EPOLL_CTL_MOD, listener->fd, &event) < 0)
		atomic_store(&listener->deaf, true);
}

static bool
accept_one(struct listener *listener, unsigned char *scratch, int *fd_out)
{
	int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
	enum framing judged;
	bool ready;

	if (fd < 0 && (errno == EMFILE || errno == ENFILE))
		make_room(listener);
	rearm(listener);
	if (fd < 0)
		return false;
	judged = look(fd, scratch, listener->settings);
	*fd_out = fd;
	pthread_mutex_lock(&listener->lock);
	ready = admit(listener, fd, judged);
	pthread_mutex_unlock(&listener->lock);
	return ready;
}

/* Accepts one connection, unless draining has begun. Whoever drains either sees
 * that a thread is at it (listener_open_count()), or is seen by it. */
static bool
accept_unless_draining(
    struct listener *listener, unsigned char *scratch, int *fd_out)
{
	bool ready;

	atomic_fetch_add(&listener->accepting, 1);
	ready = !atomic_load(&listener->draining) &&
		accept_one(listener, scratch, fd_out);
	atomic_fetch_sub(&listener->accepting, 1);
	return ready;
}

/* True if CONNECTION is to be served though its body is not there yet. Called
 * locked. */
static bool
may_trust(const struct listener *listener, const struct connection *connection,
    int64_t now)
{
	return connection->state == STATE_WAITING && connection->sound &&
	       now - connection->since > BODY_PATIENCE_MS &&
	       listener->trusted < (listener->settings->workers + 1) / 2;
}

/* Something happened to a waiting connection: more bytes, or its end. */
static bool
check_one(struct listener *listener, const struct epoll_event *event,
    unsigned char *scratch, int *fd_out)
{
	int fd = (int)(uint32_t)event->data.u64;
	uint32_t generation = (uint32_t)(event->data.u64 >> 32);
	struct connection *connection;
	bool ready = false;

	pthread_mutex_lock(&listener->lock);
	connection = &listener->connections[fd];
	/* Another thread may have dealt with it since. */
	if (connection->state == STATE_WAITING &&
	    connection->generation == generation) {
		/* The next request begins: from now on as on a new one. */
		if (connection->kept)
			connection->since = clock_ms();
		set_kept(listener, connection, false);
		ready =
		    act(listener, fd, look(fd, scratch, listener->settings));
	}
	/* A peer that sends no more has cut its request. */
	if (!ready && connection->state == STATE_WAITING &&
	    connection->generation == generation &&
	    (event->events & (EPOLLRDHUP | EPOLLHUP)) != 0) {
		forget(listener, fd);
		close(fd);
	}
	pthread_mutex_unlock(&listener->lock);
	*fd_out = fd;
	return ready;
}

/* A connection whose body is slow, to be served on trust. */
static bool
take_trusted(struct listener *listener, int *fd_out)
{
	int64_t now = clock_ms();
	bool found = false;

	pthread_mutex_lock(&listener->lock);
	for (size_t i = 0; listener->trust_due && i < listener->size; i++) {
		struct connection *connection = &listener->connections[i];

		if (!may_trust(listener, connection, now))
			continue;
		epoll_ctl(listener->epoll, EPOLL_CTL_DEL, (int)i, NULL);
		limit_reads((int)i, listener->settings);
		connection->state = STATE_SERVED;
		connection->trusted = true;
		listener->trusted++;
		*fd_out = (int)i;
		found = true;
		break;
	}
	listener->trust_due = found;
	pthread_mutex_unlock(&listener->lock);
	return found;
}

enum listener_event
listener_wait(struct listener *listener, unsigned char *scratch, int *fd_out)
{
	for (;;) {
		struct epoll_event event;

		if (epoll_wait(listener->epoll, &event, 1, -1) < 1)
			continue;
		switch (event.data.u64) {
		case TAG_STOP:
			return LISTENER_STOPPED;
		case TAG_WAKE:
			return take_trusted(listener, fd_out) ? LISTENER_SLOW
							      : LISTENER_WOKEN;
		case TAG_LISTEN:
			if (accept_unless_draining(listener, scratch, fd_out))
				return LISTENER_REQUEST;
			break;
		default:
			if (check_one(listener, &event, scratch, fd_out))
				return LISTENER_REQUEST;
			break;
		}
	}
}

void
listener_closed(void *context, int fd)
{
	struct listener *listener = context;

	pthread_mutex_lock(&listener->lock);
	forget(listener, fd);
	pthread_mutex_unlock(&listener->lock);
}

bool
listener_may_keep(void *context, int fd)
{
	struct listener *listener = context;
	bool whole;

	pthread_mutex_lock(&listener->lock);
	whole = listener->connections[fd].whole;
	pthread_mutex_unlock(&listener->lock);
	return whole && !atomic_load(&listener->draining);
}

void
listener_answered(void *context, int fd)
{
	struct listener *listener = context;
	struct connection *connection;

	pthread_mutex_lock(&listener->lock);
	connection = &listener->connections[fd];
	/* Neither ended by listener_tick() nor found by draining meanwhile. */
	if (connection->state == STATE_SERVED &&
	    !atomic_load(&listener->draining)) {
		wait_for_request(listener, fd);
		set_kept(listener, connection, true);
		watch_waiting(listener, fd);
	} else {
		forget(listener, fd);
		close(fd);
	}
	pthread_mutex_unlock(&listener->lock);
}

static void
signal_event(int fd)
{
	uint64_t one = 1;

	/* Fails only when it is signalled beyond counting. */
	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

void
listener_wake(struct listener *listener)
{
	signal_event(listener->wake);
}

void
listener_stop(struct listener *listener)
{
	signal_event(listener->stop);
}

/* How long a waiting connection may go on waiting. */
static int64_t
patience(const struct listener *listener, const struct connection *connection)
{
	if (connection->sound)
		return listener->settings->request_timeout;
	if (atomic_load(&listener->draining))
		return DRAIN_SILENCE_MS;
	return connection->kept ? KEPT_SILENCE_MS
				: listener->settings->header_timeout;
}

/*
 * True if the waiting connection FD has waited too long. Not if its request is
 * there: it came while we stood still, and a thread is about to be told. Called
 * locked.
 */
static bool
is_overdue(struct listener *listener, int fd, int64_t now)
{
	struct connection *connection = &listener->connections[fd];
	int64_t age = now - connection->since;
	enum framing judged;

	if (age <= patience(listener, connection))
		return false;
	judged = look(fd, listener->scratch, listener->settings);
	if (judged == FRAMING_BODY)
		connection->sound = true;
	return judged != FRAMING_READY && judged != FRAMING_LONG &&
	       age > patience(listener, connection);
}

void
listener_tick(struct listener *listener)
{
	int64_t now = clock_ms();
	bool due = false;

	if (atomic_exchange(&listener->deaf, false))
		rearm(listener);
	pthread_mutex_lock(&listener->lock);
	for (size_t i = 0; listener->open > 0 && i < listener->size; i++) {
		struct connection *connection = &listener->connections[i];
		int64_t age = now - connection->since;

		if (may_trust(listener, connection, now))
			due = true;
		if (connection->state == STATE_WAITING &&
		    is_overdue(listener, (int)i, now)) {
			forget(listener, (int)i);
			close((int)i);
		} else if (connection->state == STATE_SERVED &&
			   age > listener->settings->request_timeout) {
			/* Ends a body that drips; one that is there is not
			 * concerned, nor is the answer. */
			shutdown((int)i, SHUT_RD);
			connection->state = STATE_LATE;
		}
	}
	listener->trust_due = due;
	pthread_mutex_unlock(&listener->lock);
	if (due)
		listener_wake(listener);
}

void
listener_drain(struct listener *listener)
{
	pthread_mutex_lock(&listener->lock);
	atomic_store(&listener->draining, true);
	epoll_ctl(listener->epoll, EPOLL_CTL_DEL, listener->fd, NULL);
	pthread_mutex_unlock(&listener->lock);
}

size_t
listener_open_count(struct listener *listener)
{
	/* In this order: what is no longer accepted is open. */
	size_t open = (size_t)atomic_load(&listener->accepting);

	pthread_mutex_lock(&listener->lock);
	open += listener->open;
	pthread_mutex_unlock(&listener->lock);
	return open;
}

size_t
listener_busy_count(struct listener *listener)
{
	size_t busy;

	pthread_mutex_lock(&listener->lock);
	busy = listener->open - listener->kept;
	pthread_mutex_unlock(&listener->lock);
	return busy;
}
