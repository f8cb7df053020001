/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fastcgi: what a web server makes of a request and of an answer, so that the
 * program can be asked without one (FastCGI specification, section 3).
 */
#ifndef BENCH_FASTCGI_H
#define BENCH_FASTCGI_H

#include <stdbool.h>
#include <stddef.h>

/* The bytes beside path, headers and body that a request may take. */
#define FASTCGI_MORE 1024

/* Writes the request to OUT, which has room for all and FASTCGI_MORE: POST with a
 * body, which is at most 65,535 bytes, GET when BODY is NULL. The connection is to
 * be kept. Returns its length. */
size_t fastcgi_begin(
    char *out, const char *path, const char *body, size_t length);

/*
 * Joins, in place, what the records in the *LENGTH bytes at IN say of the answer.
 * True when the last one is there: *LENGTH is then the answer's, a head as of CGI
 * and a body.
 */
bool fastcgi_join(char *in, size_t *length);

#endif
