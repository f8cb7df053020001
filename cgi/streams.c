/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The thread of the streams: an epoll set, and what is due when.
 */
#include "config.h"

#include "streams.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "changes.h"
#include "clock.h"
#include "error.h"
#include "faults.h"
#include "metrics.h"
#include "quota.h"
#include "settings.h"

/* What a client is told to wait before it opens a stream that was cut: from
 * this to twice of it, so that they do not come all at once. */
#define RETRY_MS 1000

/* At the end of the process, a stream more is a ms more over which they come
 * back: a thousand a second. */
#define RETRY_SPREAD_MS 1

/* Ages differ by up to a quarter, so that streams that were opened together do
 * not end together. */
#define AGE_PART 4

/* The pause after all streams were looked after: what is due within it is
 * done together. */
#define LOOK_PAUSE_MS 20

/* Events taken at a time. */
#define EVENTS 256

#define STREAMS_STACK ((size_t)256 * 1024)

struct streams {
	const struct settings *settings;
	struct changes *changes;
	int epoll, wake;
	pthread_t thread;
	bool started;
	_Atomic int64_t version;

	/* What other threads say, under the lock: */
	pthread_mutex_t lock;
	struct quota quota;
	size_t count, most;
	struct stream *added; /* handed over, the last one first */
	bool again;           /* all are to be poked */
	bool draining, stop;

	/* The thread's own: */
	struct stream *first;
	int64_t due;   /* clock_ms() when some stream needs something */
	int64_t round; /* clock_ms() when streams are poked, or INT64_MAX */
	int64_t told;  /* the version of the last round */
	unsigned seed;
};

static void
signal_wake(struct streams *streams)
{
	uint64_t one = 1;

	/* Fails only when it is signalled beyond counting. */
	if (write(streams->wake, &one, sizeof(one)) < 0)
		return;
}

int64_t
streams_version(struct streams *streams)
{
	return atomic_load(&streams->version);
}

size_t
streams_count(struct streams *streams)
{
	size_t count;

	pthread_mutex_lock(&streams->lock);
	count = streams->count;
	pthread_mutex_unlock(&streams->lock);
	return count;
}

/* For the changes. */
static void
tell(void *context, int64_t version, bool again)
{
	struct streams *streams = context;
	int64_t before = atomic_exchange(&streams->version, version);

	/* A lower one: a backup was restored. */
	again = again || version < before;
	pthread_mutex_lock(&streams->lock);
	streams->again |= again;
	pthread_mutex_unlock(&streams->lock);
	if (again || version != before)
		signal_wake(streams);
}

static bool
is_needed(void *context)
{
	return streams_count(context) > 0;
}

static long
jitter(unsigned *seed, long most)
{
	return most <= 0 ? 0 : rand_r(seed) % most;
}

struct stream *
streams_admit(struct streams *streams, enum stream_kind kind, int64_t version,
    const char *user, struct error *error)
{
	const struct settings *settings = streams->settings;
	struct stream *stream = calloc(1, sizeof(*stream));
	enum error_code code = ERROR_UNAVAILABLE;
	bool full;

	if (stream == NULL) {
		error_set(error, code, "out of memory");
		return NULL;
	}
	stream->kind = kind;
	stream->version = version;
	pthread_mutex_lock(&streams->lock);
	if (streams->count >= streams->most) {
		code = ERROR_POKE_FULL;
		metrics_count(METRICS_REFUSED_FULL, 1);
	} else if (user != NULL &&
		   (stream->user = quota_take(&streams->quota, user,
			settings->poke_user_streams, &full)) == NULL) {
		if (full) {
			code = ERROR_POKE_USER_FULL;
			metrics_count(METRICS_REFUSED_USER, 1);
		}
	} else {
		code = ERROR_NONE;
		streams->count++;
	}
	pthread_mutex_unlock(&streams->lock);
	if (code == ERROR_NONE && changes_start(streams->changes) == 0)
		return stream;
	if (code == ERROR_NONE) {
		streams_dismiss(streams, stream);
		code = ERROR_UNAVAILABLE;
	} else {
		free(stream);
	}
	error_set(error, code, "no stream more");
	return NULL;
}

