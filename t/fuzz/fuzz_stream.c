/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: a client of /poke that states any version in any way, whose
 * connection is handed over, pokes and pauses, on a socket that takes as much
 * as it likes. What was sent, put together, is an answer of FastCGI records and
 * in it a stream of events: versions rise, the last one is the newest, and
 * nothing is in it by halves.
 *
 * Input: a byte of how, Last-Event-ID and the query, each a line, then steps of
 * two bytes. Linked with --wrap=send and --wrap=streams_..., in whose place
 * this is: it does what streams.c does, without a thread.
 */
#include "config.h"

#include "fuzz.h"

#include <ctype.h>
#include <errno.h>
#include <sys/socket.h>

#include "app.h"
#include "error.h"
#include "exchange.h"
#include "poke.h"
#include "response.h"
#include "settings.h"
#include "stream.h"
#include "streams.h"
#include "transport.h"

const struct fuzz_target fuzz_target = FUZZ_TARGET(
    "fuzz/stream", "\n=&vers019\0\1\2\3\4\5\6\7\x08\x0a\x10\x20\x40\x80\xff");

/* Bits of the first byte. */
#define EVENTS 1u  /* an event stream, else a poll */
#define UNKNOWN 2u /* no version is known yet */
#define CUT 4u     /* the peer goes away before it is handed over */
#define ALLOWED 8u /* the page is of an allowed origin */

#define REQUEST 258 /* the ID of the FastCGI request */
#define STEPS_MAX 200
#define SENT_MAX ((size_t)64 * 1024)
#define RETRY 1500
#define PLENTY ((size_t)1 << 20)

/* The one client. */
static struct {
	int64_t version; /* of the database */
	bool cut;
	struct stream *stream; /* that was admitted */
	int64_t known;         /* what it was said to know */
	bool held;             /* it was handed over */
	bool over;             /* it was told to be gone */
	int64_t now;
	/* The socket: */
	unsigned char sent[SENT_MAX];
	size_t length, room;
	bool gone, interrupted, no_buffers;
} client;

ssize_t __wrap_send(int fd, const void *bytes, size_t size, int flags);
int64_t __wrap_streams_version(struct streams *streams);
struct stream *__wrap_streams_admit(struct streams *streams,
    enum stream_kind kind, int64_t version, const char *user,
    struct error *error);
void __wrap_streams_dismiss(struct streams *streams, struct stream *stream);
void __wrap_streams_add(struct streams *streams, struct stream *stream,
    const struct transport_taken *taken, const char *head, size_t length);

ssize_t
__wrap_send(int fd, const void *bytes, size_t size, int flags)
{
	(void)fd;
	fuzz_check((flags & MSG_DONTWAIT) != 0 && (flags & MSG_NOSIGNAL) != 0);
	fuzz_check(size > 0);
	if (client.interrupted) {
		client.interrupted = false;
		errno = EINTR;
		return -1;
	}
	if (client.gone || client.room == 0) {
		errno = client.gone         ? EPIPE
			: client.no_buffers ? ENOBUFS
					    : EAGAIN;
		return -1;
	}
	if (size > client.room)
		size = client.room;
	client.room -= size;
	fuzz_check(client.length + size <= SENT_MAX);
	memcpy(client.sent + client.length, bytes, size);
	client.length += size;
	return (ssize_t)size;
}

int64_t
__wrap_streams_version(struct streams *streams)
{
	(void)streams;
	return client.version;
}

struct stream *
__wrap_streams_admit(struct streams *streams, enum stream_kind kind,
    int64_t version, const char *user, struct error *error)
{
	(void)streams;
	(void)error;
	fuzz_check(client.stream == NULL && user == NULL);
	client.stream = calloc(1, sizeof(*client.stream));
	fuzz_check(client.stream != NULL);
	client.stream->kind = kind;
	client.stream->version = version;
	return client.stream;
}

void
__wrap_streams_dismiss(struct streams *streams, struct stream *stream)
{
	(void)streams;
	fuzz_check(client.cut && stream == client.stream && !client.held);
}

void
__wrap_streams_add(struct streams *streams, struct stream *stream,
    const struct transport_taken *taken, const char *head, size_t length)
{
	(void)streams;
	fuzz_check(stream == client.stream && !client.held);
	client.held = true;
	stream_begin(stream, taken, client.now);
	if (stream_open(
		stream, head, length, RETRY, client.version, client.now) < 0)
		client.over = true;
}

static int
take(struct transport *transport, struct transport_taken *taken)
{
	(void)transport;
	if (client.cut)
		return -1;
	*taken = (struct transport_taken){.fd = -1, .id = REQUEST};
	return 0;
}

