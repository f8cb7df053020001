/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The parts of the stream driver: hold.c (commands, and the loop), holding.c
 * (one stream: HTTP, events, coming back).
 */
#ifndef BENCH_HOLD_H
#define BENCH_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http.h"

struct hold;

enum holding_state {
	HOLDING_AWAY,   /* not connected; comes back at again_us */
	HOLDING_ASKING, /* connected, and no answer yet */
	HOLDING_OPEN,   /* events flow */
	HOLDING_FROZEN, /* its reader does not read any more */
	HOLDING_STATES
};

/* What the next byte of an answer belongs to. */
enum holding_part {
	HOLDING_STATUS,
	HOLDING_HEADER,
	HOLDING_CHUNK, /* the line with its size */
	HOLDING_DATA,
	HOLDING_BEHIND, /* the line end behind it */
	HOLDING_END,
};

struct holding {
	struct hold *hold;
	int fd; /* -1: none */
	enum holding_state state;
	int64_t version;   /* of the last poke */
	int64_t opened_us; /* when it was opened the last time */
	int64_t again_us;  /* when to come back */
	long retry_ms;     /* as it was told */
	long pokes;
	bool awaited; /* to be told of the target */
	bool asked;
	/* The answer so far. */
	enum holding_part part;
	size_t left; /* of a chunk */
	char line[128], event[64];
	size_t line_length, event_length;
	int64_t id, data; /* of the event; -1: none */
	bool is_poke;
};

struct hold {
	struct http_address address;
	const char *prefix;
	int epoll;
	struct holding *holdings;
	size_t count, most;
	size_t in[HOLDING_STATES]; /* how many are */
	int64_t known;             /* the highest version seen */
	size_t reopened;           /* streams that came back */
	size_t refused;            /* answers other than 200 */
	size_t cut;                /* streams that ended without a word */
	/* What streams are waited for to be told of, and how many they are. */
	int64_t target;
	size_t awaited;
	bool all; /* also while they are away: they learn of it on return */
	void (*told)(struct hold *, const struct holding *);
	size_t errors; /* what must never happen */
	char first_error[160];
};

/* Notes what must never happen. */
void hold_error(struct hold *hold, const char *what, int64_t number);

/* What goes wrong outside of any stream ends the driver. */
_Noreturn void hold_die(const char *what);

/* A stream that is away, and knows of VERSION. */
void holding_init(struct holding *holding, struct hold *hold, int64_t version);

/* Begins to connect it, to ask. */
void holding_open(struct holding *holding);

/* Does what the connection is ready for: asks, or reads what has come. */
void holding_attend(struct holding *holding);

/* Reads no more, but stays connected. */
void holding_freeze(struct holding *holding);

/* Closes the connection, for good. */
void holding_close(struct holding *holding);

#endif