void
streams_dismiss(struct streams *streams, struct stream *stream)
{
	pthread_mutex_lock(&streams->lock);
	streams->count--;
	quota_give(&streams->quota, stream->user);
	pthread_mutex_unlock(&streams->lock);
	free(stream);
}

void
streams_add(struct streams *streams, struct stream *stream,
    const struct transport_taken *taken, const char *head, size_t length)
{
	int64_t now = clock_ms();
	unsigned seed = (unsigned)clock_us() ^ (unsigned)taken->fd;
	long retry = RETRY_MS + jitter(&seed, RETRY_MS);
	long age = streams->settings->poke_age;
	bool polls = stream->kind == STREAM_POLL;

	stream->ends = polls ? now + streams->settings->poke_wait
			     : now + age - jitter(&seed, age / AGE_PART);
	metrics_count(polls ? METRICS_POLLS_OPENED : METRICS_STREAMS_OPENED, 1);
	stream_begin(stream, taken, now);
	if (stream_open(stream, head, length, retry, streams_version(streams),
		now) < 0) {
		metrics_count(METRICS_ENDED_GONE, 1);
		stream_close(stream);
		streams_dismiss(streams, stream);
		return;
	}
	if (stream->poked != 0)
		metrics_count(METRICS_POKES, 1);
	metrics_gauge(polls ? METRICS_POLLS : METRICS_STREAMS, 1);
	pthread_mutex_lock(&streams->lock);
	stream->next = streams->added;
	streams->added = stream;
	pthread_mutex_unlock(&streams->lock);
	signal_wake(streams);
}

void
streams_drain(struct streams *streams)
{
	pthread_mutex_lock(&streams->lock);
	streams->draining = true;
	pthread_mutex_unlock(&streams->lock);
	signal_wake(streams);
}

/* Below, the thread. */

static void
link_stream(struct streams *streams, struct stream *stream)
{
	stream->previous = NULL;
	stream->next = streams->first;
	if (streams->first != NULL)
		streams->first->previous = stream;
	streams->first = stream;
}

static void
unlink_stream(struct streams *streams, struct stream *stream)
{
	if (stream->previous != NULL)
		stream->previous->next = stream->next;
	else
		streams->first = stream->next;
	if (stream->next != NULL)
		stream->next->previous = stream->previous;
}

/* Closes STREAM and forgets it; WHY is a counter. */
static void
drop(struct streams *streams, struct stream *stream, enum metrics_counter why)
{
	metrics_count(why, 1);
	metrics_gauge(
	    stream->kind == STREAM_POLL ? METRICS_POLLS : METRICS_STREAMS, -1);
	unlink_stream(streams, stream);
	stream_close(stream);
	streams_dismiss(streams, stream);
}

/* Ends STREAM in order. */
static void
end(struct streams *streams, struct stream *stream, enum metrics_counter why,
    long spread)
{
	stream_end(stream, streams_version(streams),
	    RETRY_MS + jitter(&streams->seed, RETRY_MS + spread));
	drop(streams, stream, why);
}

/* When STREAM needs something next. */
static int64_t
due_at(const struct settings *settings, const struct stream *stream)
{
	int64_t at = stream->ends, other = at;

	if (stream->blocked != 0)
		other = stream->blocked + settings->write_timeout;
	else if (stream->kind == STREAM_EVENTS)
		other = stream->written + settings->poke_heartbeat;
	return other < at ? other : at;
}

/* Has the kernel tell when there is room again, as long as there is none, and
 * the clock that the stream is given up in the end. */
static int
arm(struct streams *streams, struct stream *stream, int operation)
{
	bool blocked = stream->blocked != 0;
	struct epoll_event event = {
	    .events = EPOLLIN | EPOLLRDHUP | (blocked ? EPOLLOUT : 0U),
	    .data.ptr = stream};

	if (operation == EPOLL_CTL_MOD && stream->armed == blocked)
		return 0;
	stream->armed = blocked;
	if (due_at(streams->settings, stream) < streams->due)
		streams->due = due_at(streams->settings, stream);
	return epoll_ctl(streams->epoll, operation, stream->fd, &event);
}

