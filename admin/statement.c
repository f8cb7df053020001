/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The statements of schema/admin.sql, and running one.
 */
#include "config.h"

#include <stddef.h>

#include "admin.h"
#include "db.h"
#include "error.h"
#include "statements.h"

static const struct statement statements[] = {
#define STATEMENT(id, name, sql)                                               \
	{"admin_" name, sql, (size_t)STATEMENT_MAX + ADMIN_##id},
#include "admin_statements.inc"
#undef STATEMENT
};

const struct statement *
admin_statement(enum admin_statement id)
{
	return &statements[id];
}

int
admin_run(struct admin *admin, enum admin_statement id, int n,
    const char *const *params, struct db_result **result_out,
    struct error *error)
{
	struct db_result *result = NULL;
	struct error ignored;
	int rc = 0;

	if (db_send(admin->db, &statements[id], n, params, error) < 0 ||
	    db_sync(admin->db, error) < 0)
		return -1;
	if (db_take(admin->db, &result, error) < 0)
		rc = -1;
	if (db_finish(admin->db, rc == 0 ? error : &ignored) < 0)
		rc = -1;
	if (rc == 0 && result_out != NULL)
		*result_out = result;
	else
		db_result_free(result);
	return rc;
}