/* The version that TEXT is, or 0: at most 18 digits and nothing else. */
static int64_t
version_of(const char *text, size_t length)
{
	int64_t version = 0;

	if (length == 0 || length > 18)
		return 0;
	for (size_t i = 0; i < length; i++) {
		if (!isdigit((unsigned char)text[i]))
			return 0;
		version = version * 10 + (text[i] - '0');
	}
	return version;
}

/* What a client that sends these knows of. */
static int64_t
expected_version(const char *last_event_id, const char *query)
{
	int64_t version = version_of(last_event_id, strlen(last_event_id));

	while (version == 0 && *query != '\0') {
		size_t length = strcspn(query, "&");

		if (length >= 8 && memcmp(query, "version=", 8) == 0)
			version = version_of(query + 8, length - 8);
		query += length + (query[length] == '&');
	}
	return version;
}

/* What the thread of the streams does when there is room, or time. */
static int
attend(struct stream *stream)
{
	if (stream->blocked != 0 && stream_flush(stream, client.now) < 0)
		return -1;
	if (stream->kind == STREAM_POLL || stream->blocked != 0 ||
	    !stream_is_behind(stream, client.version))
		return 0;
	return stream_poke(stream, client.version, client.now);
}

/* One step; -1: the stream is over. */
static int
step(struct stream *stream, unsigned what, unsigned size)
{
	client.now += 10;
	switch (what % 8) {
	case 0:
		client.version += size;
		return 0;
	case 1:
		client.room = size;
		return 0;
	case 2:
		client.room = PLENTY;
		return attend(stream);
	case 3:
		if (stream->kind == STREAM_POLL)
			return 0;
		return stream_beat(stream, client.now);
	case 4:
		client.interrupted = true;
		return attend(stream);
	case 5:
		client.no_buffers = size > 127;
		return attend(stream);
	case 6:
		/* A poke though there may be no room. */
		if (stream->kind == STREAM_POLL ||
		    !stream_is_behind(stream, client.version))
			return 0;
		return stream_poke(stream, client.version, client.now);
	default:
		client.gone = size == 255;
		return 0;
	}
}

/* The content of the STDOUT records, as text, which the caller frees; what is
 * no record is none. *ENDS: END_REQUEST came, and last. *WHOLE: all records
 * are there to their ends. */
static char *
answer_of(bool *ends, bool *whole)
{
	char *text = calloc(1, client.length + 1);
	size_t at = 0, n = 0;

	fuzz_check(text != NULL);
	*ends = false;
	while (client.length - at >= 8) {
		const unsigned char *header = client.sent + at;
		size_t content = (size_t)header[4] << 8 | header[5];

		if (client.length - at - 8 < content)
			break;
		fuzz_check(!*ends);
		fuzz_check(header[0] == 1 && header[6] == 0);
		fuzz_check((header[2] << 8 | header[3]) == REQUEST);
		*ends = header[1] == 3;
		fuzz_check(*ends ? content == 8 : header[1] == 6);
		if (!*ends)
			memcpy(text + n, header + 8, content);
		n += *ends ? 0 : content;
		at += 8 + content;
	}
	*whole = at == client.length;
	fuzz_check(strlen(text) == n);
	return text;
}

/* Reads a number and a newline at *AT. */
static int64_t
take_number(const char **at)
{
	char *end;
	int64_t number = strtoll(*at, &end, 10);

	fuzz_check(isdigit((unsigned char)**at) && *end == '\n');
	*at = end + 1;
	return number;
}

static bool
take_text(const char **at, const char *text)
{
	size_t length = strlen(text);

	if (strncmp(*at, text, length) != 0)
		return false;
	*at += length;
	return true;
}

/* Reads the events as a browser does, strictly. Returns the last version. */
static int64_t
check_events(const char *at, int64_t known)
{
	int64_t version = known, id;

	fuzz_check(take_text(&at, "retry: "));
	fuzz_check(take_number(&at) == RETRY);
	while (*at != '\0') {
		if (take_text(&at, ":\n\n"))
			continue;
		if (take_text(&at, "retry: ")) {
			/* The goodbye, which is the last. */
			fuzz_check(take_number(&at) == 2 * RETRY);
			fuzz_check(strcmp(at, "\n") == 0);
			return version;
		}
		fuzz_check(take_text(&at, "event: poke\nid: "));
		id = take_number(&at);
		fuzz_check(id > version);
		version = id;
		fuzz_check(take_text(&at, "data: "));
		fuzz_check(take_number(&at) == version);
		fuzz_check(take_text(&at, "\n"));
	}
	return version;
}