/* Pokes STREAM, which is behind, if it was not poked just now. */
static void
poke(struct streams *streams, struct stream *stream, int64_t now)
{
	int64_t version = streams_version(streams);

	if (stream->kind == STREAM_POLL) {
		end(streams, stream, METRICS_ENDED_ANSWERED, 0);
		return;
	}
	if (stream->blocked != 0)
		return;
	if (stream->poked != 0 && now < stream->poked + STREAM_PAUSE_MS) {
		if (stream->poked + STREAM_PAUSE_MS < streams->round)
			streams->round = stream->poked + STREAM_PAUSE_MS;
		return;
	}
	if (stream_poke(stream, version, now) < 0 ||
	    arm(streams, stream, EPOLL_CTL_MOD) < 0) {
		drop(streams, stream, METRICS_ENDED_GONE);
		return;
	}
	if (stream->poked == now)
		metrics_count(METRICS_POKES, 1);
	FAULT(POKED);
}

/* Pokes all that are behind. */
static void
poke_all(struct streams *streams, int64_t now)
{
	struct stream *stream, *next;
	int64_t version = streams_version(streams);

	streams->round = INT64_MAX;
	for (stream = streams->first; stream != NULL; stream = next) {
		next = stream->next;
		if (stream_is_behind(stream, version))
			poke(streams, stream, now);
	}
}

/* Does what is due: ends, heartbeats, drops. */
static void
look_after(struct streams *streams, int64_t now)
{
	const struct settings *settings = streams->settings;
	struct stream *stream, *next;

	streams->due = INT64_MAX;
	for (stream = streams->first; stream != NULL; stream = next) {
		int64_t due = due_at(settings, stream);

		next = stream->next;
		if (due > now) {
			if (due < streams->due)
				streams->due = due;
		} else if (stream->blocked != 0) {
			drop(streams, stream, METRICS_ENDED_STUCK);
		} else if (now >= stream->ends) {
			end(streams, stream,
			    stream->kind == STREAM_POLL ? METRICS_ENDED_ANSWERED
							: METRICS_ENDED_AGED,
			    0);
		} else if (stream_beat(stream, now) < 0 ||
			   arm(streams, stream, EPOLL_CTL_MOD) < 0) {
			drop(streams, stream, METRICS_ENDED_GONE);
		} else {
			metrics_count(METRICS_HEARTBEATS, 1);
			due = due_at(settings, stream);
			if (due < streams->due)
				streams->due = due;
		}
	}
	if (streams->due < now + LOOK_PAUSE_MS)
		streams->due = now + LOOK_PAUSE_MS;
}

/* Takes in what workers handed over. */
static void
take_added(struct streams *streams, struct stream *added)
{
	struct stream *stream;

	while ((stream = added) != NULL) {
		added = stream->next;
		link_stream(streams, stream);
		if (arm(streams, stream, EPOLL_CTL_ADD) < 0) {
			drop(streams, stream, METRICS_ENDED_GONE);
			continue;
		}
		/* The version moved on since it was opened, or is not known to
		 * a poll: its round comes. */
		if (stream_is_behind(stream, streams_version(streams)))
			streams->round = 0;
	}
}

static void
end_all(struct streams *streams)
{
	long spread = 0;

	for (const struct stream *s = streams->first; s != NULL; s = s->next)
		spread += RETRY_SPREAD_MS;
	while (streams->first != NULL)
		end(streams, streams->first, METRICS_ENDED_DRAINED, spread);
}

/* Another thread said something. False: the end. */
static bool
hear(struct streams *streams)
{
	struct stream *added;
	bool again, draining, stop;
	uint64_t count;

	if (read(streams->wake, &count, sizeof(count)) < 0)
		return true;
	pthread_mutex_lock(&streams->lock);
	added = streams->added;
	streams->added = NULL;
	again = streams->again;
	streams->again = false;
	draining = streams->draining;
	stop = streams->stop;
	pthread_mutex_unlock(&streams->lock);
	take_added(streams, added);
	if (draining || stop)
		end_all(streams);
	if (again)
		for (struct stream *s = streams->first; s != NULL; s = s->next)
			s->version = STREAM_VERSION_NONE;
	if (again || streams_version(streams) != streams->told) {
		streams->told = streams_version(streams);
		streams->round = 0;
	}
	return !stop;
}

