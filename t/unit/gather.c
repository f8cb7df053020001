/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of cgi/gather.
 */
#include "config.h"

#include "unit.h"

#include <string.h>

#include "gather.h"

/* Jobs of each of the threads that bring many. */
#define THREADS 4
#define JOBS 5000

struct job {
	struct gather_job link; /* first, as gather.h asks */
	int number;
	unsigned done;
};

/* What was worked on, in order; a round ends with a '|'. */
struct record {
	struct gather gather;
	char text[64];
	size_t leave; /* jobs of a round that are left in it */
	struct job *meanwhile[3]; /* brought during the first round */
	bool refused; /* leading was, during a round */
};

static void
add(struct gather *gather, struct job *job)
{
	gather_add(gather, &job->link);
}

static void
record_round(void *context, struct gather_queue *round)
{
	struct record *record = context;
	struct gather_queue left = {NULL, NULL};
	size_t n = strlen(record->text);
	struct gather_job *link;

	for (size_t i = 0; i < 3; i++) {
		if (record->meanwhile[i] != NULL)
			add(&record->gather, record->meanwhile[i]);
		record->meanwhile[i] = NULL;
	}
	record->refused = !gather_lead(&record->gather);
	while ((link = gather_queue_take(round)) != NULL) {
		if (record->leave > 0) {
			record->leave--;
			gather_queue_add(&left, link);
			continue;
		}
		record->text[n++] = (char)('0' + ((struct job *)link)->number);
		((struct job *)link)->done++;
	}
	gather_queue_append(round, &left);
	record->text[n++] = '|';
	record->text[n] = '\0';
}

static void
number(struct job *jobs, size_t count)
{
	memset(jobs, 0, count * sizeof(*jobs));
	for (size_t i = 0; i < count; i++)
		jobs[i].number = (int)i;
}

static void
a_queue_is_first_in_first_out(void **state)
{
	struct gather_queue queue = {NULL, NULL};
	struct job jobs[3];

	(void)state;
	number(jobs, 3);
	assert_null(gather_queue_take(&queue));
	/* Twice: an emptied queue is as good as a new one. */
	for (int again = 0; again < 2; again++) {
		for (size_t i = 0; i < 3; i++)
			gather_queue_add(&queue, &jobs[i].link);
		for (size_t i = 0; i < 3; i++) {
			assert_ptr_equal(
			    gather_queue_take(&queue), &jobs[i].link);
			assert_null(jobs[i].link.next);
		}
		assert_null(gather_queue_take(&queue));
		assert_null(queue.first);
		assert_null(queue.last);
	}
}

/* All the lengths of both, none among them. */
static void
queues_are_appended(void **state)
{
	(void)state;
	for (size_t a = 0; a < 3; a++) {
		for (size_t b = 0; b < 3; b++) {
			struct gather_queue to = {NULL, NULL}, from = to;
			struct job jobs[5];

			number(jobs, 5);
			for (size_t i = 0; i < a; i++)
				gather_queue_add(&to, &jobs[i].link);
			for (size_t i = a; i < a + b; i++)
				gather_queue_add(&from, &jobs[i].link);
			gather_queue_append(&to, &from);
			assert_null(from.first);
			assert_null(from.last);
			gather_queue_add(&to, &jobs[a + b].link);
			for (size_t i = 0; i <= a + b; i++)
				assert_ptr_equal(
				    gather_queue_take(&to), &jobs[i].link);
			assert_null(gather_queue_take(&to));
		}
	}
}

static void
nobody_leads_nothing(void **state)
{
	struct record record = {0};

	(void)state;
	gather_init(&record.gather, record_round, &record);
	assert_false(gather_lead(&record.gather));
	assert_string_equal(record.text, "");
	gather_fini(&record.gather);
}

static void
all_that_wait_are_one_round(void **state)
{
	struct record record = {0};
	struct job jobs[4];

	(void)state;
	number(jobs, 4);
	gather_init(&record.gather, record_round, &record);
	add(&record.gather, &jobs[0]);
	assert_true(gather_lead(&record.gather));
	assert_false(gather_lead(&record.gather));
	for (size_t i = 1; i < 4; i++)
		add(&record.gather, &jobs[i]);
	assert_true(gather_lead(&record.gather));
	assert_false(gather_lead(&record.gather));
	assert_string_equal(record.text, "0|123|");
	gather_fini(&record.gather);
}

static void
what_gathers_meanwhile_is_the_next_round(void **state)
{
	struct record record = {0};
	struct job jobs[4];

	(void)state;
	number(jobs, 4);
	gather_init(&record.gather, record_round, &record);
	record.meanwhile[0] = &jobs[1];
	record.meanwhile[1] = &jobs[2];
	add(&record.gather, &jobs[0]);
	assert_true(gather_lead(&record.gather));
	assert_string_equal(record.text, "0|");
	/* There is one leader: who brings a job during a round is none. */
	assert_true(record.refused);
	assert_true(gather_lead(&record.gather));
	assert_string_equal(record.text, "0|12|");
	assert_false(gather_lead(&record.gather));
	gather_fini(&record.gather);
}

