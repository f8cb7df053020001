/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: any bytes are judged as a connection that grows, as they are
 * and as the parameters of a request. What was decided stays decided. What is
 * called a request goes on to libfcgi, which must read it as it is read here:
 * the same parameters, the same body.
 */
#include "config.h"

#include "fuzz.h"

#include <sys/socket.h>
#include <unistd.h>

#include "fastcgi.h"
#include "framing.h"

const struct fuzz_target fuzz_target = FUZZ_TARGET(
    "fuzz/framing", "\0\0\0\1\1\1\2\3\4\4\5\5\6\x08\x10\x7f\x80\x81\xff=A");

/* The types of records, FastCGI specification section 8. */
#define PARAMS 4
#define BODY 5

/* Of BEGIN_REQUEST, what the web server says of keeping the connection. */
#define KEEP_AT 10

/* Beginnings of a connection that are judged, at most. */
#define STEPS 64

/* Of memory that ends where the bytes do. */
static enum framing
judge(const uint8_t *data, size_t size)
{
	unsigned char *bytes = malloc(size + (size == 0));
	unsigned char *scratch = malloc(FRAMING_PARAMS_BYTES_MAX);
	enum framing judged;

	fuzz_check(bytes != NULL && scratch != NULL);
	if (size > 0)
		memcpy(bytes, data, size);
	judged = framing_judge(bytes, size, scratch);
	free(scratch);
	free(bytes);
	return judged;
}

/* LONG and BAD are for ever, READY turns LONG; nothing goes back from BODY to
 * MORE. */
static void
grow(const uint8_t *data, size_t size)
{
	enum framing before = FRAMING_MORE;

	for (size_t n = 0; n <= size; n += size / STEPS + 1) {
		enum framing judged = judge(data, n);

		fuzz_check(judged <= FRAMING_BAD);
		if (before == FRAMING_LONG || before == FRAMING_BAD)
			fuzz_check(judged == before);
		if (before == FRAMING_READY)
			fuzz_check(judged == FRAMING_LONG);
		if (before == FRAMING_BODY)
			fuzz_check(judged != FRAMING_MORE);
		before = judged;
	}
}

/* A record with SIZE bytes of content. Returns its length. */
static size_t
put_record(uint8_t *at, uint8_t type, const uint8_t *content, size_t size)
{
	const uint8_t header[8] = {
	    1, type, 0, 1, (uint8_t)(size >> 8), (uint8_t)size, 0, 0};

	memcpy(at, header, sizeof(header));
	if (size > 0)
		memcpy(at + sizeof(header), content, size);
	return sizeof(header) + size;
}

/* All content of the records of TYPE in the request DATA, one behind another,
 * at TO. Returns its size. */
static size_t
content_of(uint8_t type, const uint8_t *data, size_t size, uint8_t *to)
{
	size_t at = 0, n = 0;

	while (size - at >= 8) {
		const uint8_t *header = data + at;
		size_t content = (size_t)header[4] << 8 | header[5];

		at += 8 + content + header[6];
		fuzz_check(at <= size);
		if (header[1] == type && content == 0)
			break;
		if (header[1] == type)
			memcpy(to + n, header + 8, content);
		n += header[1] == type ? content : 0;
	}
	return n;
}

static size_t
length_of(struct fuzz_input *params)
{
	size_t length = fuzz_byte(params);

	if ((length & 0x80) == 0)
		return length;
	length = (length & 0x7f) << 8 | fuzz_byte(params);
	length = length << 8 | fuzz_byte(params);
	return length << 8 | fuzz_byte(params);
}

/* The next parameter; NULL at the end. */
static char *
next_param(struct fuzz_input *params, char **value_out)
{
	size_t name, value;
	char *text;

	if (params->at == params->end)
		return NULL;
	name = length_of(params);
	value = length_of(params);
	fuzz_check(name + value <= (size_t)(params->end - params->at));
	text = fuzz_copy(params->at, name);
	*value_out = fuzz_copy(params->at + name, value);
	params->at += name + value;
	return text;
}

