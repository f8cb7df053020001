/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of cgi/stream. Linked with --wrap=send, so that a socket has as much
 * room as the test says, and --wrap=malloc, which may fail.
 */
#include "config.h"

#include "unit.h"

#include "memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "stream.h"

#define HEAD "Content-Type: text/event-stream\r\n\r\n"
#define PLENTY ((size_t)1 << 20)
#define REQUEST 258 /* the ID of the FastCGI request: two bytes that differ */

/* What was sent, and how much more is taken. */
static unsigned char sent[1 << 22];
static size_t sent_length, room;
static bool gone;

ssize_t __wrap_send(int fd, const void *bytes, size_t size, int flags);

ssize_t
__wrap_send(int fd, const void *bytes, size_t size, int flags)
{
	(void)fd;
	assert_true(flags & MSG_DONTWAIT && flags & MSG_NOSIGNAL);
	if (gone || room == 0) {
		errno = gone ? EPIPE : EAGAIN;
		return -1;
	}
	if (size > room)
		size = room;
	room -= size;
	assert_true(sent_length + size <= sizeof(sent));
	memcpy(sent + sent_length, bytes, size);
	sent_length += size;
	return (ssize_t)size;
}

UNIT_WRAP_MALLOC

static int
begin(void **state)
{
	(void)state;
	no_memory = false;
	sent_length = 0;
	room = PLENTY;
	gone = false;
	return 0;
}

static void
open_stream(struct stream *stream, enum stream_kind kind, int64_t knows,
    int64_t version)
{
	static const struct transport_taken taken = {.fd = -1, .id = REQUEST};

	*stream = (struct stream){.kind = kind, .version = knows};
	stream_begin(stream, &taken, 1000);
	assert_int_equal(
	    stream_open(stream, HEAD, strlen(HEAD), 1500, version, 1000), 0);
}

/* The text of the STDOUT records that were sent, in a static buffer; each must
 * be whole. True in *ENDED: END_REQUEST came last. */
static const char *
text(bool *ended)
{
	static char out[sizeof(sent)];
	size_t at = 0, length = 0;

	*ended = false;
	while (at < sent_length) {
		const unsigned char *header = sent + at;
		size_t content;

		assert_false(*ended);
		assert_true(sent_length - at >= 8);
		content = (size_t)header[4] << 8 | header[5];
		assert_true(sent_length - at >= 8 + content + header[6]);
		assert_int_equal(header[0], 1);
		assert_int_equal(header[2] << 8 | header[3], REQUEST);
		*ended = header[1] == 3;
		assert_true(*ended || header[1] == 6);
		if (!*ended)
			memcpy(out + length, header + 8, content);
		length += *ended ? 0 : content;
		at += 8 + content + header[6];
	}
	out[length] = '\0';
	return out;
}

static void
check_text(const char *expected, bool ends)
{
	bool ended;

	assert_string_equal(text(&ended), expected);
	assert_int_equal(ended, ends);
}

static void
begins_by_what_the_client_knows(void **state)
{
	struct stream stream;

	begin(state);
	open_stream(&stream, STREAM_EVENTS, 7, 7);
	check_text(HEAD "retry: 1500\n:\n\n", false);
	begin(state);
	open_stream(&stream, STREAM_EVENTS, 6, 7);
	check_text(HEAD "retry: 1500\nevent: poke\nid: 7\ndata: 7\n\n", false);
	assert_false(stream_is_behind(&stream, 7));
	begin(state);
	open_stream(&stream, STREAM_EVENTS, 6, STREAM_VERSION_NONE);
	check_text(HEAD "retry: 1500\n:\n\n", false);
	/* One that is from the future waits. */
	begin(state);
	open_stream(&stream, STREAM_EVENTS, 8, 7);
	check_text(HEAD "retry: 1500\n:\n\n", false);
	begin(state);
	open_stream(&stream, STREAM_POLL, 7, 7);
	check_text("", false);
}

