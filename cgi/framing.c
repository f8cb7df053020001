/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A look at FastCGI records before libfcgi has them.
 */
#include "config.h"

#include "framing.h"

#include <stdbool.h>
#include <string.h>

/* FastCGI specification, section 8. */
#define FASTCGI_VERSION 1
#define FASTCGI_RESPONDER 1
#define HEADER_SIZE 8
#define BEGIN_SIZE 8

enum record_type {
	RECORD_BEGIN = 1,
	RECORD_PARAMS = 4,
	RECORD_STDIN = 5,
};

struct record {
	unsigned type;
	unsigned id;
	size_t content; /* bytes */
	size_t padding; /* bytes */
	const unsigned char *data;
};

/* Reads the header at AT. False while it is not there whole. */
static bool
read_header(const unsigned char *at, size_t left, struct record *record)
{
	if (left < HEADER_SIZE)
		return false;
	record->type = at[1];
	record->id = (unsigned)at[2] << 8 | at[3];
	record->content = (size_t)at[4] << 8 | at[5];
	record->padding = at[6];
	record->data = at + HEADER_SIZE;
	return true;
}

/* Reads the length of a name or value: one byte, or four. */
static bool
read_length(const unsigned char **at, const unsigned char *end, size_t *length)
{
	const unsigned char *p = *at;

	if (p == end)
		return false;
	if ((p[0] & 0x80) == 0) {
		*length = p[0];
		*at = p + 1;
		return true;
	}
	if (end - p < 4)
		return false;
	*length = (size_t)(p[0] & 0x7f) << 24 | (size_t)p[1] << 16 |
		  (size_t)p[2] << 8 | p[3];
	*at = p + 4;
	return true;
}

/* Walks the name-value pairs of all PARAMS together. */
static enum framing
judge_params(const unsigned char *params, size_t length)
{
	const unsigned char *at = params, *end = params + length;
	size_t count = 0;

	while (at < end) {
		size_t name, value;

		if (!read_length(&at, end, &name) ||
		    !read_length(&at, end, &value) ||
		    name + value > (size_t)(end - at))
			return FRAMING_BAD;
		/* To libfcgi a parameter is the C string `NAME=VALUE`, which
		 * it would cut at a NUL, and take `A=B` for A. */
		if (memchr(at, '=', name) != NULL ||
		    memchr(at, '\0', name + value) != NULL)
			return FRAMING_BAD;
		if (++count > FRAMING_PARAMS_MAX)
			return FRAMING_BAD;
		at += name + value;
	}
	return FRAMING_READY;
}

static bool
sound_begin(const unsigned char *bytes, const struct record *record)
{
	/* libfcgi does not skip padding here; no web server has any. */
	return bytes[0] == FASTCGI_VERSION && record->type == RECORD_BEGIN &&
	       record->id != 0 && record->content == BEGIN_SIZE &&
	       record->padding == 0;
}

/* What a walk over the records has come to. */
struct walk {
	unsigned id;
	bool params_end;
	size_t params; /* bytes in the scratch */
};

/* Takes one record behind BEGIN_REQUEST. MORE: go on. */
static enum framing
take_record(struct walk *walk, const unsigned char *header,
    const struct record *record, unsigned char *scratch)
{
	/* libfcgi forgets the padding of an empty record. */
	if (header[0] != FASTCGI_VERSION || record->id != walk->id ||
	    (record->content == 0 && record->padding != 0) ||
	    record->type != (walk->params_end ? RECORD_STDIN : RECORD_PARAMS))
		return FRAMING_BAD;
	if (walk->params_end)
		return record->content == 0 ? FRAMING_READY : FRAMING_MORE;
	if (record->content == 0) {
		enum framing judged = judge_params(scratch, walk->params);

		walk->params_end = true;
		return judged == FRAMING_READY ? FRAMING_MORE : judged;
	}
	if (walk->params + record->content > FRAMING_PARAMS_BYTES_MAX)
		return FRAMING_BAD;
	memcpy(scratch + walk->params, record->data, record->content);
	walk->params += record->content;
	return FRAMING_MORE;
}

enum framing
framing_judge(const unsigned char *bytes, size_t length, unsigned char *scratch)
{
	struct walk walk = {0};
	struct record record;
	size_t at = 0;

	if (!read_header(bytes, length, &record)) {
		return length > 0 && bytes[0] != FASTCGI_VERSION ? FRAMING_BAD
								 : FRAMING_MORE;
	}
	if (!sound_begin(bytes, &record))
		return FRAMING_BAD;
	if (length < HEADER_SIZE + BEGIN_SIZE)
		return FRAMING_MORE;
	if (record.data[0] != 0 || record.data[1] != FASTCGI_RESPONDER)
		return FRAMING_BAD;
	walk.id = record.id;
	for (at = HEADER_SIZE + BEGIN_SIZE; at < length;
	     at += HEADER_SIZE + record.content + record.padding) {
		enum framing judged;

		if (!read_header(bytes + at, length - at, &record))
			break;
		if (!walk.params_end &&
		    record.content + record.padding > length - at - HEADER_SIZE)
			break;
		judged = take_record(&walk, bytes + at, &record, scratch);
		if (judged == FRAMING_READY && length > at + HEADER_SIZE)
			return FRAMING_LONG;
		if (judged != FRAMING_MORE)
			return judged;
	}
	if (length < FRAMING_WINDOW)
		return walk.params_end ? FRAMING_BODY : FRAMING_MORE;
	return walk.params_end ? FRAMING_LONG : FRAMING_BAD;
}
