/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Lists of users with what they have.
 */
#include "config.h"

#include "quota.h"

#include <stdlib.h>
#include <string.h>

struct quota_user {
	struct quota_user *next;
	size_t list;
	long has;
	char name[];
};

static size_t
choose_list(const char *user)
{
	size_t hash = 5381;

	for (; *user != '\0'; user++)
		hash = hash * 33 + (unsigned char)*user;
	return hash % QUOTA_LISTS;
}

struct quota_user *
quota_take(struct quota *quota, const char *user, long most, bool *full_out)
{
	size_t list = choose_list(user), length = strlen(user);
	struct quota_user *entry = quota->lists[list];

	*full_out = false;
	while (entry != NULL && strcmp(entry->name, user) != 0)
		entry = entry->next;
	if (entry == NULL) {
		entry = malloc(sizeof(*entry) + length + 1);
		if (entry == NULL)
			return NULL;
		memcpy(entry->name, user, length + 1);
		entry->has = 0;
		entry->list = list;
		entry->next = quota->lists[list];
		quota->lists[list] = entry;
	}
	/* One that was there has at least one, so none is left with none. */
	if (entry->has >= most) {
		*full_out = true;
		return NULL;
	}
	entry->has++;
	return entry;
}

void
quota_give(struct quota *quota, struct quota_user *user)
{
	struct quota_user **link;

	if (user == NULL || --user->has > 0)
		return;
	link = &quota->lists[user->list];
	while (*link != user)
		link = &(*link)->next;
	*link = user->next;
	free(user);
}