static void
pokes_beats_and_ends(void **state)
{
	struct stream stream;

	begin(state);
	open_stream(&stream, STREAM_EVENTS, 7, 7);
	begin(state);
	assert_true(stream_is_behind(&stream, 9));
	assert_int_equal(stream_poke(&stream, 9, 1100), 0);
	assert_false(stream_is_behind(&stream, 9));
	assert_int_equal(stream.poked, 1100);
	assert_int_equal(stream.written, 1100);
	assert_int_equal(stream_beat(&stream, 1200), 0);
	assert_int_equal(stream.poked, 1100);
	assert_int_equal(stream.written, 1200);
	stream_end(&stream, 9, 2500);
	check_text("event: poke\nid: 9\ndata: 9\n\n:\n\nretry: 2500\n\n", true);
	stream_close(&stream);
}

static void
a_poll_is_one_answer(void **state)
{
	struct stream stream;
	bool ended;

	begin(state);
	open_stream(&stream, STREAM_POLL, 7, 7);
	stream.origin = "https://a.example";
	stream.origin_length = (int)strlen(stream.origin);
	stream_end(&stream, 8, 0);
	assert_non_null(strstr(text(&ended), "\r\n\r\n{\"version\":8}"));
	assert_non_null(strstr(text(&ended), "https://a.example\r\n"));
	assert_true(ended);
	begin(state);
	open_stream(&stream, STREAM_POLL, 7, 7);
	stream_end(&stream, STREAM_VERSION_NONE, 0);
	assert_non_null(strstr(text(&ended), "Status: 503 "));
	assert_non_null(strstr(text(&ended), "\"unavailable\""));
	assert_true(ended);
}

static void
what_was_begun_is_finished(void **state)
{
	struct stream stream;

	begin(state);
	open_stream(&stream, STREAM_EVENTS, 7, 7);
	begin(state);
	room = 11;
	assert_int_equal(stream_poke(&stream, 8, 1100), 0);
	/* It is on its way, and counts. */
	assert_false(stream_is_behind(&stream, 8));
	assert_int_equal(stream.blocked, 1100);
	assert_int_equal(sent_length, 11);
	/* Nothing gets between. */
	room = PLENTY;
	assert_int_equal(stream_poke(&stream, 9, 1200), 0);
	assert_int_equal(stream_beat(&stream, 1200), 0);
	assert_true(stream_is_behind(&stream, 9));
	assert_int_equal(sent_length, 11);
	room = 5;
	assert_int_equal(stream_flush(&stream, 1300), 0);
	/* It moves, so its time begins anew. */
	assert_int_equal(stream.blocked, 1300);
	room = 0;
	assert_int_equal(stream_flush(&stream, 1400), 0);
	assert_int_equal(stream.blocked, 1300);
	room = PLENTY;
	assert_int_equal(stream_flush(&stream, 1500), 0);
	assert_int_equal(stream.blocked, 0);
	check_text("event: poke\nid: 8\ndata: 8\n\n", false);
	stream_close(&stream);
}

static void
nothing_is_said_to_who_is_stuck(void **state)
{
	struct stream stream;

	begin(state);
	open_stream(&stream, STREAM_EVENTS, 7, 7);
	begin(state);
	room = 0;
	assert_int_equal(stream_poke(&stream, 8, 1100), 0);
	assert_true(stream_is_behind(&stream, 8));
	assert_int_equal(stream.blocked, 1100);
	room = PLENTY;
	stream_end(&stream, 8, 1000);
	assert_int_equal(sent_length, 0);
	stream_close(&stream);
}

