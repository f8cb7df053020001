/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Records.
 */
#include "config.h"

#include "fastcgi.h"

#include <stdio.h>
#include <string.h>

/* FastCGI specification, section 8. */
#define HEADER 8
#define RESPONDER 1
#define KEEP 1

enum record_type {
	RECORD_BEGIN = 1,
	RECORD_END = 3,
	RECORD_PARAMS = 4,
	RECORD_STDIN = 5,
	RECORD_STDOUT = 6,
};

static char *
put_header(char *at, enum record_type type, size_t length)
{
	const unsigned char header[HEADER] = {1, (unsigned char)type, 0, 1,
	    (unsigned char)(length >> 8), (unsigned char)length, 0, 0};

	memcpy(at, header, HEADER);
	return at + HEADER;
}

/* Both are shorter than 128 bytes. */
static char *
put_pair(char *at, const char *name, const char *value)
{
	size_t name_length = strlen(name), value_length = strlen(value);

	*at++ = (char)name_length;
	*at++ = (char)value_length;
	memcpy(at, name, name_length);
	at += name_length;
	memcpy(at, value, value_length);
	return at + value_length;
}

size_t
fastcgi_begin(char *out, const char *path, const char *body, size_t length)
{
	static const char begin[] = {0, RESPONDER, KEEP, 0, 0, 0, 0, 0};
	char *at = put_header(out, RECORD_BEGIN, sizeof(begin)), *params;
	char number[24];

	memcpy(at, begin, sizeof(begin));
	at += sizeof(begin);
	params = at;
	at += HEADER;
	at = put_pair(at, "GATEWAY_INTERFACE", "CGI/1.1");
	at = put_pair(at, "SERVER_PROTOCOL", "HTTP/1.1");
	at = put_pair(at, "REQUEST_METHOD", body == NULL ? "GET" : "POST");
	at = put_pair(at, "PATH_INFO", path);
	if (body != NULL) {
		snprintf(number, sizeof(number), "%zu", length);
		at = put_pair(at, "CONTENT_TYPE", "application/json");
		at = put_pair(at, "CONTENT_LENGTH", number);
	}
	put_header(params, RECORD_PARAMS, (size_t)(at - params) - HEADER);
	at = put_header(at, RECORD_PARAMS, 0);
	if (body != NULL) {
		at = put_header(at, RECORD_STDIN, length);
		memcpy(at, body, length);
		at += length;
	}
	return (size_t)(put_header(at, RECORD_STDIN, 0) - out);
}

/* The record at AT, and what is behind its content. NULL if it is not whole. */
static char *
behind(char *at, const char *end, enum record_type *type, size_t *length)
{
	const unsigned char *header = (const unsigned char *)at;
	size_t padding;

	if (end - at < HEADER)
		return NULL;
	*type = header[1];
	*length = (size_t)header[4] << 8 | header[5];
	padding = header[6];
	return (size_t)(end - at) - HEADER < *length + padding
		   ? NULL
		   : at + HEADER + *length + padding;
}

bool
fastcgi_join(char *in, size_t *length)
{
	const char *end = in + *length;
	enum record_type type;
	char *to = in, *next;
	size_t size;

	/* Not before it is whole: what was joined can't be looked at again. */
	for (char *at = in;; at = next) {
		next = behind(at, end, &type, &size);
		if (next == NULL)
			return false;
		if (type == RECORD_END)
			break;
	}
	for (char *at = in;; at = next) {
		next = behind(at, end, &type, &size);
		if (type == RECORD_END)
			break;
		if (type != RECORD_STDOUT)
			continue;
		memmove(to, at + HEADER, size);
		to += size;
	}
	*length = (size_t)(to - in);
	return true;
}
