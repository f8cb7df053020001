/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of cgi/share.
 */
#include "config.h"

#include "unit.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "clock.h"
#include "patch.h"
#include "share.h"

static const struct share_history history = {
    .revision = 3, .epoch = 1000, .started = 77};

/* A share of the history above, that has seen version 5000. */
static struct share *
shared(void)
{
	struct share *share = share_new();

	assert_non_null(share);
	share_observe(share, &history, 0, 5000);
	return share;
}

/* Whether the caller is to read what follows FROM itself: for a history of which
 * nothing is kept. */
static bool
begin(struct share *share, int64_t from)
{
	static const struct share_history unknown = {.revision = -1};
	struct share_chain chain;
	bool reads = share_begin(share, &unknown, from, INT64_MAX, &chain);

	share_release(share, &chain);
	return reads;
}

static void
keep(struct share *share, int64_t from, int64_t to, const char *operations)
{
	assert_true(begin(share, from));
	share_end(
	    share, &history, from, to, operations, strlen(operations));
}

/* A piece of LENGTH bytes of memory of its own. */
static void
keep_bytes(struct share *share, int64_t from, int64_t to, size_t length)
{
	char *bytes = malloc(length);

	assert_non_null(bytes);
	memset(bytes, 'x', length);
	assert_true(begin(share, from));
	share_end(share, &history, from, to, bytes, length);
	free(bytes);
}

/* The chain between two versions leads to REACHED and is written as TEXT. */
static void
assert_chain(struct share *share, int64_t from, int64_t to, int64_t reached,
    const char *text)
{
	struct share_chain chain;
	struct buffer out;
	struct patch patch;

	buffer_init(&out, 1 << 24);
	patch_init(&patch, &out);
	share_find(share, &history, from, to, &chain);
	assert_int_equal(chain.reached, reached);
	share_write(&chain, &patch);
	assert_int_equal(out.failure, BUFFER_GOOD);
	assert_int_equal(out.length, strlen(text));
	if (out.length > 0)
		assert_memory_equal(out.data, text, out.length);
	share_release(share, &chain);
	assert_int_equal(chain.count, 0);
	/* Once more is legal, and does nothing. */
	share_release(share, &chain);
	buffer_fini(&out);
}

static bool
has(struct share *share, const struct share_history *of, int64_t from,
    int64_t to)
{
	struct share_chain chain;
	bool whole;

	share_find(share, of, from, to, &chain);
	whole = chain.reached == to;
	share_release(share, &chain);
	return whole;
}

static void
chains_are_found(void **state)
{
	struct share *share = shared();

	(void)state;
	assert_chain(share, 10, 20, 10, "");
	keep(share, 20, 30, "b");
	keep(share, 10, 20, "a");
	keep(share, 30, 40, "c");
	keep(share, 50, 60, "e");
	assert_chain(share, 10, 40, 40, "a,b,c");
	assert_chain(share, 20, 30, 30, "b");
	/* Towards a version beyond, or none at all. */
	assert_chain(share, 10, 60, 40, "a,b,c");
	assert_chain(share, 11, 40, 11, "");
	assert_chain(share, 40, 60, 40, "");
	/* Nothing leads beyond what was asked for. */
	assert_chain(share, 10, 39, 30, "a,b");
	assert_chain(share, 10, 19, 10, "");
	assert_chain(share, 40, 40, 40, "");
	assert_chain(share, 60, 50, 60, "");
	share_free(share);
}

static void
the_longest_piece_is_taken(void **state)
{
	struct share *share = shared();

	(void)state;
	keep(share, 10, 20, "short");
	keep(share, 10, 40, "long");
	keep(share, 10, 30, "middle");
	keep(share, 20, 40, "rest");
	assert_chain(share, 10, 40, 40, "long");
	assert_chain(share, 10, 39, 30, "middle");
	assert_chain(share, 10, 29, 20, "short");
	assert_chain(share, 20, 50, 40, "rest");
	share_free(share);
}

