/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * HTTP requests to the web server before replicache.fcgi; the only module that
 * knows libcurl.
 */
#ifndef REPLICACHE_HTTP_H
#define REPLICACHE_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "buffer.h"

struct error;

/* An answer to /metrics has some 20 kB; none here needs more. */
#define HTTP_BODY_MAX ((size_t)4 * 1024 * 1024)

struct http_request {
	const char *url;
	const char *accept;        /* or NULL */
	const char *authorization; /* or NULL */
	const char *post;          /* the body of a POST, else NULL */
	size_t post_size;          /* to which it is filled up by spaces */
	bool stream; /* go away when an event is there, or after wait_ms */
	long wait_ms;
};

struct http_answer {
	long status;     /* 0: the answer did not begin in time */
	bool cut;        /* the time was over before its end */
	char cache[128]; /* Cache-Control, "" if there is none */
	char type[128];  /* Content-Type, likewise */
	char age[32];    /* Age, which only a cache sends */
	struct buffer body;
};

/*
 * Asks. 0 with *ANSWER, which http_answer_fini() frees; -1 with
 * ERROR_UNAVAILABLE if there is no web server, or no answer that is HTTP.
 */
int http_ask(const struct http_request *request, struct http_answer *answer,
    struct error *error);

void http_answer_fini(struct http_answer *answer);

#endif
