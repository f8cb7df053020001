/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The schema's number: which form of the tables in schema/replicache.sql the
 * programs know. The database keeps its own in replicache_state. One that has
 * another number is refused: replicache-admin upgrades it, or it belongs to a
 * newer program.
 */
#ifndef REPLICACHE_SCHEMA_H
#define REPLICACHE_SCHEMA_H

/* As in schema/replicache.sql. A build for a test may say another one. */
#ifndef SCHEMA_NUMBER
#define SCHEMA_NUMBER 2
#endif

/* The lowest number from which the upgrades lead here. */
#ifndef SCHEMA_OLDEST
#define SCHEMA_OLDEST 1
#endif

#endif
