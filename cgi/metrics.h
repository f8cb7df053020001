/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Metrics: what this process did since its start, as counters, gauges and
 * histograms of fixed size, told as Prometheus text (exposition format 0.0.4).
 *
 * They are the process's own, like its log: any thread counts, without a lock
 * and without an order between counters.
 */
#ifndef REPLICACHE_METRICS_H
#define REPLICACHE_METRICS_H

#include <stdint.h>

struct buffer;

/* Whose requests are counted together. */
enum metrics_route {
	METRICS_OTHER, /* no route */
	METRICS_PUSH,
	METRICS_PULL,
	METRICS_POKE,
	METRICS_HEALTH,
	METRICS_METRICS,
	METRICS_ROUTES
};

/* What only grows. */
enum metrics_counter {
	METRICS_APPLIED, /* mutations */
	METRICS_SKIPPED,
	METRICS_FAILED,
	METRICS_PULL_ROWS,
	METRICS_PULL_BYTES,
	METRICS_STREAMS_OPENED,
	METRICS_POLLS_OPENED,
	METRICS_REFUSED_FULL,
	METRICS_REFUSED_USER,
	METRICS_POKES,
	METRICS_HEARTBEATS,
	METRICS_ENDED_GONE,
	METRICS_ENDED_STUCK,
	METRICS_ENDED_AGED,
	METRICS_ENDED_DRAINED,
	METRICS_ENDED_ANSWERED,
	METRICS_LISTEN_LOST,
	METRICS_LOST_HISTORY,
	METRICS_COUNTERS
};

/* What goes up and down. */
enum metrics_gauge {
	METRICS_STREAMS,
	METRICS_POLLS,
	METRICS_LISTENING,
	METRICS_GAUGES
};

/* Distributions. Times are in microseconds. */
enum metrics_histogram {
	METRICS_BATCH_SIZE, /* mutations of a transaction */
	METRICS_LOCK_HELD,
	METRICS_DURATION, /* of requests; and of each route */
	METRICS_HISTOGRAMS = METRICS_DURATION + METRICS_ROUTES
};

/* Adds N to a counter. */
void metrics_count(enum metrics_counter counter, uint64_t n);

/* Adds N, perhaps negative, to a gauge. */
void metrics_gauge(enum metrics_gauge gauge, int64_t n);

/* Enters VALUE, in the unit of the histogram. */
void metrics_observe(enum metrics_histogram histogram, uint64_t value);

/* A request of ROUTE was answered with STATUS, US after it came. */
void metrics_request(enum metrics_route route, int status, uint64_t us);

/* Appends it all. */
void metrics_write(struct buffer *to);

/* Appends the line that begins a metric, for one that is not kept here; TYPE is
 * counter or gauge. */
void metrics_write_head(
    struct buffer *to, const char *name, const char *type, const char *help);

/* Appends a line, as printf() does: up to 255 bytes. */
void metrics_write_line(struct buffer *to, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