static void
what_is_left_comes_first(void **state)
{
	struct record record = {0};
	struct job jobs[6];

	(void)state;
	number(jobs, 6);
	gather_init(&record.gather, record_round, &record);
	record.meanwhile[0] = &jobs[4];
	record.meanwhile[1] = &jobs[5];
	record.leave = 2;
	for (size_t i = 0; i < 4; i++)
		add(&record.gather, &jobs[i]);
	assert_true(gather_lead(&record.gather));
	assert_string_equal(record.text, "23|");
	assert_true(gather_lead(&record.gather));
	assert_string_equal(record.text, "23|0145|");
	assert_false(gather_lead(&record.gather));

	/* All of it may be left, and nothing may have come. */
	record.text[0] = '\0';
	record.leave = 1;
	add(&record.gather, &jobs[0]);
	assert_true(gather_lead(&record.gather));
	assert_string_equal(record.text, "|");
	assert_true(gather_lead(&record.gather));
	assert_string_equal(record.text, "|0|");
	assert_false(gather_lead(&record.gather));
	gather_fini(&record.gather);
}

/* A round that is held until the test lets it go. */
struct held {
	struct gather gather;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool inside, go;
	unsigned rounds;
	struct gather_job *first, *second; /* of each round, its first job */
};

static void
hold_round(void *context, struct gather_queue *round)
{
	struct held *held = context;
	struct gather_job *first = gather_queue_take(round);

	while (gather_queue_take(round) != NULL)
		;
	pthread_mutex_lock(&held->lock);
	*(held->rounds++ == 0 ? &held->first : &held->second) = first;
	held->inside = true;
	pthread_cond_broadcast(&held->changed);
	while (!held->go)
		pthread_cond_wait(&held->changed, &held->lock);
	pthread_mutex_unlock(&held->lock);
}

static void *
lead_all(void *gather)
{
	while (gather_lead(gather))
		;
	return NULL;
}

/* The leader does what another thread brings, who goes on at once. */
static void
a_leader_takes_what_others_bring(void **state)
{
	struct held held = {.lock = PTHREAD_MUTEX_INITIALIZER,
	    .changed = PTHREAD_COND_INITIALIZER};
	struct job jobs[2];
	pthread_t leader;

	(void)state;
	number(jobs, 2);
	gather_init(&held.gather, hold_round, &held);
	add(&held.gather, &jobs[0]);
	assert_int_equal(
	    pthread_create(&leader, NULL, lead_all, &held.gather), 0);
	pthread_mutex_lock(&held.lock);
	while (!held.inside)
		pthread_cond_wait(&held.changed, &held.lock);
	pthread_mutex_unlock(&held.lock);

	add(&held.gather, &jobs[1]);
	assert_false(gather_lead(&held.gather));
	assert_int_equal(held.rounds, 1);

	pthread_mutex_lock(&held.lock);
	held.go = true;
	pthread_cond_broadcast(&held.changed);
	pthread_mutex_unlock(&held.lock);
	pthread_join(leader, NULL);
	assert_int_equal(held.rounds, 2);
	assert_ptr_equal(held.first, &jobs[0]);
	assert_ptr_equal(held.second, &jobs[1]);
	gather_fini(&held.gather);
}

/* Many threads bring many jobs; no lock but the gather's own guards these. */
struct crowd {
	struct gather gather;
	unsigned done, inside, most;
	int last[THREADS]; /* the number worked on last, of each thread */
	bool disordered;
};

struct bringer {
	struct crowd *crowd;
	int index;
	struct job jobs[JOBS];
};

static void
work_for_crowd(void *context, struct gather_queue *round)
{
	struct crowd *crowd = context;
	struct gather_queue left = {NULL, NULL};
	struct gather_job *link;
	unsigned n = 0;

	if (++crowd->inside > crowd->most)
		crowd->most = crowd->inside;
	while ((link = gather_queue_take(round)) != NULL) {
		struct job *job = (struct job *)link;
		int thread = job->number / JOBS;

		/* A round has its limit, as those of a push. */
		if (++n > 7) {
			gather_queue_add(&left, link);
			continue;
		}
		if (job->number <= crowd->last[thread])
			crowd->disordered = true;
		crowd->last[thread] = job->number;
		job->done++;
		crowd->done++;
	}
	gather_queue_append(round, &left);
	crowd->inside--;
}

static void *
bring(void *argument)
{
	struct bringer *bringer = argument;

	for (int i = 0; i < JOBS; i++) {
		bringer->jobs[i].number = bringer->index * JOBS + i;
		add(&bringer->crowd->gather, &bringer->jobs[i]);
		while (gather_lead(&bringer->crowd->gather))
			;
	}
	return NULL;
}

static void
every_job_is_done_once_and_in_order(void **state)
{
	static struct bringer bringers[THREADS];
	static struct crowd crowd;
	pthread_t threads[THREADS];

	(void)state;
	gather_init(&crowd.gather, work_for_crowd, &crowd);
	for (int i = 0; i < THREADS; i++) {
		crowd.last[i] = -1;
		bringers[i].crowd = &crowd;
		bringers[i].index = i;
		assert_int_equal(
		    pthread_create(&threads[i], NULL, bring, &bringers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_false(gather_lead(&crowd.gather));
	assert_int_equal(crowd.done, THREADS * JOBS);
	assert_int_equal(crowd.most, 1);
	assert_false(crowd.disordered);
	for (int i = 0; i < THREADS; i++)
		for (int j = 0; j < JOBS; j++)
			assert_int_equal(bringers[i].jobs[j].done, 1);
	gather_fini(&crowd.gather);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_queue_is_first_in_first_out),
	    cmocka_unit_test(queues_are_appended),
	    cmocka_unit_test(nobody_leads_nothing),
	    cmocka_unit_test(all_that_wait_are_one_round),
	    cmocka_unit_test(what_gathers_meanwhile_is_the_next_round),
	    cmocka_unit_test(what_is_left_comes_first),
	    cmocka_unit_test(a_leader_takes_what_others_bring),
	    cmocka_unit_test(every_job_is_done_once_and_in_order),
	};

	return unit_run(tests);
}