static const char *
skip_head(const char *text, const char *type)
{
	const char *end = strstr(text, "\r\n\r\n");

	fuzz_check(strncmp(text, "Status: ", 8) == 0 && end != NULL);
	fuzz_check(strstr(text, type) != NULL && strstr(text, type) < end);
	return end + 4;
}

static void
check_poll(const char *text, bool ends)
{
	char expected[64];
	const char *body;

	if (text[0] == '\0')
		return;
	body = skip_head(text, "\r\nContent-Type: application/json\r\n");
	fuzz_check(ends);
	if (client.version == STREAM_VERSION_NONE) {
		fuzz_check(strncmp(text, "Status: 503 ", 12) == 0);
		return;
	}
	snprintf(expected, sizeof(expected), "{\"version\":%lld}",
	    (long long)client.version);
	fuzz_check(strcmp(body, expected) == 0);
}

/* What was sent is right. BROKEN: it may end anywhere. */
static void
check_sent(enum stream_kind kind, bool broken, bool said)
{
	bool ends, whole;
	char *text = answer_of(&ends, &whole);
	const char *body;
	int64_t last;

	fuzz_check(broken || whole);
	if (kind == STREAM_POLL) {
		check_poll(text, ends);
		fuzz_check(broken || !said || ends);
	} else if (text[0] != '\0') {
		body =
		    skip_head(text, "\r\nContent-Type: text/event-stream\r\n");
		last = check_events(body, client.known);
		if (!broken && said)
			fuzz_check(ends && (last == client.version ||
					       client.known >= client.version));
	}
	free(text);
}

/* Lives through STEPS, and to its end. */
static void
live(struct fuzz_input *steps)
{
	struct stream *stream = client.stream;
	enum stream_kind kind = stream->kind;
	bool broken = client.over;

	for (int i = 0; !broken && i < STEPS_MAX && steps->at < steps->end;
	     i++) {
		unsigned what = fuzz_byte(steps), size = fuzz_byte(steps);

		broken = step(stream, what, size) < 0;
	}
	if (!broken) {
		check_sent(kind, stream->blocked != 0, false);
		client.room = PLENTY;
		broken = attend(stream) < 0;
		fuzz_check(broken || stream->blocked == 0);
		fuzz_check(broken || kind == STREAM_POLL ||
			   !stream_is_behind(stream, client.version));
	}
	if (!broken) {
		broken = client.gone;
		stream_end(stream, client.version, 2 * RETRY);
	}
	check_sent(kind, broken, !broken);
	stream_close(stream);
}

static void
reset(unsigned how)
{
	memset(&client, 0, sizeof(client));
	client.version =
	    (how & UNKNOWN) != 0 ? STREAM_VERSION_NONE : INT64_C(1) << 40;
	client.cut = (how & CUT) != 0;
	client.room = PLENTY;
	client.now = 1000;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct transport_ops ops = {.take = take};
	static struct settings settings = {.auth = AUTH_NONE};
	static char streams;
	struct fuzz_input input = {data, data + size};
	unsigned how = fuzz_byte(&input);
	char *last_event_id = fuzz_text(&input, '\n');
	char *query = fuzz_text(&input, '\n');
	struct transport transport = {.ops = &ops};
	struct app app = {.settings = &settings,
	    .poke = POKE_STREAM,
	    .streams = (struct streams *)&streams};
	struct exchange *exchange = calloc(1, sizeof(*exchange));
	enum exchange_state state;

	fuzz_check(exchange != NULL);
	reset(how);
	exchange->app = &app;
	exchange->transport = &transport;
	exchange->request = (struct request){.method = METHOD_GET,
	    .path = "/poke",
	    .accept = (how & EVENTS) != 0 ? "text/event-stream" : "*/*",
	    .last_event_id = last_event_id,
	    .query = query};
	response_init(&exchange->response, &transport);
	if ((how & ALLOWED) != 0) {
		exchange->response.origin = "https://a.example https://b";
		exchange->response.origin_length = 17;
		exchange->response.vary = true;
	}
	state = poke_handle(exchange);
	client.known = expected_version(last_event_id, query);
	if (client.stream == NULL) {
		fuzz_check(state == EXCHANGE_ANSWERED && (how & EVENTS) == 0);
		fuzz_check(client.version > client.known);
	} else {
		fuzz_check(
		    state == (client.cut ? EXCHANGE_CUT : EXCHANGE_TAKEN));
		fuzz_check(client.cut != client.held);
		if (client.held)
			live(&input);
		else
			fuzz_check(client.stream->version == client.known);
	}
	free(client.stream);
	response_fini(&exchange->response);
	free(exchange);
	free(query);
	free(last_event_id);
	return 0;
}
