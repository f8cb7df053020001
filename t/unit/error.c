/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of common/error.
 */
#include "config.h"

#include "unit.h"

#include <string.h>

#include "error.h"

static void
set_fills_all_and_returns_minus_one(void **state)
{
	struct error error = {0};

	(void)state;
	assert_int_equal(error.code, ERROR_NONE);
	assert_int_equal(
	    error_set(&error, ERROR_INVALID_ID, "id %d of %s", 7, "x"), -1);
	assert_int_equal(error.code, ERROR_INVALID_ID);
	assert_string_equal(error.message, "id 7 of x");
	assert_string_equal(error.sqlstate, "");
}

static void
long_messages_are_cut(void **state)
{
	struct error error;

	(void)state;
	error_set(&error, ERROR_INTERNAL, "%0*d", 2 * ERROR_MESSAGE_MAX, 1);
	assert_int_equal(strlen(error.message), ERROR_MESSAGE_MAX - 1);
}

static void
sqlstate_is_five_characters_or_nothing(void **state)
{
	static const char *const wrong[] = {NULL, "", "4000", "400011"};
	struct error error;

	(void)state;
	error_set(&error, ERROR_UNAVAILABLE, "x");
	assert_int_equal(error_set_sqlstate(&error, "40001"), -1);
	assert_string_equal(error.sqlstate, "40001");
	assert_int_equal(error.code, ERROR_UNAVAILABLE);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		error_set_sqlstate(&error, wrong[i]);
		assert_string_equal(error.sqlstate, "");
	}
	error_set_sqlstate(&error, "40001");
	error_set(&error, ERROR_INTERNAL, "y");
	assert_string_equal(error.sqlstate, "");
}

static void
reset_makes_it_none(void **state)
{
	struct error error;

	(void)state;
	error_set(&error, ERROR_INTERNAL, "x");
	error_set_sqlstate(&error, "XX000");
	error_reset(&error);
	assert_int_equal(error.code, ERROR_NONE);
	assert_string_equal(error.sqlstate, "");
	assert_string_equal(error.message, "");
}

static void
every_code_has_its_texts(void **state)
{
	(void)state;
	for (int code = ERROR_NONE; code < ERROR_MAX; code++) {
		const char *text = error_public_text((enum error_code)code);

		assert_non_null(error_name((enum error_code)code));
		assert_non_null(text);
		/* needs no escaping in JSON */
		for (; *text != '\0'; text++)
			assert_true(*text >= 0x20 && *text < 0x7f &&
				    *text != '"' && *text != '\\');
	}
	assert_string_equal(error_name(ERROR_MUTATION_GAP), "mutation_gap");
	assert_string_equal(
	    error_name(ERROR_CLIENT_STATE_NOT_FOUND), "ClientStateNotFound");
	assert_string_equal(error_name(ERROR_VERSION_NOT_SUPPORTED_SCHEMA),
	    "VersionNotSupported");
}

static void
no_two_codes_share_a_name(void **state)
{
	(void)state;
	for (int a = 0; a < ERROR_MAX; a++) {
		for (int b = 0; b < a; b++) {
			const char *name = error_name((enum error_code)a);

			if (strcmp(name, "VersionNotSupported") != 0)
				assert_string_not_equal(
				    name, error_name((enum error_code)b));
		}
	}
}

static void
a_number_that_is_no_code_is_internal(void **state)
{
	(void)state;
	assert_string_equal(error_name(ERROR_MAX), "internal");
	assert_string_equal(
	    error_public_text(ERROR_MAX), error_public_text(ERROR_INTERNAL));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(set_fills_all_and_returns_minus_one),
	    cmocka_unit_test(long_messages_are_cut),
	    cmocka_unit_test(sqlstate_is_five_characters_or_nothing),
	    cmocka_unit_test(reset_makes_it_none),
	    cmocka_unit_test(every_code_has_its_texts),
	    cmocka_unit_test(no_two_codes_share_a_name),
	    cmocka_unit_test(a_number_that_is_no_code_is_internal),
	};

	return unit_run(tests);
}
