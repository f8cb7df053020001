/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of what common/bytes.h has for other processors.
 */
#define BYTES_PORTABLE
#include "bytes.c"