static void
a_peer_that_is_gone_is_noticed(void **state)
{
	static const struct transport_taken taken = {.fd = -1, .id = REQUEST};
	struct stream stream;

	begin(state);
	gone = true;
	stream = (struct stream){.kind = STREAM_EVENTS};
	stream_begin(&stream, &taken, 1);
	assert_int_equal(stream_open(&stream, HEAD, strlen(HEAD), 1, 1, 1), -1);
	begin(state);
	open_stream(&stream, STREAM_EVENTS, 7, 7);
	room = 3;
	assert_int_equal(stream_poke(&stream, 8, 1100), 0);
	gone = true;
	assert_int_equal(stream_flush(&stream, 1200), -1);
	stream_close(&stream);
	begin(state);
	open_stream(&stream, STREAM_EVENTS, 7, 7);
	gone = true;
	assert_int_equal(stream_poke(&stream, 8, 1100), -1);
	assert_int_equal(stream_beat(&stream, 1100), -1);
}

/* Half an event can't be taken back: a stream that can't keep its rest ends. */
static void
a_rest_without_memory_is_the_end(void **state)
{
	struct stream stream;

	begin(state);
	open_stream(&stream, STREAM_EVENTS, 7, 7);
	no_memory = true;
	assert_int_equal(stream_poke(&stream, 8, 1100), 0);
	room = 3;
	assert_int_equal(stream_poke(&stream, 9, 1200), -1);
	stream_close(&stream);
	begin(state);
	open_stream(&stream, STREAM_EVENTS, 7, 7);
	no_memory = true;
	room = 3;
	assert_int_equal(stream_beat(&stream, 1200), -1);
	stream_close(&stream);
}

/* The versions of a whole answer: each above the one before. Returns the last
 * one. */
static long
check_events(const char *at)
{
	static const char poke[] = "event: poke\nid: ";
	long last = 0;

	assert_memory_equal(at, HEAD, strlen(HEAD));
	at = strstr(at + strlen(HEAD), "\n") + 1;
	while (*at != '\0') {
		char *end;
		long id;

		if (strncmp(at, ":\n\n", 3) == 0) {
			at += 3;
			continue;
		}
		assert_memory_equal(at, poke, strlen(poke));
		id = strtol(at + strlen(poke), &end, 10);
		assert_true(id > last);
		last = id;
		assert_memory_equal(end, "\ndata: ", 7);
		assert_int_equal(strtol(end + 7, &end, 10), id);
		assert_memory_equal(end, "\n\n", 2);
		at = end + 2;
	}
	return last;
}

/* A reader that takes a few bytes now and then. */
static void
whatever_the_room_it_stays_in_order(void **state)
{
	uint64_t seed = 12345;
	struct stream stream;
	long version = 1;
	bool ended;

	begin(state);
	open_stream(&stream, STREAM_EVENTS, 1, 1);
	for (int64_t now = 1001; now < 60000; now++) {
		room =
		    unit_random(&seed) % 3 == 0 ? 0 : unit_random(&seed) % 90;
		version += unit_random(&seed) % 4 == 0;
		if (stream.blocked != 0 && room > 0)
			assert_int_equal(stream_flush(&stream, now), 0);
		if (stream_is_behind(&stream, version))
			assert_int_equal(stream_poke(&stream, version, now), 0);
		else if (unit_random(&seed) % 5 == 0)
			assert_int_equal(stream_beat(&stream, now), 0);
	}
	room = PLENTY;
	assert_int_equal(stream_flush(&stream, 60000), 0);
	assert_int_equal(stream_poke(&stream, version + 1, 60000), 0);
	assert_int_equal(check_events(text(&ended)), version + 1);
	assert_true(version > 10000);
	stream_close(&stream);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(begins_by_what_the_client_knows),
	    cmocka_unit_test(pokes_beats_and_ends),
	    cmocka_unit_test(a_poll_is_one_answer),
	    cmocka_unit_test(what_was_begun_is_finished),
	    cmocka_unit_test(nothing_is_said_to_who_is_stuck),
	    cmocka_unit_test(a_peer_that_is_gone_is_noticed),
	    cmocka_unit_test(a_rest_without_memory_is_the_end),
	    cmocka_unit_test(whatever_the_room_it_stays_in_order),
	};

	return unit_run(tests);
}
