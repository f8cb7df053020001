/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Functions that stand before others of the same name: the linker's --wrap,
 * which is told of each that a line begins with WRAPPED (Makefile.am).
 */
#ifndef REPLICACHE_TORTURE_WRAP_H
#define REPLICACHE_TORTURE_WRAP_H

/* NAME as the program calls it, TYPE what it gives; REAL() is the function. */
#define REAL(name) __real_##name
#define WRAPPED(type, name, ...)                                               \
	type REAL(name)(__VA_ARGS__);                                          \
	type __wrap_##name(__VA_ARGS__);                                       \
	type __wrap_##name(__VA_ARGS__)

#endif