/* Something happened to a connection. */
static void
attend(struct streams *streams, struct stream *stream, uint32_t events)
{
	int64_t now = clock_ms();

	/* The web server closed it, because the browser did, or sends more
	 * than a request: FCGI_ABORT_REQUEST. */
	if ((events & ~(uint32_t)EPOLLOUT) != 0 ||
	    stream_flush(stream, now) < 0 ||
	    arm(streams, stream, EPOLL_CTL_MOD) < 0) {
		drop(streams, stream, METRICS_ENDED_GONE);
		return;
	}
	if (stream_is_behind(stream, streams_version(streams)))
		poke(streams, stream, now);
}

/* How long the thread may sleep. */
static int
patience(const struct streams *streams)
{
	int64_t until =
	    streams->due < streams->round ? streams->due : streams->round;
	int64_t left;

	if (until == INT64_MAX)
		return -1;
	left = until - clock_ms();
	if (left < 0)
		return 0;
	return left > INT_MAX ? INT_MAX : (int)left;
}

static void *
work(void *argument)
{
	struct streams *streams = argument;
	bool going = true;

	while (going) {
		struct epoll_event events[EVENTS];
		bool heard = false;
		int n = epoll_wait(
		    streams->epoll, events, EVENTS, patience(streams));
		int64_t now;

		/* A stream is in EVENTS once, so what is dropped here is not
		 * seen again; what is dropped below is in no event. */
		for (int i = 0; i < n; i++)
			if (events[i].data.ptr == NULL)
				heard = true;
			else
				attend(streams, events[i].data.ptr,
				    events[i].events);
		if (heard)
			going = hear(streams);
		now = clock_ms();
		if (now >= streams->round)
			poke_all(streams, now);
		if (now >= streams->due)
			look_after(streams, now);
	}
	return NULL;
}

static int
start_thread(struct streams *streams)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
	pthread_attr_t attributes;

	streams->epoll = epoll_create1(EPOLL_CLOEXEC);
	streams->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (streams->epoll < 0 || streams->wake < 0 ||
	    epoll_ctl(streams->epoll, EPOLL_CTL_ADD, streams->wake, &event) < 0)
		return -1;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STREAMS_STACK);
	streams->started =
	    pthread_create(&streams->thread, &attributes, work, streams) == 0;
	pthread_attr_destroy(&attributes);
	return streams->started ? 0 : -1;
}

struct streams *
streams_new(const struct settings *settings, size_t most, struct error *error)
{
	struct streams *streams = calloc(1, sizeof(*streams));
	struct changes_reader reader = {tell, is_needed, streams};

	if (streams == NULL) {
		error_set(error, ERROR_CONFIG, "out of memory");
		return NULL;
	}
	streams->settings = settings;
	streams->most = most;
	streams->epoll = streams->wake = -1;
	streams->due = streams->round = INT64_MAX;
	streams->told = STREAM_VERSION_NONE;
	atomic_init(&streams->version, STREAM_VERSION_NONE);
	streams->seed = (unsigned)clock_us();
	pthread_mutex_init(&streams->lock, NULL);
	streams->changes = changes_new(settings, &reader);
	if (streams->changes == NULL || start_thread(streams) < 0) {
		error_set(error, ERROR_CONFIG,
		    "the thread of the streams can't be started: %s",
		    strerror(errno));
		streams_free(streams);
		return NULL;
	}
	return streams;
}

void
streams_free(struct streams *streams)
{
	if (streams == NULL)
		return;
	/* First who tells, then who is told. */
	changes_free(streams->changes);
	if (streams->started) {
		pthread_mutex_lock(&streams->lock);
		streams->stop = true;
		pthread_mutex_unlock(&streams->lock);
		signal_wake(streams);
		pthread_join(streams->thread, NULL);
	}
	if (streams->epoll >= 0)
		close(streams->epoll);
	if (streams->wake >= 0)
		close(streams->wake);
	pthread_mutex_destroy(&streams->lock);
	free(streams);
}
