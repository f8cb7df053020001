/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The plan of a transaction (design section 3, step 3).
 */
#include "config.h"

#include "batch_plan.h"

#include <string.h>

#include "arena.h"
#include "clock.h"
#include "protocol.h"
#include "registry.h"
#include "settings.h"

/* A part that was over sooner than it had to be is followed by one that is so
 * many times as long, at most. */
#define GROWTH 4

/* The place of GROUP in tables of BATCH_SUSPECTS. */
static size_t
place_of(const char *group)
{
	size_t hash = 5381;

	for (; *group != '\0'; group++)
		hash = hash * 33 + (unsigned char)*group;
	return hash % BATCH_SUSPECTS;
}

void
batch_plan_suspect(struct batch_context *context, const char *group)
{
	context->suspects[place_of(group)] = clock_ms() + BATCH_SUSPECT_MS;
}

void
batch_plan_trust(struct batch_context *context, const char *group)
{
	context->suspects[place_of(group)] = 0;
}

static bool
is_suspect(const struct batch_context *context, const struct batch_job *job)
{
	return job->apart ||
	       context->suspects[place_of(job->push->group)] > clock_ms();
}

/* Whether MUTATION leaves nothing to those that come after it. */
static bool
is_shared(
    const struct registration *registration, const struct mutation *mutation)
{
	const struct registered_mutator *mutator;

	if (mutation->refused != NULL)
		return true;
	mutator = registration_mutator(registration, mutation->name);
	return mutator == NULL || mutator->shared;
}

/* Whether the next mutation of JOB is to run in a transaction of its client
 * group alone. */
static bool
goes_alone(const struct batch_round *round, const struct batch_job *job)
{
	const struct push *push = job->push;

	if (is_suspect(round->context, job))
		return true;
	for (size_t i = job->from; i < push->mutation_count; i++) {
		const struct mutation *mutation = &push->mutations[i];

		if (mutation->id >
		    job->clients[mutation->client].last_mutation_id)
			return !is_shared(round->registration, mutation);
	}
	return false;
}

/* How many mutations of GROUP may be in a transaction. */
static size_t
bound_mutations(const struct batch_round *round, const char *group)
{
	size_t most = (size_t)round->context->settings->batch_mutations;
	const struct batch_pace *pace = &round->context->paces[place_of(group)];
	size_t fit = pace->until > clock_ms() ? pace->most : BATCH_PACE_FIRST;

	if (round->crowded)
		most = (most + BATCH_SHARE - 1) / BATCH_SHARE;
	return fit < most ? fit : most;
}

static size_t
bound_bytes(const struct batch_round *round)
{
	size_t most = (size_t)round->context->settings->batch_bytes;

	return round->crowded ? most / BATCH_SHARE + 1 : most;
}

static bool
has_room(const struct batch_round *round, size_t mutations, size_t bytes)
{
	const struct settings *settings = round->context->settings;

	return mutations < (size_t)settings->batch_mutations &&
	       bytes < (size_t)settings->batch_bytes &&
	       (round->most == 0 || mutations < round->most);
}

/* Adds what JOB may bring at most. */
static void
measure(const struct batch_round *round, const struct batch_job *job,
    struct batch_load *load)
{
	const struct push *push = job->push;
	size_t most = bound_mutations(round, push->group);

	for (size_t i = job->from; most > 0 && i < push->mutation_count;
	     i++, most--) {
		load->mutations++;
		load->bytes += push->mutations[i].args_length;
	}
}

void
batch_plan_take(struct batch_round *round, struct gather_queue *waiting)
{
	struct gather_queue rest = {NULL, NULL};
	const struct batch_job *first = batch_first(waiting);
	struct batch_load load = {0, 0};
	struct batch_job *job;

	if (first == NULL)
		return;
	round->alone = goes_alone(round, first);
	round->guarded = is_suspect(round->context, first);
	for (job = batch_first(waiting); job != NULL; job = batch_next(job))
		if (strcmp(job->push->group, first->push->group) != 0)
			round->crowded = true;
	while ((job = batch_take(waiting)) != NULL) {
		bool fits = has_room(round, load.mutations, load.bytes);

		if (round->alone)
			fits = fits && strcmp(job->push->group,
					   first->push->group) == 0;
		else
			fits = fits && !goes_alone(round, job);
		if (fits)
			measure(round, job, &load);
		gather_queue_add(fits ? &round->jobs : &rest, &job->link);
	}
	*waiting = rest;
}

