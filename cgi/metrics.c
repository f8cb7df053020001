/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Counting, and telling what was counted.
 */
#include "config.h"

#include "metrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include "buffer.h"

/* Statuses that have a counter of their own; any other is counted as 0: the
 * answer was cut, or the peer was gone before it began. */
static const int statuses[] = {
    0, 200, 204, 400, 401, 403, 404, 405, 409, 413, 415, 429, 431, 500, 503};
#define STATUSES (sizeof(statuses) / sizeof(statuses[0]))

/* Upper bounds, the last bucket is without one. */
#define BUCKETS 15
static const uint64_t size_bounds[BUCKETS] = {
    1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384};
static const uint64_t time_bounds[BUCKETS] = {100, 250, 500, 1000, 2500, 5000,
    10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 10000000};

struct histogram {
	_Atomic uint64_t buckets[BUCKETS + 1];
	_Atomic uint64_t sum;
};

/* A line of a counter or gauge. Lines of one name follow each other; the first
 * has the help. */
struct line {
	int what;
	const char *name, *labels, *help;
};

static const struct line counter_lines[] = {
    {METRICS_APPLIED, "mutations_total", "{result=\"applied\"}",
	"Mutations of committed batches, and those that had been before."},
    {METRICS_SKIPPED, "mutations_total", "{result=\"skipped\"}", NULL},
    {METRICS_FAILED, "mutations_total", "{result=\"failed\"}", NULL},
    {METRICS_PULL_ROWS, "pull_rows_total", "",
	"Rows read from the database for pulls."},
    {METRICS_PULL_BYTES, "pull_bytes_total", "", "Bytes of pull answers."},
    {METRICS_STREAMS_OPENED, "streams_opened_total", "{kind=\"stream\"}",
	"Clients that began to wait for changes."},
    {METRICS_POLLS_OPENED, "streams_opened_total", "{kind=\"longpoll\"}", NULL},
    {METRICS_REFUSED_FULL, "streams_refused_total", "{limit=\"process\"}",
	"Clients that were not let wait."},
    {METRICS_REFUSED_USER, "streams_refused_total", "{limit=\"user\"}", NULL},
    {METRICS_ENDED_GONE, "streams_ended_total", "{reason=\"gone\"}",
	"Clients that wait no more."},
    {METRICS_ENDED_STUCK, "streams_ended_total", "{reason=\"stuck\"}", NULL},
    {METRICS_ENDED_AGED, "streams_ended_total", "{reason=\"aged\"}", NULL},
    {METRICS_ENDED_DRAINED, "streams_ended_total", "{reason=\"drained\"}",
	NULL},
    {METRICS_ENDED_ANSWERED, "streams_ended_total", "{reason=\"answered\"}",
	NULL},
    {METRICS_POKES, "pokes_total", "", "Pokes written to streams."},
    {METRICS_HEARTBEATS, "heartbeats_total", "",
	"Heartbeats written to streams."},
    {METRICS_LISTEN_LOST, "listen_lost_total", "",
	"Connections for LISTEN that were lost."},
    {METRICS_LOST_HISTORY, "lost_history_total", "",
	"Pulls refused since the database does not know their cookie."},
};

static const struct line gauge_lines[] = {
    {METRICS_STREAMS, "streams", "{kind=\"stream\"}",
	"Clients that wait for changes."},
    {METRICS_POLLS, "streams", "{kind=\"longpoll\"}", NULL},
    {METRICS_LISTENING, "listening", "", "Whether changes are seen."},
};

static const char *const route_names[METRICS_ROUTES] = {
    [METRICS_OTHER] = "other",
    [METRICS_PUSH] = "push",
    [METRICS_PULL] = "pull",
    [METRICS_POKE] = "poke",
    [METRICS_HEALTH] = "health",
    [METRICS_METRICS] = "metrics",
};

static _Atomic uint64_t counters[METRICS_COUNTERS];
static _Atomic int64_t gauges[METRICS_GAUGES];
static struct histogram histograms[METRICS_HISTOGRAMS];
static _Atomic uint64_t requests[METRICS_ROUTES][STATUSES];

static void
add(_Atomic uint64_t *to, uint64_t n)
{
	atomic_fetch_add_explicit(to, n, memory_order_relaxed);
}

static uint64_t
get(_Atomic uint64_t *from)
{
	return atomic_load_explicit(from, memory_order_relaxed);
}

void
metrics_count(enum metrics_counter counter, uint64_t n)
{
	add(&counters[counter], n);
}

void
metrics_gauge(enum metrics_gauge gauge, int64_t n)
{
	atomic_fetch_add_explicit(&gauges[gauge], n, memory_order_relaxed);
}