/* A piece of nothing leads somewhere too, and leaves no comma. */
static void
pieces_may_be_empty(void **state)
{
	struct share *share = shared();

	(void)state;
	keep(share, 10, 20, "");
	keep(share, 20, 30, "b");
	keep(share, 30, 40, "");
	keep(share, 40, 50, "d");
	assert_chain(share, 10, 50, 50, "b,d");
	assert_chain(share, 30, 40, 40, "");
	share_free(share);
}

static void
what_leads_nowhere_is_not_kept(void **state)
{
	struct share *share = shared();

	(void)state;
	keep(share, 10, 10, "x");
	keep(share, 10, 9, "x");
	assert_true(begin(share, 10));
	share_end(share, &history, 10, 20, NULL, 0);
	assert_false(has(share, &history, 10, 20));
	/* Nor does a reader stay behind. */
	assert_true(begin(share, 10));
	share_end(share, &history, 10, 20, NULL, 0);
	share_free(share);
}

static void
chains_have_a_length(void **state)
{
	struct share *share = shared();
	struct share_chain chain;

	(void)state;
	for (int64_t v = 0; v < SHARE_CHAIN_MAX + 5; v++)
		keep(share, v, v + 1, "x");
	share_find(share, &history, 0, SHARE_CHAIN_MAX + 5, &chain);
	assert_int_equal(chain.count, SHARE_CHAIN_MAX);
	assert_int_equal(chain.reached, SHARE_CHAIN_MAX);
	share_release(share, &chain);
	assert_true(has(share, &history, 5, SHARE_CHAIN_MAX + 5));
	share_free(share);
}

static void
another_history_has_no_pieces(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct share *share = shared();
		struct share_history other = history;

		*(i == 0   ? &other.revision
		    : i == 1 ? &other.epoch
			     : &other.started) += 1;
		keep(share, 10, 20, "a");
		/* Asked for by who has seen another. */
		assert_false(has(share, &other, 10, 20));
		assert_true(has(share, &history, 10, 20));
		/* Read of another. */
		assert_true(begin(share, 20));
		share_end(share, &other, 20, 30, "b", 1);
		assert_false(has(share, &history, 20, 30));
		assert_false(has(share, &other, 20, 30));
		/* All is forgotten, and stays so. */
		share_observe(share, &other, 5000, 5001);
		assert_int_equal(share_highest(share), 5001);
		assert_false(has(share, &other, 10, 20));
		assert_false(has(share, &history, 10, 20));
		share_observe(share, &history, 5001, 5001);
		assert_false(has(share, &history, 10, 20));
		keep(share, 10, 20, "a");
		assert_true(has(share, &history, 10, 20));
		share_free(share);
	}
}

static void
history_that_goes_back_is_forgotten(void **state)
{
	struct share *share = shared();

	(void)state;
	keep(share, 10, 20, "a");
	assert_int_equal(share_highest(share), 5000);
	share_observe(share, &history, 5000, 5000);
	share_observe(share, &history, 5000, 5002);
	assert_int_equal(share_highest(share), 5002);
	/* A read that began before that was seen may well see less. */
	share_observe(share, &history, 5000, 5001);
	assert_int_equal(share_highest(share), 5002);
	assert_true(has(share, &history, 10, 20));
	/* One that began after it may not. */
	share_observe(share, &history, 5002, 5001);
	assert_int_equal(share_highest(share), 5001);
	assert_false(has(share, &history, 10, 20));
	share_free(share);
}

static void
pieces_are_bounded_in_number(void **state)
{
	struct share *share = shared();

	(void)state;
	for (int64_t v = 0; v < SHARE_PIECES; v++)
		keep(share, v, v + 1, "x");
	assert_true(has(share, &history, 0, 1));
	for (int64_t v = SHARE_PIECES; v < 3 * SHARE_PIECES; v++) {
		keep(share, v, v + 1, "x");
		assert_false(has(share, &history, v - SHARE_PIECES,
		    v - SHARE_PIECES + 1));
		assert_true(has(share, &history, v - SHARE_PIECES + 1,
		    v - SHARE_PIECES + 2));
	}
	share_free(share);
}