/* Of two parameters of one name the first counts. */
static bool
was_before(const struct fuzz_input *params, const char *name, size_t count)
{
	struct fuzz_input from = *params;
	bool found = false;

	for (size_t i = 0; i < count; i++) {
		char *value, *other = next_param(&from, &value);

		found = found || strcmp(other, name) == 0;
		free(other);
		free(value);
	}
	return found;
}

static void
check_params(struct transport *transport, const uint8_t *bytes, size_t size)
{
	const struct fuzz_input all = {bytes, bytes + size};
	struct fuzz_input params = all;
	char *name, *value;

	for (size_t n = 0; (name = next_param(&params, &value)) != NULL; n++) {
		const char *got = transport->ops->param(transport, name);

		/* To libfcgi, `A=B` would be A. */
		fuzz_check(strchr(name, '=') == NULL);
		if (!was_before(&all, name, n))
			fuzz_check(got != NULL && strcmp(got, value) == 0);
		free(name);
		free(value);
	}
}

static void
check_body(struct transport *transport, const uint8_t *bytes, size_t size)
{
	char *got = fuzz_copy("", 0);
	size_t at = 0;
	ssize_t n;

	do {
		got = realloc(got, at + 100);
		fuzz_check(got != NULL);
		n = transport->ops->read(transport, got + at, 100);
		fuzz_check(n >= 0);
		at += (size_t)n;
	} while (n > 0);
	fuzz_check(at == size);
	fuzz_check(memcmp(got, bytes, size) == 0);
	free(got);
}

/* Where a connection came back to. */
struct back {
	int closed, answered;
};

static void
note_closed(void *context, int fd)
{
	((struct back *)context)->closed = fd;
}

static bool
may_keep(void *context, int fd)
{
	(void)context;
	(void)fd;
	return true;
}

static void
note_answered(void *context, int fd)
{
	((struct back *)context)->answered = fd;
}

/* Gives a request that was found good to libfcgi. Of one with nothing BEHIND it
 * nothing is left, whatever comes next on its connection. */
static void
check_fastcgi(const uint8_t *data, size_t size, bool behind)
{
	struct back back = {-1, -1};
	const struct fastcgi_owner owner = {
	    note_closed, may_keep, note_answered, &back};
	bool keep = (data[KEEP_AT] & 1) != 0;
	char left;
	static uint8_t content[FRAMING_WINDOW];
	static bool ready;
	int fds[2];
	struct transport *transport;

	if (!ready)
		fuzz_check(fastcgi_init() == 0);
	ready = true;
	fuzz_check(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	fuzz_check(write(fds[0], data, size) == (ssize_t)size);
	/* What libfcgi would wait for in vain looks like the end. */
	shutdown(fds[0], SHUT_WR);
	transport = fastcgi_open(fds[1], 1000, &owner);
	fuzz_check(transport != NULL);
	check_params(
	    transport, content, content_of(PARAMS, data, size, content));
	check_body(transport, content, content_of(BODY, data, size, content));
	transport->ops->end(transport, true);
	fuzz_check(back.closed == (keep ? -1 : fds[1]));
	fuzz_check(back.answered == (keep ? fds[1] : -1));
	if (keep && !behind)
		fuzz_check(recv(fds[1], &left, 1, MSG_DONTWAIT) == 0);
	if (keep)
		close(fds[1]);
	close(fds[0]);
}

/* Judges what comes in pieces, and if it is a request, reads it. */
static void
check_connection(const uint8_t *data, size_t size)
{
	enum framing judged = judge(data, size);

	grow(data, size);
	if (size < FRAMING_WINDOW &&
	    (judged == FRAMING_READY || judged == FRAMING_LONG))
		check_fastcgi(data, size, judged == FRAMING_LONG);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t begin[8] = {0, 1};
	static uint8_t request[FRAMING_WINDOW];
	size_t n, params = size < 32768 ? size : 32768;

	check_connection(data, size);
	n = put_record(request, 1, begin, sizeof(begin));
	if (params > 0)
		n += put_record(request + n, PARAMS, data, params);
	n += put_record(request + n, PARAMS, NULL, 0);
	n += put_record(request + n, BODY, NULL, 0);
	check_connection(request, n);
	return 0;
}