/* The entry of a client in the plan, made if need be; NULL without memory. */
static struct apply_client *
plan_client(
    struct batch_round *round, const struct batch_job *job, size_t index)
{
	struct apply_plan *plan = &round->plan;
	size_t at = map_add(&round->clients, job->push->clients[index]);
	struct apply_client *client;

	if (at == MAP_NONE)
		return NULL;
	client = &plan->clients[at];
	if (at == plan->client_count) {
		plan->client_count++;
		client->id = job->push->clients[index];
		client->group = job->push->group;
		client->user = job->identity.user;
		client->before = job->clients[index].last_mutation_id;
		client->after = client->before;
	}
	return client;
}

/* Enters JOB's group; *AT_OUT: where. *YIELDS_OUT: the batch has it for another
 * user, who came first; the next look will tell this one. */
static int
plan_group(struct batch_round *round, const struct batch_job *job,
    size_t *at_out, bool *yields_out)
{
	struct apply_plan *plan = &round->plan;
	size_t at = map_add(&round->groups, job->push->group);

	if (at == MAP_NONE)
		return -1;
	if (at == plan->group_count) {
		plan->group_count++;
		plan->groups[at].id = job->push->group;
		plan->groups[at].user = job->identity.user;
	}
	if (!job->group_known)
		plan->groups[at].fresh = true;
	*yields_out = strcmp(plan->groups[at].user, job->identity.user) != 0;
	*at_out = at;
	return 0;
}

static void
plan_call(struct batch_round *round, struct batch_job *job,
    const struct mutation *mutation, struct apply_client *client)
{
	struct apply_plan *plan = &round->plan;
	struct apply_call *call = &plan->calls[plan->call_count];
	const struct registered_mutator *mutator =
	    registration_mutator(round->registration, mutation->name);

	round->owners[plan->call_count++] = job;
	call->mutation = mutation;
	call->client = client->id;
	call->group = client->group;
	call->identity = &job->identity;
	call->guarded = round->guarded;
	client->after++;
	if (mutator != NULL && mutator->closes)
		plan->closes = true;
}

/*
 * Adds JOB's mutations to the plan as far as there is room. Two jobs may hold
 * the same mutation, or have been looked up at different times: what an earlier
 * one brings is skipped in the later one, and where they do not fit the later
 * one waits for the next batch.
 */
static int
plan_job(struct batch_round *round, struct batch_job *job, size_t *bytes)
{
	const struct push *push = job->push;
	size_t most = bound_mutations(round, push->group);
	size_t most_bytes = bound_bytes(round), at;
	struct batch_load *load;
	bool yields;

	job->planned = job->from;
	if (plan_group(round, job, &at, &yields) < 0)
		return -1;
	if (yields)
		return 0;
	load = &round->loads[at];
	for (size_t i = job->from; i < push->mutation_count; i++) {
		const struct mutation *mutation = &push->mutations[i];
		struct apply_client *client =
		    plan_client(round, job, mutation->client);

		if (client == NULL)
			return -1;
		if (mutation->id > client->after + 1 ||
		    strcmp(client->group, push->group) != 0)
			break;
		if (mutation->id == client->after + 1) {
			if (!has_room(round, round->plan.call_count, *bytes) ||
			    load->mutations >= most ||
			    load->bytes >= most_bytes ||
			    (!round->alone &&
				!is_shared(round->registration, mutation)))
				break;
			plan_call(round, job, mutation, client);
			*bytes += mutation->args_length;
			load->mutations++;
			load->bytes += mutation->args_length;
		}
		job->planned = i + 1;
	}
	return 0;
}

/* Leaves out the clients that the plan does not move. */
static void
compact_clients(struct apply_plan *plan)
{
	size_t n = 0;

	for (size_t i = 0; i < plan->client_count; i++)
		if (plan->clients[i].after > plan->clients[i].before)
			plan->clients[n++] = plan->clients[i];
	plan->client_count = n;
}