static void
a_piece_has_a_size(void **state)
{
	struct share *share = shared();

	(void)state;
	keep_bytes(share, 10, 20, SHARE_PIECE_MAX);
	keep_bytes(share, 20, 30, SHARE_PIECE_MAX + 1);
	assert_true(has(share, &history, 10, 20));
	assert_false(has(share, &history, 20, 30));
	share_free(share);
}

static void
pieces_are_bounded_in_bytes(void **state)
{
	enum {
		FIT = SHARE_BYTES_MAX / SHARE_PIECE_MAX
	};
	struct share *share = shared();

	(void)state;
	/* Small ones first, so that the ring is not at its start. */
	for (int64_t v = 0; v < SHARE_PIECES - 5; v++)
		keep(share, v, v + 1, "x");
	for (int64_t v = 1000; v < 1000 + 3 * FIT; v++) {
		keep_bytes(share, v, v + 1, SHARE_PIECE_MAX);
		if (v < 1000 + FIT)
			continue;
		assert_false(has(share, &history, v - FIT, v - FIT + 1));
		assert_true(has(share, &history, v - FIT + 1, v + 1));
	}
	assert_false(has(share, &history, SHARE_PIECES - 6, SHARE_PIECES - 5));
	share_free(share);
}

/* Who has a chain has its bytes, whatever becomes of the pieces. */
static void
a_chain_outlives_its_pieces(void **state)
{
	static const struct share_history other = {.revision = 4};
	struct share *share = shared();
	struct share_chain chain, same;
	struct buffer out;
	struct patch patch;

	(void)state;
	keep(share, 10, 20, "a");
	keep(share, 20, 30, "b");
	share_find(share, &history, 10, 30, &chain);
	share_find(share, &history, 10, 30, &same);
	share_observe(share, &other, 0, 1);
	assert_false(has(share, &other, 10, 20));
	share_release(share, &same);
	buffer_init(&out, 1000);
	patch_init(&patch, &out);
	share_write(&chain, &patch);
	assert_int_equal(out.length, 3);
	assert_memory_equal(out.data, "a,b", 3);
	buffer_fini(&out);
	share_release(share, &chain);
	share_free(share);
	share_free(NULL);
}

/* A second thread that wants to read what follows version 10. */
struct follower {
	struct share *share;
	pthread_t thread;
	atomic_bool asks;
	atomic_bool told;
	bool reads, found;
};

static void *
follow(void *argument)
{
	struct follower *f = argument;

	atomic_store(&f->asks, true);
	f->reads = begin(f->share, 10);
	f->found = has(f->share, &history, 10, 20);
	atomic_store(&f->told, true);
	return NULL;
}

static void
start(struct follower *follower, struct share *share)
{
	*follower = (struct follower){.share = share};
	assert_int_equal(
	    pthread_create(&follower->thread, NULL, follow, follower), 0);
	while (!atomic_load(&follower->asks))
		sched_yield();
}

/* What is kept is not read: a reader begins behind it, or not at all. */
static void
nothing_is_read_twice(void **state)
{
	struct share *share = shared();
	struct share_chain chain;

	(void)state;
	keep(share, 10, 20, "a");
	assert_false(share_begin(share, &history, 10, 20, &chain));
	assert_int_equal(chain.reached, 20);
	share_release(share, &chain);
	assert_true(share_begin(share, &history, 10, 30, &chain));
	assert_int_equal(chain.reached, 20);
	share_release(share, &chain);
	share_end(share, &history, 20, 30, "b", 1);
	assert_chain(share, 10, 30, 30, "a,b");
	share_free(share);
}