void
metrics_observe(enum metrics_histogram histogram, uint64_t value)
{
	const uint64_t *bounds =
	    histogram == METRICS_BATCH_SIZE ? size_bounds : time_bounds;
	int i = 0;

	while (i < BUCKETS && value > bounds[i])
		i++;
	add(&histograms[histogram].buckets[i], 1);
	add(&histograms[histogram].sum, value);
}

void
metrics_request(enum metrics_route route, int status, uint64_t us)
{
	size_t i = STATUSES - 1;

	while (i > 0 && statuses[i] != status)
		i--;
	add(&requests[route][i], 1);
	metrics_observe(METRICS_DURATION + route, us);
}

void
metrics_write_line(struct buffer *to, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	buffer_append_string(to, text);
}

void
metrics_write_head(
    struct buffer *to, const char *name, const char *type, const char *help)
{
	metrics_write_line(to,
	    "# HELP replicache_%s %s\n# TYPE replicache_%s %s\n", name, help,
	    name, type);
}

static void
print_requests(struct buffer *to)
{
	metrics_write_head(to, "requests_total", "counter",
	    "Requests answered, by route and status; cut: not to the end.");
	for (size_t route = 0; route < METRICS_ROUTES; route++) {
		for (size_t i = 0; i < STATUSES; i++) {
			uint64_t n = get(&requests[route][i]);
			char status[8] = "cut";

			if (n == 0)
				continue;
			if (i > 0)
				snprintf(
				    status, sizeof(status), "%d", statuses[i]);
			metrics_write_line(to,
			    "replicache_requests_total{route=\"%s\",status="
			    "\"%s\"} %" PRIu64 "\n",
			    route_names[route], status, n);
		}
	}
}

static void
print_counters(struct buffer *to)
{
	for (size_t i = 0; i < sizeof(counter_lines) / sizeof(*counter_lines);
	     i++) {
		const struct line *line = &counter_lines[i];

		if (line->help != NULL)
			metrics_write_head(
			    to, line->name, "counter", line->help);
		metrics_write_line(to, "replicache_%s%s %" PRIu64 "\n",
		    line->name, line->labels, get(&counters[line->what]));
	}
	for (size_t i = 0; i < sizeof(gauge_lines) / sizeof(*gauge_lines);
	     i++) {
		const struct line *line = &gauge_lines[i];

		if (line->help != NULL)
			metrics_write_head(to, line->name, "gauge", line->help);
		metrics_write_line(to, "replicache_%s%s %" PRId64 "\n",
		    line->name, line->labels,
		    atomic_load_explicit(
			&gauges[line->what], memory_order_relaxed));
	}
}

/* One histogram; its numbers are UNIT of what is told. LABEL ends in a comma,
 * or is empty. */
static void
print_histogram(struct buffer *to, const char *name, const char *label,
    enum metrics_histogram which, const uint64_t *bounds, double unit)
{
	struct histogram *histogram = &histograms[which];
	uint64_t count = 0;
	int length = (int)strlen(label);

	for (int i = 0; i < BUCKETS; i++) {
		count += get(&histogram->buckets[i]);
		metrics_write_line(to,
		    "replicache_%s_bucket{%sle=\"%g\"} %" PRIu64 "\n", name,
		    label, (double)bounds[i] * unit, count);
	}
	count += get(&histogram->buckets[BUCKETS]);
	metrics_write_line(to,
	    "replicache_%s_bucket{%sle=\"+Inf\"} %" PRIu64 "\n", name, label,
	    count);
	metrics_write_line(to, "replicache_%s_sum{%.*s} %.9g\n", name,
	    length > 0 ? length - 1 : 0, label,
	    (double)get(&histogram->sum) * unit);
	metrics_write_line(to, "replicache_%s_count{%.*s} %" PRIu64 "\n", name,
	    length > 0 ? length - 1 : 0, label, count);
}

static void
print_histograms(struct buffer *to)
{
	metrics_write_head(
	    to, "batch_mutations", "histogram", "Mutations of a transaction.");
	print_histogram(
	    to, "batch_mutations", "", METRICS_BATCH_SIZE, size_bounds, 1);
	metrics_write_head(to, "lock_held_seconds", "histogram",
	    "How long the version lock was held, and waited for, at most: "
	    "a transaction from its sending to the answer of COMMIT.");
	print_histogram(
	    to, "lock_held_seconds", "", METRICS_LOCK_HELD, time_bounds, 1e-6);
	metrics_write_head(to, "request_duration_seconds", "histogram",
	    "From a request's arrival to the end of its answer, or to its "
	    "being held.");
	for (size_t route = 0; route < METRICS_ROUTES; route++) {
		char label[32];

		snprintf(
		    label, sizeof(label), "route=\"%s\",", route_names[route]);
		print_histogram(to, "request_duration_seconds", label,
		    METRICS_DURATION + (enum metrics_histogram)route,
		    time_bounds, 1e-6);
	}
}

void
metrics_write(struct buffer *to)
{
	print_requests(to);
	print_counters(to);
	print_histograms(to);
}