/* Leaves out the groups without mutations in it. */
static void
compact_groups(struct batch_round *round)
{
	struct apply_plan *plan = &round->plan;
	size_t n = 0;

	for (size_t i = 0; i < plan->group_count; i++) {
		if (round->loads[i].mutations == 0)
			continue;
		round->loads[n] = round->loads[i];
		plan->groups[n++] = plan->groups[i];
	}
	plan->group_count = n;
}

int
batch_plan_make(struct batch_round *round)
{
	struct arena *arena = &round->context->apply_arena;
	struct apply_plan *plan = &round->plan;
	size_t jobs = 0, clients = 0, calls = 0, bytes = 0;

	for (struct batch_job *job = batch_first(&round->jobs); job != NULL;
	     job = batch_next(job)) {
		jobs++;
		clients += job->push->client_count;
		calls += job->push->mutation_count - job->from;
	}
	if (calls > (size_t)round->context->settings->batch_mutations)
		calls = (size_t)round->context->settings->batch_mutations;
	arena_reset(arena);
	memset(plan, 0, sizeof(*plan));
	plan->registration = round->registration;
	plan->alone = round->alone;
	map_init(&round->groups, arena);
	map_init(&round->clients, arena);
	plan->groups = arena_calloc(arena, jobs, sizeof(*plan->groups));
	plan->clients = arena_calloc(arena, clients, sizeof(*plan->clients));
	plan->calls = arena_calloc(arena, calls, sizeof(*plan->calls));
	/* Pointers are meant: NOLINTNEXTLINE(bugprone-sizeof-expression) */
	round->owners = arena_calloc(arena, calls, sizeof(*round->owners));
	round->loads = arena_calloc(arena, jobs, sizeof(*round->loads));
	if (plan->groups == NULL || plan->clients == NULL ||
	    plan->calls == NULL || round->owners == NULL ||
	    round->loads == NULL)
		return -1;
	for (struct batch_job *job = batch_first(&round->jobs); job != NULL;
	     job = batch_next(job))
		if (plan_job(round, job, &bytes) < 0)
			return -1;
	compact_clients(plan);
	compact_groups(round);
	return 0;
}

bool
batch_plan_is_single(const struct batch_round *round)
{
	return round->plan.group_count == 1;
}

/* Notes in PACE that LOAD mutations took MS. True if it is by chance that they
 * were late. */
static bool
is_chance(struct batch_pace *pace, size_t load, int64_t ms)
{
	if (ms <= BATCH_SHARE_MS) {
		pace->late = false;
		if (pace->held < load)
			pace->held = load;
		return false;
	}
	if (load <= pace->held && ms <= BATCH_CHANCE_MS && !pace->late) {
		pace->late = true;
		return true;
	}
	pace->held = 0;
	return false;
}

void
batch_plan_learn(struct batch_round *round, int64_t ms)
{
	const struct apply_plan *plan = &round->plan;
	int64_t now = clock_ms();
	size_t largest = 0, load, bound;
	struct batch_pace *pace;

	for (size_t i = 1; i < plan->group_count; i++)
		if (round->loads[i].mutations > round->loads[largest].mutations)
			largest = i;
	if (plan->group_count == 0 ||
	    round->loads[largest].mutations * 2 < plan->call_count)
		return;
	load = round->loads[largest].mutations;
	bound = bound_mutations(round, plan->groups[largest].id);
	pace = &round->context->paces[place_of(plan->groups[largest].id)];
	if (pace->until <= now)
		*pace = (struct batch_pace){
		    .most = BATCH_PACE_FIRST, .until = now + BATCH_SUSPECT_MS};
	if (is_chance(pace, load, ms))
		return;
	if (ms <= BATCH_SHARE_MS && load < bound)
		return;
	pace->most =
	    (size_t)((int64_t)load * BATCH_SHARE_MS / (ms < 1 ? 1 : ms));
	if (pace->most > load * GROWTH)
		pace->most = load * GROWTH;
	if (pace->most < 1)
		pace->most = 1;
	pace->until = now + BATCH_SUSPECT_MS;
}
