/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of cgi/batch_plan: how much of a long push goes into a transaction,
 * after others of its client group took so long.
 */
#include "config.h"

#include "unit.h"

#include <stdlib.h>

#include "batch_plan.h"
#include "protocol.h"
#include "registry.h"
#include "settings.h"

/* Mutations of the longest push. */
#define MANY 1000

#define SLOW_MS (BATCH_SHARE_MS + 50)

struct fixture {
	struct settings settings;
	struct registration registration;
	struct batch_context *context;
};

static void
fixture_init(struct fixture *f)
{
	*f = (struct fixture){
	    .settings = {.batch_mutations = MANY, .batch_bytes = 1000000},
	};
	f->context = calloc(1, sizeof(*f->context));
	assert_non_null(f->context);
	f->context->settings = &f->settings;
	arena_init(&f->context->apply_arena, BATCH_ARENA_MAX);
	arena_init(&f->registration.arena, BATCH_ARENA_MAX);
	map_init(&f->registration.mutators, &f->registration.arena);
}

static void
fixture_fini(struct fixture *f)
{
	arena_fini(&f->registration.arena);
	arena_fini(&f->context->apply_arena);
	free(f->context);
}

/* Of a push of COUNT mutations, how many one transaction takes; then these took
 * MS. */
static size_t
take(struct fixture *f, size_t count, int64_t ms)
{
	static struct mutation mutations[MANY];
	static const char *const clients[] = {"c"};
	struct push push = {.group = "g",
	    .clients = clients,
	    .client_count = 1,
	    .mutations = mutations,
	    .mutation_count = count};
	struct batch_client client = {.last_mutation_id = 0};
	struct batch_job job = {
	    .push = &push, .identity = {.user = "u"}, .clients = &client};
	struct batch_round round = {
	    .context = f->context, .registration = &f->registration};
	size_t taken;

	for (size_t i = 0; i < count; i++)
		mutations[i] = (struct mutation){
		    .id = (int64_t)i + 1, .name = "m", .args_length = 2};
	gather_queue_add(&round.jobs, &job.link);
	assert_int_equal(batch_plan_make(&round), 0);
	taken = round.plan.call_count;
	batch_plan_learn(&round, ms);
	return taken;
}

static void
test_first(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(take(&f, MANY, 10), BATCH_PACE_FIRST);
	/* It was over soon: four times as many. */
	assert_int_equal(take(&f, MANY, 10), 4 * BATCH_PACE_FIRST);
	assert_int_equal(take(&f, MANY, 10), MANY);
	fixture_fini(&f);
}

static void
test_slow(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(take(&f, 1, SLOW_MS), 1);
	assert_int_equal(take(&f, MANY, 1), 1);
	assert_int_equal(take(&f, MANY, 1), 4);
	fixture_fini(&f);
	fixture_init(&f);
	assert_int_equal(take(&f, MANY, 4 * BATCH_SHARE_MS), BATCH_PACE_FIRST);
	assert_int_equal(take(&f, MANY, 10), BATCH_PACE_FIRST / 4);
	fixture_fini(&f);
}

/* As a machine is busy for a moment. */
static void
test_late_once(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(take(&f, 20, 10), 20);
	assert_int_equal(take(&f, 1, SLOW_MS), 1);
	assert_int_equal(take(&f, 20, SLOW_MS), 20);
	/* Twice in a row is no chance any more. */
	assert_int_equal(take(&f, 20, 10), 16);
	fixture_fini(&f);
	/* In between it was well. */
	fixture_init(&f);
	assert_int_equal(take(&f, 20, 10), 20);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(take(&f, 20, SLOW_MS), 20);
		assert_int_equal(take(&f, 20, 10), 20);
	}
	fixture_fini(&f);
}

/* Of as many it is not known that they can be done in time. */
static void
test_late_more(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(take(&f, 1, 10), 1);
	assert_int_equal(take(&f, 50, 2 * BATCH_SHARE_MS), 50);
	assert_int_equal(take(&f, 50, 10), 25);
	fixture_fini(&f);
}

static void
test_late_by_far(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(take(&f, 20, 10), 20);
	assert_int_equal(take(&f, 20, BATCH_CHANCE_MS + 1), 20);
	assert_int_equal(take(&f, 20, 10), 4);
	fixture_fini(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_first),
	    cmocka_unit_test(test_slow),
	    cmocka_unit_test(test_late_once),
	    cmocka_unit_test(test_late_more),
	    cmocka_unit_test(test_late_by_far),
	};

	return unit_run(tests);
}
