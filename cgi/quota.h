/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Quota: how much of something each user has.
 *
 * Users are kept only as long as they have any, so memory is bounded by what is
 * given out. A quota is used by one thread at a time.
 */
#ifndef REPLICACHE_QUOTA_H
#define REPLICACHE_QUOTA_H

#include <stdbool.h>

/* Lists of users: with 20,000 streams of as many users they are 20 long, and
 * looked through when a stream opens, only. */
#define QUOTA_LISTS 1024

struct quota_user;

struct quota {
	struct quota_user *lists[QUOTA_LISTS];
};

/* Gives USER one more, and the entry to give it back with. NULL if it has MOST
 * already, which *FULL_OUT tells, or without memory. A zeroed QUOTA is empty.
 */
struct quota_user *quota_take(
    struct quota *quota, const char *user, long most, bool *full_out);

/* Gives one back; NULL is legal. The last one frees the entry. */
void quota_give(struct quota *quota, struct quota_user *user);

#endif