/* One reads, and the other waits for it. It is tried again when the machine
 * was so slow that waiting ended first. */
static void
one_reads_what_two_need(void **state)
{
	bool seen = false;

	(void)state;
	for (int tries = 0; !seen && tries < 100; tries++) {
		struct share *share = shared();
		struct follower follower;

		assert_true(begin(share, 10));
		start(&follower, share);
		/* Another place in history waits for nobody. */
		assert_true(begin(share, 11));
		share_end(share, &history, 11, 12, "x", 1);
		assert_false(atomic_load(&follower.told) && !follower.reads);
		share_end(share, &history, 10, 20, "a", 1);
		pthread_join(follower.thread, NULL);
		assert_true(follower.found);
		/* True too if it asked only when all was over. */
		seen = !follower.reads;
		share_free(share);
	}
	assert_true(seen);
}

static void
who_waits_in_vain_looks_again(void **state)
{
	bool seen = false;

	(void)state;
	for (int tries = 0; !seen && tries < 100; tries++) {
		struct share *share = shared();
		struct follower follower;

		assert_true(begin(share, 10));
		start(&follower, share);
		share_end(share, &history, 10, 20, NULL, 0);
		pthread_join(follower.thread, NULL);
		assert_false(follower.found);
		seen = !follower.reads;
		if (seen) {
			/* And then it reads itself. */
			assert_true(begin(share, 10));
			share_end(share, &history, 10, 20, "a", 1);
			assert_true(has(share, &history, 10, 20));
		}
		share_free(share);
	}
	assert_true(seen);
}

static void
nobody_waits_for_long(void **state)
{
	struct share *share = shared();
	int64_t began;

	(void)state;
	assert_true(begin(share, 10));
	began = clock_ms();
	assert_true(begin(share, 10));
	assert_true(clock_ms() - began >= SHARE_WAIT_MS - 1);
	/* Both end, in any order, and keep what they have. */
	share_end(share, &history, 10, 20, "a", 1);
	share_end(share, &history, 10, 30, "b", 1);
	assert_chain(share, 10, 30, 30, "b");
	assert_true(begin(share, 10));
	share_end(share, &history, 10, 20, NULL, 0);
	share_free(share);
}

/* More readers than there are places: all of them may read, but of what began
 * unseen nobody knows of which history it is. */
static void
readers_are_never_too_many(void **state)
{
	struct share *share = shared();

	(void)state;
	for (int64_t v = 0; v < 300; v++)
		assert_true(begin(share, v));
	for (int64_t v = 0; v < 300; v++)
		share_end(share, &history, v, v + 1, "x", 1);
	assert_true(has(share, &history, 0, 64));
	assert_false(has(share, &history, 250, 300));
	for (int64_t v = 0; v < 300; v++)
		keep(share, v, v + 2, "y");
	share_free(share);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(chains_are_found),
	    cmocka_unit_test(the_longest_piece_is_taken),
	    cmocka_unit_test(pieces_may_be_empty),
	    cmocka_unit_test(what_leads_nowhere_is_not_kept),
	    cmocka_unit_test(chains_have_a_length),
	    cmocka_unit_test(another_history_has_no_pieces),
	    cmocka_unit_test(history_that_goes_back_is_forgotten),
	    cmocka_unit_test(pieces_are_bounded_in_number),
	    cmocka_unit_test(a_piece_has_a_size),
	    cmocka_unit_test(pieces_are_bounded_in_bytes),
	    cmocka_unit_test(a_chain_outlives_its_pieces),
	    cmocka_unit_test(nothing_is_read_twice),
	    cmocka_unit_test(one_reads_what_two_need),
	    cmocka_unit_test(who_waits_in_vain_looks_again),
	    cmocka_unit_test(nobody_waits_for_long),
	    cmocka_unit_test(readers_are_never_too_many),
	};

	return unit_run(tests);
}
