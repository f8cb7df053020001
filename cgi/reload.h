/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reload: what the program does when it gets HUP. Requests under way go on.
 */
#ifndef REPLICACHE_RELOAD_H
#define REPLICACHE_RELOAD_H

struct app;

/*
 * Reads again what can be read again: the settings and the keys. What is wrong
 * is logged, and leaves things as they were. Called by the main thread alone.
 */
void reload(struct app *app);

#endif
