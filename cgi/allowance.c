/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Lists of users with what they have left.
 */
#include "config.h"

#include "allowance.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Lists of users: with 10,000 of them each is 10 long. */
#define LISTS 1024

/* In thousandths of a mutation, as RATE gives one each ms. */
struct user {
	struct user *next;
	int64_t left; /* below 0: owed */
	int64_t then; /* when that was so */
	char name[];
};

struct allowance {
	pthread_mutex_t lock;
	struct user *lists[LISTS];
};

struct allowance *
allowance_new(void)
{
	struct allowance *allowance = calloc(1, sizeof(*allowance));

	if (allowance != NULL)
		pthread_mutex_init(&allowance->lock, NULL);
	return allowance;
}

void
allowance_free(struct allowance *allowance)
{
	if (allowance == NULL)
		return;
	for (size_t i = 0; i < LISTS; i++) {
		struct user *user;

		while ((user = allowance->lists[i]) != NULL) {
			allowance->lists[i] = user->next;
			free(user);
		}
	}
	pthread_mutex_destroy(&allowance->lock);
	free(allowance);
}

static struct user **
choose_list(struct allowance *allowance, const char *name)
{
	size_t hash = 5381;

	for (; *name != '\0'; name++)
		hash = hash * 33 + (unsigned char)*name;
	return &allowance->lists[hash % LISTS];
}

static int64_t
full(long rate)
{
	return (int64_t)rate * 1000 * ALLOWANCE_SAVED;
}

/* Lets time pass for USER. */
static void
refill(struct user *user, long rate, int64_t now)
{
	user->left += (now - user->then) * rate;
	user->then = now;
	if (user->left > full(rate))
		user->left = full(rate);
}

/* Finds NAME, and drops whom there is nothing to know of any more: one with a
 * full allowance is like one who never came. */
static struct user *
find(struct allowance *allowance, const char *name, long rate, int64_t now)
{
	struct user **link = choose_list(allowance, name), *found = NULL;

	while (*link != NULL) {
		struct user *user = *link;

		refill(user, rate, now);
		if (strcmp(user->name, name) == 0) {
			found = user;
		} else if (user->left == full(rate)) {
			*link = user->next;
			free(user);
			continue;
		}
		link = &user->next;
	}
	return found;
}

static struct user *
add(struct allowance *allowance, const char *name, long rate, int64_t now)
{
	struct user **list = choose_list(allowance, name);
	size_t length = strlen(name);
	struct user *user = malloc(sizeof(*user) + length + 1);

	if (user == NULL)
		return NULL;
	memcpy(user->name, name, length + 1);
	user->left = full(rate);
	user->then = now;
	user->next = *list;
	*list = user;
	return user;
}

bool
allowance_take(struct allowance *allowance, const char *name, size_t count,
    long rate, int64_t now)
{
	struct user *user;
	bool may = true;

	pthread_mutex_lock(&allowance->lock);
	user = find(allowance, name, rate, now);
	if (user == NULL)
		user = add(allowance, name, rate, now);
	if (user != NULL) {
		may = user->left > 0;
		if (may)
			user->left -= (int64_t)count * 1000;
	}
	pthread_mutex_unlock(&allowance->lock);
	return may;
}

void
allowance_give(struct allowance *allowance, const char *name, size_t count,
    long rate, int64_t now)
{
	struct user *user;

	if (count == 0)
		return;
	pthread_mutex_lock(&allowance->lock);
	user = find(allowance, name, rate, now);
	if (user != NULL) {
		user->left += (int64_t)count * 1000;
		refill(user, rate, now);
	}
	pthread_mutex_unlock(&allowance->lock);
}
