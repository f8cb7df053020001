/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The parts of the load driver: load.c (options, result), clients.c (the loop),
 * traffic.c (what is sent, and what must come back).
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http.h"

struct load;

struct client {
	struct http http;
	struct load *load;
	int number;
	long confirmed; /* last mutation ID the server has confirmed */
	long left;      /* requests it may still begin in this phase */
	int64_t began_us;
};

/* The longest Authorization. */
#define LOAD_TOKEN_MAX 1024

struct options {
	struct http_address address;
	const char *mode, *prefix, *tag, *expect, *cookie, *token;
	bool fastcgi;
	int connections, mutations, content, failing;
	double seconds, warmup;
	long count;
};

struct load {
	struct options options;
	struct client *clients; /* the last one is the storm's writer */
	int epoll, busy;
	char *body, *text;
	char cookie[32];
	int64_t end_us; /* of the phase */
	void (*request)(struct client *);
	const char *(*fault)(struct client *); /* of an answer, or NULL */
	/* What is measured. */
	bool measuring;
	uint32_t *latency, *first; /* microseconds of each answer */
	size_t done, size;
	long errors;
	int64_t elapsed_us;
	size_t bytes, rows;
	char first_error[256];
};

/* What goes wrong outside of any request ends the driver. */
_Noreturn void load_die(const char *what);

/* Makes the clients and connects them. */
void clients_start(struct load *load);

/* Every client asks again and again: first unmeasured, then measured. */
void clients_loop(struct load *load, void (*request)(struct client *),
    const char *(*fault)(struct client *));

/* Each client from FROM to before TO asks once; returns when all are answered.
 */
void clients_once(struct load *load, int from, int to,
    void (*request)(struct client *), const char *(*fault)(struct client *));

struct traffic {
	const char *name, *help;
	void (*run)(struct load *);
};

/* The modes; the last one's name is NULL. */
extern const struct traffic traffic[];

/* Allocates what requests are made in. */
void traffic_prepare(struct load *load);

#endif
